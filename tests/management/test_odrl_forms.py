"""Policies in every spelling that clients write, and back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings

from catalog import contexts
from connector.management import documents, shapes
from connector.management.documents import ODRL
from connector.management.model import EDC
from connector.management.odrl_forms import OfferedTerms, prefixed, read_offer, read_policy, shown_policy
from connector.protocol.errors import Invalid
from policies import dsp, odrl
from policies.model import Compound, Constraint, Policy
from policies.plain import plain_policy
from tests.policies.drawn import offers

UNTIL = {"operator": "lteq", "rightOperand": "2027-01-01"}
USE = {"action": "use", "constraint": [{"leftOperand": "dateTime", **UNTIL}]}
PREFIXED = {
    "odrl:action": {"@id": "odrl:use"},
    "odrl:constraint": {
        "odrl:leftOperand": {"@id": "odrl:dateTime"},
        "odrl:operator": {"@id": "odrl:lteq"},
        "odrl:rightOperand": "2027-01-01",
    },
}
SPELLINGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ODRL's context inside": (
        {"@vocab": EDC},
        {
            "@context": "http://www.w3.org/ns/odrl.jsonld",
            "@type": "Set",
            "permission": [USE],
            "prohibition": [],
            "obligation": [],
        },
    ),
    "ODRL's context outside": (["http://www.w3.org/ns/odrl.jsonld", {"@vocab": EDC}], {"@type": "Set", "permission": USE}),
    "prefixes": ({"@vocab": EDC, "odrl": ODRL}, {"@type": "odrl:Set", "odrl:permission": PREFIXED, "odrl:prohibition": []}),
    "prefixes that nobody declared": ({"@vocab": EDC}, {"@type": "odrl:Set", "odrl:permission": [PREFIXED]}),
    "expanded": (
        {"@vocab": EDC},
        {
            "@type": [f"{ODRL}Set"],
            f"{ODRL}permission": [
                {
                    f"{ODRL}action": [{"@id": f"{ODRL}use"}],
                    f"{ODRL}constraint": [
                        {
                            f"{ODRL}leftOperand": [{"@id": f"{ODRL}dateTime"}],
                            f"{ODRL}operator": [{"@id": f"{ODRL}lteq"}],
                            f"{ODRL}rightOperand": [{"@value": "2027-01-01"}],
                        }
                    ],
                }
            ],
        },
    ),
    "version 4": (
        [contexts.EDC_MANAGEMENT],
        {"@type": "Set", "permission": [{"action": "use", "constraint": [{"leftOperand": "odrl:dateTime", **UNTIL}]}]},
    ),
}


def definition(spelling: str) -> dict[str, Any]:
    """A policy definition in one of the spellings."""
    context, policy = SPELLINGS[spelling]
    return {"@context": context, "@type": "PolicyDefinition", "@id": "p", "policy": policy}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_every_spelling_is_the_same_policy(spelling: str) -> None:
    document = definition(spelling)
    expected = shapes.policy_of(await documents.flat(definition("prefixes"))).policy
    assert shapes.policy_of(await documents.flat(document)).policy == expected
    assert shapes.policy_of(documents.slow(document)).policy == expected


async def test_members_under_another_vocabulary_are_refused_with_what_to_do() -> None:
    document = {"@context": {"@vocab": EDC}, "@id": "p", "policy": {"@type": "Set", "permission": [{"action": "use"}]}}
    with pytest.raises(Invalid, match="@context of ODRL"):
        shapes.policy_of(await documents.flat(document))


@pytest.mark.parametrize(
    ("urls", "namespace"),
    [
        (["https://w3id.org/tractusx/policy/v1.0.0", "http://www.w3.org/ns/odrl.jsonld"], "https://w3id.org/catenax/policy/"),
        (
            ["https://w3id.org/catenax/2025/9/policy/odrl.jsonld", "https://w3id.org/catenax/2025/9/policy/context.jsonld"],
            "https://w3id.org/catenax/2025/9/policy/",
        ),
    ],
)
async def test_policies_of_catena_x_are_read_under_their_contexts(urls: list[str], namespace: str) -> None:
    atoms = [{"leftOperand": name, "operator": "eq", "rightOperand": "x"} for name in ("Membership", "BusinessPartnerNumber")]
    policy = {"@type": "Set", "permission": [{"action": "use", "constraint": [{"and": atoms}]}]}
    document = {"@context": [*urls, {"@vocab": EDC}], "@type": "PolicyDefinition", "@id": "p", "policy": policy}
    kept = odrl.read(dict(shapes.policy_of(await documents.flat(document)).policy))
    (constraint,) = kept.permissions[0].constraints
    assert isinstance(constraint, Compound)
    lefts = [atom.left for atom in constraint.parts if isinstance(atom, Constraint)]
    assert lefts == [f"{namespace}Membership", "https://w3id.org/tractusx/v0.0.1/ns/BusinessPartnerNumber"]


def test_a_policy_without_rules_stays_one() -> None:
    kept = read_policy({"@type": "Set", "permission": [], "prohibition": [], "obligation": []}, "open")
    assert shown_policy(kept) == {"@id": "open", "@type": "Set", "permission": [], "prohibition": [], "obligation": []}


@settings(max_examples=20)
@given(offers())
def test_what_is_shown_is_the_policy_that_was_kept(policy: Policy) -> None:
    kept = read_policy(dsp.write(policy), None)
    shown = shown_policy(kept)
    prefixes = {"@context": documents.PLAIN_CONTEXT, "policy": prefixed(shown)}
    names = {"@context": [contexts.EDC_MANAGEMENT], "@type": "PolicyDefinition", "policy": shown}
    for document in (prefixes, names):
        again = odrl.read(read_policy(documents.slow(document)[f"{EDC}policy"], None))
        assert plain_policy(again) == plain_policy(odrl.read(kept))


def test_an_offer_is_its_id_its_maker_and_what_it_is_about() -> None:
    bare = {"@id": "o", "@type": f"{ODRL}Offer", f"{ODRL}assigner": [{"@id": "did:web:p"}], f"{ODRL}target": [{"@id": "trips"}]}
    assert read_offer(bare) == OfferedTerms("o", "did:web:p", "trips", {})
    objects = {
        "@id": "o",
        "@type": "Offer",
        "assigner": {"@id": "did:web:p"},
        "target": {"@id": "trips"},
        "permission": [{"action": "use"}],
    }
    assert read_offer(objects) == OfferedTerms("o", "did:web:p", "trips", {"permission": [{"action": "use"}]})


@pytest.mark.parametrize("where", ["assigner", "target"])
def test_an_offer_may_name_them_under_the_vocabulary_of_edc(where: str) -> None:
    found = read_offer({"@id": "o", "@type": f"{ODRL}Offer", f"{EDC}{where}": "did:web:p"})
    assert getattr(found, where) == "did:web:p"


def test_an_offer_without_id_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        read_offer({"@type": "Offer", "permission": [{"action": "use"}]})
    assert refused.value.violations[0].path == "policy.@id"


@pytest.mark.parametrize("value", ["text", [], {"@type": "Set", "permission": [{"action": "use"}], "unknown": 1}])
def test_what_is_no_policy_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(Invalid) as refused:
        read_policy(value, "p")
    assert refused.value.violations[0].path.startswith("policy")


def test_spellings_are_json() -> None:
    for spelling in SPELLINGS:
        assert asyncio.run(documents.read(json.dumps(definition(spelling)).encode()))
