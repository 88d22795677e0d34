"""What waits for people, and what they have said, on both engines."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from connector.app import MIGRATIONS
from connector.protocol.record import Detail, Process, Rule, Voice
from connector.protocol.states import Kind, State
from connector.store import writes
from connector.store.approvals import keep_voice, said_of
from connector.store.control import ControlStore
from connector.store.engine import LostRace
from connector.store.migrate import migrate
from tests.store.conftest import open_engine
from tests.store.keep_release import NEGOTIATION

ASKS = Rule(roles=("commercial",), eyes=2, deadline_s=60, origin="offer")


def waiting(name: str, since: int | None, **more: object) -> Process:
    """A negotiation that waits for people since then."""
    detail = Detail(pending="decide-request", waits_since=since, asks=ASKS)
    whole = replace(NEGOTIATION, id=name, peer_pid=f"their-{name}", state=State.REQUESTED, detail=detail, updated_at=9_000)
    return replace(whole, **more)  # type: ignore[arg-type]  # members of a record


@pytest.fixture
async def store(database: str) -> AsyncIterator[ControlStore]:
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1_000)
    yield ControlStore(engine)
    await engine.close()


async def test_what_waits_comes_in_pages_the_newest_first(store: ControlStore) -> None:
    rows = [waiting(f"p{number}", 1_000 + number // 2) for number in range(7)]
    over = waiting("over", 5_000, state=State.TERMINATED)
    free = replace(waiting("free", 5_000), detail=Detail())
    moving = replace(waiting("transfer", 6_000), kind=Kind.TRANSFER)
    await store.commit([writes.insert_process(each) for each in (*rows, over, free, moving)])
    first = await store.waiting(limit=4)
    assert [row.id for row in first] == ["transfer", "p6", "p5", "p4"]
    assert first[1] == rows[6]
    rest = await store.waiting(before=(first[-1].detail.waits_since or 0, first[-1].id), limit=100)
    assert [row.id for row in rest] == ["p3", "p2", "p1", "p0"]


async def test_what_is_decided_waits_no_more(store: ControlStore) -> None:
    row = waiting("p", 1_000)
    await store.commit([writes.insert_process(row)])
    await store.commit([writes.update_process(replace(row, detail=row.detail.decided()))])
    assert await store.waiting() == []
    again = replace(row, version=1, detail=Detail(pending="decide-agreement", waits_since=3_000))
    await store.commit([writes.update_process(again)])
    assert [each.id for each in await store.waiting()] == ["p"]


async def test_what_is_said_is_kept_in_order_and_once(store: ControlStore) -> None:
    row = waiting("p", 1_000)
    one, two = (Voice("decide-request", f"key:{who}", "commercial", "approved", f"by {who}") for who in "ab")
    later = replace(row, version=1, updated_at=9_500)
    await store.commit([keep_voice(later, two), keep_voice(row, one), keep_voice(replace(row, id="other"), one)])
    said = await said_of(store.engine, "p")
    assert [(each.caller, each.version, each.at, each.comment) for each in said] == [
        ("key:a", 0, 9_000, "by a"),
        ("key:b", 1, 9_500, "by b"),
    ]
    with pytest.raises(LostRace):
        await store.commit([keep_voice(row, replace(one, verdict="rejected"))])


async def test_what_waited_under_an_earlier_release_still_waits(database: str, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    for file in MIGRATIONS.glob("000[1-7]_*.sql"):
        shutil.copy(file, earlier)
    engine = await open_engine(database)
    try:
        await migrate(engine, earlier, 1_000)
        old = replace(waiting("p", None), detail=Detail(pending="decide-offer", decide_by=99))
        for row in (old, replace(old, id="q", peer_pid="their-q", detail=Detail())):
            statement = writes.insert_process(row)
            sql = statement.sql.replace(", waits_since", "").replace("?, ?)", "?)")
            await engine.commit([replace(statement, sql=sql, params=statement.params[:-1])])
        await migrate(engine, MIGRATIONS, 2_000)
        store = ControlStore(engine)
        assert await store.waiting() == [old]
        # Something else is written about it, such as a message that was refused.
        await store.commit([writes.update_process(replace(old, updated_at=9_100))])
        assert [row.id for row in await store.waiting()] == ["p"]
    finally:
        await engine.close()
