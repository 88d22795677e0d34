"""The decision point: deny by default, with reasons and a report; what nobody understands is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from policies.decision import Activation, Conflict, DutyState
from policies.evaluate import PART_OF
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
    Duty,
    Lit,
    Logic,
    Party,
    Permission,
    Prohibition,
    Ref,
)
from policies.model import Conflict as Strategy
from policies.satisfaction import NESTING_MOST
from policies.terms.actions import READ, USE
from policies.terms.duties import COMPENSATE, DELETE, OBTAIN_CONSENT
from policies.terms.term import World
from tests.policies.asked import (
    BUYER,
    DARK,
    LATER,
    NO,
    NOW_MS,
    REQUEST,
    TARGET,
    UNKNOWN,
    WORLD,
    YES,
    atom,
    codes,
    judged,
    permits,
)

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
