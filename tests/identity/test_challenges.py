"""The client side of OAuth when it is challenged: what is shown next, and what a peer that refuses everything costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
from multidict import CIMultiDict

from connector.identity import tokens
from connector.identity.interface import Call, Scope
from tests.identity.counters import (
    CALL,
    ORIGIN,
    OTHER,
    PEER,
    World,
    shown_in,
)

INVALID: Final = {"WWW-Authenticate": 'DPoP error="invalid_token", algs="ES256"'}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.client.close()


async def test_the_nonce_of_a_peer_is_in_the_next_proof_for_it_alone(world: World) -> None:
    await world.token()
    challenge = CIMultiDict({"www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": "n1"})
    assert world.client.challenged(PEER, CALL, challenge)
    nonces = []
    for counterparty in (PEER, OTHER):
        shown = await world.client.outbound(counterparty, CALL)
        token = shown["Authorization"].partition(" ")[2]
        nonces.append(shown_in(shown["DPoP"], "POST", CALL.url, token).nonce)
    assert nonces == ["n1", None]
    # The token was good.
    assert await world.token() == "token-1"


async def test_a_token_that_is_refused_is_replaced(world: World) -> None:
    await world.token()
    await world.token(counterparty=OTHER)
    world.now_ms += tokens.YOUNG_MS
    assert world.client.challenged(PEER, CALL, INVALID)
    assert [await world.token(), await world.token(counterparty=OTHER)] == ["token-3", "token-2"]


async def test_a_token_of_another_resource_stays(world: World) -> None:
    await world.token()
    world.now_ms += tokens.YOUNG_MS
    assert world.client.challenged(PEER, Call("GET", ORIGIN + "/elsewhere", Scope.CATALOG), INVALID)
    assert await world.token() == "token-1"


async def test_a_refusal_without_a_reason_is_not_answered_but_the_token_is_dropped(world: World) -> None:
    await world.token()
    world.now_ms += tokens.YOUNG_MS
    assert not world.client.challenged(PEER, CALL, {})
    assert await world.token() == "token-2"


async def test_a_proof_that_was_not_taken_is_made_anew_with_the_same_token(world: World) -> None:
    """A library repeats a read when its connection breaks; the first copy of the proof may have arrived."""
    first = await world.client.outbound(PEER, CALL)
    assert world.client.challenged(PEER, CALL, {"WWW-Authenticate": 'DPoP error="invalid_dpop_proof"'})
    second = await world.client.outbound(PEER, CALL)
    assert first["Authorization"] == second["Authorization"]
    assert first["DPoP"] != second["DPoP"]


async def test_a_peer_that_refuses_every_token_has_us_ask_for_few(world: World) -> None:
    """Its authorization server may be one that others need, too."""
    for _ in range(50):
        await world.token()
        world.client.challenged(PEER, CALL, INVALID)
        world.now_ms += 100
    assert len(world.counter.asked) == 1


async def test_requests_with_an_old_token_that_are_refused_together_share_the_new_one(world: World) -> None:
    await world.token()
    world.now_ms += tokens.YOUNG_MS
    for _ in range(3):
        assert world.client.challenged(PEER, CALL, INVALID)
        assert await world.token() == "token-2"
    # A clock that was set back makes no token young.
    world.now_ms -= 1
    assert world.client.challenged(PEER, CALL, INVALID)
    assert not world.client._held
