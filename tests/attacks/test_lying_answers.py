"""A peer with a valid token answers our messages with lies."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from tests.attacks.target import LIAR, Behaviour, Liar, Target, acknowledging, polite
from tests.conformance.spoiling import CONTEXT, Json

ODD_PIDS = {
    "dots": "../..",
    "query": "x?=y&z=1#f",
    "letters outside ASCII": "пид/☃",
    "blanks and line ends": "a b\r\nX-Evil: 1",
    "a NUL": "a\0b",
    "too long for a URL": "☃" * 2000,
    "2 kB": "x" * 2048,
}


@pytest.mark.parametrize("pid", ODD_PIDS.values(), ids=ODD_PIDS)
async def test_a_process_id_is_never_a_part_of_an_address(target: Target, liar: Liar, pid: str) -> None:
    async def answer(request: web.Request, message: Json) -> web.StreamResponse:
        return acknowledging(message, pid) if request.path.endswith("s/request") else web.Response()

    liar.answer = answer
    process_id = await target.negotiate()
    shown = await target.until(process_id, "REQUESTED", "TERMINATED")
    if shown["state"] == "REQUESTED":
        assert (await target.own("POST", f"/processes/{process_id}/terminate", {})).status == 200
        shown = await target.until(process_id)
    assert shown["ended"]["reason"]
    assert {len(path.split("?")[0].split("/")) for _, path, _ in liar.got} <= {4, 5}
    assert all("?" not in path and path.startswith("/dsp/negotiations/") for _, path, _ in liar.got)
    await target.alive()


FIRST_ANSWERS = {
    "no body": b"",
    "no JSON": b"<html>all is well</html>",
    "an empty pid": b'{"providerPid": "", "consumerPid": "", "state": "REQUESTED"}',
    "a pid of 10 kB": json.dumps({"providerPid": "x" * 10_000, "consumerPid": "y", "state": "REQUESTED"}).encode(),
    "deep": b"[" * 100_000,
    "a number": b"1",
    "an endless word": b'"' + b"x" * 200_000,
}


async def test_a_first_answer_that_says_nothing_ends_the_process(target: Target, liar: Liar) -> None:
    """All at the same time, so that one deadline is waited for."""
    lies: dict[str, bytes] = {}
    left = list(FIRST_ANSWERS.values())

    async def answer(_: web.Request, message: Json) -> web.StreamResponse:
        body = lies.get(message["consumerPid"]) or left.pop()
        lies[message["consumerPid"]] = body or b" "
        return web.Response(status=201, body=body, content_type="application/json")

    liar.answer = answer
    for process_id in [await target.negotiate() for _ in FIRST_ANSWERS]:
        shown = await target.until(process_id)
        assert (shown["state"], shown["ended"]["code"]) == ("TERMINATED", "no-answer")
    assert len(lies) == len(FIRST_ANSWERS)
    await target.alive()


async def test_the_answer_to_another_request_is_none(target: Target, liar: Liar) -> None:
    """Whoever mixes up two processes is asked again, until the deadline."""

    async def answer(_: web.Request, message: Json) -> web.StreamResponse:
        return acknowledging(message, "peer:1", consumerPid="urn:uuid:of-somebody-else")

    liar.answer = answer
    shown = await target.until(await target.negotiate())
    assert (shown["state"], shown["providerPid"]) == ("TERMINATED", "")


async def test_two_processes_may_be_one_to_the_peer(target: Target, liar: Liar) -> None:
    async def answer(_: web.Request, message: Json) -> web.StreamResponse:
        return acknowledging(message, "peer:the-same")

    liar.answer = answer
    for process_id in [await target.negotiate() for _ in range(3)]:
        await target.until(process_id, "REQUESTED")
    await target.alive()


REFUSALS = {
    "400 and no body": (400, b""),
    "400 and a deep reason": (400, b'{"code":' + b"[" * 1010 + b"]" * 1010 + b',"reason":[' + b"[" * 1010 + b"]" * 1010 + b"]}"),
    "400 and NULs": (400, b'{"code":"\\u0000","reason":["\\u0000"]}'),
    "403 and our own token": (403, b""),
    "409": (409, b"{}"),
    "404": (404, b"\xff\xfe"),
    "418 and a large body": (418, b"x" * 1_000_000),
}


@pytest.mark.parametrize(("status", "body"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_ends_the_process_with_a_reason(target: Target, liar: Liar, status: int, body: bytes) -> None:
    async def answer(request: web.Request, _: Json) -> web.StreamResponse:
        return web.Response(status=status, body=body or request.headers["Authorization"].encode())

    liar.answer = answer
    shown = await target.until(await target.negotiate())
    assert (shown["state"], shown.get("ended")) == ("TERMINATED", None)
    assert shown["refusal"]["reason"]
    await target.alive()


async def informational(request: web.Request, __: Json) -> web.StreamResponse:
    transport = request.transport
    assert transport is not None
    for _ in range(10_000):
        transport.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await asyncio.sleep(0)
        if transport.is_closing():
            break
    return web.Response(status=500)


async def silent(_: web.Request, __: Json) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def dripping(request: web.Request, _: Json) -> web.StreamResponse:
    response = web.StreamResponse(status=201)
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


async def elsewhere(request: web.Request, _: Json) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect(str(request.url))


def always(status: int) -> Behaviour:
    async def answer(_: web.Request, __: Json) -> web.StreamResponse:
        return web.Response(status=status, headers={"Retry-After": "1000000"})

    return answer


@pytest.mark.parametrize(
    "behaviour", [informational, silent, dripping, elsewhere, always(429), always(500), always(503), always(101)]
)
async def test_an_endless_wait_ends(target: Target, liar: Liar, behaviour: Behaviour) -> None:
    liar.answer = behaviour
    shown = await target.until(await target.negotiate())
    assert (shown["state"], shown["ended"]["code"]) == ("TERMINATED", "no-answer")
    await target.alive()


@pytest.mark.parametrize("said", ["FINALIZED", "AGREED", "VERIFIED", "COMPLETED", "STARTED", "MADE-UP", "", None, 7])
async def test_a_state_that_the_peer_makes_up_brings_no_contract(target: Target, liar: Liar, said: object) -> None:
    """A request is taken, our counter-offer refused, and the peer's own state is a lie: there is no agreement to bind."""

    async def answer(request: web.Request, message: Json) -> web.StreamResponse:
        if request.method == "GET":
            body = {"providerPid": "other", "consumerPid": "another", "state": said}
            return web.json_response({"@context": [CONTEXT], "@type": "ContractNegotiation", **body})
        if request.path.endswith("negotiations/request"):
            return await polite(request, message)
        return web.Response(status=400)

    liar.answer = answer
    process_id = await target.negotiate()
    await target.until(process_id, "REQUESTED")
    assert (await target.own("POST", f"/processes/{process_id}/terminate", {})).status == 200
    shown = await target.until(process_id)
    assert shown["state"] == "TERMINATED"
    assert await target.count("agreement") == 0
    assert (await target.own("POST", "/transfers", {"agreement": "a", "counterparty": LIAR})).status == 404
