"""SQLite's own troubles: full, locked, damaged or foreign files, groups that fail together, bounded queues."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from connector.store.engine import LostRace, Statement, StoreMisuse, StoreUnavailable
from connector.store.sqlite import SqliteEngine
from tests.store.conftest import create_item_table


def insert(key: str, body: bytes | None = None) -> Statement:
    return Statement("INSERT INTO item (id, version, body) VALUES (?, 1, ?)", (key, body))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.db"


@pytest.fixture
async def engine(path: Path) -> AsyncIterator[SqliteEngine]:
    opened = await SqliteEngine.open(path, busy_timeout_ms=20)
    await create_item_table(opened)
    yield opened
    await opened.close()


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o777


def overwrite_from(path: Path, offset: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:offset].ljust(len(content), b"\xff"))


async def count(engine: SqliteEngine) -> int:
    [(number,)] = await engine.fetch("SELECT count(*) FROM item")
    assert isinstance(number, int)
    return number


async def test_the_file_is_as_durable_and_private_as_promised(engine: SqliteEngine, path: Path) -> None:
    assert permissions(path) == 0o600
    assert await engine.fetch("SELECT * FROM pragma_journal_mode") == [("wal",)]
    pragmas = "SELECT synchronous, foreign_keys FROM pragma_synchronous, pragma_foreign_keys"
    assert await engine.commit_returning([Statement(pragmas, (), None)]) == [(2, 1)]


async def test_a_full_database_fails_loudly_and_recovers(path: Path) -> None:
    engine = await SqliteEngine.open(path, max_bytes=200_000)
    await create_item_table(engine)
    big = bytes(20_000)

    results = await asyncio.gather(*(engine.commit([insert(str(number), big)]) for number in range(20)), return_exceptions=True)

    failures = [result for result in results if result is not None]
    assert failures
    assert all(isinstance(failure, StoreUnavailable) and "full" in str(failure) for failure in failures)
    assert await count(engine) == 20 - len(failures)
    await engine.commit([Statement("DELETE FROM item", (), None)])
    await engine.commit([insert("again", big)])
    assert await count(engine) == 1
    await engine.close()


async def test_a_locked_database_fails_the_group_only(engine: SqliteEngine, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(*(engine.commit([insert(str(number))]) for number in range(5)), return_exceptions=True)
        stranger.execute("ROLLBACK")

    assert all(isinstance(result, StoreUnavailable) and "locked" in str(result) for result in results)
    await engine.commit([insert("a")])
    assert await count(engine) == 1


async def test_a_deferred_constraint_fails_its_own_member_only(path: Path) -> None:
    engine = await SqliteEngine.open(path)
    await create_item_table(engine)
    child = "CREATE TABLE child (id TEXT REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED) STRICT"
    await engine.commit([Statement(child, (), None)])
    orphan = Statement("INSERT INTO child VALUES ('nobody')")
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        # While a stranger holds the lock, the first commit waits and the others gather into one group.
        stranger.execute("BEGIN IMMEDIATE")
        members = [*(insert(str(number)) for number in range(5)), orphan, insert("1")]
        tasks = [asyncio.create_task(engine.commit([member])) for member in members]
        await asyncio.sleep(0)
        stranger.execute("ROLLBACK")
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result) for result in results] == [type(None)] * 5 + [StoreMisuse, LostRace]
    assert await count(engine) == 5
    await engine.close()


async def test_a_trigger_that_rolls_back_does_not_take_the_group_with_it(engine: SqliteEngine) -> None:
    trigger = "CREATE TRIGGER refuse BEFORE INSERT ON item WHEN NEW.id = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
    await engine.commit([Statement(trigger, (), None)])
    names = [*"abcdefgh", "bad", *"ijkl"]

    results = await asyncio.gather(*(engine.commit([insert(name)]) for name in names), return_exceptions=True)

    failed = [name for name, result in zip(names, results, strict=True) if result is not None]
    assert failed == ["bad"]
    assert isinstance(results[8], StoreMisuse)
    assert await count(engine) == 12


async def test_an_unforeseen_error_reaches_its_caller_and_the_threads_go_on(engine: SqliteEngine) -> None:
    class Odd(str):
        """A text that is not one, once the database asks for it."""

        def __conform__(self, _protocol: object) -> str:
            raise RuntimeError("odd")

    with pytest.raises(StoreMisuse, match="odd"):
        await engine.commit([insert(Odd("a"))])
    with pytest.raises(StoreMisuse, match="odd"):
        await engine.fetch("SELECT ?", (Odd("a"),))

    await engine.commit([insert("a")])
    assert await count(engine) == 1


async def test_the_queue_is_bounded_and_callers_wait(path: Path) -> None:
    engine = await SqliteEngine.open(path, queue_size=2, max_group=3)
    await create_item_table(engine)

    tasks = [asyncio.create_task(engine.commit([insert(str(number))])) for number in range(50)]
    tasks[7].cancel()
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert sum(result is None for result in results) == 48
    assert await count(engine) == 48
    await engine.close()


async def test_callers_held_back_when_the_store_closes_are_told(path: Path) -> None:
    engine = await SqliteEngine.open(path, queue_size=1)
    await create_item_table(engine)
    tasks = [asyncio.create_task(engine.commit([insert(str(number))])) for number in range(10)]
    await asyncio.sleep(0)

    await engine.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert results[0] is None
    assert all(isinstance(result, StoreUnavailable) for result in results[1:])


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, b"not a database " * 500)

    with pytest.raises(StoreUnavailable, match="cannot open"):
        await SqliteEngine.open(path)
    await asyncio.to_thread(path.unlink)
    await (await SqliteEngine.open(path)).close()


async def test_a_missing_folder_is_refused(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="owner lock"):
        await SqliteEngine.open(path / "absent" / "control.db")


async def test_damage_found_later_is_reported(path: Path) -> None:
    engine = await SqliteEngine.open(path)
    await create_item_table(engine)
    await engine.commit([insert(f"{number:04}", bytes(500)) for number in range(200)])
    await engine.close()
    overwrite_from(path, 8192)
    engine = await SqliteEngine.open(path)

    with pytest.raises(StoreUnavailable, match="damaged"):
        await engine.fetch("SELECT id, body FROM item")
    with pytest.raises(StoreUnavailable, match="damaged"):
        await engine.commit([Statement("UPDATE item SET version = 2", (), None)])
    await engine.close()


async def test_the_same_process_cannot_open_it_twice(engine: SqliteEngine, path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="another carnet process"):
        await SqliteEngine.open(path)
