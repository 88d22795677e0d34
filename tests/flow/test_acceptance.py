"""Who accepts an offer: the connector, if it says what was asked for; else a person, who sees that something waits."""

from __future__ import annotations

from dataclasses import replace

from connector.flow import acts, begin
from connector.flow.context import Choices
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, State
from connector.store.rows import Outgoing
from tests.flow.house import DATASET, LEASE_MS, OFFER, House, Street

USE: Document = {"permission": [{"action": "use"}]}
OTHER: Document = {"permission": [{"action": "use"}], "prohibition": [{"action": "http://www.w3.org/ns/odrl/2/sell"}]}


async def rest(street: Street) -> None:
    while not await street.quiet():
        await street.pump()


async def negotiation(house: House) -> Process:
    process = await house.only(Kind.NEGOTIATION)
    assert process is not None
    return process


async def asked(street: Street) -> Process:
    """The provider's negotiation about the published offer, which waits for a person there."""
    street.provider.context = replace(street.provider.context, choices=Choices(decide=False))
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)
    await rest(street)
    return await negotiation(street.provider)


async def test_an_offer_of_what_was_asked_for_is_accepted(street: Street) -> None:
    process = await asked(street)
    await acts.offer(street.provider.context, process.id, USE)
    await rest(street)
    assert (await negotiation(street.consumer)).state is State.ACCEPTED


async def test_an_offer_of_something_else_waits_for_a_person(street: Street) -> None:
    process = await asked(street)
    await acts.offer(street.provider.context, process.id, OTHER)
    await rest(street)
    found = await negotiation(street.consumer)
    assert (found.state, found.detail.pending) == (State.OFFERED, "decide-offer")


async def test_the_offer_after_a_counter_offer_is_judged_by_the_counter_offer(street: Street) -> None:
    process = await asked(street)
    await acts.offer(street.provider.context, process.id, OTHER)
    await rest(street)
    ours = await negotiation(street.consumer)
    await acts.offer(street.consumer.context, ours.id, OTHER)
    await rest(street)
    await acts.offer(street.provider.context, process.id, USE)
    await rest(street)
    found = await negotiation(street.consumer)
    assert (found.state, found.detail.pending) == (State.OFFERED, "decide-offer")
    await acts.offer(street.consumer.context, ours.id, USE)
    await rest(street)
    await acts.offer(street.provider.context, process.id, USE)
    await rest(street)
    assert (await negotiation(street.consumer)).state is State.ACCEPTED


async def on_the_wire(street: Street, house: House) -> Outgoing:
    """The message that a house is about to send; it stays in its outbox."""
    street.now += LEASE_MS + 1
    claimed = await house.store.claim("wire", street.now_ms(), street.now, 10)
    return claimed[-1]


async def test_an_offer_that_answers_an_unacknowledged_counter_offer_is_not_passed_over(street: Street) -> None:
    process = await asked(street)
    await acts.offer(street.provider.context, process.id, OTHER)
    await rest(street)
    ours = await negotiation(street.consumer)
    await acts.offer(street.consumer.context, ours.id, USE)
    await street.provider.arrive(await on_the_wire(street, street.consumer))
    await acts.offer(street.provider.context, process.id, OTHER)
    await street.consumer.arrive(await on_the_wire(street, street.provider))
    found = await negotiation(street.consumer)
    assert (found.state, found.detail.pending) == (State.OFFERED, "decide-offer")
