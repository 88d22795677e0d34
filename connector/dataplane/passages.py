"""All SQL about what has passed through in a transfer from an HTTP source. Writes are statements for one commit.

May import the store's engine seam only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connector.store.engine import Engine, Statement

NONE_YET: Final = "0" * 64
"""The running digest before the first answer."""
MAX_USES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Passage:
    """The calls of a transfer. ``ended``: those whose answer has ended. ``running``: SHA-256 (hex) of the running digest before
    and the digest of the last body, both as bytes. ``last``: of the last answer with status 200 that left as a whole."""

    flow_id: str
    calls: int
    ended: int
    running: str
    last_bytes: int | None
    last_sha256: str | None
    version: int


@dataclass(frozen=True, slots=True)
class Used:
    """What a transfer used on a UTC day under a permission (index). ``first_at``: its first call then (ms)."""

    day: str
    permission: int
    calls: int
    bytes: int
    first_at: int


async def passage_of(engine: Engine, flow_id: str) -> Passage | None:
    """What has passed through in a transfer; None where nothing has, or where something else is delivered."""
    rows = await engine.fetch(
        "SELECT calls, ended, running, last_bytes, last_sha256, version FROM passage WHERE flow_id = ?", (flow_id,), limit=1
    )
    if not rows:
        return None
    calls, ended, running, last_bytes, last_sha256, version = rows[0]
    return Passage(
        flow_id,
        int(calls or 0),
        int(ended or 0),
        str(running),
        None if last_bytes is None else int(last_bytes),
        None if last_sha256 is None else str(last_sha256),
        int(version or 0),
    )


async def uses_of(engine: Engine, flow_id: str) -> list[Used]:
    """What a transfer has used, by day and permission; what was given back is none."""
    rows = await engine.fetch(
        "SELECT day, permission, calls, byte_count, first_at FROM passage_use WHERE flow_id = ? AND calls > 0"
        " ORDER BY day, permission",
        (flow_id,),
        limit=MAX_USES,
    )
    return [Used(str(row[0]), *(int(value or 0) for value in row[1:])) for row in rows]


def add_use(flow_id: str, more: Used) -> Statement:
    """So much more, or less, was used."""
    return Statement(
        "INSERT INTO passage_use (flow_id, day, permission, calls, byte_count, first_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (flow_id, day, permission) DO UPDATE SET calls = passage_use.calls + excluded.calls,"
        " byte_count = passage_use.byte_count + excluded.byte_count",
        (flow_id, more.day, more.permission, more.calls, more.bytes, more.first_at),
    )


def insert_passage(flow_id: str) -> Statement:
    """The first call of a transfer."""
    return Statement("INSERT INTO passage (flow_id, calls, ended, running, version) VALUES (?, 1, 0, ?, 1)", (flow_id, NONE_YET))


def update_passage(after: Passage) -> Statement:
    """Writes it over the version before; touches nothing when somebody else was first."""
    return Statement(
        "UPDATE passage SET calls = ?, ended = ?, running = ?, last_bytes = ?, last_sha256 = ?, version = ?"
        " WHERE flow_id = ? AND version = ?",
        (
            after.calls,
            after.ended,
            after.running,
            after.last_bytes,
            after.last_sha256,
            after.version,
            after.flow_id,
            after.version - 1,
        ),
    )


def note_first_call(flow_id: str, now_ms: int) -> Statement:
    """From now on something of the source may leave."""
    return Statement("UPDATE delivery SET reserved_at = COALESCE(reserved_at, ?) WHERE flow_id = ?", (now_ms, flow_id))
