"""The way out, one property at a time: real databases, a peer that does what the test says, a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from connector.dispatch import TOLD_RETRIES, Dispatcher, Retry
from connector.settings.model import DispatchSettings
from connector.store import writes
from connector.store.control import WAKE_CHANNEL, ControlStore
from connector.store.engine import Engine, Statement
from connector.store.migrate import migrate
from connector.store.rows import Outgoing
from connector.store.sqlite import SqliteEngine
from tests.flow.house import MIGRATIONS

GUARD_S = 20.0
BEGIN = 1_700_000_000_000
SETTINGS = DispatchSettings(per_peer_concurrency=2)


class WatchedStore(ControlStore):
    """Tells when something was committed, so that a test waits for facts and not for time."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._changed = asyncio.Condition()
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()

    async def commit(self, statements: Sequence[Statement], *, wakes: bool = False) -> None:
        """See ControlStore."""
        await super().commit(statements, wakes=wakes)
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


async def test_a_retry_stands_in_the_timeline_of_its_process_and_not_too_many_do(store: WatchedStore) -> None:
    await queue(store, message(1, "far", process_id="urn:p:1"), message(2, "far", process_id="urn:p:2", attempts=TOLD_RETRIES))

    async def failed() -> bool:
        rows = [await store.outgoing(f"urn:m:{number}") for number in (1, 2)]
        return all(row is not None and row.last_error for row in rows)

    clock = Clock()
    async with dispatching(store, FakeDelivery(store, {"far": refuse}), clock):
        async with asyncio.timeout(GUARD_S):
            while not await failed():
                # After a failure the peer gets one try at a time, with pauses between.
                clock.now += SETTINGS.backoff_max_s * 1000
                await store.commit([])
    (line,) = [each for each in await store.timeline("urn:p:1") if each.note and each.note.startswith("attempt 1:")]
    assert (line.what, line.message, line.note) == ("will be sent again", "Hello", "attempt 1: nobody listens")
    assert await store.timeline("urn:p:2") == []


async def test_what_is_withdrawn_while_it_waits_is_not_sent(store: WatchedStore) -> None:
    ordinary = [message(number, "slow", channel="dsp") for number in range(SETTINGS.per_peer_concurrency + 2)]
    await store.commit([writes.insert_outgoing(each, "worker", BEGIN + 60_000) for each in ordinary])
    free = asyncio.Event()

    async def slow(_: Outgoing) -> None:
        await free.wait()

    delivery = FakeDelivery(store, {"slow": slow})
    async with dispatching(store, delivery, Clock()) as dispatcher:
        dispatcher.hand_over(ordinary)
        withdrawn = ordinary[-2]
        await store.commit([writes.delete_outgoing(withdrawn.id)])
        dispatcher.forget(withdrawn.id)
        free.set()

        async def nothing_waits() -> bool:
            return await store.pending() == 0

        await store.until(nothing_waits)
    assert sorted(each.id for each in delivery.attempts) == sorted(each.id for each in ordinary if each is not withdrawn)


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


@pytest.mark.postgres
async def test_a_worker_hears_of_what_another_has_put_into_the_outbox(postgres_dsn: str) -> None:
    from connector.store.postgres import PostgresEngine

    engines = [await PostgresEngine.open(postgres_dsn, pool_size=2) for _ in range(2)]
    try:
        await migrate(engines[0], MIGRATIONS, BEGIN)
        here, there = (ControlStore(engine) for engine in engines)
        heard = asyncio.Event()
        await engines[1].listen(WAKE_CHANNEL, lambda _: heard.set())
        await here.commit([writes.insert_outgoing(message(1, "near"))], wakes=True)
        async with asyncio.timeout(GUARD_S):
            await heard.wait()
        assert [each.id for each in await there.claim("there", BEGIN, BEGIN + 1, 10)] == ["urn:m:1"]
    finally:
        for engine in engines:
            await engine.close()
