"""The payloads beside the log: ciphertexts by their SHA-256, in one SQLite file that only the sequencer writes.

Nothing here can be read without the keys of `connector.log.subjects`. Everything blocks: from an event loop, call it in a
thread. May import the errors only.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from connector.protocol.errors import Unavailable

FILE: Final = "payloads.db"
BUSY_TIMEOUT_S: Final = 5.0
MAX_ROW_BYTES: Final = 134_217_728
"""More than a payload, or an index of vehicles, ever has."""
_TABLE: Final = "CREATE TABLE IF NOT EXISTS payload (sha256 BLOB PRIMARY KEY, ciphertext BLOB NOT NULL) STRICT"


class Payloads:
    """The file of payloads at ``path``; for any thread. Raises Unavailable ``payloads-unusable`` where that cannot be used."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open it, and make it where it is not there and may be written to."""
        self._path = path
        self._lock = threading.Lock()
        with self._told():
            self._connection = _reading(path) if read_only else _writing(path)

    def put(self, payloads: Iterable[tuple[str, bytes]]) -> None:
        """Keep ciphertexts under the hex SHA-256 of each, on disk when this returns. Those that are there already stay."""
        rows = [(bytes.fromhex(digest), ciphertext) for digest, ciphertext in payloads]
        if not rows:
            return
        with self._told(), self._lock, _transaction(self._connection):
            self._connection.executemany("INSERT INTO payload VALUES (?, ?) ON CONFLICT DO NOTHING", rows)

    def get(self, digest: str) -> bytes | None:
        """The ciphertext of this hex SHA-256, as the file has it: the caller checks that it is that one."""
        with self._told(), self._lock:
            row = self._connection.execute("SELECT ciphertext FROM payload WHERE sha256 = ?", (bytes.fromhex(digest),)).fetchone()
            if row is not None and not isinstance(row[0], bytes):
                # STRICT keeps who writes by SQL from this, and not who writes the file.
                raise sqlite3.DatabaseError("a payload is no bytes")
        return None if row is None else row[0]

    def digests(self) -> Iterator[str]:
        """The hex SHA-256 of every payload, in order; pages of its own, so that nothing is held meanwhile."""
        last = b""
        while True:
            with self._told(), self._lock:
                rows = self._connection.execute(
                    "SELECT sha256 FROM payload WHERE sha256 > ? ORDER BY sha256 LIMIT 1000", (last,)
                ).fetchall()
            yield from (bytes(row[0]).hex() for row in rows)
            if not rows:
                return
            last = rows[-1][0]

    def close(self) -> None:
        """Fold the write-ahead log into the file. Idempotent."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            reason = f"cannot use {self._path} ({error}); see the disk, the owner and the mode of its folder"
            raise Unavailable("payloads-unusable", reason) from error


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _writing(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(_TABLE)
    except BaseException:
        connection.close()
        raise
    return connection


def check_beside(path: Path) -> None:
    """What SQLite opens beside a database, too, are files: at a pipe it would wait for ever. Raises OSError."""
    for end in ("-wal", "-shm", "-journal"):
        other = Path(f"{path}{end}")
        if other.exists() and not other.is_file():
            raise OSError(0, f"{other.name} is no file")


def _reading(path: Path) -> sqlite3.Connection:
    check_beside(path)
    address = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        _check_table(connection)
    except sqlite3.OperationalError:
        connection.close()
        if not path.is_file() or Path(f"{path}-wal").exists():
            raise
        # A copy in a folder that nobody may write to: SQLite can make no shared memory beside it, and needs none.
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None, check_same_thread=False)
        try:
            _check_table(connection)
        except (sqlite3.Error, UnicodeDecodeError):
            connection.close()
            raise
    except (sqlite3.Error, UnicodeDecodeError):
        connection.close()
        raise
    return connection


def _check_table(connection: sqlite3.Connection) -> None:
    """The file may come from anybody: a view in the place of the table could make SQLite reckon for ever, or make bytes without
    end."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ROW_BYTES)
    row = connection.execute("SELECT type, sql FROM sqlite_schema WHERE name = 'payload'").fetchone()
    if row is None:
        raise sqlite3.OperationalError("there is no table of payloads in it, or none can be seen")
    if tuple(row) != ("table", _TABLE.replace("IF NOT EXISTS ", "")):
        raise sqlite3.DatabaseError("there is no table of payloads in it")
