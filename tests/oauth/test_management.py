"""The management listener takes tokens of authorization servers that we did not write, by the roles that they say."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest

from connector.http.client import EgressPolicy, GuardedClient
from connector.identity import gate, metadata
from connector.identity.fetcher import Fetcher
from connector.identity.gate import TokenRefused
from connector.identity.signing import new_signing_key, sign
from connector.settings.identity import OAuthSettings
from connector.settings.management import ManagementIssuerSettings
from tests.access.desk import AUDIENCE, SETTINGS, Desk, opened
from tests.oauth import houses
from tests.oauth.keycloak import INSTALL_TIMEOUT_S
from tests.oauth.parties import TOKEN_LIFE_S, Client, Party, ask
from tests.oauth.resource import ANYBODY, LEEWAY_S, resource

# One server puts it into a claim of that name, another into an object inside an object.
ROLES: Final = "carnet.roles"
OPS, AUDITOR, COOK = Party("ops-program"), Party("audit-program"), Party("cook")
NOBODY, ELSEWHERE, PEER, BOUND = Party("nobody"), Party("elsewhere"), Party("peer"), Party("bound")
OTHER, DSP = "https://other.example/management", "https://us.example:8181/dsp/2025-1"


def client(party: Party, roles: object, audience: str = AUDIENCE, *, dpop: bool = False) -> Client:
    """The registration of a program of ours."""
    claims: dict[str, Any] = {} if roles is None else {ROLES: roles}
    return Client(party.id, {**party.key.public_jwk, "kid": party.kid}, audience, claims, dpop)


CLIENTS: Final = (
    client(OPS, "ops"),
    client(AUDITOR, "staff audit-team"),
    client(COOK, "operator auditor cooks"),
    client(NOBODY, None),
    client(ELSEWHERE, "ops", OTHER),
    client(PEER, "ops", DSP),
    client(BOUND, "ops", dpop=True),
)


class Server(houses.Server, Protocol):
    """One that signs with new keys."""

    async def rotate(self) -> None:
        """Sign with a new key from now on; the old ones stay published."""
        ...


class Clock:
    """A monotonic clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Place:
    """A management listener of ours, and an authorization server of another's whose tokens it takes."""

    desk: Desk
    server: Server
    fetcher: Fetcher
    clock: Clock
    session: aiohttp.ClientSession

    async def token(self, party: Party, audience: str = AUDIENCE) -> str:
        """An access token, which the server must grant."""
        known = await metadata.authorization_server(self.fetcher, self.server.issuer)
        granted = await ask(self.session, known, party, audience, proven=party is BOUND)
        assert granted.status == 200, granted.body
        return granted.token


@pytest.fixture(
    params=[
        pytest.param("provider", marks=pytest.mark.node),
        pytest.param("realm", marks=[pytest.mark.java, pytest.mark.keycloak, pytest.mark.timeout(2 * INSTALL_TIMEOUT_S)]),
    ]
)
def server(request: pytest.FixtureRequest) -> Server:
    """An authorization server, which knows nobody yet."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def place(tmp_path: Path, server: Server, session: aiohttp.ClientSession) -> AsyncIterator[Place]:
    """Our listener, at the time that the server has too."""
    await server.register(CLIENTS)
    issuer = ManagementIssuerSettings(issuer=server.issuer, roles_claim=ROLES, roles=("operator=ops", "auditor=audit-team"))
    settings, clock = msgspec.structs.replace(SETTINGS, issuers=(issuer,)), Clock()
    async with GuardedClient(EgressPolicy(allow=frozenset({urlsplit(server.issuer).netloc}))) as guarded:
        fetcher = Fetcher(guarded, OAuthSettings(), clock)
        try:
            async with opened(tmp_path, settings=settings, fetcher=fetcher) as desk:
                desk.street.now = time.time_ns() // 1_000_000
                yield Place(desk, server, fetcher, clock, session)
        finally:
            await fetcher.close()


async def test_a_program_does_what_the_role_in_its_token_may(place: Place) -> None:
    desk, ops, auditor = place.desk, await place.token(OPS), await place.token(AUDITOR)
    assert await desk.status(ops, method="POST") == (201, "")
    assert await desk.status(auditor) == (200, "")
    assert await desk.status(auditor, method="POST") == (403, "scope-missing")
    said = [await (await desk.ask("GET", "/carnet/v1/access/self", each)).json() for each in (ops, auditor)]
    assert [each["roles"] for each in said] == [["operator"], ["auditor"]]
    # Who it is stays the same from token to token, and is nobody else.
    again = await (await desk.ask("GET", "/carnet/v1/access/self", await place.token(OPS))).json()
    assert again["id"] == again["person"] == said[0]["id"] != said[1]["id"]
    assert OPS.id not in again["id"]


@pytest.mark.parametrize(
    ("party", "audience", "code"),
    [
        (ELSEWHERE, OTHER, "token-audience"),
        (PEER, DSP, "token-audience"),
        (COOK, AUDIENCE, "token-roles"),
        (NOBODY, AUDIENCE, "token-roles"),
        (BOUND, AUDIENCE, "token-bound"),
    ],
    ids=lambda each: each.id if isinstance(each, Party) else "",
)
async def test_tokens_that_open_nothing_here(place: Place, party: Party, audience: str, code: str) -> None:
    assert await place.desk.status(await place.token(party, audience)) == (401, code)


async def test_a_token_ends(place: Place) -> None:
    token = await place.token(OPS)
    assert await place.desk.status(token) == (200, "")
    place.desk.street.now += (TOKEN_LIFE_S + LEEWAY_S + 1) * 1000
    assert await place.desk.status(token) == (401, "token-expired")


async def test_what_the_server_has_not_signed_is_refused(place: Place) -> None:
    token = await place.token(OPS)
    sighted = gate.sight(token, ANYBODY)
    kid, claims = str(sighted.header["kid"]), {**sighted.unverified_claims, "jti": "another"}
    assert await place.desk.status(sign(new_signing_key("ES256"), "at+jwt", claims, kid=kid)) == (401, "token-signature")
    header, _, signature = token.split(".")
    other = (await place.token(AUDITOR)).split(".")[1]
    assert await place.desk.status(f"{header}.{other}.{signature}") == (401, "token-signature")


async def test_a_new_key_of_the_server_is_found(place: Place) -> None:
    assert await place.desk.status(await place.token(OPS)) == (200, "")
    await place.server.rotate()
    place.clock.now += OAuthSettings().document_min_refresh_s
    assert await place.desk.status(await place.token(OPS)) == (200, "")


async def test_a_token_for_our_listener_opens_nothing_where_peers_come(place: Place) -> None:
    async with resource(DSP, place.server.issuer, [OPS.id]) as peers:
        with pytest.raises(TokenRefused) as caught:
            await peers.admit(await place.token(OPS))
    assert caught.value.code == "token-audience"
