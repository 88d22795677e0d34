"""Backup and restore: consistent while in use, never over an existing file, never under a running connector."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from connector.store.backup import (
    BackupError,
    backup,
    backup_sqlite,
    check_sqlite,
    dump_sqlite,
    restore,
    restore_sqlite,
)
from connector.store.engine import Statement, StoreUnavailable
from connector.store.migrate import migrate
from connector.store.sqlite import SqliteEngine
from tests.store.conftest import open_engine

SCHEMA = """CREATE TABLE account (id TEXT PRIMARY KEY, amount INTEGER NOT NULL) STRICT;
INSERT INTO account VALUES ('a', 500), ('b', 500);
"""
TRANSFER = (
    Statement("UPDATE account SET amount = amount - 1 WHERE id = 'a'"),
    Statement("UPDATE account SET amount = amount + 1 WHERE id = 'b'"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_account.sql").write_text(SCHEMA)
    return made


@pytest.fixture
async def path(tmp_path: Path, folder: Path) -> Path:
    """A closed database with schema 1."""
    path = tmp_path / "control.db"
    engine = await SqliteEngine.open(path)
    await migrate(engine, folder, 0)
    await engine.close()
    return path


def amounts(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT amount FROM account ORDER BY id")]


async def test_a_backup_of_a_busy_database_is_one_moment_of_it(path: Path, tmp_path: Path) -> None:
    engine = await SqliteEngine.open(path)
    done = asyncio.Event()

    async def write_until_done() -> None:
        while not done.is_set():
            await engine.commit(TRANSFER)

    writer = asyncio.create_task(write_until_done())
    for number in range(5):
        await backup(path, tmp_path / f"{number}.backup")
    done.set()
    await writer
    await engine.close()

    copies = [amounts(tmp_path / f"{number}.backup") for number in range(5)]
    assert all(sum(copy) == 1000 for copy in copies)
    assert copies == sorted(copies, reverse=True)
    assert {entry.suffix for entry in listing(tmp_path)} <= {".db", ".lock", ".backup", ""}


def listing(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def test_a_backup_is_private_and_stands_alone(path: Path, tmp_path: Path) -> None:
    backup_sqlite(path, tmp_path / "copy")

    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(tmp_path / "copy")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_backup_overwrites_nothing(path: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("precious")

    with pytest.raises(BackupError, match="exists"):
        backup_sqlite(path, tmp_path / "copy")
    (tmp_path / "other.partial").write_text("left over")
    with pytest.raises(BackupError, match="remove what an earlier run left"):
        backup_sqlite(path, tmp_path / "other")

    assert (tmp_path / "copy").read_text() == "precious"
    assert not (tmp_path / "copy.partial").exists()


@pytest.mark.parametrize("content", [b"", b"no database " * 1000])
def test_what_is_no_database_is_not_restored(path: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy").write_bytes(content)

    with pytest.raises(BackupError):
        restore_sqlite(tmp_path / "copy", path)
    with pytest.raises(BackupError, match="there is no"):
        restore_sqlite(tmp_path / "absent", path)
    with pytest.raises(BackupError, match="there is no"):
        backup_sqlite(tmp_path / "absent", tmp_path / "new")

    assert amounts(path) == [500, 500]


def test_damage_is_found(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096].ljust(len(content), b"\xff"))

    with pytest.raises(BackupError, match=r"damaged|sound"):
        check_sqlite(path)


def test_a_broken_reference_is_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.executescript("CREATE TABLE a (id PRIMARY KEY); CREATE TABLE b (a REFERENCES a); INSERT INTO b VALUES (1);")

    with pytest.raises(BackupError, match="damaged"):
        check_sqlite(tmp_path / "x.db")


async def test_restore_brings_back_the_backup_and_keeps_what_was_there(path: Path, tmp_path: Path) -> None:
    await backup(str(path), tmp_path / "copy")
    engine = await SqliteEngine.open(path)
    await engine.commit(TRANSFER)
    with pytest.raises(StoreUnavailable, match="another carnet process"):
        await restore(tmp_path / "copy", path)
    await engine.close()

    await restore(tmp_path / "copy", path, newest_schema=1)
    await restore(tmp_path / "copy", tmp_path / "fresh.db")

    assert amounts(path) == amounts(tmp_path / "fresh.db") == [500, 500]
    assert amounts(path.with_name("control.db.replaced")) == [499, 501]
    engine = await SqliteEngine.open(path)
    await engine.commit(TRANSFER)
    await engine.close()


def test_restore_takes_a_log_left_by_a_crash_out_of_the_way(path: Path, tmp_path: Path) -> None:
    backup_sqlite(path, tmp_path / "copy")
    with closing(sqlite3.connect(path)) as crashed:
        crashed.execute("UPDATE account SET amount = 0")
        crashed.commit()
        left = {suffix: path.with_name(path.name + suffix).read_bytes() for suffix in ("", "-wal")}
    for suffix, content in left.items():
        path.with_name(path.name + suffix).write_bytes(content)

    restore_sqlite(tmp_path / "copy", path)

    assert amounts(path) == [500, 500]
    assert amounts(path.with_name("control.db.replaced")) == [0, 0]


def test_a_newer_or_foreign_schema_is_not_restored(path: Path, tmp_path: Path) -> None:
    backup_sqlite(path, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "foreign")) as connection:
        connection.executescript("CREATE TABLE a (b);")

    with pytest.raises(BackupError, match="backup has schema 1, this version of carnet knows 0"):
        restore_sqlite(tmp_path / "copy", path, newest_schema=0)
    with pytest.raises(BackupError, match="not one of carnet's"):
        restore_sqlite(tmp_path / "foreign", path)


def test_a_dump_makes_the_same_database_again(path: Path, tmp_path: Path) -> None:
    text = dump_sqlite(path)
    with closing(sqlite3.connect(tmp_path / "again.db")) as connection:
        connection.executescript(text)

    assert amounts(tmp_path / "again.db") == [500, 500]
    assert dump_sqlite(tmp_path / "again.db") == text


@pytest.mark.postgres
async def test_postgres_is_dumped_and_restored_by_its_own_programs(postgres_dsn: str, tmp_path: Path, folder: Path) -> None:
    engine = await open_engine(postgres_dsn)
    await migrate(engine, folder, 0)
    with_password = postgres_dsn.replace("carnet@", "carnet:un%2Fused@")

    await backup(with_password, tmp_path / "dump")
    with pytest.raises(BackupError, match="cannot create"):
        await backup(postgres_dsn, tmp_path / "dump")
    with pytest.raises(BackupError, match="pg_restore failed"):
        await restore(tmp_path / "dump", postgres_dsn)
    await engine.commit([Statement("DROP TABLE account", (), None), Statement("DROP TABLE schema_migration", (), None)])
    await restore(tmp_path / "dump", with_password)

    assert await engine.fetch("SELECT id, amount FROM account ORDER BY id") == [("a", 500), ("b", 500)]
    await engine.close()


async def test_without_the_client_programs_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(BackupError, match="install PostgreSQL's client programs"):
        await backup("postgresql://nobody@127.0.0.1/x", tmp_path / "dump")

    assert listing(tmp_path) == []
