"""The two engines behind one fixture, so that every contract test runs on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector.store.engine import Statement
from connector.store.migrate import Migratable
from connector.store.postgres import PostgresEngine
from connector.store.sql import postgres_ddl
from connector.store.sqlite import SqliteEngine

ITEM = """CREATE TABLE item (
    id TEXT PRIMARY KEY, version INTEGER NOT NULL CHECK (version >= 0), body BLOB, tag TEXT UNIQUE
) STRICT"""


async def open_engine(database: str) -> Migratable:
    """Open an address (PostgreSQL) or a file (SQLite)."""
    if database.startswith("postgresql://"):
        return await PostgresEngine.open(database, pool_size=8)
    return await SqliteEngine.open(Path(database))


async def create_item_table(engine: Migratable) -> None:
    """The table that the contract tests write to."""
    sql = ITEM if engine.dialect == "sqlite" else postgres_ddl(ITEM)
    await engine.commit([Statement(sql, (), None)])


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is, on each engine in turn."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_dsn"))
    return str(tmp_path / "control.db")


@pytest.fixture
async def engine(database: str) -> AsyncIterator[Migratable]:
    """An open engine with the table ``item``."""
    opened = await open_engine(database)
    await create_item_table(opened)
    yield opened
    await opened.close()
