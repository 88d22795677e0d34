"""The door of the management interface: JSON-LD of its owners comes in, and leaves in one flat form.

The flat form is expanded JSON-LD without its wrapping: members under whole IRIs, scalars as they are, a single value without its
array, `@id` as it is, and `@type` as the name in EDC's namespace, else the IRI. An array of one stays an array where the document
was plain enough to say so. What stands under `policy` is left as it came, for the reader of policies.

Plain documents take microseconds here; what needs a JSON-LD processor waits for a thread of its own. Contexts come from the table
of ``catalog.contexts``; nothing is fetched. Imports ``catalog`` and the error tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from catalog import contexts, expansion, wire
from catalog.errors import DocumentError
from catalog.lane import SlowLane
from connector.management.model import EDC
from connector.protocol.errors import CallerError, Invalid, Violation

Flat = dict[str, Any]
MAX_BYTES: Final = 1_048_576
ODRL: Final = "http://www.w3.org/ns/odrl/2/"
POLICY: Final = f"{EDC}policy"
PLAIN_CONTEXT: Final[dict[str, Any]] = {"@vocab": EDC, "edc": EDC, "odrl": ODRL}
"""What a document without a context of its own is read with, and what answers of version 3 carry."""

_PREFIXES: Final = {
    "edc": EDC,
    "odrl": ODRL,
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "dspace": "https://w3id.org/dspace/2025/1/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_MANAGEMENT_NAMES: Final = {"conformsTo", "endpointURL", "format", "inForceDate"}
"""Members that EDC's management context has under other IRIs than those of its namespace."""
NAMES_KEPT: Final = 1024
"""How many names of members are remembered in their short form: documents have the same few."""
_UNUSED: Final = frozenset({"@graph", "@included", "@reverse"})
_LANE: Final = SlowLane()


async def read(raw: bytes) -> Flat:
    """The document in ``raw`` in its flat form; nothing and ``null`` are the empty one.

    Raises DocumentError for what is no JSON-LD, has a member that no context defines, or takes too long; CallerError.
    """
    document = parsed(raw)
    return await flat(document) if document else {}


def parsed(raw: bytes) -> dict[str, Any]:
    """The JSON object in ``raw``; empty for nothing and for ``null``. Raises DocumentError or CallerError."""
    if not raw.strip() or raw.strip() == b"null":
        return {}
    # PostgreSQL keeps no text with a NUL in it, and JSON has no other way to write one.
    if b"\\u0000" in raw:
        raise CallerError("text-invalid", "the body has the character U+0000 in it; leave it out")
    return wire.parse(raw, max_bytes=MAX_BYTES)


async def flat(document: dict[str, Any]) -> Flat:
    """A parsed document in its flat form. Raises DocumentError."""
    context = _context(document)
    if _is_plain_context(context):
        quick = _quick(document, in_vocabulary=_is_vocabulary(context))
        if quick is not None:
            return quick
    return await _LANE.run(slow, document)


def slow(document: dict[str, Any]) -> Flat:
    """A parsed document in its flat form by JSON-LD expansion, in milliseconds. Raises DocumentError."""
    own = _context(document)
    # Usual prefixes come before the document's own words, which may say otherwise.
    own = [_PREFIXES, *(own if isinstance(own, list) else [own])]
    expanded = expansion.expand({**document, "@context": own}, trusted=True)
    if len(expanded) > 1:
        raise DocumentError("member-invalid", "The document says several things; send a request for each.", "/@graph")
    return _unwrapped(expanded[0]) if expanded else {}


def _context(document: dict[str, Any]) -> Any:
    """What a document is read with. One written inline speaks EDC's vocabulary unless it names another, as EDC itself has it."""
    context = document.get("@context", PLAIN_CONTEXT)
    return {"@vocab": EDC, **context} if isinstance(context, dict) and "@vocab" not in context else context


# --- plain documents -------------------------------------------------------------------------------------------------


def _is_vocabulary(context: Any) -> bool:
    return isinstance(context, dict)


def _is_plain_context(context: Any) -> bool:
    """Whether every name of a plain document is one of EDC's under this context."""
    if context == [contexts.EDC_MANAGEMENT]:
        return True
    if not isinstance(context, dict) or context.get("@vocab") != EDC:
        return False
    return all(_PREFIXES.get(name) == iri for name, iri in context.items() if name != "@vocab")


def _quick(document: dict[str, Any], *, in_vocabulary: bool) -> Flat | None:
    """The flat form of an object whose members are plain names or whole IRIs; None if it takes a processor to read it."""
    out: Flat = {}
    for name, value in document.items():
        if value is None or name == "@context":
            continue
        if name.startswith("@"):
            if name not in ("@id", "@type") or not isinstance(value, str):
                return None
            out[name] = value.removeprefix(EDC) if name == "@type" else value
            if name == "@type" and ":" in out[name]:
                return None
            continue
        iri = _iri(name, in_vocabulary=in_vocabulary)
        # What stands there in two spellings has both values.
        if iri is None or iri in out:
            return None
        if iri == POLICY:
            if not _policy_is_plain(value, in_vocabulary=in_vocabulary):
                return None
            out[iri] = value
            continue
        found = _quick_value(value, in_vocabulary=in_vocabulary)
        if found is None:
            return None
        out[iri] = found
    return out


def _iri(name: str, *, in_vocabulary: bool) -> str | None:
    if ":" not in name:
        return None if not name or (not in_vocabulary and name in _MANAGEMENT_NAMES) else EDC + name
    prefix, _, rest = name.partition(":")
    return name if rest.startswith("//") or prefix not in _PREFIXES else _PREFIXES[prefix] + rest


def _policy_is_plain(value: Any, *, in_vocabulary: bool) -> bool:
    """Whether the reader of policies reads this as a JSON-LD processor would: with ODRL's or DSP's context by address."""
    if not isinstance(value, dict):
        return False
    context = value.get("@context")
    known = {contexts.ODRL, contexts.ODRL.replace("http:", "https:"), contexts.ODRL_PROFILE}
    return (isinstance(context, str) and context in known) if in_vocabulary else context is None


def _quick_value(value: Any, *, in_vocabulary: bool) -> Any:
    """A value in its flat form, or None if it takes a processor to read it."""
    if isinstance(value, list):
        items = [_quick_value(each, in_vocabulary=in_vocabulary) for each in value if each is not None]
        return None if any(item is None or isinstance(item, list) for item in items) else items
    if not isinstance(value, dict):
        return value
    if "@context" in value:
        return None
    if value.keys() == {"@value"} and not isinstance(value["@value"], dict | list):
        return value["@value"]
    if not value.keys().isdisjoint({"@list", "@set", "@value", "@language"}):
        return None
    return _quick(value, in_vocabulary=in_vocabulary)


# --- expanded documents ----------------------------------------------------------------------------------------------


def _unwrapped(node: dict[str, Any]) -> Flat:
    out: Flat = {}
    for iri, values in node.items():
        if iri in _UNUSED:
            raise DocumentError("member-invalid", f"{iri} is not used here; write its members out.", f"/{iri}")
        if iri == "@id":
            out["@id"] = values
        elif iri == "@index":
            continue
        elif iri == "@type":
            out["@type"] = str(values[0]).removeprefix(EDC)
        elif iri == POLICY:
            out[iri] = values[0] if len(values) == 1 else values
        else:
            items = [item for value in values for item in _items(value)]
            out[iri] = items[0] if len(items) == 1 else items
    return out


def _items(value: Any) -> list[Any]:
    """What one value of an expanded member says: a list says several."""
    if not isinstance(value, dict):
        return [value]
    if "@list" in value:
        return [item for each in value["@list"] for item in _items(each)]
    if "@value" in value:
        typed = value.get("@type") not in (None, "@json")
        return [dict(value) if typed else value["@value"]]
    return [_unwrapped(value)]


# --- what is asked of a flat document --------------------------------------------------------------------------------


def invalid(message: str, path: str, value: Any = None) -> Invalid:
    """The error of one member."""
    return Invalid("body-invalid", [Violation(message, path, value)])


def text(document: Flat, name: str) -> str | None:
    """A member of EDC's namespace that is a text, or a reference. Raises Invalid."""
    value = document.get(EDC + name)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict) and value.keys() == {"@id"}:
        value = value["@id"]
    if value is None or isinstance(value, str):
        return value or None
    raise invalid(f"{name} is a text", name, value)


def needed(document: Flat, name: str) -> str:
    """A text that must be there. Raises Invalid."""
    value = text(document, name)
    if value is None:
        raise invalid(f"{name} is missing", name)
    return value


def inner(document: Flat, name: str) -> Flat:
    """The object under a member of EDC's namespace; empty where there is none. Raises Invalid."""
    value = document.get(EDC + name)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or isinstance(value, dict):
        return {key: each for key, each in (value or {}).items() if key != "@type"}
    raise invalid(f"{name} is an object", name, value)


def several(document: Flat, name: str) -> list[Any]:
    """All values of a member of EDC's namespace."""
    value = document.get(EDC + name)
    return [] if value is None else value if isinstance(value, list) else [value]


def plain(value: Any) -> Any:
    """A flat document with the short names of EDC's members, all the way down: as compaction leaves it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return [each if isinstance(each, str) else plain(each) for each in value]
    if isinstance(value, dict):
        return value["@value"] if "@value" in value else named(value)
    return value


def named(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a flat document by their short names, all the way down."""
    return {short(name): each if isinstance(each, str) else plain(each) for name, each in members.items()}


@lru_cache(maxsize=NAMES_KEPT)
def short(iri: str) -> str:
    """The name of an IRI under EDC's vocabulary, which reads it back; the IRI, where it has none."""
    name = iri.removeprefix(EDC)
    return iri if not name or ":" in name or name.startswith("@") else name
