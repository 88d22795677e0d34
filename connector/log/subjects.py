"""The keys of those whom payloads are about: parties and vehicles. Who erases a key erases what was written of its subject.

One SQLite file. It names nobody: a name stands there as an HMAC, a key encrypted, both under a root of the file, which itself is
encrypted with our secret of the use SUBJECTS; after a rotation of the secret, the root is encrypted anew. An erased key is in no
byte of the file nor of what SQLite keeps beside it. Everything blocks: from an event loop, call it in a thread. May import
`connector.log.sealing` and the errors.
"""

from __future__ import annotations

import hmac
import mmap
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connector.log.sealing import KEY_BYTES
from connector.protocol.errors import Unavailable

FILE: Final = "subjects.db"
BUSY_TIMEOUT_S: Final = 5.0
_PAGE: Final = 500
_COLUMNS: Final = "name, key, key_id, made_at, erased_at"
_NONCE_BYTES: Final = 12
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS root (one INTEGER PRIMARY KEY CHECK (one = 1), sealed BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS subject (name BLOB PRIMARY KEY, key BLOB, key_id BLOB NOT NULL, made_at INTEGER NOT NULL, "
    "erased_at INTEGER) STRICT",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a subject. ``key`` is None once it is erased; ``key_id`` is what the log names it by; times in ms."""

    key: bytes | None = field(repr=False)
    key_id: str
    made_at: int
    erased_at: int | None


def key_id(key: bytes) -> str:
    """What a leaf of type ``subject`` names a key by: 64 hex digits that show nothing of it."""
    return sha256(b"carnet subject key" + key).hexdigest()


class SubjectKeys:
    """The file of subjects' keys at ``path``; for any thread, and several processes may have it open.

    ``secret`` gives our secret of now, ``older`` those before it. Raises Unavailable: ``subjects-unusable`` where the file cannot
    be used, ``subjects-secret`` where none of the secrets opens it.
    """

    def __init__(self, path: Path, secret: Callable[[], bytes], older: Callable[[], Sequence[bytes]] = tuple) -> None:
        """Open the file, and make it where it is not there."""
        self._path = path
        self._lock = threading.Lock()
        with self._told():
            self._connection = _opened(path)
            try:
                root = self._root(secret(), older())
            except BaseException:
                self._connection.close()
                raise
        self._naming = hmac.digest(root, b"carnet subject name", "sha256")
        self._wrapping = AESGCM(hmac.digest(root, b"carnet subject wrap", "sha256"))
        self._deriving = hmac.digest(root, b"carnet subject derive", "sha256")

    def keys(self, names: Sequence[str], now_ms: int) -> list[bytes]:
        """The key (32 bytes) of each name, in their order; those that are missing are made, and are on disk when this returns.

        For a name whose key was erased: a key that is kept nowhere.
        """
        blind = {name: self._blind(name) for name in names}
        with self._told(), self._lock:
            known = self._known(list(blind.values()))
            missing = [name for name in blind.values() if name not in known]
            if missing:
                self._make(missing, now_ms)
                # Another process may have been faster with one of them: what the file has counts.
                known |= self._known(missing)
        return [known[blind[name]].key or secrets.token_bytes(KEY_BYTES) for name in names]

    def find(self, name: str) -> Found | None:
        """What is known of a subject; None: it never had a key."""
        blind = self._blind(name)
        with self._told(), self._lock:
            return self._known([blind]).get(blind)

    def every(self) -> Iterator[Found]:
        """Every subject, the erased ones included, in pages of its own: who opens payloads needs no names."""
        last = 0
        while True:
            with self._told(), self._lock:
                rows = self._connection.execute(
                    f"SELECT rowid, {_COLUMNS} FROM subject WHERE rowid > ? ORDER BY rowid LIMIT ?",  # noqa: S608  # our own names
                    (last, _PAGE),
                ).fetchall()
                page = [self._found(row[1:]) for row in rows]
            yield from page
            if not rows:
                return
            last = rows[-1][0]

    def erase(self, name: str, now_ms: int) -> str | None:
        """Destroy a subject's key, and give the id that it had; None for a subject that never had one.

        When this returns, the key is in no byte of the file or of SQLite's files beside it. Call it again if it raised: an
        erasure that was cut short is finished then.
        """
        blind = self._blind(name)
        with self._told(), self._lock:
            row = self._connection.execute("SELECT key, key_id FROM subject WHERE name = ?", (blind,)).fetchone()
            if row is None:
                return None
            self._connection.execute(
                "UPDATE subject SET key = NULL, erased_at = ? WHERE name = ? AND erased_at IS NULL", (now_ms, blind)
            )
            self._forget(row[0])
        return bytes(row[1]).hex()

    def derived(self, label: bytes) -> bytes:
        """A secret of 32 bytes for a label: the same as long as there is this file, however often our own secrets are rotated."""
        return hmac.digest(self._deriving, label, "sha256")

    def close(self) -> None:
        """Fold the write-ahead log into the file. Idempotent."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _blind(self, name: str) -> bytes:
        return hmac.digest(self._naming, name.encode("utf-8", "surrogatepass"), "sha256")

    def _known(self, blind: list[bytes]) -> dict[bytes, Found]:
        found: dict[bytes, Found] = {}
        for start in range(0, len(blind), _PAGE):
            page = blind[start : start + _PAGE]
            marks = ", ".join("?" * len(page))
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM subject WHERE name IN ({marks})",  # noqa: S608  # marks only
                page,
            )
            found |= {row[0]: self._found(row) for row in rows}
        return found

    def _found(self, row: Any) -> Found:
        name, wrapped, named, made_at, erased_at = row
        key = None if wrapped is None else _unsealed(self._wrapping, wrapped, name)
        return Found(key, named.hex(), made_at, erased_at)

    def _make(self, blind: list[bytes], now_ms: int) -> None:
        rows: list[tuple[bytes, bytes, bytes, int]] = []
        for name in blind:
            key = secrets.token_bytes(KEY_BYTES)
            rows.append((name, _sealed(self._wrapping, key, name), bytes.fromhex(key_id(key)), now_ms))
        with _transaction(self._connection):
            self._connection.executemany(
                "INSERT INTO subject (name, key, key_id, made_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows
            )

    def _forget(self, wrapped: bytes | None) -> None:
        """See to it that what was deleted is in no file."""
        self._truncate()
        # SQLite moves rows between pages, and does not promise to clear the place that one has left.
        if wrapped is not None and _holds(self._path, wrapped):
            self._connection.execute("VACUUM")
            self._truncate()
        if wrapped is not None and any(_holds(Path(f"{self._path}{end}"), wrapped) for end in ("", "-wal", "-shm", "-journal")):
            raise Unavailable("subject-remains", f"the key is still in {self._path}; erase it again")

    def _truncate(self) -> None:
        busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise Unavailable("subject-busy", f"another process reads {self._path}; erase it again when that has ended")

    def _root(self, secret: bytes, older: Sequence[bytes]) -> bytes:
        """The secret of this file; what opens it with an older secret of ours is replaced at once."""
        with _transaction(self._connection):
            row = self._connection.execute("SELECT sealed FROM root").fetchone()
            if row is None:
                root = secrets.token_bytes(KEY_BYTES)
                self._connection.execute("INSERT INTO root VALUES (1, ?)", (_sealed(_kek(secret), root, b"root"),))
                return root
            for tried in (secret, *older):
                try:
                    root = _unsealed(_kek(tried), row[0], b"root")
                except InvalidTag:
                    continue
                if tried != secret:
                    self._connection.execute("UPDATE root SET sealed = ?", (_sealed(_kek(secret), root, b"root"),))
                return root
        reason = f"none of our secrets opens {self._path}; put back the keys (use subjects) that it was made with"
        raise Unavailable("subjects-secret", reason)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = f"cannot use {self._path} ({error}); see the disk, the owner and the mode of its folder"
            raise Unavailable("subjects-unusable", reason) from error
        except InvalidTag:
            raise Unavailable("subjects-damaged", f"a key in {self._path} is not as it was written; restore a copy") from None


def _kek(secret: bytes) -> AESGCM:
    return AESGCM(hmac.digest(secret, b"carnet subjects root", "sha256"))


def _sealed(under: AESGCM, key: bytes, about: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + under.encrypt(nonce, key, about)


def _unsealed(under: AESGCM, wrapped: bytes, about: bytes) -> bytes:
    return under.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], about)


def _holds(path: Path, wanted: bytes) -> bool:
    try:
        with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(wanted) >= 0
    except (FileNotFoundError, ValueError):
        # Not there, or empty.
        return False


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


def _opened(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        # Before the first page is written: what is deleted is overwritten with zeros.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        for table in _SCHEMA:
            connection.execute(table)
    except BaseException:
        connection.close()
        raise
    return connection
