"""Whether one policy permits no more than another: by examples of each algebra, and never against the decision point."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.compare import contains
from policies.containment import implies, includes
from policies.evaluate import evaluate
from policies.model import (
    CARNET,
    DPV,
    ODRL,
    XSD,
    Action,
    AnyConstraint,
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
    Value,
)
from policies.odrl import read
from policies.terms.party import COMPANY as COMPANY_KIND
from policies.terms.party import CONSUMER_KIND, MEMBERSHIP, PUBLIC_BODY, RESEARCH, SME
from policies.terms.place import BOUNDING_BOX, SPATIAL
from policies.terms.term import Request, Scope, World
from tests.policies import drawn

PURPOSE: Final = f"{ODRL}purpose"
COUNT: Final = f"{ODRL}count"
EURO: Final = "https://www.wikidata.org/entity/Q4916"
NUTS: Final = "http://data.europa.eu/nuts/code/"
MONTPELLIER: Final = "http://publications.europa.eu/resource/authority/place/FRA_MPL"
FRANCE: Final = "http://publications.europa.eu/resource/authority/country/FRA"


def constraint(left: str, operator: str, *right: str | int, unit: str | None = None) -> Constraint:
    """A constraint by the ends of names: an IRI is a reference, an int a number, other text a literal."""

    def value(one: str | int) -> Value:
        if isinstance(one, int):
            return Lit(str(one), f"{XSD}integer")
        return Ref(one) if one.startswith(("http", "urn:")) else Lit(one)

    iri = left if left.startswith("http") else (ODRL + left)
    return Constraint(iri, ODRL + operator, tuple(value(one) for one in right), unit=unit)


def both(*parts: AnyConstraint) -> Compound:
    return Compound(Logic.AND, parts)


def either(*parts: AnyConstraint) -> Compound:
    return Compound(Logic.OR, parts)


INSURANCE: Final = f"{CARNET}Insurance"
UBI: Final = f"{CARNET}UsageBasedInsurance"
MARKETING: Final = f"{DPV}Marketing"
MORE: Final = constraint(COUNT, "lteq", 10)
LESS: Final = constraint(COUNT, "lteq", 5)
INSURE: Final = constraint(PURPOSE, "isA", INSURANCE)

IMPLIED: Final[list[tuple[AnyConstraint, AnyConstraint]]] = [
    (LESS, MORE),
    (LESS, constraint(COUNT, "lt", 6)),
    (constraint(COUNT, "lt", 5), constraint(COUNT, "lt", 5)),
    (constraint(COUNT, "lt", 5), LESS),
    (constraint(COUNT, "lt", 5), constraint(COUNT, "neq", 5)),
    (constraint(COUNT, "lteq", 5), constraint(COUNT, "neq", 6)),
    (constraint(COUNT, "gt", 5), constraint(COUNT, "gteq", 5)),
    (constraint(COUNT, "gteq", 6), constraint(COUNT, "gt", 5)),
    (constraint(COUNT, "eq", 3), LESS),
    (constraint("dateTime", "lt", "2026-01-01T00:00:00Z"), constraint("dateTime", "lt", "2027-01-01T00:00:00+01:00")),
    (constraint("elapsedTime", "lteq", "P30D"), constraint("elapsedTime", "lteq", "P3M")),
    (constraint("delayPeriod", "gteq", "P7D"), constraint("delayPeriod", "gt", "P6D")),
    (
        constraint("https://w3id.org/edc/v0.0.1/ns/inForceDate", "lteq", "contractAgreement+30d"),
        constraint("https://w3id.org/edc/v0.0.1/ns/inForceDate", "lteq", "contractAgreement+100d"),
    ),
    (constraint(PURPOSE, "eq", UBI), INSURE),
    (constraint(PURPOSE, "isAnyOf", UBI, f"{CARNET}PayAsYouDrive"), constraint(PURPOSE, "isAnyOf", INSURANCE, MARKETING)),
    (INSURE, constraint(PURPOSE, "neq", MARKETING)),
    (constraint(PURPOSE, "isNoneOf", MARKETING, INSURANCE), constraint(PURPOSE, "neq", f"{DPV}DirectMarketing")),
    (constraint(CONSUMER_KIND, "isA", SME), constraint(CONSUMER_KIND, "eq", COMPANY_KIND)),
    (constraint(MEMBERSHIP, "isAllOf", "a", "b"), constraint(MEMBERSHIP, "isAnyOf", "b", "c")),
    (constraint(MEMBERSHIP, "isAllOf", "a", "b"), constraint(MEMBERSHIP, "isAllOf", "b")),
    (constraint(MEMBERSHIP, "eq", "a"), constraint(MEMBERSHIP, "hasPart", "a")),
    (constraint(SPATIAL, "eq", f"{NUTS}FRJ13"), constraint(SPATIAL, "isPartOf", f"{NUTS}FRJ")),
    (constraint(SPATIAL, "eq", MONTPELLIER), constraint(SPATIAL, "isPartOf", FRANCE)),
    (constraint(BOUNDING_BOX, "eq", "1,1,2,2"), constraint(BOUNDING_BOX, "isPartOf", "0,0,3,3")),
    (both(INSURE, LESS), MORE),
    (both(INSURE, LESS), both(MORE, INSURE)),
    (either(LESS, constraint(COUNT, "eq", 3)), MORE),
    (LESS, either(MORE, INSURE)),
    (Compound(Logic.XONE, (LESS, constraint(COUNT, "eq", 7))), MORE),
    (Compound(Logic.AND_SEQUENCE, (INSURE, LESS)), MORE),
    (Compound(Logic.XONE, (LESS, INSURE)), Compound(Logic.XONE, (INSURE, LESS))),
    (replace(LESS, uid="urn:a"), replace(LESS, uid="urn:b")),
]
NOT_IMPLIED: Final[list[tuple[AnyConstraint, AnyConstraint]]] = [
    (MORE, LESS),
    (LESS, constraint(COUNT, "lt", 5)),
    (LESS, constraint(COUNT, "gteq", 1)),
    (LESS, constraint(COUNT, "eq", 5)),
    (constraint(COUNT, "neq", 5), constraint(COUNT, "lt", 5)),
    (LESS, INSURE),
    (constraint(COUNT, "lteq", "many"), MORE),
    (LESS, constraint(COUNT, "lteq", "many")),
    (constraint("elapsedTime", "lteq", "P31D"), constraint("elapsedTime", "lteq", "P1M")),
    (constraint("payAmount", "eq", 3, unit=EURO), constraint("payAmount", "lteq", 4)),
    (replace(LESS, status=Lit("3")), MORE),
    (INSURE, constraint(PURPOSE, "isA", UBI)),
    (constraint(PURPOSE, "isAllOf", UBI, MARKETING), constraint(PURPOSE, "isA", MARKETING)),
    (INSURE, constraint(PURPOSE, "neq", UBI)),
    (constraint(PURPOSE, "neq", UBI), INSURE),
    (constraint(MEMBERSHIP, "eq", "a"), constraint(MEMBERSHIP, "neq", "b")),
    (constraint(MEMBERSHIP, "isAnyOf", "a", "b"), constraint(MEMBERSHIP, "isAllOf", "a", "b")),
    (constraint(MEMBERSHIP, "isAllOf", "a"), constraint(MEMBERSHIP, "isNoneOf", "b")),
    (constraint(CONSUMER_KIND, "isA", COMPANY_KIND), constraint(CONSUMER_KIND, "isA", SME)),
    (constraint(CONSUMER_KIND, "isA", PUBLIC_BODY), constraint(CONSUMER_KIND, "isAnyOf", SME, RESEARCH)),
    (constraint("event", "gt", "urn:a"), constraint("event", "gteq", "urn:a")),
    (constraint("delayPeriod", "gteq", "P7D"), constraint("delayPeriod", "gteq", "P8D")),
    (
        constraint("https://w3id.org/edc/v0.0.1/ns/inForceDate", "lteq", "contractAgreement+30d"),
        constraint("https://w3id.org/edc/v0.0.1/ns/inForceDate", "lteq", "2027-01-01T00:00:00Z"),
    ),
    (either(LESS, INSURE), MORE),
    (both(INSURE, MORE), LESS),
    (both(INSURE, MORE), either(LESS, constraint(COUNT, "eq", 1))),
    (MORE, both(MORE, INSURE)),
    (INSURE, either(LESS, MORE)),
    (INSURE, Compound(Logic.XONE, (INSURE, LESS))),
    (Compound(Logic.OR, ()), MORE),
    (MORE, Compound(Logic.AND, ())),
]


@pytest.mark.parametrize(("premise", "conclusion"), IMPLIED)
def test_a_narrower_condition_implies_a_wider_one(premise: AnyConstraint, conclusion: AnyConstraint) -> None:
    assert implies(premise, conclusion)


@pytest.mark.parametrize(("premise", "conclusion"), NOT_IMPLIED)
def test_nothing_is_implied_that_cannot_be_shown(premise: AnyConstraint, conclusion: AnyConstraint) -> None:
    assert not implies(premise, conclusion)


def test_actions_include_by_their_terms() -> None:
    assert includes(f"{ODRL}use", f"{ODRL}read")
    assert includes("urn:x", "urn:x")
    assert not includes(f"{ODRL}read", f"{ODRL}use")
    assert not includes(f"{ODRL}use", "urn:x")


# --- whole policies --------------------------------------------------------------------------------------------------

READ: Final = Action(f"{ODRL}read")
USE: Final = Action(f"{ODRL}use")
SELL: Final = Action(f"{ODRL}sell")
ASSET: Final = Asset("urn:asset:mileage")
US: Final = Party("did:web:oem.example")
THEM: Final = Party("did:web:insurer.example")
DELETE: Final = Duty(Action(f"{ODRL}delete", (constraint("elapsedTime", "lteq", "P90D"),)))
SOONER: Final = Duty(Action(f"{ODRL}delete", (constraint("elapsedTime", "lteq", "P30D"),)))
RULE: Final = Permission(USE, (MORE,), (DELETE,))
OFFER: Final = Policy("Offer", "urn:offer", (RULE,), (Prohibition(SELL),), (DELETE,), target=ASSET, assigner=US)
NEVER: Final = Constraint("urn:nobody:knows", f"{ODRL}eq", (Lit("1"),))


def deep(levels: int) -> AnyConstraint:
    found: AnyConstraint = LESS
    for _ in range(levels):
        found = Compound(Logic.OR, (found,))
    return found


WITHIN: Final[dict[str, Policy]] = {
    "itself": OFFER,
    "an agreement": replace(OFFER, kind="Agreement", uid="urn:agreement", assignee=THEM),
    "no assigner named": replace(OFFER, assigner=None),
    "another order and names": replace(OFFER, prohibitions=(Prohibition(SELL, uid="urn:x"), Prohibition(READ))),
    "a narrower action": replace(OFFER, permissions=(replace(RULE, action=READ),)),
    "one more condition": replace(OFFER, permissions=(replace(RULE, constraints=(MORE, INSURE)),)),
    "a condition of the action": replace(OFFER, permissions=(Permission(Action(USE.iri, (LESS,)), (), (DELETE,)),)),
    "two parts together": replace(OFFER, permissions=(replace(RULE, constraints=(both(LESS, INSURE),)),)),
    "a stricter duty": replace(OFFER, permissions=(replace(RULE, duties=(SOONER,)),), obligations=(SOONER, DELETE)),
    "a wider prohibition": replace(OFFER, prohibitions=(Prohibition(Action(f"{ODRL}transfer")),)),
    "nothing permitted": replace(OFFER, permissions=()),
    "its profile said": replace(OFFER, profiles=("https://w3id.org/carnet/terms/profile/1",)),
    "rules that name the target": replace(
        OFFER, permissions=(replace(RULE, target=ASSET),), prohibitions=(Prohibition(SELL, target=ASSET),),
        obligations=(replace(DELETE, target=ASSET),), target=None,
    ),
}  # fmt: skip
NOT_WITHIN: Final[dict[str, Policy]] = {
    "a wider condition": replace(OFFER, permissions=(replace(RULE, constraints=(constraint(COUNT, "lteq", 11),)),)),
    "no condition": replace(OFFER, permissions=(replace(RULE, constraints=()),)),
    "no duty": replace(OFFER, permissions=(replace(RULE, duties=()),)),
    "a duty with another name": replace(OFFER, permissions=(replace(RULE, duties=(replace(DELETE, uid="urn:d"),)),)),
    "a duty that is owed in fewer cases": replace(OFFER, obligations=(replace(DELETE, constraints=(INSURE,)),)),
    "another target": replace(OFFER, target=Asset("urn:asset:other")),
    "one more permission": replace(OFFER, permissions=(RULE, Permission(SELL))),
    "another assigner": replace(OFFER, assigner=THEM),
    "no prohibition": replace(OFFER, prohibitions=()),
    "a prohibition in fewer cases": replace(OFFER, prohibitions=(Prohibition(SELL, (MORE,)),)),
    "permissions win": replace(OFFER, conflict=Conflict.PERM),
    "an inherited policy": replace(OFFER, inherits=("urn:base",)),
    "nested too deeply": replace(OFFER, permissions=(replace(RULE, constraints=(MORE, deep(17))),)),
    "roles": replace(OFFER, permissions=(replace(RULE, parties=((f"{ODRL}informedParty", US),)),)),
}


@pytest.mark.parametrize("name", WITHIN)
def test_a_policy_contains_what_permits_no_more(name: str) -> None:
    assert contains(OFFER, WITHIN[name])


@pytest.mark.parametrize("name", NOT_WITHIN)
def test_a_policy_does_not_contain_what_may_permit_more(name: str) -> None:
    assert not contains(OFFER, NOT_WITHIN[name])


def test_an_assigner_that_is_narrowed_counts() -> None:
    narrowed = replace(OFFER, assigner=Party("urn:parties", True, (LESS,)))
    assert not contains(narrowed, replace(OFFER, assigner=None))


def test_where_permissions_win_only_the_same_prohibitions_count() -> None:
    winning = replace(OFFER, conflict=Conflict.PERM)
    assert contains(winning, winning)
    assert contains(winning, OFFER)
    assert not contains(winning, replace(winning, prohibitions=(Prohibition(Action(f"{ODRL}transfer")),)))


ALL: Final = Asset("urn:asset:all", True)
SMALL: Final = constraint(CONSUMER_KIND, "isA", SME)
ANY_SIZE: Final = constraint(CONSUMER_KIND, "isA", COMPANY_KIND)
FIRM: Final[list[tuple[Prohibition, Prohibition, bool]]] = [
    (Prohibition(SELL, (INSURE,)), Prohibition(SELL), True),
    (Prohibition(SELL, (INSURE, NEVER)), Prohibition(SELL, (INSURE,)), False),
    (Prohibition(SELL, (INSURE, NEVER)), Prohibition(SELL, (NEVER, INSURE)), True),
    (Prohibition(SELL, (INSURE, LESS)), Prohibition(SELL, (INSURE,)), False),
    (Prohibition(SELL, (both(INSURE, either(INSURE, INSURE)),)), Prohibition(SELL, (INSURE,)), True),
    (Prohibition(SELL, (Compound(Logic.AND_SEQUENCE, (INSURE, INSURE)),)), Prohibition(SELL, (INSURE,)), False),
    (Prohibition(SELL, (INSURE,), target=ALL), Prohibition(SELL, (INSURE,)), False),
    (Prohibition(SELL, (INSURE,), target=ASSET), Prohibition(SELL, (INSURE,)), True),
    (Prohibition(SELL, (SMALL,)), Prohibition(SELL, (ANY_SIZE,)), True),
]  # fmt: skip


@pytest.mark.parametrize(("narrow", "wide", "firm"), FIRM)
def test_a_wider_prohibition_is_as_firm_where_something_is_unknown(narrow: Prohibition, wide: Prohibition, firm: bool) -> None:
    bare = Policy("Offer", "urn:offer", (Permission(USE),))
    assert contains(replace(bare, prohibitions=(narrow,)), replace(bare, prohibitions=(wide,))) is firm


@pytest.mark.parametrize("number", range(1, 8))
def test_every_offer_contains_itself_and_a_narrower_agreement(number: int) -> None:
    offer = read(drawn.offer_document(str(number)))
    narrower = replace(
        offer,
        kind="Agreement",
        assignee=THEM,
        permissions=tuple(replace(rule, constraints=(*rule.constraints, LESS)) for rule in offer.permissions),
    )
    assert contains(offer, offer)
    assert contains(offer, narrower)
    assert not contains(narrower, offer)


# --- against the decision point --------------------------------------------------------------------------------------

scopes = st.sampled_from(Scope)
requests = st.builds(
    Request,
    scopes,
    drawn.action_iris,
    st.sampled_from(["urn:asset:mileage", "trips-2026"]),
    st.sampled_from(["did:web:insurer.example", "BPNL00000003"]),
    st.sampled_from([{}, {"kind": "sme", "country": "FR"}, {"kind": "public-body"}, {"kind": "company", "gatekeeper": True}]),
    st.none()
    | st.sampled_from(
        [UBI, INSURANCE, f"{DPV}ServiceProvision", MARKETING, f"{DPV}ScientificResearch", f"{DPV}RepairImpairments", "urn:x"]
    ),
)
facts: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        COUNT: st.integers(0, 20),
        f"{CARNET}agreedAt": st.just(0),
        f"{ODRL}delete": st.booleans(),
        "urn:rule:1": st.booleans(),
        f"{ODRL}event": st.just(("urn:request:42",)),
        f"{CARNET}legalBasis": st.just((f"{DPV}Consent",)),
    },
)
shapes = [f"{CARNET}minGroupSize", f"{CARNET}spatialResolution", f"{ODRL}spatial", f"{ODRL}delayPeriod"]
worlds = st.builds(World, st.sampled_from([0, 10**10, 10**12]), facts, st.sets(st.sampled_from(shapes)).map(frozenset))
tame = st.one_of(
    st.sampled_from([LESS, MORE, INSURE, NEVER, constraint(COUNT, "gt", 3), constraint(PURPOSE, "neq", MARKETING)]),
    drawn.sensible(),
)
conditions = drawn.nested(tame, 2)
duties = st.sampled_from([DELETE, SOONER, Duty(Action(f"{ODRL}inform"), (LESS,), uid="urn:rule:1")])
rules = st.builds(Permission, st.builds(Action, drawn.action_iris), drawn.several(conditions), drawn.several(duties, 1))
bans = st.builds(Prohibition, st.builds(Action, drawn.action_iris), drawn.several(conditions), target=st.none() | drawn.assets)
small = st.builds(
    Policy, st.just("Offer"), st.just("urn:offer"), drawn.several(rules), drawn.several(bans), drawn.several(duties, 1),
    conflict=st.none() | st.sampled_from(Conflict), target=st.none() | st.just(ASSET),
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, policy: Policy) -> Policy:
    """``policy`` with one or two changes, most of which narrow it."""
    found = policy
    for _ in range(draw(st.integers(0, 2))):
        match draw(st.integers(0, 6)):
            case 0:
                found = replace(found, prohibitions=(*found.prohibitions, draw(bans)))
            case 1:
                fewer = (replace(ban, constraints=ban.constraints[1:]) for ban in found.prohibitions)
                found = replace(found, prohibitions=tuple(fewer))
            case 2:
                found = replace(found, assignee=THEM)
            case 3:
                found = replace(found, conflict=draw(st.none() | st.sampled_from(Conflict)))
            case 4:
                found = replace(found, permissions=tuple(replace(one, action=READ) for one in found.permissions))
            case 5:
                more = draw(conditions)
                found = replace(found, permissions=tuple(replace(one, constraints=(more,)) for one in found.permissions))
            case _:
                more = draw(conditions)
                found = replace(
                    found, permissions=tuple(replace(one, constraints=(*one.constraints, more)) for one in found.permissions)
                )
    return found


pairs = st.one_of(small, drawn.policies()).flatmap(lambda policy: st.tuples(st.just(policy), changed(policy)))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(pairs, requests, worlds)
def test_what_is_contained_never_permits_more(pair: tuple[Policy, Policy], request: Request, world: World) -> None:
    for container, contained in (pair, pair[::-1]):
        if contains(container, contained) and evaluate(contained, request, world).permitted:
            assert evaluate(container, request, world).permitted


@given(conditions, conditions, requests, worlds)
def test_what_is_implied_holds(premise: AnyConstraint, conclusion: AnyConstraint, request: Request, world: World) -> None:
    if implies(premise, conclusion):
        asked = replace(request, action=f"{ODRL}read")
        narrow, wide = (Policy("Offer", "urn:o", (Permission(READ, (one,)),)) for one in (premise, conclusion))
        assert evaluate(wide, asked, world).permitted or not evaluate(narrow, asked, world).permitted


@given(drawn.policies())
def test_every_policy_contains_itself_unless_it_is_too_deep(policy: Policy) -> None:
    assert contains(policy, policy)


def test_of_large_policies_only_equality_is_seen() -> None:
    large = Policy("Offer", "urn:o", tuple(Permission(USE, (constraint(COUNT, "lteq", at),)) for at in range(101)))
    assert contains(large, replace(large, uid="urn:p", permissions=large.permissions[::-1]))
    assert not contains(large, replace(large, permissions=large.permissions[:100]))
    assert contains(large, replace(large, permissions=large.permissions[:5]))
    indebted = replace(large, permissions=(Permission(USE, duties=(replace(DELETE, consequences=(SOONER,) * 210),)),))
    assert not contains(indebted, replace(indebted, obligations=(DELETE,)))


def test_deep_conditions_are_proved_in_a_moment() -> None:
    premise: AnyConstraint = deep(16)
    conclusion: AnyConstraint = LESS
    for _ in range(16):
        premise = Compound(Logic.AND, (premise, INSURE))
        conclusion = Compound(Logic.OR, (conclusion, constraint(COUNT, "gt", 50)))
    assert implies(premise, conclusion)
    assert not implies(conclusion, premise)


def test_several_conditions_prove_the_parts_of_one() -> None:
    for whole, held in (
        (both(MORE, INSURE), True),
        (both(MORE, constraint(PURPOSE, "isA", UBI)), False),
        (either(NEVER, MORE), True),
    ):
        container = replace(OFFER, permissions=(replace(RULE, constraints=(whole,)),))
        contained = replace(OFFER, permissions=(replace(RULE, constraints=(LESS, INSURE)),))
        assert contains(container, contained) is held
