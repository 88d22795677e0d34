"""The narrow ODRL that DSP 2025-1 carries (section 8.2.1 and its JSON schemas), and the one normal form in which we write it.

===========================  ==========================================================================================
what a policy says           its normal form
===========================  ==========================================================================================
``uid`` of policy, rule,     ``@id``
constraint
kind                         ``@type``: Offer or Agreement; nothing else has a form
target, assigner, assignee   of the policy alone: what all permissions and prohibitions name is **hoisted**; an obligation
                             that names none is about the policy's. An offer in a dataset says no target
action                       a string: ``use``, ``odrl:read``, else the IRI; it cannot be refined
duty                         in ``duty`` of a permission, or ``obligation``; its ``constraint`` **refines its action**: it says
                             how the duty is done. A duty has no conditions
left operand, datatype       a string: ``odrl:`` or another prefix of DSP's context, else the IRI
operator                     ODRL's name
``Ref`` on the right         its IRI as a string if that shows (``https://``, ``http://``, ``urn:``, ``did:``), else ``{"@id"}``
``Lit`` on the right         ``xsd:string``: the string; any other: ``{"@value": "3.00", "@type": "xsd:decimal"}``. A string that
                             looks like an IRI is ``{"@value", "@type": "xsd:string"}``
several values               an array; one value never is one
unit, dataType               under their full IRI, as ``{"@id"}``: DSP's context has no names for them
profile                      a string, or an array of several
===========================  ==========================================================================================

No form have: collections, refinements of the actions of rules, conditions and consequences of duties, remedies, further
parties, ``conflict``, ``inheritFrom``, ``rightOperandReference``, ``status``, operators that are not ODRL's, and targets or
parties that differ between rules. ``without_form`` names each one; an offer that has any is not published.

Read is more: expanded JSON-LD, ``odrl:`` names, ``{"@id"}`` for strings, one value for an array of it, JSON numbers, action
objects, names that have no IRI (kept as they are), and the parts of full ODRL above. ``timestamp`` is passed over: it says when
an agreement was made and not what. Imports ``policies`` siblings only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, TypeVar

from policies import reading
from policies.errors import PolicyInvalid, Problem, below, excerpt
from policies.model import (
    ODRL,
    XSD,
    AnyConstraint,
    Asset,
    Compound,
    Constraint,
    Duty,
    Operator,
    Party,
    Permission,
    Policy,
    Prohibition,
    Ref,
    Value,
)
from policies.names import DSP_PREFIXES, DSPACE, Names
from policies.nodes import MAX_NAME_CHARS, measure

MAX_NESTING: Final = 12
"""Deepest nesting of logical constraints (levels)."""

_TIMESTAMP: Final = f"{DSPACE}timestamp"
# Prefixes that other connectors write words with, though DSP's context does not declare them.
_WORD_PREFIXES: Final = {"edc": "https://w3id.org/edc/v0.0.1/ns/", "carnet": "https://w3id.org/carnet/peer/v1#"}
_NAMES: Final = Names({**DSP_PREFIXES, "timestamp": _TIMESTAMP, "type": f"{ODRL}type"}, words=_WORD_PREFIXES, lenient=True)
_DIALECT: Final = reading.Dialect(
    "Offer", strings_name=True, duties_refined=True, typed_actions=True, passing=frozenset({_TIMESTAMP})
)
_SHORT: Final = frozenset({ODRL + name for name in (*Operator, "use", "prohibit")})
"""Words that DSP's context has a name for."""
_OPERATORS: Final = frozenset(ODRL + operator for operator in Operator)

_Rule = Permission | Prohibition | Duty
_AnyRule = TypeVar("_AnyRule", Permission, Prohibition, Duty)
_Place = Literal["target", "assigner", "assignee"]
_PLACES: Final[tuple[_Place, ...]] = ("target", "assigner", "assignee")


def read(document: Mapping[str, Any]) -> Policy:
    """The policy of an offer or agreement as ``catalog.jsonld`` hands it out. Raises PolicyInvalid, whose path leads into it.

    A policy without a type is an Offer, as in datasets. The result is as ``document`` says it: see ``normal``.
    """
    return reading.read(document, _NAMES, _DIALECT)


def write(policy: Policy, *, in_dataset: bool = False) -> dict[str, Any]:
    """The normal form of ``policy``, without ``@context``; ``read(write(policy)) == normal(policy)``.

    ``in_dataset``: as ``hasPolicy`` of a dataset, which is its target and must not be repeated. Raises PolicyInvalid
    `form-missing` with the first of the problems that ``without_form`` finds: nothing is ever left out.
    """
    whole = normal(policy)
    for problem in _problems(policy, whole):
        raise PolicyInvalid("form-missing", problem.path, f"{problem.sentence}: {problem.remedy}")
    document = _document(whole)
    if in_dataset:
        document.pop("target", None)
    return document


def normal(policy: Policy) -> Policy:
    """``policy`` with target, assigner and assignee hoisted from its rules; itself where there is nothing to hoist."""
    shared = {place: _shared(policy, place) for place in _PLACES}
    return replace(
        policy,
        permissions=tuple(
            replace(_bared(rule, shared), duties=tuple(_bared(duty, shared) for duty in rule.duties))
            for rule in policy.permissions
        ),
        prohibitions=tuple(_bared(rule, shared) for rule in policy.prohibitions),
        obligations=tuple(_bared(rule, shared) for rule in policy.obligations),
        target=shared["target"],
        assigner=shared["assigner"],
        assignee=shared["assignee"],
    )


def _shared(policy: Policy, place: _Place) -> Any:
    """What stands at ``place`` for the whole policy, or None: what it says itself, else what all rules that must say it do."""
    own = getattr(policy, place)
    said = {getattr(rule, place) for rule in (*policy.permissions, *policy.prohibitions)}
    said |= {getattr(rule, place) for rule in policy.obligations} - {None}
    return said.pop() if own is None and len(said) == 1 else own


def _bared(rule: _AnyRule, shared: Mapping[_Place, Any]) -> _AnyRule:
    """``rule`` without what it says as the whole policy does."""
    same: dict[str, Any] = {place: None for place, value in shared.items() if getattr(rule, place) == value}
    return replace(rule, **same)


# --- writing ---------------------------------------------------------------------------------------------------------


def _document(policy: Policy) -> dict[str, Any]:
    functions = {"target": policy.target, "assigner": policy.assigner, "assignee": policy.assignee}
    permissions = [
        _rule(rule, rule.constraints) | _some("duty", [_duty(duty) for duty in rule.duties]) for rule in policy.permissions
    ]
    return {
        "@type": policy.kind,
        "@id": policy.uid,
        **_some("profile", policy.profiles[0] if len(policy.profiles) == 1 else list(policy.profiles)),
        **{name: value.iri for name, value in functions.items() if value is not None},
        **_some("permission", permissions),
        **_some("prohibition", [_rule(rule, rule.constraints) for rule in policy.prohibitions]),
        **_some("obligation", [_duty(duty) for duty in policy.obligations]),
    }


def _some(name: str, value: Any) -> dict[str, Any]:
    """The member ``name``, unless there is nothing to say: DSP has no empty arrays."""
    return {name: value} if value else {}


def _rule(rule: _Rule, constraints: tuple[AnyConstraint, ...]) -> dict[str, Any]:
    return {
        **_some("@id", rule.uid),
        "action": _word(rule.action.iri),
        **_some("constraint", [_constraint(each) for each in constraints]),
    }


def _duty(duty: Duty) -> dict[str, Any]:
    return _rule(duty, duty.action.refinements)


def _constraint(constraint: AnyConstraint) -> dict[str, Any]:
    named = _some("@id", constraint.uid)
    if isinstance(constraint, Compound):
        return {**named, constraint.logic.value: [_constraint(part) for part in constraint.parts]}
    values = [_value(value) for value in constraint.right]
    extended = {"unit": constraint.unit, "dataType": constraint.datatype}
    return {
        **named,
        "leftOperand": _word(constraint.left),
        "operator": _word(constraint.operator),
        "rightOperand": values[0] if len(values) == 1 else values,
        **{ODRL + name: {"@id": iri} for name, iri in extended.items() if iri is not None},
    }


def _word(iri: str) -> str:
    if iri in _SHORT:
        return iri.removeprefix(ODRL)
    for prefix, namespace in DSP_PREFIXES.items():
        if iri.startswith(namespace) and not iri.startswith("//", len(namespace)):
            return f"{prefix}:{iri.removeprefix(namespace)}"
    return iri


def _value(value: Value) -> Any:
    if isinstance(value, Ref):
        return value.iri if _NAMES.is_iri(value.iri) else {"@id": value.iri}
    if value.datatype == f"{XSD}string" and not _NAMES.is_iri(value.text):
        return value.text
    return {"@value": value.text, "@type": _word(value.datatype)}


# --- what has no form ------------------------------------------------------------------------------------------------


def without_form(policy: Policy) -> tuple[Problem, ...]:
    """What ``policy`` says and DSP cannot carry, each with its path in ``odrl.write(policy)`` and what to write instead."""
    return _problems(policy, normal(policy))


def _problems(policy: Policy, whole: Policy) -> tuple[Problem, ...]:
    """The problems of ``policy``, whose normal form would be that of ``whole``."""
    problems = (*_of_policy(policy, whole), *_of_rules(whole))
    if problems:
        return problems
    try:
        measure(_document(whole))
    except PolicyInvalid as error:
        return (Problem(error.code, error.path, error.reason, "make several offers of it"),)
    return ()


def _of_policy(policy: Policy, whole: Policy) -> Iterator[Problem]:
    if policy.kind not in ("Offer", "Agreement"):
        yield Problem("kind", "/@type", f"DSP has no {excerpt(policy.kind)}", "make it an Offer")
    if not policy.permissions and not policy.prohibitions:
        yield Problem("rule-missing", "", "DSP has no policy without a permission or a prohibition", "say what is permitted")
    if policy.conflict is not None:
        yield Problem("conflict", "/conflict", "DSP does not carry a conflict strategy", "leave it out: prohibitions win")
    if policy.inherits:
        yield Problem("inherits", "/inheritFrom", "DSP does not carry inheritance", "write the inherited rules out")
    yield from _of_name("/uid", policy.uid)
    for index, profile in enumerate(policy.profiles):
        yield from _of_name(below("/profile", index), profile)
    for place in _PLACES:
        function: Asset | Party | None = getattr(whole, place)
        path = _path_of(policy, place)
        if function is None:
            if policy.kind == "Agreement":
                yield Problem("function-missing", path, f"an agreement has one {place} for all rules", f"say the {place}")
        elif function.collection or function.refinements:
            yield Problem("collection", path, "DSP does not carry collections", "name each by itself, or use a constraint")
        else:
            yield from _of_name(path, function.iri)


def _path_of(policy: Policy, place: _Place) -> str:
    """Where the ``place`` of the whole policy is said: by the policy, or first by a rule."""
    if getattr(policy, place) is not None:
        return below("", place)
    lists = {"permission": policy.permissions, "prohibition": policy.prohibitions}
    said = (f"/{name}/0/{place}" for name, rules in lists.items() for rule in rules[:1] if getattr(rule, place))
    return next(said, below("", place))


def _of_rules(whole: Policy) -> Iterator[Problem]:
    for index, permission in enumerate(whole.permissions):
        path = below("/permission", index)
        yield from _of_rule(path, permission)
        for inner, duty in enumerate(permission.duties):
            yield from _of_duty(f"{path}/duty/{inner}", duty)
    for index, prohibition in enumerate(whole.prohibitions):
        path = below("/prohibition", index)
        yield from _of_rule(path, prohibition)
        if prohibition.remedies:
            yield Problem("remedy", f"{path}/remedy", "DSP does not carry remedies", "make it an obligation")
    for index, duty in enumerate(whole.obligations):
        yield from _of_duty(below("/obligation", index), duty)


def _of_rule(path: str, rule: Permission | Prohibition) -> Iterator[Problem]:
    yield from _of_any_rule(path, rule)
    if rule.action.refinements:
        remedy = "make them constraints of the rule"
        yield Problem("refinement", f"{path}/action/refinement", "DSP does not refine the actions of rules", remedy)
    yield from _of_constraints(f"{path}/constraint", rule.constraints)


def _of_duty(path: str, duty: Duty) -> Iterator[Problem]:
    yield from _of_any_rule(path, duty)
    yield from _of_constraints(f"{path}/action/refinement", duty.action.refinements)
    if duty.constraints:
        remedy = "make a permission of its own with the condition and the duty"
        yield Problem("condition", f"{path}/constraint", "DSP has no conditions of duties", remedy)
    if duty.consequences:
        yield Problem("consequence", f"{path}/consequence", "DSP does not carry consequences", "make it an obligation")


def _of_any_rule(path: str, rule: _Rule) -> Iterator[Problem]:
    """What is wrong with any rule of a policy whose common target and parties were hoisted."""
    yield from _of_name(f"{path}/uid", rule.uid)
    yield from _of_word(f"{path}/action", rule.action.iri)
    for place in _PLACES:
        if getattr(rule, place) is not None:
            remedy = f"name one {place} for all rules, or make several offers"
            yield Problem("function-of-rule", below(path, place), f"DSP has one {place} for the whole policy", remedy)
    for role, _ in rule.parties:
        remedy = "leave it out, or say it in a constraint"
        yield Problem("party", below(path, role.removeprefix(ODRL)), "DSP knows assigner and assignee only", remedy)


def _of_constraints(path: str, constraints: tuple[AnyConstraint, ...], depth: int = 0) -> Iterator[Problem]:
    for index, constraint in enumerate(constraints):
        where = below(path, index)
        yield from _of_name(f"{where}/uid", constraint.uid)
        if isinstance(constraint, Constraint):
            yield from _of_atom(where, constraint)
        elif not constraint.parts:
            yield Problem("empty", where, "a logical constraint has at least one part", "leave it out")
        elif depth == MAX_NESTING:
            yield Problem("document-too-deep", where, f"constraints nest at most {MAX_NESTING} levels", "say it more flatly")
        else:
            yield from _of_constraints(below(where, constraint.logic.value), constraint.parts, depth + 1)


def _of_atom(path: str, constraint: Constraint) -> Iterator[Problem]:
    yield from _of_word(f"{path}/leftOperand", constraint.left)
    if constraint.operator not in _OPERATORS:
        yield Problem("operator", f"{path}/operator", "DSP has the operators of ODRL only", "use one of ODRL 2.2, section 2.5")
    if constraint.reference is not None:
        yield Problem("reference", f"{path}/rightOperandReference", "DSP does not carry references to values", "write the value")
    elif not constraint.right:
        yield Problem("empty", f"{path}/rightOperand", "a constraint has a value", "write the value")
    if constraint.status is not None:
        yield Problem("status", f"{path}/status", "DSP does not carry the status of a constraint", "leave it out")
    for name, iri in (("unit", constraint.unit), ("dataType", constraint.datatype)):
        if iri is not None:
            yield from _of_word(f"{path}/{name}", iri)
    for index, value in enumerate(constraint.right):
        where = below(f"{path}/rightOperand", index)
        yield from _of_name(where, value.iri) if isinstance(value, Ref) else _of_word(where, value.datatype)


def _of_name(path: str, iri: str | None) -> Iterator[Problem]:
    if iri is not None and not _reads_back(iri, iri):
        yield _unfit(path, iri)


def _of_word(path: str, iri: str) -> Iterator[Problem]:
    if not _reads_back(iri, _word(iri), word=True):
        yield _unfit(path, iri)


def _reads_back(iri: str, written: str, *, word: bool = False) -> bool:
    try:
        read_back = _NAMES.word(written, "") if word else _NAMES.iri(written, "")
    except PolicyInvalid:
        return False
    return read_back == iri and len(iri) <= MAX_NAME_CHARS


def _unfit(path: str, iri: str) -> Problem:
    return Problem("name", path, f"DSP would read {excerpt(iri)!r} as another name", "name it by a full IRI")
