"""What a document may look like to skip JSON-LD processing: only spellings that expansion leaves as they are.

Compiled to JSON Schema beside the schema of the message, so that one native pass decides. It errs towards no:
what is refused here merely goes the slow way. Pure. Imports `catalog.compaction`, `catalog.schemas`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import jsonschema_rs

from catalog import schemas
from catalog.compaction import PREFIXES, TERMS, WORDS, Kind
from catalog.contexts import edc

OPEN_TYPES: Final = frozenset({"Catalog", "Dataset"})
"""Types to which EDC adds the asset's properties as prefixed members."""

MAX_DEPTH: Final = 64

_NAMESPACES: Final = "|".join(re.escape(namespace) for namespace in PREFIXES.values())
_PREFIXED: Final = "|".join(PREFIXES)
_SHORT: Final = "|".join(sorted({*WORDS.values()}))
_MEMBERS: Final = sorted({term.name for term in TERMS.values()} | {"id", "description", "isCatalog", "inForceDate"})


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/plain-{name}"}


# Expansion drops what looks like a keyword, resolves prefixes in references, and prefixes or terms in words.
_REFERENCE: Final[dict[str, Any]] = {"not": {"pattern": f"^(@|({_PREFIXED}):)"}}
_WORD: Final[dict[str, Any]] = {
    "not": {"anyOf": [{"pattern": f"^(@|{_NAMESPACES}|({_PREFIXED}):({_SHORT})$)"}, {"enum": _MEMBERS}]},
}
_TYPED_LITERAL: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["@value", "@type"],
    "properties": {"@value": {"type": "string"}, "@type": {"type": "string", "pattern": "^xsd:[A-Za-z]+$"}},
    "additionalProperties": False,
}
# An array of one comes out of expansion as its only item, and an array within an array as its items.
_OPERAND: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "string"},
        _TYPED_LITERAL,
        {
            "type": "array",
            "not": {"minItems": 1, "maxItems": 1},
            "items": {"anyOf": [{"type": "string"}, _TYPED_LITERAL]},
        },
    ]
}
_REFERENCES: Final[dict[str, Any]] = {"anyOf": [_ref("reference"), {"type": "array", "minItems": 2, "items": _ref("reference")}]}

# An extension may use the name of a term for a value of any shape; where the term is ours, the schema says string.
_BY_KIND: Final = {
    Kind.ID: {"allOf": [_ref("value"), _ref("reference")]},
    Kind.WORD: {"allOf": [_ref("value"), _ref("word")]},
}
_PLACES: Final[dict[str, Any]] = {
    term.name: _BY_KIND[term.kind] for term in TERMS.values() if term.kind in _BY_KIND and not term.many
} | {
    "@id": _ref("reference") | {"type": "string"},
    "@type": _ref("word") | {"type": "string"},
    "profile": _REFERENCES,
    "rightOperand": _OPERAND,
}

_NAME_PATTERN: Final = f"^([^@:][^:]*|@id|@type|{re.escape(edc.NAMESPACE)}[A-Za-z0-9_.-]+)$"
_DEFINITIONS: Final[dict[str, Any]] = {
    "plain-reference": _REFERENCE,
    "plain-word": _WORD,
    "plain-value": {
        "type": ["object", "array", "string", "number", "boolean"],
        "if": {"type": "object"},
        "then": _ref("object"),
        "else": {"items": _ref("value")},
    },
    "plain-object": {
        "propertyNames": {"pattern": _NAME_PATTERN},
        "properties": _PLACES,
        "additionalProperties": _ref("value"),
    },
    "plain-root": {
        "propertyNames": {"pattern": _NAME_PATTERN.replace("@id|", "@id|@context|")},
        "properties": _PLACES | {"@context": True},
        "additionalProperties": _ref("value"),
    },
}


@cache
def plain(name: str) -> jsonschema_rs.Draft201909Validator:
    """The compiled verdict on documents of type `name`: plainly spelled, and right by the schema of `name`."""
    table = schemas.schema(name)
    both = {
        "$schema": schemas.DIALECT,
        "allOf": [_ref("root"), {"$ref": f"#/$defs/{name}"}],
        "$defs": table["$defs"] | _DEFINITIONS,
    }
    return jsonschema_rs.Draft201909Validator(both, offline=True)


def is_plain(document: dict[str, Any]) -> bool:
    """True when `document` is plainly spelled, whatever its schema says."""
    return _spelling().is_valid(document)


@cache
def _spelling() -> jsonschema_rs.Draft201909Validator:
    table = {"$schema": schemas.DIALECT, **_ref("root"), "$defs": _DEFINITIONS}
    return jsonschema_rs.Draft201909Validator(table, offline=True)


def with_full_names(document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` with members `edc:name` renamed to their IRI; itself when there are none.

    A document nested deeper than `MAX_DEPTH` is returned as it is.
    """
    renamed: dict[str, Any] = _renamed(document, MAX_DEPTH)
    return renamed


def _renamed(value: Any, depth: int) -> Any:
    if depth == 0:
        return value
    if type(value) is list:
        items = [_renamed(item, depth - 1) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if type(value) is not dict:
        return value
    changed = False
    out: dict[str, Any] = {}
    for name, member in value.items():
        new = _renamed(member, depth - 1) if type(member) in (dict, list) else member
        full = edc.NAMESPACE + name[4:] if name.startswith("edc:") else name
        if full in out or (full is not name and full in value):
            return value  # two spellings of one member: for the slow way to refuse
        changed |= new is not member or full is not name
        out[full] = new
    return out if changed else value
