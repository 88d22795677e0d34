"""The client side of OAuth: what is shown to whom, how tokens are come by and kept, and what hostile peers get out of us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.http.client import EgressRefused, PeerUnreachable
from connector.identity import tokens
from connector.identity.gate import Expected, public_key, sight, verify
from connector.identity.interface import Call, Scope
from connector.identity.metadata import SERVER_PATH, resource_path
from connector.identity.participants import Admission, Participant, Profile
from connector.identity.tokens import ASSERTION_TYPE
from connector.protocol.errors import CallerError, CarnetError, PeerError, Unavailable
from connector.settings.secret import Secret
from tests.identity.counters import (
    BASE,
    CALL,
    NEW,
    NOW_MS,
    OLD,
    ORIGIN,
    OTHER,
    PEER,
    SSO,
    US,
    World,
    about,
    answer,
    given_token,
    resource,
    shown_in,
    through,
)
from tests.identity.entries import KnownEntries, reached_at
from tests.identity.shelf import page


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.client.close()


# -- what is shown ----------------------------------------------------------------------------------------------------------


async def test_a_request_shows_a_token_and_a_proof_of_its_own(world: World) -> None:
    jtis = set()
    for _ in range(2):
        shown = await world.client.outbound(PEER, CALL)
        assert shown["Authorization"] == "DPoP token-1"
        found = shown_in(shown["DPoP"], "POST", CALL.url, "token-1")
        assert (found.thumbprint, found.nonce) == (OLD.thumbprint, None)
        jtis.add(found.jti)
    assert (len(jtis), len(world.counter.asked)) == (2, 1)


async def test_what_an_authorization_server_is_shown_is_for_it_alone(world: World) -> None:
    await world.token()
    (asked,) = world.counter.asked
    assert asked.url == ORIGIN + "/oauth/token"
    assertion = asked.form.pop("client_assertion")
    assert asked.form == {
        "grant_type": "client_credentials",
        "client_id": US,
        "resource": BASE,
        "scope": "catalog negotiation transfer messages",
        "client_assertion_type": ASSERTION_TYPE,
    }
    expected = Expected(
        types=frozenset({"client-authentication+jwt"}),
        algorithms=frozenset({"ES256"}),
        max_lifetime_s=tokens.ASSERTION_LIFE_S,
        issuer=US,
        audience=ORIGIN,
    )
    token = verify(sight(assertion, expected), public_key(OLD.public_jwk), expected, NOW_MS // 1000)
    assert token.header["kid"] == f"{US}#old"
    assert token.claims["sub"] == US
    shown_in(asked.headers["DPoP"], "POST", asked.url)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/dsp/2025-1/catalog/request",
        ORIGIN + "/dsp/2025-10/catalog/request",
        ORIGIN + "/",
        "http://peer.example/dsp/2025-1/catalog/request",
    ],
)
async def test_who_we_are_is_shown_at_addresses_of_the_participant_alone(world: World, url: str) -> None:
    found = await world.refusal(call=Call("GET", url, Scope.CATALOG))
    assert (type(found), found.code) == (CallerError, "address-foreign")
    assert (await world.refusal("did:web:nobody.example")).code == "address-foreign"
    assert not world.counter.asked
    assert not world.shelf.asked


async def test_of_two_addresses_the_nearer_one_is_the_resource(world: World) -> None:
    inner = BASE + "/tenant"
    world.entries.entries[PEER] = reached_at(PEER, BASE, inner)
    world.shelf.pages[ORIGIN + resource_path("/dsp/2025-1/tenant")] = page(resource(inner, ORIGIN))
    await world.token(Call("GET", inner, Scope.CATALOG))
    assert world.counter.asked[0].form["resource"] == inner


# -- whom we ask for a token ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["https://evil.example", ORIGIN + "/realm", ORIGIN + ":8443", "http://peer.example", SSO])
async def test_a_peer_cannot_name_an_authorization_server_of_its_choice(world: World, named: str) -> None:
    world.offers(named)
    found = await world.refusal()
    # A plain http issuer is refused by the metadata already.
    assert found.code in ("issuer-foreign", "metadata-unavailable")
    assert not world.counter.asked
    assert named + SERVER_PATH not in world.shelf.asked


async def test_an_issuer_of_ours_is_asked_for_its_participants_alone() -> None:
    """A token of it may be good at each of them: a stranger who names it would get one."""
    world = through()
    assert await world.token() == "token-1"
    assert (await world.refusal(OTHER)).code == "issuer-foreign"
    assert [asked.url for asked in world.counter.asked] == [SSO + "/token"]


async def test_the_first_issuer_that_we_know_is_asked() -> None:
    world = through()
    world.offers("https://evil.example", SSO, ORIGIN)
    await world.token()
    assert world.counter.asked[0].url == SSO + "/token"


async def test_metadata_of_another_resource_or_issuer_is_refused(world: World) -> None:
    at, server_at = ORIGIN + resource_path("/dsp/2025-1"), ORIGIN + SERVER_PATH
    world.shelf.pages[at] = page(resource("https://victim.example/dsp/2025-1", ORIGIN))
    found = await world.refusal()
    assert (type(found), found.code) == (Unavailable, "metadata-unavailable")
    world.shelf.pages[at] = page(resource(BASE, ORIGIN))
    world.shelf.pages[server_at] = page(about(ORIGIN, issuer="https://victim.example"))
    world.shelf.now += 400
    assert (await world.refusal()).code == "metadata-unavailable"
    assert not world.counter.asked


async def test_who_we_are_at_an_issuer_is_for_the_settings_to_say() -> None:
    world = through(client_id="carnet-7", scope="cars", client_secret=Secret("hush"))
    await world.token()
    (asked,) = world.counter.asked
    assert asked.form == {
        "grant_type": "client_credentials",
        "client_id": "carnet-7",
        "resource": BASE,
        "scope": "cars",
        "client_secret": "hush",
    }
    world = through()
    await world.token()
    (asked,) = world.counter.asked
    assert "scope" not in asked.form
    assert asked.form["client_id"] == US


# -- what an authorization server answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (given_token(access_token=None), "token-invalid"),
        (given_token(access_token=7), "token-invalid"),
        (given_token(access_token=""), "token-invalid"),
        (given_token("x" * (tokens.MAX_TOKEN_CHARS + 1)), "token-invalid"),
        (given_token("tökén"), "token-invalid"),
        (given_token("two words"), "token-invalid"),
        (given_token("line\r\nDPoP: x"), "token-invalid"),
        (given_token("line\n"), "token-invalid"),
        (given_token(token_type="Bearer"), "token-unbound"),
        (given_token(token_type="mac"), "token-unbound"),
        (given_token(token_type=None), "token-unbound"),
        (given_token(token_type=["DPoP"]), "token-unbound"),
        ([given_token()], "token-invalid"),
        (b"not JSON", "token-invalid"),
        (b"[" * 60_000, "token-invalid"),
    ],
)
async def test_what_is_no_token_bound_to_our_key_is_not_used(world: World, document: Any, code: str) -> None:
    world.counter.answers.append(answer(document))
    found = await world.refusal()
    assert (type(found), found.code) == (PeerError, code)
    # And not kept: the next one is.
    assert await world.token() == "token-2"


async def test_an_unbound_token_is_used_where_it_was_agreed_on() -> None:
    profile = Profile(addresses=(BASE,), tokens="bearer")
    agreed = World(entries=KnownEntries([Participant(id=PEER, state=Admission.ADMITTED, profile=profile)]))
    for world in (agreed, through(sender_constraint="bearer")):
        world.counter.answers += [answer(given_token(token_type="bearer")), answer(given_token("strange", token_type="mac"))]
        assert await world.client.outbound(PEER, CALL) == {"Authorization": "Bearer token"}
        world.now_ms += 300_000
        assert (await world.refusal()).code == "token-unbound"
        # One that is bound goes with a proof all the same.
        assert "DPoP" in await world.client.outbound(PEER, CALL)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, PeerError), (401, PeerError), (302, PeerError), (429, Unavailable), (500, Unavailable), (503, Unavailable)],
)
async def test_a_refusal_says_whose_turn_it_is(world: World, status: int, kind: type[CarnetError]) -> None:
    said = {"error": "invalid_client", "error_description": "no such key\r\n\x1b[31m" + "x" * 9999}
    world.counter.answers.append(answer(said, status))
    found = await world.refusal()
    assert (type(found), found.code) == (kind, "token-refused")
    assert "invalid_client no such key" in found.reason
    assert found.reason.isprintable()
    assert len(found.reason) < 1000


@pytest.mark.parametrize("document", [b"", {"error": {"a": 1}}, ["error"]])
async def test_a_refusal_without_words_has_its_status(world: World, document: Any) -> None:
    world.counter.answers.append(answer(document, 400))
    assert (await world.refusal()).reason.endswith(": 400")


@pytest.mark.parametrize("error", [EgressRefused("address", "not public"), PeerUnreachable("connect", "no connection")])
async def test_a_server_that_cannot_be_reached_is_asked_again_later(world: World, error: Exception) -> None:
    world.counter.answers.append(error)
    found = await world.refusal()
    assert (type(found), found.code) == (Unavailable, "issuer-unreachable")
    assert await world.token() == "token-2"


async def test_an_acquisition_has_a_deadline(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "ACQUISITION_S", 0.0)
    world.counter.gate.clear()
    found = await world.refusal()
    assert (type(found), found.code) == (Unavailable, "token-too-slow")


async def test_an_authorization_server_may_ask_for_a_nonce_once(world: World) -> None:
    again = answer({"error": "use_dpop_nonce"}, 400, DPoP_Nonce="n1")
    world.counter.answers += [again, answer(given_token())]
    assert await world.token() == "token"
    proofs = [shown_in(each.headers["DPoP"], "POST", each.url) for each in world.counter.asked]
    assert [proof.nonce for proof in proofs] == [None, "n1"]
    # The assertion is single-use, too.
    assert len({each.form["client_assertion"] for each in world.counter.asked}) == 2
    world.now_ms += 300_000
    world.counter.answers += [again, again, answer(given_token())]
    assert (await world.refusal()).code == "token-refused"
    assert len(world.counter.asked) == 4
    world.counter.answers = [answer({"error": "use_dpop_nonce"}, 503, DPoP_Nonce="n1")]
    assert (await world.refusal()).code == "token-refused"
    assert len(world.counter.asked) == 5


@pytest.mark.parametrize("nonce", ["", "\udcff", "ünlike", "two words", "x" * 513])
async def test_a_nonce_that_cannot_stand_in_a_proof_is_none(world: World, nonce: str) -> None:
    world.counter.answers.append(answer({"error": "use_dpop_nonce"}, 400, DPoP_Nonce=nonce))
    assert (await world.refusal()).code == "token-refused"
    assert len(world.counter.asked) == 1
    challenge = {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"', "DPoP-Nonce": nonce}
    assert not world.client.challenged(PEER, CALL, challenge)
    await world.client.outbound(PEER, CALL)


# -- how long a token is kept -----------------------------------------------------------------------------------------------


_lives = st.one_of(
    st.none(),
    st.integers(-10, 2 * tokens.MAX_LIFE_S),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
    st.booleans(),
    st.just([300]),
)


@given(_lives)
@settings(max_examples=80, deadline=None)
async def test_whatever_life_is_claimed_a_token_is_kept_for_some_time_and_a_day_at_most(life: Any) -> None:
    world = World()
    world.counter.answers.append(answer(given_token(expires_in=life)))
    assert await world.token() == await world.token() == "token"
    (held,) = world.client._held.values()
    assert 500 <= held.until - NOW_MS <= tokens.MAX_LIFE_S * 1000
    if type(life) is int and 0 < life <= tokens.MAX_LIFE_S:
        assert held.until < NOW_MS + life * 1000
    else:
        assert held.until == NOW_MS + tokens.DEFAULT_LIFE_S * 1000 - tokens.EARLY_MS
    world.now_ms = held.until
    assert await world.token() == "token-2"


async def test_a_clock_that_is_set_back_does_not_lengthen_a_life(world: World) -> None:
    assert await world.token() == "token-1"
    world.now_ms -= 1
    assert await world.token() == "token-2"


async def test_with_a_new_key_there_is_a_new_token(world: World) -> None:
    await world.token()
    world.key = NEW
    shown = await world.client.outbound(PEER, CALL)
    assert shown["Authorization"] == "DPoP token-2"
    found = shown_in(shown["DPoP"], "POST", CALL.url, "token-2")
    assert found.thumbprint == NEW.thumbprint


async def test_a_key_that_changes_during_an_acquisition_goes_with_no_token_of_the_other(world: World) -> None:
    world.counter.gate.clear()
    asking = asyncio.create_task(world.client.outbound(PEER, CALL))
    await world.counter.news.wait()
    world.key = NEW
    world.counter.gate.set()
    found = shown_in((await asking)["DPoP"], "POST", CALL.url, "token-1")
    assert found.thumbprint == OLD.thumbprint
    assert await world.token() == "token-2"


async def test_a_token_is_shown_to_the_participant_that_it_was_got_for(world: World) -> None:
    assert [await world.token(counterparty=each) for each in (PEER, OTHER, PEER)] == ["token-1", "token-2", "token-1"]


async def test_the_memory_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_HELD", 3)
    for number in range(6):
        name = f"did:web:n{number}.example"
        world.entries.entries[name] = reached_at(name, BASE)
        await world.token(counterparty=name)
        world.client.challenged(name, CALL, {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"', "DPoP-Nonce": "n"})
    assert (len(world.client._held), len(world.client._nonces), len(world.client._under_way)) == (3, 3, 0)


async def test_no_representation_shows_a_token(world: World) -> None:
    world.counter.answers.append(answer(given_token("very-secret")))
    await world.token()
    assert "very-secret" not in repr(world.client._held)


# -- many at once -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.booleans(), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
async def test_requests_at_once_share_one_acquisition_and_who_leaves_takes_nobody_along(leaving: list[bool]) -> None:
    world = World()
    world.counter.gate.clear()
    waiting = [asyncio.create_task(world.token()) for _ in leaving]
    await world.counter.news.wait()
    for task, leaves in zip(waiting, leaving, strict=True):
        if leaves:
            task.cancel()
    await asyncio.sleep(0)
    world.counter.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in found] == leaving
    assert {each for each in found if isinstance(each, str)} <= {"token-1"}
    # Even if everybody left, what was asked for is kept.
    assert await world.token() == "token-1"
    assert len(world.counter.asked) == 1


async def test_who_waits_for_what_fails_is_told_and_the_next_one_tries_again(world: World) -> None:
    world.counter.gate.clear()
    world.counter.answers.append(answer({}, 503))
    waiting = [asyncio.create_task(world.refusal()) for _ in range(3)]
    await world.counter.news.wait()
    world.counter.gate.set()
    assert {error.code for error in await asyncio.gather(*waiting)} == {"token-refused"}
    assert await world.token() == "token-2"


async def test_a_failure_that_nobody_waits_for_is_no_noise(world: World) -> None:
    world.counter.gate.clear()
    world.counter.answers.append(answer({}, 503))
    asking = asyncio.create_task(world.token())
    await world.counter.news.wait()
    asking.cancel()
    world.counter.gate.set()
    await asyncio.gather(asking, return_exceptions=True)
    assert await world.token() == "token-2"


async def test_closing_ends_acquisitions_and_cancels_nobody(world: World) -> None:
    world.counter.gate.clear()
    asking = asyncio.create_task(world.refusal())
    await world.counter.news.wait()
    await world.client.close()
    found = await asking
    assert (type(found), found.code) == (Unavailable, "token-closed")
    assert not world.client._under_way
    await world.client.close()
