"""The version document (DSP 2025-1, section "Version endpoint"): what is served at ``/.well-known/dspace-version``. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

VERSION: Final = "2025-1"
PEER_MESSAGES: Final = "https://w3id.org/carnet/peer/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One entry: an absolute ``path`` below the root at which ``version`` is spoken, and the identity it takes."""

    version: str
    path: str
    service_id: str
    auth: Mapping[str, Any] | None = None


def version_document(endpoints: Iterable[Endpoint], peer_messages_path: str) -> dict[str, Any]:
    """The VersionResponse. Our extension for peer messages stands beside the versions; who does not know it ignores it."""
    versions = []
    for endpoint in endpoints:
        entry: dict[str, Any] = {
            "version": endpoint.version,
            "path": endpoint.path,
            "binding": "HTTPS",
            "serviceId": endpoint.service_id,
        }
        if endpoint.auth is not None:
            entry["auth"] = dict(endpoint.auth)
        versions.append(entry)
    return {
        "protocolVersions": versions,
        "extensions": [{"profile": PEER_MESSAGES, "path": peer_messages_path}],
    }


def choose(document: Mapping[str, Any]) -> str | None:
    """The path at which a peer speaks our version; None: it does not, and the client must stop (DSP: MUST)."""
    versions = document.get("protocolVersions")
    if not isinstance(versions, list):
        return None
    for entry in versions:
        if isinstance(entry, Mapping) and entry.get("version") == VERSION and isinstance(entry.get("path"), str):
            return str(entry["path"])
    return None
