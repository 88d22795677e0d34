"""Every interleaving of two connectors over a wire that loses, doubles, delays and reorders, explored exhaustively.

The world is small on purpose (a bounded number of own initiatives), but inside that bound nothing is left to chance: each
reachable configuration of both machines, their remembered judgements and all copies of messages still on the wire is
visited. Whenever the wire is silent, nobody awaits anything and the provider owes no start message, both sides must show
the same state; and there is a way to such a rest from everywhere.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import pytest

from connector.protocol.states import (
    ACK,
    BUSY,
    FINAL,
    REFUSED,
    TABLES,
    Event,
    Kind,
    Message,
    Next,
    Role,
    State,
    adopt,
    recv,
    send,
    step,
)


@dataclass(frozen=True)
class Side:
    """A machine, the id of its message in flight, its last number, and what it has judged (id -> accepted)."""

    state: State = State.INITIAL
    awaiting: Message | None = None
    awaiting_id: int = 0
    knows_peer: bool = False
    judged: frozenset[tuple[int, bool]] = frozenset()


@dataclass(frozen=True)
class World:
    """Both sides and every copy on the wire: (receiver, id, message). Ids are given in order of sending."""

    sides: tuple[Side, Side]
    wire: frozenset[tuple[int, int, Message]]
    next_id: int
    initiatives: int


ROLES = (Role.CONSUMER, Role.PROVIDER)


def _put(world: World, who: int, side: Side) -> World:
    sides = (side, world.sides[1]) if who == 0 else (world.sides[0], side)
    return replace(world, sides=sides)


def _terminate(world: World, who: int, side: Side) -> World:
    side = replace(side, awaiting=Message.TERMINATION, awaiting_id=world.next_id)
    world = _put(world, who, side)
    return replace(world, next_id=world.next_id + 1, wire=world.wire | {(1 - who, world.next_id, Message.TERMINATION)})


def _initiatives(kind: Kind, world: World) -> list[World]:
    """Whatever either side may send of its own accord now."""
    found = []
    for who, role in enumerate(ROLES):
        side = world.sides[who]
        if (side.state, side.awaiting) == (State.INITIAL, None):
            continue
        for event in TABLES[kind, role].get((side.state, side.awaiting), {}):
            if event.what != "send" or event.message is None:
                continue
            owed = event.message is Message.START and side.state is State.RESUMED
            costs = 0 if owed or event.message in (Message.VERIFICATION, Message.FINALIZED) else 1
            if world.initiatives < costs:
                continue
            following = step(kind, role, side.state, side.awaiting, event)
            assert isinstance(following, Next)
            spent = replace(world, initiatives=world.initiatives - costs)
            if following.awaiting is not event.message:
                found.append(_put(spent, who, replace(side, awaiting=following.awaiting)))
                continue
            moved = replace(side, state=following.state, awaiting=following.awaiting, awaiting_id=world.next_id)
            spent = _put(spent, who, moved)
            copy = (1 - who, world.next_id, event.message)
            found.append(replace(spent, next_id=world.next_id + 1, wire=spent.wire | {copy}))
    return found


def _answer(kind: Kind, world: World, who: int, message_id: int, accepted: bool) -> World:
    """The answer to ``message_id`` reaches its sender ``who``."""
    side, peer, role = world.sides[who], world.sides[1 - who], ROLES[who]
    if side.awaiting_id != message_id or side.awaiting is None:
        return world
    if accepted:
        following = step(kind, role, side.state, side.awaiting, ACK)
        assert isinstance(following, Next), (role, side)
    elif (adopted := adopt(kind, role, side.state, side.awaiting, peer.state.on_wire)) is not None:
        following = Next(adopted, None)
    else:
        row = step(kind, role, side.state, side.awaiting, REFUSED)
        following = row if isinstance(row, Next) else Next(side.state, Message.TERMINATION)
    before = side.awaiting
    side = replace(side, state=following.state, awaiting=following.awaiting, knows_peer=True)
    if following.awaiting is Message.TERMINATION and before is not Message.TERMINATION:
        return _terminate(world, who, side)
    return _put(world, who, side)


def _deliver(kind: Kind, world: World, copy: tuple[int, int, Message]) -> list[World]:
    """A copy arrives. It may stay on the wire (a double), and its answer may be lost."""
    who, message_id, message = copy
    side, role = world.sides[who], ROLES[who]
    verdicts = dict(side.judged)
    if message_id not in verdicts:
        outcome = step(kind, role, side.state, side.awaiting, recv(message))
        if outcome is BUSY:
            return [world]
        accepted = isinstance(outcome, Next)
        if isinstance(outcome, Next):
            keeps = outcome.awaiting is not None and outcome.awaiting is side.awaiting
            side = replace(
                side,
                state=outcome.state,
                awaiting=outcome.awaiting,
                awaiting_id=side.awaiting_id if keeps else 0,
                knows_peer=True,
            )
        side = replace(side, judged=side.judged | {(message_id, accepted)})
        world = _put(world, who, side)
    else:
        accepted = verdicts[message_id]
    kept = world
    gone = replace(world, wire=world.wire - {copy})
    return [kept, _answer(kind, kept, 1 - who, message_id, accepted), _answer(kind, gone, 1 - who, message_id, accepted)]


def _retries(world: World) -> World:
    """Whatever is awaited is on the wire again: a sender never gives up in this world."""
    wire = set(world.wire)
    for who in (0, 1):
        side = world.sides[who]
        if side.awaiting is not None and side.awaiting_id:
            message = {
                Message.REQUEST_THEN_TERMINATION: Message.REQUEST,
                Message.OFFER_THEN_TERMINATION: Message.OFFER,
            }.get(side.awaiting, side.awaiting)
            wire.add((1 - who, side.awaiting_id, message))
    return replace(world, wire=frozenset(wire))


def _tidy(world: World) -> World:
    """Forget judgements about ids that cannot come back: keeps the space finite without changing what can happen."""
    alive = {message_id for _, message_id, _ in world.wire} | {side.awaiting_id for side in world.sides}
    return replace(
        world,
        sides=(
            replace(world.sides[0], judged=frozenset(j for j in world.sides[0].judged if j[0] in alive)),
            replace(world.sides[1], judged=frozenset(j for j in world.sides[1].judged if j[0] in alive)),
        ),
    )


def _story(came: dict[World, World | None], world: World | None) -> str:
    """How the two got there, a line for each step."""
    lines: list[str] = []
    while world is not None:
        sides = [f"{side.state.value}/{side.awaiting and side.awaiting.value}" for side in world.sides]
        wire = sorted(f"{who}<-{message.value}#{number}" for who, number, message in world.wire)
        lines.append(" | ".join([*sides, ", ".join(wire)]))
        world = came[world]
    return "\n".join(reversed(lines))


def explore(kind: Kind, first: Role, initiatives: int) -> tuple[int, set[tuple[State, State]]]:
    """Visit everything; return the number of configurations and the pairs of states seen at rest."""
    who = ROLES.index(first)
    opening = Message.REQUEST if first is Role.CONSUMER else Message.OFFER
    start = World((Side(), Side()), frozenset(), 1, initiatives)
    following = step(kind, first, State.INITIAL, None, send(opening))
    assert isinstance(following, Next)
    start = _put(start, who, Side(following.state, following.awaiting, 1))
    start = replace(start, wire=frozenset({(1 - who, 1, opening)}), next_id=2)
    came: dict[World, World | None] = {start: None}
    queue, resting = deque([start]), set()
    before: dict[World, list[World]] = {}
    settled: deque[World] = deque()
    while queue:
        world = queue.popleft()
        consumer, provider = world.sides
        owes = provider.state is State.RESUMED
        if not world.wire and consumer.awaiting is None and provider.awaiting is None and not owes:
            resting.add((consumer.state, provider.state))
            settled.append(world)
            assert consumer.state.on_wire == provider.state.on_wire, _story(came, world)
        successors = _initiatives(kind, world)
        for copy in world.wire:
            successors.append(replace(world, wire=world.wire - {copy}))
            successors.extend(_deliver(kind, world, copy))
        for reached in successors:
            successor = _tidy(_retries(reached))
            before.setdefault(successor, []).append(world)
            if successor not in came:
                came[successor] = world
                queue.append(successor)
    _assert_no_deadlock(came, before, settled)
    return len(came), resting


def _assert_no_deadlock(came: dict[World, World | None], before: dict[World, list[World]], settled: deque[World]) -> None:
    """From every configuration there is a way to rest: no two sides say "not now" to each other for ever."""
    can_rest = set(settled)
    while settled:
        for earlier in before.get(settled.popleft(), []):
            if earlier not in can_rest:
                can_rest.add(earlier)
                settled.append(earlier)
    stuck = next((world for world in came if world not in can_rest), None)
    assert stuck is None, _story(came, stuck)


@pytest.mark.parametrize(
    ("kind", "first", "initiatives"),
    [
        (Kind.NEGOTIATION, Role.CONSUMER, 4),
        (Kind.NEGOTIATION, Role.PROVIDER, 3),
        (Kind.TRANSFER, Role.CONSUMER, 4),
    ],
)
def test_two_machines_always_rest_in_the_same_state(kind: Kind, first: Role, initiatives: int) -> None:
    visited, resting = explore(kind, first, initiatives)
    assert visited > 500
    ends = {pair[0] for pair in resting} & FINAL
    assert State.TERMINATED in ends
    assert (State.FINALIZED if kind is Kind.NEGOTIATION else State.COMPLETED) in ends


def test_no_row_leads_out_of_a_final_state_but_the_end_of_a_termination() -> None:
    for (kind, role), rows in TABLES.items():
        for (state, awaiting), row in rows.items():
            if state in FINAL:
                assert (state, awaiting) == (State.TERMINATED, Message.TERMINATION), (kind, role)
                assert all(outcome == Next(State.TERMINATED, None) for outcome in row.values())


def test_every_row_with_a_message_in_flight_knows_its_answer_and_its_deadline() -> None:
    for (kind, role), rows in TABLES.items():
        for (state, awaiting), row in rows.items():
            if awaiting is not None:
                assert ACK in row, (kind, role, state, awaiting)
                assert Event("deadline") in row, (kind, role, state, awaiting)
