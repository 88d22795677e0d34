"""Bytes to JSON and back: strict, bounded, and cheap enough for every message.

Owns what JSON parsers leave open: duplicate members, depth, size, numbers that do not survive (RFC 7493, I-JSON).
Knows nothing of JSON-LD. Imports `catalog.errors` only.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, Final

import orjson

from catalog.errors import DocumentError, excerpt, pointer

MAX_BYTES: Final = 262_144
"""Largest message (bytes) unless the caller says otherwise, as for a peer's catalogue."""
MAX_DEPTH: Final = 64
"""Deepest nesting of objects and arrays; the root is depth 1."""
MAX_EXACT: Final = 2**53 - 1
"""Largest magnitude of a number: beyond it two readers may read two different numbers (RFC 7493, section 2.2)."""

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_BRACKET: Final = re.compile(rb"[\[\]{}]")


def parse(raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Return the JSON object in `raw`.

    Raises DocumentError `document-too-large`, `document-too-deep`, `document-not-json` (also: invalid UTF-8, lone
    surrogates, NaN, Infinity, no object at the top), `document-duplicate-member`, or `member-invalid` for a number
    beyond `MAX_EXACT`.
    """
    if len(raw) > max_bytes:
        raise DocumentError("document-too-large", f"The document has {len(raw)} bytes; at most {max_bytes} are read.")
    document = _loads(raw)
    if not isinstance(document, dict):
        raise DocumentError("document-not-json", "The document must be one JSON object.")
    members = _count_members(document)
    if raw.count(b"{") + raw.count(b"[") > max_depth or not _has_members(raw, members):
        _check_structure(raw, members, max_depth)
    return document


def dumps(document: Any) -> bytes:
    """Return `document` as compact UTF-8 JSON.

    A `@context` that is a single string, as JSON-LD compaction leaves it, is written as an array: DSP's schemas
    demand one. Raises DocumentError `document-not-json` for what JSON cannot carry.
    """
    if isinstance(document, dict) and isinstance(document.get("@context"), str):
        document = document | {"@context": [document["@context"]]}
    try:
        return orjson.dumps(document)
    except TypeError as error:
        raise DocumentError("document-not-json", "The document holds a value that JSON cannot carry.") from error


def guard(document: Any, *, max_depth: int = MAX_DEPTH) -> None:
    """Refuse a value that did not come through `parse` and that validators would choke on, or crash.

    Raises DocumentError `document-too-deep`, or `document-not-json` for numbers beyond 64 bits, lone surrogates,
    keys that are no strings, and objects that JSON does not know.
    """
    try:
        raw = orjson.dumps(document)
    except TypeError as error:
        if "ecursion" in str(error):
            raise DocumentError("document-too-deep", "The document is nested too deeply.") from None
        raise DocumentError("document-not-json", "The document holds a value that JSON cannot carry.") from error
    if raw.count(b"{") + raw.count(b"[") > max_depth:
        _check_depth(_STRING.sub(b"", raw), max_depth)


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "depth limit" in error.msg:
            raise DocumentError("document-too-deep", "The document is nested too deeply.") from None
        reason = f"The document is not JSON: {excerpt(error.msg)} (line {error.lineno}, column {error.colno})."
        raise DocumentError("document-not-json", reason) from None


def _has_members(raw: bytes, members: int) -> bool:
    """True when `raw` is seen to have no more than `members` members; False when a closer look is needed.

    With no blank before any colon, each member shows as a quote and a colon, and strings can only add to their count.
    """
    return raw.count(b'":') == members and not any(raw.count(blank) for blank in (b" :", b"\n:", b"\t:", b"\r:"))


def _check_structure(raw: bytes, members: int, max_depth: int) -> None:
    """Look at `raw`, which is valid JSON, without its strings: each colon is a member, each bracket a level."""
    skeleton = _STRING.sub(b"", raw)
    _check_depth(skeleton, max_depth)
    if members != skeleton.count(b":"):
        raise _duplicate(raw)


def _check_depth(skeleton: bytes, max_depth: int) -> None:
    depth = 0
    for bracket in _BRACKET.findall(skeleton):
        depth += 1 if bracket in b"{[" else -1
        if depth > max_depth:
            raise DocumentError("document-too-deep", f"The document is nested deeper than {max_depth} levels.")


def _count_members(document: dict[str, Any]) -> int:
    """Count the members of all objects below `document`, looking at each number on the way."""
    members = 0
    waiting: list[Any] = [document]
    for container in waiting:
        if type(container) is dict:
            members += len(container)
            values: Any = container.values()
        else:
            values = container
        for value in values:
            kind = type(value)
            if kind is str:
                continue
            if kind is dict or kind is list:
                waiting.append(value)
            elif kind is int or kind is float:
                _check_number(value)
    return members


def _check_number(value: float) -> None:
    if not -MAX_EXACT <= value <= MAX_EXACT or not math.isfinite(value):
        raise DocumentError("member-invalid", "A number is beyond ±(2^53 - 1) and would not survive; send it as a string.")


def _duplicate(raw: bytes) -> DocumentError:
    """Name the member that stands twice. Slow, and only called once it is known that there is one."""
    found: list[str] = []

    def watch(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) < len(pairs) and not found:
            times = Counter(name for name, _ in pairs)
            found.append(next(name for name in times if times[name] > 1))
        return seen

    json.loads(raw, object_pairs_hook=watch)
    name = found[0] if found else "?"
    return DocumentError(
        "document-duplicate-member", f"The member {excerpt(name)!r} stands twice in one object.", pointer([name])
    )
