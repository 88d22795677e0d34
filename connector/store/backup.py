"""Backup and restore of a whole database: SQLite by its online backup, PostgreSQL by its own programs.

Works on files and addresses, not on engines, so that the command line can use it while a connector is
running (backup) or must not be (restore). Everything that blocks runs in a thread. May import only the
store's own modules.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from connector.store.ownerlock import OwnerLock

PROGRAM_TIMEOUT_S = 3600.0
_LAST_WORDS_BYTES = 2000


class BackupError(Exception):
    """The backup or restore was not done, and the target is as it was. The text names the remedy."""


async def backup(database: Path | str, target: Path) -> None:
    """Write a consistent copy of a database, which may be in use, to a new file.

    A ``postgresql://`` address gives a custom-format dump. Raises BackupError, also if the target exists.
    """
    if isinstance(database, str) and is_postgres(database):
        await _pg_dump(database, target)
    else:
        await asyncio.to_thread(backup_sqlite, Path(database), target)


async def restore(source: Path, database: Path | str, *, newest_schema: int | None = None) -> None:
    """Put a backup in a database's place; nobody may be using it.

    SQLite: what was there before is kept beside it as ``<database>.replaced``. PostgreSQL: the database
    must be empty. ``newest_schema`` is the highest migration this code knows. Raises BackupError, or
    StoreUnavailable if a process owns the file.
    """
    if isinstance(database, str) and is_postgres(database):
        await _pg_restore(source, database)
    else:
        await asyncio.to_thread(restore_sqlite, source, Path(database), newest_schema=newest_schema)


def is_postgres(database: str) -> bool:
    """True for a PostgreSQL address, false for a file name."""
    return database.startswith(("postgresql://", "postgres://"))


def backup_sqlite(path: Path, target: Path) -> None:
    """Copy one consistent moment of a SQLite database, also while another process writes. Blocking. See backup."""
    if not path.is_file():
        raise BackupError(f"there is no database {path}")
    partial = target.with_name(target.name + ".partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise BackupError(f"cannot create {partial} ({error.strerror}); remove what an earlier run left") from error
    try:
        # All pages in one step: one read transaction, so that a busy writer cannot make it start again for
        # ever.
        with closing(_connect(path, "ro")) as source, closing(_connect(partial, "rw")) as copy:
            source.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode = DELETE")
        check_sqlite(partial)
        _sync(partial)
        # Unlike a rename, a link never replaces a file that has appeared in the meantime.
        os.link(partial, target)
        _sync(target.parent)
    except FileExistsError as error:
        raise BackupError(f"{target} exists; choose another name or remove it") from error
    except (sqlite3.Error, OSError) as error:
        raise BackupError(f"backup of {path} failed: {error}") from error
    finally:
        _discard(partial)


def restore_sqlite(source: Path, target: Path, *, newest_schema: int | None = None) -> None:
    """Replace a SQLite database by a backup. Blocking. See restore."""
    if not source.is_file():
        raise BackupError(f"there is no backup {source}")
    lock = OwnerLock.acquire(target)
    partial = target.with_name(target.name + ".partial")
    try:
        # The backup may be the raw copy of a live file; what counts is the verified copy of its content.
        _discard(partial)
        backup_sqlite(source, partial)
        _check_schema(partial, newest_schema)
        _set_aside(target)
        partial.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise BackupError(f"restore to {target} failed: {error}") from error
    finally:
        _discard(partial)
        lock.release()


def check_sqlite(path: Path) -> None:
    """Raise BackupError unless SQLite finds the file sound and every foreign key satisfied. Blocking."""
    try:
        with closing(_connect(path, "ro")) as connection:
            findings = connection.execute("PRAGMA integrity_check(5)").fetchall()
            if findings == [("ok",)]:
                findings = connection.execute("PRAGMA foreign_key_check").fetchmany(5)
    except sqlite3.Error as error:
        raise BackupError(f"{path} is not a sound database ({error}); use another backup") from error
    if findings and findings != [("ok",)]:
        raise BackupError(f"{path} is damaged ({findings[0]}); use another backup")


def dump_sqlite(path: Path) -> str:
    """The whole database as SQL text that makes it again; for small ones, such as fixtures of old schemas."""
    with closing(_connect(path, "ro")) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)


def _check_schema(path: Path, newest_schema: int | None) -> None:
    with closing(_connect(path, "ro")) as connection:
        try:
            found = connection.execute("SELECT max(version) FROM schema_migration").fetchone()[0]
        except sqlite3.Error as error:
            raise BackupError("the file is a database, but not one of carnet's") from error
    if newest_schema is not None and found is not None and found > newest_schema:
        raise BackupError(f"the backup has schema {found}, this version of carnet knows {newest_schema}: install a newer version")


def _set_aside(target: Path) -> None:
    """Keep the old database as ``.replaced``, its write-ahead log with it: beside a new file it would corrupt it."""
    replaced = target.with_name(target.name + ".replaced")
    for suffix in ("", "-wal", "-shm"):
        _discard(Path(f"{replaced}{suffix}"))
    wal, shm = Path(f"{target}-wal"), Path(f"{target}-shm")
    if target.exists():
        os.link(target, replaced)
    if wal.exists():
        wal.replace(f"{replaced}-wal")
    _discard(shm)
    _sync(target.parent)


def _discard(path: Path) -> None:
    path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reserve(target: Path) -> None:
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise BackupError(f"cannot create {target} ({error.strerror}); choose another name or remove it") from error


async def _pg_dump(dsn: str, target: Path) -> None:
    await asyncio.to_thread(_reserve, target)
    address, environment = _without_password(dsn)
    done = False
    try:
        await _run_program("pg_dump", ["--format=custom", f"--file={target}", f"--dbname={address}"], environment)
        await asyncio.to_thread(_sync, target)
        done = True
    finally:
        if not done:
            _discard(target)


async def _pg_restore(source: Path, dsn: str) -> None:
    address, environment = _without_password(dsn)
    options = ["--no-owner", "--exit-on-error", "--single-transaction", f"--dbname={address}", str(source)]
    await _run_program("pg_restore", options, environment)


def _without_password(dsn: str) -> tuple[str, dict[str, str]]:
    """The address as others may see it in the process list, and the environment that carries the password."""
    environment = dict(os.environ)
    parts = urlsplit(dsn)
    if parts.password is None:
        return dsn, environment
    environment["PGPASSWORD"] = unquote(parts.password)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}")), environment


async def _run_program(name: str, options: list[str], environment: dict[str, str]) -> None:
    program = await asyncio.to_thread(shutil.which, name)
    if program is None:
        raise BackupError(f"{name} is not installed here; install PostgreSQL's client programs")
    process = await asyncio.create_subprocess_exec(
        program,
        *options,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PROGRAM_TIMEOUT_S):
            _, stderr = await process.communicate()
    except TimeoutError as error:
        raise BackupError(f"{name} did not end within {PROGRAM_TIMEOUT_S} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last_words = stderr[-_LAST_WORDS_BYTES:].decode(errors="replace").strip()
        raise BackupError(f"{name} failed: {last_words}")
