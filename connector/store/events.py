"""Everything that happened to processes, across them, in the order of its numbers: reads of the control database.

Numbers are given when a line is written, so that of two transactions at the same time the later number may be seen first where
several write at once. A line behind a gap is therefore held back for ``GAP_MS``: after that nothing comes into the gap any more.
Imports the engine's seam.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

from connector.store.engine import Engine

GAP_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Happened:
    """A line of a timeline, with its number and what is known of its process (empty where that was forgotten)."""

    seq: int
    process_id: str
    at: int
    what: str
    message: str | None
    message_id: str | None
    state: str
    awaiting: str | None
    note: str | None
    kind: str
    counterparty: str
    correlation_id: str


class EventStore:
    """Typed reads over either engine. Raises StoreUnavailable where the engine does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._gaps = getattr(engine, "dialect", "") == "postgresql"

    async def newest(self) -> int:
        """The number of the last line; 0 where nothing has happened."""
        rows = await self._engine.fetch("SELECT max(seq) FROM event")
        return cast("int | None", rows[0][0]) or 0

    async def given(self) -> int:
        """The highest number that a line has had, also if it is gone; 0 where nothing has happened."""
        sql = "SELECT seq FROM sqlite_sequence WHERE name = 'event'"
        if self._gaps:
            sql = "SELECT pg_sequence_last_value(pg_get_serial_sequence('event', 'seq')::regclass)"
        rows = await self._engine.fetch(sql)
        return (cast("int | None", rows[0][0]) or 0) if rows else 0

    async def after(self, seq: int, now_ms: int, limit: int = 100) -> list[Happened]:
        """The lines after a number, in order, as far as none can come in between any more at ``now_ms``."""
        rows = await self._engine.fetch(
            "SELECT e.seq, e.process_id, e.at, e.what, e.message, e.message_id, e.state, e.awaiting, e.note, "
            "coalesce(p.kind, ''), coalesce(p.counterparty, ''), coalesce(p.correlation_id, '') FROM event e "
            "LEFT JOIN process p ON p.id = e.process_id WHERE e.seq > ? ORDER BY e.seq LIMIT ?",
            (seq, limit),
        )
        found: list[Happened] = []
        for row in rows:
            line = Happened(*cast("Any", row))
            if self._gaps and line.seq != seq + 1 and now_ms - line.at < GAP_MS:
                break
            found.append(line)
            seq = line.seq
        return found
