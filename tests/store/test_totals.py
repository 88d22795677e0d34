"""What was counted holds until something changes, for whoever writes; only so much is remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connector.app import MIGRATIONS
from connector.management.model import EDC, Asset, QuerySpec
from connector.management.queryspec import parse
from connector.store import definitions as d
from connector.store.definitions import DefinitionStore
from connector.store.engine import Engine, LostRace
from connector.store.migrate import migrate
from connector.store.totals import Totals
from tests.store.conftest import open_engine

GROUP: QuerySpec = parse({"filterExpression": {"operandLeft": "group", "operator": "=", "operandRight": "a"}})


@pytest.fixture
async def engine(database: str) -> AsyncIterator[Engine]:
    """With our tables."""
    opened = await open_engine(database)
    await migrate(opened, MIGRATIONS, 1)
    yield opened
    await opened.close()


def asset(asset_id: str, group: str) -> Asset:
    return Asset(asset_id, {f"{EDC}group": group}, created_at=1)


def test_a_figure_is_known_until_something_changes() -> None:
    totals = Totals()
    totals.keep(("SELECT ?", ("a",)), 1, 7)
    assert totals.known(("SELECT ?", ("a",)), 1) == 7
    assert totals.known(("SELECT ?", ("a",)), 2) is None
    assert totals.known(("SELECT ?", ("b",)), 1) is None


def test_the_oldest_figure_is_forgotten_first() -> None:
    totals = Totals(most=2)
    for number in range(3):
        totals.keep((f"SELECT {number}", ()), 1, number)
    assert [totals.known((f"SELECT {number}", ()), 1) for number in range(3)] == [None, 1, 2]


async def test_whoever_writes_everybody_counts_anew(engine: Engine) -> None:
    ours, another = DefinitionStore(engine), DefinitionStore(engine)
    await another.engine.commit(d.insert_asset(asset("1", "a")))
    assert await ours.count_assets(GROUP) == 1
    for written, total in (
        (d.insert_asset(asset("2", "a")), 2),
        (d.update_asset(asset("1", "b"), 2), 1),
        (d.delete_asset("2"), 0),
        (d.insert_asset(asset("3", "a")), 1),
    ):
        await another.engine.commit(written)
        assert await ours.count_assets(GROUP) == total
        assert len(await ours.assets(GROUP)) == total


async def test_what_was_not_written_changes_nothing(engine: Engine) -> None:
    store = DefinitionStore(engine)
    await engine.commit(d.insert_asset(asset("1", "a")))
    assert await store.count_assets(GROUP) == 1
    with pytest.raises(LostRace):
        await engine.commit(d.update_asset(asset("none", "a"), 2))
    assert await store.count_assets(GROUP) == 1
