"""A clumsy or hostile program on the owner's channel: refused in its own words, and nothing else comes to harm."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.attacks.target import LIAR, OFFER, Target
from tests.conformance.peer import contract_request
from tests.conformance.spoiling import USE, Json

CREATING = ("/datasets", "/catalog", "/negotiations", "/transfers")
BAD_BODIES: dict[str, Any] = {
    "no JSON": b"{",
    "a list": [],
    "deep": b"[" * 100_000,
    "large": b'"' + b"x" * 1_048_570 + b'"',
    "nothing known": {"a": 1},
    "of the wrong types": {"counterparty": 1, "dataset": [], "offer": "x", "agreement": None, "id": {}, "file": 7},
    "broken letters": b'{"counterparty": "\xff"}',
    "half a letter": b'{"counterparty": "\\ud800"}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_body_that_says_nothing_is_refused(target: Target, body: Any) -> None:
    for path in CREATING:
        answer = await target.own("POST", path, body)
        assert answer.status in (400, 413), (path, answer.status, answer.body[:300])
        assert answer.json["detail"]
    assert await target.count("process") == 0


ODD_IDS = ("nobody", "%00", "a%2Fb", "%2e%2e", "%ff", "%F0%9F%9A%97", "x" * 6000, "'; DROP TABLE process; --")


@pytest.mark.parametrize("odd", ODD_IDS, ids=lambda text: text[:12])
async def test_an_id_that_names_nothing_is_not_found(target: Target, odd: str) -> None:
    calls = [("GET", ""), ("GET", "/timeline"), *(("POST", f"/{act}") for act in ("accept", "agree", "start", "offer", "dance"))]
    for method, end in calls:
        for collection in ("negotiations", "transfers", "processes"):
            answer = await target.own(method, f"/{collection}/{odd}{end}", {} if method == "POST" else None)
            assert answer.status in (400, 404, 405), (collection, end, answer.status, answer.body[:200])
    for method, path in (
        ("GET", f"/agreements/{odd}"),
        ("DELETE", f"/datasets/{odd}"),
        ("POST", f"/dead-letters/{odd}/retry"),
        ("DELETE", f"/dead-letters/{odd}"),
        ("POST", f"/peers/{odd}/hello"),
        ("GET", f"/peers/{odd}/capabilities"),
        ("GET", f"/transfers/{odd}/data-address"),
    ):
        answer = await target.own(method, path)
        assert answer.status in (400, 404, 405), (path, answer.status, answer.body[:200])
    await target.alive()


@pytest.mark.parametrize(
    "query", ["after=x", "after=-1:a", "after=1:%00", "state=%00", "state=NONE", "after=99999999999999999:z"]
)
async def test_an_odd_page_is_empty_or_refused(target: Target, query: str) -> None:
    for collection in ("negotiations", "transfers", "agreements", "datasets"):
        answer = await target.own("GET", f"/{collection}?{query}")
        assert answer.status in (200, 400), (collection, answer.body)


ODD_OFFERS: dict[str, Json] = {
    "an id that is no text": {"@id": 5, "permission": USE},
    "an id that is a list": {"@id": ["a"], "permission": USE},
    "no permission": {"@id": "a"},
    "permission is a word": {"@id": "a", "permission": "use"},
    "permission is a number": {"@id": "a", "permission": 5},
    "a rule without an action": {"@id": "a", "permission": [{}]},
    "a long id": {"@id": "x" * 10_000, "permission": USE},
    "a NUL": {"@id": "a\0b", "permission": USE},
    "a context of its own": {"@id": "a", "@context": "http://169.254.169.254/", "permission": USE},
}


@pytest.mark.parametrize("offer", ODD_OFFERS.values(), ids=ODD_OFFERS)
async def test_a_request_with_an_odd_offer_is_refused_or_ends_with_a_reason(target: Target, offer: Json) -> None:
    body = {"counterparty": LIAR, "dataset": "theirs", "offer": offer}
    answer = await target.own("POST", "/negotiations", body)
    assert answer.status in (201, 400), answer.body[:300]
    if answer.status == 201:
        counter = await target.own("POST", f"/negotiations/{answer.json['id']}/offer", {"offer": offer})
        assert counter.status in (200, 400, 409), counter.body[:300]
    await target.alive()


async def test_acts_at_once_lead_to_one_end(target: Target) -> None:
    """Twenty of each at the same time: one termination is sent, whatever the others are told."""
    process_id = await target.negotiate()
    await target.until(process_id, "REQUESTED")
    acts = [
        target.own("POST", f"/processes/{process_id}/{act}", {}) for act in ("terminate", "suspend", "accept", "complete")
    ] * 1
    acts += [target.own("POST", f"/processes/{process_id}/terminate", {}) for _ in range(19)]
    acts += [target.own("POST", f"/processes/{process_id}/suspend", {}) for _ in range(19)]
    told = Counter(answer.status for answer in await asyncio.gather(*acts))
    assert (told[200], told[409]) == (1, 41)
    assert (await target.until(process_id))["state"] == "TERMINATED"
    assert [path.rsplit("/", 1)[-1] for _, path, _ in target.liar.got] == ["request", "termination"]


async def test_an_act_of_the_other_role_is_a_conflict(target: Target) -> None:
    answer = await target.callers[LIAR].post(
        "/negotiations/request", contract_request("ours", "urn:offer:ours", target.liar.address)
    )
    process_id = answer.json["providerPid"]
    for act in ("verify", "accept", "start", "resume", "complete", "suspend"):
        assert (await target.own("POST", f"/processes/{process_id}/{act}", {})).status == 409
    for act in ("dance", "delete"):
        assert (await target.own("POST", f"/processes/{process_id}/{act}", {})).status == 404


@pytest.mark.parametrize("sink", ["../x", "/etc/passwd", ".hidden", "", "a/b/c", "a/../b", ".a/b", "a/", "a\nb", "ä", "x" * 300])
async def test_a_sink_is_a_plain_name(target: Target, sink: str) -> None:
    answer = await target.own("POST", "/transfers", {"agreement": "a", "sink": sink})
    assert (answer.status, answer.json["code"]) == (400, "sink-invalid")


@pytest.mark.parametrize("address", ["http://169.254.169.254/", "http://user:pw@127.0.0.1/", "/x", "", "http://["])
async def test_an_address_that_is_not_the_peers_is_refused(target: Target, address: str) -> None:
    body = {"counterparty": LIAR, "dataset": "theirs", "offer": OFFER, "address": address}
    for path in ("/negotiations", "/catalog"):
        sent = body if path == "/negotiations" else {"counterparty": LIAR, "address": address}
        answer = await target.own("POST", path, sent)
        assert (answer.status, answer.json["code"]) == (400, "address-foreign")
    assert target.liar.got == []
