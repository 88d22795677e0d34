"""The stream of events over a real socket: what is told, from where it goes on, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from connector.api import events
from connector.api.events import Events
from connector.api.guard import OwnerGuard
from connector.api.router import mount
from connector.app import MIGRATIONS
from connector.flow.watch import Watch
from connector.protocol.record import Process
from connector.store import writes
from connector.store.engine import Statement, StoreUnavailable
from connector.store.events import EventStore
from connector.store.migrate import migrate
from connector.store.rows import Happening
from connector.store.sqlite import SqliteEngine

DEADLINE_S = 20


@dataclass
class Stage:
    """A listener with the stream alone, and what it is told of."""

    engine: SqliteEngine
    watch: Watch
    client: TestClient[web.Request, web.Application]

    async def happens(self, what: str, process: str = "p") -> None:
        """Something is written, and said."""
        happening = Happening(process, 5, what, None, None, "REQUESTED", None)
        await self.engine.commit([writes.insert_event(happening)])
        self.watch.entered(cast("Process", SimpleNamespace(id=process)))

    @asynccontextmanager
    async def stream(self, query: str = "", **headers: str) -> AsyncIterator[ClientResponse]:
        """An open stream; underscores in names of headers are hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with asyncio.timeout(DEADLINE_S), self.client.get(f"/carnet/v1/events{query}", headers=sent) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert await block(answer) == ["retry: 1000"]
            yield answer


async def block(answer: ClientResponse) -> list[str]:
    """The lines until the next empty one; none at the end of the stream."""
    found: list[str] = []
    while line := (await answer.content.readline()).decode():
        if line == "\n":
            return found
        found.append(line.rstrip("\n"))
    return found


async def told(answer: ClientResponse) -> dict[str, Any]:
    """The next event."""
    number, data = await block(answer)
    found: dict[str, Any] = orjson.loads(data.removeprefix("data: "))
    assert number == f"id: {found['seq']}"
    return found


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    engine, watch = await SqliteEngine.open(tmp_path / "control.db"), Watch()
    await migrate(engine, MIGRATIONS, 1)
    context: Any = SimpleNamespace(store=SimpleNamespace(engine=engine), now_ms=lambda: 10_000)
    app = web.Application()
    mount(app, Events(context, watch).operations(), OwnerGuard())
    async with TestClient(TestServer(app)) as client:
        yield Stage(engine, watch, client)
    await engine.close()


async def test_what_happens_is_told_as_it_happens(stage: Stage) -> None:
    await stage.happens("before")
    async with stage.stream() as answer:
        await stage.happens("first")
        await stage.happens("second")
        assert [(await told(answer))["what"], (await told(answer))["what"]] == ["first", "second"]


async def test_a_stream_goes_on_where_the_last_one_ended(stage: Stage) -> None:
    for what in ("first", "second", "third"):
        await stage.happens(what)
    async with stage.stream("?after=0") as answer:
        first = await told(answer)
    assert (first["what"], first["state"], first["process"]) == ("first", "REQUESTED", "p")
    # What the browser sends counts more than where it began.
    async with stage.stream("?after=0", Last_Event_ID=str(first["seq"])) as answer:
        assert [(await told(answer))["what"], (await told(answer))["what"]] == ["second", "third"]


async def test_one_process_can_be_followed_alone(stage: Stage) -> None:
    async with stage.stream("?process=mine") as answer:
        await stage.happens("theirs", "other")
        await stage.happens("ours", "mine")
        assert (await told(answer))["what"] == "ours"


async def test_who_is_not_told_anything_is_told_that_it_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.0)
    async with stage.stream("?process=mine") as answer:
        await stage.happens("theirs", "other")
        number = await EventStore(stage.engine).newest()
        while (beat := await block(answer))[0] != f"id: {number}":
            assert beat == ["id: 0", ": still here"]


async def test_the_end_of_the_connector_ends_the_stream(stage: Stage) -> None:
    async with stage.stream() as answer:
        stage.watch.close()
        assert await block(answer) == []


async def test_a_stream_ends_by_itself_so_that_who_reads_is_asked_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAM_S", 0.0)
    async with stage.stream() as answer:
        assert await block(answer) == []


async def test_a_store_that_is_away_ends_the_stream(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> list[Any]:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(EventStore, "after", away)
    async with stage.stream() as answer:
        assert await block(answer) == []


@pytest.mark.parametrize("bound", ["MAX_STREAMS", "MAX_OF_ONE"])
async def test_streams_are_counted_and_given_back(stage: Stage, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(events, bound, 1)
    async with stage.stream():
        async with stage.client.get("/carnet/v1/events") as answer:
            assert (answer.status, (await answer.json())["code"]) == (429, "too-many-streams")
        stage.watch.close()
    async with asyncio.timeout(DEADLINE_S):
        while (await stage.client.get("/carnet/v1/events")).status != 200:
            continue


@pytest.mark.parametrize("wrong", ["x", "-1", "1.5", "٣", "9" * 20])
async def test_a_number_that_is_none_is_refused(stage: Stage, wrong: str) -> None:
    async with stage.client.get("/carnet/v1/events", headers={"Last-Event-ID": wrong}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "event-id-invalid")


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_number_of_the_future_is_refused_and_one_that_was_forgotten_is_not(stage: Stage, how: str) -> None:
    await stage.happens("one")
    await stage.happens("two", "gone")
    await stage.engine.commit([Statement("DELETE FROM event WHERE process_id = ?", ("gone",))])
    for number, status in ((2, 200), (3, 400), (9_999_999_999_999_999, 400)):
        asked: dict[str, Any] = (
            {"params": {"after": str(number)}} if how == "query" else {"headers": {"Last-Event-ID": str(number)}}
        )
        async with stage.client.get("/carnet/v1/events", **asked) as answer:
            assert answer.status == status
            if status == 400:
                assert (await answer.json())["code"] in ("event-id-unknown", "query-invalid")


async def test_a_stream_that_nobody_reads_any_more_gives_its_place_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_OF_ONE", 1)
    monkeypatch.setattr(events, "LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr(events, "HEARTBEAT_S", 3600.0)
    async with stage.stream() as answer:
        answer.close()
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with stage.client.get("/carnet/v1/events") as again:
                if again.status == 200:
                    break
