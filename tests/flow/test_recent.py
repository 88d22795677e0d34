"""Records kept in memory are hints: whatever they say, what is stored and answered is what the database alone would lead to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector.flow import acts, begin, inbound
from connector.flow.context import Choices
from connector.flow.recent import MAX_KEPT, Recent, hopeful
from connector.identity.interface import Principal
from connector.protocol import messages as dsp
from connector.protocol.errors import BadMessage, NotNow
from connector.protocol.record import Detail, Process
from connector.protocol.states import Kind, Role, State
from connector.store.engine import LostRace, StoreUnavailable
from tests.flow.house import DATASET, OFFER, House, Street

CONSUMER = Principal("did:web:consumer")


def record(number: int, state: State = State.REQUESTED) -> Process:
    """A record that nobody looks into."""
    return Process(f"p{number}", Kind.NEGOTIATION, Role.PROVIDER, state, "peer", "https://peer", "c", "d", 1, 1, Detail())


def test_a_record_is_given_once() -> None:
    recent = Recent()
    recent.keep(record(1))
    assert recent.take("p1") == record(1)
    assert recent.take("p1") is None


def test_what_has_ended_is_not_kept() -> None:
    recent = Recent()
    recent.keep(record(1))
    recent.keep(record(1, State.TERMINATED))
    assert recent.take("p1") is None


def test_the_oldest_go_first() -> None:
    recent = Recent()
    for number in [*range(MAX_KEPT), 0, MAX_KEPT]:
        recent.keep(record(number))
    assert recent.take("p1") is None
    assert recent.take("p0") == record(0)
    assert recent.take(f"p{MAX_KEPT}") is not None


@pytest.mark.parametrize("error", [LostRace("gone"), BadMessage("code", "why"), NotNow("code", "why")])
async def test_what_a_hint_refuses_is_decided_again(error: Exception) -> None:
    async def guess() -> str:
        raise error

    async def surely() -> str:
        return "decided"

    assert await hopeful(guess, surely) == "decided"


async def test_a_store_that_is_away_is_not_asked_again() -> None:
    async def guess() -> None:
        raise StoreUnavailable("away")

    async def surely() -> None:
        raise AssertionError

    with pytest.raises(StoreUnavailable):
        await hopeful(guess, surely)


async def requested(house: House, street: Street) -> Process:
    """The provider's negotiation, which waits for a person."""
    house.context = replace(house.context, choices=Choices(decide=False))
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)
    while not await street.quiet():
        await street.pump()
    process = await house.only(Kind.NEGOTIATION)
    assert process is not None
    return process


async def test_what_is_kept_is_what_was_committed(street: Street) -> None:
    process = await requested(street.provider, street)
    context = street.provider.context
    assert context.recent.take(process.id) in (None, process)
    changed = await acts.offer(context, process.id, {"permission": [{"action": "use"}]})
    kept = context.recent.take(process.id)
    assert kept == await context.store.process(process.id)
    assert kept is not None
    assert kept.state is changed.state


async def test_a_hint_from_before_another_worker_acted_does_no_harm(street: Street) -> None:
    process = await requested(street.provider, street)
    context = street.provider.context
    await acts.terminate(context, process.id, "no", None)
    context.recent.keep(process)
    offer = {"@id": "urn:offer:2", "@type": "Offer", "target": DATASET, "permission": [{"action": "use"}]}
    request = dsp.ContractRequestMessage(
        id="urn:counter", provider_pid=process.id, consumer_pid=process.peer_pid or "", offer=offer
    )
    before = await context.store.process(process.id)
    with pytest.raises(NotNow):
        await inbound.message(context, Kind.NEGOTIATION, CONSUMER, process.id, dsp.document_of(request))
    assert await context.store.process(process.id) == before


async def test_a_hint_is_for_its_own_counterparty_only(street: Street) -> None:
    process = await requested(street.provider, street)
    context = street.provider.context
    context.recent.keep(process)
    ending = dsp.ContractNegotiationTerminationMessage(
        id="urn:end", provider_pid=process.id, consumer_pid=process.peer_pid or "", code="1", reason=[]
    )
    with pytest.raises(Exception, match="you have no negotiation"):
        await inbound.message(context, Kind.NEGOTIATION, Principal("did:web:other"), process.id, dsp.document_of(ending))
    stored = await context.store.process(process.id)
    assert stored is not None
    assert stored.state is process.state
