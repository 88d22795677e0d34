"""Keys of callers and answers to repeated requests, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector.store import access as rows
from connector.store.access import AccessStore, ApiKey
from connector.store.engine import LostRace
from connector.store.migrate import migrate
from tests.store.conftest import open_engine

MIGRATIONS = Path(__file__).parents[2] / "connector/store/migrations"
NOW = 1_700_000_000_000
ONE = ApiKey("a" * 16, "one", "digest", ("auditor", "operator"), NOW, "owner", "anna")
TWO = ApiKey("b" * 16, "two", "digest", ("driver",), NOW, "key:x", "key:x", vehicle=7, expires_at=NOW + 5)


@pytest.fixture
async def store(database: str) -> AsyncIterator[AccessStore]:
    """An empty store."""
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, NOW)
    yield AccessStore(engine)
    await engine.close()


async def test_keys_are_read_as_they_were_written(store: AccessStore) -> None:
    await store.engine.commit([rows.insert_key(ONE), rows.insert_key(TWO)])
    assert await store.key(ONE.id) == ONE
    assert await store.key("c" * 16) is None
    assert await store.keys((0, ""), 10) == [ONE, TWO]
    assert await store.keys((NOW, ONE.id), 10) == [TWO]
    with pytest.raises(LostRace):
        await store.engine.commit([rows.insert_key(ONE)])


async def test_the_first_key_is_taken_where_there_has_never_been_one(store: AccessStore) -> None:
    await store.engine.commit([rows.insert_key(ONE, first=True)])
    assert await store.key(ONE.id) == ONE
    await store.engine.commit([rows.revoke_key(ONE.id, NOW + 1)])
    with pytest.raises(LostRace):
        await store.engine.commit([rows.insert_key(TWO, first=True)])


async def test_a_key_is_revoked_once(store: AccessStore) -> None:
    await store.engine.commit([rows.insert_key(ONE)])
    await store.engine.commit([rows.revoke_key(ONE.id, NOW + 1)])
    found = await store.key(ONE.id)
    assert found is not None
    assert found.revoked_at == NOW + 1
    with pytest.raises(LostRace):
        await store.engine.commit([rows.revoke_key(ONE.id, NOW + 2)])


async def test_an_answer_is_begun_once_and_kept_or_forgotten(store: AccessStore) -> None:
    begin = rows.begin_answer("owner", "k", "digest", NOW, most=2)
    await store.engine.commit([begin])
    with pytest.raises(LostRace):
        await store.engine.commit([begin])
    await store.engine.commit([rows.forget_answer("owner", "k")])
    assert await store.answered("owner", "k") is None
    await store.engine.commit([begin])
    await store.engine.commit([rows.keep_answer("owner", "k", 201, "application/json", "{}")])
    # What is kept is not begun any more: neither another answer nor a late end changes it.
    await store.engine.commit([rows.keep_answer("owner", "k", 500, "", ""), rows.forget_answer("owner", "k")])
    known = await store.answered("owner", "k")
    assert known is not None
    assert (known.status, known.media, known.body) == (201, "application/json", "{}")


async def test_a_caller_has_so_many_and_another_its_own(store: AccessStore) -> None:
    await store.engine.commit([rows.begin_answer("one", str(n), "d", NOW, most=2) for n in range(2)])
    with pytest.raises(LostRace):
        await store.engine.commit([rows.begin_answer("one", "2", "d", NOW, most=2)])
    await store.engine.commit([rows.begin_answer("two", "2", "d", NOW, most=2)])
    await store.engine.commit([rows.forget_answers_before(NOW + 1)])
    await store.engine.commit([rows.begin_answer("one", "2", "d", NOW, most=2)])
