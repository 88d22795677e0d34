"""Logic has four values, and what must hold for every policy: unknown never helps, and reasons are complete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from typing import Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policies.decision import Satisfaction
from policies.evaluate import PART_OF, evaluate
from policies.model import (
    CARNET,
    DPV,
    ODRL,
    Action,
    AnyConstraint,
    Compound,
    Logic,
    Policy,
    Prohibition,
    Ref,
)
from policies.model import Conflict as Strategy
from policies.terms.actions import READ, USE
from policies.terms.registry import REGISTRY
from policies.terms.term import Request, Scope, World
from tests.policies import drawn
from tests.policies.asked import (
    BUYER,
    CLAIMS,
    DATA_PLANE,
    LEAVES,
    NOW_MS,
    REQUEST,
    UNKNOWN,
    WORLD,
    YES,
    codes,
    judged,
    permits,
    policy,
)

# --- logic -----------------------------------------------------------------------------------------------------------


def logical(logic: Logic, leaves: str) -> Compound:
    return Compound(logic, tuple(LEAVES[leaf] for leaf in leaves))


def becomes(constraint: AnyConstraint, *, prohibits: bool = False) -> str:
    """What becomes of a constraint in a permission, or in a prohibition, by the first letter (not satisfied: N)."""
    if prohibits:
        report = judged(permits(), prohibitions=(Prohibition(Action(USE), (constraint,)),)).report.prohibitions[0]
    else:
        report = judged(permits(constraint)).report.permissions[0]
    return report.constraints[0].satisfaction.value[0].upper()


@pytest.mark.parametrize(
    ("logic", "leaves", "permits_as", "prohibits_as"),
    [
        (Logic.AND, "SS", "S", "S"),
        (Logic.AND, "SN", "N", "N"),
        (Logic.AND, "SU", "U", "U"),
        (Logic.AND, "UN", "N", "N"),
        (Logic.AND, "SW", "W", "W"),
        (Logic.AND, "UW", "U", "U"),
        (Logic.OR, "NN", "N", "N"),
        (Logic.OR, "SU", "S", "S"),
        (Logic.OR, "NU", "U", "U"),
        (Logic.OR, "NW", "W", "W"),
        (Logic.OR, "WU", "W", "U"),
        (Logic.XONE, "SN", "S", "S"),
        (Logic.XONE, "SS", "N", "N"),
        (Logic.XONE, "SSU", "N", "N"),
        (Logic.XONE, "SU", "U", "U"),
        (Logic.XONE, "SW", "W", "W"),
        (Logic.XONE, "NN", "N", "N"),
        (Logic.AND_SEQUENCE, "S", "S", "S"),
        (Logic.AND_SEQUENCE, "W", "W", "W"),
        (Logic.AND_SEQUENCE, "SS", "U", "U"),
        (Logic.AND_SEQUENCE, "SN", "N", "N"),
        (Logic.AND_SEQUENCE, "WU", "U", "U"),
    ],
)
def test_logic_has_four_values(logic: Logic, leaves: str, permits_as: str, prohibits_as: str) -> None:
    assert becomes(logical(logic, leaves)) == permits_as
    assert becomes(logical(logic, leaves), prohibits=True) == prohibits_as
    assert becomes(logical(logic, leaves[::-1])) == permits_as


def test_below_a_count_nothing_waits_that_is_unknown() -> None:
    assert becomes(Compound(Logic.XONE, (YES, logical(Logic.OR, "WU")))) == "U"


@pytest.mark.parametrize(
    ("constraint", "paths"),
    [
        (logical(Logic.AND, "NSN"), ["/and/0", "/and/2"]),
        (logical(Logic.OR, "UN"), ["/or/1"]),
        (Compound(Logic.OR, (logical(Logic.AND, "NN"), logical(Logic.AND, "SN"))), ["/or/1/and/1"]),
        (logical(Logic.XONE, "SS"), [""]),
        (logical(Logic.AND_SEQUENCE, "SS"), [""]),
    ],
)
def test_reasons_name_the_parts_that_would_have_to_change(constraint: AnyConstraint, paths: list[str]) -> None:
    assert [reason.path for reason in judged(permits(constraint)).reasons] == [
        f"/permission/0/constraint/0{path}" for path in paths
    ]


def test_the_reason_of_a_prohibition_names_the_part_that_nobody_knows() -> None:
    rule = Prohibition(Action(USE), (logical(Logic.OR, "WU"),))
    assert codes(judged(permits(), prohibitions=(rule,))) == [("prohibited-unknown", "/prohibition/0/constraint/0/or/1")]


# --- properties ------------------------------------------------------------------------------------------------------

POLICIES: Final = drawn.policies()
REQUESTS: Final = st.builds(
    Request,
    scope=st.sampled_from(Scope),
    action=st.sampled_from([USE, READ, f"{ODRL}sell", f"{ODRL}distribute", f"{UNKNOWN}act"]),
    target=st.sampled_from(["urn:asset:mileage", "urn:asset:1", "urn:x"]),
    assignee=st.sampled_from(["did:web:x", BUYER]),
    claims=st.sampled_from([{}, CLAIMS, {"kind": "public-body"}, {"kind": "sme", "gatekeeper": True}, {"kind": 7}]),
    purpose=st.sampled_from([None, f"{CARNET}UsageBasedInsurance", f"{DPV}Marketing", f"{UNKNOWN}Concept"]),
    recipients=st.sampled_from([(), ("did:web:other",)]),
)
WORLDS: Final = st.builds(
    World,
    now_ms=st.sampled_from([NOW_MS, 2 * NOW_MS]),
    facts=st.dictionaries(
        st.sampled_from([*sorted(REGISTRY), PART_OF, f"{CARNET}agreedAt", "urn:rule:1"]),
        st.sampled_from([True, False, 0, 5, NOW_MS, "fulfilled", "not fulfilled", (), ["x"], {"urn:x": ["urn:y"]}, Ref("urn:x")]),
        max_size=6,
    ),
    enforced=st.sampled_from([frozenset[str](), DATA_PLANE]),
)
OPEN: Final = policy(permits())


@given(POLICIES, REQUESTS, WORLDS)
def test_every_policy_is_judged_alike_every_time_and_with_reasons(one: Policy, request: Request, world: World) -> None:
    decision = evaluate(one, request, world)
    assert decision == evaluate(one, request, world)
    assert decision.reasons
    assert decision.permitted is (decision.reasons[0].code == "permitted")
    assert len(decision.report.permissions) == len(one.permissions)


CONSTRAINTS: Final = drawn.nested(drawn.atoms) | st.sampled_from(list(LEAVES.values()))


@given(st.just(OPEN) | POLICIES, REQUESTS, WORLDS, CONSTRAINTS, st.data())
def test_a_further_condition_of_a_permission_never_permits_more(
    one: Policy, request: Request, world: World, constraint: AnyConstraint, data: st.DataObject
) -> None:
    assume(one.permissions)
    at = data.draw(st.integers(0, len(one.permissions) - 1))
    rules = list(one.permissions)
    rules[at] = replace(rules[at], constraints=(*rules[at].constraints, constraint))
    narrower = replace(one, permissions=tuple(rules))
    assert evaluate(one, request, world).permitted or not evaluate(narrower, request, world).permitted


@given(st.just(OPEN) | POLICIES, REQUESTS, WORLDS, CONSTRAINTS)
def test_a_further_prohibition_never_permits_more_and_a_condition_of_it_never_less(
    one: Policy, request: Request, world: World, constraint: AnyConstraint
) -> None:
    rule = Prohibition(Action(USE))
    wide = replace(one, prohibitions=(*one.prohibitions, rule))
    narrow = replace(one, prohibitions=(*one.prohibitions, replace(rule, constraints=(constraint,))))
    order = [evaluate(found, request, world).permitted for found in (wide, narrow, one)]
    assert order == sorted(order)


def _darkened(constraint: AnyConstraint, at: Iterator[bool]) -> AnyConstraint:
    if isinstance(constraint, Compound):
        return replace(constraint, parts=tuple(_darkened(part, at) for part in constraint.parts))
    return replace(constraint, left=f"{UNKNOWN}operand") if next(at) else constraint


LOGICAL: Final = drawn.nested(st.sampled_from(list(LEAVES.values())))


SMALL: Final = st.builds(
    lambda permissions, prohibitions, strategy: Policy(
        "Offer",
        "urn:offer",
        tuple(permits(*found) for found in permissions),
        tuple(Prohibition(Action(USE), tuple(found)) for found in prohibitions),
        conflict=strategy,
    ),
    st.lists(st.lists(LOGICAL, max_size=2), min_size=1, max_size=2),
    st.lists(st.lists(LOGICAL, min_size=1, max_size=2), max_size=2),
    st.sampled_from([None, *Strategy]),
)


@settings(max_examples=300)
@given(SMALL, st.lists(st.booleans(), min_size=1, max_size=16), st.sampled_from(Scope))
def test_a_term_that_nobody_knows_never_permits(one: Policy, pattern: list[bool], scope: Scope) -> None:
    at = cycle(pattern)

    def dark(constraints: tuple[AnyConstraint, ...]) -> tuple[AnyConstraint, ...]:
        return tuple(_darkened(constraint, at) for constraint in constraints)

    darker = replace(
        one,
        permissions=tuple(replace(rule, constraints=dark(rule.constraints)) for rule in one.permissions),
        prohibitions=tuple(replace(rule, constraints=dark(rule.constraints)) for rule in one.prohibitions),
    )
    request = replace(REQUEST, scope=scope)
    assert evaluate(one, request, WORLD).permitted or not evaluate(darker, request, WORLD).permitted


def _mended(constraint: AnyConstraint, path: str, wrong: set[str]) -> AnyConstraint:
    if path in wrong:
        return YES
    if isinstance(constraint, Compound):
        member = f"{path}/{constraint.logic.value}"
        return replace(
            constraint, parts=tuple(_mended(part, f"{member}/{at}", wrong) for at, part in enumerate(constraint.parts))
        )
    return constraint


@settings(max_examples=300)
@given(st.lists(LOGICAL | drawn.nested(drawn.atoms), min_size=1, max_size=3), REQUESTS, WORLDS)
def test_with_all_reasons_mended_the_request_is_permitted(
    constraints: list[AnyConstraint], request: Request, world: World
) -> None:
    request = replace(request, action=READ)
    decision = evaluate(policy(permits(*constraints)), request, world)
    assume(not decision.permitted)
    wrong = {reason.path for reason in decision.reasons}
    mended = [_mended(one, f"/permission/0/constraint/{at}", wrong) for at, one in enumerate(constraints)]
    assert mended != constraints
    assert evaluate(policy(permits(*mended)), request, world).permitted


def test_a_satisfied_constraint_is_reported_as_such() -> None:
    report = judged(permits(YES)).report.permissions[0]
    assert report.constraints[0].satisfaction is Satisfaction.SATISFIED
    assert report.constraints[0].constraint is YES
