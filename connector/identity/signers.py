"""Whose key a signed document is verified with: the participant's pinned key of that name, else its ``did:web`` document.

As with callers, pinned keys are the only ones of their participant. In a DID document the key must be listed under
``assertionMethod`` (DID Core 1.0, 5.3.2), so that a key for tokens signs no receipts. Imports the gate, the reader of DID
documents, the fetcher's seam and the registry.
"""

from __future__ import annotations

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

    async def _of_document(self, did: str, kid: str) -> PublicKey:
        """A key that is not there may be new: the document is asked for once more, as often as the fetcher allows."""
        url = document_url(did, http_loopback=self._http_loopback)
        try:
            return read_document(did, await self._documents.document(url)).key(kid, "assertionMethod")
        except DidRefused:
            return read_document(did, await self._documents.document(url, fresh=True)).key(kid, "assertionMethod")
