"""Work that nobody waits for: a bounded number of pieces at once, owned by the connector and ended with it.

What comes when all places are taken waits for one, and so does who brought it; what fails is logged, and whoever brought it has
seen to it that it is brought again (a timer that was put off).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from connector.protocol.errors import Unavailable
from connector.telemetry import logger

AT_ONCE: Final = 8
DEADLINE_S: Final = 100.0
"""Longest that one piece takes (seconds): less than its timer was put off by."""
log = logger("aside")


class Aside:
    """Owns the tasks of one worker."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin a piece of work as soon as there is a place."""
        try:
            await self._places.acquire()
        except BaseException:
            work.close()
            raise
        task = asyncio.create_task(self._supervised(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is under way: it is taken up again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _supervised(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                await work
        except TimeoutError:
            log.warning("a piece of work took too long; it is taken up again later")
        except Unavailable as error:
            log.warning("a piece of work cannot be done now; it is taken up again later", code=error.code, error=error.reason)
        except Exception:
            log.exception("a piece of work failed; it is taken up again later")
        finally:
            self._places.release()
