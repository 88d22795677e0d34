"""A key for what is signed for good as it is found at a moment: kept beside the signature, since documents change and hosts go.

A snapshot is JSON: whose key it is, the key, where it was found (our own, pinned, or the DID document, which stands in it whole),
and what the registry said of the participant then: its standing and its verified claims, not who vouched. It is taken by who has
verified a signature; whoever reads it later believes it as far as what it stands in (a leaf, a sealed bundle). Imports the gate,
the reader of DID documents, the fetcher's seam and the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from connector.identity.clients import Documents
from connector.identity.did import METHOD, DidRefused, document_url, read_document
from connector.identity.fetcher import FetchRefused
from connector.identity.gate import KeyRefused, PublicKey, public_key
from connector.identity.registry import Registry
from connector.protocol.errors import Conflict, TooMany

Snapshot = dict[str, Any]
PUBLIC: Final = ("kty", "crv", "x", "y", "kid", "alg", "use")
ASSERTION: Final = "assertionMethod"


class SnapshotWrong(Conflict):
    """A snapshot does not hold what it says."""


class Snapshots:
    """Takes them. ``own_document`` is our DID document of now, None where our id has none; ``own_keys`` our published keys."""

    def __init__(
        self,
        us: str,
        own_document: Callable[[], Mapping[str, Any]],
        registry: Registry,
        documents: Documents,
        now_ms: Callable[[], int],
        *,
        http_loopback: bool,
    ) -> None:
        self._us = us
        self._own_document = own_document
        self._registry = registry
        self._documents = documents
        self._now_ms = now_ms
        self._http_loopback = http_loopback

    async def take(self, participant_id: str, kid: str) -> Snapshot:
        """The key of that full name as it is found now; ``{}`` where there is none. What was fetched a moment ago is not fetched
        again. Raises nothing of its own."""
        if participant_id == self._us:
            return _made(participant_id, kid, "own", self._own_document(), None, self._now_ms())
        entry = await self._registry.find(participant_id)
        known = None if entry is None else {"state": entry.state.value, "claims": msgspec.to_builtins(entry.claims)}
        if entry is not None and entry.profile.keys:
            document = {"keys": [{name: jwk[name] for name in PUBLIC if name in jwk} for jwk in entry.profile.keys]}
            return _made(participant_id, kid, "pinned", document, known, self._now_ms())
        if not participant_id.startswith(METHOD):
            return {}
        try:
            document = dict(await self._documents.document(document_url(participant_id, http_loopback=self._http_loopback)))
        except (DidRefused, FetchRefused, TooMany):
            return {}
        return _made(participant_id, kid, "did-document", document, known, self._now_ms())


def _made(
    participant: str, kid: str, source: str, document: Mapping[str, Any], known: Mapping[str, Any] | None, at_ms: int
) -> Snapshot:
    made: Snapshot = {"participant": participant, "kid": kid, "from": source, "document": dict(document), "at": at_ms}
    if known is not None:
        made["registry"] = dict(known)
    try:
        return {**made, "thumbprint": key_of(made).thumbprint}
    except SnapshotWrong:
        return {}


def key_of(snapshot: Mapping[str, Any]) -> PublicKey:
    """The key that a snapshot is of, from the document in it. Raises SnapshotWrong. No I/O."""
    participant, kid, document = (snapshot.get(name) for name in ("participant", "kid", "document"))
    if not (isinstance(participant, str) and isinstance(kid, str) and isinstance(document, dict)):
        raise SnapshotWrong("snapshot-form", "a snapshot names a participant, a key and the document that it is in")
    try:
        if isinstance(document.get("id"), str):
            key = read_document(participant, document).key(kid, ASSERTION)
        else:
            key = _listed(participant, kid, document)
    except (DidRefused, KeyRefused) as refused:
        raise SnapshotWrong("snapshot-key", f"the document in the snapshot gives no such key: {refused.reason}") from refused
    if snapshot.get("thumbprint", key.thumbprint) != key.thumbprint:
        raise SnapshotWrong("snapshot-thumbprint", "the key in the snapshot is not the one that it names")
    return key


def _listed(participant: str, kid: str, document: Mapping[str, Any]) -> PublicKey:
    """The key of that name in a list of pinned keys, or of keys of ours where our id has no DID document."""
    keys = document.get("keys")
    named = [
        jwk
        for jwk in (keys if isinstance(keys, list) else [])
        if isinstance(jwk, dict) and jwk.get("kid") in (kid, kid.removeprefix(f"{participant}#"))
    ]
    if len(named) != 1:
        raise SnapshotWrong("snapshot-key", "the snapshot has no key of the name, or several")
    return public_key(named[0])
