"""From expanded JSON-LD to the one normalised JSON form, by a flat table of the terms of DSP and of peer messages.

A term is recognised by its IRI wherever it stands, and a value may be written as a reference or as a literal where
the context would have coerced it: the result is the same. Unlike JSON-LD compaction this never abbreviates ids or
member names, so what is not a term keeps its absolute IRI. Pure. Imports `catalog.contexts` and `catalog.errors`.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Final, NamedTuple

from catalog.contexts import dsp, edc, peer
from catalog.errors import DocumentError, excerpt, pointer


class Kind(Enum):
    """What stands behind a term."""

    ID = auto()
    """A reference, written as a string and never abbreviated."""
    WORD = auto()
    """A word of a vocabulary: short when it is a term, else with its prefix, else the IRI."""
    TEXT = auto()
    """A literal string."""
    NODE = auto()
    """An object, or its id alone."""
    ANY = auto()
    """Whatever it is."""


class Term(NamedTuple):
    """How members of one IRI are written."""

    name: str
    kind: Kind
    many: bool = False


PREFIXES: Final = dsp.PREFIXES | {"edc": edc.NAMESPACE, "carnet": peer.NAMESPACE}


def _iri(compact: str) -> str:
    prefix, _, suffix = compact.partition(":")
    return PREFIXES[prefix] + suffix


def _terms(prefix: str, names: str, kind: Kind, *, many: bool = False) -> dict[str, Term]:
    return {PREFIXES[prefix] + name: Term(name, kind, many) for name in names.split()}


TERMS: Final[dict[str, Term]] = (
    _terms("dspace", "providerPid consumerPid agreementId participantId", Kind.ID)
    | _terms("dspace", "callbackAddress code timestamp endpoint name value dataset", Kind.TEXT)
    | _terms("dspace", "eventType state endpointType", Kind.WORD)
    | _terms("dct", "format", Kind.WORD)
    | _terms("dspace", "offer agreement dataAddress", Kind.NODE)
    | _terms("dspace", "endpointProperties", Kind.NODE, many=True)
    | _terms("dspace", "filter reason", Kind.ANY, many=True)
    | _terms("dcat", "service catalog dataset distribution", Kind.NODE, many=True)
    | _terms("dcat", "accessService", Kind.NODE)
    | _terms("dcat", "endpointURL endpointDescription", Kind.TEXT)
    | _terms("odrl", "profile target assigner assignee", Kind.ID)
    | _terms("odrl", "action operator leftOperand", Kind.WORD)
    | _terms("odrl", "rightOperand", Kind.ANY)
    | _terms("odrl", "hasPolicy permission prohibition obligation duty constraint", Kind.NODE, many=True)
    | _terms("odrl", " ".join(dsp.LOGICAL), Kind.NODE, many=True)
    | _terms("carnet", "messageId participantId", Kind.ID)
    | _terms("carnet", "protocol software issuedAt signed", Kind.TEXT)
    | _terms("carnet", "features", Kind.TEXT, many=True)
    | _terms("carnet", "note oldRoot proof handover cosignature step why", Kind.TEXT)
    | _terms("carnet", "oldSize size", Kind.ANY)
)

WORDS: Final[dict[str, str]] = (
    {_iri(iri): name for name, iri in dsp.CLASSES.items()}
    | {PREFIXES["dspace"] + name: name for name in dsp.EVENTS_AND_STATES}
    | {PREFIXES["odrl"] + name: name for name in (*dsp.OPERATORS, *dsp.LOGICAL, "use", "prohibit")}
    | {PREFIXES["carnet"] + name: name for name in (*peer.TYPES, "PeerMessage")}
)
"""IRI -> short name of every class, state, event, operator and action that has one."""

_UNKNOWN: Final = Term("", Kind.ANY)


def compact(expanded: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the normalised form of `expanded`, without its `@context`.

    Raises DocumentError `document-not-jsonld` unless there is exactly one node at the top, and
    `document-duplicate-member` when two IRIs of one node have the same short name.
    """
    if len(expanded) != 1 or not _is_node(expanded[0]):
        raise DocumentError("document-not-jsonld", "The document must describe exactly one object.")
    return _node(expanded[0])


def _is_node(value: Any) -> bool:
    return isinstance(value, dict) and "@value" not in value and "@list" not in value


def _node(node: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for iri, values in node.items():
        if iri == "@id":
            out["@id"] = values
        elif iri == "@type":
            types = [word(item) for item in values]
            out["@type"] = types[0] if len(types) == 1 else types
        elif iri.startswith("@"):
            raise DocumentError("member-invalid", f"{excerpt(iri)} is not used in messages.", pointer([iri]))
        else:
            term = TERMS.get(iri, _UNKNOWN)
            name = term.name or iri
            if name in out:
                reason = f"Two members of one object both mean {excerpt(name)!r}."
                raise DocumentError("document-duplicate-member", reason, pointer([name]))
            out[name] = _values(term, values)
    return out


def _values(term: Term, values: list[Any]) -> Any:
    items = [_value(term.kind, value) for value in values]
    return items[0] if len(items) == 1 and not term.many else items


def _value(kind: Kind, value: Any) -> Any:
    if kind is not Kind.ANY:
        scalar = _scalar(kind, value)
        if scalar is not None:
            return scalar
    if not isinstance(value, dict):
        return value
    if "@list" in value:
        return {"@list": [_value(Kind.ANY, item) for item in value["@list"]]}
    if "@value" in value:
        return _literal(value)
    return _node(value)


def _scalar(kind: Kind, value: Any) -> str | None:
    """The string that stands for a bare reference or a literal, or None when `value` says more than that."""
    if not isinstance(value, dict):
        return None
    if value.keys() == {"@id"} and isinstance(value["@id"], str):
        return word(value["@id"]) if kind is Kind.WORD else value["@id"]
    text = value.get("@value")
    if kind is Kind.NODE or not isinstance(text, str) or "@language" in value:
        return None
    return word(_spell_out(text)) if kind is Kind.WORD else text


def _literal(value: dict[str, Any]) -> Any:
    if value.keys() == {"@value"}:
        return value["@value"]
    kind = value.get("@type")
    return {**value, "@type": word(kind)} if isinstance(kind, str) else dict(value)


def _spell_out(text: str) -> str:
    """The IRI of a word that came as a literal, where its context would have made a reference of it."""
    prefix, colon, suffix = text.partition(":")
    if colon and prefix in PREFIXES and not suffix.startswith("//"):
        return PREFIXES[prefix] + suffix
    return text


def word(iri: str) -> str:
    """Return the short name of `iri`, else prefix and rest, else `iri`."""
    short = WORDS.get(iri)
    if short is not None:
        return short
    for prefix, namespace in PREFIXES.items():
        if iri.startswith(namespace) and not iri.startswith("//", len(namespace)):
            return f"{prefix}:{iri[len(namespace) :]}"
    return iri
