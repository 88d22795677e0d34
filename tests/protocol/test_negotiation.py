"""Negotiations as they go, between two cores: offers both ways, agreements that say what was offered, and every end."""

from __future__ import annotations

from typing import Any

import pytest

from connector.protocol import messages as dsp
from connector.protocol import process as core
from connector.protocol.errors import BadMessage, Conflict, IllegalTransition, InvariantBroken
from connector.protocol.record import Detail, KeepAgreement, Send, SettleAgreement
from connector.protocol.states import Kind, Message, Role, State
from tests.protocol.samples import (
    AGREEMENT,
    CONSUMER_PID,
    NOW,
    OFFER,
    OTHER,
    PROVIDER_PID,
    Pair,
    message,
    process,
)

CONSUMER, PROVIDER = Role.CONSUMER, Role.PROVIDER
BETTER = {**OFFER, "@id": "urn:offer:2", "permission": [{"action": "use", "constraint": [{"leftOperand": "count"}]}]}

# How to get to each state that is not final, and the last message of each way.
WAYS: dict[State, tuple[Message, ...]] = {
    State.REQUESTED: (Message.REQUEST,),
    State.OFFERED: (Message.REQUEST, Message.OFFER),
    State.ACCEPTED: (Message.REQUEST, Message.OFFER, Message.ACCEPTED),
    State.AGREED: (Message.REQUEST, Message.AGREEMENT),
    State.VERIFIED: (Message.REQUEST, Message.AGREEMENT, Message.VERIFICATION),
}
SENDER = {
    **dict.fromkeys((Message.REQUEST, Message.ACCEPTED, Message.VERIFICATION), CONSUMER),
    **dict.fromkeys((Message.OFFER, Message.AGREEMENT, Message.FINALIZED), PROVIDER),
}


def walked(*way: Message, first: Role = CONSUMER) -> Pair:
    """A pair that has exchanged these messages."""
    pair = Pair(Kind.NEGOTIATION, first)
    for what in way:
        pair.say(SENDER[what], what)
    return pair


def test_the_short_way() -> None:
    pair = walked(Message.REQUEST, Message.AGREEMENT, Message.VERIFICATION, Message.FINALIZED)
    assert pair.states() == (State.FINALIZED, State.FINALIZED)
    assert pair.sides[CONSUMER].detail.agreement == pair.sides[PROVIDER].detail.agreement == AGREEMENT


def test_an_offer_is_accepted() -> None:
    pair = walked(Message.REQUEST, Message.OFFER, Message.ACCEPTED, Message.AGREEMENT, Message.VERIFICATION, Message.FINALIZED)
    assert pair.states() == (State.FINALIZED, State.FINALIZED)


def test_the_provider_begins() -> None:
    pair = walked(Message.OFFER, first=PROVIDER)
    assert pair.states() == (State.OFFERED, State.OFFERED)
    assert pair.sides[PROVIDER].peer_pid == CONSUMER_PID
    for what in (Message.ACCEPTED, Message.AGREEMENT, Message.VERIFICATION, Message.FINALIZED):
        pair.say(SENDER[what], what)
    assert pair.states() == (State.FINALIZED, State.FINALIZED)


def test_a_first_message_carries_the_callback_address_and_a_later_one_the_pid() -> None:
    for first, what in ((CONSUMER, Message.REQUEST), (PROVIDER, Message.OFFER)):
        pair = Pair(Kind.NEGOTIATION, first)
        sent = pair.hold(first, what).document
        own, peer = ("consumerPid", "providerPid") if first is CONSUMER else ("providerPid", "consumerPid")
        assert sent["callbackAddress"] == "https://own.example/dsp"
        assert sent[own] == pair.sides[first].id
        assert peer not in sent
    pair = walked(Message.REQUEST, Message.OFFER)
    sent = pair.hold(CONSUMER, Message.REQUEST).document
    assert (sent["providerPid"], sent["consumerPid"]) == (PROVIDER_PID, CONSUMER_PID)
    assert "callbackAddress" not in sent


def test_counter_offers_both_ways_the_last_one_counts() -> None:
    pair = walked(Message.REQUEST)
    for count, (role, what) in enumerate([(PROVIDER, Message.OFFER), (CONSUMER, Message.REQUEST)] * 2):
        offer = {**OFFER, "@id": f"urn:offer:{count}", "permission": [{"action": "use", "constraint": [{"number": count}]}]}
        pair.say(role, what, offer=offer)
        assert pair.sides[CONSUMER].detail.offer == pair.sides[PROVIDER].detail.offer == offer
        assert pair.sides[CONSUMER].detail.offer_from is pair.sides[PROVIDER].detail.offer_from is role
    terms = {"permission": [{"action": "use", "constraint": [{"number": 3}]}]}
    pair.say(PROVIDER, Message.AGREEMENT, agreement={**AGREEMENT, **terms})
    assert pair.states() == (State.AGREED, State.AGREED)


@pytest.mark.parametrize("stale", [{}, {"permission": [{"action": "use", "constraint": [{"number": 0}]}]}])
def test_an_agreement_on_an_earlier_offer_is_refused(stale: dict[str, Any]) -> None:
    pair = walked(Message.REQUEST, Message.OFFER)
    pair.say(CONSUMER, Message.REQUEST, offer=BETTER)
    held = pair.hold(PROVIDER, Message.AGREEMENT, agreement={**AGREEMENT, **stale})
    with pytest.raises(BadMessage, match="permission") as refusal:
        pair.deliver(CONSUMER, held)
    assert refusal.value.code == "agreement-differs"
    assert pair.sides[CONSUMER].state is State.REQUESTED


@pytest.mark.parametrize(
    ("term", "value"),
    [
        ("target", "urn:dataset:other"),
        ("permission", [{"action": "odrl:distribute"}]),
        ("permission", [{"action": "use"}, {"action": "use", "duty": [{"action": "odrl:delete"}]}]),
        ("prohibition", [{"action": "use"}]),
        ("obligation", [{"action": "odrl:delete"}]),
        ("profile", "https://example.org/profile"),
    ],
)
def test_an_agreement_that_differs_is_refused_by_its_term(term: str, value: Any) -> None:
    pair = walked(Message.REQUEST)
    held = pair.hold(PROVIDER, Message.AGREEMENT, agreement={**AGREEMENT, term: value})
    with pytest.raises(BadMessage, match=f"{term} is not the same"):
        pair.deliver(CONSUMER, held)


def test_an_agreement_in_the_name_of_another_is_refused() -> None:
    pair = walked(Message.REQUEST)
    held = pair.hold(PROVIDER, Message.AGREEMENT, agreement={**AGREEMENT, "assigner": "did:web:third.example"})
    with pytest.raises(BadMessage, match="assigner") as refusal:
        pair.deliver(CONSUMER, held)
    assert refusal.value.code == "agreement-party"


def test_an_agreement_without_an_offer_is_our_own_mistake() -> None:
    consumer = process(Kind.NEGOTIATION, CONSUMER, State.REQUESTED, detail=Detail())
    with pytest.raises(InvariantBroken):
        core.receive(consumer, message(Kind.NEGOTIATION, Message.AGREEMENT), "digest", NOW)


def test_an_offer_without_a_target_is_about_the_dataset_of_the_negotiation() -> None:
    consumer = process(Kind.NEGOTIATION, CONSUMER, State.REQUESTED)
    bare = {key: value for key, value in OFFER.items() if key != "target"}
    offer = dsp.ContractOfferMessage(id="m", provider_pid=PROVIDER_PID, consumer_pid=CONSUMER_PID, offer=bare)
    assert core.receive(consumer, offer, "digest", NOW).process.detail.offer == bare


@pytest.mark.parametrize(("role", "what"), [(PROVIDER, Message.REQUEST), (CONSUMER, Message.OFFER)])
def test_an_offer_about_another_dataset_is_refused(role: Role, what: Message) -> None:
    pair = walked(Message.REQUEST) if what is Message.OFFER else walked(Message.REQUEST, Message.OFFER)
    held = pair.hold(OTHER[role], what, offer={**OFFER, "target": "urn:dataset:other"})
    with pytest.raises(BadMessage, match="target"):
        pair.deliver(role, held)


def test_the_agreement_is_kept_before_it_is_sent_and_when_it_comes() -> None:
    pair = walked(Message.REQUEST)
    held = core.want(pair.sides[PROVIDER], Message.AGREEMENT, {"agreement": AGREEMENT}, "m", NOW)
    assert [type(effect) for effect in held.effects] == [Send, KeepAgreement]
    sent = pair.hold(PROVIDER, Message.AGREEMENT)
    assert pair.deliver(CONSUMER, sent).effects == (KeepAgreement(AGREEMENT),)


def test_the_agreement_binds_when_finalized() -> None:
    pair = walked(Message.REQUEST, Message.AGREEMENT, Message.VERIFICATION)
    held = pair.hold(PROVIDER, Message.FINALIZED)
    assert SettleAgreement(binding=True) in pair.deliver(CONSUMER, held).effects
    answered = pair.answer(PROVIDER, held)
    assert answered is not None
    assert SettleAgreement(binding=True) in answered.effects


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", WAYS)
def test_termination_by_either_side_from_every_state(state: State, role: Role) -> None:
    pair = walked(*WAYS[state])
    assert pair.states() == (state, state)
    held = pair.hold(role, Message.TERMINATION)
    void = SettleAgreement(binding=False)
    agreed = state in (State.AGREED, State.VERIFIED)
    assert (void in pair.deliver(OTHER[role], held).effects) is agreed
    answered = pair.answer(role, held)
    assert answered is not None
    assert (void in answered.effects) is agreed
    assert pair.states() == (State.TERMINATED, State.TERMINATED)
    for side in pair.sides.values():
        assert side.detail.ended is not None
        assert (side.detail.ended.by, side.detail.ended.code) == (role, "enough")


@pytest.mark.parametrize("way", [(Message.FINALIZED,), (Message.TERMINATION,)])
def test_nothing_leads_out_of_an_end(way: tuple[Message, ...]) -> None:
    pair = walked(Message.REQUEST, Message.AGREEMENT, Message.VERIFICATION)
    pair.say(PROVIDER, way[0])
    for role in Role:
        with pytest.raises(IllegalTransition, match="allowed now: nothing"):
            core.receive(pair.sides[role], message(Kind.NEGOTIATION, Message.TERMINATION), "digest", NOW)
        with pytest.raises(Conflict, match="which is final"):
            core.want(pair.sides[role], Message.TERMINATION, {}, "m", NOW)


def test_why_something_cannot_be_sent() -> None:
    with pytest.raises(Conflict, match="our AGREEMENT is not answered yet; OFFER is possible after that"):
        core.want(process(Kind.NEGOTIATION, PROVIDER, State.REQUESTED, Message.AGREEMENT), Message.OFFER, {}, "m", NOW)
    with pytest.raises(Conflict, match="not possible for the consumer in state REQUESTED"):
        core.want(process(Kind.NEGOTIATION, CONSUMER, State.REQUESTED), Message.VERIFICATION, {}, "m", NOW)


@pytest.mark.parametrize("role", Role)
def test_process_ids_in_the_body_must_be_those_of_the_process(role: Role) -> None:
    right: dict[str, Any] = {"provider_pid": PROVIDER_PID, "consumer_pid": CONSUMER_PID}
    for wrong in ("provider_pid", "consumer_pid"):
        received = dsp.ContractNegotiationTerminationMessage(id="m", **{**right, wrong: "urn:uuid:foreign"})
        with pytest.raises(BadMessage) as refusal:
            core.receive(process(Kind.NEGOTIATION, role, State.REQUESTED), received, "digest", NOW)
        assert refusal.value.code == "pid-mismatch"


def test_an_answer_must_name_the_process_of_the_peer() -> None:
    pair = Pair(Kind.NEGOTIATION)
    held = pair.hold(CONSUMER, Message.REQUEST)
    with pytest.raises(BadMessage, match="must name"):
        core.acknowledged(pair.sides[CONSUMER], held.message_id, None, "next", NOW)


def test_a_message_without_an_id_is_recognised_by_its_content() -> None:
    consumer = process(Kind.NEGOTIATION, CONSUMER, State.REQUESTED)
    offer = message(Kind.NEGOTIATION, Message.OFFER, None)
    taken = core.receive(consumer, offer, "digest", NOW).process
    again = core.receive(taken, offer, "digest", NOW + 1)
    assert again.repeat
    assert again.process is taken
    assert again.effects == ()
    with pytest.raises(IllegalTransition):
        core.receive(taken, offer, "another content", NOW + 1)
    with pytest.raises(IllegalTransition):
        # The official kit sends an equal message with a new id, and wants it refused.
        core.receive(taken, message(Kind.NEGOTIATION, Message.OFFER, "urn:message:2"), "digest", NOW + 1)


def test_what_was_sent_since_makes_equal_content_a_new_message() -> None:
    taken = core.receive(
        process(Kind.NEGOTIATION, CONSUMER, State.REQUESTED), message(Kind.NEGOTIATION, Message.OFFER, None), "digest", NOW
    ).process
    countered = core.want(taken, Message.REQUEST, {"offer": OFFER}, "m", NOW).process
    again = core.receive(countered, message(Kind.NEGOTIATION, Message.OFFER, None), "digest", NOW)
    assert not again.repeat


@pytest.mark.parametrize(("first", "what"), [(CONSUMER, Message.REQUEST), (PROVIDER, Message.OFFER)])
def test_a_termination_before_the_first_answer_follows_it(first: Role, what: Message) -> None:
    pair = Pair(Kind.NEGOTIATION, first)
    held = pair.hold(first, what)
    wished = core.want(pair.sides[first], Message.TERMINATION, {"code": "changed-mind", "reason": ["no"]}, "m", NOW)
    assert wished.effects == ()
    pair.sides[first] = wished.process
    pair.deliver(OTHER[first], held)
    answered = pair.answer(first, held)
    assert answered is not None
    termination = next(effect for effect in answered.effects if isinstance(effect, Send))
    assert (termination.document["code"], termination.document["reason"]) == ("changed-mind", ["no"])
    pair.deliver(OTHER[first], termination)
    pair.answer(first, termination)
    assert pair.states() == (State.TERMINATED, State.TERMINATED)


def test_what_follows_an_unanswered_message_says_why() -> None:
    expired = core.expired(
        process(Kind.NEGOTIATION, CONSUMER, State.AGREED, Message.VERIFICATION), "urn:message:in-flight", "n", NOW
    )
    assert expired is not None
    sent = next(effect for effect in expired.effects if isinstance(effect, Send))
    assert sent.document["code"] == "no-answer"
    assert SettleAgreement(binding=False) in expired.effects
