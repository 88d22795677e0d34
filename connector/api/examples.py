"""Examples of types, made of their descriptions: the members that have to be there, with values that tell what they are. Pure."""

from __future__ import annotations

from typing import Any, Final

Document = dict[str, Any]
DEPTH_MOST: Final = 5
_SAID: Final[dict[str, Any]] = {
    "id": "urn:example:1",
    "counterparty": "did:web:peer.example",
    "participant": "did:web:peer.example",
    "dataset": "urn:example:trips",
    "agreement": "urn:uuid:6f1c1f0e-0000-4000-8000-000000000001",
    "what": "urn:example:trips",
    "file": "trips.parquet",
    "vehicle": "WVWZZZ1JZXW000001",
    "purpose": "vdx:MobilityPlanning",
    "category": "mobility",
    "vouched_by": "A. Person",
    "reason": "because",
    "createdAt": 1_767_225_600_000,
    "updatedAt": 1_767_225_600_000,
    "at": 1_767_225_600_000,
}


def example(schema: Document, whole: Document, name: str = "", depth: int = 0) -> Any:
    """A value of the type that ``schema`` describes; ``whole`` is the description that it stands in."""
    if "$ref" in schema:
        kind = schema["$ref"].rpartition("/")[2]
        return example(whole["components"]["schemas"][kind], whole, name, depth)
    if "anyOf" in schema:
        return example(schema["anyOf"][0], whole, name, depth)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {} if depth > DEPTH_MOST else _members(schema, whole, depth)
    if kind == "array":
        items = schema.get("items")
        return [example(items, whole, name, depth + 1)] if isinstance(items, dict) and items and depth < DEPTH_MOST else []
    return _scalar(kind, name, schema)


def _members(schema: Document, whole: Document, depth: int) -> Document:
    forms: Document = schema.get("properties", {})
    return {member: example(forms[member], whole, member, depth + 1) for member in forms if member in schema.get("required", [])}


def _scalar(kind: Any, name: str, schema: Document) -> Any:
    said = _SAID.get(name)
    if kind == "string":
        return said if isinstance(said, str) else name or "text"
    if kind == "integer":
        return said if isinstance(said, int) else schema.get("minimum", 1)
    return {"boolean": True, "number": 0.5, "null": None}.get(kind)
