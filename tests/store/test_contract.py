"""What both engines promise: atomic, guarded, durable commits, and reads that see them."""

from __future__ import annotations

import asyncio

import pytest

from connector.store.engine import LostRace, Statement, StoreMisuse, StoreUnavailable
from connector.store.migrate import Migratable
from tests.store.conftest import open_engine


def insert(key: str, *, version: int = 1, tag: str | None = None, body: bytes | None = None) -> Statement:
    return Statement("INSERT INTO item (id, version, body, tag) VALUES (?, ?, ?, ?)", (key, version, body, tag))


def advance(key: str, version: int) -> Statement:
    return Statement("UPDATE item SET version = version + 1 WHERE id = ? AND version = ?", (key, version))


async def keys(engine: Migratable) -> list[object]:
    return [row[0] for row in await engine.fetch("SELECT id FROM item ORDER BY id")]


async def test_statements_commit_together(engine: Migratable) -> None:
    await engine.commit([insert("a"), insert("b", body=b"\x00\xff"), advance("a", 1)])

    rows = await engine.fetch("SELECT id, version, body FROM item ORDER BY id")

    assert rows == [("a", 2, None), ("b", 1, b"\x00\xff")]


async def test_nothing_to_commit_is_no_error(engine: Migratable) -> None:
    await engine.commit([])
    assert await engine.commit_returning([]) == []


@pytest.mark.parametrize("last", [advance("a", 7), advance("absent", 1), insert("a"), insert("c", tag="taken")])
async def test_a_lost_race_leaves_nothing(engine: Migratable, last: Statement) -> None:
    await engine.commit([insert("a", tag="taken")])

    with pytest.raises(LostRace):
        await engine.commit([insert("b"), advance("a", 1), last])

    assert await engine.fetch("SELECT id, version FROM item") == [("a", 1)]


async def test_a_guard_counts_rows_exactly(engine: Migratable) -> None:
    await engine.commit([insert("a"), insert("b")])
    everyone = "UPDATE item SET version = version + 1"

    with pytest.raises(LostRace):
        await engine.commit([Statement(everyone)])
    await engine.commit([Statement(everyone, (), 2)])
    await engine.commit([Statement(everyone, (), None)])
    await engine.commit([Statement("DELETE FROM item WHERE id = ?", ("absent",), 0)])

    assert await engine.fetch("SELECT version FROM item") == [(3,), (3,)]


async def test_a_query_may_be_a_guard(engine: Migratable) -> None:
    await engine.commit([insert("a")])
    present = "SELECT 1 FROM item WHERE id = ?"

    await engine.commit([Statement(present, ("a",)), insert("b")])
    with pytest.raises(LostRace):
        await engine.commit([Statement(present, ("absent",)), insert("c")])

    assert await keys(engine) == ["a", "b"]


async def test_a_write_that_begins_with_with_is_counted(engine: Migratable) -> None:
    await engine.commit([insert("a")])
    once = "WITH old AS (SELECT version FROM item) INSERT INTO item (id, version) SELECT 'b', version FROM old"
    all_of_them = "WITH old AS (SELECT id, version FROM item) INSERT INTO item (id, version) SELECT id || 'x', version FROM old"

    await engine.commit([Statement(once, (), 1)])
    with pytest.raises(LostRace):
        await engine.commit([Statement(all_of_them, (), 1)])

    assert await keys(engine) == ["a", "b"]


async def test_returning_gives_the_rows_of_the_last_statement(engine: Migratable) -> None:
    claim = "UPDATE item SET version = version + 1 WHERE version = ? RETURNING id, version"

    rows = await engine.commit_returning([insert("a"), insert("b"), Statement(claim, (1,), 2)])

    assert sorted(rows) == [("a", 2), ("b", 2)]
    assert await engine.commit_returning([insert("c")]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        insert("b", version=-1),
        Statement("INSERT INTO item (id) VALUES (?)", ("b",)),
        Statement("INSERT INTO nowhere VALUES (?)", ("b",)),
        Statement("INSERT INTO item (id, version) VALUES (?, ?)", ("b",)),
        Statement("INSERT INTO item (id, version) VALUES (?, ?)", ("b", 2**70)),
        Statement("INSERT INTO item (id, version) VALUES (?, ?)", ("b", "many")),
        Statement("INSERT INTO item (id, version) VALUES (?, ?)", ("\ud800", 1)),
        Statement("nonsense"),
        Statement("COMMIT", (), None),
        Statement("  /* hidden */ rollback", (), None),
        Statement("INSERT OR ROLLBACK INTO item (id, version) VALUES ('a', 1)"),
        Statement("PRAGMA synchronous = OFF", (), None),
        Statement("", (), None),
    ],
)
async def test_our_own_mistakes_write_nothing_and_say_so(engine: Migratable, wrong: Statement) -> None:
    with pytest.raises(StoreMisuse) as caught:
        await engine.commit([insert("a"), wrong])

    assert "many" not in str(caught.value)
    assert await keys(engine) == []
    await engine.commit([insert("a")])


@pytest.mark.parametrize("wrong", ["DELETE FROM item", "WITH x AS (SELECT 1) DELETE FROM item", "SELECT * FROM nowhere"])
async def test_fetch_takes_only_queries(engine: Migratable, wrong: str) -> None:
    await engine.commit([insert("a")])

    with pytest.raises(StoreMisuse):
        await engine.fetch(wrong)

    assert await keys(engine) == ["a"]


async def test_fetch_gives_at_most_the_limit_and_forgets_the_rest(engine: Migratable) -> None:
    await engine.commit([insert(f"{number:03}") for number in range(50)])

    some = await engine.fetch("SELECT id FROM item WHERE version = ? ORDER BY id;", (1,), limit=3)
    await engine.commit([insert("999")])

    assert some == [("000",), ("001",), ("002",)]
    assert len(await keys(engine)) == 51


async def test_values_have_the_same_types_on_both_engines(engine: Migratable) -> None:
    await engine.commit([insert("a", version=2**62), insert("b", version=0)])

    rows = await engine.fetch(
        "SELECT count(*), sum(version), max(version) > 1, max(tag), '?' FROM item -- who asks?\n WHERE version < ?",
        (2**62,),
    )

    assert rows == [(1, 0, 0, None, "?")]
    assert [type(value) for value in rows[0]] == [int, int, int, type(None), str]


async def test_an_awaited_commit_is_seen_by_the_next_fetch(engine: Migratable) -> None:
    async def write_then_read(number: int) -> bool:
        await engine.commit([insert(str(number))])
        return await engine.fetch("SELECT 1 FROM item WHERE id = ?", (str(number),)) == [(1,)]

    assert all(await asyncio.gather(*(write_then_read(number) for number in range(100))))


async def test_no_update_of_a_guarded_counter_is_lost(engine: Migratable) -> None:
    await engine.commit([insert("counter", version=0)])

    async def add(times: int) -> int:
        lost = 0
        while times:
            [(version,)] = await engine.fetch("SELECT version FROM item WHERE id = 'counter'")
            assert isinstance(version, int)
            try:
                await engine.commit([advance("counter", version)])
            except LostRace:
                lost += 1
            else:
                times -= 1
        return lost

    lost = sum(await asyncio.gather(*(add(10) for _ in range(8))))

    assert await engine.fetch("SELECT version FROM item") == [(80,)]
    assert lost > 0, "the tasks never met, so this test has proved nothing"


async def test_commits_at_the_same_time_fail_one_by_one(engine: Migratable) -> None:
    await engine.commit([insert("0", tag="taken")])
    members = [
        [insert(f"good {number}"), advance("0", 99)] if number % 4 == 0
        else [insert(f"good {number}", tag="taken")] if number % 4 == 1
        else [insert(f"good {number}", version=-1)] if number % 4 == 2
        else [insert(f"good {number}")]
        for number in range(100)
    ]  # fmt: skip

    results = await asyncio.gather(*(engine.commit(member) for member in members), return_exceptions=True)

    kinds = [type(result) for result in results]
    assert kinds == [LostRace, LostRace, StoreMisuse, type(None)] * 25
    assert len(await keys(engine)) == 26


async def test_a_cancelled_commit_happened_or_did_not(engine: Migratable) -> None:
    for number in range(30):
        task = asyncio.create_task(engine.commit([insert(f"{number} x"), insert(f"{number} y")]))
        for _ in range(number % 6):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await engine.commit([insert("after")])
    rows = await engine.fetch("SELECT substr(id, 1, length(id) - 2), count(*) FROM item WHERE id <> 'after' GROUP BY 1")
    assert all(times == 2 for _, times in rows)


async def test_close_finishes_what_is_queued_and_may_be_repeated(database: str, engine: Migratable) -> None:
    tasks = [asyncio.create_task(engine.commit([insert(str(number))])) for number in range(20)]
    await asyncio.sleep(0)

    await asyncio.gather(engine.close(), engine.close())
    await engine.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    again = await open_engine(database)
    written = await keys(again)
    await again.close()
    assert results == [None] * 20
    assert len(written) == 20


async def test_a_closed_engine_refuses(engine: Migratable) -> None:
    await engine.close()

    with pytest.raises(StoreUnavailable, match="closed"):
        await engine.commit([insert("a")])
    with pytest.raises(StoreUnavailable, match="closed"):
        await engine.fetch("SELECT 1")
