"""Schema verdicts as sentences: the compiled validators of the fast path, and the same for people's documents.

Two engines judge: jsonschema-rs for every message, jsonschema where a person waits for all findings. Their verdicts
are the same, and the tests hold them to it. Nothing is fetched. Imports `catalog.schemas`, `catalog.wire` and
`catalog.errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple

import jsonschema
import jsonschema_rs
import referencing
from jsonschema.exceptions import ValidationError

from catalog import schemas, wire
from catalog.errors import DocumentError, excerpt, pointer

MAX_FINDINGS: Final = 100
"""Most findings about one document (count)."""


class Finding(NamedTuple):
    """One thing wrong with a document: JSON pointer, code as in `DocumentError`, and what to do about it."""

    path: str
    code: str
    reason: str


_SENTENCES: Final[Mapping[tuple[str, str], str]] = {
    ("Offer", "anyOf"): "An offer needs at least one permission or prohibition.",
    ("Offer", "not"): "An offer inside a catalogue has no target: the dataset that it stands in is the target.",
    ("MessageOffer", "anyOf"): "An offer needs at least one permission or prohibition: send the whole offer.",
    ("MessageOffer", "type"): "An offer by its id alone is not accepted: send the whole offer.",
    ("TargetedOffer", "anyOf"): "An offer needs at least one permission or prohibition: send the whole offer.",
    ("TargetedOffer", "type"): "An offer by its id alone is not accepted: send the whole offer.",
    ("Agreement", "anyOf"): "An agreement needs at least one permission or prohibition.",
    ("Agreement", "type"): "An agreement by its id alone is not accepted: send the whole agreement.",
    ("ContractRequestMessage", "oneOf"): "Send either callbackAddress (a first request) or providerPid (a counter-offer).",
    ("ContractOfferMessage", "oneOf"): "Send either callbackAddress (a first offer) or consumerPid (a counter-offer).",
    ("Constraint", "oneOf"): "A constraint has either leftOperand, operator and rightOperand, or one of and, or, xone, "
    "andSequence.",
    ("Operand", "anyOf"): "A rightOperand is a string, an object or an array: write numbers as strings.",
    ("Catalog", "not"): "A catalogue has no policy of its own: hasPolicy belongs to its datasets.",
    ("NestedCatalog", "not"): "A catalogue has no policy of its own: hasPolicy belongs to its datasets.",
}
_BY_KEYWORD: Final[Mapping[str, str]] = {
    "minItems": "leave it out when it is empty",
    "minLength": "it must not be empty",
    "maxLength": "it is too long",
    "pattern": "it is not a date and time like 2026-01-31T12:00:00Z",
    "anyOf": "it has none of the accepted forms",
    "oneOf": "it must have exactly one of the accepted forms",
    "not": "it is not allowed here",
}
_ARTICLES: Final = {"array": "an array", "object": "an object", "string": "a string"}


def check(document: Mapping[str, Any], name: str) -> None:
    """Raise DocumentError `member-missing` or `member-invalid` unless `document` satisfies the schema `name`.

    Raises as `wire.guard` does for what no validator may see, and KeyError when there is no such schema. For parts
    and plain JSON too: `DataAddress`, `VersionResponse`.
    """
    wire.guard(document)
    if compiled(name).is_valid(document):
        return
    errors = islice(compiled(name).iter_errors(document), MAX_FINDINGS)
    found = [_finding(list(e.instance_path), _rs_owner(e), e.kind.name, _rs_detail(e)) for e in errors]
    first = _rank(found)[0]
    raise DocumentError(first.code, first.reason, first.path)


def validate(document: Any, schema_name: str) -> list[Finding]:
    """Return what is wrong with `document`, at most `MAX_FINDINGS`, for a person to read; empty when it is right.

    Raises as `wire.guard` does for what no validator may see. Slow (milliseconds): not for the event loop.
    KeyError when there is no such schema.
    """
    wire.guard(document)
    findings: list[Finding] = []
    oracle, definitions = _oracle(schema_name)
    for error in oracle.iter_errors(document):
        owner = _owner(definitions, error.schema)
        findings.append(_finding(list(error.absolute_path), owner, str(error.validator), _py_detail(error)))
        if len(findings) >= MAX_FINDINGS:
            break
    return _rank(findings)


@cache
def compiled(name: str) -> jsonschema_rs.Draft201909Validator:
    """The compiled schema `name`: immutable and safe to share across threads."""
    return jsonschema_rs.Draft201909Validator(schemas.schema(name), offline=True)


@cache
def _oracle(name: str) -> tuple[jsonschema.Draft201909Validator, Mapping[str, Any]]:
    schema = schemas.schema(name)
    # An empty registry, given explicitly, is what keeps jsonschema from fetching references.
    return jsonschema.Draft201909Validator(schema, registry=referencing.Registry()), schema["$defs"]


def _rank(findings: Iterable[Finding]) -> list[Finding]:
    """Missing members first, then by place: the same order from both engines."""
    return sorted(set(findings), key=lambda finding: (finding.code != "member-missing", finding.path, finding.reason))


def _rs_owner(error: jsonschema_rs.ValidationError) -> str:
    match error.schema_path:
        case ["$defs", str(name), _]:
            return name
        case _:
            return ""


def _rs_detail(error: jsonschema_rs.ValidationError) -> Any:
    detail = error.kind.as_dict()
    return detail.get("property", detail.get("expected_value", detail.get("types", detail.get("options"))))


def _py_detail(error: ValidationError) -> Any:
    if error.validator == "required":
        # jsonschema raises one error per missing member and names it only in its text.
        return error.message.removesuffix(" is a required property")[1:-1]
    return error.validator_value


def _owner(definitions: Mapping[str, Any], part: Any) -> str:
    """The name of the definition that `part` is, or nothing when it only stands inside one."""
    return next((name for name, definition in definitions.items() if definition is part), "")


def _finding(path: list[str | int], owner: str, keyword: str, detail: Any) -> Finding:
    if keyword == "required":
        where = f" of {pointer(path)}" if path else ""
        return Finding(pointer([*path, str(detail)]), "member-missing", f"The member {detail}{where} is missing.")
    return Finding(pointer(path), "member-invalid", _sentence(path, owner, keyword, detail))


def _sentence(path: list[str | int], owner: str, keyword: str, detail: Any) -> str:
    named = _SENTENCES.get((owner, keyword))
    if named:
        return named
    member = excerpt(str(path[-1])) if path else "the document"
    if keyword in ("const", "enum"):
        options = detail if isinstance(detail, list) else [detail]
        return f"{member} must be {' or '.join(str(option) for option in options)}."
    if keyword == "type":
        kind = detail[0] if isinstance(detail, list) else str(detail)
        return f"{member} must be {_ARTICLES.get(kind, kind)}."
    return f"{member} is not accepted: {_BY_KEYWORD.get(keyword, keyword)}."
