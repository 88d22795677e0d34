"""What the provider of the demo has: a simulated fleet, or the user's own CSV or Parquet, looked at before anything starts.

In three steps: ``survey`` (nothing runs yet: which files are the table, what its columns mean, and why the others are left out),
the town with ``survey.roots`` among what its provider may publish from (``town(..., sources={"oem": survey.roots})``), then
``taken`` (consents and enrolments, which nobody has for such files and which are made up). ``simulated`` does all at once.
Nothing of the user's is written to. All block: call them on a thread.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from connector.client.local import Document
from connector.dataplane.consent.model import NAME
from connector.dataplane.consent.model import REMEDIES as LEDGER
from connector.dataplane.tables.look import look
from connector.dataplane.tables.model import SPEED, Table
from connector.demo.fleet import KIT, consents, enrolments, write_parquet
from connector.demo.given_counts import Counted, whole
from connector.demo.given_files import Survey
from connector.demo.given_people import Buyers, People, made_up, write_decisions

FLEET_FILE: Final = "fleet.parquet"
SEED: Final = 20261
VEHICLES: Final = 250
DAYS: Final = 2
MOST_ASKED: Final = 10_000
"""Of a larger table so many vehicles are taken to have been asked."""
CLOSEST_MS: Final = 1_000
"""Harsh braking shows in rows that are no further apart."""
IDS: Final = LEDGER["vehicle"]
FAULT_LIST: Final = "Vehicle.Diagnostics.DTCList"
_FAULTS: Final = ("Vehicle.Diagnostics.", "Vehicle.Service.")
_TOWN: Final = replace(KIT, faulty=1.0, towns=2, spread_km=4.0, trip_km=(2.0, 3.0, 5.0, 8.0, 14.0, 30.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The provider's raw table, and who agreed to what.

    ``table_path``: what ``publish(..., table=given.wish)`` takes, a file or a folder. ``survey``: of the user's own data, with
    lines to print; None for the simulated fleet. ``counted``: rows, vehicles, trips, kilometres and period of the whole table.
    ``people``: consents and enrolments, which are of the demo's own making in any case. ``unasked``: how many vehicles nobody can
    be asked about, as no ledger takes their ids.
    """

    table_path: Path
    table: Table
    survey: Survey | None
    counted: Counted
    people: People
    unasked: int = 0

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        return "a simulated fleet" if self.survey is None else f"{self.table_path}, {self.survey.origin}"

    @property
    def wish(self) -> Document:
        """What ``publish`` is told of the table."""
        return {} if self.survey is None else {"mapping": self.survey.mapping}

    @property
    def consents_file(self) -> Path:
        """What ``import_consents`` takes; below the provider's folder."""
        return self.people.consents_file

    @property
    def contracts(self) -> tuple[Document, ...]:
        """What ``enrol`` takes: of customers of the insurer who agreed."""
        return self.people.contracts

    @property
    def references(self) -> dict[str, str]:
        """Vehicle by the reference under which it is enrolled."""
        return {contract["reference"]: contract["vehicle"] for contract in self.people.contracts}

    @property
    def agreed(self) -> Mapping[str, tuple[str, ...]]:
        """The vehicles that agreed, by recipient."""
        return self.people.agreed

    @property
    def sampling_ms(self) -> int | None:
        """The median time between two rows of a trip."""
        return self.table.sampling_ms

    @property
    def placed(self) -> bool:
        """Its rows say where a vehicle was: cells and drives can be made of it."""
        return self.table.placed

    @property
    def paced(self) -> bool:
        """Its rows say how fast, and are close enough in time: features of driving can be made of it."""
        return SPEED in self.table.paths and self.sampling_ms is not None and self.sampling_ms <= CLOSEST_MS

    @property
    def faults(self) -> bool:
        """It holds fault codes or service data."""
        return any(path.startswith(_FAULTS) for path in self.table.paths)

    @property
    def lacking(self) -> tuple[str, ...]:
        """What cannot be made of it and what would help, a line each."""
        said = []
        if self.unasked:
            said.append(f"{self.unasked} vehicles count as not agreeing: an id has {IDS}")
        if not self.placed:
            said.append("no positions: no cells for the city; a mapping may say which columns hold latitude and longitude")
        if SPEED not in self.table.paths:
            said.append(f"no speed: no features for the insurer; a mapping may say which column is {SPEED}")
        elif not self.paced:
            every = "seldom" if self.sampling_ms is None else f"each {self.sampling_ms / 1_000:g} s"
            said.append(f"a row {every}: too coarse to see harsh braking, so no features for the insurer; it takes one a second")
        if not self.faults:
            said.append(f"no fault codes: nothing for the repairer; a mapping may say which column is {FAULT_LIST}")
        return tuple(said)


def simulated(folder: Path, buyers: Buyers, *, vehicles: int = VEHICLES, days: int = DAYS, seed: int = SEED) -> Given:
    """A fleet driven on this machine, in the provider's ``folder``, and what its people agreed to."""
    path = folder / FLEET_FILE
    write_parquet(path, _TOWN, vehicles, days, seed)
    table = look(path)
    requests = buyers.requests()
    decisions = consents(_TOWN, vehicles, requests, seed)
    people = write_decisions(folder, decisions, enrolments(_TOWN, vehicles, requests, seed).to_pylist())
    return Given(table_path=path, table=table, survey=None, counted=whole(table, 0)[0], people=people)


def taken(survey: Survey, folder: Path, buyers: Buyers, *, seed: int = SEED) -> Given:
    """The table of a survey, read where it stands; consents and enrolments are made up and written to the provider's ``folder``.

    Raises NotTaken when the files have changed since.
    """
    counted, known = whole(survey.table, MOST_ASKED)
    asked = [vehicle for vehicle in known if re.fullmatch(NAME, vehicle)]
    # A logger's clock may run ahead; nobody decides in the future.
    before_ms = min((survey.table.first_s or 0) * 1_000, time.time_ns() // 1_000_000)
    people = write_decisions(folder, *made_up(asked, buyers.requests(), before_ms, seed))
    return Given(
        table_path=survey.path,
        table=survey.table,
        survey=survey,
        counted=counted,
        people=people,
        unasked=len(known) - len(asked),
    )
