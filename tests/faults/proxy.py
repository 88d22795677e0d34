"""A bad wire between two connectors: loses, doubles, delays and reorders HTTP exchanges, and cuts streams of data.

:class:`HttpWire` is one listener for one direction. What happens to a request depends on ``(seed, counter)`` alone. Paths,
headers and bodies pass untouched. Several upstreams take turns, as behind a load balancer. :class:`DataWire` carries the
public data listener; it holds each delivery after its first bytes until its gate is opened, so that a test decides when
a transfer can complete. Whoever wants to know what has passed is told each request with its answer. Imports nothing of the
connector.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Any, Final, Protocol
from urllib.parse import unquote

MAX_HEAD_BYTES: Final = 65_536
HOLD_S: Final = 0.5
FREE_BYTES: Final = 4096
Address = tuple[str, int]
Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Watch(Protocol):
    """Who is told what passes."""

    def going(self, request: bytes) -> None:
        """A request goes to an upstream now."""

    def note(self, request: bytes, answer: bytes | None) -> None:
        """What an upstream answered to it; None: nothing."""


class Fate(StrEnum):
    """What the wire does to a request."""

    PASS = "passed"
    DROP = "request lost"
    LOSE_ANSWER = "answer lost"
    TWICE = "delivered twice"
    DELAY = "delayed"
    HOLD = "overtaken"


@dataclass(frozen=True, slots=True)
class Odds:
    """Probability of each fate; together 10 %. ``cut`` is that of a data stream."""

    drop: float = 0.02
    lose_answer: float = 0.02
    twice: float = 0.02
    delay: float = 0.02
    hold: float = 0.02
    cut: float = 0.2


CLEAN: Final = Odds(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Choice:
    """A fate and its measures: a pause in seconds, and how many later requests go first."""

    fate: Fate
    pause_s: float
    overtakers: int


def choose(odds: Odds, seed: str, counter: int) -> Choice:
    """Pure: the same for the same seed and counter."""
    dice = random.Random(f"{seed}:{counter}")  # noqa: S311 - repeatable on purpose
    throw, fate = dice.random(), Fate.PASS
    for probability, named in (
        (odds.drop, Fate.DROP),
        (odds.lose_answer, Fate.LOSE_ANSWER),
        (odds.twice, Fate.TWICE),
        (odds.delay, Fate.DELAY),
        (odds.hold, Fate.HOLD),
    ):
        if throw < probability:
            fate = named
            break
        throw -= probability
    # One in five pauses outlives an attempt of the sender and several states of the process.
    pause_s = dice.uniform(1.0, 4.0) if dice.random() < 0.2 else dice.uniform(0.01, 0.4)
    return Choice(fate, pause_s, dice.randint(1, 6))


class _Listener:
    """A listening socket and the tasks that it brings about."""

    def __init__(self) -> None:
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def _listen(self, connected: Connected) -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await connected(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                pass
            finally:
                writer.transport.abort()

        def own(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._own(accept(reader, writer))

        self._server = await asyncio.start_server(own, "127.0.0.1", 0, limit=MAX_HEAD_BYTES, backlog=1024)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop listening and end every task."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class HttpWire(_Listener):
    """One direction. ``fates`` counts what happened; ``watch`` is told of each request that goes to an upstream."""

    def __init__(self, seed: str, upstreams: Sequence[Address], odds: Odds, watch: Watch | None = None) -> None:
        super().__init__()
        self._watch = watch
        self.fates: Counter[str] = Counter()
        self._seed = seed
        self._upstreams = upstreams
        self._odds = odds
        self._counter = count(1)
        self._turn = count()
        self._passed = 0
        self._moved = asyncio.Condition()

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        await self._listen(self._connected)

    def clean(self) -> None:
        """From now on everything passes."""
        self._odds = CLEAN

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_message(reader)
            if request is None:
                return
            answer = await self._carry(request)
            if answer is None:
                return
            writer.write(answer)
            await writer.drain()

    async def _carry(self, request: bytes) -> bytes | None:
        """The answer that the sender sees; None closes its connection."""
        choice = choose(self._odds, self._seed, next(self._counter))
        self.fates[choice.fate.value] += 1
        if choice.fate is Fate.DROP:
            return None
        if choice.fate is Fate.DELAY:
            await asyncio.sleep(choice.pause_s)
        if choice.fate is Fate.HOLD:
            await self._overtaken(choice.overtakers)
        answer = await self._forward(request)
        async with self._moved:
            self._passed += 1
            self._moved.notify_all()
        if choice.fate is Fate.TWICE:
            self._own(self._again(request, choice.pause_s))
        return None if choice.fate is Fate.LOSE_ANSWER else answer

    async def _overtaken(self, overtakers: int) -> None:
        target = self._passed + overtakers
        with suppress(TimeoutError):
            async with asyncio.timeout(HOLD_S), self._moved:
                await self._moved.wait_for(lambda: self._passed >= target)

    async def _again(self, request: bytes, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        await self._forward(request)

    async def _forward(self, request: bytes) -> bytes | None:
        if self._watch is None:
            return await self._exchange(request)
        self._watch.going(request)
        answer = await self._exchange(request)
        self._watch.note(request, answer)
        return answer

    async def _exchange(self, request: bytes) -> bytes | None:
        try:
            reader, writer = await self._connect()
        except OSError:
            return None
        try:
            writer.write(request)
            await writer.drain()
            return await read_message(reader)
        except (OSError, asyncio.IncompleteReadError):
            return None
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The next upstream that listens. Raises OSError when none does."""
        first = next(self._turn)
        for attempt in range(len(self._upstreams)):
            host, port = self._upstreams[(first + attempt) % len(self._upstreams)]
            try:
                return await asyncio.open_connection(host, port, limit=MAX_HEAD_BYTES)
            except OSError:
                continue
        raise ConnectionRefusedError


class DataWire(_Listener):
    """The way of the bytes: a delivery stops after ``FREE_BYTES`` until ``open_gate``; some are cut at a seeded byte."""

    def __init__(self, seed: str, upstream: Address, odds: Odds) -> None:
        super().__init__()
        self.cuts = 0
        self._seed = seed
        self._upstream = upstream
        self._odds = odds
        self._counter = count(1)
        self._gates: dict[str, asyncio.Event] = {}

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        await self._listen(self._connected)

    def clean(self) -> None:
        """From now on nothing is cut."""
        self._odds = CLEAN

    def open_gate(self, flow_id: str) -> None:
        """Let the delivery of a flow (the provider's process id) run to its end, now and later."""
        self._gate(flow_id).set()

    def _gate(self, flow_id: str) -> asyncio.Event:
        return self._gates.setdefault(flow_id, asyncio.Event())

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_message(reader)
        if request is None:
            return
        target = request.split(b" ", 2)[1].decode("ascii", "replace")
        gate = self._gate(unquote(target.removeprefix("/public/").partition("?")[0]))
        dice = random.Random(f"{self._seed}:{next(self._counter)}")  # noqa: S311 - repeatable on purpose
        cut_at = dice.randrange(1, 200_000) if dice.random() < self._odds.cut else None
        upstream, out = await asyncio.open_connection(*self._upstream)
        gone = asyncio.create_task(reader.read(1))
        try:
            out.write(request)
            await out.drain()
            await self._pump(upstream, writer, gate, cut_at, gone)
        finally:
            gone.cancel()
            out.transport.abort()

    async def _pump(
        self,
        upstream: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gate: asyncio.Event,
        cut_at: int | None,
        gone: asyncio.Task[bytes],
    ) -> None:
        """Bytes from upstream, held at the gate; both ends are watched meanwhile."""
        held, sent = bytearray(), 0
        opened = asyncio.create_task(gate.wait())
        reading: asyncio.Task[bytes] = asyncio.create_task(upstream.read(65_536))
        try:
            while True:
                waiting: set[asyncio.Task[Any]] = {reading, gone}
                if not gate.is_set():
                    waiting.add(opened)
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return
                if reading.done():
                    piece = reading.result()
                    if not piece:
                        return
                    held += piece
                    reading = asyncio.create_task(upstream.read(65_536))
                room = len(held) if gate.is_set() else max(0, FREE_BYTES - sent)
                if cut_at is not None and sent + min(room, len(held)) >= cut_at:
                    self.cuts += 1
                    return
                writer.write(bytes(held[:room]))
                sent += min(room, len(held))
                del held[:room]
                await writer.drain()
        finally:
            opened.cancel()
            reading.cancel()
            await asyncio.gather(opened, reading, return_exceptions=True)


async def read_message(reader: asyncio.StreamReader) -> bytes | None:
    """One HTTP/1.1 message with a Content-Length, or without a body; None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        match name.strip().lower():
            case b"content-length":
                length = int(value)
            case b"transfer-encoding":
                raise ConnectionError("this wire carries bodies of a stated length only")
    return head + (await reader.readexactly(length) if length else b"")
