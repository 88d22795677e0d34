"""Participants known by pinned tokens, and the addresses that are theirs."""

from __future__ import annotations

import pytest

from connector.identity.static import Directory, StaticTokens
from connector.protocol.errors import CallerError, NotAuthenticated, NotFound
from connector.settings.model import PeerSettings
from connector.settings.secret import Secret

CITY, INSURER = "did:web:city.example", "did:web:insurer.example"
BASE = "https://city.example/dsp/2025-1"
URL = "https://us.example/dsp/2025-1/catalog/request"
PEERS = (
    PeerSettings(id=CITY, addresses=(BASE + "/",), inbound_token=Secret("city-calls-us"), outbound_token=Secret("we-call-city")),
    PeerSettings(id=INSURER),
)


async def test_a_token_names_its_participant() -> None:
    tokens = StaticTokens(PEERS)
    principal = await tokens.inbound("POST", URL, {"Authorization": "Bearer city-calls-us"})
    assert (principal.participant_id, principal.assurance) == (CITY, "pinned-token")


@pytest.mark.parametrize(
    "header", ["Bearer we-call-city", "Basic city-calls-us", "Bearer", "Bearer  city-calls-us", "city-calls-us"]
)
async def test_any_other_token_is_refused(header: str) -> None:
    with pytest.raises(NotAuthenticated) as refusal:
        await StaticTokens(PEERS).inbound("POST", URL, {"Authorization": header})
    assert refusal.value.code == "token-unknown"


async def test_nobody_is_let_in_without_a_token_but_by_the_development_settings() -> None:
    with pytest.raises(NotAuthenticated) as refusal:
        await StaticTokens(PEERS).inbound("GET", URL, {})
    assert refusal.value.code == "token-missing"
    principal = await StaticTokens(PEERS, anonymous=INSURER).inbound("GET", URL, {})
    assert (principal.participant_id, principal.assurance) == (INSURER, "anonymous-development")


async def test_we_show_the_token_that_was_agreed_on_and_none_to_others() -> None:
    tokens = StaticTokens(PEERS)
    assert await tokens.outbound(CITY, BASE) == {"Authorization": "Bearer we-call-city"}
    assert await tokens.outbound(INSURER, BASE) == {}
    assert await tokens.outbound("did:web:nobody.example", BASE) == {}


def test_an_address_is_one_of_the_participants_or_refused() -> None:
    directory = Directory(PEERS)
    assert directory.known(CITY, None) == BASE
    assert directory.known(CITY, BASE + "/tenant/") == BASE + "/tenant"
    with pytest.raises(CallerError) as foreign:
        directory.known(CITY, "https://insurer.example/dsp/2025-1")
    assert foreign.value.code == "address-foreign"
    for nobody in (INSURER, "did:web:nobody.example"):
        with pytest.raises(NotFound) as unknown:
            directory.address(nobody)
        assert unknown.value.code == "peer-unknown"


@pytest.mark.parametrize("rest", ["/../../other", "/%2e%2e/other", "?x=1", "#x", "/a\\b", "-other"])
def test_what_could_lead_elsewhere_belongs_to_nobody(rest: str) -> None:
    assert not Directory(PEERS).owns(CITY, BASE + rest)
