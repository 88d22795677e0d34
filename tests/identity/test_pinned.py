"""Participants known by pinned tokens."""

from __future__ import annotations

import pytest

from connector.identity.choice import Choice
from connector.identity.interface import Call, Incoming, Principal, Scope, Standing
from connector.identity.participants import Admission, Claims, Participant
from connector.identity.pinned import PinnedTokens
from connector.protocol.errors import NotAuthenticated
from connector.settings.model import PeerSettings
from connector.settings.secret import Secret
from tests.identity.entries import KnownEntries

CITY, INSURER, LAB = "did:web:city.example", "did:web:insurer.example", "did:web:lab.example"
URL = "https://us.example/dsp/2025-1/catalog/request"
CALL = Call("POST", "https://city.example/dsp/2025-1/catalog/request", Scope.CATALOG)
PEERS = (
    PeerSettings(id=CITY, inbound_token=Secret("city-calls-us"), outbound_token=Secret("we-call-city")),
    PeerSettings(id=INSURER),
    PeerSettings(id=LAB, inbound_token=Secret("lab-calls-us")),
)
CLAIMS = Claims(kind="public-body", country="FR")


def tokens(state: Admission = Admission.ADMITTED, anonymous: str | None = None) -> PinnedTokens:
    entries = [Participant(id=each, state=state, revision=7, claims=CLAIMS) for each in (CITY, INSURER)]
    return PinnedTokens(PEERS, KnownEntries(entries), anonymous)


def request(header: str | None) -> Incoming:
    return Incoming("POST", URL, {} if header is None else {"Authorization": header}, Scope.CATALOG, changes=False)


async def test_a_token_names_its_participant_whose_claims_are_the_registrys() -> None:
    principal = await tokens().inbound(request("Bearer city-calls-us"))
    assert principal == Principal(CITY, {"kind": "public-body", "country": "FR"}, "pinned-token", standing=Standing(7))


async def test_who_nobody_has_vouched_for_has_no_claims() -> None:
    principal = await tokens(Admission.UNVERIFIED).inbound(request("Bearer city-calls-us"))
    assert (principal.admitted, principal.claims) == (False, {})


@pytest.mark.parametrize(
    "header", ["Bearer we-call-city", "Basic city-calls-us", "Bearer", "Bearer  city-calls-us", "city-calls-us", "Bearer \udcff"]
)
async def test_any_other_token_is_refused(header: str) -> None:
    with pytest.raises(NotAuthenticated, match="token-unknown") as refusal:
        await tokens().inbound(request(header))
    assert tokens().challenge(refusal.value) == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize("state", [Admission.SUSPENDED, Admission.EXPELLED])
async def test_the_registry_decides_who_is_welcome(state: Admission) -> None:
    with pytest.raises(NotAuthenticated, match=f"participant-{state.value}"):
        await tokens(state).inbound(request("Bearer city-calls-us"))


async def test_a_token_of_nobody_in_the_registry_opens_nothing() -> None:
    with pytest.raises(NotAuthenticated, match="participant-unknown"):
        await tokens().inbound(request("Bearer lab-calls-us"))


async def test_nobody_is_let_in_without_a_token_but_by_the_development_settings() -> None:
    with pytest.raises(NotAuthenticated, match="token-missing"):
        await tokens().inbound(request(None))
    principal = await tokens(anonymous=INSURER).inbound(request(None))
    assert (principal.participant_id, principal.assurance) == (INSURER, "anonymous-development")


async def test_we_show_the_token_that_was_agreed_on_and_none_to_others() -> None:
    assert await tokens().outbound(CITY, CALL) == {"Authorization": "Bearer we-call-city"}
    assert await tokens().outbound(LAB, CALL) == {}
    assert not tokens().challenged(CITY, CALL, {})


class Other:
    """Another way to identify."""

    async def outbound(self, counterparty: str, call: Call) -> dict[str, str]:
        return {"Other": counterparty}

    def challenged(self, counterparty: str, call: Call, headers: object) -> bool:
        return True


async def test_pinned_tokens_go_before_oauth_for_the_peers_of_the_settings_alone() -> None:
    choice = Choice(tokens(anonymous=INSURER), Other())
    assert await choice.outbound(CITY, CALL) == {"Authorization": "Bearer we-call-city"}
    assert await choice.outbound(INSURER, CALL) == {}
    assert await choice.outbound("did:web:third.example", CALL) == {"Other": "did:web:third.example"}
    assert [choice.challenged(each, CALL, {}) for each in (CITY, "did:web:third.example")] == [False, True]
