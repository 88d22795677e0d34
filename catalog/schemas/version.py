"""The version document (DSP 2025-1, section 4.3): plain JSON, no `@context`."""

from __future__ import annotations

from typing import Any, Final

from catalog.schemas.parts import ID, ref, some

DEFINITIONS: Final[dict[str, dict[str, Any]]] = {
    "VersionResponse": {
        "type": "object",
        "required": ["protocolVersions"],
        "properties": {"protocolVersions": some(ref("ProtocolVersion"))},
    },
    # The binding is any word here: another binding makes one entry useless to us, not the whole document.
    "ProtocolVersion": {
        "type": "object",
        "required": ["version", "path", "binding"],
        "properties": {
            "version": ID,
            "path": ID,
            "binding": ID,
            "serviceId": ID,
            "identifierType": ID,
            "auth": {
                "type": "object",
                "required": ["protocol", "version", "profile"],
                "properties": {"protocol": ID, "version": ID, "profile": {"type": "array", "items": ID}},
            },
        },
    },
}
