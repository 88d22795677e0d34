"""Who waits for a process to move: a long request is answered as soon as something was committed, and so are streams of events.

In memory and of this worker only. A move made by another worker of the same database is not heard here, which is why whoever
waits looks again after ``LOOK_AGAIN_S`` at the latest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from connector.protocol.errors import TooMany
from connector.protocol.record import Process

MAX_WAITING: Final = 256
LOOK_AGAIN_S: Final = 1.0


class Watch:
    """The waiting requests, by process; bounded."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._count = 0
        self._closed = False
        self._anything = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether the connector stops."""
        return self._closed

    def close(self) -> None:
        """The connector stops: nobody waits any more."""
        self._closed = True
        self._anything.set()
        for waiting in self._waiting.values():
            for moved in waiting:
                moved.set()

    def entered(self, process: Process) -> None:
        """A process was committed in a new state, or took a message."""
        for moved in self._waiting.get(process.id, ()):
            moved.set()
        self._anything.set()
        self._anything = asyncio.Event()

    @property
    def anything(self) -> asyncio.Event:
        """Is set when the next process moves, or the connector stops. To be taken before one looks, and waited for after that."""
        return self._anything

    async def newer(self, load: Callable[[], Awaitable[Process]], version: int, timeout_s: float) -> Process:
        """The process once its version is not ``version`` any more, or as it is after ``timeout_s`` seconds.

        Raises what ``load`` raises, and TooMany when too many wait already.
        """
        process = await load()
        if process.version != version or timeout_s <= 0:
            return process
        if self._count >= MAX_WAITING:
            raise TooMany("too-many-waiting", f"at most {MAX_WAITING} requests wait at once; ask without waiting")
        moved = asyncio.Event()
        self._waiting.setdefault(process.id, set()).add(moved)
        self._count += 1
        try:
            return await self._wait(load, version, timeout_s, moved)
        finally:
            self._count -= 1
            self._waiting[process.id].discard(moved)
            if not self._waiting[process.id]:
                del self._waiting[process.id]

    async def _wait(
        self, load: Callable[[], Awaitable[Process]], version: int, timeout_s: float, moved: asyncio.Event
    ) -> Process:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            process = await load()
            left = deadline - loop.time()
            if process.version != version or left <= 0 or self._closed:
                return process
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_AGAIN_S)):
                    await moved.wait()
            moved.clear()
