"""Reads of the control database, and the outbox's claim. With ``writes.py`` the only place with its SQL.

A caller loads, decides without I/O and commits guarded writes; on :class:`~connector.store.engine.LostRace` it loads and decides
again. Pages are by keyset, never by offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final, cast

import msgspec

from connector.protocol.record import Detail, Process
from connector.protocol.states import Kind, Message, Role, State
from connector.store.engine import Engine, Row, Statement
from connector.store.rows import Agreement, Happening, Judged, Outgoing, Published, Timer
from connector.store.shelf import Shelf
from connector.store.writes import OUTGOING_COLUMNS, PROCESS_COLUMNS

_decode_detail = msgspec.json.Decoder(Detail).decode
AGREEMENT_COLUMNS = "id, counterparty, role, negotiation_id, dataset, document, state, created_at, updated_at, delivery"
_DATASET = ", ".join(field.name for field in fields(Published))

WAKE_CHANNEL: Final = "carnet_outbox"
WAKE: Final = Statement("SELECT pg_notify(?, ?)", (WAKE_CHANNEL, ""), None)


def process_of(row: Row) -> Process:
    """A process from its ``PROCESS_COLUMNS``."""
    fields: list[Any] = list(row)
    return Process(
        id=fields[0],
        kind=Kind(fields[1]),
        role=Role(fields[2]),
        state=State(fields[3]),
        awaiting=None if fields[4] is None else Message(fields[4]),
        awaiting_id=fields[5],
        version=fields[6],
        counterparty=fields[7],
        peer_pid=fields[8],
        peer_address=fields[9],
        correlation_id=fields[10],
        subject=fields[11],
        detail=_decode_detail(fields[12]),
        last_digest=fields[13],
        created_at=fields[14],
        updated_at=fields[15],
    )


def _outgoing(row: Row) -> Outgoing:
    fields: Any = row
    return Outgoing(*fields)


class ControlStore:
    """Typed access to the control database over either engine. Raises StoreUnavailable where the engine does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.shelf = Shelf(engine)
        self._shared = getattr(engine, "dialect", "") == "postgresql"

    async def commit(self, statements: Sequence[Statement], *, wakes: bool = False) -> None:
        """All or nothing, durable when it returns. Raises LostRace.

        ``wakes``: something is in the outbox that no worker has yet; others that share the database are told.
        """
        if wakes and self._shared:
            statements = [*statements, WAKE]
        await self.engine.commit(statements)

    # -- processes ----------------------------------------------------------------------------------------------------

    async def process(self, process_id: str) -> Process | None:
        """A process by our own id."""
        rows = await self.engine.fetch(f"SELECT {PROCESS_COLUMNS} FROM process WHERE id = ?", (process_id,))
        return process_of(rows[0]) if rows else None

    async def process_for(
        self, process_id: str, counterparty: str, message_id: str | None
    ) -> tuple[Process | None, Judged | None]:
        """A process, and what was answered before to this message of its counterparty, in one round trip."""
        columns = ", ".join(f"p.{name.strip()}" for name in PROCESS_COLUMNS.split(","))
        rows = await self.engine.fetch(
            f"SELECT {columns}, i.process_id, i.digest, i.status, i.body, i.judged_at FROM process p "
            "LEFT JOIN inbox i ON i.counterparty = ? AND i.message_id = ? WHERE p.id = ?",
            (counterparty, message_id or "", process_id),
        )
        if not rows:
            return None, None
        row: Any = rows[0]
        judged = None if row[16] is None else Judged(counterparty, message_id or "", *row[16:])
        return process_of(row[:16]), judged

    async def process_of_peer(self, kind: Kind, role: Role, counterparty: str, peer_pid: str) -> Process | None:
        """The process that the counterparty began under its own id."""
        rows = await self.engine.fetch(
            f"SELECT {PROCESS_COLUMNS} FROM process WHERE kind = ? AND role = ? AND counterparty = ? AND peer_pid = ? "
            "AND origin = 'peer'",
            (kind.value, role.value, counterparty, peer_pid),
        )
        return process_of(rows[0]) if rows else None

    async def judged(self, counterparty: str, message_id: str) -> Judged | None:
        """What was answered to a message before."""
        rows = await self.engine.fetch(
            "SELECT counterparty, message_id, process_id, digest, status, body, judged_at FROM inbox "
            "WHERE counterparty = ? AND message_id = ?",
            (counterparty, message_id),
        )
        row: Any = rows[0] if rows else None
        return None if row is None else Judged(*row)

    async def processes(
        self, kind: Kind, *, after: tuple[int, str] = (0, ""), limit: int = 100, state: str | None = None
    ) -> list[Process]:
        """A page of processes in order of their beginning; ``after`` is (created_at, id) of the last one seen."""
        rows = await self.engine.fetch(
            f"SELECT {PROCESS_COLUMNS} FROM process WHERE kind = ? AND (created_at, id) > (?, ?) "
            "AND (? = '' OR state = ?) ORDER BY created_at, id LIMIT ?",
            (kind.value, *after, state or "", state or "", limit),
        )
        return [process_of(row) for row in rows]

    async def waiting(self, *, before: tuple[int, str] | None = None, limit: int = 100) -> list[Process]:
        """A page of what waits for people, the newest first; ``before`` is (waits_since, id) of the last one seen."""
        since, last = before or (1 << 62, "")
        rows = await self.engine.fetch(
            f"SELECT {PROCESS_COLUMNS} FROM process WHERE waits_since IS NOT NULL AND (waits_since, id) < (?, ?) "
            "ORDER BY waits_since DESC, id DESC LIMIT ?",
            (since, last, limit),
        )
        return [process_of(row) for row in rows]

    async def open_with(self, counterparty: str, *, after: tuple[int, str] = (0, ""), limit: int = 100) -> list[Process]:
        """A page of the processes with a counterparty that are not over and that no termination of ours is about to end."""
        rows = await self.engine.fetch(
            f"SELECT {PROCESS_COLUMNS} FROM process WHERE counterparty = ? AND (created_at, id) > (?, ?) "
            "AND state NOT IN ('FINALIZED', 'COMPLETED', 'TERMINATED') AND (awaiting IS NULL OR awaiting <> 'TERMINATION') "
            "ORDER BY created_at, id LIMIT ?",
            (counterparty, *after, limit),
        )
        return [process_of(row) for row in rows]

    async def refusals_of(self, process_id: str) -> int:
        """How many refused messages of this process are remembered."""
        rows = await self.engine.fetch("SELECT count(*) FROM inbox WHERE process_id = ? AND status >= 400", (process_id,))
        return int(cast("int", rows[0][0]))

    async def timeline(self, process_id: str, limit: int = 1000) -> list[Happening]:
        """What happened to a process, in order."""
        rows = await self.engine.fetch(
            "SELECT process_id, at, what, message, message_id, state, awaiting, note FROM event WHERE process_id = ? "
            "ORDER BY seq LIMIT ?",
            (process_id, limit),
        )
        return [Happening(*cast("Any", row)) for row in rows]

    # -- agreements ---------------------------------------------------------------------------------------------------

    async def agreement(self, agreement_id: str, counterparty: str, role: Role) -> Agreement | None:
        """The agreement of this id between us in this role and the counterparty."""
        rows = await self.engine.fetch(
            f"SELECT {AGREEMENT_COLUMNS} FROM agreement WHERE counterparty = ? AND role = ? AND id = ?",
            (counterparty, role.value, agreement_id),
        )
        return Agreement(*cast("Any", rows[0])) if rows else None

    async def agreements_by_id(self, agreement_id: str) -> list[Agreement]:
        """All agreements of this id: one, unless two counterparties chose the same."""
        rows = await self.engine.fetch(
            f"SELECT {AGREEMENT_COLUMNS} FROM agreement WHERE id = ? ORDER BY counterparty", (agreement_id,)
        )
        return [Agreement(*cast("Any", row)) for row in rows]

    async def agreement_of(self, negotiation_id: str) -> Agreement | None:
        """The agreement that a negotiation brought."""
        rows = await self.engine.fetch(f"SELECT {AGREEMENT_COLUMNS} FROM agreement WHERE negotiation_id = ?", (negotiation_id,))
        return Agreement(*cast("Any", rows[0])) if rows else None

    async def agreements(self, *, after: tuple[int, str] = (0, ""), limit: int = 100) -> list[Agreement]:
        """A page of agreements in order of their making."""
        rows = await self.engine.fetch(
            f"SELECT {AGREEMENT_COLUMNS} FROM agreement WHERE (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?",
            (*after, limit),
        )
        return [Agreement(*cast("Any", row)) for row in rows]

    # -- catalogue ----------------------------------------------------------------------------------------------------

    async def dataset(self, dataset_id: str) -> Published | None:
        """A dataset by id, withdrawn or not."""
        rows = await self.engine.fetch(f"SELECT {_DATASET} FROM dataset WHERE id = ?", (dataset_id,))
        return Published(*cast("Any", rows[0])) if rows else None

    async def able(self, dataset_id: str) -> str:
        """What the data plane can do with a dataset, as JSON; empty: nothing is known of it."""
        rows = await self.engine.fetch("SELECT able FROM dataset WHERE id = ?", (dataset_id,))
        return str(rows[0][0]) if rows else ""

    async def datasets(self, *, after: str = "", limit: int = 100) -> list[Published]:
        """A page of the datasets on offer, in order of their ids."""
        rows = await self.engine.fetch(
            f"SELECT {_DATASET} FROM dataset WHERE withdrawn_at IS NULL AND id > ? ORDER BY id LIMIT ?", (after, limit)
        )
        return [Published(*cast("Any", row)) for row in rows]

    async def dataset_of_offer(self, offer_id: str) -> str | None:
        """The dataset that an offer id belongs to."""
        rows = await self.engine.fetch("SELECT dataset FROM offer WHERE id = ?", (offer_id,))
        return cast("str", rows[0][0]) if rows else None

    async def capability(self, counterparty: str) -> str | None:
        """What a peer last said that it can do, as JSON text."""
        rows = await self.engine.fetch("SELECT document FROM capability WHERE counterparty = ?", (counterparty,))
        return cast("str", rows[0][0]) if rows else None

    # -- outbox and timers --------------------------------------------------------------------------------------------

    async def outgoing(self, message_id: str) -> Outgoing | None:
        """A message that waits in the outbox, dead letters included."""
        rows = await self.engine.fetch(f"SELECT {OUTGOING_COLUMNS}, seq FROM outbox WHERE id = ?", (message_id,))
        return _outgoing(rows[0]) if rows else None

    async def waiting_in(self, lane: str, after: int = 0) -> list[str]:
        """The kinds of messages that wait in a lane behind the one with this ``seq``, in order; dead letters left out."""
        rows = await self.engine.fetch(
            "SELECT message FROM outbox WHERE lane = ? AND seq > ? AND dead_at IS NULL ORDER BY seq", (lane, after)
        )
        return [cast("str", row[0]) for row in rows]

    async def dead_letters(self, *, after: int = 0, limit: int = 100) -> list[Outgoing]:
        """Messages that were given up, in order of sending."""
        rows = await self.engine.fetch(
            f"SELECT {OUTGOING_COLUMNS}, seq FROM outbox WHERE dead_at IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        )
        return [_outgoing(row) for row in rows]

    async def pending(self) -> int:
        """How many messages wait to be delivered."""
        rows = await self.engine.fetch("SELECT count(*) FROM outbox WHERE dead_at IS NULL")
        return int(cast("int", rows[0][0]))

    async def claim(self, owner: str, now_ms: int, lease_until: int, limit: int) -> list[Outgoing]:
        """Lease the heads of lanes that are due, oldest first. Whoever dies holding a lease loses it when it is over."""
        skip = " FOR UPDATE SKIP LOCKED" if self._shared else ""
        rows = await self.engine.commit_returning(
            [
                Statement(
                    "UPDATE outbox SET owner = ?, lease_until = ? WHERE seq IN (SELECT o.seq FROM outbox o "
                    "WHERE o.dead_at IS NULL AND o.due_at <= ? AND o.lease_until <= ? AND NOT EXISTS ("
                    "SELECT 1 FROM outbox e WHERE e.lane = o.lane AND e.seq < o.seq AND e.dead_at IS NULL) "
                    f"ORDER BY o.due_at, o.seq LIMIT ?{skip}) AND lease_until <= ? RETURNING {OUTGOING_COLUMNS}, seq",
                    (owner, lease_until, now_ms, now_ms, limit, now_ms),
                    expect=None,
                )
            ]
        )
        return sorted((_outgoing(row) for row in rows), key=lambda message: message.seq)

    async def release(self, owner: str) -> None:
        """Give back every lease of ``owner``, at its end."""
        await self.commit([Statement("UPDATE outbox SET owner = NULL, lease_until = 0 WHERE owner = ?", (owner,), expect=None)])

    async def release_all(self) -> None:
        """Give back every lease: for the only worker of a database, at its start."""
        await self.commit([Statement("UPDATE outbox SET owner = NULL, lease_until = 0 WHERE lease_until > 0", expect=None)])

    async def next_due(self) -> int | None:
        """When the next message is due or its lease is over, in milliseconds since the epoch; None: nothing waits."""
        rows = await self.engine.fetch(
            "SELECT min(CASE WHEN due_at > lease_until THEN due_at ELSE lease_until END) FROM outbox WHERE dead_at IS NULL"
        )
        return cast("int | None", rows[0][0])

    async def timers_due(self, now_ms: int, limit: int = 100) -> list[Timer]:
        """Timers that are due, the oldest first."""
        rows = await self.engine.fetch(
            "SELECT id, kind, process_id, due_at FROM timer WHERE due_at <= ? ORDER BY due_at LIMIT ?", (now_ms, limit)
        )
        return [Timer(*cast("Any", row)) for row in rows]

    async def next_timer(self) -> int | None:
        """When the next timer is due."""
        rows = await self.engine.fetch("SELECT min(due_at) FROM timer")
        return cast("int | None", rows[0][0])
