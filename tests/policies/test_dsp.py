"""The normal form of DSP: what has one goes through every door unchanged, and what has none is named with its remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from catalog import compaction, contexts, expansion, jsonld
from policies import dsp, names, odrl
from policies.errors import PolicyInvalid
from policies.model import (
    CARNET,
    DPV,
    ODRL,
    XSD,
    Action,
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
from tests.policies import drawn

Json = dict[str, Any]
EQ = f"{ODRL}eq"
USE = Action(f"{ODRL}use")
RULES = (Permission(USE),)
ANY_FORM = drawn.offers() | drawn.agreements()


def message(policy: Policy) -> Json:
    """The DSP message that would carry ``policy``."""
    agreed = policy.kind == "Agreement"
    name, member = ("ContractAgreementMessage", "agreement") if agreed else ("ContractRequestMessage", "offer")
    document = dsp.write(policy) | ({"timestamp": "2026-03-01T09:30:00Z"} if agreed else {})
    pids = {"consumerPid": "urn:c"} | ({"providerPid": "urn:p"} if agreed else {"callbackAddress": "https://c.example/"})
    return {"@context": [contexts.DSP], "@type": name, **pids, member: document}


def offer(*constraints: Any, action: Any = "use", **members: Any) -> Json:
    """An offer as a peer might spell it."""
    return {"@id": "o", "@type": "Offer", "permission": [{"action": action, "constraint": [*constraints]}], **members}


def right(value: Any) -> tuple[Any, ...]:
    """What a right operand says."""
    atom = {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": value}
    (constraint,) = dsp.read(offer(atom)).permissions[0].constraints
    assert isinstance(constraint, Constraint)
    return constraint.right


# --- what has a form -------------------------------------------------------------------------------------------------


@given(ANY_FORM)
def test_what_is_written_reads_the_same(policy: Policy) -> None:
    assert dsp.without_form(policy) == ()
    assert dsp.read(dsp.write(policy)) == dsp.normal(policy) == policy


@given(drawn.policies())
def test_any_policy_has_a_form_or_is_told_why_not(policy: Policy) -> None:
    assert dsp.normal(dsp.normal(policy)) == dsp.normal(policy)
    problems = dsp.without_form(policy)
    if problems:
        with pytest.raises(PolicyInvalid, match="form-missing"):
            dsp.write(policy)
        written = odrl.write(policy)
        assert all(stands_in(written, problem.path) and problem.sentence and problem.remedy for problem in problems)
    else:
        assert dsp.read(dsp.write(policy)) == dsp.normal(policy)


def stands_in(document: Any, path: str) -> bool:
    """Whether the holder of what ``path`` points to is in ``document``; one value stands for an array of it."""
    for step in path.split("/")[1:-1]:
        if isinstance(document, dict):
            document = document[step.replace("~1", "/").replace("~0", "~")] if step != "refinement" or step in document else {}
        elif isinstance(document, list):
            document = document[int(step)]
    return document is not None


@settings(max_examples=40)
@given(ANY_FORM)
def test_the_door_lets_the_form_through_unchanged(policy: Policy) -> None:
    sent = message(policy)
    assert jsonld.normalise(sent) == sent


@settings(max_examples=25)
@given(ANY_FORM)
def test_json_ld_makes_the_same_of_the_form(policy: Policy) -> None:
    sent = message(policy)
    assert jsonld.slow(sent) == sent
    (expanded,) = expansion.expand(sent)
    member = "agreement" if policy.kind == "Agreement" else "offer"
    (node,) = expanded[f"{names.DSPACE}{member}"]
    assert dsp.read(node) == policy


@pytest.mark.parametrize("name", "1234567")
async def test_an_offer_is_the_same_in_dsp_but_for_where_its_target_stands(name: str) -> None:
    published = odrl.read(drawn.offer_document(name))
    target = published.permissions[0].target
    sent = message(published)
    received = await jsonld.normalise_message(orjson.dumps(sent))
    assert received == sent
    read = dsp.read(received["offer"])
    assert read == dsp.normal(published)
    assert read.target == target
    assert [rule.action for rule in read.permissions] == [rule.action for rule in published.permissions]
    assert [rule.constraints for rule in read.permissions] == [rule.constraints for rule in published.permissions]
    assert [rule.duties for rule in read.permissions] == [rule.duties for rule in published.permissions]
    assert replace(dsp.read(dsp.write(published, in_dataset=True)), target=target) == read


async def test_the_form_is_as_documented() -> None:
    price = Constraint(f"{ODRL}payAmount", EQ, (Lit("3.00", f"{XSD}decimal"),), unit="urn:euro", datatype=f"{XSD}decimal")
    either = Compound(
        Logic.OR,
        (
            Constraint(f"{ODRL}purpose", f"{ODRL}isAnyOf", (Ref(f"{DPV}Marketing"), Lit("urn:x"), Ref("local"))),
            Constraint(f"{CARNET}detail", f"{ODRL}isNoneOf", (Lit("raw"),), uid="urn:c"),
        ),
    )
    duty = Duty(Action(f"{ODRL}compensate", (price,)))
    policy = Policy(
        "Offer",
        "o",
        permissions=(Permission(USE, (either,), (duty,), target=Asset("t"), uid="urn:r"),),
        prohibitions=(Prohibition(Action(f"{CARNET}reidentify"), target=Asset("t")),),
        obligations=(duty,),
        profiles=("urn:a", "urn:b"),
        assigner=Party("did:web:oem.example"),
    )
    compensate = {
        "action": "odrl:compensate",
        "constraint": [
            {
                "leftOperand": "odrl:payAmount",
                "operator": "eq",
                "rightOperand": {"@value": "3.00", "@type": "xsd:decimal"},
                f"{ODRL}unit": {"@id": "urn:euro"},
                f"{ODRL}dataType": {"@id": f"{XSD}decimal"},
            }
        ],
    }
    parts = [
        {
            "leftOperand": "odrl:purpose",
            "operator": "isAnyOf",
            "rightOperand": [f"{DPV}Marketing", {"@value": "urn:x", "@type": "xsd:string"}, {"@id": "local"}],
        },
        {"@id": "urn:c", "leftOperand": f"{CARNET}detail", "operator": "isNoneOf", "rightOperand": "raw"},
    ]
    assert dsp.write(policy) == {
        "@type": "Offer",
        "@id": "o",
        "profile": ["urn:a", "urn:b"],
        "target": "t",
        "assigner": "did:web:oem.example",
        "permission": [{"@id": "urn:r", "action": "use", "constraint": [{"or": parts}], "duty": [compensate]}],
        "prohibition": [{"action": f"{CARNET}reidentify"}],
        "obligation": [compensate],
    }
    sent = message(policy)
    assert await jsonld.normalise_message(orjson.dumps(sent)) == sent


@pytest.mark.parametrize("left", ["https://w3id.org/edc/v0.0.1/ns/inForceDate", "https://w3id.org/carnet/peer/v1#features"])
def test_what_the_door_abbreviates_by_other_prefixes_reads_the_same(left: str) -> None:
    policy = Policy("Offer", "o", (Permission(USE, (Constraint(left, EQ, (Lit("a"),)),)),))
    received = jsonld.normalise(message(policy))
    assert received["offer"] != dsp.write(policy)
    assert dsp.read(received["offer"]) == policy


def test_prefixes_are_those_of_the_context() -> None:
    assert {name: compaction.PREFIXES[name] for name in names.DSP_PREFIXES} == dict(names.DSP_PREFIXES)
    known = names.DSP_PREFIXES.keys() | dsp._WORD_PREFIXES.keys()
    assert known == compaction.PREFIXES.keys()
    assert {name: compaction.PREFIXES[name] for name in dsp._WORD_PREFIXES} == dsp._WORD_PREFIXES


# --- what others write -----------------------------------------------------------------------------------------------

_PURPOSE = Constraint(f"{ODRL}purpose", EQ, (Ref(f"{DPV}Marketing"),))


@pytest.mark.parametrize(
    "atom",
    [
        {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": f"{DPV}Marketing"},
        {"leftOperand": "purpose", "operator": "odrl:eq", "rightOperand": {"@id": f"{DPV}Marketing"}},
        {"leftOperand": {"@id": "odrl:purpose"}, "operator": {"@id": "odrl:eq"}, "rightOperand": [f"{DPV}Marketing"]},
        {"leftOperand": {"@id": "purpose"}, "operator": [{"@id": f"{ODRL}eq"}], "rightOperand": {"@value": f"{DPV}Marketing"}},
        {
            f"{ODRL}leftOperand": [{"@id": f"{ODRL}purpose"}],
            "odrl:operator": EQ,
            "odrl:rightOperand": [{"@value": f"{DPV}Marketing"}],
        },
    ],
)
def test_a_constraint_in_the_spellings_of_others(atom: Json) -> None:
    assert dsp.read(offer(atom)).permissions == (Permission(USE, (_PURPOSE,)),)


@pytest.mark.parametrize(
    "action",
    ["use", "odrl:use", {"@id": "odrl:use"}, {"odrl:type": {"@id": "odrl:use"}}, {"type": "use", "odrl:refinement": []}],
)
def test_actions_in_the_spellings_of_others(action: Any) -> None:
    assert dsp.read(offer(action=action)).permissions == RULES


def test_single_objects_and_empty_arrays_of_others() -> None:
    spelled = {
        "@id": "o",
        "@type": ["odrl:Offer"],
        "odrl:permission": {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": [], "odrl:duty": []},
        "odrl:prohibition": [],
        "odrl:obligation": [],
        "odrl:target": {"@id": "t"},
        "odrl:assigner": {"@id": "p"},
    }
    assert dsp.read(spelled) == Policy("Offer", "o", RULES, target=Asset("t"), assigner=Party("p"))


@pytest.mark.parametrize(
    ("value", "values"),
    [
        ("odrl:policyUsage", (Ref(f"{ODRL}policyUsage"),)),
        ("did:web:x", (Ref("did:web:x"),)),
        ("odrl:two words", (Lit("odrl:two words"),)),
        ("odrl://x", (Lit("odrl://x"),)),
        ("https://x y", (Lit("https://x y"),)),
        ("cx.quality.base:1", (Lit("cx.quality.base:1"),)),
        ({"@id": "cx.quality.base:1"}, (Ref("cx.quality.base:1"),)),
        ("2026-01-01T00:00:00Z", (Lit("2026-01-01T00:00:00Z"),)),
        (["urn:x", 5, {"@value": True}], (Ref("urn:x"), Lit("5", f"{XSD}integer"), Lit("true", f"{XSD}boolean"))),
        ({"@value": "urn:x", "@type": "xsd:string"}, (Lit("urn:x"),)),
        (
            {"@value": "POINT(0 0)", "@type": "http://www.opengis.net/ont/geosparql#wktLiteral"},
            (Lit("POINT(0 0)", "http://www.opengis.net/ont/geosparql#wktLiteral"),),
        ),
    ],
)
def test_right_operands(value: Any, values: tuple[Any, ...]) -> None:
    assert right(value) == values


@pytest.mark.parametrize(
    ("left", "iri"),
    [
        ("edc:inForceDate", "https://w3id.org/edc/v0.0.1/ns/inForceDate"),
        ("https://w3id.org/edc/v0.0.1/ns/inForceDate", "https://w3id.org/edc/v0.0.1/ns/inForceDate"),
        ("POLICY_EVALUATION_TIME", "POLICY_EVALUATION_TIME"),
        ("cx-policy:Membership", "cx-policy:Membership"),
        ("dateTime", f"{ODRL}dateTime"),
    ],
)
def test_left_operands(left: str, iri: str) -> None:
    atom = {"leftOperand": left, "operator": "term-lteq", "rightOperand": "a"}
    (constraint,) = dsp.read(offer(atom)).permissions[0].constraints
    assert constraint == Constraint(iri, "term-lteq", (Lit("a"),))


def test_the_constraints_of_a_duty_say_how_it_is_done() -> None:
    deadline = {
        "leftOperand": "odrl:elapsedTime",
        "operator": "lteq",
        "rightOperand": {"@value": "P90D", "@type": "xsd:duration"},
    }
    refined = {"rdf:value": {"@id": "odrl:delete"}, "refinement": [deadline]}
    within = Constraint(f"{ODRL}elapsedTime", f"{ODRL}lteq", (Lit("P90D", f"{XSD}duration"),))
    document = offer(obligation=[{"action": "odrl:delete", "constraint": [deadline]}])
    assert dsp.read(document).obligations == (Duty(Action(f"{ODRL}delete", (within,))),)
    document["obligation"] = [{"action": refined, "constraint": [deadline]}]
    document["@context"] = {"rdf": names.RDF}
    assert dsp.read(document).obligations == (Duty(Action(f"{ODRL}delete", (within, within))),)


def test_an_offer_in_a_dataset_needs_no_type_and_an_agreement_has_a_time() -> None:
    untyped = {"@id": "o", "permission": [{"action": "use"}]}
    assert dsp.read(untyped).kind == "Offer"
    agreed = untyped | {"@type": "Agreement", "target": "t", "timestamp": "2026-03-01T09:30:00Z"}
    assert dsp.read(agreed) == Policy("Agreement", "o", RULES, target=Asset("t"))


@pytest.mark.parametrize(
    ("document", "code", "path"),
    [
        ({"permission": [{"action": "use"}]}, "member-missing", ""),
        (offer(note="x"), "member-unknown", "/note"),
        (offer(**{"edc:note": "x"}), "member-unknown", "/edc:note"),
        (offer(action=""), "name-unknown", "/permission/0/action"),
        (offer(action="@id"), "name-unknown", "/permission/0/action"),
        (offer(**{"@context": "https://evil.example/c"}), "context-unknown", "/@context"),
        ("an offer", "object-expected", ""),
    ],
)
def test_what_is_not_understood_is_refused_where_it_stands(document: Any, code: str, path: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        dsp.read(document)
    assert (caught.value.code, caught.value.path) == (code, path)


# --- anything at all -------------------------------------------------------------------------------------------------


@given(ANY_FORM.map(dsp.write).flatmap(drawn.spoilt))
def test_a_spoilt_offer_is_refused_or_read_and_nothing_else(document: Json) -> None:
    try:
        read = dsp.read(document)
    except PolicyInvalid:
        return
    if not dsp.without_form(read):
        assert dsp.read(dsp.write(read)) == dsp.normal(read)
