"""The meters of calls: however requests run beside each other, break off or are given back, no limit is passed, and what is
counted is what left."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector.dataplane import deliveries as sql
from connector.dataplane import passages
from connector.dataplane.calls import WINDOW_BYTES, Call, Calls
from connector.dataplane.deliveries import Asked, Deliveries
from connector.dataplane.leaves import Leaves
from connector.dataplane.meters import LimitReached
from connector.dataplane.plan.declared import declared_for_http
from connector.dataplane.plan.model import Ask
from connector.dataplane.problems import Refusal
from connector.dataplane.readings import Readings
from connector.dataplane.reserving import Right
from connector.dataplane.states import State
from policies import dsp
from policies.compile import compile_agreement
from policies.delivery import Capabilities

from .conftest import VDX, agreement, when
from .shelves import FLOW, Shelf, shelf

BUYER, AGREEMENT = "did:web:two.example", "urn:agreement:1"
DIGEST = hashlib.sha256(b"").hexdigest()
COUNTS, BYTES = 12, 50_000_000


class Counter:
    """Calls of one transfer over a real database."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.readings = Readings(shelf.records.engine)
        leaves = Leaves(self.readings, lambda: None, shelf.clock)
        self.calls = Calls(Deliveries(shelf.records.engine), self.readings, leaves, shelf.clock)
        terms = agreement([when("odrl:count", "lteq", str(COUNTS)), when(f"{VDX}bytes", "lteq", str(BYTES))])
        self.right = Right(compile_agreement(dsp.read(terms), Capabilities(terms=declared_for_http())), (0,))
        self.asked = Asked(FLOW, AGREEMENT, BUYER, "ds", "http", Ask(), None, (0,), 0, shelf.clock())

    async def begin(self) -> Call:
        return await self.calls.begin(self.asked, self.right)

    async def counted(self) -> tuple[int, int]:
        """Calls and bytes, which are the same in every place where they stand."""
        readings = await self.readings.all(AGREEMENT, BUYER)
        found = {(reading.calls, reading.bytes) for reading in readings}
        reserved, passage = await self.readings.reservation(FLOW), await passages.passage_of(self.shelf.records.engine, FLOW)
        assert reserved is not None
        assert passage is not None
        uses = await passages.uses_of(self.shelf.records.engine, FLOW)
        assert (sum(use.calls for use in uses), sum(use.bytes for use in uses)) == (passage.calls, reserved.bytes)
        assert found == {(passage.calls, reserved.bytes)}
        return passage.calls, reserved.bytes


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    async with shelf(tmp_path / "data.db") as opened:
        await opened.begin()
        counter = Counter(opened)
        await counter.shelf.records.commit([sql.insert_asked(counter.asked)])
        yield counter


async def one(counter: Counter, chance: random.Random) -> tuple[int, int]:
    """A request that ends in one of the ways in which requests end; what has left of it."""
    call = await counter.begin()
    if chance.random() < 0.2:
        await counter.calls.refund(call)
        return 0, 0
    sent = 0
    try:
        for _ in range(chance.randrange(6)):
            more = chance.randrange(1, 4_000_000)
            await counter.calls.cover(call, sent + more)
            assert sent + more <= call.reserved <= sent + more + WINDOW_BYTES
            sent += more
    except LimitReached:
        pass
    await counter.calls.finish(call, sent, DIGEST, whole=chance.random() < 0.5)
    return 1, sent


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_counted_is_what_left_and_never_more_than_agreed(counter: Counter, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - test data
    ended = await asyncio.gather(*(one(counter, chance) for _ in range(20)), return_exceptions=True)
    left = [each for each in ended if isinstance(each, tuple)]
    assert all(isinstance(each, tuple | LimitReached) for each in ended), ended
    calls, size = await counter.counted()
    assert (calls, size) == (sum(count for count, _ in left), sum(sent for _, sent in left))
    assert calls <= COUNTS
    assert size <= BYTES


async def test_what_runs_is_counted_ahead_by_no_more_than_has_left(counter: Counter) -> None:
    call = await counter.begin()
    for sent in (1000, 2000, 50_000):
        await counter.calls.cover(call, sent)
        assert sent <= (await counter.counted())[1] <= 2 * sent
    await counter.calls.cover(call, 60_000, most=60_001)
    assert (await counter.counted())[1] <= max(60_001, 100_000)
    await counter.calls.finish(call, 55_000, DIGEST, whole=False)
    assert await counter.counted() == (1, 55_000)
    await counter.calls.finish(call, 99, DIGEST, whole=True)
    assert await counter.counted() == (1, 55_000)


async def test_of_a_transfer_that_was_stopped_what_was_reserved_stays(counter: Counter) -> None:
    call, other = await counter.begin(), await counter.begin()
    await counter.calls.cover(call, 1000)
    await counter.shelf.move(State.SUSPENDED)
    for refused in (
        counter.begin(),
        counter.calls.cover(call, 2000),
        counter.calls.finish(call, 500, DIGEST, whole=True),
    ):
        with pytest.raises(Refusal, match="flow_suspended"):
            await refused
    await counter.calls.refund(other)
    assert await counter.counted() == (2, 1000)
    await counter.shelf.move(State.STARTED)
    await counter.calls.finish(call, 500, DIGEST, whole=True)
    assert await counter.counted() == (2, 500)


async def test_an_answer_that_cannot_leave_as_a_whole_is_seen_before(counter: Counter) -> None:
    call = await counter.begin()
    await counter.calls.fits(call, BYTES)
    with pytest.raises(LimitReached):
        await counter.calls.fits(call, BYTES + 1)
    with pytest.raises(LimitReached):
        await counter.calls.finish(call, BYTES + 1, DIGEST, whole=True)
    await counter.calls.finish(call, BYTES, DIGEST, whole=True)
    with pytest.raises(LimitReached, match="bytes"):
        await counter.begin()
