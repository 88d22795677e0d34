"""A short, bounded queue before one thread: where work goes that is too slow for the event loop.

One thread, because the work holds the interpreter anyway: more would only delay the loop more. Knows nothing of what
it runs. Imports `catalog.errors` only.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from catalog.errors import DocumentError

T = TypeVar("T")

QUEUE_MAX: Final = 32
"""Most documents waiting for or in the thread (count)."""
DEADLINE_S: Final = 5.0
"""Longest that a caller waits for its document (seconds)."""


class SlowLane:
    """Runs functions on one thread of its own, at most `queue_max` at a time, waiting or running."""

    def __init__(self, *, queue_max: int = QUEUE_MAX, deadline_s: float = DEADLINE_S) -> None:
        self._free = threading.BoundedSemaphore(queue_max)
        self._deadline_s = deadline_s
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jsonld")

    async def run(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Return `work(*args, **kwargs)`, run on the thread.

        Raises what `work` raises; DocumentError `door-busy` when the queue is full, `document-too-costly` when the
        deadline passes. Work that has started runs on to its own bounds and keeps its place in the queue until
        then; work that has not started is taken back when its caller is cancelled or gives up.
        """
        if not self._free.acquire(blocking=False):
            raise DocumentError("door-busy", "Too many documents are being read; try again in a moment.")
        future = self._pool.submit(work, *args, **kwargs)
        future.add_done_callback(lambda _: self._free.release())
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            reason = f"Reading the document took longer than {self._deadline_s:g} s; use the plain DSP form."
            raise DocumentError("document-too-costly", reason) from None

    def close(self) -> None:
        """Take back what has not started and let the thread end. Does not wait."""
        self._pool.shutdown(wait=False, cancel_futures=True)
