"""Messages that cross on the wire, by name: who waits, who goes first, and that both sides end in the same state."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from connector.protocol.errors import IllegalTransition, NotNow
from connector.protocol.record import Send
from connector.protocol.states import INITIAL, TABLES, Kind, Message, Next, Role, State, send, step
from tests.protocol.samples import MESSAGES, OTHER, Pair

CONSUMER, PROVIDER = Role.CONSUMER, Role.PROVIDER
Way = Sequence[tuple[Role, Message]]

REQUESTED: Way = [(CONSUMER, Message.REQUEST)]
OFFERED: Way = [*REQUESTED, (PROVIDER, Message.OFFER)]
ACCEPTED: Way = [*OFFERED, (CONSUMER, Message.ACCEPTED)]
AGREED: Way = [*REQUESTED, (PROVIDER, Message.AGREEMENT)]
VERIFIED: Way = [*AGREED, (CONSUMER, Message.VERIFICATION)]
STARTED: Way = [*REQUESTED, (PROVIDER, Message.START)]
SUSPENDED: Way = [*STARTED, (CONSUMER, Message.SUSPENSION)]
RESUMED: Way = [*SUSPENDED, (CONSUMER, Message.START)]

# kind, how they came there, what the consumer and the provider send at the same time, and where both end.
CROSSINGS: list[tuple[Kind, Way, Message, Message, str]] = [
    (Kind.NEGOTIATION, REQUESTED, Message.TERMINATION, Message.OFFER, "TERMINATED"),
    (Kind.NEGOTIATION, REQUESTED, Message.TERMINATION, Message.AGREEMENT, "TERMINATED"),
    (Kind.NEGOTIATION, REQUESTED, Message.TERMINATION, Message.TERMINATION, "TERMINATED"),
    (Kind.NEGOTIATION, OFFERED, Message.REQUEST, Message.TERMINATION, "TERMINATED"),
    (Kind.NEGOTIATION, OFFERED, Message.ACCEPTED, Message.TERMINATION, "TERMINATED"),
    (Kind.NEGOTIATION, OFFERED, Message.TERMINATION, Message.TERMINATION, "TERMINATED"),
    (Kind.NEGOTIATION, ACCEPTED, Message.TERMINATION, Message.AGREEMENT, "TERMINATED"),
    (Kind.NEGOTIATION, ACCEPTED, Message.TERMINATION, Message.TERMINATION, "TERMINATED"),
    (Kind.NEGOTIATION, AGREED, Message.VERIFICATION, Message.TERMINATION, "TERMINATED"),
    (Kind.NEGOTIATION, AGREED, Message.TERMINATION, Message.TERMINATION, "TERMINATED"),
    (Kind.NEGOTIATION, VERIFIED, Message.TERMINATION, Message.FINALIZED, "TERMINATED"),
    (Kind.NEGOTIATION, VERIFIED, Message.TERMINATION, Message.TERMINATION, "TERMINATED"),
    (Kind.TRANSFER, REQUESTED, Message.TERMINATION, Message.START, "TERMINATED"),
    (Kind.TRANSFER, REQUESTED, Message.TERMINATION, Message.TERMINATION, "TERMINATED"),
    *((Kind.TRANSFER, way, one, Message.TERMINATION, "TERMINATED") for way in (STARTED, RESUMED)
      for one in (Message.SUSPENSION, Message.COMPLETION, Message.TERMINATION)),
    *((Kind.TRANSFER, way, Message.TERMINATION, other, "TERMINATED") for way in (STARTED, RESUMED)
      for other in (Message.SUSPENSION, Message.COMPLETION)),
    (Kind.TRANSFER, STARTED, Message.SUSPENSION, Message.SUSPENSION, "SUSPENDED"),
    (Kind.TRANSFER, STARTED, Message.SUSPENSION, Message.COMPLETION, "COMPLETED"),
    (Kind.TRANSFER, STARTED, Message.COMPLETION, Message.SUSPENSION, "COMPLETED"),
    (Kind.TRANSFER, STARTED, Message.COMPLETION, Message.COMPLETION, "COMPLETED"),
    (Kind.TRANSFER, SUSPENDED, Message.START, Message.START, "STARTED"),
    (Kind.TRANSFER, SUSPENDED, Message.START, Message.TERMINATION, "TERMINATED"),
    (Kind.TRANSFER, SUSPENDED, Message.TERMINATION, Message.START, "TERMINATED"),
    (Kind.TRANSFER, SUSPENDED, Message.TERMINATION, Message.TERMINATION, "TERMINATED"),
    (Kind.TRANSFER, RESUMED, Message.SUSPENSION, Message.START, "SUSPENDED"),
    (Kind.TRANSFER, RESUMED, Message.SUSPENSION, Message.SUSPENSION, "SUSPENDED"),
    (Kind.TRANSFER, RESUMED, Message.SUSPENSION, Message.COMPLETION, "COMPLETED"),
    (Kind.TRANSFER, RESUMED, Message.COMPLETION, Message.START, "COMPLETED"),
    (Kind.TRANSFER, RESUMED, Message.COMPLETION, Message.SUSPENSION, "COMPLETED"),
    (Kind.TRANSFER, RESUMED, Message.COMPLETION, Message.COMPLETION, "COMPLETED"),
    (Kind.TRANSFER, RESUMED, Message.TERMINATION, Message.START, "TERMINATED"),
]  # fmt: skip


def crossed(kind: Kind, way: Way, consumers: Message, providers: Message) -> tuple[Pair, dict[Role, Send]]:
    """A pair with one message of each on the wire."""
    pair = Pair(kind)
    for role, what in way:
        pair.say(role, what)
    return pair, {CONSUMER: pair.hold(CONSUMER, consumers), PROVIDER: pair.hold(PROVIDER, providers)}


def settle(pair: Pair, flying: dict[Role, Send], order: Sequence[Role]) -> None:
    """Deliver what flies until nobody waits; what is told "not now" is sent again, what is refused is looked into."""
    for _ in range(6):
        for role in order:
            held = flying.get(role)
            if held is None:
                continue
            try:
                pair.deliver(OTHER[role], held)
            except NotNow:
                continue
            except IllegalTransition:
                decision = pair.refuse(role, held)
            else:
                decision = pair.answer(role, held)
            flying.pop(role)
            for effect in () if decision is None else decision.effects:
                if isinstance(effect, Send):
                    flying[role] = effect
    assert not flying
    assert all(side.awaiting is None for side in pair.sides.values())


def name(value: object) -> str:
    """Readable in a test report."""
    return "-".join(what for _, what in value) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("order", [(CONSUMER, PROVIDER), (PROVIDER, CONSUMER)], ids=["consumer-first", "provider-first"])
@pytest.mark.parametrize(("kind", "way", "consumers", "providers", "end"), CROSSINGS, ids=name)
def test_crossing(kind: Kind, way: Way, consumers: Message, providers: Message, end: str, order: Sequence[Role]) -> None:
    pair, flying = crossed(kind, way, consumers, providers)
    settle(pair, flying, order)
    assert [side.state.on_wire for side in pair.sides.values()] == [end, end]


@pytest.mark.parametrize("kind", Kind)
def test_no_crossing_is_missing_above(kind: Kind) -> None:
    """Every state that both can be in at rest, and every two messages that both could send there."""
    possible = set()
    for state, awaiting in TABLES[kind, CONSUMER]:
        if awaiting is None and state is not INITIAL:
            for one in MESSAGES[kind]:
                for other in MESSAGES[kind]:
                    ours = step(kind, CONSUMER, state, None, send(one))
                    theirs = step(kind, PROVIDER, state, None, send(other))
                    if isinstance(ours, Next) and isinstance(theirs, Next):
                        possible.add((state, one, other))
    named = set()
    for of_kind, way, one, other, _ in CROSSINGS:
        if of_kind is kind:
            pair = Pair(kind)
            for role, what in way:
                pair.say(role, what)
            assert len(set(pair.states())) == 1
            named.add((pair.states()[0], one, other))
    assert named == possible


def test_crossing_suspensions_do_not_count_twice() -> None:
    """The consumer's suspension is still on its way when the provider has resumed: it takes effect then, not never."""
    pair, flying = crossed(Kind.TRANSFER, STARTED, Message.SUSPENSION, Message.SUSPENSION)
    pair.deliver(CONSUMER, flying[PROVIDER])
    pair.answer(PROVIDER, flying[PROVIDER])
    assert (pair.sides[CONSUMER].state, pair.sides[CONSUMER].awaiting) == (State.SUSPENDED, Message.SUSPENSION)
    pair.say(PROVIDER, Message.START)
    assert (pair.sides[CONSUMER].state, pair.sides[CONSUMER].awaiting) == (State.STARTED, Message.SUSPENSION)
    settle(pair, {CONSUMER: flying[CONSUMER]}, [CONSUMER])
    assert pair.states() == (State.SUSPENDED, State.SUSPENDED)


def test_a_resumption_whose_answer_was_lost_is_answered_by_the_owed_start() -> None:
    pair = Pair(Kind.TRANSFER)
    for role, what in SUSPENDED:
        pair.say(role, what)
    lost = pair.hold(CONSUMER, Message.START)
    pair.deliver(PROVIDER, lost)
    assert pair.states() == (State.SUSPENDED, State.RESUMED)
    pair.say(PROVIDER, Message.START)
    assert pair.states() == (State.STARTED, State.STARTED)
    assert pair.answer(CONSUMER, lost) is None


@pytest.mark.parametrize(
    ("way", "lost", "follows"),
    [
        ([], (CONSUMER, Message.REQUEST), Message.AGREEMENT),
        ([], (CONSUMER, Message.REQUEST), Message.OFFER),
        (OFFERED, (CONSUMER, Message.REQUEST), Message.OFFER),
        (OFFERED, (CONSUMER, Message.ACCEPTED), Message.AGREEMENT),
        (AGREED, (CONSUMER, Message.VERIFICATION), Message.FINALIZED),
        (REQUESTED, (PROVIDER, Message.OFFER), Message.ACCEPTED),
        (REQUESTED, (PROVIDER, Message.AGREEMENT), Message.VERIFICATION),
    ],
    ids=name,
)
def test_what_can_only_follow_ours_is_its_acknowledgement(way: Way, lost: tuple[Role, Message], follows: Message) -> None:
    pair = Pair(Kind.NEGOTIATION)
    for role, what in way:
        pair.say(role, what)
    role, what = lost
    held = pair.hold(role, what)
    pair.deliver(OTHER[role], held)
    pair.say(OTHER[role], follows)
    assert len(set(pair.states())) == 1
    assert all(side.awaiting is None for side in pair.sides.values())
    assert pair.sides[role].peer_pid == pair.sides[OTHER[role]].id
    assert pair.answer(role, held) is None


@pytest.mark.parametrize(
    ("kind", "way", "role", "what"),
    [
        (Kind.NEGOTIATION, OFFERED, CONSUMER, Message.REQUEST),
        (Kind.NEGOTIATION, OFFERED, CONSUMER, Message.ACCEPTED),
        (Kind.NEGOTIATION, AGREED, CONSUMER, Message.VERIFICATION),
        (Kind.NEGOTIATION, REQUESTED, PROVIDER, Message.OFFER),
        (Kind.NEGOTIATION, REQUESTED, PROVIDER, Message.AGREEMENT),
        (Kind.NEGOTIATION, VERIFIED, PROVIDER, Message.FINALIZED),
        (Kind.TRANSFER, REQUESTED, PROVIDER, Message.START),
        (Kind.TRANSFER, STARTED, PROVIDER, Message.SUSPENSION),
        (Kind.TRANSFER, STARTED, CONSUMER, Message.COMPLETION),
        (Kind.TRANSFER, SUSPENDED, CONSUMER, Message.START),
    ],
    ids=name,
)
def test_a_message_that_was_taken_and_then_refused_turns_out_to_have_been_taken(
    kind: Kind, way: Way, role: Role, what: Message
) -> None:
    """Its answer was lost and the peer does not remember it: the refusal of the second copy ends in the peer's state."""
    pair = Pair(kind)
    for who, said in way:
        pair.say(who, said)
    held = pair.hold(role, what)
    pair.deliver(OTHER[role], held)
    pair.refuse(role, held)
    assert len({side.state.on_wire for side in pair.sides.values()}) == 1
    assert pair.sides[role].awaiting is None


def test_the_consumer_hears_not_now_from_a_provider_that_is_suspending() -> None:
    pair, flying = crossed(Kind.TRANSFER, STARTED, Message.SUSPENSION, Message.SUSPENSION)
    with pytest.raises(NotNow):
        pair.deliver(PROVIDER, flying[CONSUMER])
