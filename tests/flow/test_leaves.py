"""What the contract log is told of contracts and transfers: literal tables of the leaves of each story, on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from connector.flow import acts, answers, begin, deciding, inbound
from connector.log.leaf import Draft
from connector.protocol.errors import Conflict, IllegalTransition
from connector.protocol.record import Ended, Process
from connector.protocol.states import Kind, Message, Role, State
from connector.store.engine import LostRace
from tests.flow.house import DATASET, OFFER, Street
from tests.flow.leaf_table import check
from tests.flow.recording import lines, record, told
from tests.flow.test_acceptance import negotiation, rest
from tests.flow.test_by_terms import PUBLIC, RESEARCH, allows, asked, offered, when
from tests.flow.test_crashes import request_contract, request_transfer
from tests.flow.test_crashes import told as story_told
from tests.flow.test_inbound import PEER, counter_offer
from tests.flow.test_inbound import deciding as by_hand


async def test_a_contract_and_its_transfer(street: Street) -> None:
    await record(street)
    await story_told(street)
    await check(street, "a contract and its transfer")
    processes = {each.id for kind in Kind for house in street.houses.values() for each in await house.store.processes(kind)}
    for house in street.houses.values():
        for each in await told(house):
            assert each.said["process"] in processes
            assert each.said["party"]
        made, bound = await told(house, "agreement")
        (agreement,) = await house.store.agreements()
        assert made.payload["agreement"] == msgspec.json.decode(agreement.document)
        assert (made.payload["dataset"], made.said["asset"]) == (DATASET, bound.said["asset"])
        transfers = [each for each in await told(house, "message") if each.said["message"].startswith("Transfer")]
        assert {each.said["contract"] for each in transfers} == {made.said["contract"]}


async def test_what_opens_data_stays_out_of_the_log(street: Street) -> None:
    await record(street)
    await story_told(street)
    for house in street.houses.values():
        starts = [each for each in await told(house, "message") if each.said["message"] == "TransferStartMessage"]
        from_provider = [each for each in starts if each.payload.get("removed")]
        assert len(from_provider) == 3
        for each in starts:
            assert "dataAddress" not in each.payload.get("document", {})
        assert "provider.example/public" not in str(await told(house))


async def test_a_refusal_by_terms(street: Street) -> None:
    offer = await offered(street, allows(PUBLIC))
    await record(street)
    await asked(street, offer)
    await check(street, "a refusal by terms")
    (decision,) = await told(street.provider, "decision")
    assert decision.said["code"] == "policy-denied"
    assert "claim" in decision.payload["reasons"][0]
    (end,) = await told(street.consumer, "termination")
    assert (end.said["by"], end.payload["reason"]) == ("them", decision.payload["reasons"])


@pytest.mark.parametrize("answer", ["approved", "rejected"])
async def test_a_person_decides(street: Street, answer: str) -> None:
    offer = await offered(street, allows(RESEARCH))
    await record(street)
    ours, _ = await asked(street, {**offer, **allows()})
    do = deciding.approve if answer == "approved" else deciding.reject
    await do(street.provider.context, ours.id, "Mrs Smith said so")
    await rest(street)
    await check(street, f"a person has {answer} it")
    waiting, *_, decided = await told(street.provider, "decision")
    assert (waiting.said["step"], decided.said["step"]) == ("decide-counter-offer", "decide-counter-offer")
    assert waiting.payload["redline"]
    assert decided.payload["reasons"] == ["Mrs Smith said so"]


async def test_counter_offers(street: Street) -> None:
    offer = await offered(street, allows(RESEARCH))
    await record(street)
    ours, _ = await asked(street, {**offer, **allows()})
    await acts.offer(street.provider.context, ours.id, allows(RESEARCH))
    await rest(street)
    await acts.offer(street.consumer.context, (await negotiation(street.consumer)).id, allows())
    await rest(street)
    await check(street, "counter-offers")


async def test_an_offer_that_is_accepted(street: Street) -> None:
    await record(street)
    by_hand(street.provider, decide=False)
    ours, _ = await asked(street, OFFER)
    await acts.offer(street.provider.context, ours.id, allows())
    await rest(street)
    await check(street, "an offer that is accepted")


async def test_a_contract_that_ends_before_it_binds(street: Street) -> None:
    await record(street)
    by_hand(street.consumer, verify=False)
    await request_contract(street.consumer)
    await rest(street)
    await acts.terminate(street.consumer.context, (await negotiation(street.consumer)).id, "changed my mind", ["at home"])
    await rest(street)
    await check(street, "a contract that ends before it binds")
    for house in street.houses.values():
        (end,) = await told(house, "termination")
        assert "code" not in end.said
        assert (end.payload["code"], end.payload["reason"]) == ("changed my mind", ["at home"])


async def test_a_transfer_that_is_not_permitted(street: Street) -> None:
    today = when("odrl:dateTime", "lt", {"@value": "2023-11-15T00:00:00Z", "@type": "xsd:dateTime"})
    await asked(street, await offered(street, allows(today)))
    await record(street)
    street.now += 86_400_000
    await request_transfer(street.consumer)
    await rest(street)
    await check(street, "a transfer that is not permitted")
    (decision,) = await told(street.provider)
    assert (decision.said["contract"], decision.said["asset"]) != ("", "")
    assert decision.payload["reasons"]


async def test_a_transfer_is_ended(street: Street) -> None:
    await request_contract(street.consumer)
    await rest(street)
    await request_transfer(street.consumer)
    await rest(street)
    await record(street)
    transfer = await street.provider.only(Kind.TRANSFER)
    assert transfer is not None
    await acts.terminate(street.provider.context, transfer.id)
    await rest(street)
    await check(street, "a transfer is ended")


async def test_a_message_that_comes_at_the_wrong_time(street: Street) -> None:
    by_hand(street.provider, decide=False)
    ours, _ = await asked(street, OFFER)
    await record(street)
    with pytest.raises(IllegalTransition):
        await inbound.message(street.provider.context, ours.kind, PEER, ours.id, counter_offer(ours, "urn:counter:early"))
    await check(street, "a message that comes at the wrong time")
    (refused,) = await told(street.provider, "message")
    assert refused.payload["messageId"] == refused.payload["document"]["@id"] == "urn:counter:early"
    assert "not allowed" in refused.payload["note"]


async def test_a_message_that_is_refused_for_good(street: Street) -> None:
    """The other side tells its own state when it is asked, and that it has ended is taken over."""
    await record(street)
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)
    (message,) = await street.consumer.store.claim("wire", street.now_ms() + 5000, street.now + 6000, 1)
    why = Ended(by=Role.PROVIDER, code="no-such-thing", reason=["in our own words"])

    async def state(_: Process) -> str | None:
        return "TERMINATED"

    await answers.refused(street.consumer.context, message, why, state)
    assert (await negotiation(street.consumer)).state is State.TERMINATED
    await check(street, "a message that is refused for good")


async def test_a_message_that_is_never_answered(street: Street) -> None:
    await record(street)
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)
    (message,) = await street.consumer.store.claim("wire", street.now_ms() + 5000, street.now + 6000, 1)
    await answers.expired(street.consumer.context, message)
    await check(street, "a message that is never answered")


async def test_an_agreement_that_is_held(street: Street) -> None:
    await record(street)
    for _ in range(2):
        await begin.hold_agreement(
            street.provider.context, agreement_id="urn:held", dataset=DATASET, counterparty="did:web:x", role=Role.PROVIDER
        )
    await check(street, "an agreement that is held")


# -- the same transaction ---------------------------------------------------------------------------------------------


async def test_who_loses_the_race_tells_nothing(street: Street) -> None:
    by_hand(street.provider, decide=False)
    ours, _ = await asked(street, OFFER)
    recordings = await record(street)
    context = street.provider.context
    await acts.offer(context, ours.id, allows(RESEARCH))
    before = await lines(street.provider)
    for _ in range(2):
        # Decided about a version that is not the stored one any more.
        with pytest.raises(LostRace):
            await acts._commit(context, ours, Message.TERMINATION, {"code": "late", "reason": ["late"]})
    assert await lines(street.provider) == before
    assert recordings[Role.PROVIDER].rung == 1
    assert len(recordings[Role.PROVIDER].drafts) == 3 * len(before)


async def test_two_at_once_tell_of_one(street: Street) -> None:
    by_hand(street.provider, decide=False)
    ours, _ = await asked(street, OFFER)
    await record(street)
    context = street.provider.context
    both = await asyncio.gather(*(acts.terminate(context, ours.id) for _ in range(2)), return_exceptions=True)
    assert [isinstance(each, Conflict) for each in both].count(True) == 1
    ended = ["message: out dsp ContractNegotiationTerminationMessage queued", "termination: negotiation us terminated"]
    assert await lines(street.provider) == ended


async def test_without_a_log_nothing_is_even_made(street: Street) -> None:
    made = []

    def drafts() -> Iterator[Draft]:
        made.append(1)
        yield Draft("log")

    await street.provider.context.commit([], drafts())
    assert made == []
