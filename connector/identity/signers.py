"""Whose key a signed document is verified with: the participant's pinned key of that name, else its ``did:web`` document.

As with callers, pinned keys are the only ones of their participant. In a DID document the key must be listed under
``assertionMethod`` (DID Core 1.0, 5.3.2), so that a key for tokens signs no receipts. Imports the gate, the reader of DID
documents, the fetcher's seam and the registry.
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connector.identity.clients import Documents
from connector.identity.did import METHOD, DidRefused, document_url, read_document
from connector.identity.fetcher import FetchRefused
from connector.identity.gate import KeyRefused, PublicKey, public_key
from connector.identity.registry import Registry
from connector.protocol.errors import TooMany, Unavailable


class KeyAway(Unavailable):
    """The key cannot be had now: what it signed is kept, and verified when there is one."""


class Signers:
    """Keys of participants for what they sign for good."""

    def __init__(self, registry: Registry, documents: Documents, *, http_loopback: bool) -> None:
        self._registry = registry
        self._documents = documents
        self._http_loopback = http_loopback

    async def key(self, participant_id: str, kid: str) -> PublicKey:
        """The key that ``kid`` names. Raises KeyAway."""
        entry = await self._registry.find(participant_id)
        if entry is not None and entry.profile.keys:
            named = (kid, kid.removeprefix(f"{participant_id}#"))
            fitting = [jwk for jwk in entry.profile.keys if jwk.get("kid") in named]
            if len(fitting) != 1:
                raise KeyAway("signer-key-unknown", "none of the pinned keys has this name; pin the key for agreements, too")
            try:
                return public_key(fitting[0])
            except KeyRefused as refused:
                raise KeyAway("signer-key-unusable", "the pinned key of this name is not usable") from refused
        if not participant_id.startswith(METHOD):
            raise KeyAway("signer-key-unknown", "no key of this participant is known; pin the key for agreements")
        try:
            return await self._of_document(participant_id, kid)
        except (DidRefused, FetchRefused, TooMany) as refused:
            raise KeyAway("signer-key-away", f"the DID document gives no such key now: {refused.reason}") from refused

    async def log_keys(self, participant_id: str, *, fresh: bool = False) -> tuple[bytes, ...]:
        """The Ed25519 keys (32 bytes each) that a participant publishes for what it signs for good: those of its log.

        ``fresh``: as its document has them now. Raises KeyAway where there is none.
        """
        entry = await self._registry.find(participant_id)
        if entry is not None and entry.profile.keys:
            keys = [key for jwk in entry.profile.keys if (key := _usable(jwk)) is not None]
        elif participant_id.startswith(METHOD):
            keys = await self._for_assertions(participant_id, fresh=fresh)
        else:
            raise KeyAway("log-key-unknown", "no key of this participant is known; pin the key of its log")
        found = tuple(dict.fromkeys(key.public_bytes_raw() for key in keys))
        if not found:
            raise KeyAway("log-key-unknown", "this participant publishes no key of a log (Ed25519, for assertions)")
        return found

    async def _for_assertions(self, did: str, *, fresh: bool) -> list[Ed25519PublicKey]:
        try:
            url = document_url(did, http_loopback=self._http_loopback)
            document = read_document(did, await self._documents.document(url, fresh=fresh))
        except (DidRefused, FetchRefused, TooMany) as refused:
            raise KeyAway("log-key-away", f"the DID document cannot be had now: {refused.reason}") from refused
        stated = document.methods.values()
        return [k.key for k, purposes in stated if "assertionMethod" in purposes and isinstance(k.key, Ed25519PublicKey)]

    async def _of_document(self, did: str, kid: str) -> PublicKey:
        """A key that is not there may be new: the document is asked for once more, as often as the fetcher allows."""
        url = document_url(did, http_loopback=self._http_loopback)
        try:
            return read_document(did, await self._documents.document(url)).key(kid, "assertionMethod")
        except DidRefused:
            return read_document(did, await self._documents.document(url, fresh=True)).key(kid, "assertionMethod")


def _usable(jwk: dict[str, Any]) -> Ed25519PublicKey | None:
    try:
        key = public_key(jwk).key
    except KeyRefused:
        return None
    return key if isinstance(key, Ed25519PublicKey) else None
