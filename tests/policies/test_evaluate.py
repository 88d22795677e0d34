"""The decision point: deny by default, with reasons and a report; what nobody understands never helps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policies.decision import Activation, Conflict, Decision, DutyState, Satisfaction
from policies.evaluate import PART_OF, evaluate
from policies.model import (
    CARNET,
    DPV,
    ODRL,
    PROFILE,
    XSD,
    Action,
    AnyConstraint,
    Asset,
    Compound,
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
from policies.model import Conflict as Strategy
from policies.satisfaction import NESTING_MOST
from policies.terms.actions import READ, USE
from policies.terms.duties import COMPENSATE, DELETE, OBTAIN_CONSENT
from policies.terms.registry import REGISTRY
from policies.terms.term import Request, Scope, World
from tests.policies import drawn

BUYER: Final = "did:web:buyer.example"
TARGET: Final = "urn:asset:mileage"
UNKNOWN: Final = "https://nobody.example/terms#"
NOW_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
CLAIMS: Final[dict[str, Any]] = {"kind": "company", "membership": ["Catena-X"], "country": "DE", "sector": "insurance"}
DATA_PLANE: Final = frozenset(iri for iri, term in REGISTRY.items() if any(point.of_data_plane for point in term.points))
REQUEST: Final = Request(Scope.TRANSFER, READ, TARGET, BUYER, CLAIMS, f"{CARNET}UsageBasedInsurance")
WORLD: Final = World(NOW_MS, {}, DATA_PLANE)


def atom(left: str, operator: str, *right: Ref | Lit) -> Constraint:
    """A constraint by local names: of ODRL, or of our own terms where the name begins with ``vdx:``."""
    iri = f"{CARNET}{left[4:]}" if left.startswith("vdx:") else left if ":" in left else f"{ODRL}{left}"
    return Constraint(iri, f"{ODRL}{operator}", right)


def integer(number: int) -> Lit:
    return Lit(str(number), f"{XSD}integer")


def moment(text: str) -> Lit:
    return Lit(text, f"{XSD}dateTime")


YES: Final = atom("dateTime", "gt", moment("2000-01-01T00:00:00Z"))
NO: Final = atom("dateTime", "lt", moment("2000-01-01T00:00:00Z"))
LATER: Final = Constraint("https://w3id.org/catenax/2025/9/policy/Liability", f"{ODRL}eq", (Lit("cx.liability"),))
DARK: Final = Constraint(f"{UNKNOWN}operand", f"{ODRL}eq", (Lit("x"),))
LEAVES: Final = {"S": YES, "N": NO, "W": LATER, "U": DARK}


def permits(*constraints: AnyConstraint, **more: Any) -> Permission:
    return Permission(Action(USE), constraints, **more)


def policy(*permissions: Permission, **more: Any) -> Policy:
    return Policy("Offer", "urn:offer", permissions, **more)


def judged(*permissions: Permission, request: Request = REQUEST, world: World = WORLD, **more: Any) -> Decision:
    return evaluate(policy(*permissions, **more), request, world)


def codes(decision: Decision) -> list[tuple[str, str]]:
    return [(reason.code, reason.path) for reason in decision.reasons]


# --- permissions -----------------------------------------------------------------------------------------------------


def test_what_is_not_permitted_is_denied() -> None:
    assert codes(judged()) == [("no-permission", "/permission")]


@pytest.mark.parametrize("action", [USE, READ])
def test_an_action_is_permitted_by_itself_and_by_what_includes_it(action: str) -> None:
    decision = judged(Permission(Action(action)))
    assert decision.permitted
    assert codes(decision) == [("permitted", "/permission/0")]


@pytest.mark.parametrize(
    ("permitted", "asked", "code"),
    [
        (READ, USE, "action-other"),
        (f"{ODRL}sell", READ, "action-other"),
        (USE, f"{ODRL}sell", "action-other"),
        (f"{UNKNOWN}act", READ, "action-unknown"),
        (USE, f"{UNKNOWN}act", "action-other"),
        (f"{UNKNOWN}act", f"{UNKNOWN}act", "action-unknown"),
        (f"{ODRL}purpose", f"{ODRL}purpose", "action-unknown"),
    ],
)
def test_no_other_action_is_permitted(permitted: str, asked: str, code: str) -> None:
    decision = judged(Permission(Action(permitted)), request=replace(REQUEST, action=asked))
    assert not decision.permitted
    assert codes(decision) == [(code, "/permission/0/action")]


def test_all_constraints_and_refinements_must_be_satisfied() -> None:
    assert judged(Permission(Action(USE, (YES,)), (YES,))).permitted
    refined = judged(Permission(Action(USE, (NO,)), (YES,)))
    assert codes(refined) == [("not-satisfied", "/permission/0/action/refinement/0")]
    assert codes(judged(permits(YES, NO))) == [("not-satisfied", "/permission/0/constraint/1")]


def test_one_permission_that_applies_is_enough() -> None:
    decision = judged(permits(NO), permits(YES), permits(DARK))
    assert decision.permitted
    assert decision.reasons[0].path == "/permission/1"
    assert [report.activation for report in decision.report.permissions] == [
        Activation.INACTIVE,
        Activation.ACTIVE,
        Activation.UNKNOWN,
    ]


def test_a_denial_tells_of_the_permission_that_is_nearest() -> None:
    mendable = judged(permits(DARK), permits(NO, NO), permits(NO))
    assert codes(mendable) == [("not-satisfied", "/permission/2/constraint/0")]
    assert mendable.reasons[0].remedy == "ask within the period of the offer"
    assert "is before 2000-01-01T00:00:00Z" in mendable.reasons[0].sentence


@pytest.mark.parametrize(
    ("constraint", "code"),
    [
        (DARK, "operand-unknown"),
        (replace(YES, left=USE), "operand-unknown"),
        (replace(YES, operator=f"{UNKNOWN}near"), "operator-unknown"),
        (replace(YES, operator=f"{ODRL}isA"), "operator-unsupported"),
        (replace(YES, right=(Lit("tomorrow"),)), "value-invalid"),
        (replace(YES, right=()), "value-count"),
        (replace(YES, right=YES.right * 2), "value-count"),
        (replace(YES, reference="urn:somewhere"), "reference-unsupported"),
        (replace(YES, unit="urn:unit:day"), "unit-unknown"),
        (replace(YES, right=(Lit("2000-01-01T00:00:00Z"),), datatype=f"{XSD}integer"), "value-invalid"),
        (Compound(Logic.AND, ()), "constraint-invalid"),
    ],
)
def test_what_is_not_understood_permits_nothing_and_blocks_in_a_prohibition(constraint: AnyConstraint, code: str) -> None:
    decision = judged(permits(constraint))
    assert codes(decision) == [(code, "/permission/0/constraint/0")]
    assert decision.report.permissions[0].activation is Activation.UNKNOWN
    blocked = judged(permits(), prohibitions=(Prohibition(Action(USE), (constraint,)),))
    assert codes(blocked) == [("prohibited-unknown", "/prohibition/0/constraint/0")]
    assert decision.reasons[0].remedy is None
    promised = judged(permits(duties=(Duty(Action(DELETE, (constraint,))),)))
    assert codes(promised) == [(code, "/permission/0/duty/0/action/refinement/0")]


def test_a_datatype_and_a_status_that_somebody_wrote_are_understood() -> None:
    assert judged(permits(replace(YES, right=(Lit("2000-01-01T00:00:00Z"),), datatype=f"{XSD}dateTime"))).permitted
    assert judged(permits(replace(YES, status=Lit("1999-01-01T00:00:00Z")))).permitted
    concept = replace(atom("purpose", "isA", Ref(f"{DPV}Purpose")), datatype=f"{XSD}anyURI")
    assert judged(permits(concept)).permitted


def test_logical_constraints_that_nest_too_deeply_are_unknown() -> None:
    deep: AnyConstraint = YES
    for _ in range(NESTING_MOST + 1):
        deep = Compound(Logic.AND, (deep,))
    assert judged(permits(deep.parts[0])).permitted if isinstance(deep, Compound) else False
    assert [reason.code for reason in judged(permits(deep)).reasons] == ["constraint-invalid"]
    assert [reason.code for reason in judged(permits(duties=(Duty(Action(DELETE, (deep,))),))).reasons] == ["constraint-invalid"]


# --- what and whom a rule concerns -----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["rule", "policy"])
@pytest.mark.parametrize("member", ["target", "assignee"])
def test_a_rule_concerns_its_target_and_assignee_or_those_of_the_policy(place: str, member: str) -> None:
    named: dict[str, Any] = {member: Asset(TARGET) if member == "target" else Party(BUYER)}
    other: dict[str, Any] = {member: Asset("urn:other") if member == "target" else Party("urn:other")}
    if place == "rule":
        assert judged(permits(**named), **other).permitted
        denied = judged(permits(**other), **named)
    else:
        assert judged(permits(), **named).permitted
        denied = judged(permits(), **other)
    assert codes(denied) == [(f"{member}-other", f"/permission/0/{member}")]


def test_members_of_a_collection_are_those_on_record() -> None:
    rule = permits(target=Asset("urn:fleet", collection=True))
    unknown = judged(rule)
    assert codes(unknown) == [("target-unknown", "/permission/0/target")]
    assert unknown.reasons[0].remedy is not None
    assert judged(rule, world=World(NOW_MS, {PART_OF: {TARGET: ["urn:fleet"]}})).permitted
    assert codes(judged(rule, world=World(NOW_MS, {PART_OF: {TARGET: ()}}))) == [("target-other", "/permission/0/target")]
    assert not judged(rule, world=World(NOW_MS, {PART_OF: {TARGET: "urn:fleet"}})).permitted


def test_a_party_or_asset_is_narrowed_by_its_refinements() -> None:
    company = atom("vdx:consumerKind", "eq", Ref(f"{CARNET}Company"))
    public = atom("vdx:consumerKind", "eq", Ref(f"{CARNET}PublicBody"))
    assert judged(permits(assignee=Party(BUYER, refinements=(company,)))).permitted
    denied = judged(permits(assignee=Party(BUYER, refinements=(public,))))
    assert codes(denied) == [("not-satisfied", "/permission/0/assignee/refinement/0")]


def test_who_assigns_is_not_narrowed_and_no_rule_has_further_roles() -> None:
    assert judged(permits(assigner=Party("urn:seller"))).permitted
    narrowed = judged(permits(assigner=Party("urn:seller", refinements=(YES,))))
    assert codes(narrowed) == [("assigner-refined", "/permission/0/assigner")]
    roles = judged(permits(parties=((f"{ODRL}trackedParty", Party("urn:x")),)))
    assert codes(roles) == [("role-unknown", "/permission/0")]


# --- prohibitions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [USE, READ])
def test_a_prohibition_blocks_what_is_permitted(action: str) -> None:
    decision = judged(permits(), prohibitions=(Prohibition(Action(action)),))
    assert codes(decision) == [("prohibited", "/prohibition/0")]
    assert decision.reasons[0].remedy is None
    assert decision.report.conflicts == (Conflict("/permission/0", "/prohibition/0"),)


@pytest.mark.parametrize("action", [f"{ODRL}sell", f"{ODRL}distribute", f"{CARNET}reidentify"])
def test_to_prohibit_something_else_does_not_block(action: str) -> None:
    decision = judged(permits(), prohibitions=(Prohibition(Action(action), (DARK,)),))
    assert decision.permitted
    assert decision.report.prohibitions[0].activation is Activation.INACTIVE


def test_a_prohibition_holds_only_while_all_its_constraints_do() -> None:
    assert judged(permits(), prohibitions=(Prohibition(Action(USE), (YES, NO)),)).permitted
    assert judged(permits(), prohibitions=(Prohibition(Action(USE), (DARK, NO)),)).permitted
    blocked = judged(permits(), prohibitions=(Prohibition(Action(USE), (YES, YES)),))
    assert codes(blocked) == [("prohibited", "/prohibition/0")]
    assert blocked.reasons[0].remedy is not None


def test_what_waits_does_not_prohibit_yet() -> None:
    decision = judged(permits(), prohibitions=(Prohibition(Action(USE), (YES, LATER)),))
    assert decision.permitted
    assert decision.report.prohibitions[0].activation is Activation.WAITS


@pytest.mark.parametrize("rule", [Prohibition(Action(f"{UNKNOWN}act")), Prohibition(Action(f"{UNKNOWN}act"), (YES, LATER))])
def test_a_prohibition_of_what_nobody_knows_blocks(rule: Prohibition) -> None:
    decision = judged(permits(), prohibitions=(rule,))
    assert codes(decision) == [("prohibited-unknown", "/prohibition/0/action")]
    assert f"{UNKNOWN}act" in decision.reasons[0].sentence


@pytest.mark.parametrize("member", ["target", "assignee"])
def test_a_prohibition_for_others_does_not_block(member: str) -> None:
    other = Asset("urn:other") if member == "target" else Party("urn:other")
    assert judged(permits(), prohibitions=(Prohibition(Action(USE), **{member: other}),)).permitted  # type: ignore[arg-type]  # one of two


@pytest.mark.parametrize("strategy", [None, Strategy.PROHIBIT, Strategy.INVALID])
def test_the_prohibition_wins_unless_the_policy_says_that_permissions_do(strategy: Strategy | None) -> None:
    rules = (Prohibition(Action(USE)),)
    assert not judged(permits(), prohibitions=rules, conflict=strategy).permitted
    won = judged(permits(), prohibitions=rules, conflict=Strategy.PERM)
    assert won.permitted
    assert won.report.conflicts == (Conflict("/permission/0", "/prohibition/0"),)
    dark = (Prohibition(Action(USE), (DARK,)),)
    assert not judged(permits(), prohibitions=dark, conflict=Strategy.PERM).permitted
    without = judged(permits(NO), prohibitions=rules, conflict=Strategy.PERM)
    assert [reason.code for reason in without.reasons] == ["prohibited", "not-satisfied"]


# --- duties ----------------------------------------------------------------------------------------------------------

PAY: Final = Duty(Action(COMPENSATE, (atom("payAmount", "eq", Lit("3.00", f"{XSD}decimal")),)))


@pytest.mark.parametrize(
    ("fact", "state"),
    [
        (None, DutyState.PENDING),
        ("soon", DutyState.PENDING),
        (True, DutyState.FULFILLED),
        ("fulfilled", DutyState.FULFILLED),
        (False, DutyState.NOT_FULFILLED),
        (DutyState.NOT_FULFILLED, DutyState.NOT_FULFILLED),
    ],
)
@pytest.mark.parametrize("uid", [None, "urn:duty"])
def test_a_duty_is_a_promise_until_it_is_broken(fact: object, state: DutyState, uid: str | None) -> None:
    duty = replace(PAY, uid=uid)
    world = World(NOW_MS, {COMPENSATE if uid is None else uid: fact}) if fact is not None else WORLD
    decision = judged(permits(duties=(duty,)), world=world)
    assert [one.state for one in decision.report.permissions[0].duties] == [state]
    assert decision.permitted is (state is not DutyState.NOT_FULFILLED)
    obliged = judged(permits(), world=world, obligations=(duty,))
    assert obliged.permitted is decision.permitted
    if not decision.permitted:
        assert codes(decision) == [("duty-violated", "/permission/0/duty/0")]
        assert codes(obliged) == [("duty-violated", "/obligation/0")]
        assert decision.reasons[0].remedy == "settle what is due"


def test_a_broken_duty_that_is_not_understood_has_no_remedy() -> None:
    decision = judged(permits(duties=(Duty(Action(f"{UNKNOWN}dance")),)), world=World(NOW_MS, {f"{UNKNOWN}dance": False}))
    assert [(reason.code, reason.remedy) for reason in decision.reasons] == [("duty-unknown", None), ("duty-violated", None)]


def test_a_duty_that_only_a_data_plane_keeps_needs_one_that_declares_it() -> None:
    rule = permits(duties=(Duty(Action(OBTAIN_CONSENT)),))
    assert judged(rule).permitted
    refused = judged(rule, world=World(NOW_MS))
    assert codes(refused) == [("not-enforced", "/permission/0/duty/0")]
    assert OBTAIN_CONSENT in (refused.reasons[0].remedy or "")
    assert judged(rule, world=World(NOW_MS, {OBTAIN_CONSENT: True})).permitted


def test_a_duty_is_not_owed_while_its_constraints_are_not_satisfied() -> None:
    duty = replace(PAY, constraints=(NO,))
    decision = judged(permits(duties=(duty,)), world=World(NOW_MS, {COMPENSATE: False}))
    assert decision.permitted
    assert decision.report.permissions[0].duties[0].state is DutyState.NONE


@pytest.mark.parametrize(
    ("duty", "code", "path"),
    [
        (Duty(Action(f"{UNKNOWN}dance")), "duty-unknown", "/action"),
        (replace(PAY, constraints=(Compound(Logic.OR, (YES, DARK)),)), "operand-unknown", "/constraint/0/or/1"),
        (replace(PAY, consequences=(Duty(Action(f"{UNKNOWN}dance")),)), "duty-unknown", "/consequence/0/action"),
        (replace(PAY, parties=(("urn:dancer", Party("urn:x")),)), "role-unknown", ""),
        (
            replace(PAY, parties=((f"{ODRL}compensatedParty", Party("urn:x", refinements=(DARK,))),)),
            "operand-unknown",
            "/compensatedParty/refinement/0",
        ),
        (replace(PAY, target=Asset("urn:x", refinements=(DARK,))), "operand-unknown", "/target/refinement/0"),
    ],
)
def test_what_nobody_understands_cannot_be_promised(duty: Duty, code: str, path: str) -> None:
    assert codes(judged(permits(duties=(duty,)))) == [(code, f"/permission/0/duty/0{path}")]
    assert codes(judged(permits(), obligations=(duty,))) == [(code, f"/obligation/0{path}")]


def test_roles_of_duties_are_known() -> None:
    assert judged(permits(duties=(replace(PAY, parties=((f"{ODRL}compensatedParty", Party("urn:x")),)),))).permitted


def test_consequences_have_an_end() -> None:
    duty = PAY
    for _ in range(NESTING_MOST):
        duty = replace(PAY, consequences=(duty,))
    assert [reason.code for reason in judged(permits(duties=(duty,))).reasons] == ["duty-invalid"]


# --- policies --------------------------------------------------------------------------------------------------------


def test_a_profile_that_nobody_knows_or_a_policy_that_stands_elsewhere_withholds_everything() -> None:
    assert judged(permits(), profiles=(PROFILE,)).permitted
    assert codes(judged(permits(), profiles=(PROFILE, "urn:profile"))) == [("profile-unknown", "/profile/1")]
    assert codes(judged(permits(), inherits=("urn:parent",))) == [("inherits-unsupported", "/inheritFrom/0")]


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


@settings(max_examples=300)
@given(LOGICAL, st.integers(0, 2**16), st.booleans(), st.sampled_from(Scope))
def test_a_term_that_nobody_knows_never_permits(constraint: AnyConstraint, seed: int, prohibits: bool, scope: Scope) -> None:
    dark = _darkened(constraint, iter([bool(seed >> bit & 1) for bit in range(16)] * 64))
    request = replace(REQUEST, scope=scope)

    def permitted(one: AnyConstraint) -> bool:
        if prohibits:
            return judged(permits(), request=request, prohibitions=(Prohibition(Action(USE), (one,)),)).permitted
        return judged(permits(one), request=request).permitted

    assert permitted(constraint) or not permitted(dark)


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
