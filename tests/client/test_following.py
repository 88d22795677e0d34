"""The stream of events, as a client reads it: from where it left off, over breaks, and as what wakes who waits."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from connector.client import Carnet, Refused, Waited, following
from connector.client.local import LocalClient
from tests.client.speaking import Said, listening, process


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "RETRY_S", 0)


def event(seq: int) -> dict[str, Any]:
    told = {"seq": seq, "process": "urn:uuid:1", "kind": "negotiation", "counterparty": "did:web:them", "at": 1, "what": "sent"}
    return told | {"state": "REQUESTED", "correlationId": "c-1", "awaiting": None, "note": None}


def rendered(*seqs: int) -> bytes:
    return b"".join(b"id: %d\ndata: %s\n\n" % (seq, orjson.dumps(event(seq))) for seq in seqs)


class Streaming:
    """Streams, one after the other, and what they were asked to begin after. The last one stays open."""

    def __init__(self, *streams: bytes) -> None:
        self.streams = list(streams)
        self.asked: list[str | None] = []
        self.pieces = 1_000_000

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers.get("Last-Event-ID"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        stream = self.streams.pop(0)
        for at in range(0, len(stream), self.pieces):
            await response.write(stream[at : at + self.pieces])
        if not self.streams:
            await asyncio.sleep(60)
        return response


async def first(streaming: Streaming, count: int, after: int | None = None) -> list[int]:
    found: list[int] = []
    async with listening(streaming.handle) as url, Carnet.over(LocalClient(url=url)) as carnet:
        async for each in carnet.events(after):
            found.append(each.seq)
            if len(found) == count:
                return found
    raise AssertionError("the stream has ended")


async def test_a_stream_that_breaks_goes_on_where_it_was() -> None:
    streaming = Streaming(b"retry: 1000\n\n" + rendered(3, 4) + b"id: 5\ndata: {half", b"id: 6\n: still here\n\n", rendered(7))
    assert await first(streaming, 3, after=2) == [3, 4, 7]
    assert streaming.asked == ["2", "4", "6"]


@given(pieces=st.integers(1, 60))
def test_events_come_in_pieces_of_any_size(pieces: int) -> None:
    """The client sees lines, wherever the network cuts them."""
    stream = b"retry: 1000\r\n\r\n: a comment\n" + rendered(1, 2).replace(b"\n", b"\r\n")

    async def cut() -> Any:
        for at in range(0, len(stream), pieces):
            yield stream[at : at + pieces]

    async def read() -> list[Any]:
        return [data["seq"] async for _, data in following._messages(cut()) if data]

    assert asyncio.run(read()) == [1, 2]


async def test_who_may_not_read_it_is_told() -> None:
    said = Said((403, {"code": "scope-missing", "detail": "this needs the scope events:read"}))
    async with listening(said.handle) as url, Carnet.over(LocalClient(url=url)) as carnet:
        with pytest.raises(Refused, match="scope-missing"):
            await anext(carnet.events())


async def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MAX_LINE_BYTES", 100)
    with pytest.raises(Refused, match="answer-invalid"):
        await first(Streaming(b"data: " + b"x" * 1000, b""), 1)


class Moving:
    """A connector whose negotiation ends when it is asked a second time; the stream says so after the first time."""

    def __init__(self) -> None:
        self.asked = 0
        self.looked = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not request.path.endswith("/events"):
            self.asked += 1
            self.looked.set()
            state = "FINALIZED" if self.asked > 1 else "REQUESTED"
            return web.Response(body=orjson.dumps(process(self.asked, state)))
        response = web.StreamResponse()
        await response.prepare(request)
        await self.looked.wait()
        await response.write(rendered(1))
        await asyncio.sleep(60)
        return response


async def test_who_waits_is_woken_by_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_AGAIN_S", 50)
    moving = Moving()
    async with listening(moving.handle) as url, Carnet.over(LocalClient(url=url)) as carnet:
        found = await carnet.until(lambda: carnet.process("urn:uuid:1"), lambda now: now.over, within_s=40)
    assert (found.state, moving.asked) == ("FINALIZED", 2)


async def test_without_a_stream_time_alone_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_AGAIN_S", 0)
    answers = [(200, process(number)) for number in range(5)] + [(200, process(9, "FINALIZED"))]
    said = Said(*answers)

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=404) if request.path.endswith("/events") else await said.handle(request)

    async with listening(handle) as url, Carnet.over(LocalClient(url=url)) as carnet:
        assert (await carnet.until(lambda: carnet.process("urn:uuid:1"), lambda now: now.over)).version == 9
        with pytest.raises(Waited):
            await carnet.until(lambda: carnet.process("urn:uuid:1"), lambda now: not now.over, within_s=0)
