"""Who has shown who it is and no more: what it sees, what it can find out, and what it says of itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from connector.flow import publish
from tests.attacks.cases import NEW
from tests.attacks.conftest import Lines
from tests.attacks.forge import Key
from tests.attacks.misuse import CATALOG
from tests.attacks.stand import BASE, PARTIES, Party, Seen, Stand, made_stand, standing
from tests.attacks.target import Liar
from tests.conformance.peer import contract_request, message
from tests.conformance.spoiling import USE, Json

STRANGER, CONSUMER = PARTIES["newcomer"], PARTIES["consumer"]
NOWHERE: Final = "nowhere"


@pytest.fixture
async def stand(tmp_path: Path, lines: Lines, liar: Liar) -> AsyncIterator[Stand]:
    """A connector with a dataset for all beside the one for admitted participants."""
    async with standing(await made_stand(tmp_path / "us", liar, {"quota.unverified_burst": "40"}), liar) as running:
        offer = [{"@id": "urn:offer:open", "permission": USE}]
        context = running.target.running.context
        await publish.publish(context, "open", title="", source="open.csv", offers=offer, open_to="all")
        yield running


async def got(stand: Stand, party: Party, path: str) -> Seen:
    """A GET, with everything that it needs."""
    token, nonce = stand.access(party).good, await stand.fresh_nonce()
    return await stand.read(token, stand.proof(party, "GET", path, token, nonce=nonce).good, path=path)


async def posted(stand: Stand, party: Party, path: str, document: Json) -> Seen:
    """A POST, with everything that it needs."""
    token = stand.access(party).good
    proof = stand.proof(party, "POST", path, token).good
    return await stand.call("POST", path, [("Authorization", f"DPoP {token}"), ("DPoP", proof)], document)


async def test_a_stranger_sees_what_is_open_to_all(stand: Stand) -> None:
    seen = {}
    for party in (STRANGER, CONSUMER):
        token, nonce = stand.access(party).good, await stand.fresh_nonce()
        answer = await stand.read(token, stand.proof(party, "POST", CATALOG, token, nonce=nonce).good)
        seen[party.id] = {each["@id"] for each in answer.json["dataset"]}
    assert seen == {STRANGER.id: {"open"}, CONSUMER.id: {"open", "ours"}}
    assert (await got(stand, STRANGER, f"{BASE}/catalog/datasets/open")).status == 200


async def test_what_is_closed_looks_like_what_is_not_there(stand: Stand) -> None:
    """Nothing in the answer tells the two apart: neither status nor text."""
    closed, absent = [await got(stand, STRANGER, f"{BASE}/catalog/datasets/{name}") for name in ("ours", NOWHERE)]
    assert closed.status == absent.status == 404
    assert alike(closed, "ours") == alike(absent, NOWHERE)
    asked = []
    for name in ("ours", NOWHERE):
        request = contract_request(name, f"urn:offer:{name}", stand.target.liar.address) | {
            "@id": "urn:m",
            "consumerPid": "urn:p",
        }
        asked.append(await posted(stand, STRANGER, NEW, request))
    assert asked[0].status == asked[1].status == 400
    assert alike(asked[0], "ours") == alike(asked[1], NOWHERE)
    opened = contract_request("open", "urn:offer:open", stand.target.liar.address)
    assert (await posted(stand, STRANGER, NEW, opened)).status == 201


async def test_what_is_another_s_looks_like_what_is_not_there(stand: Stand) -> None:
    pid = str((await stand.changed_by(CONSUMER)).json["providerPid"])
    other = pid[:-4] + ("0000" if pid[-4:] != "0000" else "1111")
    theirs, absent = [await got(stand, STRANGER, f"{BASE}/negotiations/{each}") for each in (pid, other)]
    assert theirs.status == absent.status == 404
    assert alike(theirs, pid) == alike(absent, other)
    ended = message("ContractNegotiationTerminationMessage", providerPid=pid, consumerPid="urn:p") | {"@id": "urn:m"}
    answers = [
        await posted(stand, STRANGER, f"{BASE}/negotiations/{each}/termination", {**ended, "providerPid": each})
        for each in (pid, other)
    ]
    assert answers[0].status == answers[1].status == 404
    assert alike(answers[0], pid) == alike(answers[1], other)


def alike(seen: Seen, name: str) -> str:
    """The answer with what was asked for taken out of it."""
    headers = {key: value for key, value in seen.headers.items() if key not in ("date", "content-length")}
    return json.dumps([seen.json, headers], sort_keys=True).replace(name, "it")


async def test_a_stranger_has_little_of_everything(stand: Stand) -> None:
    answers = [await posted(stand, STRANGER, NEW, {}) for _ in range(60)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert (await stand.changed_by(CONSUMER)).status == 201


async def test_what_a_participant_says_of_itself_is_not_believed(stand: Stand) -> None:
    """Not in its assertion, not in the form, not in a message."""
    claims: Json = {"kind": "public-body", "membership": ["all"], "claims": {"kind": "public-body"}, "admitted": True}
    said = stand.assertion(STRANGER).with_claims(**claims)
    form = [*stand.form(said), *((name, str(value)) for name, value in claims.items())]
    answer = await stand.ask(form, stand.token_proof(STRANGER).good)
    assert answer.status == 200, answer.body
    token = answer.json["access_token"]
    entry = await stand.target.running.context.registry.store.participant(STRANGER.id)
    assert entry is not None
    assert (entry.state.value, entry.claims.kind, entry.vouched_by) == ("unverified", None, None)
    nonce = await stand.fresh_nonce()
    page = await stand.read(token, stand.proof(STRANGER, "POST", CATALOG, token, nonce=nonce).good)
    assert [each["@id"] for each in page.json["dataset"]] == ["open"]


@pytest.mark.parametrize("claims", [{"admitted": True}, {"state": "admitted"}, {"participant": "x"}, {"claims": {"kind": "sme"}}])
async def test_no_claim_of_a_token_admits_anybody(stand: Stand, claims: Json) -> None:
    """Not even of one that we have signed: the registry says where somebody stands."""
    token = stand.access(STRANGER).with_claims(**claims)
    proof = stand.proof(STRANGER, "GET", f"{BASE}/catalog/datasets/ours", token, nonce=await stand.fresh_nonce()).good
    assert (await stand.read(token, proof, path=f"{BASE}/catalog/datasets/ours")).status == 404


# -- what the owner writes down -------------------------------------------------------------------------------------------


def _keys() -> dict[str, tuple[Any, str]]:
    key = Key("k")
    return {
        "private": (key.private_jwk, "d"),
        "symmetric": ({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}, "k"),
        "empty": ({}, ""),
        "off the curve": ({**key.jwk, "y": key.jwk["x"]}, ""),
        "for encryption": ({**key.jwk, "use": "enc"}, ""),
    }


@pytest.mark.parametrize("name", _keys())
async def test_a_key_that_is_none_is_not_pinned_and_not_repeated(stand: Stand, name: str, lines: Lines) -> None:
    jwk, secret = _keys()[name]
    body = {"id": "did:web:new.example", "profile": {"keys": [jwk]}, "vouched_by": "the board"}
    answer = await stand.target.own("POST", "/peers", body)
    assert answer.status == 400, answer.body
    found = await stand.target.own("GET", "/peers/did:web:new.example")
    assert found.status == 404
    if secret:
        assert jwk[secret] not in answer.body.decode()
        assert jwk[secret] not in repr(lines)


async def test_nobody_is_written_down_in_our_own_name(stand: Stand) -> None:
    """Else who holds its key could speak to us as ourselves."""
    us = stand.settings.participant_id
    answer = await stand.target.own("POST", "/peers", {"id": us, "profile": {"keys": [Key("k").jwk]}, "vouched_by": "me"})
    assert (answer.status, answer.json["code"]) == (400, "participant-self")
