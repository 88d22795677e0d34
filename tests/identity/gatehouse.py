"""A protected resource under test: real keys, tokens and proofs, a registry and issuers of paper, a clock that stands."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from msgspec.structs import replace

from connector.identity import oauth
from connector.identity.gate import Expected, PublicKey, TokenRefused, public_key
from connector.identity.interface import Incoming, Principal, Scope
from connector.identity.issuers import ExternalIssuers
from connector.identity.metadata import SERVER_PATH
from connector.identity.oauth import OAuthResource, OwnIssuer
from connector.identity.participants import Admission, Participant
from connector.identity.proof import make_proof
from connector.identity.signing import SigningKey, new_signing_key, sign
from connector.protocol.errors import NotAuthenticated
from connector.settings.identity import IssuerSettings, OAuthSettings
from tests.identity.entries import KnownEntries
from tests.identity.shelf import Shelf, page

US: Final = "https://us.example"
RESOURCE: Final = US + "/dsp/2025-1"
CATALOG: Final = RESOURCE + "/catalog/request"
METADATA: Final = US + "/.well-known/oauth-protected-resource/dsp/2025-1"
SSO: Final = "https://sso.example"
SSO_KEYS: Final = SSO + "/keys"
LAX: Final = "https://lax.example"
CITY, INSURER = "did:web:city.example", "did:web:insurer.example"
NOW_S: Final = 1_800_000_000
LIFE_S, LEEWAY_S = 300, 30
ISSUING, SUCCESSOR = new_signing_key("ES256", "issuing"), new_signing_key("ES256", "successor")
HOLDER, STRANGER = new_signing_key("ES256", "holder"), new_signing_key("EdDSA", "stranger")
ISSUERS: Final = (
    IssuerSettings(issuer=SSO, participants=(CITY,), claims=("kind=org_kind",), algorithms=("ES256",)),
    IssuerSettings(issuer=LAX, participants=(CITY,), sender_constraint="bearer"),
)
_jtis = itertools.count()


def jwks(*keys: SigningKey) -> dict[str, Any]:
    return {"keys": [dict(key.public_jwk) for key in keys]}


TOKENS: Final[dict[str, dict[str, Any]]] = {
    "audience": {"aud": RESOURCE + "/"},
    "audience of the other entrance": {"aud": US + "/dsp/also"},
    "audience of two": {"aud": [RESOURCE, "https://other.example"]},
    "participant": {"participant_id": INSURER},
    "participant that is no text": {"participant_id": [CITY], "sub": CITY},
    "subject": {"sub": INSURER},
    "issuer": {"iss": "https://other.example"},
    "issuer that is no text": {"iss": {"a": US}},
    "no issuer": {"iss": None},
    "key": {"by": STRANGER, "kid": "issuing"},
    "key of another name": {"by": ISSUING, "kid": "successor"},
    "key of the holder": {"by": HOLDER},
    "type": {"typ": "client-authentication+jwt"},
    "no scope": {"scope": None},
    "no client": {"client_id": None},
    "over": {"iat": NOW_S - LIFE_S - LEEWAY_S, "exp": NOW_S - LEEWAY_S},
    "not yet": {"iat": NOW_S + LEEWAY_S + 1},
    "too long a life": {"exp": NOW_S + LIFE_S + 1},
    "no end": {"exp": None},
    "binding to another key": {"cnf": {"jkt": SUCCESSOR.thumbprint}},
    "no binding": {"cnf": None},
    "binding that nobody can check": {"cnf": {"x5t#S256": "AAAA"}},
}
PROOFS: Final[dict[str, dict[str, Any]]] = {
    "method": {"method": "GET"},
    "url": {"url": RESOURCE + "/negotiations/request"},
    "host": {"url": CATALOG.replace("us", "other")},
    "key": {"by": STRANGER},
    "token": {"token": "another"},
    "no token": {"token": None},
    "too old": {"now_s": NOW_S - oauth.PROOF_LIFE_S - LEEWAY_S},
    "too new": {"now_s": NOW_S + LEEWAY_S + 1},
}


@dataclass
class Gatehouse:
    """One resource with everything around it. ``published`` are the keys of our own issuer."""

    entries: KnownEntries = field(default_factory=lambda: KnownEntries([Participant(id=CITY, state=Admission.ADMITTED)]))
    published: list[SigningKey] = field(default_factory=lambda: [ISSUING])
    shelf: Shelf = field(default_factory=Shelf)
    now_s: int = NOW_S
    verified: int = 0
    embedded: bool = True
    shared: bool = False
    resource: OAuthResource = field(init=False)

    def __post_init__(self) -> None:
        for issuer in (SSO, LAX):
            about = {"issuer": issuer, "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/keys"}
            self.shelf.pages[issuer + SERVER_PATH] = page(about)
            self.shelf.pages[issuer + "/keys"] = page(jwks(ISSUING))
        anybody = Expected(
            types=frozenset({"at+jwt"}), algorithms=oauth.ALGORITHMS, max_lifetime_s=3600, issuer=None, audience=None
        )
        self.resource = OAuthResource(
            RESOURCE,
            self.entries,
            OwnIssuer(US, self.key) if self.embedded else None,
            ExternalIssuers(ISSUERS, self.shelf.fetcher(OAuthSettings(document_cache_s=300)), RESOURCE, LEEWAY_S),
            anybody=anybody,
            bearer_issuers=frozenset({LAX}),
            metadata_url=METADATA,
            lifetime_s=LIFE_S,
            leeway_s=LEEWAY_S,
            now_ms=lambda: self.now_s * 1000,
            shared=self.shared,
        )

    def key(self, kid: str | None) -> PublicKey:
        """As Authority.verify_key."""
        found = [key for key in self.published if key.kid == kid]
        if not found:
            raise TokenRefused("token-key-unknown", "not any more")
        return public_key(found[0].public_jwk)

    def become(self, **changes: Any) -> None:
        """Change the entry of the caller."""
        self.entries.entries[CITY] = replace(self.entries.entries[CITY], **changes)

    def token(self, *, by: SigningKey = ISSUING, typ: str = "at+jwt", kid: str | None = None, **changes: Any) -> str:
        """A token as our own issuer makes it; a claim that is None is left out."""
        claims = {
            "iss": US,
            "aud": RESOURCE,
            "sub": CITY,
            "client_id": CITY,
            "participant_id": CITY,
            "scope": "catalog negotiation",
            "jti": f"t{next(_jtis)}",
            "iat": NOW_S,
            "exp": NOW_S + LIFE_S,
            "cnf": {"jkt": HOLDER.thumbprint},
            **changes,
        }
        return sign(by, typ, {name: value for name, value in claims.items() if value is not None}, kid=kid)

    def proof(self, token: str, *, by: SigningKey = HOLDER, method: str = "POST", url: str = CATALOG, **changes: Any) -> str:
        """A fresh proof for the request of :meth:`ask`."""
        shown = {"jti": f"p{next(_jtis)}", "now_s": self.now_s, "token": token, "nonce": self.resource._nonce, **changes}
        return make_proof(by, method, url, **shown)

    async def ask(
        self, token: str, *proof: str, scheme: str = "DPoP", changes: bool = True, scope: Scope = Scope.CATALOG
    ) -> Principal:
        """A request with this token and, unless another is given, a fresh proof."""
        headers = {"Authorization": f"{scheme} {token}", "DPoP": proof[0] if proof else self.proof(token)}
        return await self.resource.inbound(Incoming("POST", CATALOG, headers, scope, changes))

    async def bare(self, headers: Mapping[str, str], *, changes: bool = True) -> Principal:
        """A request with these headers alone."""
        return await self.resource.inbound(Incoming("POST", CATALOG, headers, Scope.CATALOG, changes))

    async def refusal(self, *shown: str, **request: Any) -> str:
        """The code with which a request is refused."""
        with pytest.raises(NotAuthenticated) as refused:
            await self.ask(*shown, **request)
        return refused.value.code

    @property
    def challenged(self) -> Callable[[NotAuthenticated], Mapping[str, str]]:
        return self.resource.challenge
