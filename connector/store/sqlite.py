"""The embedded engine: SQLite behind one writer thread with group commit, and read-only reader threads.

This side lives on the event loop: it bounds the queue, hands jobs to the threads of
:mod:`connector.store.sqlite_threads`, and resolves the callers' futures. Many callers share one ``fsync``;
each keeps its own savepoint, so one that loses its race does not disturb the others. May import only the
store's own modules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, Self

from connector.store.engine import Row, Statement, StoreUnavailable, Value
from connector.store.sql import check_member
from connector.store.sqlite_threads import Answer, Future, Reader, ReadJob, WriteJob, Writer

MAX_GROUP = 64
QUEUE_SIZE = 1024
READERS = 2
BUSY_TIMEOUT_MS = 5_000

_CLOSED = "the store is closed; nothing was written"


class SqliteEngine:
    """An ``Engine`` on one file, for one process and the event loop that opened it."""

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(
        self,
        path: Path,
        *,
        max_group: int,
        queue_size: int,
        readers: int,
        busy_timeout_ms: int,
        max_bytes: int | None,
    ) -> None:
        """Use :meth:`open`; this only puts the parts together and starts nothing."""
        self.path = path
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._write_slots = asyncio.Semaphore(queue_size)
        self._read_slots = asyncio.Semaphore(queue_size)
        self._reads: SimpleQueue[ReadJob | None] = SimpleQueue()
        self._writer = Writer(
            path,
            max_group=max_group,
            busy_timeout_ms=busy_timeout_ms,
            max_bytes=max_bytes,
            answer=self._answer_writes,
            signal=self._signal,
        )
        self._readers = [
            Reader(
                path,
                busy_timeout_ms=busy_timeout_ms,
                jobs=self._reads,
                answer=self._answer_reads,
                signal=self._signal,
            )
            for _ in range(readers)
        ]
        self._writer_told = False
        self._writer_ended: Future = self._loop.create_future()
        self._writer_ended.add_done_callback(self._refuse_queued)
        self._readers_ended: list[Future] = []

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        max_group: int = MAX_GROUP,
        queue_size: int = QUEUE_SIZE,
        readers: int = READERS,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        max_bytes: int | None = None,
    ) -> Self:
        """Open or create the database file and take its owner lock.

        ``max_group`` transactions share one fsync at most; ``queue_size`` commits (and as many reads) may
        wait, further callers are held back; ``max_bytes`` bounds the file. Raises StoreUnavailable, also if
        another process has the file.
        """
        engine = cls(
            path,
            max_group=max_group,
            queue_size=queue_size,
            readers=readers,
            busy_timeout_ms=busy_timeout_ms,
            max_bytes=max_bytes,
        )
        ready: Future = engine._loop.create_future()
        engine._writer.start(ready, engine._writer_ended)
        try:
            await ready
        except BaseException:
            engine._writer.put(None)
            raise
        for reader in engine._readers:
            ended: Future = engine._loop.create_future()
            engine._readers_ended.append(ended)
            reader.start(ended)
        return engine

    async def commit(self, statements: Sequence[Statement]) -> None:
        """See :meth:`connector.store.engine.Engine.commit`."""
        await self.commit_returning(statements)

    async def commit_returning(self, statements: Sequence[Statement]) -> list[Row]:
        """See :meth:`connector.store.engine.Engine.commit_returning`."""
        for statement in statements:
            check_member(statement.sql)
        # The slot belongs to the job, not to the caller: the job of a cancelled caller occupies the queue
        # until answered.
        await self._write_slots.acquire()
        if self._closed or self._writer_ended.done():
            self._write_slots.release()
            raise StoreUnavailable(_CLOSED)
        future: Future = self._loop.create_future()
        self._writer.put(WriteJob(tuple(statements), future))
        return await future

    async def fetch(self, sql: str, params: Sequence[Value] = (), *, limit: int = 10_000) -> list[Row]:
        """See :meth:`connector.store.engine.Engine.fetch`."""
        await self._read_slots.acquire()
        if self._closed:
            self._read_slots.release()
            raise StoreUnavailable(_CLOSED)
        future: Future = self._loop.create_future()
        self._reads.put(ReadJob(sql, tuple(params), limit, future))
        return await future

    async def close(self) -> None:
        """See :meth:`connector.store.engine.Engine.close`. If cancelled, call it again."""
        if not self._closed:
            self._closed = True
            for _ in self._readers_ended:
                self._reads.put(None)
        await asyncio.wait(self._readers_ended)
        # The writer goes last: the last connection to close folds the write-ahead log into the file.
        if not self._writer_told:
            self._writer_told = True
            self._writer.put(None)
        await asyncio.wait([self._writer_ended])

    def _answer_writes(self, answers: list[Answer]) -> None:
        self._call_loop(self._settle, answers, self._write_slots)

    def _answer_reads(self, answers: list[Answer]) -> None:
        self._call_loop(self._settle, answers, self._read_slots)

    def _signal(self, answers: list[Answer]) -> None:
        self._call_loop(self._settle, answers, None)

    def _call_loop(
        self,
        settle: Callable[[list[Answer], asyncio.Semaphore | None], None],
        answers: list[Answer],
        slots: asyncio.Semaphore | None,
    ) -> None:
        try:
            self._loop.call_soon_threadsafe(settle, answers, slots)
        except RuntimeError:
            # The loop is closed: nobody is left to be answered, and the thread goes on to its end.
            return

    @staticmethod
    def _settle(answers: list[Answer], slots: asyncio.Semaphore | None) -> None:
        for future, answer in answers:
            if slots is not None:
                slots.release()
            if future.done():
                continue
            if isinstance(answer, list):
                future.set_result(answer)
            else:
                future.set_exception(answer)

    def _refuse_queued(self, ended: Future) -> None:
        """Runs on the loop after the writer's end, when nothing can be queued any more."""
        self._settle([(job.future, StoreUnavailable(_CLOSED)) for job in self._writer.queued()], self._write_slots)
