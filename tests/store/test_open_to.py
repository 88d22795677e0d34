"""Datasets that are open to all, and those that are not, on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connector.app import MIGRATIONS
from connector.store import shelf
from connector.store.control import ControlStore
from connector.store.migrate import migrate
from connector.store.rows import Published
from tests.store.conftest import open_engine


@pytest.fixture
async def store(database: str) -> AsyncIterator[ControlStore]:
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1)
    yield ControlStore(engine)
    await engine.close()


async def test_pages_show_everything_to_the_owner(store: ControlStore) -> None:
    rows = [Published(str(number), "{}", "f", 1, open_to="all" if number % 3 == 0 else "admitted") for number in range(8)]
    for row in rows:
        await store.commit(shelf.publish_dataset(row, ()))

    assert await store.datasets() == rows
    assert await store.datasets(after="3", limit=2) == rows[4:6]
    assert await store.dataset("1") == rows[1]


async def test_who_publishes_again_says_again_to_whom(store: ControlStore) -> None:
    for open_to in ("all", "admitted"):
        await store.commit(shelf.publish_dataset(Published("x", "{}", "f", 1, open_to=open_to), ()))
        found = await store.dataset("x")
        assert found is not None
        assert found.open_to == open_to


@pytest.mark.parametrize(
    ("withdrawn_at", "open_to", "admitted", "unverified"),
    [(None, "all", True, True), (None, "admitted", True, False), (1, "all", False, False), (1, "admitted", False, False)],
)
def test_to_whom_a_dataset_is_offered(withdrawn_at: int | None, open_to: str, admitted: bool, unverified: bool) -> None:
    row = Published("x", "{}", "f", 1, withdrawn_at, "all" if open_to == "all" else "admitted")
    assert (row.offered_to(admitted=True), row.offered_to(admitted=False)) == (admitted, unverified)
