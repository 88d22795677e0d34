"""The client of the owner's channel, against a channel that says what a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web

from connector.client.local import Away, LocalClient, Refused

Answer = tuple[int, Any]


class Said:
    """What was asked, and the answers that are left; the last one is repeated."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.raw_path}")
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, body=body if isinstance(body, bytes) else orjson.dumps(body))


@asynccontextmanager
async def channel(said: Said) -> AsyncIterator[LocalClient]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", said.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with LocalClient(url=f"http://{host}:{port}") as client:
            yield client
    finally:
        await runner.cleanup()


def process(version: int, state: str) -> dict[str, Any]:
    return {"id": "urn:uuid:1", "version": version, "state": state, "createdAt": version}


async def test_pages_are_read_to_their_end() -> None:
    said = Said((200, [{"id": "a", "createdAt": 1}]), (200, [{"id": "b/c", "createdAt": 2}]), (200, []))
    async with channel(said) as client:
        assert [row["id"] for row in await client.agreements()] == ["a", "b/c"]
    assert said.asked[1:] == ["GET /carnet/v1/agreements?after=1%3Aa", "GET /carnet/v1/agreements?after=2%3Ab%2Fc"]
    said = Said((200, [{"@id": "x y"}]), (200, []))
    async with channel(said) as client:
        assert await client.datasets() == [{"@id": "x y"}]
    assert said.asked[1] == "GET /carnet/v1/datasets?after=x%20y"
    said = Said((200, [process(1, "REQUESTED")]), (200, []))
    async with channel(said) as client:
        assert len(await client.processes("negotiation", "REQUESTED")) == 1
    assert said.asked[0] == "GET /carnet/v1/negotiations?after=0%3A&state=REQUESTED"


async def test_waiting_asks_for_what_is_newer_and_shows_each_version_once() -> None:
    said = Said(*((200, process(*each)) for each in ((0, "INITIAL"), (1, "REQUESTED"), (1, "REQUESTED"), (2, "FINALIZED"))))
    seen: list[int] = []
    async with channel(said) as client:
        last = await client.wait(
            "urn:uuid:1", lambda now: now["state"] == "FINALIZED", 5, lambda now: seen.append(now["version"])
        )
    assert (last["version"], seen) == (2, [0, 1, 2])
    assert [line.partition("version=")[2] for line in said.asked] == ["", "0", "1", "1"]
    assert said.asked[0] == "GET /carnet/v1/processes/urn%3Auuid%3A1"


async def test_waiting_ends_where_it_is() -> None:
    async with channel(Said((200, process(1, "REQUESTED")))) as client:
        assert (await client.wait("urn:uuid:1", lambda _: False, 0))["state"] == "REQUESTED"


async def test_letters_are_sent_again_or_given_up() -> None:
    said = Said((202, b""), (204, b""))
    async with channel(said) as client:
        await client.retry("urn:uuid:1")
        await client.give_up("urn:uuid:1")
    assert said.asked == [
        "POST /carnet/v1/dead-letters/urn%3Auuid%3A1/retry",
        "DELETE /carnet/v1/dead-letters/urn%3Auuid%3A1",
    ]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ((409, {"code": "not-possible-now", "detail": "later"}), 409, "not-possible-now"),
        ((502, b"<html>"), 502, "answer-invalid"),
        ((500, []), 500, "http"),
        ((404, b""), 404, "http"),
    ],
)
async def test_every_refusal_has_a_code(answer: Answer, status: int, code: str) -> None:
    async with channel(Said(answer)) as client:
        with pytest.raises(Refused) as caught:
            await client.act("urn:uuid:1", "accept")
    assert (caught.value.status, caught.value.code) == (status, code)


async def test_a_peer_that_never_spoke_has_no_capabilities() -> None:
    async with channel(Said((404, {"code": "capabilities-unknown", "detail": "none"}))) as client:
        assert await client.capabilities("did:web:them") is None
    async with channel(Said((403, {"code": "other", "detail": "no"}))) as client:
        with pytest.raises(Refused, match="other"):
            await client.capabilities("did:web:them")


async def test_a_greeting_without_an_answer_is_told() -> None:
    same = {"messageId": "urn:uuid:1"}
    async with channel(Said((200, same))) as client:
        assert await client.hello("did:web:them", timeout_s=0.05) is None


async def test_nobody_there_is_told_with_the_place() -> None:
    async with LocalClient(socket="no-such.sock") as client:
        with pytest.raises(Away, match=r"no-such\.sock"):
            await client.status()


async def test_a_client_is_entered_before_it_is_used() -> None:
    with pytest.raises(RuntimeError, match="enter the client"):
        await LocalClient(url="http://127.0.0.1:1").status()
