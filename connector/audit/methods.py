"""The keys of a log in the DID document of its owner, which a verifier got from elsewhere than the log. Pure.

May import `connector.log.note` and the reading of keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from connector.identity.gate import KeyRefused, base64url, public_key
from connector.log.note import ED25519, NoteRefused, Verifier, origin_of

MAX_METHODS: Final = 256


def log_keys(document: Mapping[str, Any]) -> list[str]:
    """The verifier keys (vkeys) of the Ed25519 methods of a document, under the name of the log of its DID; [] for none."""
    did, methods = document.get("id"), document.get("verificationMethod")
    if not isinstance(did, str) or not isinstance(methods, list):
        return []
    found: list[str] = []
    for method in methods[:MAX_METHODS]:
        jwk = method.get("publicKeyJwk") if isinstance(method, dict) else None
        if isinstance(jwk, dict) and jwk.get("crv") == "Ed25519":
            try:
                found.append(Verifier(origin_of(did), ED25519, base64url(jwk["x"])).vkey)
            except (NoteRefused, ValueError, KeyError, TypeError):
                continue
    return found


def thumbprints(document: Mapping[str, Any]) -> frozenset[str]:
    """The thumbprints (RFC 7638) of the keys in a document."""
    methods = document.get("verificationMethod")
    found: set[str] = set()
    for method in methods[:MAX_METHODS] if isinstance(methods, list) else ():
        jwk = method.get("publicKeyJwk") if isinstance(method, dict) else None
        if isinstance(jwk, dict):
            with suppress(KeyRefused):
                found.add(public_key(jwk).thumbprint)
    return frozenset(found)
