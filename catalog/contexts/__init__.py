"""The frozen table of JSON-LD contexts: nothing outside it is ever looked up, let alone fetched.

Each context is our own table of terms, equivalent in expansion to the published one of the same URL, and kept as
JSON bytes: every reader gets a copy of its own, because JSON-LD processors are known to change what they are given.
Imports its own tables, and through them names of `policies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from catalog.contexts import catenax, dsp, edc, odrl, peer

DSP: Final = dsp.URL
ODRL_PROFILE: Final = dsp.ODRL_URL
EDC_DSPACE: Final = edc.DSPACE_URL
EDC_MANAGEMENT: Final = edc.MANAGEMENT_URL
PEER: Final = peer.URL
ODRL: Final = odrl.URL

_FROZEN: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        DSP: orjson.dumps({"@context": dsp.CONTEXT}),
        ODRL_PROFILE: orjson.dumps({"@context": dsp.ODRL_CONTEXT}),
        EDC_DSPACE: orjson.dumps({"@context": edc.DSPACE_CONTEXT}),
        EDC_MANAGEMENT: orjson.dumps({"@context": edc.MANAGEMENT_CONTEXT}),
        PEER: orjson.dumps({"@context": peer.CONTEXT}),
    }
)

_OWNERS: Final[Mapping[str, bytes]] = MappingProxyType(
    dict.fromkeys((odrl.URL, odrl.SECURE_URL), orjson.dumps({"@context": odrl.CONTEXT}))
    | {url: orjson.dumps({"@context": context}) for url, context in catenax.CONTEXTS.items()}
)

URLS: Final = frozenset(_FROZEN)
"""The context URLs that documents may name."""
OWNERS_URLS: Final = URLS | frozenset(_OWNERS)
"""Those that documents of the operator may name."""


def load(url: str) -> dict[str, Any]:
    """Return a fresh copy of the context document of `url`; KeyError when it is not in `OWNERS_URLS`."""
    document: dict[str, Any] = orjson.loads(_FROZEN[url] if url in _FROZEN else _OWNERS[url])
    return document
