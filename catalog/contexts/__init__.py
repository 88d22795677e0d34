"""The frozen table of JSON-LD contexts: nothing outside it is ever looked up, let alone fetched.

Each context is our own table of terms, equivalent in expansion to the published one of the same URL, and kept as
JSON bytes: every reader gets a copy of its own, because JSON-LD processors are known to change what they are given.
Imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from catalog.contexts import dsp, edc, peer

DSP: Final = dsp.URL
ODRL_PROFILE: Final = dsp.ODRL_URL
EDC_DSPACE: Final = edc.DSPACE_URL
EDC_MANAGEMENT: Final = edc.MANAGEMENT_URL
PEER: Final = peer.URL

_FROZEN: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        DSP: orjson.dumps({"@context": dsp.CONTEXT}),
        ODRL_PROFILE: orjson.dumps({"@context": dsp.ODRL_CONTEXT}),
        EDC_DSPACE: orjson.dumps({"@context": edc.DSPACE_CONTEXT}),
        EDC_MANAGEMENT: orjson.dumps({"@context": edc.MANAGEMENT_CONTEXT}),
        PEER: orjson.dumps({"@context": peer.CONTEXT}),
    }
)

URLS: Final = frozenset(_FROZEN)
"""The context URLs that documents may name."""


def load(url: str) -> dict[str, Any]:
    """Return a fresh copy of the context document of `url`; KeyError when it is not in `URLS`."""
    document: dict[str, Any] = orjson.loads(_FROZEN[url])
    return document
