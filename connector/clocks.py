"""Timers: rows with a time, one sleeper. What is due is handed to the use case that knows what it means.

The next time is known from the database at start and from every timer set since; nothing is swept. With several workers on one
database the row decides: whoever deletes it acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from connector.store import writes
from connector.store.control import ControlStore
from connector.store.engine import StoreUnavailable
from connector.store.rows import Timer
from connector.telemetry import logger

IDLE_S = 3600.0
SHARED_S = 60.0
PAUSE_MS = 1000
AGAIN_MS = 60_000
log = logger("clocks")


class Clock:
    """Owns the sleeper of one worker."""

    def __init__(self, store: ControlStore, now_ms: Callable[[], int], *, shared: bool = False) -> None:
        """``shared``: other workers set timers in the same database, so that it is looked at once a minute."""
        self._longest_s = SHARED_S if shared else IDLE_S
        self._store = store
        self._now_ms = now_ms
        self._next: int | None = None
        self._wake = asyncio.Event()

    def set(self, due_at: int) -> None:
        """A timer was stored that is due then."""
        if self._next is None or due_at < self._next:
            self._next = due_at
            self._wake.set()

    async def run(self, reached: Callable[[Timer], Awaitable[None]]) -> None:
        """Fire timers until cancelled; ``reached`` gets each one that is due."""
        while True:
            self._wake.clear()
            try:
                for timer in await self._store.timers_due(self._now_ms()):
                    await self._fire(timer, reached)
                self._next = await self._store.next_timer()
            except StoreUnavailable as error:
                log.warning("timers cannot be read", error=str(error))
                self._next = self._now_ms() + PAUSE_MS
            pause = self._longest_s if self._next is None else max(0.0, (self._next - self._now_ms()) / 1000)
            try:
                async with asyncio.timeout(min(pause, self._longest_s)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _fire(self, timer: Timer, reached: Callable[[Timer], Awaitable[None]]) -> None:
        """The supervisor of one timer: one that cannot be acted upon must stop neither the others nor the connector."""
        try:
            await reached(timer)
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("a timer could not be acted upon; it fires again later", process=timer.process_id)
            await self._store.commit([writes.postpone_timer(timer.id, self._now_ms() + AGAIN_MS)])
