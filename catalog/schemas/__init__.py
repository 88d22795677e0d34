"""Our JSON Schemas (draft 2019-09) of every DSP 2025-1 and peer document, in one closed table.

Each schema is a single document whose `$ref`s all point into its own `$defs`: nothing is ever looked up elsewhere.
They follow the published schemas, are right where those are broken, and more lenient in reading where DSP 2025-1
leaves the field open: pids are any string, the pids of errors, `offer.target` of a request and `agreement.timestamp`
may be missing. Imports nothing of the project outside this package.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from catalog.schemas import catalogue, negotiation, peer, policy, transfer, version

DIALECT: Final = "https://json-schema.org/draft/2019-09/schema"

_DEFINITIONS: Final[dict[str, dict[str, Any]]] = (
    policy.DEFINITIONS
    | catalogue.DEFINITIONS
    | negotiation.DEFINITIONS
    | transfer.DEFINITIONS
    | version.DEFINITIONS
    | peer.DEFINITIONS
)

NAMES: Final = frozenset(_DEFINITIONS)
"""Every definition that `schema` accepts: all message types by their DSP name, and the parts they are made of."""

PEER_TYPES: Final = frozenset(peer.TYPES)
MESSAGE_TYPES: Final = frozenset(catalogue.TYPES) | frozenset(negotiation.TYPES) | frozenset(transfer.TYPES)
"""DSP types that stand at the root of a JSON-LD document."""


def schema(name: str) -> dict[str, Any]:
    """Return a fresh, self-contained schema of `name`; KeyError when it is not in `NAMES`."""
    if name not in NAMES:
        raise KeyError(name)
    return {"$schema": DIALECT, "$ref": f"#/$defs/{name}", "$defs": deepcopy(_DEFINITIONS)}
