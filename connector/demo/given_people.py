"""Who asks the people of the demo's vehicles, and what they decided: decisions and enrolments for vehicles that nobody asked.

Of every request the share that agrees is exact, not drawn, so that one vehicle of one and three of four agree: the first by a
digest of vehicle, request and seed. Pure but for the writing of the file.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv

from connector.client.local import Document
from connector.demo.fleet import Request
from connector.demo.fleet.people import Category
from policies.model import CARNET, DPV

INSURANCE: Final = f"{CARNET}PayAsYouDrive"
REPAIR: Final = f"{DPV}RepairImpairments"
RESEARCH: Final = f"{DPV}ScientificResearch"
CONSENTS_FILE: Final = "consents.csv"
TO_INSURER: Final = "I agree that my insurer gets figures about how I drive, but not where."
TO_REPAIRER: Final = "I agree that this repairer gets the fault codes, the service data and the mileage of my vehicle."
_DECIDER: Final = "driver"
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyers:
    """Participant ids of those that ask people for their consent. The city asks nobody: its cells need no consent."""

    insurer: str
    repairer: str | None = None
    research: str | None = None

    def requests(self) -> tuple[Request, ...]:
        """What each asks the people of the fleet; nobody withdraws before the demo has them do so.

        The ids of the demo's connectors hold their ports, so chance knows them by what they are: each run has the same figures.
        """
        asked: tuple[Category, ...] = ("driving-behaviour", "mileage")
        found = [Request(self.insurer, INSURANCE, asked, (TO_INSURER,), agree=0.7, withdrawn=0.0, drawn="insurer")]
        if self.repairer is not None:
            asked = ("diagnostics", "mileage")
            found.append(
                Request(self.repairer, REPAIR, asked, (TO_REPAIRER,), agree=0.6, withdrawn=0.0, enrol=0.0, drawn="repairer")
            )
        if self.research is not None:
            asked = ("location", "driving-behaviour", "diagnostics", "mileage", "energy", "environment")
            found.append(Request(self.research, RESEARCH, asked, withdrawn=0.0, enrol=0.0, drawn="research"))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class People:
    """What was decided: the file of decisions, the enrolments, and by recipient the vehicles that agreed."""

    consents_file: Path
    contracts: tuple[Document, ...]
    agreed: Mapping[str, tuple[str, ...]]


def write_decisions(folder: Path, decisions: Any, enrolled: Sequence[Mapping[str, Any]]) -> People:
    """Decisions (a table with the columns of ``import_consents``) as a file in ``folder``; all of them are read again here."""
    path = folder / CONSENTS_FILE
    pyarrow.csv.write_csv(decisions, path)
    agreed: dict[str, dict[str, None]] = {}
    for vehicle, recipient, given in zip(*(decisions.column(name).to_pylist() for name in ("vehicle", "recipient", "given")),
                                         strict=True):  # fmt: skip
        if given:
            agreed.setdefault(recipient, {})[vehicle] = None
    shown = hashlib.sha256(TO_INSURER.encode()).hexdigest()
    contracts = tuple({**row, "decided_by": _DECIDER, "text_sha256": shown} for row in enrolled)
    return People(path, contracts, {recipient: tuple(vehicles) for recipient, vehicles in agreed.items()})


def made_up(vehicles: Sequence[str], requests: Sequence[Request], before_ms: int, seed: int) -> tuple[Any, list[Document]]:
    """Decisions of the vehicles' drivers, a day before ``before_ms``, and the enrolments of those that agreed.

    The decisions as an Arrow table with the columns of ``import_consents``.
    """
    rows: list[Document] = []
    enrolled: list[Document] = []
    for request in requests:
        ranked = sorted(vehicles, key=lambda vehicle: _digest(vehicle, request, seed))
        agreeing = ranked[: math.ceil(request.agree * len(ranked))]
        shown = hashlib.sha256(request.texts[-1].encode()).hexdigest()
        about = {"purpose": request.purpose, "recipient": request.recipient, "basis": request.basis}
        decided = {"decided_by": _DECIDER, "text_sha256": shown, "at_ms": before_ms - _DAY_MS, "given": True}
        for vehicle in agreeing:
            rows.extend({"vehicle": vehicle, "category": category, **about, **decided} for category in request.categories)
        for number, vehicle in enumerate(agreeing[: math.ceil(request.enrol * len(agreeing))], 1):
            enrolled.append(
                {"vehicle": vehicle, "recipient": request.recipient, "reference": f"{request.reference}-{number:06d}"}
            )
    return pa.Table.from_pylist(rows, _SCHEMA), enrolled


_SCHEMA: Final = pa.schema(
    [(name, pa.string()) for name in ("vehicle", "category", "purpose", "recipient", "basis", "decided_by", "text_sha256")]
    + [("at_ms", pa.int64()), ("given", pa.bool_())]
)


def _digest(vehicle: str, request: Request, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{request.drawn or request.recipient}\0{request.purpose}\0{vehicle}".encode()).digest()
