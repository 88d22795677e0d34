"""PostgreSQL's own matters: notifications over reconnects, time-outs, lost sessions, errors that keep secrets."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from connector.store.engine import LostRace, Statement, StoreMisuse, StoreUnavailable
from connector.store.postgres import PostgresEngine, notification
from tests.postgres import PostgresServer
from tests.store.conftest import create_item_table

pytestmark = pytest.mark.postgres

END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"


def insert(key: str) -> Statement:
    return Statement("INSERT INTO item (id, version) VALUES (?, 1)", (key,))


async def test_a_notification_arrives_with_its_commit_only(postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn)
    await create_item_table(engine)
    heard: asyncio.Queue[str] = asyncio.Queue()
    await engine.listen("outbox", heard.put_nowait)

    await engine.commit([insert("a")])
    with pytest.raises(LostRace):
        await engine.commit([notification("outbox", "never"), insert("a")])
    await engine.commit([notification("outbox", "b"), notification("outbox", "b"), insert("b")])
    await engine.commit([notification("outbox", "c")])

    assert [await heard.get(), await heard.get()] == ["b", "c"]
    assert heard.empty()
    await engine.close()


async def test_after_a_lost_session_the_listener_is_told_to_scan(postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn)
    heard: asyncio.Queue[str] = asyncio.Queue()
    await engine.listen("outbox", heard.put_nowait)

    await engine.commit([Statement(END_SESSIONS, (), 1)])
    assert await heard.get() == ""
    await engine.commit([notification("outbox", "again")])

    assert await heard.get() == "again"
    await engine.close()


async def test_the_engine_and_its_listener_survive_a_restart(postgres_server: PostgresServer, postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn)
    await create_item_table(engine)
    heard: asyncio.Queue[str] = asyncio.Queue()
    await engine.listen("outbox", heard.put_nowait)

    await asyncio.to_thread(postgres_server.stop)
    with pytest.raises(StoreUnavailable):
        await engine.commit([insert("a")])
    with pytest.raises(StoreUnavailable):
        await engine.fetch("SELECT 1")
    await asyncio.to_thread(postgres_server.start, fsync=False)

    assert await heard.get() == ""
    await engine.commit([insert("a")])
    assert await engine.fetch("SELECT id FROM item") == [("a",)]
    await engine.close()


async def test_a_session_lost_at_work_is_unavailable(postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn)

    with pytest.raises(StoreUnavailable):
        await engine.commit([Statement("SELECT pg_terminate_backend(pg_backend_pid())", (), 1)])

    assert await engine.fetch("SELECT 1") == [(1,)]
    await engine.close()


async def test_a_long_statement_is_cancelled(postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn, statement_timeout_s=0.05)

    with pytest.raises(StoreUnavailable, match="57014"):
        await engine.fetch("SELECT pg_sleep(60)")

    await engine.close()


async def test_a_caller_does_not_wait_for_ever_for_a_session(postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn, pool_size=1, acquire_timeout_s=0.05)
    busy = asyncio.create_task(engine.commit([Statement("SELECT pg_sleep(60)", (), None)]))
    await asyncio.sleep(0)

    with pytest.raises(StoreUnavailable, match="no session was free"):
        await engine.fetch("SELECT 1")

    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)
    await engine.close()


async def test_two_commits_that_lock_crosswise_lose_a_race(postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn)
    await create_item_table(engine)
    await engine.commit([insert("a"), insert("b")])

    def touch(key: str) -> Statement:
        return Statement("UPDATE item SET version = version + 1 WHERE id = ?", (key,))

    # An advisory lock is the gate at which both wait after their first row; a pool of one session can hold it.
    gate = Statement("SELECT pg_advisory_xact_lock_shared(1)", (), None)
    keeper = await PostgresEngine.open(postgres_dsn, pool_size=1)
    await keeper.commit([Statement("SELECT pg_advisory_lock(1)", (), None)])
    commits = [[touch("a"), gate, touch("b")], [touch("b"), gate, touch("a")]]
    tasks = [asyncio.create_task(engine.commit(commit)) for commit in commits]
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while await keeper.fetch(waiting) != [(2,)]:
        pass
    await keeper.commit([Statement("SELECT pg_advisory_unlock(1)", (), None)])
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(result) for result in results} == {type(None), LostRace}
    assert await engine.fetch("SELECT version FROM item") == [(2,), (2,)]
    await keeper.close()
    await engine.close()


async def test_errors_quote_no_data(postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn)
    await create_item_table(engine)
    await engine.commit([insert("secret-1")])

    with pytest.raises(LostRace) as lost:
        await engine.commit([insert("secret-1")])
    with pytest.raises(StoreMisuse) as misuse:
        await engine.commit([Statement("UPDATE item SET version = CAST(? AS BIGINT) + id", ("secret-2",))])
    with pytest.raises(StoreMisuse) as check:
        await engine.commit([Statement("UPDATE item SET version = -1")])

    for error in (lost.value, misuse.value, check.value):
        assert "secret" not in str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__
    await engine.close()


async def test_a_server_that_cannot_be_reached_is_unavailable(unused_tcp_port: int) -> None:
    with pytest.raises(StoreUnavailable, match="cannot open the PostgreSQL store") as caught:
        await PostgresEngine.open(f"postgresql://carnet:hunter2@127.0.0.1:{unused_tcp_port}/x")

    assert "hunter2" not in str(caught.value)


async def test_listening_fails_at_once_if_the_server_is_gone(postgres_server: PostgresServer, postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn)
    await asyncio.to_thread(postgres_server.stop)
    try:
        with pytest.raises(StoreUnavailable):
            await engine.listen("outbox", lambda _payload: None)
    finally:
        await asyncio.to_thread(postgres_server.start, fsync=False)
    await engine.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await engine.listen("outbox", lambda _payload: None)


def test_without_its_driver_the_message_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['asyncpg'] = None\n"
        "from connector.store.engine import StoreUnavailable\n"
        "try:\n import connector.store.postgres\n"
        "except StoreUnavailable as error:\n sys.stdout.write(str(error))"
    )
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)

    assert "pip install 'carnet[postgres]'" in result.stdout
