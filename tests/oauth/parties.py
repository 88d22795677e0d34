"""Participants as clients of an authorization server: what they register there, and how they ask it for a token."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from connector.identity.metadata import AuthorizationServer
from connector.identity.proof import make_proof
from connector.identity.signing import SigningKey, new_signing_key, sign

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPES: Final = ("catalog", "negotiation", "transfer", "messages")
TOKEN_LIFE_S: Final = 300


def now_s() -> int:
    """Seconds since the epoch by the clock that the servers have too."""
    return int(time.time())


@dataclass(frozen=True, slots=True)
class Client:
    """What an authorization server knows of a participant: its id, its public JWK by the name that assertions give it, the one
    resource that it wants to reach, and what the tokens say of it beside the standard claims. With
    ``secret`` it signs nothing."""

    id: str
    jwk: Mapping[str, str]
    audience: str
    claims: Mapping[str, Any]
    dpop: bool = True
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """A participant with its key, in the place of a connector."""

    id: str
    key: SigningKey = field(default_factory=lambda: new_signing_key("ES256"))

    @property
    def kid(self) -> str:
        """The name of its key, as in its DID document."""
        return f"{self.id}#{self.key.kid}"

    def client(self, audience: str, *, says: str | None = None, kind: str = "company", dpop: bool = True) -> Client:
        """Its registration; ``says`` is the participant that its tokens name, if not itself."""
        claims = {"participant_id": says or self.id, "org_kind": kind}
        return Client(self.id, {**self.key.public_jwk, "kid": self.kid}, audience, claims, dpop)

    def assertion(self, issuer: str, **changes: Any) -> str:
        """An assertion for ``issuer`` (RFC 7523, RFC 10070), with what is to be otherwise in it."""
        now = now_s()
        claims = {"iss": self.id, "sub": self.id, "aud": issuer, "jti": str(uuid.uuid4()), "iat": now, "exp": now + 60}
        return sign(self.key, "client-authentication+jwt", {**claims, **changes}, kid=self.kid)

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """A proof of possession for one request (RFC 9449)."""
        return make_proof(self.key, method, url, jti=str(uuid.uuid4()), now_s=now_s(), token=token)


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token endpoint answered; ``token`` is empty if it refused."""

    status: int
    body: Mapping[str, Any]

    @property
    def token(self) -> str:
        """The access token."""
        return str(self.body.get("access_token", ""))


async def ask(
    session: aiohttp.ClientSession,
    server: AuthorizationServer,
    party: Party,
    resource: str,
    *,
    assertion: str | None = None,
    proven: bool = True,
) -> Granted:
    """Ask for a token by client credentials; ``proven``: with a DPoP proof."""
    form = {
        "grant_type": "client_credentials",
        "client_id": party.id,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion or party.assertion(server.issuer),
        "resource": resource,
        "scope": " ".join(SCOPES),
    }
    headers = {"DPoP": party.proof("POST", server.token_endpoint)} if proven else {}
    async with session.post(server.token_endpoint, data=form, headers=headers) as response:
        return Granted(response.status, await response.json())
