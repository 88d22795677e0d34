"""The Python client: types, pages, waiting, and what its errors carry; against a connector that says what a test wants."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connector.client import Away, Carnet, Declined, Offer, Process, Refused, Waited
from tests.client.speaking import Said, listening, process, speaking

OFFER = {"@id": "urn:uuid:9", "permission": [{"action": "use"}]}
AGREEMENT = {
    "id": "urn:uuid:2",
    "counterparty": "did:web:them",
    "role": "consumer",
    "negotiation": "urn:uuid:1",
    "dataset": "trips",
    "state": "binding",
    "createdAt": 7,
    "document": {"@id": "urn:uuid:2", "permission": []},
    "canonical": "{}",
    "signed": {"by": "both", "state": "countersigned", "sentence": "signed by both"},
}


async def test_what_is_told_is_typed_and_keeps_what_is_not_known_yet() -> None:
    told = process(redline=[{"kind": "added", "term": "t", "path": "", "sentence": "Added."}], decide_by=9, newer="member")
    async with speaking(Said((200, told))) as carnet:
        found = await carnet.process("urn:uuid:1")
    assert (found.state, found.provider_pid, found.decide_by, found.redline[0].sentence) == ("REQUESTED", None, 9, "Added.")
    assert found.document["newer"] == "member"
    with pytest.raises(AttributeError):
        found.state = "FINALIZED"  # type: ignore[misc]  # that it cannot be is what is tested


async def test_what_is_no_answer_of_a_connector_is_refused() -> None:
    async with speaking(Said((200, {"id": 7}))) as carnet:
        with pytest.raises(Refused) as caught:
            await carnet.process("urn:uuid:1")
    assert caught.value.code == "answer-invalid"


async def test_a_contract_is_its_terms_and_who_has_signed() -> None:
    async with speaking(Said((200, AGREEMENT))) as carnet:
        found = await carnet.agreement("urn:uuid:2")
    assert (found.terms["@id"], found.signed.by, found.created_at) == ("urn:uuid:2", "both", 7)


async def test_lists_are_read_page_by_page_as_they_are_gone_through() -> None:
    said = Said((200, [AGREEMENT, AGREEMENT | {"id": "urn:uuid:3", "createdAt": 8}]), (200, []))
    async with speaking(said) as carnet:
        rows = carnet.agreements()
        assert (await anext(rows)).id == "urn:uuid:2"
        assert len(said.asked) == 1
        assert [row.id async for row in rows] == ["urn:uuid:3"]
    assert said.asked[1] == "GET /carnet/v1/agreements?after=8%3Aurn%3Auuid%3A3"


async def test_what_waits_is_read_to_its_end() -> None:
    row = {
        "id": "urn:uuid:1", "kind": "negotiation", "role": "provider", "state": "REQUESTED", "counterparty": "did:web:them",
        "subject": "trips", "step": "decide-counter-offer", "since": 5, "decideBy": None, "proposedBy": None, "changes": 2,
        "rule": {"roles": ["operator"], "eyes": 2, "deadline_s": None, "origin": "offer"}, "version": 3,
        "approvals": [{"caller": "key:a", "role": "operator", "at": 6}],
        "may": {"approve": False, "code": "approval-given", "reason": "you have"},
    }  # fmt: skip
    said = Said((200, [row]), (200, []), link='</carnet/v1/approvals?after=5%3Aurn%3Auuid%3A1>; rel="next"')
    async with speaking(said) as carnet:
        (found,) = [each async for each in carnet.approvals()]
    assert (found.rule.eyes, found.approvals[0].caller, found.may.approve, found.changes) == (2, "key:a", False, 2)
    assert said.asked == ["GET /carnet/v1/approvals", "GET /carnet/v1/approvals?after=5%3Aurn%3Auuid%3A1"]


async def test_a_link_that_leads_elsewhere_is_not_followed() -> None:
    for link in (
        "<https://elsewhere.example/carnet/v1/offers?after=x>",
        "</carnet/v1/peers?after=x>",
        "</carnet/v1/offers/../x?y>",
    ):
        said = Said((200, []), link=f'{link}; rel="next"')
        async with speaking(said) as carnet:
            assert [each async for each in carnet.offers()] == []
        assert len(said.asked) == 1


async def test_a_person_says_yes_no_or_something_else() -> None:
    said = Said((200, process(2, "FINALIZED")))
    async with speaking(said) as carnet:
        found = await carnet.approve("urn:uuid:1", "as agreed", version=3)
        await carnet.reject(found, "not for sale")
        await carnet.counter("urn:uuid:1", Offer.of(OFFER))
    assert [each.rpartition("/")[2] for each in said.asked] == ["approve", "reject", "counter"]
    assert said.bodies == [{"comment": "as agreed", "version": 3}, {"reason": "not for sale"}, {"offer": OFFER}]


async def test_what_may_be_asked_twice_is_done_once() -> None:
    said = Said((201, process()))
    async with speaking(said) as carnet:
        await carnet.negotiate("did:web:them", "trips", OFFER, once="job-17")
        await carnet.negotiate("did:web:them", "trips", OFFER)
    assert [each.get("Idempotency-Key") for each in said.headers] == ["job-17", None]


async def test_waiting_gives_what_was_waited_for_or_says_that_it_goes_on() -> None:
    said = Said(*((200, process(version, state)) for version, state in ((1, "REQUESTED"), (2, "AGREED"), (3, "FINALIZED"))))
    seen: list[str] = []
    async with speaking(said) as carnet:
        found = await carnet.wait("urn:uuid:1", within_s=5, seen=lambda now: seen.append(now.state))
    assert (found.over, seen) == (True, ["REQUESTED", "AGREED", "FINALIZED"])
    async with speaking(Said((200, process()))) as carnet:
        with pytest.raises(Waited) as caught:
            await carnet.wait("urn:uuid:1", within_s=0)
    assert caught.value.code == "still-waiting"


async def test_a_deal_that_comes_to_nothing_carries_every_reason() -> None:
    ended = {"by": "provider", "code": "policy-denied", "reason": ["not for this purpose", "not for you"]}
    said = Said((201, process(0, "INITIAL")), (200, process(2, "TERMINATED", ended=ended)))
    async with speaking(said) as carnet:
        with pytest.raises(Declined) as caught:
            await carnet.contract("did:web:them", "trips", offer=OFFER)
    assert caught.value.explanation == ("not for this purpose", "not for you")
    assert (caught.value.code, Process.of(caught.value.process).over) == ("policy-denied", True)
    assert caught.value.remedy


async def test_a_refusal_carries_code_detail_findings_explanation_and_remedy() -> None:
    findings = [{"path": "/offers/0", "sentence": "nobody keeps it", "code": "no-point", "remedy": "leave it out"}]
    problem = {"code": "policy-unenforceable", "detail": "nothing was published: it cannot be kept", "findings": findings}
    async with speaking(Said((400, problem))) as carnet:
        with pytest.raises(Refused) as caught:
            await carnet.publish("trips", "trips.csv", offers=[OFFER])
    told = caught.value
    assert (told.status, told.code, told.detail) == (400, "policy-unenforceable", problem["detail"])
    assert (told.explanation, told.remedy, told.findings) == (("nobody keeps it",), "leave it out", findings)
    async with speaking(Said((409, {"code": "changed-meanwhile", "detail": "it has changed; look again"}))) as carnet:
        with pytest.raises(Refused) as caught:
            await carnet.approve("urn:uuid:1")
    assert (caught.value.sentence, caught.value.remedy) == ("it has changed", "look again")


@pytest.mark.parametrize(("table", "sent"), [(False, None), (True, {}), ({"personal": False}, {"personal": False})])
async def test_a_table_is_published_as_it_was_said(table: bool | dict[str, object], sent: object) -> None:
    record = {"@id": "trips", "dct:title": [{"@language": "de", "@value": "Fahrten"}], "hasPolicy": [OFFER]}
    releases = [{"policy": 0, "permission": 0, "level": "L1", "sentences": ["One."], "problems": []}]
    said = Said((201, {"dataset": record, "source": {"bytes": 3}, "releases": releases}))
    async with speaking(said) as carnet:
        found = await carnet.publish("trips", Path("/data/trips.csv"), table=table)
    assert said.bodies[0].get("table") == sent
    assert found.dataset is not None
    assert (found.dataset.title, found.dataset.offers[0].id, found.releases[0].sentences) == ("Fahrten", "urn:uuid:9", ("One.",))


async def test_a_key_is_shown_and_travels_openly_to_nobody_elsewhere() -> None:
    said = Said((200, {"participantId": "did:web:us", "outboxPending": 0, "dataPlane": True}))
    async with listening(said.handle) as url, Carnet(url, key="carnet_a_b") as carnet:
        assert (await carnet.status()).participant_id == "did:web:us"
    assert said.headers[0]["Authorization"] == "Bearer carnet_a_b"
    for url in ("http://carnet.example.com:8181", "http://127.0.0.1.example.com"):
        with pytest.raises(Away, match="address-open"):
            Carnet(url, key="carnet_a_b")
    with pytest.raises(Away, match="address-form"):
        Carnet("ftp://127.0.0.1", key="carnet_a_b")
    assert "carnet_a_b" not in repr(Carnet("https://carnet.example.com", key="carnet_a_b").documents.__dict__)


async def test_who_sends_us_elsewhere_is_no_connector() -> None:
    async with speaking(Said((307, b""))) as carnet:
        with pytest.raises(Refused, match="answer-invalid"):
            await carnet.status()


async def test_a_file_of_evidence_is_whole_or_not_there(tmp_path: Path) -> None:
    async with speaking(Said((200, b"PK..."))) as carnet:
        assert await carnet.evidence("urn:uuid:2", tmp_path / "e.zip") == 5
        with pytest.raises(FileExistsError):
            await carnet.evidence("urn:uuid:2", tmp_path / "e.zip")
    async with speaking(Said((404, {"code": "agreement-unknown", "detail": "there is none"}))) as carnet:
        with pytest.raises(Refused):
            await carnet.evidence("urn:uuid:2", tmp_path / "none.zip")
    assert os.listdir(tmp_path) == ["e.zip"]
