"""The way out, one property at a time: real databases, a peer that does what the test says, a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer

from connector.delivery import HttpDelivery
from connector.dispatch import Dispatcher, Retry
from connector.flow import acts, answers, begin, letters
from connector.flow.context import Choices, Context, Deadlines
from connector.http.client import Answer, GuardedClient
from connector.http.protocol import ProtocolServer
from connector.http.quota import Quota
from connector.identity.static import Directory, StaticTokens
from connector.metrics import Metrics
from connector.protocol.errors import NotFound
from connector.protocol.states import State
from connector.settings.model import DispatchSettings, PeerSettings, ProtocolSettings, QuotaSettings
from connector.settings.secret import Secret
from connector.store import writes
from connector.store.control import ControlStore
from connector.store.engine import Engine, Statement
from connector.store.migrate import migrate
from connector.store.rows import Outgoing
from connector.store.sqlite import SqliteEngine
from tests.flow.house import MIGRATIONS, OFFER

GUARD_S = 20.0
BEGIN = 1_700_000_000_000
SETTINGS = DispatchSettings(per_peer_concurrency=2)
PEERS = [
    PeerSettings(id=name, addresses=(f"https://{name}.example",), inbound_token=Secret(f"token-of-{name}-0123456789"))
    for name in ("near", "far")
]


class WatchedStore(ControlStore):
    """Tells when something was committed, so that a test waits for facts and not for time."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._changed = asyncio.Condition()
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()

    async def commit(self, statements: Sequence[Statement]) -> None:
        """See ControlStore."""
        await super().commit(statements)
        async with self._changed:
            self._changed.notify_all()

    async def next_due(self) -> int | None:
        """See ControlStore; the answer may be held back."""
        due_at = await super().next_due()
        self.asked.set()
        await self.answer.wait()
        return due_at

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Until it holds after some commit."""
        async with asyncio.timeout(GUARD_S), self._changed:
            while not await holds():
                await self._changed.wait()


@dataclass
class FakeDelivery:
    """Does to each message what ``script`` says of its counterparty; without a word the message is delivered."""

    store: ControlStore
    script: dict[str, Callable[[Outgoing], Awaitable[None]]] = field(default_factory=dict)
    attempts: list[Outgoing] = field(default_factory=list)
    given_up: list[Outgoing] = field(default_factory=list)

    async def attempt(self, message: Outgoing) -> None:
        """See Delivery."""
        self.attempts.append(message)
        if message.counterparty in self.script:
            await self.script[message.counterparty](message)
        await self.store.commit([writes.delete_outgoing(message.id)])

    async def give_up(self, message: Outgoing) -> None:
        """See Delivery."""
        self.given_up.append(message)
        await self.store.commit([writes.bury_outgoing(message.id, "given up", BEGIN)])


@dataclass
class Clock:
    """Stands still until the test moves it."""

    now: int = BEGIN

    def __call__(self) -> int:
        return self.now


def message(number: int, counterparty: str, **more: Any) -> Outgoing:
    """A message in a lane of its own."""
    values: dict[str, Any] = {
        "id": f"urn:m:{number}",
        "lane": f"lane:{number}",
        "channel": "peer",
        "counterparty": counterparty,
        "process_id": "",
        "message": "Hello",
        "url": f"https://{counterparty}.example/messages",
        "body": '{"@type": "Hello"}',
        "correlation_id": "c",
        "created_at": BEGIN,
        "deadline_at": BEGIN + 86_400_000,
        "due_at": BEGIN,
    }
    return Outgoing(**{**values, **more})


async def hang(_: Outgoing) -> None:
    """A peer that takes the connection and says nothing."""
    await asyncio.Event().wait()


async def refuse(_: Outgoing) -> None:
    """A peer that is not there."""
    raise Retry("nobody listens", peer_down=True)


async def open_store(path: Path) -> WatchedStore:
    engine = await SqliteEngine.open(path)
    await migrate(engine, MIGRATIONS, BEGIN)
    return WatchedStore(engine)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[WatchedStore]:
    store = await open_store(tmp_path / "control.db")
    yield store
    await store.engine.close()


@asynccontextmanager
async def dispatching(store: ControlStore, delivery: Any, clock: Clock, owner: str = "worker") -> AsyncIterator[Dispatcher]:
    """A dispatcher at work; at the end it drains at once."""
    dispatcher = Dispatcher(store, SETTINGS, owner, clock)
    running = asyncio.create_task(dispatcher.run(delivery))
    try:
        yield dispatcher
    finally:
        await dispatcher.drain(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def queue(store: ControlStore, *messages: Outgoing) -> None:
    await store.commit([writes.insert_outgoing(each) for each in messages])


async def leased(store: ControlStore) -> int:
    rows = await store.engine.fetch("SELECT count(*) FROM outbox WHERE owner IS NOT NULL")
    return int(cast("int", rows[0][0]))


# -- the dispatcher -----------------------------------------------------------------------------------------------------


async def test_a_dead_peer_delays_nobody_and_a_drain_gives_its_leases_back(store: WatchedStore) -> None:
    await queue(store, *(message(number, "far" if number % 2 else "near") for number in range(40)))
    delivery = FakeDelivery(store, {"far": hang})

    async def near_is_done() -> bool:
        rows = await store.engine.fetch("SELECT count(*) FROM outbox WHERE counterparty = 'near'")
        return rows[0][0] == 0

    async with dispatching(store, delivery, Clock()):
        await store.until(near_is_done)
        assert sum(each.counterparty == "far" for each in delivery.attempts) == SETTINGS.per_peer_concurrency
        assert await leased(store) > 0
    assert await leased(store) == 0
    assert await store.pending() == 20, "nothing of the dead peer is lost"


async def test_the_pause_after_a_failure_outlives_a_restart(store: WatchedStore, tmp_path: Path) -> None:
    clock = Clock()
    await queue(store, message(1, "far"))

    async def failed() -> bool:
        row = await store.outgoing("urn:m:1")
        return row is not None and row.attempts == 1

    async with dispatching(store, FakeDelivery(store, {"far": refuse}), clock):
        await store.until(failed)
    row = await store.outgoing("urn:m:1")
    assert row is not None
    assert row.due_at > clock.now
    assert row.last_error == "nobody listens"
    await store.engine.close()

    again = await open_store(tmp_path / "control.db")
    try:
        assert await again.claim("worker", row.due_at - 1, row.due_at + 1, 10) == []
        clock.now = row.due_at
        delivery = FakeDelivery(again)

        async def gone() -> bool:
            return await again.pending() == 0

        async with dispatching(again, delivery, clock):
            await again.until(gone)
        assert [each.attempts for each in delivery.attempts] == [1]
    finally:
        await again.engine.close()


async def test_after_its_deadline_a_message_is_given_up_without_another_attempt(store: WatchedStore) -> None:
    clock = Clock(BEGIN + 100)
    await queue(store, message(1, "near", deadline_at=BEGIN + 100))
    delivery = FakeDelivery(store)

    async def dead() -> bool:
        return bool(await store.dead_letters())

    async with dispatching(store, delivery, clock):
        await store.until(dead)
    assert [each.id for each in delivery.given_up] == ["urn:m:1"]
    assert delivery.attempts == []


async def test_a_lane_waits_for_its_oldest_message(store: WatchedStore) -> None:
    clock = Clock()
    await queue(store, *(message(number, "near", lane="one") for number in (1, 2, 3)))
    failures = iter([True])

    async def fail_once(_: Outgoing) -> None:
        if next(failures, False):
            raise Retry("not yet", pause_ms=0)

    delivery = FakeDelivery(store, {"near": fail_once})

    async with dispatching(store, delivery, clock) as dispatcher:

        async def gone() -> bool:
            clock.now += 10
            dispatcher.wake()
            return await store.pending() == 0

        await store.until(gone)
    assert [each.id for each in delivery.attempts] == ["urn:m:1", "urn:m:1", "urn:m:2", "urn:m:3"]


async def test_what_is_postponed_while_the_outbox_is_read_is_not_forgotten(store: WatchedStore) -> None:
    clock, fail, tries = Clock(), asyncio.Event(), iter([True])
    await queue(store, message(1, "near"))

    async def fail_when_told(_: Outgoing) -> None:
        if next(tries, False):
            await fail.wait()
            raise Retry("once more", pause_ms=5)

    async def postponed() -> bool:
        row = await store.outgoing("urn:m:1")
        return row is not None and row.attempts == 1

    async def gone() -> bool:
        return await store.pending() == 0

    store.answer.clear()
    async with dispatching(store, FakeDelivery(store, {"near": fail_when_told}), clock):
        await store.asked.wait()
        fail.set()
        await store.until(postponed)
        clock.now += 10
        store.answer.set()
        await store.until(gone)


@pytest.mark.postgres
async def test_the_lease_of_a_dead_worker_is_taken_over(postgres_dsn: str) -> None:
    from connector.store.postgres import PostgresEngine

    engines = [await PostgresEngine.open(postgres_dsn, pool_size=2) for _ in range(2)]
    try:
        await migrate(engines[0], MIGRATIONS, BEGIN)
        first, second = (WatchedStore(engine) for engine in engines)
        clock, taken = Clock(), asyncio.Event()
        await queue(first, message(1, "near"))

        async def take_and_die(each: Outgoing) -> None:
            taken.set()
            await hang(each)

        dying = Dispatcher(first, SETTINGS, "dead", clock)
        death = asyncio.create_task(dying.run(FakeDelivery(first, {"near": take_and_die})))
        async with asyncio.timeout(GUARD_S):
            await taken.wait()
        death.cancel()
        lease_ms = SETTINGS.lease_s * 1000
        assert await second.claim("alive", clock.now + lease_ms - 1, clock.now + lease_ms, 10) == []
        clock.now += lease_ms
        delivery = FakeDelivery(second)

        async def gone() -> bool:
            return await second.pending() == 0

        async with dispatching(second, delivery, clock, "alive"):
            await second.until(gone)
        assert [each.id for each in delivery.attempts] == ["urn:m:1"]
        await dying.drain(0)
        await asyncio.gather(death, return_exceptions=True)
    finally:
        for engine in engines:
            await engine.close()


# -- what an answer means -----------------------------------------------------------------------------------------------


@dataclass
class FakePeer:
    """Stands for the guarded client: every POST gets ``status``."""

    status: int = 200
    body: bytes = b"{}"

    async def request(self, method: str, url: str, **_: Any) -> Answer:
        """See GuardedClient."""
        return Answer(self.status, {}, self.body)


@dataclass
class Desk:
    """A consumer whose first message, a contract request, waits to be delivered."""

    context: Context
    peer: FakePeer
    delivery: HttpDelivery
    clock: Clock
    handed: list[Outgoing]


@pytest.fixture
async def desk(store: WatchedStore) -> Desk:
    clock, numbers, handed = Clock(), iter(range(1000)), list[Outgoing]()
    context = Context(
        participant_id="me",
        callback_address="https://me.example",
        store=store,
        directory=Directory(PEERS),
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
    delivery = HttpDelivery(context, client, client, StaticTokens(PEERS), DispatchSettings(), Metrics(), lambda: None)
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


@pytest.mark.parametrize("status", [400, 401, 403, 410, 413, 422])
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
    server = ProtocolServer(desk.context, StaticTokens(PEERS), quota, ProtocolSettings(), Metrics(), lambda: True)
    async with TestClient(TestServer(server.application())) as client:

        async def ask(name: str) -> int:
            headers = {"Authorization": f"Bearer token-of-{name}-0123456789"}
            async with client.get("/dsp/2025-1/negotiations/unknown", headers=headers) as response:
                return response.status

        assert [await ask("far") for _ in range(7)] == [404] * 5 + [429] * 2
        assert [await ask("near") for _ in range(5)] == [404] * 5
