"""Tokens of an authorization server that we did not write (`oidc-provider`), judged as those of any external issuer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest

from connector.identity.gate import TokenRefused
from connector.identity.proof import check_proof, confirm
from connector.identity.signing import new_signing_key, sign
from connector.settings.identity import OAuthSettings
from tests.oauth.oidc_provider import OidcProvider
from tests.oauth.parties import Party, ask, now_s
from tests.oauth.resource import LEEWAY_S, Resource, resource

pytestmark = pytest.mark.node

OURS = "http://127.0.0.1:8282/dsp/2025-1"
THEIRS = "http://127.0.0.1:9292/dsp/2025-1"
ALICE = Party("did:web:localhost%3A8282")
STRANGER = Party("did:web:stranger.example")
LIAR = Party("did:web:liar.example")


@pytest.fixture
async def ours(provider: OidcProvider) -> AsyncIterator[Resource]:
    """Our resource, which knows Alice; the server knows others too, and lets one of them pass for a third."""
    clients = [ALICE.client(OURS), STRANGER.client(THEIRS), LIAR.client(OURS, says="did:web:somebody.example")]
    await provider.register(clients)
    async with resource(OURS, provider.issuer, [ALICE.id, LIAR.id]) as made:
        yield made


async def token(session: aiohttp.ClientSession, at: Resource, party: Party, audience: str = OURS) -> str:
    """An access token, which the server must grant."""
    granted = await ask(session, await at.server(), party, audience)
    assert granted.status == 200, granted.body
    return granted.token


async def refused(at: Resource, raw: str) -> str:
    """The code with which a token is refused."""
    with pytest.raises(TokenRefused) as caught:
        await at.admit(raw)
    return caught.value.code


# -- what is taken ----------------------------------------------------------------------------------------------------


async def test_a_token_speaks_for_its_participant(session: aiohttp.ClientSession, ours: Resource) -> None:
    admitted = await ours.admit(await token(session, ours, ALICE))
    assert admitted.participant_id == ALICE.id
    assert admitted.vouched.kind == "company"
    assert admitted.claims["scope"].split() == ["catalog", "negotiation", "transfer", "messages"]


async def test_a_token_is_bound_to_the_key_that_asked_for_it(session: aiohttp.ClientSession, ours: Resource) -> None:
    raw = await token(session, ours, ALICE)
    claims = (await ours.admit(raw)).claims
    url = f"{OURS}/catalog/request"
    for party, holds in ((ALICE, True), (LIAR, False)):
        proof = check_proof(party.proof("POST", url, raw), method="POST", url=url, token=raw, now_s=now_s(), leeway_s=LEEWAY_S)
        if holds:
            confirm(proof, claims)
        else:
            with pytest.raises(TokenRefused):
                confirm(proof, claims)


# -- what is refused here ---------------------------------------------------------------------------------------------


async def test_a_token_for_another_resource_is_refused(session: aiohttp.ClientSession, ours: Resource) -> None:
    assert await refused(ours, await token(session, ours, ALICE, THEIRS)) == "token-audience"


async def test_a_participant_outside_the_list_is_refused(session: aiohttp.ClientSession, ours: Resource) -> None:
    assert await refused(ours, await token(session, ours, STRANGER)) == "token-participant"


async def test_a_name_outside_the_list_is_refused_whoever_asked(session: aiohttp.ClientSession, ours: Resource) -> None:
    assert await refused(ours, await token(session, ours, LIAR)) == "token-participant"


async def test_another_server_of_the_same_kind_is_refused(session: aiohttp.ClientSession, provider: OidcProvider) -> None:
    await provider.register([ALICE.client(OURS)])
    async with (
        resource(OURS, "http://127.0.0.1:1", [ALICE.id]) as elsewhere,
        resource(OURS, provider.issuer, [ALICE.id]) as ours,
    ):
        assert await refused(elsewhere, await token(session, ours, ALICE)) == "issuer-unknown"


async def test_a_forged_token_is_refused(session: aiohttp.ClientSession, ours: Resource, provider: OidcProvider) -> None:
    key = new_signing_key("ES256")
    await provider.register([ALICE.client(OURS)], [key])
    true = await ours.admit(await token(session, ours, ALICE))
    assert await refused(ours, sign(new_signing_key("ES256"), "at+jwt", true.claims, kid=key.kid)) == "token-signature"


# -- what the server refuses ------------------------------------------------------------------------------------------


async def test_the_server_takes_an_assertion_once(session: aiohttp.ClientSession, ours: Resource) -> None:
    server = await ours.server()
    assertion = ALICE.assertion(server.issuer)
    granted = [await ask(session, server, ALICE, OURS, assertion=assertion) for _ in range(2)]
    assert [answer.status for answer in granted] == [200, 401]
    assert granted[1].body["error"] == "invalid_client"


@pytest.mark.parametrize(
    "changes", [{"aud": THEIRS}, {"aud": ["ISSUER"]}, {"exp": 4_000_000_000}, {"iss": LIAR.id}, {"jti": None}]
)
async def test_the_server_takes_strict_assertions_only(
    session: aiohttp.ClientSession, ours: Resource, changes: dict[str, object]
) -> None:
    server = await ours.server()
    if changes.get("aud") == ["ISSUER"]:
        changes = {"aud": [server.issuer]}
    granted = await ask(session, server, ALICE, OURS, assertion=ALICE.assertion(server.issuer, **changes))
    assert (granted.status, granted.body["error"]) == (401, "invalid_client")


async def test_the_server_knows_keys_by_the_participant(session: aiohttp.ClientSession, ours: Resource) -> None:
    server = await ours.server()
    stolen = Party(ALICE.id, LIAR.key)
    assert (await ask(session, server, stolen, OURS)).body["error"] == "invalid_client"


async def test_the_server_binds_every_token(session: aiohttp.ClientSession, ours: Resource) -> None:
    granted = await ask(session, await ours.server(), ALICE, OURS, proven=False)
    assert granted.status == 400


async def test_the_server_names_its_resources(session: aiohttp.ClientSession, ours: Resource) -> None:
    granted = await ask(session, await ours.server(), ALICE, "http://127.0.0.1:1/dsp")
    assert granted.body["error"] == "invalid_target"


# -- keys that change -------------------------------------------------------------------------------------------------


async def test_a_new_key_of_the_server_is_found(session: aiohttp.ClientSession, ours: Resource, provider: OidcProvider) -> None:
    old = await token(session, ours, ALICE)
    await ours.admit(old)
    await provider.rotate()
    ours.clock.now += OAuthSettings().document_min_refresh_s
    new = await token(session, ours, ALICE)
    assert (await ours.admit(new)).participant_id == (await ours.admit(old)).participant_id == ALICE.id


async def test_a_key_that_the_server_withdrew_is_believed_for_minutes_only(
    session: aiohttp.ClientSession, ours: Resource, provider: OidcProvider
) -> None:
    old = await token(session, ours, ALICE)
    await ours.admit(old)
    await provider.rotate(keep=False)
    ours.clock.now += OAuthSettings().document_cache_s
    assert await refused(ours, old) == "token-key-unknown"


async def test_tokens_with_made_up_keys_do_not_flood_the_server(
    session: aiohttp.ClientSession, ours: Resource, provider: OidcProvider
) -> None:
    true = await ours.admit(await token(session, ours, ALICE))
    before = await provider.requests("/jwks")

    async def forge() -> str:
        return await refused(ours, sign(new_signing_key("ES256"), "at+jwt", {**true.claims, "jti": str(uuid.uuid4())}))

    assert set(await asyncio.gather(*(forge() for _ in range(20)))) == {"token-key-unknown"}
    assert await provider.requests("/jwks") == before
    ours.clock.now += OAuthSettings().document_min_refresh_s
    assert set(await asyncio.gather(*(forge() for _ in range(20)))) == {"token-key-unknown"}
    assert await provider.requests("/jwks") == before + 1
