"""A buyer says what for: the offer it asks for is narrower, permits what it wants, and nothing that was not offered."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import dsp
from policies.compare import contains
from policies.model import CARNET, DPV, ODRL, Policy
from policies.narrowing import for_purpose
from policies.purposes import PURPOSES, narrowed
from tests.policies import drawn

PLANNING: Final = f"{CARNET}MobilityPlanning"
KIND: Final = {"leftOperand": f"{CARNET}consumerKind", "operator": "eq", "rightOperand": {"@id": f"{CARNET}PublicBody"}}


def purpose(operator: str, *values: str) -> dict[str, Any]:
    return {"leftOperand": "odrl:purpose", "operator": operator, "rightOperand": list(values) if values[1:] else values[0]}


def offered(*rules: list[dict[str, Any]]) -> Policy:
    permissions = [{"action": "use", **({"constraint": constraints} if constraints else {})} for constraints in rules]
    return dsp.read({"@id": "urn:offer", "target": "urn:trips", "permission": permissions})


@pytest.mark.parametrize(
    ("constraint", "left"),
    [
        (purpose("isA", f"{CARNET}PublicInterest"), True),
        (purpose("isAnyOf", PLANNING, f"{CARNET}RoadSafety"), True),
        (purpose("eq", PLANNING), True),
        (purpose("isNoneOf", f"{DPV}Marketing", f"{DPV}SellProducts"), True),
        (purpose("isA", f"{CARNET}Insurance"), False),
        (purpose("eq", f"{CARNET}RoadSafety"), False),
        (purpose("isNoneOf", f"{DPV}Marketing", PLANNING), False),
    ],
)
def test_a_purpose_fits_what_is_offered_or_not(constraint: dict[str, Any], left: bool) -> None:
    policy = offered([KIND, constraint])
    found = for_purpose(policy, PLANNING)
    assert (found is not None) == left
    if found is not None:
        assert narrowed(found) == PLANNING
        assert len(found.permissions[0].constraints) == 2
        assert contains(policy, found)


def test_only_permissions_for_the_purpose_are_left_and_all_are_bound_to_it() -> None:
    policy = offered([purpose("isA", PLANNING)], [purpose("isA", f"{CARNET}Insurance")], [KIND], [])
    found = for_purpose(policy, PLANNING)
    assert found is not None
    assert len(found.permissions) == 3
    assert narrowed(found) == PLANNING
    assert contains(policy, found)


def test_conjunctions_are_looked_into_and_choices_are_kept() -> None:
    both = [KIND, purpose("isA", f"{CARNET}PublicInterest")]
    policy = dsp.read({"@id": "urn:offer", "permission": [{"action": "use", "constraint": [{"and": both}, {"or": both}]}]})
    found = for_purpose(policy, PLANNING)
    assert found is not None
    assert [getattr(each, "left", "choice") for each in found.permissions[0].constraints] == [
        f"{CARNET}consumerKind",
        "choice",
        f"{ODRL}purpose",
    ]
    assert contains(policy, found)


def test_what_is_bound_to_a_purpose_stays_as_it_is() -> None:
    found = for_purpose(offered([KIND]), PLANNING)
    assert found is not None
    assert for_purpose(found, PLANNING) == found
    assert for_purpose(found, f"{DPV}Marketing") is None


@given(drawn.policies(), st.sampled_from(sorted(PURPOSES)))
def test_nothing_more_is_permitted(policy: Policy, iri: str) -> None:
    found = for_purpose(policy, iri)
    if found is not None and contains(policy, policy):
        assert contains(policy, found)
        assert len(found.permissions) <= len(policy.permissions)
