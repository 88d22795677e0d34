"""What the provider of the demo has: a simulated fleet, or the user's own CSV or Parquet, looked at before anything starts.

In three steps: ``survey`` (nothing runs yet: which files are the table, what its columns mean, and why the others are left out),
the town with ``survey.roots`` among what its provider may publish from, then ``taken`` (consents and enrolments, which nobody has
for such files and which are made up). ``simulated`` does all at once. Nothing of the user's is written to. All block: call them
on a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connector.client.local import Document
from connector.demo.given_counts import Counted
from connector.demo.given_files import Survey
from connector.demo.given_people import Buyers

SEED: Final = 20261
VEHICLES: Final = 250
DAYS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The provider's raw table, and who agreed to what.

    ``table_path``: what ``publish(..., table=wish)`` takes, a file or a folder; ``wish``: with the mapping where there is one.
    ``mapping``: what its columns mean, as ``--mapping`` takes it; None for the simulated fleet, whose headers say it.
    ``counted``: rows, vehicles, trips, kilometres and period of the whole table. ``made_up``: its consents and enrolments are of
    the demo. ``consents_file``: what ``import_consents`` takes. ``contracts``: what ``enrol`` takes, of the insurer's customers
    who agreed; empty if there are none. ``notes``: lines to print, without indentation.
    """

    origin: str
    table_path: Path
    mapping: Document | None
    counted: Counted
    sampling_ms: int | None
    paths: frozenset[str]
    consents_file: Path
    contracts: tuple[Document, ...]
    made_up: bool
    notes: tuple[str, ...]

    @property
    def wish(self) -> Document:
        """What ``publish`` is told of the table."""
        return {} if self.mapping is None else {"mapping": self.mapping}

    @property
    def placed(self) -> bool:
        """Its rows say where a vehicle was: cells and drives can be made of it."""
        raise NotImplementedError

    @property
    def paced(self) -> bool:
        """Its rows are close enough in time, and say how fast: features of driving can be made of it."""
        raise NotImplementedError

    @property
    def faults(self) -> bool:
        """It holds fault codes or service data."""
        raise NotImplementedError


def simulated(folder: Path, buyers: Buyers, *, vehicles: int = VEHICLES, days: int = DAYS, seed: int = SEED) -> Given:
    """A fleet driven on this machine, in the provider's ``folder``, and what its people agreed to."""
    raise NotImplementedError


def taken(survey: Survey, folder: Path, buyers: Buyers, *, seed: int = SEED) -> Given:
    """The table of a survey, read where it stands; consents and enrolments are made up and written to the provider's ``folder``.

    Raises NotTaken.
    """
    raise NotImplementedError
