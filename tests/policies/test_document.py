"""Deny by default, with reasons: what is not understood withholds in a permission and blocks in a prohibition."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.document import USE, Decision, Request, World, evaluate

REQUEST = Request("negotiation", "use", "urn:dataset", "did:web:consumer.example")
NOW = World(0)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def judged(**policy: Any) -> Decision:
    """The decision on this policy."""
    return evaluate(policy, REQUEST, NOW)


@pytest.mark.parametrize("action", sorted(USE))
def test_a_plain_permission_to_use_permits(action: str) -> None:
    decision = judged(permission=[{"action": action}])
    assert decision.permitted
    assert [(reason.code, reason.path) for reason in decision.reasons] == [("permitted", "/permission/0")]


def test_a_single_permission_need_not_be_in_a_list() -> None:
    assert judged(permission={"action": "use"}).permitted


@pytest.mark.parametrize("policy", [{}, {"permission": []}])
def test_what_is_not_permitted_is_denied(policy: dict[str, Any]) -> None:
    decision = judged(**policy)
    assert not decision.permitted
    assert [reason.code for reason in decision.reasons] == ["no-permission"]


@pytest.mark.parametrize("burden", ["constraint", "duty", "refinement"])
def test_what_a_permission_depends_on_is_not_met_when_it_is_not_understood(burden: str) -> None:
    decision = judged(permission=[{"action": "use", burden: [{"leftOperand": "count"}]}])
    assert not decision.permitted
    assert [(reason.code, reason.path) for reason in decision.reasons] == [(f"{burden}-unsupported", f"/permission/0/{burden}")]


def test_one_permission_that_applies_is_enough() -> None:
    decision = judged(permission=[{"action": "odrl:read"}, {"action": "use"}])
    assert decision.permitted
    assert decision.reasons[0].path == "/permission/1"


def test_every_permission_that_does_not_apply_says_why() -> None:
    decision = judged(permission=[{"action": "odrl:read"}, {"action": "use", "duty": [{}]}, "use"])
    assert [reason.code for reason in decision.reasons] == ["action-unknown", "duty-unsupported", "rule-invalid"]


def test_another_action_than_use_is_not_permitted_by_use() -> None:
    assert not evaluate({"permission": [{"action": "use"}]}, Request("transfer", "sell", "d", "c"), NOW).permitted


@pytest.mark.parametrize("member", ["prohibition", "obligation"])
def test_a_prohibition_or_obligation_blocks_whatever_is_permitted(member: str) -> None:
    decision = judged(permission=[{"action": "use"}], **{member: [{"action": "odrl:distribute"}, "sell"]})
    assert not decision.permitted
    assert [reason.path for reason in decision.reasons] == [f"/{member}/0", f"/{member}/1"]
    assert "odrl:distribute" in decision.reasons[0].sentence


@given(st.dictionaries(st.sampled_from(["permission", "prohibition", "obligation"]), JSON))
def test_no_policy_makes_it_fail_and_every_decision_has_a_reason(policy: dict[str, Any]) -> None:
    assert evaluate(policy, REQUEST, NOW).reasons
