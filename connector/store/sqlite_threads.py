"""The threads that own SQLite connections: one writer with group commit, and a few readers.

Everything here blocks and runs off the event loop; each connection lives and dies in its own thread.
Answers go back by one ``call_soon_threadsafe`` per group. May import the engine's errors, the owner lock
and :mod:`connector.store.sql`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from connector.store.engine import LostRace, Row, Statement, StoreMisuse, StoreUnavailable, Value
from connector.store.ownerlock import OwnerLock
from connector.store.sql import first_word

_CACHED_STATEMENTS = 256
_WAL_KEPT_BYTES = 64 * 1024 * 1024
IDLE_S = 1.0
"""Without a commit for so long (s), the write-ahead log is emptied: older versions of rows stand in it."""
KEPT_S = 60.0
"""Under load it is emptied as often (s)."""

_LOST = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID})
# Primary result codes that say something about the disk, the file or other processes, not about a statement.
_UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "the disk or the database's size limit is full; free space and try again",
    sqlite3.SQLITE_IOERR: "the disk failed",
    sqlite3.SQLITE_BUSY: "the database is locked by another program; close it",
    sqlite3.SQLITE_LOCKED: "the database is locked by another program; close it",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged; restore a backup",
    sqlite3.SQLITE_NOTADB: "the file is not a database, or is damaged; restore a backup",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened; check its folder and permissions",
    sqlite3.SQLITE_PERM: "the database file cannot be opened; check its permissions",
    sqlite3.SQLITE_READONLY: "the database file is read-only; check its folder and permissions",
    sqlite3.SQLITE_PROTOCOL: "the database's lock protocol failed; is it on a network file system?",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_INTERRUPT: "the statement was interrupted",
}
# What the sqlite3 module raises; ValueError and OverflowError come from binding (a lone surrogate, a 65-bit
# integer).
_DRIVER_ERRORS = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError)

Failure = LostRace | StoreMisuse | StoreUnavailable
Future = asyncio.Future[list[Row]]


@dataclass(slots=True, eq=False)
class WriteJob:
    """One caller's transaction and where its answer goes."""

    statements: Sequence[Statement]
    future: Future


@dataclass(slots=True, eq=False)
class ReadJob:
    """One query and where its rows go."""

    sql: str
    params: Sequence[Value]
    limit: int
    future: Future


Answer = tuple[Future, list[Row] | Failure]
Deliver = Callable[[list[Answer]], None]


def failure_of(error: Exception, *, at_commit: bool = False) -> Failure:
    """Which of the three engine errors a driver's exception is."""
    if isinstance(error, OSError):
        return StoreUnavailable(f"the database file cannot be opened ({error.strerror}); nothing was written")
    code = getattr(error, "sqlite_errorcode", None)
    if code in _LOST:
        return LostRace(str(error))
    reason = _UNAVAILABLE.get(code & 0xFF) if code is not None else None
    if reason is None:
        return StoreMisuse(f"{type(error).__name__}: {error}")
    unknown = at_commit and code is not None and code & 0xFF == sqlite3.SQLITE_IOERR
    effect = "nobody can know whether this was written" if unknown else "nothing was written"
    return StoreUnavailable(f"{reason} ({error}); {effect}")


def open_writer(path: Path, busy_timeout_ms: int, max_bytes: int | None) -> sqlite3.Connection:
    """Open or create the file as the durable, single writer wants it. Raises sqlite3.Error or OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=busy_timeout_ms / 1000, cached_statements=_CACHED_STATEMENTS)
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            "temp_store = MEMORY",
            # What is deleted is overwritten, not only marked as free.
            "secure_delete = ON",
            f"journal_size_limit = {_WAL_KEPT_BYTES}",
        ):
            connection.execute("PRAGMA " + pragma)
        if max_bytes is not None:
            page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_bytes)}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    """Open an existing file for reading only. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        timeout=busy_timeout_ms / 1000,
        cached_statements=_CACHED_STATEMENTS,
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


class Writer:
    """The thread that holds the owner lock and the only writing connection."""

    def __init__(
        self,
        path: Path,
        *,
        max_group: int,
        busy_timeout_ms: int,
        max_bytes: int | None,
        answer: Deliver,
        signal: Deliver,
    ) -> None:
        self._path = path
        self._max_group = max_group
        self._busy_timeout_ms = busy_timeout_ms
        self._max_bytes = max_bytes
        self._answer = answer
        self._signal = signal
        self._jobs: SimpleQueue[WriteJob | None] = SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._emptied_s = time.monotonic()

    def start(self, ready: Future, ended: Future) -> None:
        """Start. ``ready`` resolves when the file is open or could not be, ``ended`` at the very end."""
        threading.Thread(target=self._run, args=(ready, ended), name="store-writer", daemon=True).start()

    def put(self, job: WriteJob | None) -> None:
        """Queue a job; ``None`` asks the thread to end after everything before it."""
        self._jobs.put(job)

    def queued(self) -> list[WriteJob]:
        """Take what is still in the queue; for the time after the thread's end."""
        jobs: list[WriteJob] = []
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if job is not None:
                jobs.append(job)
        return jobs

    def _run(self, ready: Future, ended: Future) -> None:
        lock: OwnerLock | None = None
        try:
            lock = OwnerLock.acquire(self._path)
            self._connection = open_writer(self._path, self._busy_timeout_ms, self._max_bytes)
            self._signal([(ready, [])])
            self._serve()
        except (StoreUnavailable, sqlite3.Error, OSError) as error:
            self._signal([(ready, StoreUnavailable(f"cannot open the database {self._path}: {error}"))])
        finally:
            if self._connection is not None:
                self._connection.close()
            if lock is not None:
                lock.release()
            self._signal([(ended, [])])

    def _serve(self) -> None:
        job = self._jobs.get()
        while job is not None:
            group = [job]
            try:
                while len(group) < self._max_group and (job := self._jobs.get_nowait()) is not None:
                    group.append(job)
            except Empty:
                pass
            self._answer(self._commit_group(group))
            if job is not None:
                job = self._next()

    def _next(self) -> WriteJob | None:
        """The next job. What was deleted is in the write-ahead log for a minute at most."""
        if time.monotonic() - self._emptied_s > KEPT_S:
            self._empty()
        while True:
            try:
                return self._jobs.get(timeout=IDLE_S)
            except Empty:
                if self._empty():
                    return self._jobs.get()

    def _empty(self) -> bool:
        """Fold the write-ahead log into the file and cut it off; whether nobody who reads stood in the way."""
        self._emptied_s = time.monotonic()
        connection = self._connection
        if connection is None:
            return True
        try:
            connection.execute("PRAGMA busy_timeout = 0")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
        except sqlite3.Error:
            # The next commit meets whatever this was, and tells its caller.
            return True
        return not busy

    def _commit_group(self, group: list[WriteJob]) -> list[Answer]:
        at_commit = False
        try:
            connection = self._usable()
            connection.execute("BEGIN IMMEDIATE")
            run = self._run_alone if len(group) == 1 else self._run_member
            answers: list[Answer] = [(job.future, run(connection, job)) for job in group]
            at_commit = True
            if connection.in_transaction:
                connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the thread's supervisor: every failure must reach a caller
            self._abandon()
            if len(group) > 1 and isinstance(failure_of(error), StoreMisuse):
                # A deferred constraint or a RAISE(ROLLBACK) spoiled the group: give each member its own
                # transaction.
                return [answer for job in group for answer in self._commit_group([job])]
            return [(job.future, failure_of(error, at_commit=at_commit)) for job in group]
        return answers

    def _run_alone(self, connection: sqlite3.Connection, job: WriteJob) -> list[Row] | Failure:
        try:
            return run_statements(connection, job.statements)
        except (LostRace, *_DRIVER_ERRORS) as error:
            failure = error if isinstance(error, LostRace) else member_failure(error)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return failure

    def _run_member(self, connection: sqlite3.Connection, job: WriteJob) -> list[Row] | Failure:
        connection.execute("SAVEPOINT member")
        try:
            rows = run_statements(connection, job.statements)
        except (LostRace, *_DRIVER_ERRORS) as error:
            failure = error if isinstance(error, LostRace) else member_failure(error)
        else:
            connection.execute("RELEASE member")
            return rows
        connection.execute("ROLLBACK TO member")
        connection.execute("RELEASE member")
        return failure

    def _usable(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_writer(self._path, self._busy_timeout_ms, self._max_bytes)
        return self._connection

    def _abandon(self) -> None:
        """Roll back; a connection that cannot even do that is closed, and the next group opens another."""
        connection = self._connection
        if connection is None:
            return
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._connection = None
            connection.close()


def member_failure(error: Exception) -> Failure:
    """The failure of one member; re-raises what concerns the whole group."""
    failure = failure_of(error)
    if isinstance(failure, StoreUnavailable):
        raise error
    return failure


def run_statements(connection: sqlite3.Connection, statements: Sequence[Statement]) -> list[Row]:
    """Execute in order, check each guard, give the last statement's rows. Raises LostRace or sqlite3's."""
    rows: list[Row] = []
    for statement in statements:
        cursor = connection.execute(statement.sql, statement.params)
        rows = cursor.fetchall() if cursor.description is not None else []
        if statement.expect is not None:
            touched = cursor.rowcount
            if touched < 0:
                touched = _touched(connection, cursor, statement.sql, len(rows))
            if touched != statement.expect:
                raise LostRace(f"{touched} rows instead of {statement.expect}: {statement.sql[:120]}")
    return rows


def _touched(connection: sqlite3.Connection, cursor: sqlite3.Cursor, sql: str, returned: int) -> int:
    """Rows touched where the driver does not count: queries, and writes that begin with WITH."""
    if cursor.description is not None:
        return returned
    if first_word(sql) == "WITH":
        return int(connection.execute("SELECT changes()").fetchone()[0])
    return 0


class Reader:
    """A thread with one read-only connection, fed from a queue that all readers share."""

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_ms: int,
        jobs: SimpleQueue[ReadJob | None],
        answer: Deliver,
        signal: Deliver,
    ) -> None:
        self._path = path
        self._busy_timeout_ms = busy_timeout_ms
        self._jobs = jobs
        self._answer = answer
        self._signal = signal

    def start(self, ended: Future) -> None:
        """Start. ``None`` in the queue ends one reader; ``ended`` resolves once its connection is closed."""
        threading.Thread(target=self._run, args=(ended,), name="store-reader", daemon=True).start()

    def _run(self, ended: Future) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while (job := self._jobs.get()) is not None:
                answer: list[Row] | Failure
                try:
                    connection = connection or open_reader(self._path, self._busy_timeout_ms)
                    answer = self._read(connection, job)
                except Exception as error:  # noqa: BLE001 - the thread's supervisor: as above
                    answer = failure_of(error)
                self._answer([(job.future, answer)])
        finally:
            if connection is not None:
                connection.close()
            self._signal([(ended, [])])

    @staticmethod
    def _read(connection: sqlite3.Connection, job: ReadJob) -> list[Row] | Failure:
        if first_word(job.sql) not in ("SELECT", "WITH", "VALUES"):
            return StoreMisuse(f"fetch takes queries only: {job.sql[:120]!r}")
        try:
            cursor = connection.execute(job.sql, job.params)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_READONLY:
                return StoreMisuse(f"fetch takes queries only: {job.sql[:120]!r}")
            raise
        try:
            return cursor.fetchmany(job.limit)
        finally:
            # An unfinished statement would keep its snapshot: later reads would be stale and checkpoints
            # blocked.
            cursor.close()
