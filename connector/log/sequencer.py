"""The one task that puts queued leaves into the log: it takes them in order, has them published, and then lets them go.

One process at a time, by a lock on the folder; others wait quietly and take over when it is gone. A leaf leaves the queue only
when a published checkpoint covers it, and after a cut what is on disk already is taken out of the queue before anything else, so
that none is lost and none is there twice. A database belongs to one folder, and never to an older state of it: going on from
there would be a second log under the same name. May import `connector.log`, the store's queue, the logger and
the errors.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from connector.log.growing import MAX_IDS, GrowingLog, LogRefused
from connector.log.layout import LOCK, folder_name
from connector.log.tiles import UNREADABLE, LogDamaged
from connector.protocol.errors import Unavailable
from connector.settings.secret import SettingsError
from connector.store.engine import LostRace, StoreUnavailable
from connector.store.leaves import LeafQueue
from connector.telemetry import logger

GATHER_S: Final = 0.2
"""So long leaves gather before a checkpoint is made: with it and POLL_S, one that was committed is published within 1 s."""
POLL_S: Final = 0.4
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MOST_S: Final = 30.0
STOP_S: Final = 10.0
"""How long the last leaves may take at the end; what is left then waits for the next start."""
MAX_BATCH_BYTES: Final = 8_388_608
_HELD_UP: Final = (StoreUnavailable, Unavailable, LostRace, OSError)

log = logger("log")
Result = TypeVar("Result")


class Sequencer:
    """Puts what waits in ``queue`` into ``growing``, the log in ``folder`` with this ``salt``.

    ``batch_rows``: leaves under one checkpoint at most. ``told(size, queued)`` is called after each turn.
    """

    def __init__(
        self,
        queue: LeafQueue,
        growing: Callable[[], GrowingLog],
        folder: Path,
        salt: bytes,
        *,
        now_ms: Callable[[], int],
        batch_rows: int,
        told: Callable[[int, int], None],
    ) -> None:
        self._queue = queue
        self._make = growing
        self._folder = folder
        self._name = folder_name(salt)
        self._now_ms = now_ms
        self._batch_rows = batch_rows
        self._told = told
        self._growing: GrowingLog | None = None
        self._lock: int | None = None
        # Whether what is in memory is what is on disk.
        self._sound = False
        # Not before log and database were seen to fit, nor after something that does not pass.
        self._may_write = False
        self._closed = False
        self._woken = asyncio.Event()
        self._turned = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "log")

    def wake(self) -> None:
        """Leaves were committed."""
        self._woken.set()

    async def begin(self) -> bool:
        """Take the folder, unless another process has it, and see that log and database fit. To be awaited before `run`.

        Raises LogRefused, LogDamaged, StoreUnavailable, OSError.
        """
        if self._lock is None:
            self._lock = await self._in_thread(self._locked)
        if self._lock is None:
            return False
        if not self._sound:
            self._may_write = False
            await self._settle_with_disk()
            self._may_write = True
        return True

    async def run(self) -> None:
        """Until it is cancelled. Raises LogRefused, LogDamaged."""
        await self._until_ours()
        log.info("the contract log is kept here", size=self._log.size)
        try:
            while True:
                await self._turn()
                await self._until_next()
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._may_write = False
            raise

    async def close(self) -> None:
        """Put what still waits into the log, then let the folder go: after the end of `run`, or without it. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._may_write:
                async with asyncio.timeout(STOP_S):
                    while await _whole(self._pass()):
                        continue
        except (*_HELD_UP, LogDamaged) as error:
            log.warning("leaves wait for the next start", code=_code(error), error=str(error))
        finally:
            await asyncio.shield(self._in_thread(self._let_go))
            self._thread.shutdown(wait=False)

    async def caught_up(self) -> None:
        """Return after a turn that began after this was called: for tests and tools."""
        for _ in range(2):
            self._turned.clear()
            self.wake()
            await self._turned.wait()

    async def _until_ours(self) -> None:
        while True:
            try:
                if await self.begin():
                    return
            except LogRefused:
                raise
            except _HELD_UP as error:
                log.warning("the contract log cannot be taken over yet", code=_code(error), error=str(error))
            await asyncio.sleep(POLL_S)

    async def _turn(self) -> None:
        """Everything that waits. Goes on by itself after what passes: a full disk, a database that is away."""
        delay_s = BACKOFF_FIRST_S
        more = True
        while more:
            try:
                more = await _whole(self._pass())
                delay_s = BACKOFF_FIRST_S
                await self._tell()
            except LogRefused:
                raise
            except (*_HELD_UP, LogDamaged) as error:
                # That a file cannot be read (too many are open, the disk is away) says nothing of what is in it.
                if isinstance(error, LogDamaged) and error.code != UNREADABLE:
                    raise
                self._sound = False
                log.warning("the contract log is held up; leaves wait", code=_code(error), error=str(error), again_s=delay_s)
                await self._tell()
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, BACKOFF_MOST_S)
        self._turned.set()

    async def _pass(self) -> bool:
        """One checkpoint, if there is something to say; whether there may be more."""
        if not self._sound:
            await self._settle_with_disk()
        growing = self._log
        announcement = await self._in_thread(growing.announcement, self._now_ms())
        if announcement is not None:
            await self._queue.put_first(announcement)
        batch = await self._queue.batch(self._batch_rows, MAX_BATCH_BYTES)
        if not batch:
            return False
        before = growing.size
        self._sound = False
        size = await self._in_thread(growing.grow, batch)
        await self._queue.settle(before, size, [each.id for each in batch])
        self._sound = True
        await self._retire(growing)
        return len(batch) == self._batch_rows or await self._queue.any()

    async def _settle_with_disk(self) -> None:
        """Take out of the queue what the log has already. Raises LogRefused where log and database do not belong together."""
        if self._growing is None:
            self._growing = await self._in_thread(self._make)
        bound, state = await self._queue.bind(self._name), await self._queue.state()
        if bound != self._name:
            reason = f"{_WHICH.format(self._folder)} is not the one that this database wrote to; {_SHARED}; {_REMEDY}"
            raise LogRefused("log-foreign", reason)
        size = await self._in_thread(self._growing.read)
        if size < state.size:
            reason = f"{_WHICH.format(self._folder)} has {size} leaves, and this database has given it {state.size}; {_REMEDY}"
            raise LogRefused("log-rolled-back", reason)
        waiting = await self._queue.any()
        for start in range(state.size, size, MAX_IDS) if waiting else ():
            stop = min(start + MAX_IDS, size)
            await self._queue.settle(start, stop, await self._in_thread(self._growing.ids, start, stop))
        if not waiting and size > state.size:
            await self._queue.settle(state.size, size, [])
        await self._retire(self._growing)
        self._sound = True

    async def _retire(self, growing: GrowingLog) -> None:
        try:
            await self._in_thread(growing.retire)
        except SettingsError as error:
            log.warning("the private part of a key that handed over is still there", code=error.code, error=str(error))

    async def _until_next(self) -> None:
        """Until something may wait."""
        while True:
            woken = await self._woken_within(POLL_S)
            if woken:
                await asyncio.sleep(GATHER_S)
            self._woken.clear()
            with suppress(StoreUnavailable):
                if woken or self._log.succession or await self._queue.any():
                    return

    async def _woken_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True

    async def _tell(self) -> None:
        with suppress(StoreUnavailable):
            self._told(self._log.size, await self._queue.count())

    @property
    def _log(self) -> GrowingLog:
        if self._growing is None:
            raise LogRefused("log-closed", "the log is not open")
        return self._growing

    def _locked(self) -> int | None:
        descriptor = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _let_go(self) -> None:
        if self._growing is not None:
            self._growing.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _in_thread(self, work: Callable[..., Result], *arguments: Any) -> asyncio.Future[Result]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


_WHICH: Final = "the contract log in {}"
_SHARED: Final = "replicas of one connector share one folder (set log.folder)"
_REMEDY: Final = (
    "put back the folder as it was last (a copy of it that is newer than the database is right, an older one never): another log "
    "under the same name is what a forged one looks like to those who hold its checkpoints"
)


async def _whole(work: Coroutine[Any, Any, Result]) -> Result:
    """The work to its end, also when who waits for it is cancelled: what was begun to be published is taken out of the queue."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            log.warning("the contract log was held up at the end", error=str(task.exception()))
        raise


def _code(error: BaseException) -> str:
    return str(getattr(error, "code", "log-disk" if isinstance(error, OSError) else "log-store"))
