"""Requests that show who we are: what a peer that challenges gets, and when it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from connector.http.caller import MAX_ATTEMPTS, Caller
from connector.http.client import Answer, EgressRefused, GuardedClient, PeerUnreachable
from connector.identity.interface import Call, Scope
from connector.protocol.errors import Unavailable

PEER: Final = "did:web:peer.example"
URL: Final = "https://peer.example/dsp/2025-1/negotiations/request"


@dataclass
class Wire:
    """A client and an identity of paper. ``statuses`` are what the peer answers, the last one for ever; ``helps`` whether what is
    shown then is another thing."""

    statuses: list[int]
    helps: bool = True
    sent: list[tuple[str, Mapping[str, str], bytes | None]] = field(default_factory=list)
    challenges: list[Mapping[str, str]] = field(default_factory=list)
    error: Exception | None = None
    never: asyncio.Event = field(default_factory=asyncio.Event)
    waits_for: str = ""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float | None
    ) -> Answer:
        """See GuardedClient."""
        assert url == URL
        self.sent.append((method, headers, body))
        if self.waits_for == "peer":
            await self.never.wait()
        if self.error is not None:
            raise self.error
        status = self.statuses[min(len(self.sent), len(self.statuses)) - 1]
        return Answer(status, CIMultiDict({"DPoP-Nonce": f"n{len(self.sent)}"}), b"answer")

    async def outbound(self, counterparty: str, call: Call) -> Mapping[str, str]:
        """See Outbound."""
        assert (counterparty, call) == (PEER, Call("POST", URL, Scope.NEGOTIATION))
        if self.waits_for == "identity":
            await self.never.wait()
        return {"Authorization": f"DPoP {len(self.challenges)}"}

    def challenged(self, counterparty: str, call: Call, headers: Mapping[str, str]) -> bool:
        """See Outbound."""
        self.challenges.append(headers)
        return self.helps

    async def call(self, **changes: Any) -> Answer:
        """A request to the peer."""
        shown: dict[str, Any] = {"headers": {"X-Correlation-ID": "c", "Authorization": "none"}, "body": b"message", **changes}
        return await Caller(cast("GuardedClient", self), self).request("POST", PEER, URL, Scope.NEGOTIATION, **shown)


async def test_what_shows_who_we_are_goes_beside_the_other_headers() -> None:
    wire = Wire([200])
    found = await wire.call()
    assert (found.status, found.body) == (200, b"answer")
    assert wire.sent == [("POST", {"X-Correlation-ID": "c", "Authorization": "DPoP 0"}, b"message")]


@given(st.lists(st.sampled_from([200, 302, 400, 401, 403, 500]), min_size=1, max_size=8), st.booleans())
async def test_a_challenge_is_answered_and_nothing_else_is(statuses: list[int], helps: bool) -> None:
    wire = Wire([*statuses, 401], helps=helps)
    found = await wire.call()
    # As many challenges as there are at the start, and the answer behind them.
    needed = 1 + next((number for number, status in enumerate(wire.statuses) if status != 401), MAX_ATTEMPTS)
    assert len(wire.sent) == (min(needed, MAX_ATTEMPTS) if helps else 1)
    assert found.status == [*wire.statuses, *[401] * MAX_ATTEMPTS][len(wire.sent) - 1]
    # Each attempt shows what is known since the one before, and asks for the same.
    assert [headers["Authorization"] for _, headers, _ in wire.sent] == [f"DPoP {number}" for number in range(len(wire.sent))]
    assert {body for _, _, body in wire.sent} == {b"message"}


async def test_a_peer_that_challenges_for_ever_is_given_up() -> None:
    wire = Wire([401])
    assert (await wire.call()).status == 401
    assert len(wire.sent) == MAX_ATTEMPTS
    # The identity has seen what came with each challenge that was answered.
    assert [each["DPoP-Nonce"] for each in wire.challenges] == ["n1", "n2", "n3"]


@pytest.mark.parametrize("waits_for", ["identity", "peer"])
async def test_the_deadline_is_for_all_of_it(waits_for: str) -> None:
    wire = Wire([200], waits_for=waits_for)
    with pytest.raises(PeerUnreachable) as found:
        await wire.call(timeout_s=0.0)
    assert (found.value.code, found.value.retry) == ("timeout", True)


@pytest.mark.parametrize(
    "error",
    [EgressRefused("address", "not public"), PeerUnreachable("reset", "closed"), Unavailable("token", "none")],
)
async def test_a_failure_is_not_a_challenge(error: Exception) -> None:
    wire = Wire([401], error=error)
    with pytest.raises(type(error)):
        await wire.call()
    assert len(wire.sent) == 1


async def test_who_is_cancelled_is_cancelled() -> None:
    wire = Wire([200], waits_for="peer")
    calling = asyncio.create_task(wire.call(timeout_s=60.0))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
