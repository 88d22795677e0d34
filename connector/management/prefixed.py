"""A catalogue with prefixed names, as clients expect it that ask by the name of EDC's protocol before 2025-1. Pure.

The words are DSP's own; each gets the prefix of its vocabulary, and the document the prefixes that it uses. What a client takes
from there, such as an offer, may be sent back as it stands.
"""

from __future__ import annotations

from typing import Any, Final

from connector.management.model import EDC
from connector.management.odrl_forms import prefixed
from connector.protocol.messages import Document
from policies.names import DSP_PREFIXES

LEGACY_PROTOCOL: Final = "dataspace-protocol-http"
CONTEXT: Final[Document] = {"@vocab": EDC, "edc": EDC, **DSP_PREFIXES}
_MEMBERS: Final = {
    **{name: f"dcat:{name}" for name in ("dataset", "catalog", "distribution", "service", "accessService")},
    **{name: f"dcat:{name}" for name in ("endpointURL", "endpointDescription")},
    "participantId": "dspace:participantId",
    "format": "dct:format",
    "hasPolicy": "odrl:hasPolicy",
}
_TYPES: Final = {name: f"dcat:{name}" for name in ("Catalog", "Dataset", "Distribution", "DataService")}
_REFERENCES: Final = frozenset({"participantId", "format"})


def with_prefixes(document: Document) -> Document:
    """A catalogue or dataset in DSP's form, with prefixed names."""
    return {**_node(document), "@context": CONTEXT}


def _node(node: Document) -> Document:
    out: Document = {}
    for name, value in node.items():
        if name == "@type":
            out[name] = _TYPES.get(value, value) if isinstance(value, str) else value
        elif name != "@context":
            out[_MEMBERS.get(name, name)] = _value(name, value)
    return out


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_value(name, each) for each in value]
    if isinstance(value, dict):
        return prefixed(value) if name == "hasPolicy" else _node(value)
    return {"@id": value} if name in _REFERENCES else value
