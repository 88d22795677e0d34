"""The queue of the contract log in the control database: leaves wait here from the transaction of what they tell until they are
in the tree. The only place with its SQL. May import the store's own modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from connector.store.engine import Engine, Row, Statement, Value

FIRST_SEQ: Final = 0
"""The place before all others: of the leaf that says with which key the log goes on."""
MAX_ROWS: Final = 100
_ID_PAGE: Final = 500
_INSERT: Final = "INSERT INTO leaf (id, leaf, sha256, payload, queued_at) VALUES "
_NOWHERE: Final = -1


@dataclass(frozen=True, slots=True)
class QueuedLeaf:
    """A leaf that waits. ``leaf`` are its bytes, ``queued_at`` is in ms; ``sha256`` (hex) and ``payload`` (encrypted) are None
    where nothing stands beside it."""

    id: str
    leaf: bytes
    sha256: str | None
    payload: bytes | None = field(repr=False)
    queued_at: int
    seq: int = _NOWHERE


@dataclass(frozen=True, slots=True)
class LogState:
    """``size``: leaves that this database has given to the log; ``folder``: which one that is, empty before the first."""

    size: int
    folder: str


def queue(leaves: Sequence[QueuedLeaf]) -> list[Statement]:
    """The writes that queue these, in their order. Another leaf of the same id makes them lose the race."""
    return [_insert(leaves[start : start + MAX_ROWS]) for start in range(0, len(leaves), MAX_ROWS)]


def _insert(leaves: Sequence[QueuedLeaf]) -> Statement:
    params: list[Value] = []
    for each in leaves:
        params += (each.id, each.leaf.decode(), each.sha256, each.payload, each.queued_at)
    return Statement(_INSERT + ", ".join(["(?, ?, ?, ?, ?)"] * len(leaves)), tuple(params), len(leaves))


class LeafQueue:
    """The waiting leaves. Raises StoreUnavailable where the engine does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def state(self) -> LogState:
        """How far this database is."""
        rows = await self._engine.fetch("SELECT size, folder FROM log_state")
        return LogState(*cast("tuple[int, str]", rows[0]))

    async def bind(self, folder: str) -> str:
        """Make ``folder`` the one log of this database, unless it has one; gives the one that it has."""
        await self._engine.commit([Statement("UPDATE log_state SET folder = ? WHERE folder = ''", (folder,), None)])
        return (await self.state()).folder

    async def put_first(self, leaf: QueuedLeaf) -> None:
        """Queue a leaf before all others, in the place of another that was queued so and still waits."""
        statement = Statement(
            "INSERT INTO leaf (seq, id, leaf, queued_at) VALUES (?, ?, ?, ?) ON CONFLICT (seq) DO UPDATE SET "
            "id = excluded.id, leaf = excluded.leaf, queued_at = excluded.queued_at WHERE leaf.id <> excluded.id",
            (FIRST_SEQ, leaf.id, leaf.leaf.decode(), leaf.queued_at),
            None,
        )
        await self._engine.commit([statement])

    async def count(self) -> int:
        """How many wait."""
        rows = await self._engine.fetch("SELECT count(*) FROM leaf")
        return int(cast("int", rows[0][0]))

    async def any(self) -> bool:
        """Whether one waits."""
        return bool(await self._engine.fetch("SELECT 1 FROM leaf", limit=1))

    async def oldest(self) -> int | None:
        """Since when the first of them waits, in ms."""
        rows = await self._engine.fetch("SELECT queued_at FROM leaf ORDER BY seq", limit=1)
        return cast("int", rows[0][0]) if rows else None

    async def batch(self, rows: int, payload_bytes: int) -> list[QueuedLeaf]:
        """The first leaves in order: at most so many, and with no more bytes of payloads, but always one."""
        found = await self._engine.fetch(
            "SELECT seq, id, leaf, sha256, queued_at, coalesce(length(payload), 0) FROM leaf ORDER BY seq", limit=rows
        )
        taken, room = 0, payload_bytes
        for row in found:
            room -= cast("int", row[5])
            if taken and room < 0:
                break
            taken += 1
        found = found[:taken]
        payloads = await self._payloads([row for row in found if row[3] is not None])
        return [_queued(row, payloads.get(cast("int", row[0]))) for row in found]

    async def _payloads(self, rows: Sequence[Row]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for start in range(0, len(rows), _ID_PAGE):
            seqs = [row[0] for row in rows[start : start + _ID_PAGE]]
            got = await self._engine.fetch(
                f"SELECT seq, payload FROM leaf WHERE seq IN ({_marks(_ID_PAGE)})",  # noqa: S608  # marks only
                _padded(seqs, _NOWHERE),
            )
            found |= {cast("int", seq): cast("bytes", payload) for seq, payload in got}
        return found

    async def settle(self, before: int, after: int, leaf_ids: Sequence[str]) -> None:
        """The log has grown from ``before`` to ``after`` leaves: these do not wait any more.

        Raises LostRace if this database has not given ``before`` leaves to the log.
        """
        statements = [Statement("UPDATE log_state SET size = ? WHERE size = ?", (after, before))]
        for start in range(0, len(leaf_ids), _ID_PAGE):
            page: list[Value] = list(leaf_ids[start : start + _ID_PAGE])
            statements.append(
                Statement(f"DELETE FROM leaf WHERE id IN ({_marks(_ID_PAGE)})", _padded(page, ""), None)  # noqa: S608  # marks only
            )
        await self._engine.commit(statements)


def _queued(row: Row, payload: bytes | None) -> QueuedLeaf:
    seq, leaf_id, leaf, digest, queued_at, _ = row
    return QueuedLeaf(
        str(leaf_id), str(leaf).encode(), cast("str | None", digest), payload, cast("int", queued_at), cast("int", seq)
    )


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _padded(values: Sequence[Value], filler: Value) -> tuple[Value, ...]:
    """Always the same number of parameters, so that the statement's text is one and is prepared once."""
    return (*values, *[filler] * (_ID_PAGE - len(values)))
