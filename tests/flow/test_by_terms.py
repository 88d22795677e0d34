"""Negotiation by terms: the provider agrees to what it has published or to less, refuses with reasons, or waits for a person."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from catalog.jsonld import normalise
from connector.flow import acts, agreeing, begin, deciding, publish, timers
from connector.flow.context import Choices
from connector.protocol.errors import CallerError, Conflict
from connector.protocol.messages import DSP_CONTEXT, Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, Message, State
from connector.store.rows import Grounds
from tests.flow.house import DATASET, OFFER, House, Street
from tests.flow.test_acceptance import negotiation, rest

VDX = "https://w3id.org/carnet/terms#"
DPV = "https://w3id.org/dpv#"


def when(left: str, operator: str, right: Any) -> Document:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def allows(*constraints: Document, **more: Any) -> Document:
    return {"permission": [{"action": "use", **({"constraint": list(constraints)} if constraints else {})}], **more}


RESEARCH = when("odrl:purpose", "isA", f"{DPV}ResearchAndDevelopment")
ACADEMIC = when("odrl:purpose", "eq", f"{DPV}ScientificResearch")
PUBLIC = when(f"{VDX}consumerKind", "isA", f"{VDX}PublicBody")


async def offered(street: Street, terms: Document) -> Document:
    """What the provider publishes."""
    offer = {**OFFER, **terms}
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[offer])
    return offer


async def asked(street: Street, offer: Document) -> tuple[Process, Process]:
    """Both sides of a negotiation about ``offer``, the provider's first, once nothing is on its way."""
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=offer)
    await rest(street)
    return await negotiation(street.provider), await negotiation(street.consumer)


async def remarks(house: House, process: Process) -> list[tuple[str, str | None]]:
    lines = await house.store.timeline(process.id)
    return [(line.what, line.note) for line in lines if line.what in ("decided", "waits for a person", "approved", "rejected")]


async def fire(street: Street, house: House, after_ms: int = 0) -> None:
    """Let the timers act that are due by then."""
    street.now += after_ms
    for timer in await house.store.timers_due(street.now_ms()):
        await timers.reached(house.context, timer)
    await rest(street)


async def test_a_buyer_that_narrows_the_purpose_gets_the_contract_for_that(street: Street) -> None:
    offer = await offered(street, allows(RESEARCH))
    ours, theirs = await asked(street, {**offer, **allows(ACADEMIC)})
    assert (ours.state, theirs.state) == (State.FINALIZED, State.FINALIZED)
    assert ours.detail.agreement is not None
    assert ours.detail.agreement["permission"] == allows(ACADEMIC)["permission"]
    assert [change["kind"] for change in ours.detail.redline] == ["narrowed"]
    assert ("decided", "permitted") in await remarks(street.provider, ours)


@pytest.mark.parametrize("operand", ["odrl:dateTime", "odrl:elapsedTime"])
async def test_what_an_agreement_has_no_place_for_is_not_lost_on_the_way(street: Street, operand: str) -> None:
    """An offer may say its conditions for all of its rules at once; an agreement without them would permit more."""
    until: Any = {"@value": "2100-01-01T00:00:00Z", "@type": "xsd:dateTime"} if operand == "odrl:dateTime" else "P30D"
    condition = when(operand, "lt", until)
    offer = await offered(street, allows(condition))
    hoisted = {name: value for name, value in offer.items() if name != "permission"}
    ours, theirs = await asked(street, {**hoisted, **allows(), "constraint": [condition]})
    assert (ours.state, ours.detail.agreement) == (State.TERMINATED, None)
    assert theirs.detail.ended is not None
    assert theirs.detail.ended.code == "policy-unreadable"
    assert "has no place" in theirs.detail.ended.reason[0]


async def test_others_have_their_turn_while_many_agreements_are_looked_at(street: Street, monkeypatch: Any) -> None:
    ours, _ = await asked(street, await offered(street, allows(ACADEMIC)))
    held = (orjson.dumps(ours.detail.agreement).decode(),) * 100

    async def many(*_: Any, **__: Any) -> Grounds:
        return Grounds(0, len(held), held)

    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(agreeing, "read_grounds", many)
    running = asyncio.create_task(others())
    verdict = await agreeing.judge_agreement(street.provider.context, ours, {})
    running.cancel()
    assert verdict.code is None
    assert turns >= 99


async def test_an_agreement_is_stored_with_its_terms_of_delivery(street: Street) -> None:
    until = when("odrl:dateTime", "lt", {"@value": "2100-01-01T00:00:00Z", "@type": "xsd:dateTime"})
    ours, theirs = await asked(street, await offered(street, allows(ACADEMIC, until)))
    for house, process in ((street.provider, ours), (street.consumer, theirs)):
        kept = await house.store.agreement_of(process.id)
        assert kept is not None
        delivery = orjson.loads(kept.delivery)
        assert [item["term"] for item in delivery["clocks"]] == ["http://www.w3.org/ns/odrl/2/dateTime"]
        assert (delivery["unkept"], delivery["problems"]) == ([], [])


async def test_a_buyer_without_the_claim_is_refused_with_reason_and_remedy(street: Street) -> None:
    ours, theirs = await asked(street, await offered(street, allows(PUBLIC)))
    assert (ours.state, theirs.state) == (State.TERMINATED, State.TERMINATED)
    assert theirs.detail.ended is not None
    assert theirs.detail.ended.code == "policy-denied"
    (reason,) = theirs.detail.ended.reason
    assert "claim" in reason
    ((what, note),) = await remarks(street.provider, ours)
    assert (what, (note or "")[:22]) == ("decided", "refused, policy-denied")


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param(allows(), id="without the purpose"),
        pytest.param(allows(when("odrl:purpose", "eq", f"{DPV}Marketing")), id="for another purpose"),
        pytest.param(allows(ACADEMIC, when(f"{VDX}exclusive", "eq", {"@value": "true", "@type": "xsd:boolean"})), id="alone"),
    ],
)
async def test_who_asks_for_more_waits_for_a_person_who_sees_the_redline(street: Street, terms: Document) -> None:
    offer = await offered(street, allows(RESEARCH))
    ours, _ = await asked(street, {**offer, **terms})
    assert (ours.state, ours.detail.pending) == (State.REQUESTED, "decide-counter-offer")
    assert ours.detail.redline
    assert all(change["sentence"] and change["term"] for change in ours.detail.redline)
    assert ours.detail.decide_by == ours.updated_at + street.provider.context.deadlines.decision_ms
    assert await remarks(street.provider, ours) == [("waits for a person", "decide-counter-offer")]


async def waiting(street: Street, terms: Document | None = None) -> Process:
    """The provider's negotiation in which a buyer asks for more than was published."""
    offer = await offered(street, allows(RESEARCH))
    ours, _ = await asked(street, {**offer, **(terms or allows())})
    assert ours.detail.pending == "decide-counter-offer"
    return ours


async def test_what_a_person_approves_becomes_the_contract(street: Street) -> None:
    ours = await waiting(street)
    await deciding.approve(street.provider.context, ours.id, "a good customer", seen=ours.version)
    await rest(street)
    found = await negotiation(street.provider)
    assert (found.state, found.detail.pending, found.detail.decide_by) == (State.FINALIZED, None, None)
    assert ("approved", "a good customer") in await remarks(street.provider, ours)
    await fire(street, street.provider, street.provider.context.deadlines.decision_ms)
    assert (await negotiation(street.provider)).state is State.FINALIZED


async def test_what_a_person_rejects_ends_with_the_comment(street: Street) -> None:
    ours = await waiting(street)
    await deciding.reject(street.provider.context, ours.id, "only for research")
    await rest(street)
    ended = (await negotiation(street.consumer)).detail.ended
    assert ended is not None
    assert (ended.code, ended.reason) == ("rejected", ["only for research"])
    assert ("rejected", "only for research") in await remarks(street.provider, ours)


async def test_nobody_approves_what_changed_or_does_not_wait(street: Street) -> None:
    ours = await waiting(street)
    with pytest.raises(Conflict, match="look again"):
        await deciding.approve(street.provider.context, ours.id, seen=ours.version - 1)
    await deciding.reject(street.provider.context, ours.id)
    with pytest.raises(Conflict, match="nothing waits"):
        await deciding.approve(street.provider.context, ours.id)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        (allows(when("https://other.example/mood", "eq", "good")), "policy-unenforceable"),
        (allows(when("odrl:count", "lteq", {"@value": "3", "@type": "xsd:integer"})), "policy-unenforceable"),
        (allows(PUBLIC), "policy-denied"),
        ({"permission": [{"action": "use", "constraint": [{"leftOperand": "odrl:purpose"}]}]}, "policy-unreadable"),
    ],
    ids=["unknown", "nobody enforces it", "not permitted", "unreadable"],
)
async def test_a_person_cannot_agree_to_what_cannot_be_kept(street: Street, terms: Document, code: str) -> None:
    ours = await waiting(street, terms)
    with pytest.raises(Conflict) as refusal:
        await deciding.approve(street.provider.context, ours.id)
    assert refusal.value.code == code
    assert (await negotiation(street.provider)).detail.pending == "decide-counter-offer"


async def test_what_nobody_decides_is_refused_when_its_time_is_over(street: Street) -> None:
    ours = await waiting(street)
    await fire(street, street.provider, street.provider.context.deadlines.decision_ms - 60_000)
    assert (await negotiation(street.provider)).state is State.REQUESTED
    await fire(street, street.provider, 60_000)
    ended = (await negotiation(street.consumer)).detail.ended
    assert ended is not None
    assert (ended.code, ended.reason) == ("decision-deadline", ["nobody decided before the deadline (decide-counter-offer)"])
    assert not await street.provider.store.timers_due(ours.updated_at + (1 << 50))


async def test_another_offer_gives_another_time_to_decide(street: Street) -> None:
    first = await waiting(street)
    theirs = await negotiation(street.consumer)
    await acts.offer(street.provider.context, first.id, allows(RESEARCH))
    await rest(street)
    street.now += 3_600_000
    await acts.offer(street.consumer.context, theirs.id, allows())
    await rest(street)
    second = await negotiation(street.provider)
    assert second.detail.pending == "decide-counter-offer"
    assert (second.detail.decide_by or 0) > (first.detail.decide_by or 0) + 3_600_000
    await fire(street, street.provider, (first.detail.decide_by or 0) - street.now)
    assert (await negotiation(street.provider)).detail.pending == "decide-counter-offer"
    await fire(street, street.provider, 3_600_000 + 60_000)
    assert (await negotiation(street.provider)).state is State.TERMINATED


async def test_what_was_withdrawn_meanwhile_is_left_to_a_person(street: Street) -> None:
    offer = await offered(street, allows(RESEARCH))
    ours, theirs = await asked(street, {**offer, **allows()})
    await acts.offer(street.provider.context, ours.id, allows(ACADEMIC))
    await rest(street)
    await publish.withdraw(street.provider.context, DATASET)
    await acts.offer(street.consumer.context, theirs.id, offer)
    await rest(street)
    ours = await negotiation(street.provider)
    assert (ours.state, ours.detail.pending) == (State.REQUESTED, "decide-counter-offer")


async def test_each_pending_step_can_be_approved(street: Street) -> None:
    """All by hand, on both sides, from the request to the data."""
    for house in (street.provider, street.consumer):
        house.context = replace(house.context, choices=Choices(decide=False, accept=False, verify=False, start=False))
    ours, theirs = await asked(street, await offered(street, allows()))
    assert ours.detail.pending == "decide-request"
    await acts.offer(street.provider.context, ours.id, allows(RESEARCH))
    await rest(street)
    for house, pending in (
        (street.consumer, "decide-offer"),
        (street.provider, "decide-agreement"),
        (street.consumer, "decide-verification"),
        (street.provider, "decide-finalization"),
    ):
        found = await negotiation(house)
        assert found.detail.pending == pending
        await deciding.approve(house.context, found.id)
        await rest(street)
    agreement = (await negotiation(street.consumer)).detail.agreement
    assert agreement is not None
    await begin.request_transfer(street.consumer.context, agreement_id=agreement["@id"])
    await rest(street)
    transfer = await street.provider.only(Kind.TRANSFER)
    assert transfer is not None
    assert (transfer.detail.pending, transfer.detail.decide_by) == ("decide-start", None)
    await deciding.approve(street.provider.context, transfer.id)
    await rest(street)
    transfer = await street.provider.only(Kind.TRANSFER)
    assert transfer is not None
    assert (transfer.state, transfer.detail.pending) == (State.STARTED, None)
    assert theirs.id == (await negotiation(street.consumer)).id


async def test_a_counter_offer_of_either_side_shows_what_it_changes(street: Street) -> None:
    ours = await waiting(street)
    await acts.offer(street.provider.context, ours.id, allows(ACADEMIC))
    await rest(street)
    for house in (street.provider, street.consumer):
        (change,) = (await negotiation(house)).detail.redline
        assert (change["kind"], change["term"]) == ("added", "http://www.w3.org/ns/odrl/2/purpose")


async def test_a_counter_offer_is_sent_in_the_words_in_which_it_is_read(street: Street) -> None:
    """The agreement is made of it on both sides, and must be the same bytes."""
    ours = await waiting(street)
    long = {**ACADEMIC, "leftOperand": "http://www.w3.org/ns/odrl/2/purpose", "operator": "http://www.w3.org/ns/odrl/2/eq"}
    await acts.offer(street.provider.context, ours.id, allows(long))
    offer = (await negotiation(street.provider)).detail.offer
    assert offer is not None
    message = {"@context": [DSP_CONTEXT], "@type": "ContractOfferMessage", "providerPid": "urn:p", "consumerPid": "urn:c"}
    assert normalise({**message, "offer": offer})["offer"] == offer


async def test_a_counter_offer_that_is_no_policy_is_refused(street: Street) -> None:
    ours = await waiting(street)
    with pytest.raises(CallerError) as refused:
        await acts.offer(
            street.provider.context, ours.id, {"permission": [{"action": "use", "constraint": [{"leftOperand": 7}]}]}
        )
    assert refused.value.code == "policy-unreadable"
    assert (await negotiation(street.provider)).state is State.REQUESTED


async def test_the_same_terms_in_other_words_are_the_same_terms(street: Street) -> None:
    offer = await offered(street, allows(RESEARCH))
    purpose = {**RESEARCH, "leftOperand": "http://www.w3.org/ns/odrl/2/purpose"}
    ours, _ = await asked(street, {**offer, "permission": [{"action": "odrl:use", "constraint": [purpose]}]})
    assert (ours.state, ours.detail.redline) == (State.FINALIZED, [])


async def test_a_person_that_agrees_is_told_why_the_terms_do_not_allow_it(street: Street) -> None:
    street.provider.context = replace(street.provider.context, choices=Choices(decide=False))
    ours, _ = await asked(street, await offered(street, allows(PUBLIC)))
    with pytest.raises(Conflict, match="claim"):
        await acts.agree(street.provider.context, ours.id)
    assert (await negotiation(street.provider)).awaiting is not Message.AGREEMENT
