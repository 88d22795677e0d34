"""Transfers as they go, between two cores: pauses and resumptions by both sides, and what the data plane is told."""

from __future__ import annotations

import pytest

from connector.protocol import messages as dsp
from connector.protocol import process as core
from connector.protocol.errors import IllegalTransition, NotNow
from connector.protocol.record import Flow, Send
from connector.protocol.states import Kind, Message, Role, State
from tests.protocol.samples import ADDRESS, CONTENT, NOW, OTHER, Pair, message, process

CONSUMER, PROVIDER = Role.CONSUMER, Role.PROVIDER
NEW_ADDRESS = {**ADDRESS, "endpoint": "https://provider.example/data/2"}
WAYS: dict[State, tuple[tuple[Role, Message], ...]] = {
    State.REQUESTED: (),
    State.STARTED: ((PROVIDER, Message.START),),
    State.SUSPENDED: ((PROVIDER, Message.START), (PROVIDER, Message.SUSPENSION)),
    State.RESUMED: ((PROVIDER, Message.START), (PROVIDER, Message.SUSPENSION), (CONSUMER, Message.START)),
}


def walked(*way: tuple[Role, Message]) -> Pair:
    """A pair that has exchanged a request and then these messages."""
    pair = Pair(Kind.TRANSFER)
    pair.say(CONSUMER, Message.REQUEST)
    for role, what in way:
        pair.say(role, what)
    return pair


def on_wire(pair: Pair) -> tuple[str, str]:
    """What both sides show, (consumer, provider)."""
    consumer, provider = pair.states()
    return consumer.on_wire, provider.on_wire


def test_start_and_completion() -> None:
    for role in Role:
        pair = walked((PROVIDER, Message.START))
        assert pair.sides[CONSUMER].detail.data_address == ADDRESS
        pair.say(role, Message.COMPLETION)
        assert pair.states() == (State.COMPLETED, State.COMPLETED)


@pytest.mark.parametrize("resumes", Role)
@pytest.mark.parametrize("suspends", Role)
def test_suspension_and_resumption_by_both_sides_again_and_again(suspends: Role, resumes: Role) -> None:
    pair = walked((PROVIDER, Message.START))
    for _ in range(3):
        pair.say(suspends, Message.SUSPENSION)
        assert pair.states() == (State.SUSPENDED, State.SUSPENDED)
        assert all(side.detail.ended is not None and side.detail.ended.by is suspends for side in pair.sides.values())
        pair.say(resumes, Message.START)
        if resumes is CONSUMER:
            assert pair.states() == (State.RESUMED, State.RESUMED)
            pair.say(PROVIDER, Message.START, data_address=NEW_ADDRESS)
            assert pair.sides[CONSUMER].detail.data_address == NEW_ADDRESS
        assert pair.states() == (State.STARTED, State.STARTED)
        assert all(side.detail.ended is None for side in pair.sides.values())


def test_the_disabled_flow_tp_02_04_the_consumer_suspends_resumes_and_completes() -> None:
    pair = walked((PROVIDER, Message.START), (CONSUMER, Message.SUSPENSION))
    assert on_wire(pair) == ("SUSPENDED", "SUSPENDED")
    pair.say(CONSUMER, Message.START)
    assert on_wire(pair) == ("STARTED", "STARTED")
    pair.say(CONSUMER, Message.COMPLETION)
    assert on_wire(pair) == ("COMPLETED", "COMPLETED")


def test_the_disabled_flow_tp_c_02_04_is_the_same_seen_from_the_consumer() -> None:
    consumer = process(Kind.TRANSFER, CONSUMER, State.REQUESTED)
    consumer = core.receive(consumer, message(Kind.TRANSFER, Message.START), "digest", NOW).process
    seen = [consumer.state.on_wire]
    for number, what in enumerate((Message.SUSPENSION, Message.START, Message.COMPLETION)):
        sent = core.want(consumer, what, {"code": "pause", "reason": ["wait"]}, f"m{number}", NOW)
        answered = core.acknowledged(sent.process, f"m{number}", None, "next", NOW)
        assert answered is not None
        consumer = answered.process
        seen.append(consumer.state.on_wire)
    assert seen == ["STARTED", "SUSPENDED", "STARTED", "COMPLETED"]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", WAYS)
def test_termination_by_either_side_from_every_state(state: State, role: Role) -> None:
    pair = walked(*WAYS[state])
    assert pair.states() == (state, state)
    pair.say(role, Message.TERMINATION)
    assert pair.states() == (State.TERMINATED, State.TERMINATED)
    assert all(side.detail.ended is not None and side.detail.ended.by is role for side in pair.sides.values())


@pytest.mark.parametrize("end", [Message.COMPLETION, Message.TERMINATION])
@pytest.mark.parametrize("late", [Message.START, Message.SUSPENSION, Message.COMPLETION, Message.TERMINATION])
def test_nothing_leads_out_of_an_end(end: Message, late: Message) -> None:
    pair = walked((PROVIDER, Message.START), (PROVIDER, end))
    for side in pair.sides.values():
        with pytest.raises(IllegalTransition):
            core.receive(side, message(Kind.TRANSFER, late), "digest", NOW)


def test_a_consumer_cannot_start_what_the_provider_has_not_started() -> None:
    with pytest.raises(IllegalTransition, match="allowed now: TERMINATION"):
        core.receive(process(Kind.TRANSFER, PROVIDER, State.REQUESTED), message(Kind.TRANSFER, Message.START), "digest", NOW)


def test_the_consumer_hears_that_the_owed_start_comes_first() -> None:
    provider = process(Kind.TRANSFER, PROVIDER, State.RESUMED)
    with pytest.raises(NotNow, match="our own START is on its way to you; answer it first and send SUSPENSION again"):
        core.receive(provider, message(Kind.TRANSFER, Message.SUSPENSION), "digest", NOW)


# -- the data plane ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("what", "command"), [(Message.SUSPENSION, "suspend"), (Message.TERMINATION, "terminate")])
def test_data_stop_before_the_peer_has_answered(role: Role, what: Message, command: str) -> None:
    decision = core.want(process(Kind.TRANSFER, role, State.STARTED), what, CONTENT, "m", NOW)
    assert Flow(command) in decision.effects


@pytest.mark.parametrize(
    ("what", "command"),
    [(Message.SUSPENSION, "suspend"), (Message.TERMINATION, "terminate"), (Message.COMPLETION, "completed")],
)
@pytest.mark.parametrize("role", Role)
def test_data_stop_when_the_peer_says_so(role: Role, what: Message, command: str) -> None:
    decision = core.receive(process(Kind.TRANSFER, role, State.STARTED), message(Kind.TRANSFER, what), "digest", NOW)
    assert decision.effects == (Flow(command),)


def test_a_consumer_hands_the_address_to_its_data_plane() -> None:
    consumer = process(Kind.TRANSFER, CONSUMER, State.REQUESTED)
    decision = core.receive(consumer, message(Kind.TRANSFER, Message.START), "digest", NOW)
    assert decision.effects == (Flow("started", ADDRESS),)


def test_a_start_without_an_address_leaves_the_one_that_held() -> None:
    consumer = process(Kind.TRANSFER, CONSUMER, State.RESUMED)
    start = dsp.TransferStartMessage(id="m", provider_pid="urn:uuid:provider-side", consumer_pid="urn:uuid:consumer-side")
    known = core.receive(consumer, message(Kind.TRANSFER, Message.START), "digest", NOW).process
    suspended = core.receive(known, message(Kind.TRANSFER, Message.SUSPENSION), "digest 2", NOW).process
    assert core.receive(suspended, start, "digest 3", NOW).process.detail.data_address == ADDRESS


def test_a_resumption_by_the_consumer_wakes_the_providers_data_plane() -> None:
    provider = process(Kind.TRANSFER, PROVIDER, State.SUSPENDED)
    assert core.receive(provider, message(Kind.TRANSFER, Message.START), "digest", NOW).effects == (Flow("resume"),)


@pytest.mark.parametrize("role", Role)
def test_a_termination_that_follows_no_answer_stops_the_data(role: Role) -> None:
    for awaiting in (Message.SUSPENSION, Message.COMPLETION):
        expired = core.expired(process(Kind.TRANSFER, role, State.STARTED, awaiting), "urn:message:in-flight", "n", NOW)
        assert expired is not None
        assert Flow("terminate") in expired.effects
        assert any(isinstance(effect, Send) and effect.message is Message.TERMINATION for effect in expired.effects)


def test_a_refused_start_ends_the_transfer_on_both_sides() -> None:
    pair = walked()
    held = pair.hold(PROVIDER, Message.START)
    refused = pair.refuse(PROVIDER, held)
    assert refused is not None
    termination = next(effect for effect in refused.effects if isinstance(effect, Send))
    assert Flow("terminate") in refused.effects
    assert termination.document["code"] == "illegal-transition"
    pair.deliver(OTHER[PROVIDER], termination)
    pair.answer(PROVIDER, termination)
    assert pair.states() == (State.TERMINATED, State.TERMINATED)
