"""What the inbox remembers: answers to what was judged, refusals within bounds, and nothing of "not now"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import orjson
import pytest

from connector.flow import acts, begin, inbound
from connector.flow.context import Choices
from connector.identity.interface import Principal
from connector.protocol import messages as dsp
from connector.protocol.errors import BadMessage, IllegalTransition, NotFound, NotNow
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, Role, State
from tests.flow.house import DATASET, OFFER, House, Street

PEER = Principal("did:web:consumer")


def deciding(house: House, **choices: bool) -> None:
    """This house leaves these steps to a person."""
    house.context = replace(house.context, choices=Choices(**choices))


async def requested(street: Street) -> Process:
    """The provider's negotiation, which waits for a person."""
    deciding(street.provider, decide=False)
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)
    while not await street.quiet():
        await street.pump()
    return await one(street.provider)


async def one(house: House, kind: Kind = Kind.NEGOTIATION) -> Process:
    """The one process of a house."""
    process = await house.only(kind)
    assert process is not None
    return process


def counter_offer(process: Process, message_id: str, **terms: object) -> Document:
    """Another request of the consumer."""
    offer: Document = {"@id": "urn:offer:2", "@type": "Offer", "target": DATASET, "permission": [{"action": "use"}], **terms}
    request = dsp.ContractRequestMessage(id=message_id, provider_pid=process.id, consumer_pid=process.peer_pid or "", offer=offer)
    return dsp.document_of(request)


Receive = Callable[[Document], Awaitable[inbound.Answer]]


def receiver(house: House, process: Process) -> Receive:
    """The way in for messages to ``process``."""

    async def receive(document: Document) -> inbound.Answer:
        return await inbound.message(house.context, process.kind, PEER, process.id, document)

    return receive


async def test_an_accepted_message_gets_its_answer_again(street: Street) -> None:
    process = await requested(street)
    await acts.offer(street.provider.context, process.id, {"permission": [{"action": "use"}]})
    receive = receiver(street.provider, process)
    counter = counter_offer(process, "urn:counter:1")
    assert (await receive(counter)).outcome == "accepted"
    again = await receive(counter)
    assert (again.status, again.body, again.leaving, again.outcome) == (200, None, [], "repeated")


async def test_another_content_under_a_known_id_is_refused(street: Street) -> None:
    process = await requested(street)
    await acts.offer(street.provider.context, process.id, {"permission": [{"action": "use"}]})
    receive = receiver(street.provider, process)
    await receive(counter_offer(process, "urn:counter:1"))
    with pytest.raises(BadMessage) as refusal:
        await receive(counter_offer(process, "urn:counter:1", permission=[{"action": "odrl:read"}]))
    assert refusal.value.code == "message-id-reused"


async def test_a_refusal_is_remembered_where_the_message_would_be_legal_by_now(street: Street) -> None:
    process = await requested(street)
    receive = receiver(street.provider, process)
    early = counter_offer(process, "urn:counter:early")
    with pytest.raises(IllegalTransition) as first:
        await receive(early)
    await acts.offer(street.provider.context, process.id, {"permission": [{"action": "use"}]})
    with pytest.raises(IllegalTransition) as second:
        await receive(early)
    assert second.value.reason == first.value.reason
    assert (await receive(counter_offer(process, "urn:counter:in-time"))).status == 200


async def test_remembered_refusals_are_bounded_for_each_process(street: Street) -> None:
    process = await requested(street)
    receive = receiver(street.provider, process)
    for number in range(inbound.MAX_REMEMBERED_REFUSALS + 3):
        with pytest.raises(IllegalTransition):
            await receive(counter_offer(process, f"urn:flood:{number}"))
    assert await street.provider.store.refusals_of(process.id) == inbound.MAX_REMEMBERED_REFUSALS
    assert (await one(street.provider)).state is State.REQUESTED


async def test_not_now_is_not_remembered(street: Street) -> None:
    process = await requested(street)
    await acts.offer(street.provider.context, process.id, {"permission": [{"action": "use"}]})
    while not await street.quiet():
        await street.pump()
    await acts.terminate(street.provider.context, process.id)
    receive = receiver(street.provider, process)
    for _ in range(2):
        with pytest.raises(NotNow):
            await receive(counter_offer(process, "urn:counter:1"))
    assert await street.provider.store.judged(PEER.participant_id, "urn:counter:1") is None


async def test_a_process_of_somebody_else_or_of_the_other_kind_looks_like_none(street: Street) -> None:
    process = await requested(street)
    counter = counter_offer(process, "urn:counter:1")
    with pytest.raises(NotFound) as foreign:
        await inbound.message(street.provider.context, Kind.NEGOTIATION, Principal("did:web:third"), process.id, counter)
    with pytest.raises(NotFound) as unknown:
        await inbound.message(street.provider.context, Kind.NEGOTIATION, PEER, "urn:nothing", counter)
    assert foreign.value.reason == unknown.value.reason
    with pytest.raises(NotFound):
        await inbound.show(street.provider.context, Kind.TRANSFER, PEER, process.id)
    shown = orjson.loads(await inbound.show(street.provider.context, Kind.NEGOTIATION, PEER, process.id))
    assert shown["state"] == "REQUESTED"


async def test_a_first_message_that_comes_twice_begins_once(street: Street) -> None:
    consumer, provider = street.consumer, street.provider
    await begin.request_contract(consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)
    sent = (await consumer.store.claim("worker", street.now_ms() + 5000, street.now + 6000, 1))[0]
    first, second = await provider.arrive(sent), await provider.arrive(sent)
    assert (first.status, second.status, second.outcome) == (201, 201, "repeated")
    assert orjson.loads(first.body or "")["providerPid"] == orjson.loads(second.body or "")["providerPid"]
    other = orjson.loads(sent.body)
    other["offer"]["permission"].append({"action": "odrl:read"})
    with pytest.raises(BadMessage) as refusal:
        await inbound.first_message(provider.context, Kind.NEGOTIATION, PEER, other)
    assert refusal.value.code == "pid-reused"
    assert (await one(provider)).role is Role.PROVIDER
