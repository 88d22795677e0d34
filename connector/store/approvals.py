"""Who of our people has said what about that which waited for them: its SQL. May import the engine and the records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from connector.protocol.record import Process, Voice
from connector.store.engine import Engine, Statement


@dataclass(frozen=True, slots=True)
class Said:
    """What a caller of ours has said about ``step`` of a process, of which it saw ``version``; ``at`` in ms since the epoch."""

    process_id: str
    step: str
    version: int
    caller: str
    role: str
    verdict: str
    comment: str
    at: int


_COLUMNS = "process_id, step, version, caller, role, verdict, comment, at"


def keep_voice(process: Process, voice: Voice) -> Statement:
    """What was said about a process, in the transaction that moves it on; the same caller says one thing about a version."""
    return Statement(
        f"INSERT INTO approval ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # a constant list of columns
        (
            process.id,
            voice.step,
            process.version,
            voice.caller,
            voice.role,
            voice.verdict,
            voice.comment,
            process.updated_at,
        ),
    )


async def said_of(engine: Engine, process_id: str, *, limit: int = 100) -> list[Said]:
    """What our people have said about a process, in order; at most ``limit`` of it."""
    rows = await engine.fetch(
        f"SELECT {_COLUMNS} FROM approval WHERE process_id = ? ORDER BY version, at, caller LIMIT ?",  # noqa: S608  # as above
        (process_id, limit),
    )
    return [Said(*cast("Any", row)) for row in rows]
