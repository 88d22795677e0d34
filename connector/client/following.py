"""The stream of events: what happens in a connector, as it happens; from where we left off when the connection breaks.

Server-sent events (WHATWG HTML, 9.2) as the connector sends them. May import this package.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Final, Self

import orjson

from connector.client.calls import Calls, safe
from connector.client.processes import Event
from connector.client.refusals import Away, Refused

IDLE_S: Final = 45.0
"""The longest silence; the connector sends a sign of life more often."""
LOOK_AGAIN_S: Final = 1.0
"""What is no event, such as a signature that has come, is looked for so often; and all where there is no stream."""
RETRY_S: Final = 0.5
MAX_LINE_BYTES: Final = 1_048_576


async def events(calls: Calls, after: int | None = None, process: str = "") -> AsyncGenerator[Event, None]:
    """Every event after number ``after``, or from now on, without end; a connection that breaks is made again. ``process``: only
    those of one.

    Raises Refused, and Away where nobody answers the first time.
    """
    last, reached = after, False
    while True:
        headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": str(last)})
        try:
            async with calls.streamed(
                f"/events?process={safe(process)}" if process else "/events", headers=headers, idle_s=IDLE_S
            ) as pieces:
                reached = True
                async for seq, data in _messages(pieces):
                    last = seq if seq is not None else last
                    if data:
                        yield Event.of(data)
        except Away:
            if not reached:
                raise
        await asyncio.sleep(RETRY_S)


async def _messages(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[int | None, dict[str, object]]]:
    """Number and data of each message: none for a sign of life. What is no JSON object counts as one."""
    seq, data = None, list[str]()
    async for line in _lines(pieces):
        if not line:
            yield seq, _object("\n".join(data))
            seq, data = None, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "id" and value.isascii() and value.isdigit():
            seq = int(value)


def _object(text: str) -> dict[str, object]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    waiting = b""
    async for piece in pieces:
        waiting += piece
        *lines, waiting = waiting.split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r").decode("utf-8", "replace")
        if len(waiting) > MAX_LINE_BYTES:
            raise Refused(502, "answer-invalid", f"a line of the stream is longer than {MAX_LINE_BYTES} bytes")


class Following:
    """Says that something may have happened: at each event, and at the latest after ``LOOK_AGAIN_S``. An async context manager.

    Where there is no stream, or we may not read it, only time says so.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._happened = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow(), name="events of a connector")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def moved(self) -> None:
        """Return when it is worth to look again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN_S):
                await self._happened.wait()
        self._happened.clear()

    async def _follow(self) -> None:
        with suppress(Refused, Away):
            async with aclosing(events(self._calls)) as happenings:
                async for _ in happenings:
                    self._happened.set()
