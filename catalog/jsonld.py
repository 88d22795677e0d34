"""The only door for JSON-LD: every document that enters leaves in one normalised JSON form.

The normalised form has DSP's short names, sets as arrays, `@type` as one short name, and `@context` as the one list
`[DSP]` (`[PEER]` for peer messages). References are never abbreviated; words of a vocabulary are short when DSP has
a term (`use`), else prefix and rest (`odrl:distribute`). Members that are not ours are kept.

Two ways lead there. The **fast** one takes a document whose `@context` is exactly one of `FAST_CONTEXTS`, which is
spelled plainly (no prefixes, keywords or nulls that expansion would change: `catalog.spelling`) and satisfies the
schema of its `@type`. The **slow** one is JSON-LD expansion, then a flat table of terms, then the same schema.

fast(m) == slow(m) for every m that the fast way takes and in which (a) every member is one that the schema of its
object names and its context defines there, so that each node whose terms DSP scopes to a type says its `@type`, and
(b) no object of an extension stands in `filter`, `reason` or `rightOperand`. Other members differ: the fast way
keeps a plain unknown member as it stands, the slow way writes those that have an IRI under that IRI, in compact
arrays, and refuses with `member-lost` those that have none. EDC's prefixed members (`edc:name`) come out under
their absolute IRI on both ways.

Imports `catalog` siblings only. No network, ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from catalog import compaction, contexts, expansion, schemas, spelling
from catalog.errors import DocumentError, excerpt
from catalog.findings import Finding, check, validate
from catalog.lane import SlowLane
from catalog.wire import MAX_BYTES, MAX_DEPTH, dumps, guard, parse

__all__ = [
    "FAST_CONTEXTS",
    "MAX_BYTES",
    "MAX_DEPTH",
    "DocumentError",
    "Finding",
    "check",
    "dumps",
    "fast",
    "guard",
    "normalise",
    "normalise_message",
    "parse",
    "slow",
    "validate",
]

FAST_CONTEXTS: Final = frozenset(
    {
        (contexts.DSP,),
        (contexts.DSP, contexts.EDC_DSPACE),
        (contexts.DSP, contexts.PEER),
        (contexts.PEER,),
    }
)
"""The `@context` lists, order kept, whose documents need no JSON-LD processing."""

_TYPES: Final = schemas.MESSAGE_TYPES | schemas.PEER_TYPES
_CONTEXT_OF: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {name: (contexts.PEER,) if name in schemas.PEER_TYPES else (contexts.DSP,) for name in _TYPES}
)


# Its thread starts with the first slow document and ends with the interpreter.
_LANE: Final = SlowLane()


def normalise(document: dict[str, Any], expected: frozenset[str] | None = None, *, trusted: bool = False) -> dict[str, Any]:
    """Return the normalised form of `document`, whose `@type` must be one of `expected` (None: any known type).

    `document` is not changed; parts of it may be shared with the result. `trusted` lets an operator's own document
    carry inline contexts. The slow way takes milliseconds and holds the thread: on the event loop call
    `normalise_message`. Raises DocumentError, and nothing else for any value that JSON can carry.
    """
    guard(document)
    quick = fast(document, expected)
    return slow(document, expected, trusted=trusted) if quick is None else quick


async def normalise_message(
    raw: bytes,
    expected: frozenset[str] | None = None,
    *,
    lane: SlowLane = _LANE,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
) -> dict[str, Any]:
    """Return the normalised form of the document in `raw`: `parse` and `fast` here, `slow` in `lane`.

    Raises DocumentError; of those, `door-busy` is not the sender's fault.
    """
    document = parse(raw, max_bytes=max_bytes, max_depth=max_depth)
    quick = fast(document, expected)
    return quick if quick is not None else await lane.run(slow, document, expected)


def fast(document: dict[str, Any], expected: frozenset[str] | None = None) -> dict[str, Any] | None:
    """Return the normalised form of `document` in microseconds, or None when it needs the slow way.

    `document` must have come through `parse` or `guard`: the compiled validators trust its depth.

    Raises DocumentError `type-unexpected` only; everything else that is wrong is for the slow way to explain.
    """
    context = document.get("@context")
    if type(context) is not list or not _is_known(context):
        return None
    name = document.get("@type")
    if type(name) is not str or name not in _TYPES:
        return None
    if len(context) > 1 and name in spelling.OPEN_TYPES:
        document = spelling.with_full_names(document)
    if not spelling.plain(name).is_valid(document):
        return None
    _check_type(name, expected)
    return document | {"@context": list(_CONTEXT_OF[name])}


def slow(document: dict[str, Any], expected: frozenset[str] | None = None, *, trusted: bool = False) -> dict[str, Any]:
    """Return the normalised form of `document` by JSON-LD expansion, in milliseconds.

    Raises DocumentError. `document` must have come through `parse` or `guard`.
    """
    try:
        normal = compaction.compact(expansion.expand(document, trusted=trusted))
    except DocumentError as error:
        if error.code in ("member-lost", "document-not-jsonld"):
            _explain(document, error)
        raise
    name = _known_type(normal.get("@type"))
    _check_type(name, expected)
    normal["@context"] = list(_CONTEXT_OF[name])
    check(normal, name)
    return normal


def _explain(document: dict[str, Any], error: DocumentError) -> None:
    """Raise what says more than `error`: the type is not ours, or a plainly spelled document fails its schema."""
    name = document.get("@type")
    if name is None or (isinstance(name, str) and ":" not in name):
        name = _known_type(name)
        if error.code == "member-lost" and spelling.is_plain(document):
            check(document | {"@context": [contexts.DSP]}, name)


def _known_type(name: Any) -> str:
    if name is None:
        raise DocumentError("member-missing", "The document has no @type.", "/@type")
    if not isinstance(name, str) or name not in _TYPES:
        raise DocumentError("type-unknown", f"The type {excerpt(str(name))} is not one of this protocol.", "/@type")
    return name


def _is_known(context: list[Any]) -> bool:
    try:
        return tuple(context) in FAST_CONTEXTS
    except TypeError:
        return False


def _check_type(name: str, expected: frozenset[str] | None) -> None:
    if expected is not None and name not in expected:
        wanted = ", ".join(sorted(expected))
        raise DocumentError("type-unexpected", f"Expected {wanted}, not {name}.", "/@type")
