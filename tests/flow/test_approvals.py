"""Offers that ask people: who is asked, how many have to say yes, nobody about his own proposal, and what comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.access.caller import OWNER, Caller
from connector.flow import acts, approvals, begin, deciding, publish
from connector.flow.context import Choices
from connector.protocol.errors import Conflict, PolicyDenied
from connector.protocol.messages import Document
from connector.protocol.record import PLAIN, Detail, Given, Process, Rule
from connector.protocol.states import Kind, Role, State
from connector.settings.negotiation import NegotiationSettings
from connector.store.approvals import said_of
from tests.flow.deciders import ANNA, AUDITOR, BERT, CARO, DORA, DRIVER, asked, published
from tests.flow.house import DATASET, Street
from tests.flow.recording import record, told
from tests.flow.test_acceptance import negotiation, rest
from tests.flow.test_by_terms import ACADEMIC, PUBLIC, RESEARCH, allows, fire

COMMERCE = ("commercial",)


async def test_a_request_as_published_waits_for_those_whom_the_offer_asks(street: Street) -> None:
    ours = await asked(street, await published(street, roles=COMMERCE, deadline_s=3600))
    assert (ours.state, ours.detail.pending, ours.detail.redline) == (State.REQUESTED, "decide-request", [])
    assert ours.detail.asks == Rule(roles=COMMERCE, eyes=1, deadline_s=3600, origin="offer")
    assert ours.detail.decide_by == (ours.detail.waits_since or 0) + 3_600_000
    assert [row.id for row in await street.provider.store.waiting()] == [ours.id]
    await deciding.approve(street.provider.context, ours.id, "fine", seen=ours.version, by=ANNA)
    await rest(street)
    done = await negotiation(street.provider)
    assert (done.state, done.detail.pending, done.detail.waits_since) == (State.FINALIZED, None, None)
    assert await street.provider.store.waiting() == []


async def test_an_offer_that_asks_nobody_is_agreed_to_at_once(street: Street) -> None:
    assert (await asked(street, await published(street))).state is State.FINALIZED


async def test_nobody_is_asked_about_what_the_terms_refuse(street: Street) -> None:
    ours = await asked(street, await published(street, allows(PUBLIC), roles=COMMERCE))
    assert ours.state is State.TERMINATED
    assert ours.detail.ended is not None
    assert ours.detail.ended.code == "policy-denied"


@pytest.mark.parametrize("by", [CARO, DORA, AUDITOR, DRIVER], ids=lambda who: who.id)
async def test_who_has_none_of_the_roles_decides_nothing(street: Street, by: Caller) -> None:
    ours = await asked(street, await published(street, roles=COMMERCE))
    for decide in (
        deciding.approve(street.provider.context, ours.id, by=by),
        deciding.reject(street.provider.context, ours.id, by=by),
        deciding.counter(street.provider.context, ours.id, allows(), by=by),
        acts.agree(street.provider.context, ours.id, by=by),
        acts.offer(street.provider.context, ours.id, allows(), by=by),
    ):
        with pytest.raises(PolicyDenied) as refusal:
            await decide
        assert refusal.value.code == "approval-role"
    assert await negotiation(street.provider) == ours


async def test_four_eyes_are_two_people(street: Street) -> None:
    logs = await record(street)
    assert logs
    ours = await asked(street, await published(street, roles=("commercial", "operator"), eyes=2))
    context = street.provider.context
    waiting = await deciding.approve(context, ours.id, "good customer", by=ANNA)
    assert (waiting.state, waiting.detail.pending, waiting.version) == (State.REQUESTED, "decide-request", ours.version + 1)
    assert (await negotiation(street.provider)) == waiting
    assert [(each.caller, each.role) for each in waiting.detail.approvals] == [("key:anna", "commercial")]
    with pytest.raises(Conflict) as again:
        await deciding.approve(context, ours.id, by=ANNA)
    assert again.value.code == "approval-given"
    with pytest.raises(Conflict) as alone:
        await acts.agree(street.provider.context, ours.id, by=ANNA)
    assert alone.value.code == "approval-given"
    await deciding.approve(context, ours.id, by=BERT)
    await rest(street)
    assert (await negotiation(street.consumer)).state is State.FINALIZED
    said = await said_of(street.provider.store.engine, ours.id)
    assert [(each.caller, each.role, each.verdict, each.step, each.comment) for each in said] == [
        ("key:anna", "commercial", "approved", "decide-request", "good customer"),
        ("key:bert", "commercial", "approved", "decide-request", ""),
    ]
    decisions = [each for each in await told(street.provider, "decision") if each.said["outcome"] == "approved"]
    assert [each.payload["by"] for each in decisions] == [
        {"caller": "key:anna", "role": "commercial"},
        {"caller": "key:bert", "role": "commercial"},
    ]


async def test_one_act_is_no_way_round_four_eyes(street: Street) -> None:
    ours = await asked(street, await published(street, roles=COMMERCE, eyes=2))
    for by in (ANNA, OWNER):
        with pytest.raises(Conflict) as refusal:
            await acts.agree(street.provider.context, ours.id, by=by)
        assert refusal.value.code == "approval-needed"
    await acts.terminate(street.provider.context, ours.id, by=DORA)
    await rest(street)
    assert (await negotiation(street.provider)).state is State.TERMINATED


async def test_two_who_approve_at_the_same_moment_are_two(street: Street) -> None:
    ours = await asked(street, await published(street, roles=COMMERCE, eyes=2))
    context = street.provider.context
    await asyncio.gather(*(deciding.approve(context, ours.id, by=by) for by in (ANNA, BERT)))
    await rest(street)
    assert (await negotiation(street.provider)).state is State.FINALIZED
    assert len(await said_of(street.provider.store.engine, ours.id)) == 2


async def test_nobody_approves_the_offer_that_he_has_made(street: Street) -> None:
    await published(street, roles=COMMERCE)
    context = street.provider.context
    begun = await begin.offer_contract(context, counterparty="did:web:consumer", dataset=DATASET, by=ANNA)
    await rest(street)
    theirs = await negotiation(street.consumer)
    await acts.accept(street.consumer.context, theirs.id)
    await rest(street)
    ours = await negotiation(street.provider)
    assert (ours.id, ours.state, ours.detail.pending) == (begun.id, State.ACCEPTED, "decide-agreement")
    with pytest.raises(PolicyDenied) as refusal:
        await deciding.approve(context, ours.id, by=ANNA)
    assert refusal.value.code == "approval-own"
    await deciding.approve(context, ours.id, by=BERT)
    await rest(street)
    assert (await negotiation(street.consumer)).state is State.FINALIZED


@pytest.mark.parametrize("by", [ANNA, OWNER], ids=lambda who: who.id)
async def test_a_counter_offer_is_no_way_round_the_rule(street: Street, by: Caller) -> None:
    offer = await published(street, allows(RESEARCH), roles=COMMERCE)
    ours = await asked(street, {**offer, **allows()})
    assert ours.detail.pending == "decide-counter-offer"
    countered = await deciding.counter(street.provider.context, ours.id, allows(ACADEMIC), "only for science", by=by)
    assert (countered.detail.pending, countered.detail.proposed_by) == (None, by.id)
    await rest(street)
    theirs = await negotiation(street.consumer)
    assert theirs.detail.pending == "decide-offer"
    await deciding.approve(street.consumer.context, theirs.id)
    await rest(street)
    ours = await negotiation(street.provider)
    assert (ours.state, ours.detail.pending, ours.detail.asks and ours.detail.asks.origin) == (
        State.ACCEPTED,
        "decide-agreement",
        "offer",
    )
    for attempt in (deciding.approve, acts.agree):
        with pytest.raises(PolicyDenied) as refusal:
            await attempt(street.provider.context, ours.id, by=by)
        assert refusal.value.code == "approval-own"
    await deciding.approve(street.provider.context, ours.id, by=BERT)
    await rest(street)
    assert (await negotiation(street.consumer)).state is State.FINALIZED
    said = await said_of(street.provider.store.engine, ours.id)
    assert [(each.caller, each.verdict) for each in said] == [(by.id, "countered"), ("key:bert", "approved")]


async def test_another_offer_has_been_approved_by_nobody(street: Street) -> None:
    offer = await published(street, allows(RESEARCH), roles=COMMERCE, eyes=2)
    ours = await asked(street, {**offer, **allows()})
    await deciding.approve(street.provider.context, ours.id, by=ANNA)
    await deciding.counter(street.provider.context, ours.id, allows(ACADEMIC), by=BERT)
    await rest(street)
    theirs = await negotiation(street.consumer)
    await deciding.counter(street.consumer.context, theirs.id, {**offer, **allows(RESEARCH)})
    await rest(street)
    ours = await negotiation(street.provider)
    assert (ours.state, ours.detail.pending, ours.detail.approvals) == (State.REQUESTED, "decide-request", [])
    # What is on the table now comes of the other side.
    for by in (ANNA, BERT):
        await deciding.approve(street.provider.context, ours.id, by=by)
    await rest(street)
    assert (await negotiation(street.provider)).state is State.FINALIZED


@pytest.mark.parametrize(
    ("some", "reason"),
    [(False, "nobody decided before the deadline (decide-request)"), (True, "not enough people decided before the deadline")],
)
async def test_who_is_late_has_answered_as_well(street: Street, some: bool, reason: str) -> None:
    ours = await asked(street, await published(street, roles=COMMERCE, eyes=2, deadline_s=600))
    if some:
        await deciding.approve(street.provider.context, ours.id, by=ANNA)
    await fire(street, street.provider, 599_000)
    assert (await negotiation(street.provider)).detail.pending == "decide-request"
    await fire(street, street.provider, 10_000)
    ended = (await negotiation(street.consumer)).detail.ended
    assert ended is not None
    assert ended.code == "decision-deadline"
    assert reason in ended.reason[0]
    with pytest.raises(Conflict, match="nothing waits"):
        await deciding.approve(street.provider.context, ours.id, by=BERT)


async def test_the_other_side_reads_why_it_was_rejected_and_not_by_whom(street: Street) -> None:
    ours = await asked(street, await published(street, roles=COMMERCE))
    await deciding.reject(street.provider.context, ours.id, "no capacity this year", by=ANNA)
    await rest(street)
    ended = (await negotiation(street.consumer)).detail.ended
    assert ended is not None
    assert (ended.code, ended.reason) == ("rejected", ["no capacity this year"])
    (said,) = await said_of(street.provider.store.engine, ours.id)
    assert (said.caller, said.verdict, said.comment) == ("key:anna", "rejected", "no capacity this year")
    lines = await street.provider.store.timeline(ours.id)
    assert ("rejected", "key:anna (commercial): no capacity this year") in [(line.what, line.note) for line in lines]


async def test_a_consumers_people_are_asked_by_the_settings(street: Street) -> None:
    house = street.consumer
    rule = approvals.rule_of(NegotiationSettings(approval_roles=("operator",)))
    house.context = replace(house.context, choices=Choices(verify=False), asks=rule)
    await asked(street, await published(street), by=DORA)
    theirs = await negotiation(house)
    assert (theirs.state, theirs.detail.pending, theirs.detail.asks) == (State.AGREED, "decide-verification", rule)
    for by, code in ((DORA, "approval-own"), (ANNA, "approval-role")):
        with pytest.raises(PolicyDenied) as refusal:
            await deciding.approve(house.context, theirs.id, by=by)
        assert refusal.value.code == code
        with pytest.raises(PolicyDenied):
            await acts.verify(house.context, theirs.id, by=by)
    await deciding.approve(house.context, theirs.id, by=BERT)
    await rest(street)
    assert (await negotiation(street.provider)).state is State.FINALIZED


async def test_who_has_asked_may_decide_about_the_answer_but_not_about_his_own_words(street: Street) -> None:
    house = street.consumer
    house.context = replace(house.context, choices=Choices(accept=False), asks=replace_rule(eyes=1))
    street.provider.context = replace(street.provider.context, choices=Choices(decide=False))
    ours = await asked(street, await published(street), by=ANNA)
    await acts.offer(street.provider.context, ours.id, allows(RESEARCH))
    await rest(street)
    theirs = await negotiation(house)
    assert approvals.why_not(approvals.asked(house.context, theirs), theirs, ANNA) is None
    await deciding.counter(house.context, theirs.id, allows(ACADEMIC), by=ANNA)
    await rest(street)
    await acts.offer(street.provider.context, ours.id, allows(ACADEMIC))
    await rest(street)
    theirs = await negotiation(house)
    assert (theirs.detail.pending, theirs.detail.redline) == ("decide-offer", [])
    with pytest.raises(PolicyDenied) as refusal:
        await deciding.approve(house.context, theirs.id, by=ANNA)
    assert refusal.value.code == "approval-own"


def replace_rule(*, eyes: int) -> Rule:
    return Rule(roles=("operator", "commercial"), eyes=eyes, origin="settings")


async def test_where_the_settings_want_four_eyes_one_counter_offer_binds_nobody(street: Street) -> None:
    street.provider.context = replace(street.provider.context, asks=replace_rule(eyes=2))
    offer = await published(street, allows(RESEARCH))
    ours = await asked(street, {**offer, **allows()})
    assert ours.detail.pending == "decide-counter-offer"
    await deciding.counter(street.provider.context, ours.id, allows(ACADEMIC), by=ANNA)
    await rest(street)
    await acts.accept(street.consumer.context, (await negotiation(street.consumer)).id)
    await rest(street)
    ours = await negotiation(street.provider)
    assert (ours.state, ours.detail.pending) == (State.ACCEPTED, "decide-agreement")
    for by in (BERT, DORA):
        await deciding.approve(street.provider.context, ours.id, by=by)
    await rest(street)
    assert (await negotiation(street.provider)).state is State.FINALIZED


async def test_an_offer_asks_no_fewer_people_than_the_settings(street: Street) -> None:
    street.provider.context = replace(street.provider.context, asks=replace_rule(eyes=2))
    ours = await asked(street, await published(street, roles=COMMERCE, eyes=1))
    assert ours.detail.asks == Rule(roles=COMMERCE, eyes=2, origin="offer")
    assert (await deciding.approve(street.provider.context, ours.id, by=ANNA)).state is State.REQUESTED
    await deciding.approve(street.provider.context, ours.id, by=BERT)
    await rest(street)
    assert (await negotiation(street.provider)).state is State.FINALIZED


async def test_the_owner_alone_may_confirm_what_nobody_made_a_rule_for(street: Street) -> None:
    house = street.consumer
    house.context = replace(house.context, choices=Choices(verify=False))
    await asked(street, await published(street))
    theirs = await negotiation(house)
    assert (theirs.detail.asks, theirs.detail.proposed_by) == (PLAIN, "owner")
    await deciding.approve(house.context, theirs.id)
    await rest(street)
    assert (await negotiation(street.provider)).state is State.FINALIZED


async def test_a_rule_lasts_when_its_offer_is_gone_and_goes_when_it_is_published_without(street: Street) -> None:
    offer = await published(street, roles=COMMERCE, eyes=2)
    ours = await asked(street, offer)
    await deciding.counter(street.provider.context, ours.id, allows(RESEARCH), by=ANNA)
    await rest(street)
    await publish.withdraw(street.provider.context, DATASET)
    theirs = await negotiation(street.consumer)
    await acts.accept(street.consumer.context, theirs.id)
    await rest(street)
    ours = await negotiation(street.provider)
    assert (ours.detail.pending, ours.detail.asks and ours.detail.asks.eyes) == ("decide-agreement", 2)
    await published(street)
    assert await street.provider.store.shelf.approval(offer["@id"], DATASET) == ""


async def test_a_refused_counter_offer_leaves_the_request_to_the_same_people(street: Street) -> None:
    ours = await asked(street, await published(street, roles=COMMERCE, eyes=2))
    left = replace(ours, detail=ours.detail.decided())
    assert approvals.step_of(left) == "decide-request"
    assert approvals.step_of(replace(left, detail=Detail(asks=PLAIN))) is None
    assert approvals.step_of(replace(left, state=State.VERIFIED)) is None


async def test_a_start_that_waits_is_for_those_with_the_role(street: Street) -> None:
    street.provider.context = replace(street.provider.context, choices=Choices(start=False))
    await asked(street, await published(street))
    agreement = (await negotiation(street.consumer)).detail.agreement
    assert agreement is not None
    await begin.request_transfer(street.consumer.context, agreement_id=agreement["@id"])
    await rest(street)
    transfer = await street.provider.only(Kind.TRANSFER)
    assert transfer is not None
    assert (transfer.detail.pending, transfer.detail.asks) == ("decide-start", PLAIN)
    with pytest.raises(PolicyDenied):
        await acts.start(street.provider.context, transfer.id, by=CARO)
    await deciding.approve(street.provider.context, transfer.id, by=DORA)
    await rest(street)
    transfer = await street.provider.only(Kind.TRANSFER)
    assert transfer is not None
    assert (transfer.state, transfer.detail.pending) == (State.STARTED, None)


def test_settings_that_say_nothing_make_the_plain_rule() -> None:
    assert approvals.rule_of(NegotiationSettings()) is PLAIN
    assert approvals.rule_of(NegotiationSettings(approval_eyes=2)) == replace_rule(eyes=2)


# -- the rule itself --------------------------------------------------------------------------------------------------

PEOPLE = (ANNA, BERT, CARO, DORA, AUDITOR, DRIVER, OWNER)
ROLES = ("operator", "commercial", "data-protection-officer")


def table(proposer: str) -> Process:
    offer: Document = allows()
    detail = Detail(offer=offer, offer_from=Role.PROVIDER, pending="decide-agreement", proposed_by=proposer)
    return Process(
        "p", Kind.NEGOTIATION, Role.PROVIDER, State.ACCEPTED, "them", "https://them.example", "c", "d", 1, 1, detail, peer_pid="q"
    )


@given(
    roles=st.lists(st.sampled_from(ROLES), min_size=1, unique=True).map(tuple),
    eyes=st.sampled_from((1, 2)),
    proposer=st.sampled_from(PEOPLE),
    words=st.lists(st.sampled_from(PEOPLE), max_size=12),
)
def test_what_is_approved_was_approved_by_so_many_others_with_a_role(
    roles: tuple[str, ...], eyes: int, proposer: Caller, words: list[Caller]
) -> None:
    rule, process, done = Rule(roles=roles, eyes=eyes, origin="offer"), table(proposer.id), False
    yes: list[str] = []
    for by in words:
        if approvals.why_not(rule, process, by) is not None:
            continue
        yes.append(by.id)
        if approvals.enough(rule, process):
            done = True
            break
        given = [*process.detail.approvals, Given(caller=by.id, role=approvals.acting_as(rule, by), at=1)]
        process = replace(process, detail=msgspec.structs.replace(process.detail, approvals=given))
    able = {each.id for each in words if each.id != proposer.id and not each.roles.isdisjoint(roles)}
    assert done == (len(able) >= eyes)
    assert len(set(yes)) == len(yes)
    assert set(yes) <= able
