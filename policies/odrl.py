"""Full ODRL 2.2 as JSON-LD: what offers are written in. ``read`` and ``write`` lose nothing: ``read(write(policy)) == policy``.

Read is every spelling that needs no JSON-LD processor (``policies.reading``, ``policies.names``): ODRL's own names, ``odrl:`` and
``xsd:`` names, prefixes of the document's inline ``@context``, IRIs; compact, or already expanded. Written is one spelling:

===================  ==================================================================================================
what                 how it is written
===================  ==================================================================================================
member               ODRL's name
action, operand,     ``odrl:`` and name if it is ODRL's, else the IRI; ``{"@id"}`` if it is no IRI
operator, datatype
``Ref``              ``{"@id": iri}``
``Lit``              a string if it is ``xsd:string``, else ``{"@value", "@type"}``: never a JSON number, whose form is lost
set                  an array; where one value is usual (right operands, profile) a single one stands alone
collection           ``{"@type": "AssetCollection", "source": iri, "refinement": [...]}``, likewise ``PartyCollection``
===================  ==================================================================================================

Imports ``policies`` siblings only.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Final

from policies import reading
from policies.model import (
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
    Value,
)
from policies.names import RDF, Names

CONTEXT: Final[dict[str, Any]] = (
    {"@vocab": ODRL, "odrl": ODRL, "xsd": XSD, "rdf": RDF}
    | {
        name: {"@type": "@vocab"}
        for name in ("action", "leftOperand", "operator", "rightOperandReference", "unit", "dataType", "conflict")
    }
    | {name: {"@type": "@id"} for name in ("uid", "profile", "inheritFrom", "target", "assigner", "assignee", "source")}
    | {logic.value: {"@container": "@list"} for logic in Logic}
)
"""The inline context of what is written here: a JSON-LD processor reads the same policy from it."""

_NAMES: Final = Names({"odrl": ODRL, "xsd": XSD, "rdf": RDF})
_DIALECT: Final = reading.Dialect("Set")
_Rule = Permission | Prohibition | Duty


def read(document: dict[str, Any]) -> Policy:
    """The policy that a parsed JSON document says. Raises PolicyInvalid, whose path leads into ``document``.

    A policy of no type is a Set (ODRL 2.2, section 2.1). Prefixes must be declared, and the uid must be there.
    """
    return reading.read(document, _NAMES, _DIALECT)


def write(policy: Policy) -> dict[str, Any]:
    """The JSON-LD document of ``policy``, which shares nothing with it and carries its own ``@context``.

    Names are expected to be IRIs. One with a prefix that nobody declared, as a peer may send, is written as it is, and ``read``
    refuses it.
    """
    return {
        "@context": copy.deepcopy(CONTEXT),
        "@type": policy.kind,
        "uid": policy.uid,
        **_some("profile", _one_or_all(policy.profiles)),
        **_some("inheritFrom", _one_or_all(policy.inherits)),
        **_some("conflict", policy.conflict and policy.conflict.value),
        **_functions(policy),
        **_some("permission", [_rule(rule) | _some("duty", _duties(rule.duties)) for rule in policy.permissions]),
        **_some("prohibition", [_rule(rule) | _some("remedy", _duties(rule.remedies)) for rule in policy.prohibitions]),
        **_some("obligation", _duties(policy.obligations)),
    }


def _some(name: str, value: Any) -> dict[str, Any]:
    """The member ``name``, unless there is nothing to say."""
    return {name: value} if value else {}


def _one_or_all(items: Sequence[Any]) -> Any:
    return items[0] if len(items) == 1 else list(items)


def _rule(rule: _Rule) -> dict[str, Any]:
    return {
        **_some("uid", rule.uid),
        "action": _action(rule.action),
        **_some("constraint", [_constraint(each) for each in rule.constraints]),
        **_functions(rule),
        **_parties(rule.parties),
    }


def _duties(duties: tuple[Duty, ...]) -> list[dict[str, Any]]:
    return [_rule(duty) | _some("consequence", _duties(duty.consequences)) for duty in duties]


def _action(action: Action) -> Any:
    if not action.refinements:
        return _word(action.iri)
    return {"rdf:value": {"@id": action.iri}, "refinement": [_constraint(each) for each in action.refinements]}


def _functions(rule: Policy | _Rule) -> dict[str, Any]:
    functions = {"target": rule.target, "assigner": rule.assigner, "assignee": rule.assignee}
    return {name: _function(value) for name, value in functions.items() if value is not None}


def _parties(parties: tuple[tuple[str, Party], ...]) -> dict[str, list[Any]]:
    written: dict[str, list[Any]] = {}
    for role, party in parties:
        value = _function(party)
        written.setdefault(role.removeprefix(ODRL), []).append({"@id": value} if isinstance(value, str) else value)
    return written


def _function(function: Asset | Party) -> Any:
    if not function.collection:
        return function.iri
    kind = "AssetCollection" if isinstance(function, Asset) else "PartyCollection"
    narrowed = _some("refinement", [_constraint(each) for each in function.refinements])
    return {"@type": kind, "source": function.iri, **narrowed}


def _constraint(constraint: AnyConstraint) -> dict[str, Any]:
    if isinstance(constraint, Compound):
        parts = [_constraint(part) for part in constraint.parts]
        return {**_some("uid", constraint.uid), constraint.logic.value: parts}
    return {**_some("uid", constraint.uid), **_atom(constraint)}


def _atom(constraint: Constraint) -> dict[str, Any]:
    named = {
        "rightOperandReference": constraint.reference,
        "unit": constraint.unit,
        "dataType": constraint.datatype,
    }
    return {
        "leftOperand": _word(constraint.left),
        "operator": _word(constraint.operator),
        **({"rightOperand": _one_or_all([_value(value) for value in constraint.right])} if constraint.right else {}),
        **{name: _word(iri) for name, iri in named.items() if iri is not None},
        **({} if constraint.status is None else {"status": _value(constraint.status)}),
    }


def _word(iri: str) -> Any:
    if iri.startswith(ODRL):
        return "odrl:" + iri.removeprefix(ODRL)
    return iri if ":" in iri else {"@id": iri}


def _value(value: Value) -> Any:
    if not isinstance(value, Lit):
        return {"@id": value.iri}
    if value.datatype == f"{XSD}string":
        return value.text
    datatype = value.datatype
    return {"@value": value.text, "@type": f"xsd:{datatype.removeprefix(XSD)}" if datatype.startswith(XSD) else datatype}
