"""Offers, agreements, rules and constraints: the narrow ODRL that DSP 2025-1 carries.

Offer (in a dataset: no target), MessageOffer (in a request), TargetedOffer (in an offer message), Agreement.
"""

from __future__ import annotations

from typing import Any, Final

from catalog.schemas.parts import DATE_TIME, ID, TEXT, node, ref, some

OPERATORS: Final = (
    *("eq", "neq", "gt", "gteq", "lt", "lteq", "term-lteq"),
    *("isA", "hasPart", "isPartOf", "isAllOf", "isAnyOf", "isNoneOf"),
)
LOGICAL: Final = ("and", "andSequence", "or", "xone")

_CLASS: Final[dict[str, Any]] = {
    "profile": {"anyOf": [ID, some(ID)]},
    "permission": some(ref("Permission")),
    "prohibition": some(ref("Prohibition")),
    "obligation": some(ref("Duty")),
    "assigner": ID,
    "assignee": ID,
}
_HAS_RULES: Final[dict[str, Any]] = {"anyOf": [{"required": ["permission"]}, {"required": ["prohibition"]}]}
_RULE: Final = {"action": ID, "constraint": some(ref("Constraint"))}

DEFINITIONS: Final[dict[str, dict[str, Any]]] = {
    "Offer": node("@id", _CLASS, type_name="Offer", **_HAS_RULES, **{"not": {"required": ["target"]}}),
    "MessageOffer": node("@id @type", _CLASS | {"target": ID}, type_name="Offer", **_HAS_RULES),
    "TargetedOffer": node("@id @type target", _CLASS | {"target": ID}, type_name="Offer", **_HAS_RULES),
    "Agreement": node(
        "@id @type target assigner assignee",
        _CLASS | {"target": ID, "timestamp": DATE_TIME},
        type_name="Agreement",
        **_HAS_RULES,
    ),
    "Permission": node("action", _RULE | {"duty": some(ref("Duty"))}),
    "Prohibition": node("action", _RULE),
    "Duty": node("action", _RULE),
    "Constraint": {
        "type": "object",
        "oneOf": [{"required": [name]} for name in ("leftOperand", *LOGICAL)],
        "if": {"required": ["leftOperand"]},
        "then": ref("AtomicConstraint"),
        "properties": {name: some(ref("Constraint")) for name in LOGICAL},
    },
    "AtomicConstraint": node(
        "leftOperand operator rightOperand",
        {
            "leftOperand": ID,
            "operator": {"enum": list(OPERATORS)},
            "rightOperand": ref("Operand"),
        },
    ),
    "Operand": {"anyOf": [TEXT, {"type": "object"}, {"type": "array"}]},
}
