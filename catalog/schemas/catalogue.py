"""Catalogue documents (DSP 2025-1, section 6)."""

from __future__ import annotations

from typing import Any, Final

from catalog.schemas.parts import ERROR_MEMBERS, ID, TEXT, message, node, ref, some

_CATALOG: Final[dict[str, Any]] = {
    "participantId": ID,
    "dataset": some(ref("NestedDataset")),
    "catalog": some(ref("NestedCatalog")),
    "service": some(ref("DataService")),
    "distribution": some(ref("Distribution")),
}
_NO_POLICY: Final[dict[str, Any]] = {"not": {"required": ["hasPolicy"]}}
_DATASET: Final[dict[str, Any]] = {"hasPolicy": some(ref("Offer")), "distribution": some(ref("Distribution"))}

_MESSAGES: Final[dict[str, dict[str, Any]]] = (
    message("CatalogRequestMessage", "", {"filter": {"type": "array"}})
    | message("DatasetRequestMessage", "dataset", {"dataset": ID})
    | message("Catalog", "@id participantId", _CATALOG, **_NO_POLICY)
    | message("Dataset", "@id hasPolicy distribution", _DATASET)
    | message("CatalogError", "", ERROR_MEMBERS)
)
DEFINITIONS: Final[dict[str, dict[str, Any]]] = _MESSAGES | {
    "NestedCatalog": node("@id @type", _CATALOG, type_name="Catalog", **_NO_POLICY),
    "NestedDataset": node("@id hasPolicy distribution", _DATASET, type_name="Dataset"),
    "Distribution": node(
        "format accessService",
        {"format": ID, "accessService": ref("AccessService"), "hasPolicy": some(ref("Offer"))},
        type_name="Distribution",
    ),
    "AccessService": {"if": {"type": "object"}, "then": ref("DataService"), "else": ID},
    "DataService": node(
        "@id @type endpointURL",
        {"endpointURL": ID, "endpointDescription": TEXT, "servesDataset": {"type": "array"}},
        type_name="DataService",
    ),
}
TYPES: Final = tuple(_MESSAGES)
