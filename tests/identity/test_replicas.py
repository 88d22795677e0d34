"""Two workers at one address with one database: a caller is sent to either, and a proof is used once all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from connector.app import MIGRATIONS
from connector.identity.door import Door
from connector.identity.gate import Expected, public_key
from connector.identity.interface import Incoming, Principal, Scope
from connector.identity.issuers import ExternalIssuers
from connector.identity.oauth import ALGORITHMS, TOKEN_TYPES, OAuthResource, OwnIssuer
from connector.identity.participants import Admission, Participant
from connector.identity.proof import make_proof
from connector.identity.signing import SigningKey, new_signing_key, sign
from connector.protocol.errors import NotAuthenticated
from connector.settings.identity import OAuthSettings
from connector.store.control import ControlStore
from connector.store.migrate import migrate
from connector.store.registry import RegistryStore, insert_participant
from connector.store.sqlite import SqliteEngine
from tests.identity.entries import KnownEntries
from tests.identity.shelf import Shelf

PEER: Final = "did:web:peer.example"
ORIGIN: Final = "https://here.example"
RESOURCE: Final = f"{ORIGIN}/dsp/2025-1"
CATALOG: Final = f"{RESOURCE}/catalog/request"
NOW_S: Final = 1_700_000_000


@dataclass(frozen=True)
class Worker:
    """One replica: it recognises callers and uses up what they show."""

    resource: OAuthResource
    door: Door

    async def read(self, headers: dict[str, str]) -> Principal:
        """A read, as the protocol listener serves it."""
        request = Incoming("POST", CATALOG, headers, Scope.CATALOG, changes=False)
        principal = await self.resource.inbound(request)
        await self.door.settle(principal)
        return principal


@dataclass
class Deployment:
    """The database and keys that the replicas share."""

    engine: SqliteEngine
    issuing: SigningKey = field(default_factory=lambda: new_signing_key("ES256"))
    holder: SigningKey = field(default_factory=lambda: new_signing_key("ES256"))

    def worker(self) -> Worker:
        """A replica that has just started."""
        bounds = OAuthSettings()
        life_s = bounds.token_lifetime_s
        resource = OAuthResource(
            RESOURCE,
            KnownEntries([Participant(id=PEER, state=Admission.ADMITTED)]),
            OwnIssuer(ORIGIN, lambda _: public_key(self.issuing.public_jwk)),
            ExternalIssuers((), Shelf().fetcher(), RESOURCE, bounds.leeway_s),
            anybody=Expected(types=TOKEN_TYPES, algorithms=ALGORITHMS, max_lifetime_s=life_s, issuer=None, audience=None),
            bearer_issuers=frozenset(),
            metadata_url=f"{ORIGIN}/.well-known/oauth-protected-resource/dsp/2025-1",
            lifetime_s=life_s,
            leeway_s=bounds.leeway_s,
            now_ms=lambda: NOW_S * 1000,
            shared=True,
        )
        return Worker(resource, Door(RegistryStore(self.engine), ControlStore(self.engine), shared=False))

    def headers(self, jti: str, nonce: str | None = None) -> dict[str, str]:
        """What a caller shows for one read."""
        claims = {"iss": ORIGIN, "sub": PEER, "client_id": PEER, "participant_id": PEER, "aud": RESOURCE, "jti": "token"}
        more = {"iat": NOW_S, "exp": NOW_S + 300, "scope": "catalog", "cnf": {"jkt": self.holder.thumbprint}}
        token = sign(self.issuing, "at+jwt", {**claims, **more})
        proof = make_proof(self.holder, "POST", CATALOG, jti=jti, now_s=NOW_S, token=token, nonce=nonce)
        return {"Authorization": f"DPoP {token}", "DPoP": proof}


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    engine = await SqliteEngine.open(tmp_path / "control.db")
    await migrate(engine, MIGRATIONS, 0)
    await engine.commit([insert_participant(Participant(id=PEER, state=Admission.ADMITTED))])
    yield Deployment(engine)
    await engine.close()


async def test_a_caller_that_is_sent_to_each_in_turn_reads_at_the_first_attempt(deployment: Deployment) -> None:
    workers = deployment.worker(), deployment.worker()
    for number in range(6):
        principal = await workers[number % 2].read(deployment.headers(f"proof-{number}"))
        assert principal.participant_id == PEER


@pytest.mark.parametrize("nonce", [None, "of-somebody"])
async def test_a_proof_that_one_has_taken_is_refused_by_the_other_and_after_a_restart(
    deployment: Deployment, nonce: str | None
) -> None:
    shown = deployment.headers("proof", nonce)
    first, second = deployment.worker(), deployment.worker()
    await first.read(shown)
    for worker in (first, second, deployment.worker()):
        with pytest.raises(NotAuthenticated, match="proof-replayed"):
            await worker.read(shown)


async def test_of_all_that_take_one_proof_at_once_one_gets_an_answer(deployment: Deployment) -> None:
    shown = deployment.headers("proof")
    workers = [deployment.worker() for _ in range(4)]
    ended = await asyncio.gather(*(worker.read(shown) for worker in workers), return_exceptions=True)
    assert [isinstance(each, Principal) for each in ended].count(True) == 1
    assert [isinstance(each, NotAuthenticated) for each in ended].count(True) == 3
