"""The pieces that all schemas share: strings with bounds, references, error members. Imports nothing."""

from __future__ import annotations

from typing import Any, Final

ID_MAX_CHARS: Final = 2048
TEXT_MAX_CHARS: Final = 65_536

# JSON-LD reserves words of the form of a keyword and lets a processor drop them: no id of anything.
ID: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": ID_MAX_CHARS,
    "pattern": "^(@$|[^@]|@[A-Za-z]*[^A-Za-z])",
}
TEXT: Final[dict[str, Any]] = {"type": "string", "maxLength": TEXT_MAX_CHARS}
CONTEXT: Final[dict[str, Any]] = {"type": "array", "minItems": 1, "items": {"type": "string"}}

# `$` alone also matches before a last newline in Python's engine: the second half keeps all engines equal.
DATE_TIME: Final[dict[str, Any]] = {
    "type": "string",
    "maxLength": 64,
    "pattern": r"^-?[0-9]{4,9}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,12})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])?$",
    "not": {"pattern": "\n"},
}


def ref(name: str) -> dict[str, Any]:
    """A reference to another definition of the table."""
    return {"$ref": f"#/$defs/{name}"}


def some(items: dict[str, Any]) -> dict[str, Any]:
    """A set with at least one member: DSP leaves a member out rather than sending it empty."""
    return {"type": "array", "minItems": 1, "items": items}


def node(required: str, members: dict[str, Any], *, type_name: str = "", **more: Any) -> dict[str, Any]:
    """An object open to extension, with `required` (names parted by blanks) among `members`."""
    typed: dict[str, Any] = {"@type": {"const": type_name}} if type_name else {}
    return {"type": "object", "required": required.split(), "properties": {**typed, "@id": ID, **members}, **more}


def message(name: str, required: str, members: dict[str, Any], **more: Any) -> dict[str, dict[str, Any]]:
    """A document at the root: `@context` and `@type` besides `required`."""
    return {
        name: node(f"@context @type {required}", {"@context": CONTEXT, **members}, type_name=name, **more),
    }


PIDS: Final = {"providerPid": ID, "consumerPid": ID}
ERROR_MEMBERS: Final[dict[str, Any]] = {"code": TEXT, "reason": {"type": "array"}}
