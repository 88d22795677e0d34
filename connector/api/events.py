"""Everything that happens to negotiations and transfers, as it happens: ``/carnet/v1/events``, server-sent (WHATWG HTML, 9.2).

A stream goes on after the number that Last-Event-ID names, so that whoever connects again has missed nothing. It ends when its
reader may not read any more, whose key was revoked or whose token has ended, and in any case after ``STREAM_S``. May import the
store, the seam to what wakes it, and the error tree.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec
from aiohttp import web

from connector.api.operation import Operation, Query, caller_of, check_still
from connector.api.page import whole_of
from connector.flow.context import Context
from connector.flow.watch import LOOK_AGAIN_S, Watch
from connector.protocol.errors import CallerError, NotAuthenticated, PolicyDenied, TooMany, Unavailable
from connector.store.engine import StoreUnavailable
from connector.store.events import EventStore, Happened

MAX_STREAMS: Final = 64
MAX_OF_ONE: Final = 16
"""Streams of one caller."""
HEARTBEAT_S: Final = 15.0
STREAM_S: Final = 900.0
"""The longest life of a stream; a client connects again by itself."""
ASKED_S: Final = 1.0
"""So long it is believed that the reader may read."""
WRITE_S: Final = 30.0
"""So long a reader may leave what was sent unread."""
RETRY_MS: Final = 1000
BATCH: Final = 200
_SEQ_MOST: Final = 1 << 53
_AFTER: Final = Query("after", "Begin after the event of this number, as Last-Event-ID does; without either: from now on.", int)
_PROCESS: Final = Query("process", "Only what happens to this negotiation or transfer.")


class EventAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One event: `id` of the stream is ``seq``, `data` is this. ``state`` is that of the process after it."""

    seq: int
    process: str
    kind: str
    counterparty: str
    at: int
    what: str
    message: str | None
    message_id: str | None
    state: str
    awaiting: str | None
    note: str | None
    correlation_id: str


def event_answer(line: Happened) -> EventAnswer:
    """A line of the timeline of its process, as it is streamed."""
    return EventAnswer(
        seq=line.seq,
        process=line.process_id,
        kind=line.kind,
        counterparty=line.counterparty,
        at=line.at,
        what=line.what,
        message=line.message,
        message_id=line.message_id,
        state=line.state,
        awaiting=line.awaiting,
        note=line.note,
        correlation_id=line.correlation_id,
    )


@dataclass(slots=True)
class Events:
    """The handler, and how many streams are open, by caller."""

    context: Context
    watch: Watch
    _open: Counter[str] = field(default_factory=Counter)

    def operations(self) -> list[Operation]:
        """The one."""
        return [
            Operation(
                "GET", "/carnet/v1/events", "streamEvents", "events", "read",
                "What happens to negotiations and transfers, as it happens: a stream of server-sent events.",
                self._stream, answer=EventAnswer, query=(_AFTER, _PROCESS), media="text/event-stream",
            ),
        ]  # fmt: skip

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        store = EventStore(self.context.store.engine)
        last, who = _given(request), caller_of(request).id
        if self._open[who] >= MAX_OF_ONE or self._open.total() >= MAX_STREAMS:
            said = f"at most {MAX_STREAMS} streams are open at once, and {MAX_OF_ONE} of one caller"
            raise TooMany("too-many-streams", said, int(HEARTBEAT_S))
        self._open[who] += 1
        try:
            last = await _begin(store, last)
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
            await response.prepare(request)
            try:
                await self._follow(store, request, response, last)
            except (ConnectionError, TimeoutError, StoreUnavailable, NotAuthenticated, PolicyDenied, Unavailable):
                # The reader is gone, does not read or may not, or there is nothing to read from now: a stream can say so by its
                # end only.
                return response
            return response
        finally:
            self._open[who] -= 1
            self._open += Counter()

    async def _follow(self, store: EventStore, request: web.Request, response: web.StreamResponse, last: int) -> None:
        """Write what comes after ``last`` until the stream is old or the connector stops.

        Raises ConnectionError, TimeoutError and StoreUnavailable, and what ``check_still`` does.
        """
        process = request.query.get("process", "")
        await _write(response, f"retry: {RETRY_MS}\n\n".encode())
        began = spoke = asked = time.monotonic()
        while not self.watch.closed and request.transport is not None and time.monotonic() - began < STREAM_S:
            moved = self.watch.anything
            if time.monotonic() - asked >= ASKED_S:
                await check_still(request)
                asked = time.monotonic()
            lines = await store.after(last, self.context.now_ms(), BATCH)
            last = lines[-1].seq if lines else last
            told = b"".join(_rendered(line) for line in lines if process in ("", line.process_id))
            if not told and time.monotonic() - spoke >= HEARTBEAT_S:
                # With its number, so that who connects again does not go through all that was not for him.
                told = f"id: {last}\n: still here\n\n".encode()
            if told:
                await _write(response, told)
                spoke = time.monotonic()
            if len(lines) < BATCH:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await moved.wait()


async def _begin(store: EventStore, said: int | None) -> int:
    """After which number a stream tells. Raises CallerError for one that no event has had: who waits for its successor would be
    told nothing of what happens until then."""
    if said is None:
        return await store.newest()
    if said and said > await store.given():
        raise CallerError("event-id-unknown", "no event has had this number here; connect without it and look at the lists again")
    return said


async def _write(response: web.StreamResponse, told: bytes) -> None:
    async with asyncio.timeout(WRITE_S):
        await response.write(told)


def _rendered(line: Happened) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (line.seq, msgspec.json.encode(event_answer(line)))


def _given(request: web.Request) -> int | None:
    """After which number a stream begins; None: from now on. Raises CallerError."""
    said = request.headers.get("Last-Event-ID", "")
    if said:
        if not (said.isascii() and said.isdigit() and len(said) < 17):
            raise CallerError("event-id-invalid", "Last-Event-ID is the number of an event of this stream")
        return int(said)
    return whole_of(request, "after", _SEQ_MOST) if "after" in request.query else None
