"""Which differences between two policies count, and which do not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.compare import differences

USE: dict[str, Any] = {"action": "use"}
COUNTED = {"action": "use", "constraint": [{"leftOperand": "count", "operator": "lteq", "rightOperand": "5"}]}
OFFER: dict[str, Any] = {"@id": "o", "@type": "Offer", "target": "d", "permission": [USE, COUNTED]}

RULE = st.fixed_dictionaries(
    {"action": st.sampled_from(["use", "odrl:read"])},
    optional={"@id": st.text(max_size=3), "constraint": st.lists(st.fixed_dictionaries({"leftOperand": st.text(max_size=3)}))},
)
POLICY = st.fixed_dictionaries({}, optional={name: st.lists(RULE, max_size=3) for name in ("permission", "prohibition")})


@pytest.mark.parametrize(
    "same",
    [
        {"@id": "another", "@type": "Agreement", "@context": ["x"], "assigner": "p", "assignee": "c", "timestamp": "t"},
        {"permission": [COUNTED, USE]},
        {"permission": [{**USE, "@id": "rule", "uid": "rule"}, COUNTED]},
        {"prohibition": [], "obligation": None},
        {"permission": [USE, {"action": "use", "constraint": COUNTED["constraint"][0]}]},
        {"permission": [{**USE, "duty": []}, COUNTED]},
    ],
)
def test_what_only_identifies_or_orders_is_no_difference(same: dict[str, Any]) -> None:
    assert differences(OFFER, {**OFFER, **same}) == []


@pytest.mark.parametrize("member", ["target", "profile", "permission", "prohibition", "obligation"])
def test_every_binding_member_is_compared_and_named(member: str) -> None:
    other = {**OFFER, member: "urn:other" if member in ("target", "profile") else [{"action": "odrl:distribute"}]}
    assert differences(OFFER, other) == [f"{member} is not the same"]
    assert differences(other, OFFER) == [f"{member} is not the same"]


@pytest.mark.parametrize(
    "rules",
    [
        [USE],
        [USE, COUNTED, COUNTED],
        [{"action": "use", "constraint": [{**COUNTED["constraint"][0], "rightOperand": "6"}]}, USE],  # type: ignore[dict-item]  # a JSON value
        [{**COUNTED, "duty": [{"action": "odrl:delete"}]}, USE],
    ],
)
def test_rules_that_say_something_else_differ(rules: list[Any]) -> None:
    assert differences(OFFER, {**OFFER, "permission": rules}) == ["permission is not the same"]


@given(POLICY)
def test_a_policy_is_like_itself(policy: dict[str, Any]) -> None:
    assert differences(policy, policy) == []


@given(POLICY, POLICY)
def test_the_order_of_the_two_does_not_matter(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert differences(one, other) == differences(other, one)
