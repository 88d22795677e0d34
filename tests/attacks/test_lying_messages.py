"""A peer with a valid token sends what it should not, all at once or out of order."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest
from aiohttp import web

from tests.attacks.target import DEADLINE_S, LIAR, OTHER, US, Liar, Target
from tests.conformance.peer import contract_request, message
from tests.conformance.spoiling import USE, Json


def agreement(**changes: object) -> Json:
    """The agreement that we would take."""
    members = {"@id": "urn:agreement:1", "@type": "Agreement", "target": "theirs", "assigner": LIAR, "assignee": US}
    return {**members, "timestamp": "2026-01-31T12:00:00Z", "permission": USE, **changes}


def of(process_id: str, name: str, **members: object) -> Json:
    """A message of a provider in a process that we began."""
    return message(name, consumerPid=process_id, providerPid=f"peer:{process_id}", **members)


async def requested(target: Target) -> str:
    """A negotiation that the liar has taken."""
    process_id = await target.negotiate()
    await target.until(process_id, "REQUESTED")
    return process_id


async def test_the_same_first_request_twenty_times_is_one_process(target: Target, liar: Liar) -> None:
    request = contract_request("ours", "urn:offer:ours", liar.address)
    answers = await asyncio.gather(*(target.callers[LIAR].post("/negotiations/request", request) for _ in range(20)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["providerPid"] for answer in answers}) == 1
    assert await target.count("process") == 1


async def test_one_process_id_for_twenty_requests_is_one_process(target: Target, liar: Liar) -> None:
    requests = [contract_request("ours", "urn:offer:ours", liar.address) | {"consumerPid": "the-same"} for _ in range(20)]
    for number, request in enumerate(requests):
        request["offer"]["permission"] = [{"action": f"use{number}"}]
    answers = await asyncio.gather(*(target.callers[LIAR].post("/negotiations/request", request) for request in requests))
    assert Counter(answer.status for answer in answers) == {201: 1, 400: 19}
    assert {answer.json["code"] for answer in answers if answer.status == 400} == {"pid-reused"}
    assert await target.count("process") == 1


async def test_one_message_id_for_twenty_requests_is_one_process(target: Target, liar: Liar) -> None:
    requests = [contract_request("ours", "urn:offer:ours", liar.address) | {"@id": "the-same"} for _ in range(20)]
    answers = await asyncio.gather(*(target.callers[LIAR].post("/negotiations/request", request) for request in requests))
    assert Counter(answer.status for answer in answers) == {201: 1, 400: 19}
    assert await target.count("process") == 1


async def test_a_message_id_of_another_process_moves_nothing(target: Target) -> None:
    one, two = await requested(target), await requested(target)
    ended = of(one, "ContractNegotiationTerminationMessage")
    again = of(two, "ContractNegotiationTerminationMessage") | {"@id": ended["@id"]}
    call = target.callers[LIAR].post
    assert (await call(f"/negotiations/{one}/termination", ended)).status == 200
    assert (await call(f"/negotiations/{two}/termination", again)).status == 400
    assert (await target.process(two))["state"] == "REQUESTED"


async def test_finalized_too_early_is_refused(target: Target) -> None:
    process_id = await requested(target)
    event = of(process_id, "ContractNegotiationEventMessage", eventType="FINALIZED")
    answer = await target.callers[LIAR].post(f"/negotiations/{process_id}/events", event)
    assert (answer.status, answer.json["code"]) == (400, "illegal-transition")
    assert (await target.process(process_id))["state"] == "REQUESTED"


@pytest.mark.parametrize(
    "changes",
    [
        {"assigner": OTHER},
        {"assignee": OTHER},
        {"target": "another"},
        {"permission": [{"action": "sell"}]},
        {"prohibition": USE},
        {"obligation": [{"action": "pay"}]},
        {"profile": "urn:of-another-world"},
        {"@id": "a\0b"},
        {"@id": "x" * 10_000},
    ],
    ids=str,
)
async def test_an_agreement_on_something_else_binds_nobody(target: Target, changes: Json) -> None:
    process_id = await requested(target)
    offered = of(process_id, "ContractAgreementMessage", agreement=agreement(**changes))
    answer = await target.callers[LIAR].post(f"/negotiations/{process_id}/agreement", offered)
    assert answer.status == 400, answer.body
    assert (await target.process(process_id))["state"] == "REQUESTED"
    assert await target.count("agreement") == 0


async def test_a_process_is_nobody_elses(target: Target) -> None:
    """Not with the right ids, not with an agreement: who is not the counterparty sees nothing there."""
    process_id = await requested(target)
    for path, sent in (
        ("agreement", of(process_id, "ContractAgreementMessage", agreement=agreement())),
        ("termination", of(process_id, "ContractNegotiationTerminationMessage")),
    ):
        assert (await target.callers[OTHER].post(f"/negotiations/{process_id}/{path}", sent)).status == 404
    assert (await target.process(process_id))["state"] == "REQUESTED"


async def transferring(target: Target, **more: str) -> str:
    """A transfer under an agreement with the liar, which has taken the request."""
    process_id = await requested(target)
    call = target.callers[LIAR].post
    offered = of(process_id, "ContractAgreementMessage", agreement=agreement(**{"@id": f"urn:agreement:{process_id}"}))
    assert (await call(f"/negotiations/{process_id}/agreement", offered)).status == 200
    await target.until(process_id, "VERIFIED")
    event = of(process_id, "ContractNegotiationEventMessage", eventType="FINALIZED")
    assert (await call(f"/negotiations/{process_id}/events", event)).status == 200
    asked = await target.own("POST", "/transfers", {"agreement": f"urn:agreement:{process_id}", **more})
    assert asked.status == 201, asked.body
    await target.until(asked.json["id"], "REQUESTED")
    return str(asked.json["id"])


def called(liar: Liar) -> int:
    """How often it was called, but for what follows from the agreement by itself: a greeting, to learn what it takes."""
    return len([path for _, path, _ in liar.got if not path.endswith("/carnet/messages")])


ADDRESSES: dict[str, Json] = {
    "private": {"endpoint": "http://169.254.169.254/latest/meta-data"},
    "a file": {"endpoint": "file:///etc/passwd"},
    "none": {},
    "no URL": {"endpoint": "\n\0"},
    "many properties": {"endpointProperties": [{"@type": "EndpointProperty", "name": "a", "value": "b"}] * 1000},
}


@pytest.mark.parametrize("members", ADDRESSES.values(), ids=ADDRESSES)
async def test_a_data_address_is_only_kept(target: Target, liar: Liar, members: Json) -> None:
    """A consumer without a sink calls nobody; its owner sees what the peer said, on a path of its own."""
    process_id = await transferring(target)
    calls = called(liar)
    address = {"@type": "DataAddress", "endpointType": "HttpData", **members}
    answer = await target.callers[LIAR].post(
        f"/transfers/{process_id}/start", of(process_id, "TransferStartMessage", dataAddress=address)
    )
    assert answer.status in (200, 400), answer.body
    shown = await target.process(process_id)
    assert shown["state"] == ("STARTED" if answer.status == 200 else "REQUESTED")
    assert "169.254" not in str(shown)
    assert called(liar) == calls
    await target.alive()


async def test_a_flood_of_requests_leaves_others_alone(target: Target, liar: Liar) -> None:
    """Hundreds of first requests at once, each of which has us send a message that is never answered."""

    async def silent(_: web.Request, __: Json) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    liar.answer = silent
    requests = [contract_request("ours", "urn:offer:ours", liar.address) for _ in range(400)]
    flood = asyncio.gather(*(target.callers[LIAR].post("/negotiations/request", request) for request in requests))
    for _ in range(5):
        await target.alive()
    assert Counter(answer.status for answer in await flood) == {201: 400}
    async with asyncio.timeout(DEADLINE_S):
        assert (await target.own("GET", "/status")).json["outboxPending"] <= 400
    await target.alive()


def greeting(**members: str) -> Json:
    """A hello of the liar."""
    body = {"participantId": LIAR, "protocol": "2025-1", "software": "x", "issuedAt": "2026-01-31T12:00:00Z", **members}
    return {"@context": ["https://w3id.org/carnet/peer/v1/context.jsonld"], "@type": "Hello", **body}


async def test_nobody_greets_in_anothers_name(target: Target) -> None:
    answer = await target.callers[LIAR].post("/carnet/messages", greeting(messageId="1", participantId=OTHER))
    assert (answer.status, answer.json["code"]) == (400, "wrong-party")
    assert await target.count("capability") == 0


async def test_a_hundred_greetings_are_not_a_hundred_answers(target: Target, liar: Liar) -> None:
    """While an answer waits for the peer, another greeting does not add one."""

    async def away(_: web.Request, __: Json) -> web.StreamResponse:
        return web.Response(status=503)

    liar.answer = away
    call = target.callers[LIAR].post
    answers = [await call("/carnet/messages", greeting(messageId=f"m{number}")) for number in range(100)]
    assert {answer.status for answer in answers} == {200}
    assert await target.count("outbox") <= 2
    assert await target.count("capability") == 1
    await target.alive()


async def test_a_message_of_a_newer_peer_is_refused_with_what_is_known(target: Target) -> None:
    answer = await target.callers[LIAR].post("/carnet/messages", greeting(messageId="1") | {"@type": "CheckpointWitness"})
    assert (answer.status, answer.json["code"]) == (400, "message-unknown")
    assert "ErasureNotice" in str(answer.json["reason"])
    await target.alive()


@pytest.mark.parametrize("signed", ["", "a.b", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "a" * 300_000, 7, {"payload": "e30"}])
@pytest.mark.parametrize("kind", ["Receipt", "ReceiptAnswer", "ErasureNotice", "ErasureAttestation", "AgreementSignature"])
async def test_what_only_looks_signed_is_refused(target: Target, kind: str, signed: object) -> None:
    lie = greeting(messageId="1") | {"@type": kind, "signed": signed}
    answer = await target.callers[LIAR].post("/carnet/messages", lie)
    assert answer.status in (400, 413)
    assert (await target.count("receipt"), await target.count("duty")) == (0, 0)


@pytest.mark.parametrize("token", [b"\xff\xfe", b"\xc3\x28", b"x" * 7000, "ключ".encode()])
async def test_a_token_of_odd_bytes_is_unknown(target: Target, token: bytes) -> None:
    host, _, port = target.running.protocol_url.split("/")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = b"GET /dsp/2025-1/negotiations/1 HTTP/1.1\r\nHost: us\r\nConnection: close\r\nAuthorization: Bearer "
    writer.write(head + token + b"\r\n\r\n")
    async with asyncio.timeout(DEADLINE_S):
        answer = await reader.read()
    writer.close()
    assert answer.startswith((b"HTTP/1.1 401", b"HTTP/1.1 400")), answer
    await target.alive()


async def test_who_hangs_up_before_the_answer_is_no_incident(target: Target, liar: Liar) -> None:
    """The request counts all the same: what follows from it is sent."""
    host, _, port = target.running.protocol_url.split("/")[2].partition(":")
    for _ in range(20):
        body = json.dumps(contract_request("ours", "urn:offer:ours", liar.address)).encode()
        _, writer = await asyncio.open_connection(host, int(port))
        head = "POST /dsp/2025-1/negotiations/request HTTP/1.1\r\nHost: us\r\n"
        head += f"Authorization: Bearer {target.callers[LIAR].token}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.transport.abort()
    await target.alive()
