"""What a worker process is asked and what it answers: one line of JSON each. No I/O."""

from __future__ import annotations

import msgspec

from connector.dataplane.plan.model import Circle
from connector.dataplane.query.job import Failed, Job, Made
from connector.dataplane.tables.model import Mapping, Table


class Make(msgspec.Struct, frozen=True, tag="make"):
    """Make the file of a job. Answered by ``Done``."""

    job: Job


class Look(msgspec.Struct, frozen=True, kw_only=True, tag="look"):
    """Look at a table: see ``tables/look.py``. Answered by ``Seen`` or ``Unseen``."""

    path: str
    mapping: Mapping | None = None
    personal: bool = True
    bases: tuple[str, ...] = ()
    sensitive: tuple[Circle, ...] = ()


class Measure(msgspec.Struct, frozen=True, kw_only=True, tag="measure"):
    """Make the file of a job, measure how unique its vehicles are (``query/unicity.py``), and delete it. Answered by ``Done``."""

    job: Job
    seed: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """``made`` or ``failed``; ``unique`` is the share of unique vehicles of ``units``, where it was measured and applies."""

    made: Made | None = None
    failed: Failed | None = None
    unique: float | None = None
    units: int = 0


class Seen(msgspec.Struct, frozen=True, tag="seen"):
    """The table that was looked at, and how it was understood: see ``Looked`` of ``tables/look.py``."""

    table: Table
    ignored: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()


class Unseen(msgspec.Struct, frozen=True, tag="unseen"):
    """Why a table is not taken: see ``tables/refused.py``."""

    code: str
    reason: str
    column: str | None = None


Question = Make | Look | Measure
Answer = Done | Seen | Unseen
