"""Where exclusive contracts meet: territory, field of use, period and data items, in both directions."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.exclusivity import Overlap, Period, claims_exclusivity, overlap, overlaps
from policies.model import (
    CARNET,
    DPV,
    ODRL,
    XSD,
    Action,
    AnyConstraint,
    Asset,
    Compound,
    Constraint,
    Lit,
    Logic,
    Party,
    Permission,
    Policy,
    Ref,
)
from policies.odrl import read
from policies.places import meet, within
from tests.policies import drawn

PLACE: Final = "http://publications.europa.eu/resource/authority/place/"
COUNTRY: Final = "http://publications.europa.eu/resource/authority/country/"
NUTS: Final = "http://data.europa.eu/nuts/code/"
MONTPELLIER: Final = f"{PLACE}FRA_MPL"
USE: Final = Action(f"{ODRL}use")


def constraint(left: str, operator: str, *right: str) -> Constraint:
    values = tuple(Ref(one) if one.startswith("http") else Lit(one) for one in right)
    return Constraint(left if left.startswith("http") else ODRL + left, ODRL + operator, values)


EXCLUSIVE: Final = Constraint(f"{CARNET}exclusive", f"{ODRL}eq", (Lit("true", f"{XSD}boolean"),))
SHARED: Final = replace(EXCLUSIVE, right=(Lit("false", f"{XSD}boolean"),))
BEFORE: Final = constraint("dateTime", "lt", "2027-06-30T23:59:59Z")


def policy(*constraints: AnyConstraint, target: str = "urn:asset:traffic", collection: bool = False) -> Policy:
    return Policy("Offer", "urn:o", (Permission(USE, constraints),), target=Asset(target, collection))


CITY: Final = policy(EXCLUSIVE, constraint("spatial", "eq", MONTPELLIER), BEFORE)

MEETS: Final[dict[str, Policy]] = {
    "the same city": policy(constraint("spatial", "eq", MONTPELLIER)),
    "everywhere": policy(),
    "its country": policy(constraint("spatial", "isPartOf", f"{COUNTRY}FRA")),
    "its country by NUTS": policy(constraint("spatial", "isPartOf", f"{NUTS}FR")),
    "a region that may hold it": policy(constraint("spatial", "isPartOf", f"{NUTS}FRJ13")),
    "one of several cities": policy(constraint("spatial", "isAnyOf", f"{PLACE}FRA_PAR", MONTPELLIER)),
    "everywhere but another city": policy(constraint("spatial", "neq", f"{PLACE}FRA_PAR")),
    "a box somewhere": policy(constraint(f"{CARNET}boundingBox", "eq", "3,43,4,44")),
    "a place nobody knows": policy(constraint("spatial", "eq", "https://maps.example/somewhere")),
    "alternatives": policy(Compound(Logic.OR, (constraint("spatial", "eq", f"{PLACE}FRA_PAR"), BEFORE))),
    "an operator that bounds nothing": policy(constraint("spatial", "isAllOf", f"{PLACE}FRA_PAR")),
    "any purpose": policy(constraint("purpose", "isA", f"{DPV}Marketing")),
    "until the last moment": policy(constraint("dateTime", "gteq", "2027-06-30T23:59:58.999Z")),
    "a date that cannot be read": policy(constraint("dateTime", "gteq", "some day")),
    "a date that is not bounded": policy(constraint("dateTime", "neq", "2027-06-30T23:59:58Z")),
    "a collection": policy(target="urn:all", collection=True),
    "no target": replace(policy(), target=None),
    "another exclusive": CITY,
    "for somebody": replace(policy(), assignee=Party("did:web:b.example")),
}
APART: Final[dict[str, Policy]] = {
    "another city": policy(constraint("spatial", "eq", f"{PLACE}FRA_PAR")),
    "another country": policy(constraint("spatial", "isPartOf", f"{COUNTRY}DEU")),
    "another country by NUTS": policy(constraint("spatial", "isPartOf", f"{NUTS}EL3")),
    "everywhere but there": policy(constraint("spatial", "isNoneOf", MONTPELLIER)),
    "everywhere but its country": policy(constraint("spatial", "neq", f"{COUNTRY}FRA")),
    "two bounds of which one is elsewhere": policy(
        Compound(Logic.AND, (constraint("spatial", "isPartOf", f"{COUNTRY}FRA"), constraint("spatial", "eq", f"{PLACE}FRA_PAR")))
    ),
    "afterwards": policy(constraint("dateTime", "gteq", "2027-06-30T23:59:59Z")),
    "later": policy(constraint("dateTime", "gt", "2027-06-30T23:59:58.999Z")),
    "at a moment afterwards": policy(Compound(Logic.OR, (constraint("dateTime", "eq", "2028-01-01T00:00:00Z"),))),
    "another asset": policy(target="urn:asset:mileage"),
}


@pytest.mark.parametrize("name", MEETS)
def test_nothing_may_overlap_an_exclusive_city(name: str) -> None:
    assert overlap(CITY, MEETS[name]) is not None
    assert overlap(MEETS[name], CITY) is not None


@pytest.mark.parametrize("name", APART)
def test_what_lies_apart_may_be_sold_too(name: str) -> None:
    assert overlap(CITY, APART[name]) is None
    assert overlap(APART[name], CITY) is None


def test_what_nobody_claims_may_be_sold_twice() -> None:
    plain = policy(SHARED)
    assert overlap(plain, plain) is None
    assert overlap(policy(replace(EXCLUSIVE, right=())), plain) is not None
    assert overlap(policy(replace(EXCLUSIVE, right=(Lit("who knows"),))), plain) is not None
    assert claims_exclusivity(CITY)
    assert not claims_exclusivity(plain)


def test_purposes_and_columns_are_fields_of_their_own() -> None:
    insurance, driving = f"{CARNET}Insurance", f"{CARNET}PayAsYouDrive"
    sole = policy(EXCLUSIVE, constraint("purpose", "isA", insurance), constraint(f"{CARNET}columns", "isAnyOf", "speed", "km"))
    for met in (
        constraint("purpose", "eq", driving),
        constraint("purpose", "isA", f"{DPV}ServiceProvision"),
        constraint("purpose", "neq", driving),
        constraint("purpose", "eq", "urn:nobody:knows"),
        constraint(f"{CARNET}columns", "eq", "km"),
        constraint(f"{CARNET}columns", "isNoneOf", "km"),
    ):
        assert overlap(sole, policy(met)) is not None
    for apart in (
        constraint("purpose", "isA", f"{DPV}Marketing"),
        constraint("purpose", "isNoneOf", f"{DPV}ServiceProvision"),
        constraint(f"{CARNET}columns", "eq", "fuel"),
        constraint(f"{CARNET}columns", "isNoneOf", "km", "speed"),
    ):
        assert overlap(sole, policy(apart)) is None
    outside = policy(EXCLUSIVE, constraint("purpose", "neq", insurance))
    assert overlap(outside, policy(constraint("purpose", "neq", f"{DPV}Marketing"))) is not None


def test_what_a_user_asks_for_meets_nobody_s_exclusivity() -> None:
    """Data Act, articles 5 and 8(4): a contract with one buyer does not keep a user from sharing with another."""
    requested = constraint(f"{CARNET}userRequest", "eq", "https://garage.example/requests/1")
    whole = policy(EXCLUSIVE)
    for asked in (policy(requested), policy(Compound(Logic.AND, (requested, constraint("spatial", "eq", MONTPELLIER))))):
        assert overlap(whole, asked) is None
        assert overlap(asked, whole) is None
    # Nobody gets out of it who may have more than that, or claims it for itself alone.
    other = Permission(USE)
    for more in (
        replace(policy(requested), permissions=(*policy(requested).permissions, other)),
        policy(Compound(Logic.OR, (requested, constraint("spatial", "eq", MONTPELLIER)))),
        policy(requested, EXCLUSIVE),
    ):
        assert overlap(whole, more) is not None
        assert overlap(more, whole) is not None


def test_who_has_something_alone_may_have_it_twice() -> None:
    mine = replace(CITY, assignee=Party("did:web:a.example"))
    assert overlap(mine, mine) is None
    assert overlap(mine, replace(mine, assignee=Party("did:web:b.example"))) is not None
    several = replace(CITY, assignee=Party("urn:members", True))
    assert overlap(several, several) is not None


def test_an_overlap_says_where_and_when() -> None:
    two = replace(
        CITY, permissions=(Permission(Action(f"{ODRL}read"), APART["another city"].permissions[0].constraints), *CITY.permissions)
    )
    found = overlap(
        two,
        policy(constraint("dateTime", "gteq", "1970-01-01T00:00:01Z"), constraint("dateTime", "lteq", "1970-01-01T00:00:02Z")),
    )
    assert found is not None
    assert (found.path, found.other_path) == ("/permission/1", "/permission/0")
    assert found.period == Period(1_000, 2_000)
    assert found.ground.exclusive
    assert found.ground.asset == "urn:asset:traffic"
    assert not found.other_ground.exclusive


def test_the_exclusive_city_of_the_offers() -> None:
    offer = read(drawn.offer_document("3"))
    assert overlap(offer, offer) is not None
    assert overlap(offer, read(drawn.offer_document("6"))) is None


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (f"{NUTS}FRJ13", f"{NUTS}FRJ"),
        ("http://data.europa.eu/nuts/FRJ13", f"{COUNTRY}FRA"),
        (MONTPELLIER, f"{COUNTRY}FRA"),
        (MONTPELLIER, f"{NUTS}FR"),
        (f"{COUNTRY}FRA", f"{NUTS}FR"),
        ("urn:x", "urn:x"),
        ("1,1,2,2", "0,0,3,3"),
    ],
)
def test_places_lie_in_places(inner: str, outer: str) -> None:
    assert within(Ref(inner), Ref(outer))
    assert meet(Ref(inner), Ref(outer))
    assert meet(Ref(outer), Ref(inner))


@pytest.mark.parametrize(
    ("one", "other", "touching"),
    [
        (f"{NUTS}FRJ13", f"{NUTS}FRK", False),
        (f"{COUNTRY}FRA", MONTPELLIER, True),
        (f"{NUTS}FRJ", MONTPELLIER, True),
        (f"{NUTS}XX1", MONTPELLIER, True),
        (f"{NUTS}FR-", MONTPELLIER, True),
        (f"{COUNTRY}", MONTPELLIER, True),
        (f"{PLACE}FRA", MONTPELLIER, True),
        ("http://publications.europa.eu/resource/authority/continent/EUROPE", MONTPELLIER, True),
        ("0,0,2,2", "1,1,3,3", True),
        ("0,0,2,2", "2,0,3,2", False),
        ("0,0,2,2", "0,3,2,4", False),
        ("0,0,2,2", MONTPELLIER, True),
    ],
)
def test_places_that_do_not_lie_in_each_other_may_still_overlap(one: str, other: str, touching: bool) -> None:
    assert not within(Ref(one), Ref(other))
    assert meet(Ref(one), Ref(other)) is touching
    assert meet(Ref(other), Ref(one)) is touching


# --- for any two -----------------------------------------------------------------------------------------------------

bounds = st.sampled_from(
    [constraint for named in (*MEETS.values(), *APART.values()) for rule in named.permissions for constraint in rule.constraints]
)
grounds = st.builds(
    lambda parts, exclusive: policy(*parts, *([EXCLUSIVE] if exclusive else [])), drawn.several(bounds, 3), st.booleans()
)


def mirrored(found: Overlap) -> Overlap:
    return Overlap(found.other_path, found.path, found.other_ground, found.ground, found.period)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.one_of(grounds, drawn.policies()), st.one_of(grounds, drawn.policies()))
def test_overlap_is_symmetric(one: Policy, other: Policy) -> None:
    here, there = set(overlaps(one, other)), {mirrored(found) for found in overlaps(other, one)}
    assert here == there
    assert (overlap(one, other) is None) == (overlap(other, one) is None) == (not here)


@given(grounds, bounds)
def test_a_narrower_ground_never_meets_more(one: Policy, bound: AnyConstraint) -> None:
    narrower = replace(one, permissions=tuple(replace(rule, constraints=(*rule.constraints, bound)) for rule in one.permissions))
    assert overlap(CITY, one) is not None or overlap(CITY, narrower) is None or bound == EXCLUSIVE
