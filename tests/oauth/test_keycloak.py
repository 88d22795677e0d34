"""The same of Keycloak, the identity provider that an organisation is most likely to have already."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from connector.identity.gate import TokenRefused
from connector.identity.proof import check_proof, confirm
from connector.settings.identity import OAuthSettings
from tests.oauth.keycloak import INSTALL_TIMEOUT_S, Realm
from tests.oauth.parties import Party, ask, now_s
from tests.oauth.resource import LEEWAY_S, Resource, resource

pytestmark = [pytest.mark.java, pytest.mark.keycloak, pytest.mark.timeout(2 * INSTALL_TIMEOUT_S)]

OURS = "http://127.0.0.1:8282/dsp/2025-1"
ALICE = Party("did:web:localhost%3A8282")
BOB = Party("did:web:bob.example")
STRANGER = Party("did:web:stranger.example")


@pytest.fixture
async def ours(realm: Realm) -> AsyncIterator[Resource]:
    """Our resource, which knows Alice and Bob; tokens of Bob are for another resource."""
    await realm.register([ALICE.client(OURS), BOB.client("http://127.0.0.1:1/dsp"), STRANGER.client(OURS)])
    async with resource(OURS, realm.issuer, [ALICE.id, BOB.id]) as made:
        yield made


async def token(session: aiohttp.ClientSession, at: Resource, party: Party) -> str:
    """An access token, which the server must grant."""
    granted = await ask(session, await at.server(), party, OURS)
    assert granted.status == 200, granted.body
    return granted.token


async def test_a_token_speaks_for_its_participant(session: aiohttp.ClientSession, ours: Resource) -> None:
    raw = await token(session, ours, ALICE)
    admitted = await ours.admit(raw)
    assert (admitted.participant_id, admitted.vouched.kind) == (ALICE.id, "company")
    proof = check_proof(ALICE.proof("GET", OURS, raw), method="GET", url=OURS, token=raw, now_s=now_s(), leeway_s=LEEWAY_S)
    confirm(proof, admitted.claims)


@pytest.mark.parametrize(("party", "code"), [(BOB, "token-audience"), (STRANGER, "token-participant")])
async def test_tokens_that_are_not_for_us_are_refused(
    session: aiohttp.ClientSession, ours: Resource, party: Party, code: str
) -> None:
    with pytest.raises(TokenRefused) as caught:
        await ours.admit(await token(session, ours, party))
    assert caught.value.code == code


async def test_the_server_takes_an_assertion_once(session: aiohttp.ClientSession, ours: Resource) -> None:
    server = await ours.server()
    assertion = ALICE.assertion(server.issuer)
    granted = [await ask(session, server, ALICE, OURS, assertion=assertion) for _ in range(2)]
    assert [answer.body.get("error") for answer in granted] == [None, "invalid_client"]


async def test_the_server_binds_every_token(session: aiohttp.ClientSession, ours: Resource) -> None:
    assert (await ask(session, await ours.server(), ALICE, OURS, proven=False)).status == 400


async def test_a_new_key_of_the_server_is_found(session: aiohttp.ClientSession, ours: Resource, realm: Realm) -> None:
    await ours.admit(await token(session, ours, ALICE))
    await realm.rotate()
    ours.clock.now += OAuthSettings().document_min_refresh_s
    assert (await ours.admit(await token(session, ours, ALICE))).participant_id == ALICE.id
