"""Which differences between two policies count, and which do not; and what a redline says of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.compare import differences, redline
from policies.model import (
    CARNET,
    DPV,
    ODRL,
    Action,
    Asset,
    Compound,
    Conflict,
    Constraint,
    Duty,
    Lit,
    Logic,
    Party,
    Permission,
    Policy,
    Prohibition,
    Ref,
)
from policies.plain import plain_rules, resolved
from tests.policies import drawn

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


UNIT = "http://www.w3.org/ns/odrl/2/unit"
PRICE = {"leftOperand": "payAmount", "operator": "eq", "rightOperand": {"@value": "3.00", "@type": "xsd:decimal"}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({**PRICE, UNIT: {"@id": "urn:euro"}}, {**PRICE, UNIT: {"@id": "urn:dollar"}}),
        (PRICE, {**PRICE, "rightOperand": {"@value": "3.00", "@type": "xsd:string"}}),
        ({**PRICE, "rightOperand": {"@id": "urn:a"}}, {**PRICE, "rightOperand": {"@id": "urn:b"}}),
        ({**PRICE, "rightOperand": {"@id": "urn:a"}}, {**PRICE, "rightOperand": []}),
        ({"andSequence": [PRICE, USE]}, {"andSequence": [USE, PRICE]}),
    ],
)
def test_what_a_value_is_counts_where_it_is_an_object_too(one: dict[str, Any], other: dict[str, Any]) -> None:
    offers = [{**OFFER, "permission": [{**USE, "constraint": [constraint]}]} for constraint in (one, other)]
    assert differences(*offers) == differences(*reversed(offers)) == ["permission is not the same"]


def test_members_have_no_order() -> None:
    turned = [dict(reversed(rule.items())) for rule in (COUNTED, {**COUNTED, "action": "read"})]
    assert differences({"permission": [COUNTED, {**COUNTED, "action": "read"}]}, {"permission": turned}) == []


def test_deep_documents_are_compared_at_once() -> None:
    deep: dict[str, Any] = PRICE
    for _ in range(60):
        deep = {"or": [deep, PRICE]}
    assert differences({**OFFER, "permission": [{**USE, "constraint": [deep]}]}, OFFER) == ["permission is not the same"]


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


# --- redlines --------------------------------------------------------------------------------------------------------


def constraint(left: str, operator: str, *right: str) -> Constraint:
    values = tuple(Ref(one) if one.startswith("http") else Lit(one) for one in right)
    return Constraint(ODRL + left, ODRL + operator, values)


FEW, MANY = constraint("count", "lteq", "5"), constraint("count", "lteq", "10")
INSURE = constraint("purpose", "isA", f"{CARNET}Insurance")
SOON = Duty(Action(f"{ODRL}delete", (constraint("elapsedTime", "lteq", "P30D"),)))
LATE = Duty(Action(f"{ODRL}delete", (constraint("elapsedTime", "lteq", "P90D"),)))
ANYTHING, READ = Action(f"{ODRL}use"), Action(f"{ODRL}read")


def policy(*permissions: Permission, **members: Any) -> Policy:
    return Policy("Offer", "urn:o", permissions, **members)


def changes(one: Policy, other: Policy) -> list[tuple[str, str, str | None, str | None]]:
    return [(change.kind, change.term.rpartition("/")[2], change.path, change.other_path) for change in redline(one, other)]


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (
            policy(Permission(ANYTHING, (MANY,))),
            policy(Permission(ANYTHING, (FEW,))),
            [("narrowed", "count", "/permission/0/constraint/0", "/permission/0/constraint/0")],
        ),
        (
            policy(Permission(ANYTHING, (FEW,))),
            policy(Permission(ANYTHING, (INSURE, MANY))),
            [
                ("widened", "count", "/permission/0/constraint/0", "/permission/0/constraint/1"),
                ("added", "purpose", None, "/permission/0/constraint/0"),
            ],
        ),
        (
            policy(Permission(ANYTHING, (INSURE,))),
            policy(Permission(READ, (constraint("purpose", "eq", f"{DPV}Marketing"),))),
            [
                ("narrowed", "action", "/permission/0/action", "/permission/0/action"),
                ("changed", "purpose", "/permission/0/constraint/0", "/permission/0/constraint/0"),
            ],
        ),
        (
            policy(Permission(ANYTHING, duties=(LATE,))),
            policy(Permission(ANYTHING, duties=(SOON,))),
            [
                (
                    "narrowed",
                    "elapsedTime",
                    "/permission/0/duty/0/action/refinement/0",
                    "/permission/0/duty/0/action/refinement/0",
                ),
            ],
        ),
        (
            policy(prohibitions=(Prohibition(ANYTHING, (MANY,)),)),
            policy(prohibitions=(Prohibition(READ, (FEW,)),)),
            [
                ("widened", "action", "/prohibition/0/action", "/prohibition/0/action"),
                ("widened", "count", "/prohibition/0/constraint/0", "/prohibition/0/constraint/0"),
            ],
        ),
        (
            policy(obligations=(replace(LATE, constraints=(MANY,)),)),
            policy(obligations=(replace(LATE, constraints=(FEW,)),)),
            [("widened", "count", "/obligation/0/constraint/0", "/obligation/0/constraint/0")],
        ),
        (
            policy(Permission(ANYTHING, (Compound(Logic.OR, (FEW,)),))),
            policy(Permission(ANYTHING, (Compound(Logic.OR, (FEW, MANY)),))),
            [("widened", "or", "/permission/0/constraint/0", "/permission/0/constraint/0")],
        ),
        (
            policy(Permission(ANYTHING), Permission(READ)),
            policy(Permission(READ), prohibitions=(Prohibition(READ),)),
            [("removed", "use", "/permission/0", None), ("added", "read", None, "/prohibition/0")],
        ),
        (
            policy(Permission(ANYTHING), profiles=("urn:a",), conflict=Conflict.PERM),
            policy(Permission(ANYTHING), profiles=("urn:b", "urn:a"), inherits=("urn:base",)),
            [
                ("changed", "profile", "/profile", "/profile"),
                ("added", "inheritFrom", None, "/inheritFrom"),
                ("removed", "conflict", "/conflict", None),
            ],
        ),
        (
            policy(Permission(ANYTHING), target=Asset("urn:x")),
            policy(Permission(ANYTHING, parties=((f"{ODRL}informedParty", Party("urn:p")),))),
            [
                ("added", "informedParty", None, "/permission/0/informedParty"),
                ("removed", "target", "/permission/0/target", None),
            ],
        ),
        (
            policy(Permission(ANYTHING, (FEW, INSURE)), Permission(ANYTHING, (MANY,))),
            policy(Permission(ANYTHING, (MANY,)), Permission(ANYTHING, (INSURE,))),
            [("removed", "count", "/permission/0/constraint/0", None)],
        ),
    ],
)
def test_a_redline_names_each_term_and_its_direction(
    one: Policy, other: Policy, found: list[tuple[str, str, str | None, str | None]]
) -> None:
    assert changes(one, other) == found


def test_a_redline_has_what_stood_there() -> None:
    (change,) = redline(policy(Permission(ANYTHING, (MANY,))), policy(Permission(ANYTHING, (FEW,))))
    assert (change.before, change.after) == (MANY, FEW)


@given(drawn.policies())
def test_names_order_and_the_sides_of_a_contract_are_no_change(one: Policy) -> None:
    named = replace(
        one, uid="urn:other", kind="Agreement", permissions=one.permissions[::-1], prohibitions=one.prohibitions[::-1]
    )
    assert redline(one, named) == ()
    assert redline(one, replace(resolved(one, parties=False), assignee=Party("urn:somebody"))) == ()


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn.policies(), drawn.policies())
def test_what_a_redline_leaves_out_is_the_same(one: Policy, other: Policy) -> None:
    found = redline(one, other)
    left, right = ({*plain_rules(resolved(side, parties=False).permissions)} for side in (one, other))
    if not found:
        assert left == right
    for change in found:
        assert (change.before is None) == (change.path is None) == (change.kind == "added")
        assert (change.after is None) == (change.other_path is None) == (change.kind == "removed")


def test_in_large_policies_a_changed_rule_is_removed_and_added() -> None:
    rules = tuple(Permission(ANYTHING, (constraint("count", "lteq", str(at)),)) for at in range(101))
    large = policy(*rules)
    changed = policy(*rules[:50], Permission(ANYTHING, (INSURE,)), *rules[51:])
    assert [kind for kind, *_ in changes(large, changed)] == ["removed", "added"]
    assert changes(large, policy(*rules[::-1])) == []
