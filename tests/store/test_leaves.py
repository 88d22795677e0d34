"""The queue of the contract log, on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from connector.app import MIGRATIONS
from connector.store.engine import LostRace
from connector.store.leaves import LeafQueue, LogState, QueuedLeaf, queue
from connector.store.migrate import Migratable, migrate
from tests.store.conftest import open_engine


def leaf(number: int, payload: bytes | None = None) -> QueuedLeaf:
    digest = None if payload is None else sha256(payload).hexdigest()
    return QueuedLeaf(f"id-{number}", f'{{"n":{number}}}'.encode(), digest, payload, 1000 + number)


@pytest.fixture
async def control(database: str) -> AsyncIterator[Migratable]:
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1)
    yield engine
    await engine.close()


async def test_leaves_come_in_the_order_in_which_they_were_queued(control: Migratable) -> None:
    waiting = LeafQueue(control)
    assert not await waiting.any()
    assert await waiting.oldest() is None
    for start in range(0, 1300, 130):
        statements = queue([leaf(number, b"x" * number if number % 3 else None) for number in range(start, start + 130)])
        assert [each.expect for each in statements] == [100, 30]
        await control.commit(statements)
    found = await waiting.batch(2000, 10_000_000)
    assert [each.id for each in found] == [f"id-{number}" for number in range(1300)]
    assert [(each.leaf, each.sha256, each.payload, each.queued_at) for each in found] == [
        (each.leaf, each.sha256, each.payload, each.queued_at)
        for each in (leaf(number, b"x" * number if number % 3 else None) for number in range(1300))
    ]
    assert (await waiting.count(), await waiting.any(), await waiting.oldest()) == (1300, True, 1000)


async def test_a_batch_is_bounded_and_never_empty(control: Migratable) -> None:
    waiting = LeafQueue(control)
    await control.commit(queue([leaf(number, b"x" * 100) for number in range(10)]))
    assert len(await waiting.batch(3, 10_000)) == 3
    assert len(await waiting.batch(10, 250)) == 2
    assert len(await waiting.batch(10, 1)) == 1


async def test_what_is_in_the_log_does_not_wait_any_more(control: Migratable) -> None:
    waiting = LeafQueue(control)
    await control.commit(queue([leaf(number) for number in range(1200)]))
    taken = [each.id for each in await waiting.batch(1100, 1000)]
    await waiting.settle(0, 1100, taken)
    assert await waiting.state() == LogState(1100, "")
    assert [each.id for each in await waiting.batch(1100, 1000)] == [f"id-{number}" for number in range(1100, 1200)]
    with pytest.raises(LostRace):
        await waiting.settle(0, 1200, ["id-1150"])
    assert await waiting.count() == 100


async def test_a_leaf_of_a_known_id_is_refused(control: Migratable) -> None:
    waiting = LeafQueue(control)
    await control.commit(queue([leaf(1)]))
    with pytest.raises(LostRace):
        await control.commit(queue([leaf(2), leaf(1)]))
    assert [each.id for each in await waiting.batch(10, 1000)] == ["id-1"]


async def test_the_first_leaf_stands_before_those_that_were_earlier(control: Migratable) -> None:
    waiting = LeafQueue(control)
    await control.commit(queue([leaf(1)]))
    for _ in range(2):
        await waiting.put_first(leaf(0))
    await control.commit(queue([leaf(2)]))
    assert [each.id for each in await waiting.batch(10, 1000)] == ["id-0", "id-1", "id-2"]
    await waiting.put_first(leaf(9))
    assert [each.id for each in await waiting.batch(10, 1000)] == ["id-9", "id-1", "id-2"]


async def test_a_database_has_one_folder(control: Migratable) -> None:
    waiting = LeafQueue(control)
    assert await waiting.bind("one") == "one"
    assert await waiting.bind("other") == "one"
    assert await waiting.state() == LogState(0, "one")
