"""The table of flow states, walked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane.states import ENDED, TABLE, Operation, Role, State, next_state


def test_ended_states_only_repeat() -> None:
    for (_, state, _), target in TABLE.items():
        assert state not in ENDED or target is state


@pytest.mark.parametrize("role", list(Role))
def test_every_state_of_a_role_is_reachable_and_can_be_left_for_good(role: Role) -> None:
    edges = {(state, target) for (who, state, _), target in TABLE.items() if who is role}
    reached = {State.INITIALIZED}
    for _ in State:
        reached |= {target for state, target in edges if state in reached}
    assert {state for state, _ in edges} <= reached
    for state in reached - ENDED - {State.INITIALIZED}:
        assert (state, State.TERMINATED) in edges


@given(st.sampled_from(Role), st.lists(st.sampled_from(Operation), max_size=12))
def test_only_started_flows_follow_a_start_and_nothing_follows_an_end(role: Role, operations: list[Operation]) -> None:
    state, ended = State.INITIALIZED, False
    for operation in operations:
        target = next_state(role, state, operation)
        if target is None:
            continue
        assert not ended or target is state
        if target is State.STARTED and state is not State.STARTED:
            assert operation in (Operation.START, Operation.STARTED, Operation.RESUME)
        state, ended = target, ended or target in ENDED
