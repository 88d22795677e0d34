"""Migrations: applied once and in order on both engines, refused when files and database do not fit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connector.store.engine import Statement
from connector.store.migrate import Migratable, MigrationError, load, migrate
from tests.store.conftest import open_engine

NOW_MS = 1_767_225_600_000
FIRST = """-- people; and what they own
CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, photo BLOB) STRICT;
CREATE INDEX person_name ON person (name);
INSERT INTO person (name) VALUES ('semi;colon');
"""
SECOND = "ALTER TABLE person ADD COLUMN weight REAL;\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    write(made, "0001_person.sql", FIRST)
    return made


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)


async def recorded(engine: Migratable) -> list[tuple[object, ...]]:
    return list(await engine.fetch("SELECT version, name, applied_at FROM schema_migration ORDER BY version"))


async def test_each_migration_is_applied_once_and_recorded(engine: Migratable, folder: Path) -> None:
    assert await migrate(engine, folder, NOW_MS) == [1]
    assert await migrate(engine, folder, NOW_MS + 1) == []
    write(folder, "0002_weight.sql", SECOND)
    assert await migrate(engine, folder, NOW_MS + 2) == [2]

    assert await recorded(engine) == [(1, "0001_person", NOW_MS), (2, "0002_weight", NOW_MS + 2)]
    rows = await engine.commit_returning(
        [Statement("INSERT INTO person (name, weight) VALUES (?, ?) RETURNING id, weight", ("ann", 61.5))]
    )
    assert rows == [(2, 61.5)]


async def test_an_empty_folder_is_no_error(engine: Migratable, tmp_path: Path) -> None:
    assert await migrate(engine, tmp_path, NOW_MS) == []


async def test_a_failing_migration_leaves_nothing(engine: Migratable, folder: Path) -> None:
    write(folder, "0002_bad.sql", "CREATE TABLE house (id TEXT) STRICT; INSERT INTO absent VALUES (1);")

    with pytest.raises(MigrationError, match="0002_bad failed"):
        await migrate(engine, folder, NOW_MS)

    assert [row[0] for row in await recorded(engine)] == [1]
    write(folder, "0002_bad.sql", "CREATE TABLE house (id TEXT) STRICT;")
    assert await migrate(engine, folder, NOW_MS) == [2]


async def test_a_migration_against_its_own_constraint_ends(engine: Migratable, folder: Path) -> None:
    write(folder, "0002_twice.sql", "INSERT INTO person (name) VALUES ('semi;colon');")

    with pytest.raises(MigrationError, match="0002_twice failed"):
        await migrate(engine, folder, NOW_MS)


async def test_a_changed_file_is_refused(engine: Migratable, folder: Path) -> None:
    await migrate(engine, folder, NOW_MS)
    write(folder, "0001_person.sql", FIRST + "-- harmless\n")

    with pytest.raises(MigrationError, match="put the original file back"):
        await migrate(engine, folder, NOW_MS)


async def test_a_newer_database_is_refused(engine: Migratable, folder: Path) -> None:
    write(folder, "0002_weight.sql", SECOND)
    await migrate(engine, folder, NOW_MS)
    await asyncio.to_thread((folder / "0002_weight.sql").unlink)

    with pytest.raises(MigrationError, match="database has schema 2, this version of carnet knows 1"):
        await migrate(engine, folder, NOW_MS)


async def test_an_edited_record_is_refused(engine: Migratable, folder: Path) -> None:
    write(folder, "0002_weight.sql", SECOND)
    await migrate(engine, folder, NOW_MS)
    await engine.commit([Statement("DELETE FROM schema_migration WHERE version = 1")])

    with pytest.raises(MigrationError, match="has a gap"):
        await migrate(engine, folder, NOW_MS)


@pytest.mark.parametrize("name", ["0003_gap.sql", "0001_again.sql", "2_short.sql", "0002-dash.sql"])
def test_a_gap_or_a_strange_name_is_refused(folder: Path, name: str) -> None:
    write(folder, name, "SELECT 1;")

    with pytest.raises(MigrationError, match="is not migration"):
        load(folder)


def test_an_unfinished_file_is_refused(folder: Path) -> None:
    write(folder, "0002_open.sql", "CREATE TABLE a (b TEXT)")

    with pytest.raises(MigrationError, match=r"0002_open.sql: unfinished"):
        load(folder)


@pytest.mark.postgres
async def test_replicas_that_start_at_once_apply_each_migration_once(postgres_dsn: str, folder: Path) -> None:
    write(folder, "0002_weight.sql", SECOND)
    replicas = [await open_engine(postgres_dsn) for _ in range(4)]

    applied = await asyncio.gather(*(migrate(replica, folder, NOW_MS) for replica in replicas))

    assert sorted(version for versions in applied for version in versions) == [1, 2]
    assert [row[0] for row in await recorded(replicas[0])] == [1, 2]
    for replica in replicas:
        await replica.close()
