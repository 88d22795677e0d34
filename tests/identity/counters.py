"""What a client of OAuth meets: peers' metadata, token endpoints that answer as they are told, and a clock that stands."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import pytest
from multidict import CIMultiDict

from connector.http.client import Answer, GuardedClient
from connector.identity import tokens
from connector.identity.interface import Call, Scope
from connector.identity.metadata import SERVER_PATH, resource_document, resource_path, server_document
from connector.identity.proof import Proof, check_proof
from connector.identity.signing import SigningKey, new_signing_key
from connector.identity.tokens import OAuthClient
from connector.protocol.errors import CarnetError
from connector.settings.identity import IssuerSettings
from tests.identity.entries import KnownEntries, reached_at
from tests.identity.shelf import Shelf, page

US, PEER, OTHER = "did:web:us.example", "did:web:peer.example", "did:web:other.example"
ORIGIN, SSO = "https://peer.example", "https://sso.example"
BASE: Final = ORIGIN + "/dsp/2025-1"
CALL: Final = Call("POST", BASE + "/catalog/request", Scope.CATALOG)
NOW_MS: Final = 1_800_000_000_000
OLD, NEW = new_signing_key("ES256", "old"), new_signing_key("ES256", "new")
Json = dict[str, Any]
_ids = itertools.count()


def answer(document: Any, status: int = 200, **headers: str) -> Answer:
    made, more = page(document, status), {name.replace("_", "-"): each for name, each in headers.items()}
    return Answer(status, CIMultiDict({**made.headers, **more}), made.body)


def given_token(name: str = "token", **changes: Any) -> Json:
    made = {"access_token": name, "token_type": "DPoP", "expires_in": 300, **changes}
    return {name: value for name, value in made.items() if value is not None}


def about(server: str, /, **changes: Any) -> Json:
    return {**server_document(server), **changes}


def shown_in(proof: str, method: str, url: str, token: str | None = None) -> Proof:
    """What a proof says, which must hold."""
    return check_proof(proof, method=method, url=url, token=token, now_s=NOW_MS // 1000, leeway_s=0)


def resource(address: str, *issuers: str, **changes: Any) -> Json:
    return {**resource_document(address, issuers, [], dpop_required=True), **changes}


@dataclass
class Request:
    """A token request as it arrived."""

    url: str
    form: dict[str, str]
    headers: Mapping[str, str]


@dataclass
class Counter:
    """The token endpoints of the world. What they answer is taken from ``answers``; then numbered tokens."""

    answers: list[Answer | Exception] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, max_bytes: int) -> Answer:
        """See GuardedClient."""
        assert method == "POST"
        assert max_bytes == tokens.MAX_ANSWER_BYTES
        self.asked.append(Request(url, dict(parse_qsl(body.decode(), strict_parsing=True)), headers))
        self.news.set()
        await self.gate.wait()
        found = self.answers.pop(0) if self.answers else answer(given_token(f"token-{len(self.asked)}"))
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class World:
    """We, and what we meet."""

    entries: KnownEntries = field(default_factory=lambda: KnownEntries([reached_at(PEER, BASE), reached_at(OTHER, BASE)]))
    issuers: tuple[IssuerSettings, ...] = ()
    shelf: Shelf = field(default_factory=Shelf)
    counter: Counter = field(default_factory=Counter)
    key: SigningKey = OLD
    now_ms: int = NOW_MS
    client: OAuthClient = field(init=False)

    def __post_init__(self) -> None:
        self.counter.gate.set()
        self.shelf.pages[ORIGIN + resource_path("/dsp/2025-1")] = page(resource(BASE, ORIGIN))
        self.shelf.pages[ORIGIN + SERVER_PATH] = page(about(ORIGIN))
        self.shelf.pages[SSO + SERVER_PATH] = page(about(SSO, token_endpoint=SSO + "/token"))
        self.client = OAuthClient(
            US,
            lambda: (self.key, f"{US}#{self.key.kid}"),
            self.entries,
            self.shelf.fetcher(),
            cast("GuardedClient", self.counter),
            self.issuers,
            now_ms=lambda: self.now_ms,
            new_id=lambda: f"urn:test:{next(_ids)}",
        )

    def offers(self, *issuers: str) -> None:
        """Have the peer's metadata name these issuers."""
        self.shelf.pages[ORIGIN + resource_path("/dsp/2025-1")] = page(resource(BASE, *issuers))

    async def token(self, call: Call = CALL, counterparty: str = PEER) -> str:
        """The token that is shown."""
        return (await self.client.outbound(counterparty, call))["Authorization"].partition(" ")[2]

    async def refusal(self, counterparty: str = PEER, call: Call = CALL) -> CarnetError:
        """Why nothing is shown."""
        with pytest.raises(CarnetError) as refused:
            await self.client.outbound(counterparty, call)
        return refused.value


def through(**changes: Any) -> World:
    """The peer trusts an issuer of the settings."""
    named = {"issuer": SSO, "participants": (PEER,), **changes}
    world = World(issuers=(IssuerSettings(**named),))
    world.offers(SSO)
    return world
