"""What the process that runs a query is told, and what it answers: one JSON document each, over its pipes. No I/O.

Secrets (the key of the pseudonyms) go through standard input only, never into arguments, the environment or a file.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from connector.dataplane.plan.model import Box, Plan
from connector.dataplane.tables.model import Table


class Bits(msgspec.Struct, frozen=True):
    """A set of vehicles as of one number of the ledger: a file with a bit for each ordinal (least significant bit first), and
    what was decided after it was written: ordinals that were added and taken away."""

    file: str | None = None
    added: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()


class Population(msgspec.Struct, frozen=True, kw_only=True):
    """Who may be in a delivery, and under which name.

    ``ordinals``: Parquet files (vehicle, ordinal) with the vehicles that the ledger knows; ``recent``: those it learned since.
    ``granted``: for each category the sets of which a vehicle must be in one; of no category: every vehicle that the ledger
    knows; None where no consent is needed. ``left_out``: ordinals that have used up what they may be asked for. ``references``:
    the buyer's own reference of each enrolled ordinal, or None. ``key``: hex, 32 bytes, of HMAC-SHA-256, cut to 128 bits: of
    ``vehicle``, of ``epoch|vehicle`` or of
    ``trip|vehicle|trip``.
    """

    ordinals: tuple[str, ...] = ()
    recent: tuple[tuple[str, int], ...] = ()
    granted: tuple[tuple[Bits, ...], ...] | None = None
    left_out: tuple[int, ...] = ()
    references: tuple[tuple[int, str], ...] | None = None
    key: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a query may use. ``free_bytes`` must stay free on the disk of ``scratch``; ``output_bytes`` is the largest file
    that it may make, None: any."""

    memory_bytes: int = 200 * 1024 * 1024
    threads: int = 2
    free_bytes: int = 512 * 1024 * 1024
    output_bytes: int | None = None


class Released(msgspec.Struct, frozen=True):
    """Cells that this buyer has already: the file that was kept, and the whole steps of time and areas that it covers.

    A cell whose step and centre are covered comes from the file, also if it was suppressed there, whatever the table says now.
    """

    file: str
    after_s: int
    before_s: int
    areas: tuple[tuple[Box, ...], ...] = ()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Make one file at ``output``, and at ``index`` the ordinals of its vehicles. ``scratch`` is an empty folder of this job.

    Of L2, whose rows name trips alone, ``trips`` gets the trips of each of these vehicles: see ``indexes.py``.
    Of cells: ``released`` is what the buyer has; what is computed now, with all columns that can be averaged and with a row
    without figures for each suppressed cell, is kept at ``keep``. That file never leaves.
    """

    plan: Plan
    table: Table
    population: Population
    output: str
    index: str
    scratch: str
    trips: str | None = None
    keep: str | None = None
    released: tuple[Released, ...] = ()
    limits: Limits = Limits()


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A file was made.

    ``rows_digest`` does not depend on the order of rows. ``suppressed``: cells with too few vehicles. ``vehicles``: distinct
    ones in it (of cells: behind it). The file ``index`` of the job holds their ordinals as ascending unsigned 32-bit integers,
    little-endian. ``covers`` are the first second and the one past the last of the whole steps that these cells cover, or of the
    rows that were read. ``columns`` are the columns that left, in order.
    """

    rows: int
    bytes: int
    sha256: str
    rows_digest: str
    vehicles: int
    columns: tuple[str, ...]
    cells: int = 0
    suppressed: int = 0
    covers: tuple[int, int] | None = None
    input_rows: int = 0
    cpu_s: float = 0
    peak_bytes: int = 0


class Failed(msgspec.Struct, frozen=True):
    """No file was made. ``code`` is stable; ``column`` names what is missing where the source changed. No personal data."""

    code: Literal[
        "source-changed", "source-unreadable", "disk-full", "out-of-memory", "plan-impossible", "not-anonymous", "internal"
    ]
    reason: str
    column: str | None = None


TOO_LARGE: Final = Failed("plan-impossible", "the file would be larger than this provider makes; ask for less at once")
NOT_ANONYMOUS: Final = Failed(
    "not-anonymous", "the rows are agreed to be anonymous, and too few are in the file or too many of them unique"
)
