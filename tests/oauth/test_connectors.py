"""Two connectors do business both ways, each recognised by the token of a server that neither of them runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.client.local import Refused
from connector.identity.interface import Incoming, Principal
from connector.identity.oauth import OAuthResource
from tests.oauth.houses import Server, open_houses, trade
from tests.oauth.keycloak import INSTALL_TIMEOUT_S, Realm
from tests.oauth.oidc_provider import OidcProvider


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Principal]:
    """Every caller that one of the connectors has recognised."""
    principals: list[Principal] = []
    recognise = OAuthResource.inbound

    async def noted(resource: OAuthResource, request: Incoming) -> Principal:
        principals.append(await recognise(resource, request))
        return principals[-1]

    monkeypatch.setattr(OAuthResource, "inbound", noted)
    return principals


async def both_ways(folder: Path, server: Server, seen: list[Principal]) -> None:
    """The story, whoever the server is."""
    async with open_houses(folder, server) as (oem, city):
        await trade(oem, city, b"speed,place\n" * 1000)
        await trade(city, oem, b"sensor,count\n" * 1000)
    assert {principal.participant_id for principal in seen} == {oem.participant_id, city.participant_id}
    assert {principal.assurance for principal in seen} == {f"oauth-issuer:{server.issuer}"}
    assert {principal.claims.get("kind") for principal in seen} == {"company"}


@pytest.mark.node
async def test_business_by_oidc_provider(tmp_path: Path, provider: OidcProvider, seen: list[Principal]) -> None:
    await both_ways(tmp_path, provider, seen)


@pytest.mark.node
async def test_business_by_secrets_and_nonces(tmp_path: Path, provider: OidcProvider, seen: list[Principal]) -> None:
    provider.nonces = True
    async with open_houses(tmp_path, provider, secret="made-up-secret-of-both-houses-0001") as (oem, city):
        await trade(oem, city, b"speed,place\n")
    assert {principal.assurance for principal in seen} == {f"oauth-issuer:{provider.issuer}"}


@pytest.mark.java
@pytest.mark.keycloak
@pytest.mark.timeout(2 * INSTALL_TIMEOUT_S)
async def test_business_by_keycloak(tmp_path: Path, realm: Realm, seen: list[Principal]) -> None:
    await both_ways(tmp_path, realm, seen)


@pytest.mark.node
async def test_no_business_with_who_the_server_does_not_know(
    tmp_path: Path, provider: OidcProvider, seen: list[Principal]
) -> None:
    async with open_houses(tmp_path, provider) as (oem, city), city.client() as owner:
        await provider.register([])
        with pytest.raises(Refused):
            await owner.catalog(oem.participant_id)
    assert not seen
