"""The seam between the store and a database engine.

A transaction is data: callers load, decide without I/O, and hand over a list of guarded statements, which
commit together or not at all. So group commit, savepoints and both engines look the same. SQL is written
once with ``?`` placeholders; an engine translates what its dialect needs. This module may import nothing of
the connector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

Value = str | int | float | bytes | None
Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One write. ``expect`` is the number of rows it must touch; ``None`` means any number.

    Another number than ``expect``, or a violated unique constraint, makes the whole commit a
    :class:`LostRace`.
    """

    sql: str
    params: tuple[Value, ...] = ()
    expect: int | None = 1


class LostRace(Exception):
    """A guard did not hold: somebody else wrote first. Nothing was written. Load and decide again."""


class StoreUnavailable(Exception):
    """The database cannot be reached, is full or damaged.

    Nothing was written, or nobody can know: the text says which.
    """


class StoreMisuse(Exception):
    """Our own mistake: bad SQL, a wrong parameter, a violated CHECK, NOT NULL or foreign key.

    Nothing was written.
    """


class Engine(Protocol):
    """A database that commits lists of statements atomically and durably.

    ``commit`` returns only after the data are on disk (SQLite: ``synchronous=FULL``; PostgreSQL:
    ``synchronous_commit`` as the server has it). ``fetch`` never sees uncommitted data and always sees what
    an earlier awaited ``commit`` of the same engine wrote.
    """

    async def commit(self, statements: Sequence[Statement]) -> None:
        """Run all statements in one transaction.

        Raises LostRace, StoreMisuse or StoreUnavailable; then nothing was written, unless the last one's
        text says that nobody can know. A cancelled call has either committed or not; read again to find
        out.
        """

    async def commit_returning(self, statements: Sequence[Statement]) -> list[Row]:
        """Like ``commit``, and give back the rows of the last statement's RETURNING clause."""

    async def fetch(self, sql: str, params: Sequence[Value] = (), *, limit: int = 10_000) -> list[Row]:
        """Rows of a query, at most ``limit`` of them.

        Raises StoreMisuse (also if the statement would write) or StoreUnavailable.
        """

    async def close(self) -> None:
        """Finish what is queued, then close. Idempotent."""
