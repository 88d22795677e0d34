"""Processes that share a PostgreSQL database: each serves under a lease; what one revokes, all have cut when the call returns.

A worker renews its lease every ``RENEW_S`` seconds and serves nothing once it is over: it may be cut off from the database and
not know what was revoked. A revocation has a number; who renews has first cut every flow up to the number that it reports.
So who revokes waits until each other worker has reported the number, or has no lease any more. Leases end by the clock of the
database; a worker counts its own from before it asked, on a clock that does not jump. May import this package and the store.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from connector.store.engine import LostRace, Statement, StoreUnavailable
from connector.store.postgres import PostgresEngine, notification

log = logging.getLogger("carnet.dataplane")

LEASE_S: Final = 2.0
RENEW_S: Final = 0.5
CONFIRM_S: Final = 0.02
"""How often who revokes looks whether all have confirmed (s)."""
SCHEMA: Final = "carnet_data"
"""Where the tables are in a database that has those of the control plane, too."""
KEPT_MS: Final = 3_600_000
MAX_REVOKED: Final = 100_000
CHANNEL: Final = "carnet_data_revoked"
_NOW: Final = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
_LIVE: Final = f"SELECT id FROM worker WHERE lease_until > {_NOW}"  # noqa: S608 - a constant expression


class Shared:
    """One of several. ``cut`` ends all that runs here for a flow, ``cut_all`` all that runs here, ``look`` looks for work whose
    owner has gone."""

    def __init__(self, engine: PostgresEngine, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.id: str | None = uuid.uuid4().hex
        self.cut: Callable[[str], Awaitable[None]] = _nothing
        self.cut_all: Callable[[], Awaitable[None]] = _nothing_at_all
        self.look: Callable[[], Awaitable[None]] = _nothing_at_all
        self._engine = engine
        self._monotonic = monotonic
        self._until = 0.0
        self._seen = 0
        self._wake = asyncio.Event()

    def live(self) -> bool:
        return self._monotonic() < self._until

    async def join(self) -> None:
        """The first lease, before anything is served. Raises StoreUnavailable."""
        self._seen = await self._number()
        await self._renew()
        await self._engine.listen(CHANNEL, lambda _: self._wake.set())

    async def run(self) -> None:
        """Keep the lease until cancelled; without it nothing goes on here."""
        while True:
            self._wake.clear()
            try:
                await self._tick()
            except (StoreUnavailable, LostRace) as error:
                log.warning("the lease could not be renewed: %s", error)
            if not self.live():
                await self.cut_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEW_S):
                    await self._wake.wait()

    async def leave(self) -> None:
        """Nothing runs here any more: nobody has to wait for us."""
        self._until = 0.0
        with suppress(StoreUnavailable, LostRace):
            await self._engine.commit([Statement("DELETE FROM worker WHERE id = ?", (self.id,), None)])

    async def _number(self) -> int:
        return int((await self._engine.fetch("SELECT number FROM revocation"))[0][0] or 0)

    async def _tick(self) -> None:
        rows = await self._engine.fetch(
            "SELECT number, flow_id, worker FROM revoked WHERE number > ? ORDER BY number", (self._seen,), limit=MAX_REVOKED
        )
        # What we revoked ourselves was cut before; by now the flow may run again.
        for flow_id in dict.fromkeys(str(row[1]) for row in rows if row[2] != self.id):
            await self.cut(flow_id)
        self._seen = max([self._seen, *(int(row[0] or 0) for row in rows)])
        await self._renew()
        await self.look()

    async def _renew(self) -> None:
        asked = self._monotonic()
        lease = Statement(
            f"INSERT INTO worker (id, lease_until, seen) VALUES (?, {_NOW} + ?, ?)"  # noqa: S608 - a constant expression
            " ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until, seen = excluded.seen",
            (self.id, int(LEASE_S * 1000), self._seen),
        )
        await self._engine.commit([lease])
        self._until = asked + LEASE_S

    async def revoke(self, flow_id: str) -> None:
        rows = await self._engine.commit_returning(
            [
                # The row is locked until the commit: numbers become visible in their order.
                Statement("UPDATE revocation SET number = number + 1"),
                Statement(f"DELETE FROM revoked WHERE at < {_NOW} - ?", (KEPT_MS,), None),  # noqa: S608 - a constant expression
                Statement(f"DELETE FROM worker WHERE lease_until < {_NOW} - ?", (KEPT_MS,), None),  # noqa: S608
                notification(CHANNEL),
                Statement(
                    f"INSERT INTO revoked (number, flow_id, worker, at) SELECT number, ?, ?, {_NOW} FROM revocation"  # noqa: S608
                    " RETURNING number",
                    (flow_id, self.id),
                ),
            ]
        )
        number = int(rows[0][0] or 0)
        unconfirmed = f"{_LIVE} AND id <> ? AND seen < ?"
        # Others write to the database alone: there is no event of ours to wait for. Ends when their leases do, at the latest.
        while await self._engine.fetch(unconfirmed, (self.id, number)):  # noqa: ASYNC110
            await asyncio.sleep(CONFIRM_S)

    async def others(self) -> set[str]:
        return {str(row[0]) for row in await self._engine.fetch(f"{_LIVE} AND id <> ?", (self.id,))}

    async def claim(self, flow_id: str) -> bool:
        claim = Statement(
            f"UPDATE download SET worker = ? WHERE flow_id = ? AND (worker IS NULL OR worker = ? OR worker NOT IN ({_LIVE}))",  # noqa: S608
            (self.id, flow_id, self.id),
        )
        try:
            await self._engine.commit([claim])
        except LostRace:
            return False
        return True

    async def release(self, flow_id: str) -> None:
        mine: tuple[Any, ...] = (flow_id, self.id)
        await self._engine.commit([Statement("UPDATE download SET worker = NULL WHERE flow_id = ? AND worker = ?", mine, None)])


async def _nothing(_: str) -> None:
    return


async def _nothing_at_all() -> None:
    return
