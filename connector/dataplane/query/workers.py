"""Owns the processes that run queries: starts them, bounds them, waits for them, and kills them for good.

One process is kept warm, since its imports take longer than most queries. A query that is stopped is dead when the call returns,
and what it wrote is gone. May not import the engine: the data plane's own process stays free of it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from connector.dataplane.query.job import Failed, Job, Made
from connector.dataplane.query.messages import Answer, Done, Look, Make, Measure, Question, Seen, Unseen

ANSWER_BYTES: Final = 16 * 1024 * 1024
MODULE: Final = "connector.dataplane.query.worker"
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "LLVM_PROFILE_FILE")
CRASHED: Final = Failed("internal", "the process of the query ended without an answer")
STOPPED: Final = Failed("internal", "the query was stopped")
TOO_LONG: Final = Failed("internal", "the query took longer than it may")


class Busy(Exception):
    """As many queries are waiting as may wait: try again later."""


class _Run:
    """One question under way: its process, if it has one yet, and whether it was stopped."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self.over = asyncio.Event()
        self.stop = asyncio.Event()


class Workers:
    """At most ``limit`` queries at once and ``queue`` waiting; each ends after ``deadline_s`` seconds, waiting not counted."""

    def __init__(self, limit: int = 1, *, spare: int = 1, queue: int = 64, deadline_s: float = 3_600.0) -> None:
        self._turns = asyncio.Semaphore(limit)
        self._limit = limit
        self._spare = spare
        self._queue = queue
        self._deadline_s = deadline_s
        self._idle: deque[asyncio.subprocess.Process] = deque()
        self._runs: dict[str, _Run] = {}
        self._warming: asyncio.Task[None] | None = None
        self._closed = False

    async def make(self, job: Job, key: str) -> Made | Failed:
        """Make the file of a job. ``key`` names it for ``kill``: one at a time. Raises ``Busy``.

        A cancelled call kills the process and removes what it wrote before it ends.
        """
        found = await self._ask(Make(job), key, job)
        if isinstance(found, Failed):
            return found
        return found.made or found.failed or CRASHED if isinstance(found, Done) else CRASHED

    async def run(self, name: str, job: Job) -> Made | Failed:
        """``make``, as governed deliveries know it."""
        return await self.make(job, name)

    async def measure(self, job: Job, key: str, seed: str) -> Done:
        """How unique the vehicles of a job's file are; the file does not stay. Raises ``Busy``."""
        found = await self._ask(Measure(job=job, seed=seed), key, job)
        if isinstance(found, Failed):
            return Done(failed=found)
        return found if isinstance(found, Done) else Done(failed=CRASHED)

    async def look(self, look: Look, key: str) -> Seen | Unseen | Failed:
        """Look at a table. Raises ``Busy``."""
        found = await self._ask(look, key, None)
        return found if isinstance(found, (Seen, Unseen, Failed)) else CRASHED

    async def kill(self, key: str) -> None:
        """Stop a query. When this returns its process is dead, and its scratch folder and partial files are removed."""
        run = self._runs.get(key)
        if run is None:
            return
        run.stop.set()
        if run.process is not None:
            _slay(run.process)
        await run.over.wait()

    async def start(self) -> None:
        """Start the spare, and wait until it was started."""
        self._warm()
        if self._warming is not None:
            await self._warming

    async def close(self) -> None:
        """Stop all queries and end all processes."""
        self._closed = True
        for key in list(self._runs):
            await self.kill(key)
        if self._warming is not None:
            await asyncio.gather(self._warming, return_exceptions=True)
        while self._idle:
            process = self._idle.popleft()
            _slay(process)
            await process.wait()

    async def _ask(self, question: Question, key: str, job: Job | None) -> Answer | Failed:
        if self._closed:
            return STOPPED
        if key in self._runs:
            raise ValueError("a query of this key is under way")
        if len(self._runs) >= self._limit + self._queue:
            raise Busy
        run = self._runs[key] = _Run()
        try:
            return await self._in_turn(run, question, job)
        finally:
            del self._runs[key]
            run.over.set()

    async def _in_turn(self, run: _Run, question: Question, job: Job | None) -> Answer | Failed:
        turn = asyncio.ensure_future(self._turns.acquire())
        stop = asyncio.ensure_future(run.stop.wait())
        taken = False
        found: Answer | Failed | None = None
        try:
            await asyncio.wait({turn, stop}, return_when=asyncio.FIRST_COMPLETED)
            taken = turn.done() and not turn.cancelled()
            if run.stop.is_set() or not taken:
                return STOPPED
            found = await self._answered(run, question)
            return found
        finally:
            stop.cancel()
            if not turn.done():
                turn.cancel()
            await asyncio.gather(turn, stop, return_exceptions=True)
            taken = turn.done() and not turn.cancelled()
            if job is not None and not (isinstance(found, Done) and found.made is not None):
                # A thread is not cancelled with its caller: what was begun is removed before anybody is told.
                await asyncio.shield(asyncio.to_thread(_remove, job))
            if taken:
                self._turns.release()

    async def _answered(self, run: _Run, question: Question) -> Answer | Failed:
        process = run.process = await self._process()
        try:
            if run.stop.is_set():
                return STOPPED
            async with asyncio.timeout(self._deadline_s):
                line = await _exchanged(process, msgspec.json.encode(question) + b"\n")
                await process.wait()
        except TimeoutError:
            return TOO_LONG
        finally:
            _slay(process)
            await asyncio.shield(process.wait())
            self._warm()
        if run.stop.is_set():
            return STOPPED
        try:
            found: Answer = msgspec.json.decode(line, type=Answer)
        except msgspec.DecodeError:
            return CRASHED
        return found

    async def _process(self) -> asyncio.subprocess.Process:
        while self._idle:
            process = self._idle.popleft()
            if process.returncode is None:
                return process
        return await _started()

    def _warm(self) -> None:
        """Have a process ready for the next question."""
        if self._closed or len(self._idle) >= self._spare or (self._warming is not None and not self._warming.done()):
            return
        self._warming = asyncio.create_task(self._fill(), name="warm a worker")

    async def _fill(self) -> None:
        while len(self._idle) < self._spare and not self._closed:
            self._idle.append(await _started())


async def _started() -> asyncio.subprocess.Process:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", MODULE, str(os.getpid()),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        # What an engine says of its errors may quote data.
        stderr=asyncio.subprocess.DEVNULL,
        env=passed_on, limit=ANSWER_BYTES, start_new_session=True,
    )  # fmt: skip


async def _exchanged(process: asyncio.subprocess.Process, line: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        return b""
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(line)
        await process.stdin.drain()
    try:
        return await process.stdout.readline()
    except ValueError:
        return b""


def _slay(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)


def _remove(job: Job) -> None:
    """Take away what an unfinished query left."""
    shutil.rmtree(job.scratch, ignore_errors=True)
    for path in (job.output, job.index, job.trips, job.keep):
        if path:
            Path(path).unlink(missing_ok=True)
