"""Schema migrations: numbered SQL files, applied once, in order, each in one transaction with its own record.

Files are ``0001_words.sql``, ``0002_…`` in SQLite's STRICT dialect (see
:func:`connector.store.sql.postgres_ddl` for what PostgreSQL gets) and contain no PRAGMA, ANALYZE or
transaction statement. The database remembers each file's SHA-256: a file that was applied once never
changes again. May import only the store's own modules.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from connector.store.engine import Engine, LostRace, Statement, StoreMisuse
from connector.store.sql import postgres_ddl, split_script

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
# Any number will do, as long as nothing else in the same database takes an advisory lock with it.
_ADVISORY_LOCK = 0x6361726E6574
_TABLE = """CREATE TABLE IF NOT EXISTS schema_migration (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL
) STRICT"""


class MigrationError(Exception):
    """The schema in the database and the files of this version do not fit. The text names the remedy."""


class Migratable(Engine, Protocol):
    """An engine that says which dialect it speaks."""

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which words the schema must be written in."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name and its statements; ``checksum`` is the SHA-256 of its bytes in hex."""

    version: int
    name: str
    checksum: str
    statements: tuple[str, ...]


def load(folder: Path) -> list[Migration]:
    """Read a folder's migrations in order. Blocking. Raises MigrationError for a gap or a bad file."""
    migrations: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None or int(match.group(1)) != len(migrations) + 1:
            raise MigrationError(
                f"{path.name} is not migration {len(migrations) + 1:04}: files are numbered from 0001 without a "
                "gap; rename or restore the missing file"
            )
        content = path.read_bytes()
        try:
            statements = split_script(content.decode())
        except (StoreMisuse, UnicodeDecodeError) as error:
            raise MigrationError(f"{path.name}: {error}") from error
        checksum = hashlib.sha256(content).hexdigest()
        migrations.append(Migration(len(migrations) + 1, path.stem, checksum, tuple(statements)))
    return migrations


async def migrate(engine: Migratable, folder: Path, now_ms: int) -> list[int]:
    """Bring the schema up to date and return the versions applied, possibly none.

    Safe when several replicas start at once. Raises MigrationError if an applied file has changed, or if
    the database is newer than the code, or if a migration fails; StoreUnavailable if the database cannot be
    reached.
    """
    known = await asyncio.to_thread(load, folder)
    await _create_table(engine)
    applied: list[int] = []
    while (following := _next(known, await _recorded(engine))) is not None:
        try:
            await engine.commit(_transaction(engine, following, now_ms))
        except StoreMisuse as error:
            raise MigrationError(f"migration {following.name} failed: {error}") from error
        except LostRace as error:
            # Another replica was faster, or the migration itself violates a constraint.
            if following.version not in await _recorded(engine):
                raise MigrationError(f"migration {following.name} failed: {error}") from error
        else:
            applied.append(following.version)
    return applied


async def _create_table(engine: Migratable) -> None:
    try:
        await engine.commit([*_serialise(engine), Statement(_words(engine, _TABLE), (), None)])
    except LostRace:
        # IF NOT EXISTS does not protect two PostgreSQL sessions from each other; the winner has made it.
        return


async def _recorded(engine: Engine) -> dict[int, str]:
    rows = await engine.fetch("SELECT version, checksum FROM schema_migration ORDER BY version")
    return {int(str(version)): str(checksum) for version, checksum in rows}


def _next(known: list[Migration], recorded: dict[int, str]) -> Migration | None:
    newest = max(recorded, default=0)
    if newest > len(known):
        raise MigrationError(
            f"the database has schema {newest}, this version of carnet knows {len(known)}: install the newer "
            "version again or restore a backup taken before the upgrade"
        )
    if sorted(recorded) != list(range(1, newest + 1)):
        raise MigrationError("the database's record of migrations has a gap; it was edited by hand: restore a backup")
    for migration in known[:newest]:
        if recorded[migration.version] != migration.checksum:
            raise MigrationError(
                f"migration {migration.name} was applied with another content: put the original file back and "
                "write the change as a new migration"
            )
    return known[newest] if newest < len(known) else None


def _transaction(engine: Migratable, migration: Migration, now_ms: int) -> list[Statement]:
    # The record comes first: a replica that lost the race fails on its primary key before it touches the
    # schema.
    record = Statement(
        "INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
        (migration.version, migration.name, migration.checksum, now_ms),
    )
    body = [Statement(_words(engine, sql), (), None) for sql in migration.statements]
    return [*_serialise(engine), record, *body]


def _serialise(engine: Migratable) -> list[Statement]:
    if engine.dialect == "sqlite":
        return []
    return [Statement("SELECT pg_advisory_xact_lock(?)", (_ADVISORY_LOCK,), None)]


def _words(engine: Migratable, sql: str) -> str:
    return sql if engine.dialect == "sqlite" else postgres_ddl(sql)
