"""A request of a user in the terms: the ground on which rows leave, and of which vehicles."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from connector.dataplane.plan.model import Consent, Plan
from connector.dataplane.plan.refused import PlanRefused
from policies.model import DPV, Constraint
from policies.purposes import line
from tests.dataplane.plan.plans import CONSENT, INSURANCE, ROUND, TABLE, WHO, planned, term

L3: Final = term("releaseLevel", "eq", "vdx:L3")
CONSENTS: Final = (f"{DPV}Consent", f"{DPV}ExplicitConsent")
ONE, TWO, THREE = (f"urn:request:{number}" for number in range(1, 4))


def refused(*constraints: Constraint, **more: Any) -> str:
    with pytest.raises(PlanRefused) as why:
        planned(*constraints, **more)
    return why.value.code


def ground(*constraints: Constraint, **more: Any) -> Consent:
    found = planned(ROUND, *constraints, **more).consent
    assert found is not None
    return found


def test_a_request_of_a_user_is_the_ground_on_which_its_rows_leave() -> None:
    found = ground(term("userRequest", "isAnyOf", TWO, ONE))
    assert (found.requests, found.bases, found.recipient) == ((ONE, TWO), (), WHO.recipient)
    assert found.purposes == line(INSURANCE)
    assert found.categories == ("diagnostics", "driving-behaviour", "environment", "location")
    things = ground(term("userRequest", "eq", ONE), table=msgspec.structs.replace(TABLE, personal=False))
    assert (things.requests, things.bases) == ((ONE,), ())
    cells = ground(L3, term("userRequest", "eq", ONE))
    assert (cells.requests, cells.bases) == ((ONE,), ())


def test_consent_is_needed_beside_it_where_the_terms_say_so() -> None:
    asked = term("userRequest", "eq", ONE)
    assert ground(asked, duties=(CONSENT,)).bases == CONSENTS
    assert ground(asked, term("legalBasis", "eq", "dpv:Consent")).bases == CONSENTS
    contract = term("legalBasis", "eq", "dpv:Contract")
    assert ground(asked, contract, table=msgspec.structs.replace(TABLE, bases=(f"{DPV}Contract",))).bases == ()
    assert ground(asked, contract).bases == (f"{DPV}Contract",)


def test_only_requests_that_every_term_names_count() -> None:
    some, others = term("userRequest", "isAnyOf", ONE, TWO), term("userRequest", "isAnyOf", TWO, THREE)
    assert ground(some, others).requests == (TWO,)
    assert refused(ROUND, some, term("userRequest", "eq", THREE)) == "terms-contradict"


def test_a_request_is_for_a_purpose() -> None:
    assert refused(ROUND, term("userRequest", "eq", ONE), purpose=None) == "purpose-missing"


def test_plans_without_requests_have_the_digests_that_they_always_had() -> None:
    """A receipt names the digest of its plan, and stays true."""
    plan = planned(ROUND)
    assert b"requests" not in msgspec.json.encode(plan)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
    asked = planned(ROUND, term("userRequest", "eq", ONE))
    assert msgspec.json.decode(msgspec.json.encode(asked), type=Plan) == asked
