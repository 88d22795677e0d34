"""Terms of delivery: every term in exactly one bucket, and what cannot be kept is said before anything is published."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.compile import compile_agreement, needs_data_plane
from policies.delivery import Capabilities, Delivery
from policies.lint import EXCLUSIVE_REQUEST, FRENCH_INSURANCE, claims_request
from policies.model import (
    CARNET,
    ODRL,
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
from policies.odrl import read
from policies.terms.catenax import EXCLUSIVE_USAGE
from policies.terms.registry import REGISTRY
from policies.terms.term import Bucket, Point
from policies.walk import atoms, conditions, duties, parts, rules, shared
from tests.policies import drawn

PURPOSE: Final = f"{ODRL}purpose"
USE: Final = Action(f"{ODRL}use")
DECLARED: Final = frozenset(iri for iri, known in REGISTRY.items() if any(point.of_data_plane for point in known.points))
ABLE: Final = Capabilities(DECLARED)
SPEED: Final = "Vehicle.Speed"
LATITUDE: Final = "Vehicle.CurrentLocation.Latitude"
DRIVING: Final = Capabilities(DECLARED, frozenset({SPEED, LATITUDE, "Vehicle.CurrentLocation.Longitude"}))


def constraint(left: str, operator: str, *right: str | int) -> Constraint:
    def value(one: str | int) -> Ref | Lit:
        if isinstance(one, int):
            return Lit(str(one), f"{XSD}integer")
        return Ref(one) if one.startswith(("http", "urn:")) else Lit(one)

    return Constraint(left if ":" in left else CARNET + left, ODRL + operator, tuple(value(one) for one in right))


INSURE: Final = constraint(PURPOSE, "isA", f"{CARNET}Insurance")
GROUPS: Final = constraint("minGroupSize", "gteq", 10)
UNTIL: Final = constraint(f"{ODRL}dateTime", "lt", "2027-06-30T23:59:59Z")
LIABLE: Final = constraint("https://w3id.org/catenax/2025/9/policy/Liability", "eq", "none")
NOBODY: Final = constraint("urn:nobody:knows", "eq", 1)


def agreement(*constraints: AnyConstraint, prohibitions: tuple[Prohibition, ...] = ()) -> Policy:
    return Policy("Agreement", "urn:agreement", (Permission(USE, constraints),), prohibitions)


def codes(delivery: Delivery) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in delivery.problems]


def problems(policy: Policy, capabilities: Capabilities) -> list[str]:
    return [code for code, _ in codes(compile_agreement(policy, capabilities))]


def names(delivery: Delivery) -> dict[str, list[str]]:
    """Per bucket that holds something, the ends of the names of its items."""
    buckets = ("gates", "shape", "meters", "clocks", "duties", "legal", "unkept")
    found = {bucket: [re.split("[#/]", item.term)[-1] for item in getattr(delivery, bucket)] for bucket in buckets}
    return {bucket: terms for bucket, terms in found.items() if terms}


def test_the_insurer_pays_as_it_drives() -> None:
    delivery = compile_agreement(read(drawn.offer_document("1")), ABLE)
    assert names(delivery) == {
        "gates": ["read", "purpose"],
        "shape": ["legalBasis"],
        "meters": ["requestsPerVehicleDay"],
        "duties": ["compensate", "delete", "obtainConsent"],
        "legal": ["sell", "reidentify"],
    }
    assert delivery.deliverable
    pay = delivery.duties[0]
    assert [(item.term.removeprefix(ODRL), item.path) for item in pay.parts] == [
        ("payAmount", "/permission/0/duty/0/action/refinement/0"),
        ("unitOfCount", "/permission/0/duty/0/action/refinement/1"),
        ("timeInterval", "/permission/0/duty/0/action/refinement/2"),
    ]
    assert pay.evidence
    assert delivery.legal[0].legal_only
    assert delivery.shape[0].points == (Point.QUERY,)


@pytest.mark.parametrize("number", range(1, 8))
def test_every_offer_can_be_delivered_where_all_is_declared_and_not_elsewhere(number: int) -> None:
    offer = read(drawn.offer_document(str(number)))
    assert codes(compile_agreement(offer, ABLE)) == []
    missing = compile_agreement(offer, Capabilities())
    needed = {item.term for item in compile_agreement(offer, ABLE).items()} & DECLARED
    only = {iri for iri in needed if needs_data_plane(REGISTRY[iri])}
    assert {problem.code for problem in missing.problems} == ({"not-enforceable"} if only else set())
    assert {item.term for item in missing.unkept} == only
    assert all(problem.remedy for problem in missing.problems)


def test_tiers_are_compiled_together_and_told_apart() -> None:
    delivery = compile_agreement(read(drawn.offer_document("2")), Capabilities())
    assert delivery.permissions == (0, 1)
    places = ("0/constraint/1", "1/constraint/1/and/0", "1/constraint/1/and/1")
    assert {path for _, path in codes(delivery)} == {f"/permission/{place}" for place in places}
    second = delivery.under({1})
    assert second.permissions == (1,)
    assert all(item.path.startswith(("/permission/1/", "/prohibition")) for item in second.items())
    assert len(second.problems) == 2
    assert any(item.path == "/prohibition/0" for item in second.items())
    assert delivery.under({0, 1}) == delivery


def test_one_permission_is_not_taken_for_another_of_two_digits() -> None:
    many = Policy("Agreement", "urn:a", tuple(Permission(USE) for _ in range(12)))
    assert [item.path for item in compile_agreement(many, ABLE).under({11}).items()] == ["/permission/11/action"]


def test_a_conjunction_falls_apart_and_a_choice_stays_whole() -> None:
    together = Compound(Logic.AND, (INSURE, GROUPS))
    assert names(compile_agreement(agreement(together), ABLE)) == {"gates": ["use", "purpose"], "shape": ["minGroupSize"]}
    for parts_, bucket in (((INSURE,), Bucket.GATE), ((INSURE, UNTIL), Bucket.CLOCK), ((LIABLE,), Bucket.LEGAL)):
        delivery = compile_agreement(agreement(Compound(Logic.OR, parts_)), ABLE)
        (choice,) = [item for item in delivery.items() if item.kind == "logic"]
        assert (choice.bucket, len(choice.parts), codes(delivery)) == (bucket, len(parts_), [])
    empty = compile_agreement(agreement(Compound(Logic.XONE, ())), ABLE)
    assert names(empty)["unkept"] == ["xone"]
    assert codes(empty) == [("choice-empty", "/permission/0/constraint/0")]


PROBLEMS: Final[list[tuple[AnyConstraint, str, str]]] = [
    (NOBODY, "operand-unknown", "/leftOperand"),
    (constraint(PURPOSE, "gt", f"{CARNET}Insurance"), "operator-unsupported", "/operator"),
    (constraint(PURPOSE, "likes", f"{CARNET}Insurance"), "operator-unknown", "/operator"),
    (constraint("minGroupSize", "gteq", "many"), "value-invalid", "/rightOperand"),
    (constraint("minGroupSize", "gteq", 1, 2), "value-count", "/rightOperand"),
    (replace(GROUPS, right=(), reference="urn:x"), "reference-unsupported", "/rightOperandReference"),
    (replace(GROUPS, unit="urn:x"), "unit-unknown", "/unit"),
    (Compound(Logic.OR, (GROUPS, INSURE)), "choice-of-delivery", "/or/0"),
    (Compound(Logic.XONE, (Compound(Logic.AND, (GROUPS,)),)), "choice-of-delivery", "/xone/0/and/0"),
]


@pytest.mark.parametrize(("wrong", "code", "path"), PROBLEMS)
def test_what_cannot_be_kept_is_a_problem_with_a_remedy(wrong: AnyConstraint, code: str, path: str) -> None:
    delivery = compile_agreement(agreement(wrong), ABLE)
    assert codes(delivery) == [(code, f"/permission/0/constraint/0{path}")]
    assert delivery.problems[0].remedy
    assert not delivery.deliverable
    assert delivery.unkept


def test_whole_policies_have_problems_too() -> None:
    bare = Policy("Agreement", "urn:a", profiles=("urn:profile",), inherits=("urn:base",))
    assert codes(compile_agreement(bare, Capabilities(formats=frozenset()))) == [
        ("profile-unknown", "/profile/0"),
        ("inherits-unsupported", "/inheritFrom/0"),
        ("permission-none", "/permission"),
        ("format-none", ""),
    ]
    assert codes(compile_agreement(agreement(), Capabilities(formats=frozenset({"HttpData-PULL"})))) == []
    assert codes(compile_agreement(Policy("Agreement", "urn:a", (Permission(Action("urn:x")),)), ABLE)) == [
        ("action-unknown", "/permission/0/action")
    ]


def test_a_shape_is_no_condition_of_a_prohibition_that_is_enforced_but_may_be_one_of_a_promise() -> None:
    enforced = compile_agreement(agreement(prohibitions=(Prohibition(USE, (GROUPS,)),)), ABLE)
    assert codes(enforced) == [("prohibition-of-delivery", "/prohibition/0/constraint/0")]
    promised = Prohibition(Action(f"{ODRL}sell"), (GROUPS,), (Duty(Action(f"{ODRL}delete")),))
    delivery = compile_agreement(agreement(prohibitions=(promised,)), ABLE)
    assert codes(delivery) == []
    assert [part.kind for part in delivery.legal[0].parts] == ["constraint", "duty"]


def test_what_holds_for_all_rules_is_compiled_once() -> None:
    policy = replace(agreement(), target=Asset("urn:all", True, (GROUPS,)), assignee=Party("urn:them", True, (INSURE,)))
    assert [(item.path, item.bucket) for item in compile_agreement(policy, ABLE).items()] == [
        ("/assignee/refinement/0", Bucket.GATE),
        ("/permission/0/action", Bucket.GATE),
        ("/target/refinement/0", Bucket.SHAPE),
    ]


# --- lint ------------------------------------------------------------------------------------------------------------


def level(name: str) -> Constraint:
    return constraint("releaseLevel", "eq", CARNET + name)


@pytest.mark.parametrize(
    "cure",
    [
        constraint("spatialResolution", "lteq", 7),
        constraint("spatialResolution", "lt", 8),
        constraint("columns", "eq", SPEED),
        constraint("columns", "isNoneOf", LATITUDE, "Vehicle.CurrentLocation.Longitude"),
        level("L3"),
        constraint("detail", "eq", f"{CARNET}ScoreAndMileageOnly"),
        constraint("minGroupSize", "gteq", 10),
        constraint("offenceData", "eq", "false"),
        constraint("offenceData", "neq", "true"),
    ],
)
def test_instant_speed_never_leaves_with_a_precise_place(cure: Constraint) -> None:
    for other in (
        (),
        (constraint("spatialResolution", "lteq", 8),),
        (level("L1"), constraint("offenceData", "eq", "true"), NOBODY),
    ):
        found = codes(compile_agreement(agreement(*other), DRIVING))
        assert ("speed-with-place", "/permission/0") in found
    assert codes(compile_agreement(agreement(Compound(Logic.AND, (cure,))), DRIVING)) == []
    assert ("speed-with-place", "/permission/0") in codes(compile_agreement(agreement(Compound(Logic.OR, (cure,))), DRIVING))


def test_columns_that_an_asset_does_not_have_are_named() -> None:
    found = compile_agreement(agreement(constraint("columns", "isAnyOf", SPEED, "Vehicle.Mood")), DRIVING)
    assert codes(found) == [("column-unknown", "/permission/0/constraint/0/rightOperand")]
    assert "Vehicle.Mood" in found.problems[0].sentence


def test_only_large_groups_of_aggregates_are_anonymous() -> None:
    anonymous = level("Anonymous")
    assert problems(agreement(anonymous), ABLE) == [
        "anonymous-rows",
        "anonymous-small-groups",
    ]
    small = constraint("minGroupSize", "gteq", 4)
    assert problems(agreement(anonymous, level("L3"), small), ABLE) == ["anonymous-small-groups"]
    for enough in (constraint("minGroupSize", "gteq", 5), constraint("minGroupSize", "gt", 4)):
        assert codes(compile_agreement(agreement(anonymous, level("L3"), enough), ABLE)) == []


@pytest.mark.parametrize(
    ("named", "unicity", "wrong"),
    [
        ("L2", (1_000, 0.05), False),
        ("L2", (999, 0.05), True),
        ("L2", (1_000, 0.06), True),
        ("L2", None, True),
        ("L1", (1_000, 0.0), True),
    ],
)
def test_rows_are_anonymous_only_where_few_vehicles_were_measured_to_be_unique(
    named: str, unicity: tuple[int, float] | None, wrong: bool
) -> None:
    found = problems(agreement(level("Anonymous"), level(named)), Capabilities(DECLARED, unicity=unicity))
    assert found == (["anonymous-rows", "anonymous-small-groups"] if wrong else [])


ASKED: Final = constraint("userRequest", "eq", "urn:request:42")
ALONE: Final = constraint("exclusive", "eq", "true")


@pytest.mark.parametrize(
    ("constraints", "place"),
    [
        ((ASKED, ALONE), "constraint/1"),
        ((ALONE, ASKED), "constraint/0"),
        ((constraint("userRequest", "isAnyOf", "urn:request:1", "urn:request:2"), ALONE), "constraint/1"),
        ((ASKED, constraint("exclusive", "eq", "perhaps")), "constraint/1"),
        ((ASKED, constraint("exclusive", "eq")), "constraint/1"),
        ((Compound(Logic.AND, (ASKED, ALONE)),), "constraint/0/and/1"),
        ((ASKED, Compound(Logic.OR, (ALONE, INSURE))), "constraint/1/or/0"),
        ((ASKED, constraint(EXCLUSIVE_USAGE, "eq", "cx.exclusiveUsage.dataConsumer:1")), "constraint/1"),
    ],
)
def test_nobody_has_alone_what_a_user_asks_to_be_shared(constraints: tuple[Any, ...], place: str) -> None:
    policy = agreement(*constraints)
    (found,) = (each for each in compile_agreement(policy, ABLE).problems if each.code == EXCLUSIVE_REQUEST)
    assert found.path == f"/permission/0/{place}"
    assert "Data Act" in found.sentence
    assert found.remedy
    assert claims_request(policy)


def test_what_claims_nothing_alone_may_rest_on_a_request() -> None:
    for constraints in ((ASKED,), (ALONE,), (ASKED, constraint("exclusive", "eq", "false"))):
        assert problems(agreement(*constraints), ABLE) == []
        assert not claims_request(agreement(*constraints))
    apart = replace(agreement(), permissions=(Permission(USE, (ASKED,)), Permission(USE, (ALONE,))))
    assert not claims_request(apart)
    everywhere = replace(agreement(ALONE), target=Asset("urn:asset:x", refinements=(ASKED,)))
    assert claims_request(everywhere)


def test_a_request_shapes_and_can_be_no_choice_and_no_condition_of_a_prohibition() -> None:
    assert problems(agreement(ASKED), Capabilities()) == ["not-enforceable"]
    assert problems(agreement(Compound(Logic.OR, (ASKED, INSURE))), ABLE) == ["choice-of-delivery"]
    forbidden = replace(agreement(), prohibitions=(Prohibition(USE, (ASKED,)),))
    assert problems(forbidden, ABLE) == ["prohibition-of-delivery"]


def test_nobody_promises_finer_samples_than_were_measured() -> None:
    slow = Capabilities(DECLARED, sampling_interval_ms=5_000)
    promise = constraint("samplingInterval", "lteq", "PT1S")
    assert problems(agreement(promise), slow) == ["sampling-too-coarse"]
    for fine in (constraint("samplingInterval", "lteq", "PT5S"), constraint("samplingInterval", "gteq", "PT1S")):
        assert codes(compile_agreement(agreement(fine), slow)) == []
    assert codes(compile_agreement(agreement(promise), ABLE)) == []


def test_french_insurers_get_no_speed_and_must_delete() -> None:
    speedy = Capabilities(DECLARED, frozenset({SPEED}), rule_sets=frozenset({FRENCH_INSURANCE}))
    assert problems(agreement(INSURE), speedy) == ["insurance-speed", "insurance-retention"]
    assert problems(agreement(INSURE), replace(speedy, rule_sets=frozenset())) == []
    retained = Duty(Action(f"{ODRL}delete", (constraint(f"{ODRL}elapsedTime", "lteq", "P90D"),)))
    features = Permission(USE, (constraint("detail", "eq", f"{CARNET}FeaturesOnly"),), (retained,))
    assert problems(replace(agreement(), permissions=(features,)), speedy) == []
    assert problems(replace(agreement(INSURE), obligations=(retained,)), replace(speedy, columns=None)) == []
    either = Compound(Logic.OR, (constraint(f"{ODRL}elapsedTime", "lteq", "P90D"),))
    some_day = Duty(Action(f"{ODRL}delete", (either, NOBODY)))
    found = problems(replace(agreement(INSURE), obligations=(some_day,)), replace(speedy, columns=None))
    assert found == ["operand-unknown", "insurance-retention"]


def test_what_says_more_about_a_duty_or_a_promise_is_kept_as_that_is() -> None:
    soon = constraint(f"{ODRL}elapsedTime", "lteq", "P90D")
    erase = Duty(Action(f"{ODRL}delete", (Compound(Logic.OR, (soon,)), NOBODY)))
    promise = Prohibition(Action(f"{ODRL}sell"), (INSURE,))
    kept = Prohibition(USE, (INSURE,))
    found = compile_agreement(replace(agreement(), obligations=(erase,), prohibitions=(promise, kept)), Capabilities())
    (duty,), (sold,) = found.duties, found.legal
    choice, unknown = duty.parts
    assert (choice.bucket, choice.parts[0].bucket, choice.parts[0].evidence) == (Bucket.DUTY, Bucket.DUTY, duty.evidence)
    assert choice.parts[0].points == ()
    assert unknown.bucket is None
    assert (sold.parts[0].legal_only, sold.parts[0].points) == (True, ())
    (used,) = [item for item in found.gates if item.kind == "prohibition"]
    assert used.parts[0].points == REGISTRY[f"{ODRL}purpose"].points


# --- for any policy --------------------------------------------------------------------------------------------------


def paths(policy: Policy) -> Iterator[str]:
    """The paths of every plain constraint, duty, prohibition and permitted action."""

    def below(path: str, condition: AnyConstraint) -> Iterator[str]:
        yield from (at for at, _ in atoms(path, condition))

    def rule(path: str, found: Permission | Prohibition | Duty) -> Iterator[str]:
        yield f"{path}/action" if isinstance(found, Permission) else path
        for at, condition in conditions(path, found):
            yield from below(at, condition)
        for at, duty in duties(path, found):
            yield from rule(at, duty)

    for at, condition in shared(policy):
        yield from below(at, condition)
    for placed in rules(policy):
        yield from rule(placed.path, placed.rule)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn.policies(), st.sets(st.sampled_from(sorted(DECLARED))))
def test_every_term_is_in_exactly_one_bucket(policy: Policy, declared: set[str]) -> None:
    delivery = compile_agreement(policy, Capabilities(frozenset(declared)))
    found = [item for top in delivery.items() for item in top.walk() if item.kind != "logic"]
    assert Counter(item.path for item in found) == Counter(paths(policy))
    for item in found:
        assert [bool(item.points), item.evidence is not None, item.legal_only].count(True) == (item.bucket is not None)
    unkept = [item for top in delivery.items() for item in top.walk() if item.bucket is None]
    assert bool(unkept) <= bool(delivery.problems)
    assert all(problem.sentence and problem.remedy for problem in delivery.problems)


def test_the_paths_of_parts_name_the_logic() -> None:
    assert [path for path, _ in parts("/x", Compound(Logic.OR, (INSURE, GROUPS)))] == ["/x/or/0", "/x/or/1"]
