"""Participants known by pinned tokens."""

from __future__ import annotations

import pytest

from connector.identity.static import StaticTokens
from connector.protocol.errors import NotAuthenticated
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
