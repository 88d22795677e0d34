"""Everything that happened, in the order of its numbers, on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connector.app import MIGRATIONS
from connector.protocol.record import Detail, Process
from connector.protocol.states import Kind, Role, State
from connector.store import writes
from connector.store.engine import Engine, LostRace, Statement
from connector.store.events import GAP_MS, EventStore
from connector.store.migrate import Migratable, migrate
from connector.store.rows import Happening, Outgoing
from tests.store.conftest import open_engine

PEER = "did:web:peer"


@pytest.fixture
async def empty(database: str) -> AsyncIterator[Migratable]:
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1)
    yield engine
    await engine.close()


def line(what: str, process: str = "p", at: int = 5) -> Statement:
    return writes.insert_event(Happening(process, at, what, "REQUEST", "m", "REQUESTED", None, "note"))


async def begin(engine: Engine) -> None:
    process = Process(
        "p", Kind.NEGOTIATION, Role.CONSUMER, State.REQUESTED, PEER, "https://peer.example", "c-1", "d", 1, 1, Detail()
    )
    await engine.commit([writes.insert_process(process)])


async def test_lines_come_in_order_with_what_is_known_of_their_process(empty: Migratable) -> None:
    store = EventStore(empty)
    assert (await store.newest(), await store.after(0, 10)) == (0, [])
    await begin(empty)
    await empty.commit([line("first"), line("second", "forgotten")])
    first, second = await store.after(0, 10_000)
    assert (first.what, first.kind, first.counterparty, first.correlation_id) == ("first", "negotiation", PEER, "c-1")
    assert (second.process_id, second.kind, second.correlation_id) == ("forgotten", "", "")
    assert await store.after(first.seq, 10_000) == [second]
    assert await store.newest() == second.seq
    assert await store.after(0, 10_000, 1) == [first]


async def test_a_line_behind_a_gap_waits_until_nothing_can_come_into_it(empty: Migratable) -> None:
    store = EventStore(empty)
    await empty.commit([line("first")])
    # A transaction that was taken back leaves a gap where several write at once.
    await empty.commit([line("between", "gone")])
    await empty.commit([Statement("DELETE FROM event WHERE process_id = ?", ("gone",))])
    await empty.commit([line("last", at=1000)])
    soon = [each.what for each in await store.after(0, 1000)]
    assert soon == (["first"] if empty.dialect == "postgresql" else ["first", "last"])
    assert [each.what for each in await store.after(0, 1000 + GAP_MS)] == ["first", "last"]


async def test_a_retry_stands_in_the_timeline_with_the_state_of_its_process(empty: Migratable) -> None:
    await begin(empty)
    message = Outgoing(
        "m", "p", "dsp", PEER, "p", "REQUEST", "https://peer.example", "{}", "c-1", 1, 9, 1, attempts=3, last_error="no answer"
    )
    await empty.commit([writes.insert_retry(message, 7)])
    (told,) = await EventStore(empty).after(0, 10_000)
    assert (told.what, told.message, told.message_id, told.state, told.at) == (
        "will be sent again",
        "REQUEST",
        "m",
        "REQUESTED",
        7,
    )
    assert told.note == "attempt 3: no answer"


async def test_nothing_is_numbered_by_what_was_not_written(empty: Migratable) -> None:
    with pytest.raises(LostRace):
        await empty.commit([line("lost"), Statement("UPDATE process SET version = 1 WHERE id = 'none'")])
    assert await EventStore(empty).after(0, 10_000) == []


async def test_a_number_stays_given_when_its_line_is_gone(empty: Migratable) -> None:
    store = EventStore(empty)
    assert await store.given() == 0
    await empty.commit([line("first"), line("last", "gone")])
    last = await store.newest()
    await empty.commit([Statement("DELETE FROM event WHERE process_id = ?", ("gone",))])
    assert (await store.given(), await store.newest() < last) == (last, True)
