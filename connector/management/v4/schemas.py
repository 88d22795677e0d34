"""Our JSON Schemas (draft 2019-09) of the documents that version 4 takes, and what they find wrong, said member by member.

They follow what EDC's clients send, and are more lenient where those differ: a data address may stand where the version has data
plane metadata, references may be strings or objects. A member that is not known is refused, unless it has a prefix or is an IRI.
Imports the context's address and the error tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from catalog import contexts, wire
from connector.protocol.errors import Invalid, Violation

MAX_VIOLATIONS: Final = 20
"""Most that is said to be wrong with one document."""
SAID_CHARS: Final = 300
OPTIONAL: Final = frozenset({"QuerySpec"})
"""Forms that may be left out."""

Schema = dict[str, Any]
_DIALECT: Final = "https://json-schema.org/draft/2019-09/schema"
_TEXT: Final[Schema] = {"type": "string"}
_NAME: Final[Schema] = {"type": "string", "minLength": 1}
_OPEN: Final[Schema] = {"type": "object"}
_REFERENCE: Final[Schema] = {
    "anyOf": [_NAME, {"type": "object", "properties": {"@id": _NAME}, "required": ["@id"], "additionalProperties": False}]
}
_CONTEXT: Final[Schema] = {"type": "array", "contains": {"const": contexts.EDC_MANAGEMENT}}


def _object(properties: Schema, required: Iterable[str] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {"^[^:@]+:": {}},
        "additionalProperties": False,
        "required": list(required),
    }


def _root(types: tuple[str, ...], properties: Schema, required: Iterable[str] = ()) -> Schema:
    known = {"@context": _CONTEXT, "@type": {"enum": list(types)}, "@id": _NAME}
    return _object(known | properties, ("@context", "@type", *required))


_RULE: Final[Schema] = {
    "type": "object",
    "properties": {
        "action": {"anyOf": [_NAME, _OPEN]},
        "constraint": {"type": "array", "items": {"$ref": "#/$defs/Constraint"}},
        "duty": {"type": "array", "items": {"$ref": "#/$defs/Rule"}},
    },
    "required": ["action"],
}
_CONSTRAINT: Final[Schema] = {
    "type": "object",
    "oneOf": [
        {"required": ["leftOperand", "operator", "rightOperand"]},
        *({"required": [name]} for name in ("and", "andSequence", "or", "xone")),
    ],
}
_RULES: Final[Schema] = {"type": "array", "items": {"$ref": "#/$defs/Rule"}}
_POLICY_MEMBERS: Final[Schema] = {"permission": _RULES, "prohibition": _RULES, "obligation": _RULES}
_POLICY: Final[Schema] = {
    "type": "object",
    "properties": {"@type": {"enum": ["Set", "Offer", "Agreement", "Policy"]}, **_POLICY_MEMBERS},
    "required": ["@type"],
}
_OFFER: Final[Schema] = {
    "type": "object",
    "properties": {"@type": {"const": "Offer"}, "@id": _NAME, "assigner": _REFERENCE, "target": _REFERENCE, **_POLICY_MEMBERS},
    "required": ["@type", "@id", "assigner", "target"],
}
_CRITERION: Final = _object(
    {
        "@type": {"const": "Criterion"},
        "operandLeft": _NAME,
        "operator": _NAME,
        "operandRight": {"type": ["string", "number", "boolean", "array"]},
    },
    ("@type", "operandLeft", "operator", "operandRight"),
)
_QUERY: Final[Schema] = {
    "offset": {"type": "integer", "minimum": 0},
    "limit": {"type": "integer", "minimum": 1},
    "sortField": _TEXT,
    "sortOrder": {"enum": ["ASC", "DESC"]},
    "filterExpression": {"type": "array", "items": _CRITERION},
}
_PARTY: Final[Schema] = {"counterPartyAddress": _NAME, "counterPartyId": _NAME, "protocol": _NAME, "profile": _NAME}
_CALLBACKS: Final[Schema] = {"callbackAddresses": {"type": "array"}}
_PRIVATE: Final[Schema] = {"privateProperties": _OPEN}
_METADATA: Final = _object(
    {
        "@type": {"const": "DataplaneMetadata"},
        "labels": {"type": "array", "items": _TEXT},
        "profiles": {"type": "array", "items": _TEXT},
        "properties": _OPEN,
    },
    ("@type",),
)
_ADDRESS: Final[Schema] = {"type": "object", "properties": {"type": _NAME}, "required": ["type"]}
# The version says one or the other. Clients send both as well, which says the same twice.
_ONE_PROTOCOL: Final[Schema] = {"anyOf": [{"required": ["protocol"]}, {"required": ["profile"]}]}
_REASON: Final[Schema] = {"reason": _TEXT}

_FORMS: Final[dict[str, Schema]] = {
    "Asset": _root(
        ("Asset", "CatalogAsset"),
        {"properties": _OPEN, "dataAddress": _ADDRESS, "dataplaneMetadata": _METADATA, "createdAt": {}, **_PRIVATE},
        ("properties",),
    ),
    "PolicyDefinition": _root(("PolicyDefinition",), {"policy": _POLICY, "createdAt": {}, **_PRIVATE}, ("policy",)),
    "PolicyEvaluationPlanRequest": _root(("PolicyEvaluationPlanRequest",), {"policyScope": _NAME}, ("policyScope",)),
    "ContractDefinition": _root(
        ("ContractDefinition",),
        {
            "accessPolicyId": _NAME,
            "contractPolicyId": _NAME,
            "assetsSelector": {"type": "array", "items": _CRITERION},
            "createdAt": {},
            **_PRIVATE,
        },
        ("accessPolicyId", "contractPolicyId"),
    ),
    "QuerySpec": _root(("QuerySpec",), _QUERY),
    "CatalogRequest": {
        **_root(
            ("CatalogRequest",),
            {
                **_PARTY,
                "additionalScopes": {"type": "array", "items": _TEXT},
                "querySpec": _object({"@type": {"const": "QuerySpec"}, **_QUERY}, ("@type",)),
            },
            ("counterPartyAddress", "counterPartyId"),
        ),
        **_ONE_PROTOCOL,
    },
    # The generated clients have one type for both requests.
    "DatasetRequest": {
        **_root(
            ("DatasetRequest", "CatalogRequest"),
            {**_PARTY, "additionalScopes": {"type": "array"}, "querySpec": _OPEN},
            ("@id", "counterPartyAddress", "counterPartyId"),
        ),
        **_ONE_PROTOCOL,
    },
    "ContractRequest": {
        **_root(("ContractRequest",), {**_PARTY, "policy": _OFFER, **_CALLBACKS}, ("counterPartyAddress", "policy")),
        **_ONE_PROTOCOL,
    },
    "TransferRequest": {
        **_root(
            ("TransferRequest",),
            {
                **_PARTY,
                "contractId": _NAME,
                "transferType": _NAME,
                "dataDestination": _ADDRESS,
                "dataplaneMetadata": _METADATA,
                **_PRIVATE,
                **_CALLBACKS,
            },
            ("counterPartyAddress", "contractId", "transferType"),
        ),
        **_ONE_PROTOCOL,
    },
    "TerminateNegotiation": _root(("TerminateNegotiation",), _REASON, ("reason",)),
    "TerminateTransfer": _root(("TerminateTransfer",), _REASON, ("reason",)),
    "SuspendTransfer": _root(("SuspendTransfer",), _REASON, ("reason",)),
    "Secret": _root(("Secret",), {"value": _NAME}, ("value",)),
}
FORMS: Final = frozenset(_FORMS)
"""The names of the forms, by the type of their documents."""
_SILENT: Final = frozenset({"Secret"})
"""Forms of which nothing is repeated in an error."""


def schema(form: str) -> Schema:
    """A self-contained schema of a form; KeyError when it is none of ``FORMS``."""
    return {"$schema": _DIALECT, **_FORMS[form], "$defs": {"Rule": _RULE, "Constraint": _CONSTRAINT}}


def check(document: dict[str, Any], form: str) -> None:
    """Raise Invalid with what is wrong with a document, unless it satisfies the schema of ``form``."""
    wire.guard(document)
    compiled = _compiled(form)
    if compiled.is_valid(document):
        return
    found = [_violation(error, form) for error in islice(compiled.iter_errors(document), MAX_VIOLATIONS)]
    raise Invalid("schema-violated", found)


@cache
def _compiled(form: str) -> jsonschema_rs.Draft201909Validator:
    return jsonschema_rs.Draft201909Validator(schema(form), offline=True)


def _violation(error: jsonschema_rs.ValidationError, form: str) -> Violation:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path).removeprefix(".")
    if form in _SILENT:
        return Violation(f"{path or form} is not what it has to be ({error.kind.name})", path)
    value = error.instance if isinstance(error.instance, str | int | float | bool) else None
    return Violation(error.message[:SAID_CHARS], path, value)
