"""A counter-offer that the other side does not take: what it had offered is on the table again, and waits for the same people."""

from __future__ import annotations

from typing import Any

import pytest

from connector.flow import acts, answers, deciding
from connector.protocol.errors import PolicyDenied
from connector.protocol.messages import Document
from connector.protocol.record import Ended, Process
from connector.protocol.states import Message, Role, State
from tests.flow.deciders import ANNA, BERT, CARO, asked, published
from tests.flow.house import LEASE_MS, House, Street
from tests.flow.test_acceptance import negotiation, rest
from tests.flow.test_by_terms import ACADEMIC, RESEARCH, allows, fire

COMMERCE = ("commercial",)


async def not_taken(house: House, state: str | None = "REQUESTED") -> Process:
    """The house's negotiation once its offer, which is on its way, has come back: the other side does not negotiate so."""
    house.street.now += LEASE_MS + 1
    now = house.street.now_ms()
    (sent,) = [each for each in await house.store.claim("worker", now, now + LEASE_MS, 10) if each.channel != "flow"]
    assert sent.message in (Message.OFFER.value, Message.REQUEST.value)

    async def told(_: Process) -> str | None:
        return state

    await answers.refused(house.context, sent, Ended(by=Role.PROVIDER, code="not-supported", reason=["no counter-offers"]), told)
    return await negotiation(house)


def shown(process: Process) -> list[Any]:
    """What lies on the table."""
    detail = process.detail
    return [detail.offer, detail.offer_from, detail.redline, detail.echo]


async def test_the_request_waits_for_the_same_people_and_is_listed(street: Street) -> None:
    offer = await published(street, allows(RESEARCH), roles=COMMERCE, deadline_s=3600)
    before = await asked(street, {**offer, **allows()})
    await deciding.counter(street.provider.context, before.id, allows(ACADEMIC), by=ANNA)
    assert await street.provider.store.waiting() == []
    ours = await not_taken(street.provider)
    assert (ours.state, ours.awaiting, ours.detail.pending) == (State.REQUESTED, None, "decide-counter-offer")
    assert shown(ours) == shown(before)
    assert (ours.detail.asks, ours.detail.refusal and ours.detail.refusal.code) == (before.detail.asks, "not-supported")
    assert ours.detail.decide_by == (ours.detail.waits_since or 0) + 3_600_000
    assert [row.id for row in await street.provider.store.waiting()] == [ours.id]
    with pytest.raises(PolicyDenied):
        await deciding.approve(street.provider.context, ours.id, by=CARO)
    # It is the other side's offer: who has countered may approve it as well.
    await deciding.approve(street.provider.context, ours.id, by=ANNA)
    await rest(street)
    agreed = (await negotiation(street.provider)).detail.agreement
    assert agreed is not None
    assert agreed["permission"] == (before.detail.offer or {})["permission"]
    assert (await negotiation(street.consumer)).state is State.FINALIZED


async def test_without_a_rule_it_waits_as_well(street: Street) -> None:
    offer = await published(street, allows(RESEARCH))
    before = await asked(street, {**offer, **allows()})
    await deciding.counter(street.provider.context, before.id, allows(ACADEMIC), by=BERT)
    ours = await not_taken(street.provider)
    assert (ours.detail.pending, shown(ours)) == (before.detail.pending, shown(before))
    assert [row.id for row in await street.provider.store.waiting()] == [ours.id]


async def test_so_does_an_offer_that_a_consumer_has_countered(street: Street) -> None:
    offer = await published(street, allows(RESEARCH), roles=COMMERCE)
    theirs = await asked(street, {**offer, **allows()})
    await deciding.counter(street.provider.context, theirs.id, allows(ACADEMIC), by=ANNA)
    await rest(street)
    before = await negotiation(street.consumer)
    assert before.detail.pending == "decide-offer"
    await deciding.counter(street.consumer.context, before.id, {**offer, **allows(RESEARCH)})
    ours = await not_taken(street.consumer, "OFFERED")
    assert (ours.state, ours.detail.pending, shown(ours)) == (State.OFFERED, "decide-offer", shown(before))
    assert [row.id for row in await street.consumer.store.waiting()] == [ours.id]


async def test_it_is_not_asked_for_ever(street: Street) -> None:
    offer = await published(street, allows(RESEARCH), roles=COMMERCE, deadline_s=60)
    before = await asked(street, {**offer, **allows()})
    await deciding.counter(street.provider.context, before.id, allows(ACADEMIC), by=ANNA)
    await not_taken(street.provider)
    await fire(street, street.provider, 61_000)
    assert (await negotiation(street.provider)).state is State.TERMINATED


async def test_an_offer_that_was_taken_after_all_stays(street: Street) -> None:
    """The answer said no, and the other side's process says that it has the offer."""
    offer: Document = await published(street, allows(RESEARCH), roles=COMMERCE)
    before = await asked(street, {**offer, **allows()})
    await deciding.counter(street.provider.context, before.id, allows(ACADEMIC), by=ANNA)
    ours = await not_taken(street.provider, "OFFERED")
    assert (ours.state, ours.detail.offer_from, ours.detail.pending) == (State.OFFERED, Role.PROVIDER, None)


async def test_what_was_countered_is_forgotten_with_the_next_message(street: Street) -> None:
    offer = await published(street, allows(RESEARCH), roles=COMMERCE)
    before = await asked(street, {**offer, **allows()})
    await deciding.counter(street.provider.context, before.id, allows(ACADEMIC), by=ANNA)
    assert (await negotiation(street.provider)).detail.countered is not None
    await rest(street)
    await acts.accept(street.consumer.context, (await negotiation(street.consumer)).id)
    await rest(street)
    assert (await negotiation(street.provider)).detail.countered is None


async def test_who_does_not_say_where_it_is_gets_no_agreement(street: Street) -> None:
    offer = await published(street, allows(RESEARCH), roles=COMMERCE)
    before = await asked(street, {**offer, **allows()})
    await deciding.counter(street.provider.context, before.id, allows(ACADEMIC), by=ANNA)
    ours = await not_taken(street.provider, None)
    assert (ours.awaiting, ours.detail.pending) == (Message.TERMINATION, None)
    assert await street.provider.store.waiting() == []
