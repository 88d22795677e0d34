"""The consumer's tokens: renewed in time and one at a time; whatever is lost or killed, the transfer has a token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

import msgspec
import pytest

from connector.dataplane import pairs
from connector.dataplane.messages import DataAddress
from connector.dataplane.pairs import Made
from connector.dataplane.problems import Refusal
from connector.dataplane.records import Records
from connector.dataplane.renewing import NotRenewed, Renewer, note_received
from connector.dataplane.states import Role, State
from connector.http.client import Answer, EgressRefused, GuardedClient, PeerUnreachable
from connector.store.engine import Statement
from tests.dataplane.shelves import FLOW, LIFE_S, URL, Racing, Shelf, shelf

BUYER = "urn:flow:buyer"


@dataclass
class Wire:
    """The provider's token endpoint, over a wire that loses what ``fates`` says: "request", "answer", or "" for nothing."""

    provider: Shelf
    fates: list[str] = field(default_factory=list)
    asked: int = 0
    answers: list[Any] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, **_: Any) -> Answer:
        self.asked += 1
        self.called.set()
        await self.gate.wait()
        assert (method, url) == ("POST", f"{URL}/token")
        form = parse_qs(body.decode())
        assert form["grant_type"] == ["refresh_token"]
        fate = self.fates.pop(0) if self.fates else ""
        if fate == "request":
            raise PeerUnreachable("reset", "lost on its way")
        if fate == "egress":
            raise EgressRefused("address", "not there")
        if self.answers:
            status, document = self.answers.pop(0)
            return Answer(status, {}, document if isinstance(document, bytes) else msgspec.json.encode(document))
        try:
            made = await self.provider.tokens.renew(FLOW, form["refresh_token"][0], headers["Authorization"][7:])
        except Refusal as refusal:
            return Answer(refusal.status, {}, b"{}")
        if fate == "answer":
            raise PeerUnreachable("reset", "the answer was lost")
        answer = {"access_token": made.access, "refresh_token": made.refresh, "expires_in": made.life_s, "token_type": "Bearer"}
        return Answer(200, {}, msgspec.json.encode(answer))


@dataclass
class Pair:
    """A provider's and a consumer's flow in one database each, and the wire between them."""

    provider: Shelf
    consumer: Shelf
    wire: Wire

    def renewer(self, records: Records | None = None) -> Renewer:
        """A new one, as after a restart."""
        client = cast(GuardedClient, self.wire)
        return Renewer(
            records or self.consumer.records, client, self.provider.checker.asserter, 5.0, lambda: self.provider.clock.ms
        )

    async def opens(self, address: DataAddress) -> None:
        """The address's token opens the data."""
        await self.provider.tokens.admitted(FLOW, address.get("authorization") or "")


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Pair]:
    async with shelf(tmp_path / "provider.db") as provider, shelf(tmp_path / "consumer.db") as consumer:
        made = await provider.begin()
        await consumer.begin(flow_id=BUYER, role=Role.CONSUMER)
        await keep(consumer, pairs.address_of(URL, made))
        yield Pair(provider, consumer, Wire(provider))


async def keep(consumer: Shelf, address: DataAddress) -> None:
    """An address of the provider's has come."""
    await consumer.records.commit(
        [
            Statement("UPDATE flow SET address = ?", (msgspec.json.encode(address).decode(),)),
            note_received(BUYER, address, consumer.clock()),
        ]
    )


async def good(renewer: Renewer, refused: str | None = None) -> DataAddress:
    address = await renewer.address(BUYER, refused=refused)
    assert address is not None
    return address


async def test_a_token_is_used_until_two_thirds_of_its_life_are_over(both: Pair) -> None:
    first = await good(both.renewer())
    both.provider.clock.ms += (LIFE_S - 31) * 1000
    assert await good(both.renewer()) == first
    assert both.wire.asked == 0
    both.provider.clock.ms += 1000
    fresh = await good(both.renewer())
    assert both.wire.asked == 1
    assert fresh.get("authorization") != first.get("authorization")
    assert (fresh.endpoint, fresh.get("refreshEndpoint"), fresh.get("authType")) == (URL, f"{URL}/token", "bearer")
    assert await both.consumer.stored(BUYER) == fresh
    await both.opens(first)
    await both.opens(fresh)
    with pytest.raises(Refusal, match="token_revoked"):
        await both.opens(first)


async def test_many_who_need_a_token_renew_it_once(both: Pair) -> None:
    both.provider.clock.ms += LIFE_S * 1000
    renewer = both.renewer()
    both.wire.gate.clear()
    waiting = [asyncio.create_task(good(renewer)) for _ in range(8)]
    await both.wire.called.wait()
    both.wire.gate.set()
    found = await asyncio.gather(*waiting)
    assert both.wire.asked == 1
    assert len({address.get("authorization") for address in found}) == 1


async def test_a_refused_token_is_renewed_whatever_the_clock_says_and_only_that_one(both: Pair) -> None:
    first = await good(both.renewer())
    token = first.get("authorization")
    fresh = await good(both.renewer(), refused=token)
    assert fresh.get("authorization") != token
    assert await good(both.renewer(), refused=token) == fresh
    assert both.wire.asked == 1


@pytest.mark.parametrize("fates", [["answer"], ["request"], ["answer", "answer", "request", "answer"]])
async def test_a_lost_answer_kills_nothing(both: Pair, fates: list[str]) -> None:
    both.provider.clock.ms += LIFE_S * 1000
    both.wire.fates = list(fates)
    for _ in fates:
        with pytest.raises(NotRenewed) as caught:
            await good(both.renewer())
        assert caught.value.passing
    await both.opens(await good(both.renewer()))


async def test_before_its_end_the_old_token_does_when_there_is_no_new_one(both: Pair) -> None:
    first = await good(both.renewer())
    both.provider.clock.ms += (LIFE_S - 10) * 1000
    both.wire.fates = ["answer"]
    assert await good(both.renewer()) == first
    await both.opens(first)
    both.provider.checker.away = True
    assert await good(both.renewer()) == first


async def test_killed_before_the_answer_is_kept_it_begins_again(both: Pair) -> None:
    """The provider has made the new pair; the consumer's database never learns of it."""

    async def killed() -> None:
        raise RuntimeError("killed")

    both.provider.clock.ms += LIFE_S * 1000
    with pytest.raises(RuntimeError, match="killed"):
        await both.renewer(Racing(both.consumer.records, 1, killed)).address(BUYER)
    await both.opens(await good(both.renewer()))


async def test_a_suspension_meanwhile_throws_the_new_token_away(both: Pair) -> None:
    async def suspended() -> None:
        await both.consumer.move(State.SUSPENDED, BUYER)

    before = await both.consumer.stored(BUYER)
    both.provider.clock.ms += LIFE_S * 1000
    assert await both.renewer(Racing(both.consumer.records, 1, suspended)).address(BUYER) is None
    assert await both.consumer.stored(BUYER) == before
    assert await both.renewer().address(BUYER) is None


async def test_another_address_meanwhile_wins(both: Pair) -> None:
    other = pairs.address_of(URL, Made("another-token", "another-refresh", LIFE_S, 0))

    async def changed() -> None:
        await keep(both.consumer, other)

    both.provider.clock.ms += LIFE_S * 1000
    assert await both.renewer(Racing(both.consumer.records, 1, changed)).address(BUYER) == other
    assert await both.consumer.stored(BUYER) == other


async def test_a_lost_race_about_something_else_is_run_again(both: Pair) -> None:
    both.provider.clock.ms += LIFE_S * 1000
    fresh = await good(both.renewer(Racing(both.consumer.records, 2)))
    assert await both.consumer.stored(BUYER) == fresh
    assert both.wire.asked == 1


async def test_an_address_without_renewal_is_used_as_it_is(both: Pair) -> None:
    await keep(both.consumer, pairs.address_of(URL, Made("token-of-another-make", None, None, 0)))
    both.provider.clock.ms += 10 * LIFE_S * 1000
    address = await good(both.renewer())
    assert address.get("authorization") == "token-of-another-make"
    assert await good(both.renewer(), refused="token-of-another-make") == address
    assert both.wire.asked == 0


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"\xff"),
        (200, []),
        (200, {}),
        (200, {"access_token": "a b"}),
        (200, {"access_token": "x\r\nInjected: 1"}),
        (200, {"access_token": "a" * 5000}),
        (200, {"access_token": "a", "refresh_token": ""}),
        (400, {"error": "invalid_grant"}),
        (302, {}),
    ],
)
async def test_what_is_no_token_is_not_kept(both: Pair, answer: tuple[int, Any]) -> None:
    before = await both.consumer.stored(BUYER)
    both.provider.clock.ms += LIFE_S * 1000
    both.wire.answers = [answer]
    with pytest.raises(NotRenewed) as caught:
        await good(both.renewer())
    assert caught.value.passing
    assert (before.get("refreshToken") or "none") not in str(caught.value)
    assert await both.consumer.stored(BUYER) == before


async def test_an_answer_may_leave_out_what_stays(both: Pair) -> None:
    before = await both.consumer.stored(BUYER)
    both.provider.clock.ms += LIFE_S * 1000
    both.wire.answers = [(200, {"access_token": "fresh"})]
    fresh = await good(both.renewer())
    assert fresh.get("authorization") == "fresh"
    assert fresh.get("refreshToken") == before.get("refreshToken")


async def test_where_we_may_not_call_there_is_no_token(both: Pair) -> None:
    both.provider.clock.ms += LIFE_S * 1000
    both.wire.fates = ["egress"]
    with pytest.raises(NotRenewed) as caught:
        await good(both.renewer())
    assert not caught.value.passing
