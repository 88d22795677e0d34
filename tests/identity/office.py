"""An authorization server under test: real SQLite, real keys and signatures, documents from a shelf, a clock that stands."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from connector.app import MIGRATIONS
from connector.identity.authority import ASSERTION_TYPE, Answer, Authority
from connector.identity.clients import ClientKeys, Newcomers
from connector.identity.did import document_url, own_document
from connector.identity.gate import Expected, Token, sight, verify
from connector.identity.keys import Key, KeyRing, Use
from connector.identity.participants import Participant
from connector.identity.proof import make_proof
from connector.identity.registry import Registry
from connector.identity.signing import SigningKey, new_signing_key, sign
from connector.settings.identity import OAuthSettings
from connector.store.engine import Statement
from connector.store.migrate import Migratable, migrate
from connector.store.postgres import PostgresEngine
from connector.store.registry import RegistryStore, insert_participant
from connector.store.sqlite import SqliteEngine
from tests.identity.shelf import Shelf, page

NOW_MS: Final = 1_700_000_000_000
NOW_S: Final = NOW_MS // 1000
ISSUER: Final = "https://provider.example"
RESOURCE: Final = ISSUER + "/dsp/2025-1"
ENDPOINT: Final = ISSUER + "/oauth/token"
CALLER: Final = "did:web:caller.example"
SOURCE: Final = "192.0.2.7"
VERSIONS: Final = {"protocolVersions": [{"version": "2025-1", "path": "/dsp/2025-1", "binding": "HTTPS"}]}
Form = dict[str, str]
_jtis = itertools.count()


def public(key: SigningKey) -> dict[str, Any]:
    """The public JWK as somebody writes it down."""
    return dict(key.public_jwk)


def ring(*keys: SigningKey, **changes: Any) -> KeyRing:
    """A key ring whose first key signs; the others were rotated just now."""
    entries = [
        Key(
            use=Use.OAUTH,
            kid=key.kid,
            made_at=NOW_MS - 1,
            rotated_at=NOW_MS if place else None,
            public=public(key),
            thumbprint=key.thumbprint,
            **(changes if place else {}),
        )
        for place, key in enumerate(keys)
    ]
    return KeyRing(entries, keys, {}, overlap_ms=1000)


@dataclass
class Caller:
    """Somebody who asks for tokens, with the same key for assertions and proofs unless told otherwise."""

    id: str = CALLER
    key: SigningKey = field(default_factory=lambda: new_signing_key("ES256", "one"))

    @property
    def document(self) -> dict[str, Any]:
        """Its DID document."""
        parts = urlsplit(document_url(self.id))
        return own_document(self.id, [(Use.OAUTH, self.key.public_jwk)], f"{parts.scheme}://{parts.netloc}", "/dsp/2025-1")

    def assertion(self, *, kid: str | None = None, typ: str = "client-authentication+jwt", **changes: Any) -> str:
        """A client assertion; a claim that is None is left out."""
        claims = {"iss": self.id, "sub": self.id, "aud": ISSUER, "jti": f"a{next(_jtis)}", "iat": NOW_S, "exp": NOW_S + 60}
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return sign(self.key, typ, claims, kid=kid or f"{self.id}#{self.key.kid}")

    def form(self, assertion: str | None = None, **changes: str | None) -> Form:
        """The parameters of a token request; one that is None is left out."""
        found = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion() if assertion is None else assertion,
            "resource": RESOURCE,
            "scope": "catalog negotiation transfer messages",
            **changes,
        }
        return {name: value for name, value in found.items() if value is not None}

    def proof(self, key: SigningKey | None = None, url: str = ENDPOINT, **changes: Any) -> str:
        """A DPoP proof of a token request."""
        return make_proof(key or self.key, "POST", url, **{"jti": f"p{next(_jtis)}", "now_s": NOW_S, **changes})


@dataclass
class Office:
    """The parts of an authorization server."""

    authority: Authority
    clients: ClientKeys
    registry: Registry
    shelf: Shelf
    key: SigningKey

    @property
    def store(self) -> RegistryStore:
        """The registry in the database."""
        return self.registry.store

    async def enter(self, *entries: Participant) -> None:
        """Put entries into the registry."""
        await self.commit(*(insert_participant(entry) for entry in entries))

    async def commit(self, *statements: Statement) -> None:
        """Change the database beside the registry's memory."""
        await self.store.engine.commit(statements)

    def publish(self, caller: Caller) -> None:
        """Put the caller's DID document and its version document where they belong."""
        self.shelf.pages[document_url(caller.id)] = page(caller.document)
        self.shelf.pages[caller.document["service"][0]["serviceEndpoint"]] = page(VERSIONS)

    async def ask(self, form: Form, *proofs: str, authorization: str | None = None, source: str = SOURCE) -> Answer:
        """A token request."""
        return await self.authority.token(list(form.items()), proofs, authorization, source)

    def read(self, answer: Answer, audience: str = RESOURCE) -> Token:
        """The access token of an answer, judged as the resource does."""
        assert answer.status == 200, answer.body
        expected = Expected(
            types=frozenset({"at+jwt"}), algorithms=frozenset({"ES256"}), max_lifetime_s=300, issuer=ISSUER, audience=audience
        )
        sighted = sight(answer.body["access_token"], expected)
        return verify(sighted, self.authority.verify_key(sighted.header["kid"]), expected, NOW_S)


def refused(answer: Answer, error: str, code: str, status: int = 400) -> None:
    """The answer is this error of RFC 6749, 5.2, with our code, and holds no token."""
    assert (answer.status, answer.body["error"], answer.body["code"]) == (status, error, code), answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    assert "access_token" not in answer.body
    assert answer.body["error_description"].isascii()
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


@asynccontextmanager
async def office(
    database: Path | str,
    settings: OAuthSettings | None = None,
    *,
    http_loopback: bool = False,
    key: SigningKey | None = None,
) -> AsyncIterator[Office]:
    """A running office on SQLite, or PostgreSQL where ``database`` is its address.

    With the database and the key of an earlier one it is the same after a restart.
    """
    engine: Migratable
    if isinstance(database, str):
        engine = await PostgresEngine.open(database, pool_size=8)
    else:
        engine = await SqliteEngine.open(database)
    await migrate(engine, MIGRATIONS, 1)
    chosen, shelf, own = settings or OAuthSettings(), Shelf(), key or new_signing_key("ES256")
    registry = Registry(RegistryStore(engine), lambda: NOW_MS, lambda: shelf.now)
    newcomers = Newcomers(registry, chosen.max_unverified, lambda: NOW_MS)
    fetcher = shelf.fetcher(chosen)
    clients = ClientKeys(registry, fetcher, chosen, newcomers, http_loopback=http_loopback, now_ms=lambda: NOW_MS)
    authority = Authority(
        ISSUER,
        [RESOURCE, ISSUER + "/other"],
        ring(own),
        clients,
        newcomers,
        registry,
        chosen,
        now_ms=lambda: NOW_MS,
        new_id=lambda: f"urn:test:{next(_jtis)}",
    )
    try:
        yield Office(authority, clients, registry, shelf, own)
    finally:
        await fetcher.close()
        await engine.close()
