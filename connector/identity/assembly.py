"""The parts of identity put together from the settings: who recognises callers, and what shows others who we are.

Called by ``app.py``, and nothing else is put together here. Reads the keys; the rest of the connector never sees a file of them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from aiohttp import web

from connector.http import oauth as pages
from connector.http.client import GuardedClient
from connector.identity import did
from connector.identity.assertions import Assertions
from connector.identity.authority import Authority
from connector.identity.choice import Choice
from connector.identity.clients import ClientKeys, Newcomers
from connector.identity.directory import Directory, nobody
from connector.identity.door import Door
from connector.identity.fetcher import Fetcher
from connector.identity.gate import Expected
from connector.identity.interface import Entrance, Inbound, Scope
from connector.identity.issuers import ExternalIssuers
from connector.identity.keyfiles import ensure_keys, load_keys
from connector.identity.keys import KeyRing, Use
from connector.identity.metadata import resource_document, resource_path
from connector.identity.oauth import ALGORITHMS, TOKEN_TYPES, OAuthResource, OwnIssuer
from connector.identity.pinned import PinnedTokens
from connector.identity.registry import Registry, Tell
from connector.identity.signers import Signers
from connector.identity.signing import SigningKey
from connector.identity.snapshots import Snapshots
from connector.identity.tokens import OAuthClient
from connector.settings import Settings
from connector.settings.model import PeerSettings
from connector.store.control import ControlStore
from connector.store.registry import RegistryStore

PINNED_AUTH: Final = {"protocol": "carnet-pinned-token", "version": "1", "profile": ["bearer"]}
OAUTH_AUTH: Final = {"protocol": "OAuth", "version": "2", "profile": ["client_credentials", "private_key_jwt", "dpop"]}


@dataclass(frozen=True, slots=True)
class Recognition:
    """Everything of identity that the rest of the connector needs. ``renews``: whether a participant has a key that we can know,
    so that it can renew the token of a transfer. ``settle`` enters those that the settings name, and has to be called before
    anybody is served; ``listing`` shows our keys as ``KeyRing.listing`` does, ``key_set`` those that sign tokens."""

    registry: Registry
    directory: Directory
    entrances: tuple[Entrance, ...]
    outbound: Choice
    door: Door
    routes: list[web.RouteDef]
    callback_for: Callable[[str], str | None]
    reload_keys: Callable[[], Awaitable[None]]
    listing: Callable[[], Sequence[Mapping[str, Any]]]
    settle: Callable[[Tell], Awaitable[None]]
    sign_with: Callable[[], tuple[SigningKey, str]]
    certificate: Callable[[], str]
    ring: KeyRing
    signers: Signers
    snapshots: Snapshots
    assertions: Assertions
    renews: Callable[[str], bool]
    fetcher: Fetcher
    key_set: Callable[[], dict[str, Any]]
    close: Callable[[], Awaitable[None]]


async def recognition(
    settings: Settings,
    origin: str,
    store: ControlStore,
    client: GuardedClient,
    now_ms: Callable[[], int],
    new_id: Callable[[], str],
) -> Recognition:
    """The parts of one connector whose peers see it at ``origin``. Raises SettingsError for keys that cannot be used."""
    rows = RegistryStore(store.engine)
    registry = Registry(rows, now_ms, time.monotonic)
    pinned = PinnedTokens(settings.peers, registry, settings.development.anonymous_participant)
    load = partial(ensure_keys, settings.keys.dir, settings.participant_id, os.environ, settings.keys.overlap_h, now_ms())
    keys = await asyncio.to_thread(load)
    parts = _Parts(settings, origin, registry, keys, Fetcher(client, settings.oauth, time.monotonic), now_ms, new_id)

    async def reload_keys() -> None:
        keys.become(await asyncio.to_thread(load_keys, settings.keys.dir, os.environ, settings.keys.overlap_h))

    oauth = parts.client(client)

    async def close() -> None:
        await oauth.close()
        await parts.fetcher.close()

    entrances = tuple(_entrance(path, auth, parts, pinned) for path, auth in settings.protocol.paths)
    main = {auth: f"{origin}{path}" for path, auth in reversed(settings.protocol.paths)}
    spoken_for = frozenset(each for issuer in settings.issuers for each in issuer.participants)
    return Recognition(
        registry=registry,
        directory=Directory(registry, parts.resolve),
        entrances=entrances,
        outbound=Choice(pinned, oauth),
        door=Door(rows, store, shared=rows.shared),
        routes=parts.routes(),
        callback_for=lambda peer: main.get("pinned-token" if pinned.speaks_to(peer) else "oauth"),
        reload_keys=reload_keys,
        listing=keys.listing,
        settle=partial(registry.settle, (*settings.peers, *_spoken_for(settings)), settings.development.anonymous_participant),
        sign_with=partial(parts.signing, Use.AGREEMENT),
        certificate=parts.certificate,
        ring=keys,
        signers=Signers(registry, parts.fetcher, http_loopback=settings.development.http_dids),
        snapshots=parts.snapshots(),
        assertions=parts.assertions(),
        renews=lambda peer: not pinned.speaks_to(peer) and (peer.startswith(did.METHOD) or peer not in spoken_for),
        fetcher=parts.fetcher,
        key_set=parts.key_set,
        close=close,
    )


def _spoken_for(settings: Settings) -> list[PeerSettings]:
    """Participants that a trusted issuer speaks for: to trust it for them is to vouch for them."""
    known = {settings.participant_id, *(peer.id for peer in settings.peers)}
    named = dict.fromkeys(each for issuer in settings.issuers for each in issuer.participants)
    return [PeerSettings(id=each) for each in named if each not in known]


def _entrance(path: str, auth: str, parts: _Parts, pinned: PinnedTokens) -> Entrance:
    if auth == "pinned-token":
        return Entrance(path, pinned, PINNED_AUTH)
    return Entrance(path, parts.resource(path), OAUTH_AUTH)


@dataclass(slots=True)
class _Parts:
    """What the parts of OAuth share."""

    settings: Settings
    origin: str
    registry: Registry
    keys: KeyRing
    fetcher: Fetcher
    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    clients: ClientKeys = field(init=False)
    authority: Authority | None = field(init=False)

    def __post_init__(self) -> None:
        settings, bounds = self.settings, self.settings.oauth
        newcomers = Newcomers(self.registry, bounds.max_unverified, self.now_ms)
        self.clients = ClientKeys(
            self.registry,
            self.fetcher,
            bounds,
            newcomers,
            http_loopback=settings.development.http_dids,
            now_ms=self.now_ms,
        )
        self.authority = None
        if bounds.embedded and self.resources:
            made = (self.origin, self.resources, self.keys, self.clients, newcomers, self.registry, bounds)
            self.authority = Authority(*made, now_ms=self.now_ms, new_id=self.new_id)

    @property
    def resources(self) -> list[str]:
        """The addresses of our protected resources."""
        return [f"{self.origin}{path}" for path, auth in self.settings.protocol.paths if auth == "oauth"]

    @property
    def resolve(self) -> Callable[[str], Awaitable[Any]]:
        """What finds an unknown participant."""
        return self.clients.resolve if self.settings.oauth.meet_by_did else nobody

    def resource(self, path: str) -> Inbound:
        """Who recognises the callers of one base path."""
        settings, bounds = self.settings, self.settings.oauth
        resource = f"{self.origin}{path}"
        own = None if self.authority is None else OwnIssuer(self.origin, self.authority.verify_key)
        anybody = Expected(
            types=TOKEN_TYPES.union(*(issuer.token_types for issuer in settings.issuers)),
            algorithms=ALGORITHMS.union(*(issuer.algorithms for issuer in settings.issuers)),
            max_lifetime_s=max([bounds.token_lifetime_s, *(issuer.max_lifetime_s for issuer in settings.issuers)]),
            issuer=None,
            audience=None,
        )
        return OAuthResource(
            resource,
            self.registry,
            own,
            ExternalIssuers(settings.issuers, self.fetcher, resource, bounds.leeway_s),
            anybody=anybody,
            bearer_issuers=frozenset(each.issuer for each in settings.issuers if each.sender_constraint == "bearer"),
            metadata_url=self.origin + resource_path(path),
            lifetime_s=bounds.token_lifetime_s,
            leeway_s=bounds.leeway_s,
            now_ms=self.now_ms,
            shared=self.registry.store.shared,
        )

    def client(self, client: GuardedClient) -> OAuthClient:
        """What shows peers who we are."""
        issuers, made = self.settings.issuers, (self.registry, self.fetcher, client)
        us = self.settings.participant_id
        return OAuthClient(us, partial(self.signing, Use.OAUTH), *made, issuers, now_ms=self.now_ms, new_id=self.new_id)

    def assertions(self) -> Assertions:
        """What shows a provider that it is us who renew a token, and checks what consumers show us."""
        us, leeway_s = self.settings.participant_id, self.settings.oauth.leeway_s
        made = (us, partial(self.signing, Use.OAUTH), self.clients, self.registry, leeway_s)
        return Assertions(*made, now_ms=self.now_ms, new_id=self.new_id)

    def snapshots(self) -> Snapshots:
        """What keeps keys as they are found."""
        us, near = self.settings.participant_id, self.settings.development.http_dids
        return Snapshots(us, self._own_keys, self.registry, self.fetcher, self.now_ms, http_loopback=near)

    def signing(self, use: Use) -> tuple[SigningKey, str]:
        """Our key of now for a use, and its full name."""
        key, us = self.keys.signing(use), self.settings.participant_id
        return key, f"{us}#{key.kid}" if us.startswith("did:") else key.kid

    def certificate(self) -> str:
        """That of our key for agreements of now, in PEM; empty where the key came without one."""
        return self.keys.current(Use.AGREEMENT).certificate

    def routes(self) -> list[web.RouteDef]:
        """What answers everybody: metadata, our keys, our DID document, the token endpoint."""
        settings = self.settings
        issuers = [self.origin] if self.authority is not None else []
        issuers += [each.issuer for each in settings.issuers]
        scopes = [scope.value for scope in Scope]
        bound = all(each.sender_constraint == "dpop" for each in settings.issuers)
        documents = {
            path: resource_document(f"{self.origin}{path}", issuers, scopes, dpop_required=bound)
            for path, auth in settings.protocol.paths
            if auth == "oauth"
        }
        path = did.own_path(settings.participant_id)
        return pages.routes(
            issuer=self.origin,
            authority=self.authority,
            keys=self.key_set,
            resources=documents,
            did=None if path is None else (path, self._did_document),
            settings=settings.oauth,
            request_timeout_s=settings.protocol.request_timeout_s,
            monotonic=time.monotonic,
            forwarded_for=settings.protocol.forwarded_for,
        )

    def key_set(self) -> dict[str, Any]:
        """Our keys that sign tokens and assertions, as a JWK set."""
        return {"keys": [dict(jwk) for use, jwk in self.keys.published(self.now_ms()) if use is Use.OAUTH]}

    def _own_keys(self) -> dict[str, Any]:
        """What gives others our keys for agreements: our DID document, or where our id has none the keys to pin."""
        if self.settings.participant_id.startswith("did:"):
            return self._did_document()
        return {"keys": [dict(jwk) for use, jwk in self.keys.published(self.now_ms()) if use is Use.AGREEMENT]}

    def _did_document(self) -> dict[str, Any]:
        published = self.keys.published(self.now_ms())
        return did.own_document(self.settings.participant_id, published, self.origin, self.settings.protocol.base_path)
