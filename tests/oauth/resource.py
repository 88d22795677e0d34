"""Our side of a token: a protected resource that takes the tokens of one external issuer, without the rest of a connector."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from connector.http.client import EgressPolicy, GuardedClient
from connector.identity import gate, metadata
from connector.identity.fetcher import Fetcher
from connector.identity.gate import Expected, TokenRefused
from connector.identity.issuers import ExternalIssuers
from connector.identity.metadata import AuthorizationServer
from connector.identity.participants import Claims
from connector.settings.identity import IssuerSettings, OAuthSettings
from tests.oauth.parties import now_s

LEEWAY_S: Final = 30
# Who says to have made a token only chooses what is expected of it.
ANYBODY: Final = Expected(
    types=frozenset({"at+jwt"}), algorithms=frozenset({"ES256"}), max_lifetime_s=3600, issuer=None, audience=None
)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Whom a token speaks for, and what it says."""

    participant_id: str
    vouched: Claims
    claims: Mapping[str, Any]


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource at ``address``; ``clock`` is what its memory of documents goes by."""

    address: str
    issuer: str
    issuers: ExternalIssuers
    fetcher: Fetcher
    clock: Clock

    async def server(self) -> AuthorizationServer:
        """The issuer's metadata, as clients read them."""
        return await metadata.authorization_server(self.fetcher, self.issuer)

    async def admit(self, raw: str) -> Admitted:
        """Judge an access token. Raises TokenRefused."""
        issuer = str(gate.sight(raw, ANYBODY).unverified_claims["iss"])
        expected = self.issuers.expected(issuer)
        if expected is None:
            raise TokenRefused("issuer-unknown", "not an issuer of the settings")
        sighted = gate.sight(raw, expected)
        key = await self.issuers.key(issuer, sighted.header.get("kid"))
        token = gate.verify(sighted, key, expected, now_s())
        return Admitted(*self.issuers.participant(issuer, token.claims), token.claims)


@asynccontextmanager
async def resource(address: str, issuer: str, participants: Sequence[str]) -> AsyncIterator[Resource]:
    """A resource that takes tokens of ``issuer`` for these participants."""
    settings = IssuerSettings(issuer=issuer, participants=tuple(participants), claims=("kind=org_kind",))
    policy = EgressPolicy(allow=frozenset({urlsplit(issuer).netloc}))
    clock = Clock()
    async with GuardedClient(policy) as client:
        fetcher = Fetcher(client, OAuthSettings(), clock)
        try:
            yield Resource(address, issuer, ExternalIssuers([settings], fetcher, address, LEEWAY_S), fetcher, clock)
        finally:
            await fetcher.close()
