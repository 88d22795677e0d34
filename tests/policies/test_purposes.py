"""The tree of purposes, and the one to which an offer is narrowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.model import (
    CARNET,
    DPV,
    ODRL,
    Action,
    AnyConstraint,
    Compound,
    Constraint,
    Lit,
    Logic,
    Permission,
    Policy,
    Ref,
    Value,
)
from policies.purposes import PURPOSE, PURPOSES, VERSION, is_a, line, narrowed

UBI = f"{CARNET}UsageBasedInsurance"
known = st.sampled_from(sorted(PURPOSES))


def test_the_tree_has_one_root_and_every_purpose_leads_to_it() -> None:
    assert [iri for iri, purpose in PURPOSES.items() if purpose.broader is None] == [f"{DPV}Purpose"]
    assert all(line(iri)[-1] == f"{DPV}Purpose" for iri in PURPOSES)
    assert all(purpose.since <= VERSION for purpose in PURPOSES.values())


def test_every_purpose_has_a_label_in_every_language() -> None:
    assert all(purpose.en and purpose.de and purpose.fr for purpose in PURPOSES.values())


def test_a_purpose_is_itself_and_its_broader_ones() -> None:
    assert line(f"{CARNET}PayAsYouDrive")[:2] == (f"{CARNET}PayAsYouDrive", UBI)
    assert is_a(f"{CARNET}PayAsYouDrive", UBI)
    assert not is_a(UBI, f"{CARNET}PayAsYouDrive")
    assert is_a(f"{DPV}DirectMarketing", f"{DPV}Marketing")


def test_what_is_not_known_is_nothing() -> None:
    assert line("urn:purpose") == ()
    assert not is_a("urn:purpose", "urn:purpose")
    assert not is_a("urn:purpose", f"{DPV}Purpose")


@given(known, known, known)
def test_to_be_narrower_is_an_order(one: str, other: str, third: str) -> None:
    assert is_a(one, one)
    assert one == other or not (is_a(one, other) and is_a(other, one))
    assert is_a(one, third) or not (is_a(one, other) and is_a(other, third))


def bound(operator: str, *values: Value) -> Constraint:
    return Constraint(PURPOSE, f"{ODRL}{operator}", values)


def rules(*constraints: tuple[AnyConstraint, ...]) -> Policy:
    return Policy("Offer", "urn:offer", tuple(Permission(Action(f"{ODRL}use"), found) for found in constraints))


@pytest.mark.parametrize(
    ("policy", "purpose"),
    [
        (rules((bound("isA", Ref(UBI)),)), UBI),
        (rules((bound("eq", Lit(UBI)),), (bound("isAnyOf", Ref(UBI)),)), UBI),
        (rules((Compound(Logic.AND, (bound("isA", Ref(UBI)),)),)), UBI),
        (rules((Compound(Logic.OR, (bound("isA", Ref(UBI)),)),)), None),
        (rules((bound("isAnyOf", Ref(UBI), Ref(f"{DPV}Marketing")),)), None),
        (rules((bound("isA", Ref(UBI)), bound("eq", Ref(f"{DPV}Marketing")))), f"{DPV}Marketing"),
        (rules((bound("eq", Ref(UBI)), bound("eq", Ref(f"{DPV}Marketing")))), None),
        (rules((bound("isA", Ref(UBI)),), ()), None),
        (rules((bound("neq", Ref(UBI)),)), None),
        (rules((bound("isA", Ref("urn:purpose")),)), None),
        (rules((Constraint(f"{ODRL}count", f"{ODRL}eq", (Ref(UBI),)),)), None),
        (rules(()), None),
        (rules(), None),
    ],
)
def test_an_offer_is_narrowed_when_all_its_permissions_leave_one_purpose(policy: Policy, purpose: str | None) -> None:
    assert narrowed(policy) == purpose
