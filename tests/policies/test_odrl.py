"""Full ODRL: every spelling of one policy reads the same, writing loses nothing, and what is not understood is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import expansion
from policies import errors, nodes, odrl
from policies.errors import PolicyInvalid
from policies.model import (
    CARNET,
    DPV,
    ODRL,
    XSD,
    Action,
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
)
from tests.policies import drawn

Json = dict[str, Any]
EQ = f"{ODRL}eq"


def policy(*constraints: Any, **members: Any) -> Json:
    """A policy with one permission under ``constraints``; ``members`` of the policy besides."""
    return {"@type": "Offer", "uid": "urn:p", "permission": [{"action": "use", "constraint": [*constraints]}], **members}


def atom(right: Any, left: Any = "purpose", **members: Any) -> Json:
    return {"leftOperand": left, "operator": "eq", "rightOperand": right, **members}


def the_constraint(document: Json) -> Any:
    (constraint,) = odrl.read(document).permissions[0].constraints
    return constraint


# --- nothing is lost -------------------------------------------------------------------------------------------------


@given(drawn.policies())
def test_what_is_written_reads_the_same(drawn_policy: Policy) -> None:
    assert odrl.read(odrl.write(drawn_policy)) == drawn_policy


@settings(max_examples=25)
@given(drawn.policies())
def test_a_json_ld_processor_makes_the_same_of_what_is_written(drawn_policy: Policy) -> None:
    (expanded,) = expansion.expand(odrl.write(drawn_policy), trusted=True)
    assert odrl.read(expanded) == drawn_policy


@pytest.mark.parametrize("name", "1234567")
def test_an_offer_reads_the_same_compact_and_expanded(name: str) -> None:
    document = drawn.offer_document(name)
    offer = odrl.read(document)
    (expanded,) = expansion.expand(document, trusted=True)
    assert offer == odrl.read(expanded) == odrl.read(odrl.write(offer))


def test_an_offer_says_what_its_file_says() -> None:
    offer = odrl.read(drawn.offer_document("1"))
    price, deletion, consent = offer.permissions[0].duties
    assert (offer.kind, offer.uid, offer.assigner) == ("Offer", "urn:offer:1-payd-mileage", Party("did:web:oem.example"))
    assert offer.permissions[0].constraints == (
        Constraint(f"{ODRL}purpose", f"{ODRL}isA", (Ref(f"{CARNET}UsageBasedInsurance"),)),
        Constraint(f"{CARNET}legalBasis", f"{ODRL}isAnyOf", (Ref(f"{DPV}Consent"), Ref(f"{DPV}Contract"))),
        Constraint(f"{CARNET}requestsPerVehicleDay", f"{ODRL}lteq", (Lit("2", f"{XSD}integer"),)),
    )
    assert price.action.refinements[0] == Constraint(
        f"{ODRL}payAmount", EQ, (Lit("3.00", f"{XSD}decimal"),), unit="https://www.wikidata.org/entity/Q4916"
    )
    assert deletion.action == Action(
        f"{ODRL}delete", (Constraint(f"{ODRL}elapsedTime", f"{ODRL}lteq", (Lit("P90D", f"{XSD}duration"),)),)
    )
    assert consent == Duty(Action(f"{ODRL}obtainConsent"))
    target = Asset("urn:asset:mileage")
    assert offer.prohibitions == tuple(Prohibition(Action(iri), target=target) for iri in (f"{ODRL}sell", f"{CARNET}reidentify"))


def test_what_is_written_shares_nothing_with_the_module() -> None:
    odrl.write(odrl.read(policy()))["@context"]["action"].clear()
    assert odrl.CONTEXT["action"] == {"@type": "@vocab"}


# --- spellings -------------------------------------------------------------------------------------------------------

_PURPOSE = Constraint(f"{ODRL}purpose", EQ, (Ref(f"{DPV}Marketing"),))


@pytest.mark.parametrize(
    "document",
    [
        policy(atom({"@id": f"{DPV}Marketing"})),
        policy(atom({"uid": f"{DPV}Marketing"})),
        policy(atom({"@id": f"{DPV}Marketing"}, {"@id": "odrl:purpose"})),
        policy(atom([{"@id": f"{DPV}Marketing"}], [{"@id": f"{ODRL}purpose"}])),
        policy(atom({"@set": [{"@id": f"{DPV}Marketing"}]}, {"@value": "odrl:purpose"})),
        policy(atom({"@id": f"{DPV}Marketing"}, unit=None) | {"@type": "Constraint"}),
        policy(atom({"@id": "dpv:Marketing"}), **{"@context": {"dpv": DPV}}),
        policy(atom({"id": "dpv:Marketing"}), **{"@context": {"id": "@id", "dpv": {"@id": DPV}}}),
        policy(
            atom("Marketing"),
            **{"@context": {"@vocab": ODRL, "rightOperand": {"@type": "@vocab"}, "Marketing": f"{DPV}Marketing"}},
        ),
        policy(atom("dpv:Marketing"), **{"@context": {"dpv": DPV, "rightOperand": {"@type": "@id", "@container": "@set"}}}),
        policy(atom({"@id": "m:Marketing"}), **{"@context": [{"m": "d:"}, {"d": DPV}]}),
        policy() | {"permission": {"action": {"@id": "odrl:use"}, "constraint": atom({"@id": f"{DPV}Marketing"})}},
        policy(atom({"@id": f"{DPV}Marketing"}), **{"@context": ["http://www.w3.org/ns/odrl.jsonld", {"@version": 1.1}]}),
        policy(atom({"@id": f"{DPV}Marketing"}), **{"@context": "https://w3id.org/dspace/2025/1/context.jsonld"}),
        {
            "@type": ["odrl:Policy", "odrl:Offer"],
            "@id": [{"@value": "urn:p"}],
            "odrl:permission": {
                "@type": f"{ODRL}Permission",
                f"{ODRL}action": [{"@id": f"{ODRL}use"}],
                "odrl:constraint": {
                    "odrl:leftOperand": "odrl:purpose",
                    "odrl:operator": {"@id": "odrl:eq"},
                    "odrl:rightOperand": [{"@id": f"{DPV}Marketing"}],
                },
            },
        },
    ],
)
def test_one_constraint_in_many_spellings(document: Json) -> None:
    assert the_constraint(document) == _PURPOSE


@pytest.mark.parametrize(
    ("right", "values"),
    [
        (2, (Lit("2", f"{XSD}integer"),)),
        (0.4, (Lit("0.4", f"{XSD}decimal"),)),
        (1e-7, (Lit("0.0000001", f"{XSD}decimal"),)),
        (True, (Lit("true", f"{XSD}boolean"),)),
        ("https://a/b", (Lit("https://a/b"),)),
        ({"@value": "a"}, (Lit("a"),)),
        ({"@value": False}, (Lit("false", f"{XSD}boolean"),)),
        ({"@value": 3, "@type": "xsd:decimal"}, (Lit("3", f"{XSD}decimal"),)),
        ({"@value": "P1M", "@type": [f"{XSD}duration"]}, (Lit("P1M", f"{XSD}duration"),)),
        (["a", 1, {"@id": "urn:x"}], (Lit("a"), Lit("1", f"{XSD}integer"), Ref("urn:x"))),
        ([{"@list": ["a", "b"]}], (Lit("a"), Lit("b"))),
    ],
)
def test_values(right: Any, values: tuple[Any, ...]) -> None:
    assert the_constraint(policy(atom(right))).right == values


def test_a_context_may_give_strings_a_datatype() -> None:
    document = policy(atom("3.00"), **{"@context": {"rightOperand": {"@type": "xsd:decimal"}}})
    assert the_constraint(document).right == (Lit("3.00", f"{XSD}decimal"),)


def test_everything_a_constraint_can_say() -> None:
    document = policy(
        {
            "uid": "urn:c",
            "leftOperand": "count",
            "operator": "lteq",
            "rightOperandReference": "urn:the-value",
            "unit": "urn:unit",
            "dataType": "xsd:integer",
            "status": 4,
        }
    )
    assert the_constraint(document) == Constraint(
        f"{ODRL}count", f"{ODRL}lteq", (), "urn:the-value", "urn:unit", f"{XSD}integer", Lit("4", f"{XSD}integer"), "urn:c"
    )


@pytest.mark.parametrize(
    "parts", [[atom("a"), atom("b")], {"@list": [atom("a"), atom("b")]}, [{"@list": [atom("a"), atom("b")]}]]
)
def test_logical_constraints(parts: Any) -> None:
    both = tuple(Constraint(f"{ODRL}purpose", EQ, (Lit(text),)) for text in "ab")
    assert the_constraint(policy({"xone": parts, "uid": "urn:c"})) == Compound(Logic.XONE, both, "urn:c")


@pytest.mark.parametrize(
    "action",
    [
        {"rdf:value": {"@id": "odrl:delete"}, "refinement": [atom("a")]},
        {"@id": "odrl:delete", "refinement": atom("a"), "@type": "Action"},
        {"uid": "odrl:delete", "refinement": atom("a")},
    ],
)
def test_actions_with_refinements(action: Json) -> None:
    (duty,) = odrl.read(policy(obligation=[{"action": action}])).obligations
    assert duty.action == Action(f"{ODRL}delete", (Constraint(f"{ODRL}purpose", EQ, (Lit("a"),)),))


def test_parties_and_assets() -> None:
    rule = {
        "action": "inform",
        "target": {"@type": "AssetCollection", "source": "urn:all", "refinement": [atom("a")]},
        "assigner": {"@type": "Party", "uid": "did:web:a"},
        "assignee": {"@id": "urn:members", "refinement": [atom("b")]},
        "informedParty": ["did:web:c", {"@value": "did:web:d"}],
    }
    (duty,) = odrl.read(policy(obligation=rule)).obligations
    narrowed = tuple(Constraint(f"{ODRL}purpose", EQ, (Lit(text),)) for text in "ab")
    assert duty.target == Asset("urn:all", collection=True, refinements=narrowed[:1])
    assert duty.assigner == Party("did:web:a")
    assert duty.assignee == Party("urn:members", collection=True, refinements=narrowed[1:])
    assert duty.parties == ((f"{ODRL}informedParty", Party("did:web:c")), (f"{ODRL}informedParty", Party("did:web:d")))


def test_duties_in_duties() -> None:
    document = {
        "uid": "urn:p",
        "conflict": "odrl:perm",
        "inheritFrom": "urn:base",
        "profile": ["urn:a", "urn:b"],
        "prohibition": {
            "action": "sell",
            "remedy": {"action": "compensate", "consequence": [{"action": "delete", "uid": "urn:d"}]},
        },
    }
    deletion = Duty(Action(f"{ODRL}delete"), uid="urn:d")
    remedy = Duty(Action(f"{ODRL}compensate"), consequences=(deletion,))
    assert odrl.read(document) == Policy(
        "Set",
        "urn:p",
        prohibitions=(Prohibition(Action(f"{ODRL}sell"), remedies=(remedy,)),),
        profiles=("urn:a", "urn:b"),
        conflict=Conflict.PERM,
        inherits=("urn:base",),
    )


# --- compact policies ------------------------------------------------------------------------------------------------


def test_what_a_compact_policy_says_once_holds_for_every_rule() -> None:
    document = {
        "uid": "urn:p",
        "action": "use",
        "target": "urn:t",
        "constraint": [atom("a")],
        "permission": [{"constraint": [atom("b")]}, {"assignee": "urn:x", "duty": [{"action": "inform"}]}],
        "obligation": [{}],
    }
    one, other = (Constraint(f"{ODRL}purpose", EQ, (Lit(text),)) for text in "ab")
    use = Action(f"{ODRL}use")
    read = odrl.read(document)
    assert read.target == Asset("urn:t")
    assert read.permissions == (
        Permission(use, (other, one)),
        Permission(use, (one,), (Duty(Action(f"{ODRL}inform")),), assignee=Party("urn:x")),
    )
    assert read.obligations == (Duty(use, (one,)),)


def test_a_rule_about_several_things_is_several_rules() -> None:
    rule = {"action": ["read", "print"], "target": ["urn:a", "urn:b"]}
    read = odrl.read({"uid": "urn:p", "permission": rule})
    said = [(rule.action.iri.removeprefix(ODRL), rule.target and rule.target.iri) for rule in read.permissions]
    assert said == [("read", "urn:a"), ("read", "urn:b"), ("print", "urn:a"), ("print", "urn:b")]


# --- refusals --------------------------------------------------------------------------------------------------------

_RULE = "/permission/0"
_ATOM = f"{_RULE}/constraint/0"


@pytest.mark.parametrize(
    ("document", "code", "path"),
    [
        ([], "object-expected", ""),
        ({"@type": "Offer"}, "member-missing", ""),
        ({"uid": "", "@type": "Offer"}, "name-unknown", "/uid"),
        ({"uid": "@vocab"}, "name-unknown", "/uid"),
        ({"uid": 7}, "value-invalid", "/uid"),
        ({"uid": {"@id": 7}}, "value-invalid", "/uid"),
        ({"uid": {"target": "x"}}, "value-invalid", "/uid"),
        ({"uid": ["a", "b"]}, "value-invalid", "/uid"),
        ({"uid": "u" * 2_049}, "value-invalid", "/uid"),
        ({"uid": "a", "@id": "a"}, "member-twice", "/@id"),
        (policy(**{"@type": "Permission"}), "type-unexpected", "/@type"),
        (policy(**{"@type": ["Offer", "Agreement"]}), "type-unexpected", "/@type"),
        (policy(note="x"), "member-unknown", "/note"),
        (policy(**{"https://x.example/note": 1}), "member-unknown", "/https:~1~1x.example~1note"),
        (policy(**{"@graph": []}), "member-unknown", "/@graph"),
        (policy(conflict="maybe"), "name-unknown", "/conflict"),
        (policy(conflict="use"), "value-invalid", "/conflict"),
        (policy(action="read"), "rule-ambiguous", _RULE),
        (policy(target=["a", "b"]), "value-invalid", "/target"),
        (policy(target={"@type": "Party", "uid": "x"}), "type-unexpected", "/target"),
        (policy(target={"@type": "Asset"}), "member-missing", "/target"),
        (policy(target={"uid": "x", "source": "y"}), "member-missing", "/target"),
        (policy(target={"uid": "x", "hasPolicy": "y"}), "member-unknown", "/target/hasPolicy"),
        (policy(obligation="urn:elsewhere"), "object-expected", "/obligation"),
        (policy(obligation=[{"constraint": []}]), "member-missing", "/obligation/0"),
        (policy(obligation=[{"action": {"refinement": []}}]), "member-missing", "/obligation/0/action"),
        (policy(obligation=[{"action": {"@id": "odrl:use", "rdf:value": "use"}}]), "member-missing", "/obligation/0/action"),
        (policy(obligation=[{"action": {"@id": "odrl:use", "x:y": 1}}]), "member-unknown", "/obligation/0/action/x:y"),
        (policy(obligation=[{"action": {"type": "use", "refinement": []}}]), "member-unknown", "/obligation/0/action/type"),
        (policy(obligation=[{"action": "use", "duty": []}]), "member-unknown", "/obligation/0/duty"),
        (policy(obligation=[{"action": "use", "x:paidParty": "y"}]), "member-unknown", "/obligation/0/x:paidParty"),
        (policy(obligation=[{"action": "use", "@type": "Permission"}]), "type-unexpected", "/obligation/0/@type"),
        (policy(prohibition=[{"action": "use", "duty": []}]), "member-unknown", "/prohibition/0/duty"),
        (policy(permission={"action": "use", "remedy": []}), "member-unknown", "/permission/remedy"),
        (policy(permission={"action": ["read", "use"], "uid": "x"}), "rule-ambiguous", "/permission"),
        (policy(permission={"action": "use", "target": list("a" * 65)}), "rule-ambiguous", "/permission"),
        (policy(permission={"action": "fly"}), "name-unknown", "/permission/action"),
        (policy(permission={"action": "vdx:fly"}), "name-unknown", "/permission/action"),
        (policy(permission={"action": {"@id": "vdx:fly"}}), "name-unknown", "/permission/action"),
        (policy(atom({"@id": "vdx:fly"})), "name-unknown", f"{_ATOM}/rightOperand"),
        (policy({"operator": "eq"}), "member-missing", _ATOM),
        (policy({"@id": "urn:elsewhere"}), "member-missing", _ATOM),
        (policy(atom("a") | {"and": [atom("b")]}), "member-unknown", f"{_ATOM}/leftOperand"),
        (policy({"and": []}), "value-invalid", f"{_ATOM}/and"),
        (policy(atom([])), "value-invalid", f"{_ATOM}/rightOperand"),
        (policy(atom([["a"]])), "value-invalid", f"{_ATOM}/rightOperand/0"),
        (policy(atom([None])), "value-invalid", f"{_ATOM}/rightOperand/0"),
        (policy(atom(float("nan"))), "value-invalid", f"{_ATOM}/rightOperand"),
        (policy(atom(float("inf"))), "value-invalid", f"{_ATOM}/rightOperand"),
        (policy(atom(2**256)), "value-invalid", f"{_ATOM}/rightOperand"),
        (policy(atom({"@value": {"@value": 1}})), "value-invalid", f"{_ATOM}/rightOperand"),
        (policy(atom({"@value": "a", "@language": "de"})), "value-invalid", f"{_ATOM}/rightOperand"),
        (policy(atom({"@value": "a", "@type": "@id"})), "name-unknown", f"{_ATOM}/rightOperand/@type"),
        (policy(atom({"@value": "a", "@type": "decimal"})), "name-unknown", f"{_ATOM}/rightOperand/@type"),
        (policy(atom({"@id": "urn:a", "@type": "urn:b"})), "value-invalid", f"{_ATOM}/rightOperand"),
        (policy(atom("a", rightOperandReference="urn:b")), "member-twice", _ATOM),
        (policy({"leftOperand": "count", "operator": "eq"}), "member-missing", _ATOM),
    ],
)
def test_what_is_not_understood_is_refused_where_it_stands(document: Any, code: str, path: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        odrl.read(document)
    assert (caught.value.code, caught.value.path) == (code, path)
    assert caught.value.code in str(caught.value)
    assert caught.value.reason in str(caught.value)


@pytest.mark.parametrize(
    ("context", "code", "path"),
    [
        ("https://evil.example/context.jsonld", "context-unknown", "/@context"),
        ([{}, "https://evil.example/context.jsonld"], "context-unknown", "/@context/1"),
        (7, "context-unsupported", "/@context"),
        ({"@base": "https://x.example/"}, "context-unsupported", "/@context/@base"),
        ({"@vocab": 7}, "context-unsupported", "/@context/@vocab"),
        ({"@vocab": "relative"}, "context-unsupported", "/@context/@vocab"),
        ({"x": 7}, "context-unsupported", "/@context/x"),
        ({"x": {"@reverse": "y"}}, "context-unsupported", "/@context/x"),
        ({"x": {"@id": 7}}, "context-unsupported", "/@context/x/@id"),
        ({"x": {"@type": ["y"]}}, "context-unsupported", "/@context/x/@type"),
        ({"x": {"@id": "urn:x:", "@container": "@language"}}, "context-unsupported", "/@context/x"),
        ({"x": "@graph"}, "context-unsupported", "/@context/x"),
        ({"x": "y:z", "y": "@id"}, "context-unsupported", "/@context/x"),
        ({"x": "y:a", "y": "x:b"}, "context-unsupported", "/@context/x"),
        ({"x": "nothing"}, "name-unknown", "/@context/x"),
        ({"x": "z:nothing"}, "name-unknown", "/@context/x"),
        ({"x": {"@type": "nothing"}}, "name-unknown", "/@context/x"),
        ({f"x{number}": "urn:x:" for number in range(257)}, "context-unsupported", "/@context"),
    ],
)
def test_contexts_that_could_change_what_is_meant_are_refused(context: Any, code: str, path: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        odrl.read(policy(**{"@context": context}))
    assert (caught.value.code, caught.value.path) == (code, path)


def test_a_context_may_take_odrls_names_away() -> None:
    with pytest.raises(PolicyInvalid, match="type-unexpected at /@type"):
        odrl.read(policy(**{"@context": {"@vocab": "https://x.example/"}}))
    with pytest.raises(PolicyInvalid, match="member-missing at /permission/0"):
        odrl.read(policy(**{"@context": {"action": "https://x.example/action"}}))


def test_a_name_that_is_an_alias_of_a_keyword_is_no_word() -> None:
    with pytest.raises(PolicyInvalid, match="name-unknown at /permission/0/action"):
        odrl.read(policy(**{"@context": {"id": "@id"}, "permission": [{"action": "id"}]}))


def test_a_term_that_does_not_end_as_namespaces_do_is_no_prefix() -> None:
    with pytest.raises(PolicyInvalid, match="name-unknown at /permission/0/action"):
        odrl.read(policy(**{"@context": {"x": "urn:example"}, "permission": [{"action": "x:fly"}]}))


def test_documents_are_bounded() -> None:
    deep: Json = atom("a")
    for _ in range(nodes.MAX_DEPTH):
        deep = {"and": [deep]}
    for document, code in [
        (policy(deep), "document-too-deep"),
        (policy(*[atom("a")] * nodes.MAX_VALUES), "document-too-large"),
        (policy(atom("a" * (nodes.MAX_TEXT_CHARS + 1))), "document-too-large"),
    ]:
        with pytest.raises(PolicyInvalid) as caught:
            odrl.read(document)
        assert caught.value.code == code


def test_errors_repeat_little_of_the_input() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        odrl.read(policy(**{"n\x00te~/" * 100: "x"}))
    assert len(str(caught.value)) < 4 * errors.ECHO_MAX_CHARS
    assert caught.value.path.startswith("/n�te~0~1")
    assert str(PolicyInvalid("object-expected", "", "no")) == "object-expected: no"
    with pytest.raises(ValueError, match="not a code"):
        PolicyInvalid("made-up", "", "")


# --- anything at all -------------------------------------------------------------------------------------------------


@given(st.sampled_from("1234567").map(drawn.offer_document).flatmap(drawn.spoilt))
def test_a_spoilt_policy_is_refused_or_read_and_nothing_else(document: Json) -> None:
    try:
        read = odrl.read(document)
    except PolicyInvalid:
        return
    assert odrl.read(odrl.write(read)) == read
