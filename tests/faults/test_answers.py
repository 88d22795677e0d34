"""What an answer of a peer means, on a real database with a peer and a clock that the test sets; and what a flooder gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer

from connector.delivery import HttpDelivery
from connector.dispatch import Retry
from connector.flow import acts, answers, begin, letters
from connector.flow.context import Choices, Context, Deadlines
from connector.http.caller import Caller
from connector.http.client import Answer, GuardedClient
from connector.http.protocol import ProtocolServer
from connector.http.quota import Quota
from connector.identity.directory import Directory
from connector.identity.interface import Entrance
from connector.identity.pinned import PinnedTokens
from connector.identity.registry import Registry
from connector.metrics import Metrics
from connector.protocol.errors import NotFound
from connector.protocol.states import State
from connector.settings.model import DispatchSettings, PeerSettings, ProtocolSettings, QuotaSettings
from connector.settings.secret import Secret
from connector.store.control import ControlStore
from connector.store.migrate import migrate
from connector.store.registry import RegistryStore
from connector.store.rows import Outgoing
from connector.store.sqlite import SqliteEngine
from tests.flow.house import MIGRATIONS, OFFER

BEGIN = 1_700_000_000_000
PEERS = [
    PeerSettings(id=name, addresses=(f"https://{name}.example",), inbound_token=Secret(f"token-of-{name}-0123456789"))
    for name in ("near", "far")
]


@dataclass
class Clock:
    """Stands still until the test moves it."""

    now: int = BEGIN

    def __call__(self) -> int:
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ControlStore]:
    engine = await SqliteEngine.open(tmp_path / "control.db")
    await migrate(engine, MIGRATIONS, BEGIN)
    yield ControlStore(engine)
    await engine.close()


@dataclass
class FakePeer:
    """Stands for the guarded client: every POST gets ``status``, every GET ``state_status``."""

    status: int = 200
    body: bytes = b"{}"
    state_status: int = 404

    async def request(self, method: str, url: str, **_: Any) -> Answer:
        """See GuardedClient."""
        return Answer(self.status if method == "POST" else self.state_status, {}, self.body)


@dataclass
class Desk:
    """A consumer whose first message, a contract request, waits to be delivered."""

    context: Context
    peer: FakePeer
    delivery: HttpDelivery
    clock: Clock
    handed: list[Outgoing]


@pytest.fixture
async def desk(store: ControlStore) -> Desk:
    clock, numbers, handed = Clock(), iter(range(1000)), list[Outgoing]()
    registry = Registry(RegistryStore(store.engine), clock, lambda: clock() / 1000)
    await registry.settle(PEERS)
    context = Context(
        participant_id="me",
        callback_address="https://me.example",
        store=store,
        registry=registry,
        directory=Directory(registry),
        deadlines=Deadlines(86_400_000, 86_400_000, 86_400_000, 86_400_000),
        choices=Choices(),
        now_ms=clock,
        new_id=lambda: f"urn:test:{next(numbers)}",
        owner="worker",
        lease_ms=30_000,
        hand_over=handed.extend,
        entered=lambda _: None,
        timer_set=lambda _: None,
        wake=lambda: None,
    )
    peer = FakePeer()
    client = cast("GuardedClient", peer)
    delivery = HttpDelivery(
        context, Caller(client, PinnedTokens(PEERS, registry)), client, DispatchSettings(), Metrics(), lambda: None
    )
    await begin.request_contract(context, counterparty="near", dataset="d", offer=OFFER)
    return Desk(context, peer, delivery, clock, handed)


async def retried(desk: Desk, each: Outgoing) -> Outgoing:
    """One attempt that has to be tried again; the message as the next attempt sees it."""
    with pytest.raises(Retry) as caught:
        await desk.delivery.attempt(each)
    retry = caught.value
    return replace(each, attempts=each.attempts + 1, conflict_since=retry.conflict_since, missing_since=retry.missing_since)


@pytest.mark.parametrize(("status", "window_ms"), [(409, 5000), (404, 10_000)])
async def test_a_conflict_and_an_unknown_process_are_final_after_their_window(desk: Desk, status: int, window_ms: int) -> None:
    desk.peer.status = status
    first = await retried(desk, desk.handed[0])
    desk.clock.now += window_ms - 1
    last = await retried(desk, first)
    desk.clock.now += 1
    await desk.delivery.attempt(last)
    process = await desk.context.store.process(last.process_id)
    assert process is not None
    assert process.state is State.TERMINATED
    assert await desk.context.store.pending() == 0


async def test_another_answer_in_between_opens_a_new_window(desk: Desk) -> None:
    desk.peer.status = 409
    waiting = await retried(desk, desk.handed[0])
    desk.clock.now += 4999
    desk.peer.status = 503
    waiting = await retried(desk, waiting)
    desk.clock.now += 1
    desk.peer.status = 409
    await retried(desk, waiting)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_who_does_not_know_us_now_or_cannot_answer_is_asked_again(desk: Desk, status: int) -> None:
    desk.peer.status = status
    message = desk.handed[0]
    desk.clock.now += 3_600_000
    await retried(desk, message)
    process = await desk.context.store.process(message.process_id)
    assert process is not None
    assert process.awaiting_id == message.id


@pytest.mark.parametrize("status", [400, 403, 410, 413, 422])
async def test_every_other_4xx_is_a_refusal_kept_in_the_peers_words(desk: Desk, status: int) -> None:
    desk.peer.status, desk.peer.body = status, orjson.dumps({"code": "no-deal", "reason": ["not with you"]})
    await desk.delivery.attempt(desk.handed[0])
    process = await desk.context.store.process(desk.handed[0].process_id)
    assert process is not None
    assert process.detail.refusal is not None
    assert (process.state, process.detail.refusal.code, process.detail.refusal.reason) == (
        State.TERMINATED,
        "no-deal",
        ["not with you"],
    )


@pytest.mark.parametrize(("status", "down"), [(302, False), (429, True), (500, False), (502, True), (503, True), (504, True)])
async def test_trouble_at_the_peer_is_never_final(desk: Desk, status: int, down: bool) -> None:
    desk.peer.status = status
    desk.clock.now += 3_600_000
    with pytest.raises(Retry) as caught:
        await desk.delivery.attempt(desk.handed[0])
    assert caught.value.peer_down is down
    assert await desk.context.store.pending() == 1


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_a_refusal_decides_nothing_while_the_peer_does_not_say_how_it_stands(desk: Desk, status: int) -> None:
    first = desk.handed[0]
    await answers.answered(desk.context, first, {"providerPid": "urn:theirs:1", "consumerPid": first.process_id})
    await acts.terminate(desk.context, first.process_id)
    desk.peer.status, desk.peer.state_status = 422, status
    await retried(desk, desk.handed[-1])
    assert await desk.context.store.pending() == 1
    desk.peer.state_status = 404
    await desk.delivery.attempt(desk.handed[-1])
    assert await desk.context.store.pending() == 0


async def test_a_termination_that_nobody_takes_is_a_letter_that_can_be_sent_again_or_given_up(desk: Desk) -> None:
    acknowledged, store = desk.handed[0], desk.context.store
    await answers.answered(desk.context, acknowledged, {"providerPid": "urn:theirs:1", "consumerPid": acknowledged.process_id})
    await acts.terminate(desk.context, acknowledged.process_id)
    termination = desk.handed[-1]
    await desk.delivery.give_up(termination)
    assert [letter.id for letter in await store.dead_letters()] == [termination.id]
    assert await store.pending() == 0

    await letters.retry(desk.context, termination.id)
    revived = await store.outgoing(termination.id)
    assert revived is not None
    assert (revived.dead_at, revived.due_at) == (None, desk.clock.now)
    with pytest.raises(NotFound):
        await letters.give_up(desk.context, termination.id)

    await desk.delivery.give_up(revived)
    await letters.give_up(desk.context, termination.id)
    assert await store.outgoing(termination.id) is None
    with pytest.raises(NotFound):
        await letters.retry(desk.context, termination.id)


# -- the way in ---------------------------------------------------------------------------------------------------------


async def test_who_floods_us_gets_429_and_others_are_answered(desk: Desk) -> None:
    quota = Quota(QuotaSettings(requests_per_s=1, burst=5), lambda: 0.0, Metrics())
    assert desk.context.registry is not None
    entrance = Entrance("/dsp/2025-1", PinnedTokens(PEERS, desk.context.registry), {})
    server = ProtocolServer(desk.context, "http://us", [entrance], quota, ProtocolSettings(), Metrics(), lambda: True)
    async with TestClient(TestServer(server.application())) as client:

        async def ask(name: str) -> int:
            headers = {"Authorization": f"Bearer token-of-{name}-0123456789"}
            async with client.get("/dsp/2025-1/negotiations/unknown", headers=headers) as response:
                return response.status

        assert [await ask("far") for _ in range(7)] == [404] * 5 + [429] * 2
        assert [await ask("near") for _ in range(5)] == [404] * 5
