"""What would come of a policy for a supposed buyer, and policies in either form."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given

from policies import dsp, either, odrl
from policies.delivery import Capabilities
from policies.errors import PolicyInvalid
from policies.model import CARNET, DPV, ODRL, Asset, Policy
from policies.simulation import Case, Simulation, purpose_called, simulate
from policies.terms.term import Bucket, Scope
from tests.policies import drawn

NOW_MS: Final = 1_767_225_600_000
KIND: Final = {"leftOperand": f"{CARNET}consumerKind", "operator": "eq", "rightOperand": {"@id": f"{CARNET}PublicBody"}}
SMALL: Final = {"leftOperand": f"{CARNET}consumerKind", "operator": "eq", "rightOperand": {"@id": f"{CARNET}Company"}}
PURPOSE: Final = {"leftOperand": "purpose", "operator": "isA", "rightOperand": f"{CARNET}MobilityPlanning"}
OVER: Final = {"leftOperand": "dateTime", "operator": "lt", "rightOperand": {"@value": "2020-01-01T00:00:00Z"}}
GROUPS: Final = {"leftOperand": f"{CARNET}minGroupSize", "operator": "gteq", "rightOperand": {"@value": "5"}}
PAID: Final = {"action": "odrl:compensate"}


def offered(*constraints: Any, **more: Any) -> Policy:
    return dsp.read({"@id": "urn:offer", "permission": [{"action": "use", "constraint": [*constraints]}], **more})


def tried(policy: Policy, purpose: str | None = None, able: Capabilities | None = None, **claims: str) -> Simulation:
    return simulate(policy, Case("did:web:buyer.example", NOW_MS, claims, purpose), able or Capabilities())


def test_who_is_permitted_everywhere_gets_terms_of_delivery() -> None:
    found = tried(offered(KIND, PURPOSE), f"{CARNET}MobilityPlanning", kind="public-body")
    assert found.permitted
    assert found.keepable
    assert found.delivery is not None
    assert [item.bucket for item in found.delivery.items()] == [Bucket.GATE, Bucket.GATE, Bucket.GATE]


def test_who_is_not_meant_sees_nothing_and_gets_no_terms() -> None:
    found = tried(offered(KIND), kind="company")
    assert not found.permitted
    assert [decision.permitted for decision in found.decisions.values()] == [False, False, False]
    assert found.delivery is None
    assert found.decisions[Scope.CATALOGUE].reasons[0].path == "/permission/0/constraint/0"


def test_a_purpose_is_asked_for_from_the_negotiation_on() -> None:
    found = tried(offered(PURPOSE), f"{DPV}Marketing")
    assert {scope: decision.permitted for scope, decision in found.decisions.items()} == {
        Scope.CATALOGUE: True,
        Scope.NEGOTIATION: False,
        Scope.TRANSFER: False,
    }


def test_what_is_over_is_over() -> None:
    assert not tried(offered(OVER)).permitted


def test_only_the_permissions_that_apply_are_delivered() -> None:
    rules = [{"action": "use", "constraint": [KIND]}, {"action": "use", "constraint": [SMALL], "duty": [PAID]}]
    policy = dsp.read({"@id": "urn:offer", "permission": rules})
    public, company = (tried(policy, kind=kind) for kind in ("public-body", "company"))
    assert public.delivery is not None
    assert company.delivery is not None
    assert (public.delivery.permissions, public.delivery.duties) == ((0,), ())
    assert company.delivery.permissions == (1,)
    assert [item.term for item in company.delivery.duties] == [f"{ODRL}compensate"]


def test_what_no_data_plane_keeps_is_not_permitted_and_says_what_would_help() -> None:
    policy = offered(GROUPS)
    assert not tried(policy).permitted
    assert tried(policy, able=Capabilities(frozenset({f"{CARNET}minGroupSize"}))).permitted
    unkept = tried(policy, able=Capabilities(frozenset({f"{CARNET}minGroupSize"}), formats=frozenset()))
    assert all(decision.permitted for decision in unkept.decisions.values())
    assert (unkept.permitted, unkept.keepable) == (False, False)


def test_what_a_policy_is_about_is_asked_for_unless_something_else_is() -> None:
    in_rules = dsp.read({"@id": "urn:offer", "permission": [{"action": "use", "target": "urn:trips"}]})
    for policy in (offered(target="urn:trips"), in_rules):
        assert policy.target in (Asset("urn:trips"), None)
        assert tried(policy).permitted
        assert simulate(policy, Case("urn:buyer", NOW_MS, target="urn:trips"), Capabilities()).permitted
        assert not simulate(policy, Case("urn:buyer", NOW_MS, target="urn:other"), Capabilities()).permitted


@pytest.mark.parametrize(
    ("name", "iri"),
    [
        ("Insurance", f"{CARNET}Insurance"),
        ("vdx:Insurance", f"{CARNET}Insurance"),
        (f"{CARNET}Insurance", f"{CARNET}Insurance"),
        ("dpv:Marketing", f"{DPV}Marketing"),
        ("Marketing", f"{DPV}Marketing"),
        ("vdx:Marketing", None),
        ("world-domination", None),
    ],
)
def test_purposes_are_called_by_their_names(name: str, iri: str | None) -> None:
    assert purpose_called(name) == iri


@given(drawn.offers())
def test_either_form_is_read(policy: Policy) -> None:
    assert either.read(odrl.write(policy)) == policy
    assert either.read(dsp.write(policy)) == dsp.normal(policy)


@given(drawn.policies())
def test_no_policy_makes_it_fail(policy: Policy) -> None:
    found = tried(policy)
    assert (found.delivery is None) == (not found.decisions[Scope.NEGOTIATION].permitted)


def test_what_has_no_name_is_given_one() -> None:
    rules = {"permission": [{"action": "use"}]}
    assert either.read(rules, uid="urn:new").uid == "urn:new"
    assert either.read({"@context": [{"@vocab": ODRL}], "permission": [{"action": "use"}]}, uid="urn:new").uid == "urn:new"
    assert either.read({"@id": "urn:own", **rules}, uid="urn:new").uid == "urn:own"
    with pytest.raises(PolicyInvalid, match="member-missing"):
        either.read(rules)
