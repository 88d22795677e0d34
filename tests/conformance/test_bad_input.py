"""Input that cannot be taken, over HTTP: each refusal is the protocol's error body with a stable code and a reason that helps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance import peer
from tests.conformance.conftest import INSURER_ADDRESS, MAX_BODY_BYTES, MAX_DEPTH
from tests.conformance.peer import Caller, check_refusal, message, pids
from tests.conformance.spoiling import CONTEXT, USE, Json

ERROR = "ContractNegotiationError"


def request(**changes: Any) -> Json:
    """A first request with members changed; None takes a member out."""
    right = peer.contract_request("d1", "offer-d1", INSURER_ADDRESS) | changes
    return {name: value for name, value in right.items() if value is not None}


def nested(depth: int) -> bytes:
    return json.dumps(request())[:-1].encode() + b', "x": ' + b"[" * depth + b"]" * depth + b"}"


OFFER = {"@type": "Offer", "@id": "offer-d1", "target": "d1", "permission": USE}
NUL = {"action": "use", "constraint": [{"leftOperand": "urn:a\0b", "operator": "eq", "rightOperand": "x"}]}

# what is sent, the status, the code, and a word that the reason must have
BODIES: dict[str, tuple[Json | bytes, int, str, str]] = {
    "oversized": (b'{"x": "' + b"y" * MAX_BODY_BYTES + b'"}', 413, "document-too-large", "larger"),
    "too deep": (nested(MAX_DEPTH), 400, "document-too-deep", "nested"),
    "far too deep": (nested(20_000), 400, "document-too-deep", "nested"),
    "empty": (b"", 400, "document-not-json", "JSON"),
    "cut off": (json.dumps(request()).encode()[:-9], 400, "document-not-json", "column"),
    "an array": (b"[]", 400, "document-not-json", "object"),
    "not UTF-8": (b'{"@type": "\xff"}', 400, "document-not-json", "JSON"),
    "a member twice": (b'{"@type": "a", "@type": "b"}', 400, "document-duplicate-member", "@type"),
    "another type": (message("TransferStartMessage", providerPid="a", consumerPid="b"), 400, "type-unexpected", "Expected"),
    "an unknown type": (message("CarRequestMessage"), 400, "type-unknown", "CarRequestMessage"),
    "no type": (request(**{"@type": None}), 400, "member-missing", "@type"),
    "no context": (request(**{"@context": None}), 400, "context-missing", "@context"),
    "an unknown context": (request(**{"@context": [CONTEXT, "https://a.example/c"]}), 400, "context-unknown", "a.example"),
    "a context to fetch": (request(**{"@context": ["file:///etc/passwd"]}), 400, "context-unknown", "known"),
    "an inline context": (request(**{"@context": [CONTEXT, {"code": "@type"}]}), 400, "context-inline", "context"),
    "no process id": (request(consumerPid=None), 400, "member-missing", "consumerPid"),
    "no offer": (request(offer=None), 400, "member-missing", "offer"),
    "an offer without rules": (request(offer=OFFER | {"permission": []}), 400, "member-invalid", "offer"),
    "a number for an id": (request(consumerPid=7), 400, "member-invalid", "consumerPid"),
    "a long id": (request(consumerPid="p" * 3000), 400, "member-invalid", "consumerPid"),
    "a NUL": (request(consumerPid="p\0"), 400, "text-invalid", "consumerPid"),
    "a NUL in a term": (request(offer=OFFER | {"permission": [NUL]}), 400, "text-invalid", "leftOperand"),
    "a NUL in a name": (request(offer=OFFER | {"permission": [{"action": "use", "u:\0": "x"}]}), 400, "text-invalid", "u:"),
    "a dataset that is not there": (request(offer=OFFER | {"target": "d9"}), 400, "dataset-unknown", "catalogue"),
    "an offer that is not there": (request(offer=OFFER | {"@id": "offer-d2"}), 400, "offer-unknown", "catalogue"),
}


@pytest.mark.parametrize("case", BODIES)
async def test_a_body_that_cannot_be_taken(insurer: Caller, case: str) -> None:
    body, status, code, word = BODIES[case]

    answer = await insurer.post("/negotiations/request", body)

    reason = check_refusal(answer, ERROR, status, code)
    assert word in reason
    assert len(reason) < 600


async def test_a_body_of_another_media_type(insurer: Caller) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = await insurer.post("/negotiations/request", request(), Content_Type=media_type)
        check_refusal(answer, ERROR, 400, "media-type")
    linked = await insurer.post("/negotiations/request", request(), Content_Type="application/ld+json; charset=utf-8")
    assert linked.status == 201


async def test_members_that_we_do_not_know_are_left_alone(insurer: Caller) -> None:
    for more in ({"note": "hello", "x-note": {"deep": [1, 2]}}, {"https://a.example/note": "hello"}):
        assert (await insurer.post("/negotiations/request", request() | more)).status == 201
    coloured = OFFER | {"https://a.example/colour": "red"}
    assert (await insurer.post("/negotiations/request", request(offer=coloured))).status == 201


async def test_transfers_that_cannot_be_had(insurer: Caller) -> None:
    right = peer.transfer_request("agreement-1", INSURER_ADDRESS)
    address = {"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP", "endpoint": "http://a.example/"}
    for change, code in (
        ({"agreementId": "agreement-9"}, "agreement-unknown"),
        ({"format": "Kafka-PULL"}, "format-unsupported"),
        ({"dataAddress": address}, "data-address-unexpected"),
    ):
        check_refusal(await insurer.post("/transfers/request", right | change), "TransferError", 400, code)


async def test_a_message_that_the_state_does_not_allow(insurer: Caller) -> None:
    begun = await insurer.post("/negotiations/request", request())
    path, named = f"/negotiations/{begun.json['providerPid']}", pids(begun)

    for below, name, more in (
        ("agreement/verification", "ContractAgreementVerificationMessage", {}),
        ("events", "ContractNegotiationEventMessage", {"eventType": "ACCEPTED"}),
        ("events", "ContractNegotiationEventMessage", {"eventType": "FINALIZED"}),
        ("request", "ContractRequestMessage", {"offer": OFFER}),
        ("offers", "ContractOfferMessage", {"offer": OFFER}),
    ):
        answer = await insurer.post(f"{path}/{below}", message(name, **named, **more))
        reason = check_refusal(answer, ERROR, 400, "illegal-transition")
        assert "REQUESTED" in reason
        assert "allowed now: TERMINATION" in reason
        assert pids(answer) == named
    assert (await insurer.get(path)).json["state"] == "REQUESTED"


async def test_a_message_after_the_end(insurer: Caller) -> None:
    begun = await insurer.post("/transfers/request", peer.transfer_request("agreement-1", INSURER_ADDRESS))
    path, named = f"/transfers/{begun.json['providerPid']}", pids(begun)
    assert (await insurer.post(f"{path}/termination", message("TransferTerminationMessage", **named))).status == 200

    for below in ("start", "suspension", "completion", "termination"):
        late = message(f"Transfer{below.capitalize()}Message", **named, code="late")
        reason = check_refusal(await insurer.post(f"{path}/{below}", late), "TransferError", 400, "illegal-transition")
        assert "allowed now: nothing" in reason


async def test_a_refused_message_stays_refused(insurer: Caller) -> None:
    begun = await insurer.post("/transfers/request", peer.transfer_request("agreement-1", INSURER_ADDRESS))
    path, named = f"/transfers/{begun.json['providerPid']}", pids(begun)
    early = message("TransferCompletionMessage", **named)

    reasons = [
        check_refusal(await insurer.post(f"{path}/completion", early), "TransferError", 400, "illegal-transition")
        for _ in range(2)
    ]

    assert reasons[0] == reasons[1]


async def test_a_message_of_another_process(insurer: Caller) -> None:
    one, other = [await insurer.post("/negotiations/request", request()) for _ in range(2)]
    path = f"/negotiations/{one.json['providerPid']}/termination"
    name = "ContractNegotiationTerminationMessage"

    for wrong in (pids(other), pids(one) | {"consumerPid": "urn:uuid:another"}, pids(one) | {"providerPid": "urn:uuid:another"}):
        check_refusal(await insurer.post(path, message(name, **wrong)), ERROR, 400, "pid-mismatch")


async def test_an_id_that_names_two_messages(insurer: Caller) -> None:
    one, other = [await insurer.post("/negotiations/request", request()) for _ in range(2)]
    ending = message("ContractNegotiationTerminationMessage", **pids(one))
    assert (await insurer.post(f"/negotiations/{one.json['providerPid']}/termination", ending)).status == 200

    again = await insurer.post(f"/negotiations/{other.json['providerPid']}/termination", ending | pids(other))

    check_refusal(again, ERROR, 400, "message-id-reused")


async def test_an_endpoint_that_is_not_there(insurer: Caller) -> None:
    for method, path in (("GET", "/negotiations"), ("POST", "/negotiations/a/b/c"), ("GET", "/nothing")):
        answer = await insurer.call(method, path)
        assert answer.status == 404
        assert answer.json["code"] == "path-unknown"


@pytest.mark.parametrize("path", ["/negotiations/%00", "/transfers/%00x", "/catalog/datasets/%00", "/negotiations/%ff%fe"])
async def test_an_id_that_no_database_takes(insurer: Caller, path: str) -> None:
    assert (await insurer.get(path)).status == 404
