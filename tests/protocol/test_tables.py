"""Every row of every table, on the real core: it does what the row says, and what has no row raises and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connector.protocol import process as core
from connector.protocol.errors import BadMessage, Conflict, IllegalTransition, NotNow
from connector.protocol.record import Decision, Process, Send, Withdraw
from connector.protocol.states import (
    ACK,
    ADOPT,
    BUSY,
    DEADLINE,
    FINAL,
    INITIAL,
    REFUSED,
    TABLES,
    Event,
    Kind,
    Message,
    Next,
    Role,
    State,
    adopt,
    allowed,
    recv,
    send,
    step,
)
from tests.protocol import samples

Key = tuple[Kind, Role, State, Message | None]
NEW_ID, NEXT_ID, LATER = "urn:message:new", "urn:message:next", samples.NOW + 5
WIRE_STATES = sorted({state.on_wire for state in State})


def keys() -> Iterator[Key]:
    """Every (state, awaiting) of the tables, and the final states, which have no rows."""
    for (kind, role), rows in TABLES.items():
        yield from ((kind, role, state, awaiting) for state, awaiting in rows)
        for state in sorted(FINAL):
            if (state, None) not in rows and state in states_of(kind):
                yield kind, role, state, None


def states_of(kind: Kind) -> set[State]:
    """The states that belong to a kind."""
    shared = {State.INITIAL, State.REQUESTED, State.TERMINATED}
    transfer = {State.STARTED, State.RESUMED, State.SUSPENDED, State.COMPLETED}
    return shared | transfer if kind is Kind.TRANSFER else set(State) - transfer


KEYS = list(keys())


def name(key: Key) -> str:
    """Readable in a test report."""
    kind, role, state, awaiting = key
    return f"{kind.value}-{role.value}-{state.value}-{'-' if awaiting is None else awaiting.value}"


def check_move(before: Process, decision: Decision | None, following: Next) -> Process:
    """The decision leads where the row says; who goes on waiting keeps the id, who stops withdraws the message."""
    assert decision is not None
    after = decision.process
    assert (after.state, after.awaiting) == following
    assert after.updated_at == LATER
    assert (after.awaiting_id is None) == (after.awaiting is None)
    withdrawn = [effect.message_id for effect in decision.effects if isinstance(effect, Withdraw)]
    over = before.awaiting_id is not None and after.awaiting_id != before.awaiting_id
    assert withdrawn == ([before.awaiting_id] if over else [])
    sent = [effect for effect in decision.effects if isinstance(effect, Send)]
    assert [effect.message_id for effect in sent] == ([after.awaiting_id] if after.awaiting_id in (NEW_ID, NEXT_ID) else [])
    assert all(effect.message is after.awaiting for effect in sent)
    return after


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_what_the_peer_may_send(key: Key) -> None:
    kind, role, state, awaiting = key
    before = samples.process(*key)
    may = []
    for what in samples.MESSAGES[kind]:
        outcome = step(*key, recv(what))
        message = samples.message(kind, what)
        if isinstance(outcome, Next):
            may.append(what)
            after = check_move(before, core.receive(before, message, "digest", LATER), outcome)
            assert after.last_digest == "digest"
            assert after.peer_pid is not None
        elif outcome is BUSY:
            may.append(what)
            with pytest.raises(NotNow, match=f"send {what} again") as busy:
                core.receive(before, message, "digest", LATER)
            assert busy.value.status == 409
        elif before.peer_pid is not None and kind is Kind.TRANSFER and (role, what) == (Role.CONSUMER, Message.REQUEST):
            # It has no providerPid: a consumer refuses it before any table is asked.
            with pytest.raises(BadMessage, match="pid"):
                core.receive(before, message, "digest", LATER)
        else:
            with pytest.raises(IllegalTransition, match=f"in state {state.on_wire}; allowed now: ") as illegal:
                core.receive(before, message, "digest", LATER)
            assert illegal.value.status == 400
        assert before == samples.process(*key)
    assert allowed(kind, role, state, awaiting) == sorted(what.value for what in may)


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_what_we_may_send(key: Key) -> None:
    before = samples.process(*key)
    for what in samples.MESSAGES[key[0]]:
        outcome = step(*key, send(what))
        if isinstance(outcome, Next):
            after = check_move(before, core.want(before, what, samples.CONTENT, NEW_ID, LATER), outcome)
            assert after.last_digest is None
            assert after.state is before.state, "sending alone never changes a state"
        else:
            with pytest.raises(Conflict) as refusal:
                core.want(before, what, samples.CONTENT, NEW_ID, LATER)
            assert refusal.value.code == "not-possible-now"
        assert before == samples.process(*key)


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_the_answer(key: Key) -> None:
    before = samples.process(*key)
    assert core.acknowledged(before, "urn:message:another", samples.PROVIDER_PID, NEXT_ID, LATER) is None
    if before.awaiting is not None:
        following = step(*key, ACK)
        assert isinstance(following, Next)
        peer = before.peer_pid or "urn:uuid:peer"
        after = check_move(before, core.acknowledged(before, samples.FLIGHT, peer, NEXT_ID, LATER), following)
        assert after.peer_pid == peer


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_no_answer(key: Key) -> None:
    before = samples.process(*key)
    assert core.expired(before, "urn:message:another", NEXT_ID, LATER) is None
    if before.awaiting is not None:
        following = step(*key, DEADLINE)
        assert isinstance(following, Next)
        after = check_move(before, core.expired(before, samples.FLIGHT, NEXT_ID, LATER), following)
        assert after.detail.ended is not None


@pytest.mark.parametrize("peer_state", [None, *WIRE_STATES])
@pytest.mark.parametrize("key", [key for key in KEYS if key[3] is not None], ids=name)
def test_a_refusal(key: Key, peer_state: str | None) -> None:
    kind, role, state, awaiting = key
    assert awaiting is not None
    before = samples.process(*key)
    assert core.refused(before, "urn:message:another", peer_state, samples.WHY, NEXT_ID, LATER) is None
    adopted = adopt(kind, role, state, awaiting, peer_state)
    row = step(*key, REFUSED)
    expected = row if isinstance(row, Next) else Next(state, Message.TERMINATION)
    if adopted is not None:
        expected = Next(adopted, None)
    after = check_move(before, core.refused(before, samples.FLIGHT, peer_state, samples.WHY, NEXT_ID, LATER), expected)
    assert after.detail.refusal == samples.WHY


def test_nobody_waits_for_the_refusal_of_nothing() -> None:
    before = samples.process(Kind.NEGOTIATION, Role.CONSUMER, State.REQUESTED)
    assert core.refused(before, samples.FLIGHT, None, samples.WHY, NEXT_ID, LATER) is None


@pytest.mark.parametrize(("kind", "role"), TABLES)
def test_every_key_and_every_state_can_be_reached(kind: Kind, role: Role) -> None:
    rows = TABLES[kind, role]
    seen: set[tuple[State, Message | None]] = set()
    open_: list[tuple[State, Message | None]] = [(INITIAL, None)]
    while open_:
        at = open_.pop()
        if at in seen:
            continue
        seen.add(at)
        found = [outcome for outcome in rows.get(at, {}).values() if isinstance(outcome, Next)]
        if at[1] is not None and REFUSED not in rows[at]:
            found.append(Next(at[0], Message.TERMINATION))
        open_ += found
    assert set(rows) <= seen
    assert {state for state, _ in seen} == states_of(kind) - ({State.RESUMED} - {state for state, _ in rows})


@pytest.mark.parametrize(("kind", "role"), TABLES)
def test_what_is_adopted_has_a_message_in_flight(kind: Kind, role: Role) -> None:
    for state, awaiting, peer_state in ADOPT[kind, role]:
        assert awaiting in {waits for at, waits in TABLES[kind, role] if at is state}
        assert peer_state in WIRE_STATES


def test_events_read_as_words() -> None:
    assert [str(event) for event in (recv(Message.START), ACK, Event("refused"))] == ["recv START", "ack", "refused"]
    assert repr(BUSY) == "BUSY"
