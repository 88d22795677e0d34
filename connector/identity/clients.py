"""Whose key signs a client assertion, and how a participant that nobody has entered becomes known.

Keys that the operator has pinned are the only ones of their participant. Where there are none, the ``did:web`` document speaks
for it (DSP 2025-1, 4.3; DID Core 1.0, 5.3.1): that shows who is calling, and vouches for nothing, so that such a participant is
entered as unverified. Nothing is followed up (the addresses that a document announces) before the signature was good. Imports the
gate, the reader of DID documents, the fetcher's seam and the registry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import msgspec
from msgspec.structs import replace

from connector.http.client import EgressRefused, parse_target
from connector.identity.did import METHOD, VERSIONS, DidDocument, DidRefused, document_url, read_document
from connector.identity.fetcher import FetchRefused
from connector.identity.gate import KeyRefused, PublicKey, TokenRefused, public_key
from connector.identity.participants import Address, Admission, Participant, Profile, Recognised
from connector.identity.registry import Registry
from connector.protocol.errors import Unavailable
from connector.protocol.versions import choose
from connector.settings.identity import OAuthSettings
from connector.store.engine import LostRace, Statement
from connector.store.registry import forget_oldest_newcomer, insert_participant, update_participant
from connector.telemetry import logger

MAX_ANNOUNCED: Final = 4
Assurance = Literal["oauth-pinned-key", "oauth-did"]
log = logger("clients")


class Documents(Protocol):
    """Where documents of others come from: the fetcher."""

    async def document(self, url: str, *, fresh: bool = False, asked_by: str | None = None) -> Mapping[str, Any]:
        """A JSON object. Raises FetchRefused or TooMany."""


@dataclass(frozen=True, slots=True)
class ClientKey:
    """The key to judge an assertion with. ``participant`` is the entry, None for a newcomer; ``document`` what named the key."""

    key: PublicKey
    assurance: Assurance
    participant: Participant | None
    document: DidDocument | None = None

    @property
    def unreached(self) -> bool:
        """Whether nothing is known of where to reach it, while its document may say so."""
        return self.document is not None and (self.participant is None or not self.participant.profile.reached_at)


class Newcomers:
    """The way into the registry for who has nobody to vouch for it: as unverified, and at most ``most`` of them.

    Where all places are taken, the one that came first and never began anything makes room: whoever mints identities to fill the
    registry shuts nobody out. The bound holds for one worker exactly; each further worker may pass it by one.
    """

    def __init__(self, registry: Registry, most: int, now_ms: Callable[[], int]) -> None:
        self._registry = registry
        self._most = most
        self._now_ms = now_ms
        self._one_at_a_time = asyncio.Lock()

    async def enter(
        self,
        participant_id: str,
        announced: tuple[str, ...],
        *,
        recognised: Recognised | None = None,
        together_with: Sequence[Statement] = (),
    ) -> None:
        """Enter a participant in one transaction with other statements. Raises LostRace, and Unavailable for one too many."""
        async with self._one_at_a_time:
            await self._make_room()
            now = self._now_ms()
            entry = Participant(
                id=participant_id,
                state=Admission.UNVERIFIED,
                profile=Profile(announced=announced),
                recognised=recognised,
                created_at=now,
                updated_at=now,
            )
            await self._registry.store.engine.commit([*together_with, insert_participant(entry)])
        self._registry.forget(participant_id)
        log.info("newcomer entered", participant=participant_id, addresses=len(announced))

    async def _make_room(self) -> None:
        store = self._registry.store
        if await store.count(Admission.UNVERIFIED) < self._most:
            return
        try:
            await store.engine.commit([forget_oldest_newcomer()])
        except LostRace as error:
            raise Unavailable(
                "newcomers-full",
                "too many participants here have nobody to vouch for them; have the operator add you: carnet peers add",
            ) from error


class ClientKeys:
    """Keys of the clients of our authorization server. ``http_loopback``: did:web of loopback is plain http (development)."""

    def __init__(
        self,
        registry: Registry,
        documents: Documents,
        settings: OAuthSettings,
        newcomers: Newcomers,
        *,
        http_loopback: bool,
        now_ms: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._documents = documents
        self._settings = settings
        self._newcomers = newcomers
        self._http_loopback = http_loopback
        self._now_ms = now_ms

    async def key(self, participant_id: str, kid: str | None, asked_by: str | None, *, elsewhere: bool = False) -> ClientKey:
        """The key that ``kid`` names, pinned or in the DID document's ``authentication``.

        ``asked_by`` is the address of the caller, whom nobody has recognised yet. ``elsewhere``: also of a participant that gets
        its tokens from an authorization server of others. Raises TokenRefused (nobody known, or no such key), Unavailable (its
        document cannot be had now) or TooMany.
        """
        entry = await self._registry.find(participant_id)
        if entry is not None and entry.profile.issuer is not None and not elsewhere:
            raise TokenRefused(
                "client-elsewhere", "another authorization server speaks for this participant; get the token there"
            )
        if entry is not None and entry.profile.keys:
            return ClientKey(_pinned(entry, kid), "oauth-pinned-key", entry)
        if not participant_id.startswith(METHOD) or (entry is None and not self._settings.meet_by_did):
            raise TokenRefused(
                "client-unknown",
                f"no key of {participant_id:.200} is known here; have the operator add it: carnet peers add ID --keys FILE",
            )
        try:
            document, key = await self._named_key(participant_id, kid, asked_by)
        except DidRefused as refused:
            raise TokenRefused(refused.code, refused.reason) from refused
        except FetchRefused as refused:
            reason = f"the DID document of {participant_id:.200}: {refused.reason}"
            if refused.retry:
                raise Unavailable("client-document-unavailable", reason) from refused
            raise TokenRefused("client-document", reason) from refused
        return ClientKey(key, "oauth-did", entry, document)

    async def _named_key(self, did: str, kid: str | None, asked_by: str | None) -> tuple[DidDocument, PublicKey]:
        """A key that is not there may be new: the document is asked for once more, as often as the fetcher allows."""
        document = await self._document(did, asked_by)
        try:
            return document, document.key(kid, "authentication")
        except DidRefused:
            document = await self._document(did, asked_by, fresh=True)
            return document, document.key(kid, "authentication")

    async def _document(self, did: str, asked_by: str | None, *, fresh: bool = False) -> DidDocument:
        url = document_url(did, http_loopback=self._http_loopback)
        return read_document(did, await self._documents.document(url, fresh=fresh, asked_by=asked_by))

    async def announced(self, document: DidDocument, asked_by: str | None) -> tuple[str, ...]:
        """DSP base addresses at which the version documents that a DID document names speak our version.

        One that cannot be used is left out: whoever wants to be called mends it. Raises TooMany.
        """
        found: list[str] = []
        for endpoint in document.version_documents[:MAX_ANNOUNCED]:
            address = await self._announced(endpoint, asked_by)
            if address is not None and address not in found:
                found.append(address)
        return tuple(found)

    async def _announced(self, endpoint: str, asked_by: str | None) -> str | None:
        # The root that holds the version document may lie under a sub-path; paths of versions are below that root.
        root = endpoint.removesuffix(VERSIONS)
        try:
            if root == endpoint or not self._callable(endpoint):
                return None
            path = choose(await self._documents.document(endpoint, asked_by=asked_by))
            if path is None or not path.startswith("/") or _dotted(path):
                return None
            # Only what the registry can read back may go in.
            address = msgspec.convert(f"{root}{path}".rstrip("/"), Address)
            return address if self._callable(address) else None
        except msgspec.ValidationError:
            return None
        except (EgressRefused, FetchRefused) as refused:
            log.info("an announced address cannot be used", code=refused.code, reason=refused.reason)
            return None

    def _callable(self, address: str) -> bool:
        return parse_target(address).scheme == "https" or self._http_loopback

    async def resolve(self, participant_id: str) -> Participant | None:
        """A participant that we want to call or that calls us, with the addresses that its DID document announces, if that helps.

        Who is not in the registry is entered as unverified. None, or the entry as it is, when its document says nothing that we
        can use; the log says why. Raises Unavailable when it cannot be had now or too many are unverified, and TooMany.
        """
        entry = await self._registry.find(participant_id)
        if (entry is None and not self._settings.meet_by_did) or not participant_id.startswith(METHOD):
            return entry
        try:
            announced = await self.announced(await self._document(participant_id, None), None)
        except (DidRefused, FetchRefused) as refused:
            if isinstance(refused, FetchRefused) and refused.retry:
                reason = f"the DID document of {participant_id:.200}: {refused.reason}"
                raise Unavailable("peer-document-unavailable", reason) from refused
            log.warning("a participant cannot be resolved", participant=participant_id, code=refused.code, reason=refused.reason)
            return entry
        if not announced:
            log.warning("the DID document of a participant announces no address", participant=participant_id)
            return entry
        try:
            if entry is None:
                await self._newcomers.enter(participant_id, announced)
            else:
                await self._registry.store.engine.commit([update_participant(with_announced(entry, announced, self._now_ms()))])
        except LostRace:
            log.info("a participant was entered or changed meanwhile", participant=participant_id)
        self._registry.forget(participant_id)
        return await self._registry.find(participant_id)


def with_announced(entry: Participant, announced: tuple[str, ...], now_ms: int) -> Participant:
    """The entry with these addresses of its DID document; no change of what anybody has vouched for."""
    return replace(entry, profile=replace(entry.profile, announced=announced), updated_at=now_ms)


def _pinned(entry: Participant, kid: str | None) -> PublicKey:
    """The pinned key of that id, as written down or behind the participant id; without an id, the only key."""
    fitting = [jwk for jwk in entry.profile.keys if kid is None or _named(entry.id, jwk.get("kid"), kid)]
    if len(fitting) != 1:
        raise TokenRefused("client-key-unknown", "sign with the key that was pinned here for you, and name it in the header: kid")
    try:
        return public_key(fitting[0])
    except KeyRefused as refused:
        raise TokenRefused(
            "client-key-unusable", "the key that was pinned here for you is not usable; ask the operator"
        ) from refused


def _named(participant_id: str, own: object, kid: str) -> bool:
    """A key that was written down without a name goes by any."""
    return own is None or kid in (own, f"{participant_id}#{own}")


def _dotted(path: str) -> bool:
    return any(segment in (".", "..") for segment in path.lower().replace("%2e", ".").split("/"))
