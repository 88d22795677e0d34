"""A data plane without its network: desk, plans, queries, meters and ledger as they run, the control plane a function.

What the buyer gets is read from the descriptor that the desk gives out, and stands in a file for the checkers. The fleet
is that of ``tests/governed/cars.py``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast
from urllib.parse import unquote

import msgspec
import pyarrow
import pyarrow.parquet

from connector.dataplane import records as rec
from connector.dataplane.artifacts import Artifacts
from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.model import Enrolment, Entry
from connector.dataplane.consent.requesting import UserRequests
from connector.dataplane.consent.requests import Asked
from connector.dataplane.deciding import Decider
from connector.dataplane.deliveries import Deliveries
from connector.dataplane.desk import Desk
from connector.dataplane.leaves import Leaves
from connector.dataplane.plan.declared import declared, declared_for_file
from connector.dataplane.plan.model import Circle
from connector.dataplane.plan.places import Places
from connector.dataplane.process import MIGRATIONS
from connector.dataplane.query.job import Failed, Job, Made
from connector.dataplane.query.run import run
from connector.dataplane.readings import Readings
from connector.dataplane.records import Flow, Records
from connector.dataplane.reserving import Reserving
from connector.dataplane.settings import DataPlaneBounds
from connector.dataplane.sources import Source, read_source
from connector.dataplane.spool import Spool
from connector.dataplane.states import Role, State
from connector.dataplane.tables.look import look
from connector.dataplane.tables.model import Column, Table, TimeColumn
from connector.dataplane.tables.model import Mapping as Meaning
from connector.store.migrate import migrate
from connector.store.sqlite import SqliteEngine
from policies import dsp
from policies.model import DPV, Policy
from tests.governed.cars import CARS, CONSENTED, EXPLICITLY, REFERENCES, RPM, drives
from tests.governed.opened import LAT, LON, SPEED, Opened, Raw

NOW_MS: Final = 1_770_681_600_000  # 2026-02-10T00:00:00Z
BUYER: Final = "did:web:buyer.example"
DATASET: Final = "urn:dataset:drives"
RESEARCH: Final = f"{DPV}ScientificResearch"
CONSENT, EXPLICIT, CONTRACT = f"{DPV}Consent", f"{DPV}ExplicitConsent", f"{DPV}Contract"
TEXT: Final = "a" * 64
COLUMNS: Final = (
    Column("lat", LAT, unit="degrees", category="location"),
    Column("lon", LON, unit="degrees", category="location"),
    Column("rpm", RPM, unit="rpm", category="driving-behaviour"),
    Column("kmh", SPEED, unit="km/h", category="driving-behaviour"),
)

REQUESTED: Final = ((CARS[0], BUYER), (CARS[7], BUYER), (CARS[1], "did:web:other.example"), (CARS[2], BUYER))
"""Whose user asked for what to be sent to whom: urn:request:0 and so on. One of the cars never consented to anything."""
WITHDRAWN: Final = "urn:request:3"

Decide = Callable[[str, str | None], Awaitable[Mapping[str, Any]]]
"""The control plane: the transfer and the purpose of a request -> its decision."""


@dataclass(frozen=True)
class Drives:
    """The table of the fleet, with speed or without: it was looked at once."""

    slow: Table
    fast: Table
    raw: Raw

    @classmethod
    def write(cls, folder: Path) -> Drives:
        path = folder / "drives.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(drives()), path)
        clock = TimeColumn("at", "epoch-s")
        slow, fast = (
            look(path, Meaning(origin="given", columns=columns, time=clock, vehicle="car", trip="drive"))
            for columns in (COLUMNS[:3], COLUMNS)
        )
        raw = Raw(path, vehicle="car", at='"at"', trip="drive", lat="lat", lon="lon", speed="kmh")
        return cls(slow, fast, raw)


class InProcess:
    """Does the work of the workers here."""

    async def make(self, job: Job, key: str) -> Made | Failed:
        """See ``seams.Workers``."""
        return await asyncio.to_thread(run, job)

    async def kill(self, key: str) -> None:
        """See ``seams.Workers``."""


@dataclass
class Client:
    """Answers the request for a decision as a control plane does."""

    decide: Decide

    async def request(self, method: str, url: str, *, body: bytes, **_: Any) -> SimpleNamespace:
        flow_id = unquote(url.split("/")[-2])
        decided = await self.decide(flow_id, msgspec.json.decode(body)["purpose"])
        return SimpleNamespace(status=200, body=msgspec.json.encode(decided))


@dataclass
class Depot:
    """Transfers of one buyer under one agreement, which has one permission."""

    folder: Path
    desk: Desk
    records: Records
    ledger: Ledger
    client: Client
    now_ms: int = NOW_MS
    begun: list[str] = field(default_factory=list)

    def agree(self, agreement: Policy) -> None:
        """From now on the control plane permits what this says."""
        document: dict[str, Any] = {**dsp.write(replace(agreement, kind="Offer")), "@type": "Agreement", "target": DATASET}
        document |= {"assigner": "did:web:us.example", "assignee": BUYER, "timestamp": "2026-02-01T00:00:00Z"}
        decided = {"permitted": True, "permissions": [0], "agreement": document, "counterparty": BUYER}

        async def decide(flow_id: str, purpose: str | None) -> Mapping[str, Any]:
            return {**decided, "purpose": purpose or RESEARCH}

        self.client.decide = decide

    async def key(self, agreement: Policy) -> bytes:
        """Of the buyer's pseudonyms."""
        return bytes.fromhex(await self.ledger.pseudonym_key(BUYER, agreement.uid))

    async def delivered(self, source: Source, agreement_id: str, *, flow: str | None = None, **query: str) -> Path:
        """Begin a transfer and get its file. Raises Refusal."""
        flow_id = flow or f"urn:flow:{len(self.begun)}"
        begun = Flow(flow_id, Role.PROVIDER, State.STARTED, 1, source.dataset_id, agreement_id, None, None, None)
        await self.records.commit([rec.insert_flow(begun, self.now_ms)])
        self.begun.append(flow_id)
        outgoing = await self.desk.open(begun, source, query.items())
        with os.fdopen(outgoing.descriptor, "rb") as left:
            path = self.folder / f"delivered-{len(self.begun)}.{query.get('format', 'parquet')}"
            path.write_bytes(left.read())
        return path


def of_table(table: Table, **more: Any) -> Source:
    """A table as it was published; ``more`` is what its owner says of it."""
    more["sensitive"] = tuple(Circle(*place) for place in more.get("sensitive", ()))
    said = msgspec.structs.replace(table, **more)
    path, terms = said.files[0], tuple(sorted(declared(said)))
    return Source(DATASET, path, os.path.getsize(path), said.snapshot, said.snapshot, "table", terms, said)


def of_file(folder: Path, content: bytes, *more: str) -> Source:
    """A plain file as it was published; ``more`` are terms that are declared for it too."""
    path = folder / "plain.bin"
    path.write_bytes(content)
    found = read_source(DATASET, str(path), [folder], None)
    return Source(
        DATASET, found.path, found.bytes, found.sha256, found.identity, declares=tuple(sorted({*declared_for_file(), *more}))
    )


def opened(path: Path, raw: Raw) -> Opened:
    """What was delivered beside the raw table."""
    return Opened(path, raw)


async def _consents(ledger: Ledger) -> None:
    entries = [
        Entry(
            vehicle=car,
            category=category,
            purpose=RESEARCH,
            recipient=BUYER,
            given=True,
            decided_by="owner",
            basis=EXPLICIT if car in EXPLICITLY else CONSENT,
            text_sha256=TEXT,
        )
        for car, category in product(CONSENTED, ("location", "driving-behaviour", "mileage"))
    ]
    await ledger.decide(entries)
    enrolled = [Enrolment(vehicle=car, recipient=BUYER, reference=said, text_sha256=TEXT) for car, said in REFERENCES.items()]
    await ledger.enrol(enrolled)
    requests = UserRequests(ledger)
    for number, (car, recipient) in enumerate(REQUESTED):
        about = Asked(vehicle=car, recipient=recipient, purpose=RESEARCH, text_sha256=TEXT, id=f"urn:request:{number}")
        await requests.add(about)
    await requests.withdraw(WITHDRAWN)


async def _nobody(flow_id: str, purpose: str | None) -> Mapping[str, Any]:
    return {"permitted": False}


@asynccontextmanager
async def open_depot(folder: Path) -> AsyncIterator[Depot]:
    """A depot in which everybody has consented who does."""
    engine = await SqliteEngine.open(folder / "data.db")
    await migrate(engine, MIGRATIONS, NOW_MS)
    records, deliveries, readings = Records(engine), Deliveries(engine), Readings(engine)
    ledger = Ledger(engine, folder / "consents", lambda: NOW_MS)
    await ledger.open()
    await _consents(ledger)
    spool = Spool(folder / "spool")
    await asyncio.to_thread(spool.prepare)
    client, bounds = Client(_nobody), DataPlaneBounds(min_free_bytes=1, artifact_wait_s=60)
    settings: Any = SimpleNamespace(
        control_url="https://control.example", control_token=SimpleNamespace(reveal=lambda: "token"), bounds=bounds
    )

    def now_ms() -> int:
        return depot.now_ms

    artifacts = Artifacts(deliveries, readings, InProcess(), ledger, spool, bounds, now_ms)
    reserving = Reserving(deliveries, readings, artifacts, Leaves(readings, lambda: None, now_ms), now_ms)
    decider = Decider(records, cast("Any", client), settings)
    desk = Desk(deliveries, decider, artifacts, reserving, Places.of(), bounds, _unchanged, now_ms)
    depot = Depot(folder, desk, records, ledger, client)
    try:
        yield depot
    finally:
        await artifacts.close()
        await ledger.close()
        await engine.close()


async def _unchanged(flow_id: str, reason: str, column: str | None) -> None:
    raise AssertionError(f"the source of a test changed: {reason}")
