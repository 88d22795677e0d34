"""Ledgers for tests: one that is open, entries, files to import, and what a population lets through."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from connector.dataplane.consent.bits import holds
from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.lookup import find
from connector.dataplane.consent.model import COLUMNS, Entry, Withdrawn
from connector.dataplane.plan.model import Consent
from connector.dataplane.process import MIGRATIONS
from connector.store.migrate import migrate
from connector.store.sqlite import SqliteEngine

NOW = 2_000_000_000_000
TEXT = "a" * 64
INSURER, CITY = "did:web:insurer.example", "did:web:city.example"
DPV, VDX = "https://w3id.org/dpv#", "https://w3id.org/carnet/terms#"
CONSENT, CONTRACT = f"{DPV}Consent", f"{DPV}Contract"
INSURANCE, UBI, ROADS = f"{VDX}Insurance", f"{VDX}UsageBasedInsurance", f"{VDX}RoadSafety"
VIN = "WVWZZZ1KZ5W000017"


@asynccontextmanager
async def ledger_in(folder: Path, told: list[Withdrawn] | None = None, **bounds: int) -> AsyncIterator[Ledger]:
    """An open ledger in a folder, the database beside it; what is withdrawn goes to ``told``."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    engine = await SqliteEngine.open(folder / "data.db")
    try:
        await migrate(engine, MIGRATIONS, 1)
        ledger = Ledger(engine, folder / "ledger", lambda: NOW, **bounds)

        async def hear(withdrawn: Withdrawn) -> None:
            if told is not None:
                told.append(withdrawn)

        ledger.on_withdrawn = hear
        await ledger.open()
        yield ledger
        await ledger.close()
    finally:
        await engine.close()


def entry(vehicle: str = VIN, *, given: bool = True, **more: Any) -> Entry:
    """An entry for the insurer, but for what is said."""
    about: dict[str, Any] = {"category": "driving-behaviour", "purpose": UBI, "recipient": INSURER, "decided_by": "driver"}
    return Entry(vehicle=vehicle, given=given, **{**about, "text_sha256": TEXT if given else None, **more})


def row(vehicle: str = VIN, **more: Any) -> dict[str, Any]:
    """A row of an import, the same."""
    about = {"category": "driving-behaviour", "purpose": "vdx:UsageBasedInsurance", "recipient": INSURER}
    rest = {"basis": "", "decided_by": "driver", "text_sha256": TEXT, "at_ms": NOW - 1000, "given": "true"}
    return {"vehicle": vehicle, **about, **rest, **more}


def write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """A file to import."""
    with path.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def asked(
    *categories: str, purposes: tuple[str, ...] = (UBI,), recipient: str = INSURER, bases: tuple[str, ...] = (CONSENT,)
) -> Consent:
    """What a plan asks the ledger for."""
    return Consent(categories or ("driving-behaviour",), purposes, recipient, bases)


async def let_through(ledger: Ledger, consent: Consent, vehicles: Iterable[str], number: int | None, scratch: Path) -> set[str]:
    """Of these vehicles the ones in a delivery that asks for ``consent``, by the rules of ``Population``."""
    population = await ledger.population(consent, number)
    known = dict(population.recent)
    asked_for = sorted(set(vehicles) - known.keys())
    if population.ordinals and asked_for:
        known |= find([Path(each) for each in population.ordinals], asked_for, scratch)
    assert population.granted is not None
    left = {vehicle for vehicle in vehicles if vehicle in known}
    for sets in population.granted:
        inside = set().union(*(holds(bits, known.values()) for bits in sets)) if sets else set()
        left = {vehicle for vehicle in left if known[vehicle] in inside}
    return left
