"""The engine for several replicas: PostgreSQL through asyncpg.

Import this module only for a ``postgresql://`` address: asyncpg is an extra. It is the one module that
knows asyncpg, which publishes no types. The texts of its errors may quote data, so they are reduced to what
names tables and constraints, and are never chained. May import only the store's own modules.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any, Literal, Self

from connector.store.engine import LostRace, Row, Statement, StoreMisuse, StoreUnavailable, Value
from connector.store.sql import check_member, first_word, numbered_placeholders

try:
    import asyncpg
except ModuleNotFoundError as error:
    raise StoreUnavailable("a postgresql:// store needs the package asyncpg: pip install 'carnet[postgres]'") from error

POOL_SIZE = 16
CONNECT_TIMEOUT_S = 10.0
ACQUIRE_TIMEOUT_S = 10.0
STATEMENT_TIMEOUT_S = 30.0
HEARTBEAT_S = 30.0
RECONNECT_FIRST_S = 0.1
RECONNECT_MOST_S = 10.0
# A server that enforces its own time-out answers; only when it is silent for longer do we give up the
# connection.
_SILENCE_S = 5.0

_CLOSED = "the store is closed; nothing was written"
_LOST_STATES = frozenset({"23505", "23P01", "40001", "40P01"})
# Classes: connection, authorisation, database name, resources, operator intervention, system and internal
# errors.
_UNAVAILABLE_CLASSES = frozenset({"08", "28", "3D", "53", "57", "58", "XX"})
_UNAVAILABLE_STATES = frozenset({"25006", "42501", "55P03"})
_RETURNING = re.compile(r"\bRETURNING\b", re.IGNORECASE)

# InternalClientError is what the driver raises when a connection goes away in the middle of its own exchange.
_CONNECT_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_DRIVER_ERRORS = (*_CONNECT_ERRORS, ValueError, OverflowError, TypeError)

Failure = LostRace | StoreMisuse | StoreUnavailable


def notification(channel: str, payload: str = "") -> Statement:
    """A statement that tells every listener of the channel once its commit succeeds. Equal ones in a commit merge."""
    return Statement("SELECT pg_notify(?, ?)", (channel, payload), None)


def failure_of(error: Exception, *, committing: bool = False) -> Failure:
    """Which of the engine's errors an asyncpg exception is; its text quotes no data."""
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return LostRace("the schema changed under a prepared statement")
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate is not None:
        state = str(error.sqlstate)
        if state in _LOST_STATES:
            return LostRace(str(error.args[0]))
        if state[:2] not in _UNAVAILABLE_CLASSES and state not in _UNAVAILABLE_STATES:
            # Class 22 quotes the value that did not fit.
            reason = "a parameter does not fit its column" if state[:2] == "22" else error.args[0]
            return StoreMisuse(f"{reason} (SQLSTATE {state})")
        reason = f"PostgreSQL: {error.args[0]} (SQLSTATE {state})"
    elif isinstance(error, TimeoutError):
        reason = "PostgreSQL did not answer in time"
    elif isinstance(error, OSError):
        reason = f"PostgreSQL cannot be reached ({error.strerror or type(error).__name__})"
    elif isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError | asyncpg.PostgresError):
        # "the server expects 2 arguments" is ours; a connection that went away is not.
        if isinstance(error, ValueError) or "argument" in str(error):
            return StoreMisuse("the parameters do not fit the statement")
        reason = f"the connection to PostgreSQL failed ({type(error).__name__})"
    else:
        return StoreMisuse(f"a parameter cannot be encoded ({type(error).__name__})")
    effect = "nobody can know whether this was written" if committing else "nothing was written"
    return StoreUnavailable(f"{reason}; {effect}")


@lru_cache(maxsize=1024)
def _gives_rows(sql: str) -> bool:
    return first_word(sql) in ("SELECT", "VALUES") or _RETURNING.search(sql) is not None


@lru_cache(maxsize=1024)
def _bounded(sql: str) -> str:
    """The query with a LIMIT as its last parameter; a sub-query admits nothing that writes."""
    inner = sql.rstrip().rstrip(";")
    return numbered_placeholders(f"SELECT * FROM (\n{inner}\n) AS q LIMIT ?")  # noqa: S608 - our own constant SQL


async def _prepare(connection: Any) -> None:
    """Give values the same Python types as SQLite does: sums are numbers, comparisons are 0 or 1."""
    await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_number, format="text")
    await connection.set_type_codec(
        "bool", schema="pg_catalog", encoder=lambda value: "t" if value else "f", decoder=_bit, format="text"
    )


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _bit(text: str) -> int:
    return int(text == "t")


async def _keep(connection: Any) -> None:
    """Replace asyncpg's reset, a round trip per use: no statement here leaves anything behind in its session."""


class PostgresEngine:
    """An ``Engine`` on a PostgreSQL database, shared by any number of replicas."""

    dialect: Literal["postgresql"] = "postgresql"

    def __init__(self, connect: dict[str, Any], acquire_timeout_s: float) -> None:
        """Use :meth:`open`."""
        self._connect = connect
        self._acquire_timeout_s = acquire_timeout_s
        self._pool: Any = None
        self._closed = False
        self._closing = asyncio.Lock()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._listeners: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        pool_size: int = POOL_SIZE,
        acquire_timeout_s: float = ACQUIRE_TIMEOUT_S,
        statement_timeout_s: float = STATEMENT_TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        schema: str | None = None,
    ) -> Self:
        """Connect at most ``pool_size`` sessions; the first one at once. Raises StoreUnavailable.

        The server cancels a statement after ``statement_timeout_s``; a caller waits at most
        ``acquire_timeout_s`` for a free session. ``schema``, a plain name, is where all tables are; it is made if missing.
        """
        connect: dict[str, Any] = {
            "dsn": dsn,
            "timeout": connect_timeout_s,
            "command_timeout": statement_timeout_s + _SILENCE_S,
            "server_settings": {
                "application_name": "carnet",
                "default_transaction_isolation": "read committed",
                "statement_timeout": str(int(statement_timeout_s * 1000)),
            },
        }
        if schema is not None:
            connect["server_settings"]["search_path"] = schema
        engine = cls(connect, acquire_timeout_s)
        try:
            engine._pool = await asyncpg.create_pool(**connect, min_size=1, max_size=pool_size, init=_prepare, reset=_keep)
        except (*_CONNECT_ERRORS, ValueError) as error:
            raise StoreUnavailable(f"cannot open the PostgreSQL store: {failure_of(error)}") from None
        if schema is not None:
            # IF NOT EXISTS does not protect two sessions from each other; the winner has made it.
            with suppress(LostRace):
                await engine.commit([Statement(f"CREATE SCHEMA IF NOT EXISTS {schema}", (), None)])
        return engine

    async def commit(self, statements: Sequence[Statement]) -> None:
        """See :meth:`connector.store.engine.Engine.commit`."""
        await self.commit_returning(statements)

    async def commit_returning(self, statements: Sequence[Statement]) -> list[Row]:
        """See :meth:`connector.store.engine.Engine.commit_returning`."""
        for statement in statements:
            check_member(statement.sql)
        if not statements:
            return []
        committing = False
        rows: list[Row] = []
        async with self._session() as connection:
            try:
                if len(statements) == 1 and statements[0].expect is None:
                    # Without a guard to check there is nothing to roll back: the statement is its own
                    # transaction.
                    committing = True
                    return await self._run(connection, statements[0])
                async with connection.transaction():
                    for statement in statements:
                        rows = await self._run(connection, statement)
                    committing = True
            except _DRIVER_ERRORS as error:
                raise failure_of(error, committing=committing) from None
        return rows

    async def fetch(self, sql: str, params: Sequence[Value] = (), *, limit: int = 10_000) -> list[Row]:
        """See :meth:`connector.store.engine.Engine.fetch`."""
        if first_word(sql) not in ("SELECT", "WITH", "VALUES"):
            raise StoreMisuse(f"fetch takes queries only: {sql[:120]!r}")
        async with self._session() as connection:
            try:
                return [tuple(row) for row in await connection.fetch(_bounded(sql), *params, limit)]
            except _DRIVER_ERRORS as error:
                raise failure_of(error) from None

    async def listen(self, channel: str, callback: Callable[[str], None]) -> None:
        """Call ``callback(payload)`` for each notification on the channel until the engine is closed.

        Returns when the first session listens. Lost sessions are replaced with back-off, and then ``callback("")``
        says that notifications may have been missed: scan now. The callback must neither block nor raise. Raises
        StoreUnavailable if the first session fails.
        """
        if self._closed:
            raise StoreUnavailable(_CLOSED)
        listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._listen(channel, callback, listening), name=f"listen {channel}")
        self._listeners.add(task)
        task.add_done_callback(self._listeners.discard)
        await listening

    async def close(self) -> None:
        """See :meth:`connector.store.engine.Engine.close`."""
        self._closed = True
        async with self._closing:
            await self._idle.wait()
            listeners = list(self._listeners)
            for task in listeners:
                task.cancel()
            await asyncio.gather(*listeners, return_exceptions=True)
            await self._pool.close()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Any]:
        if self._closed:
            raise StoreUnavailable(_CLOSED)
        self._in_flight += 1
        self._idle.clear()
        try:
            connection = await self._acquire()
            try:
                yield connection
            finally:
                # A session that cannot be given back is closed by the pool, and says nothing of what was done in it.
                with suppress(*_CONNECT_ERRORS):
                    await self._pool.release(connection)
        finally:
            self._in_flight -= 1
            if self._in_flight == 0:
                self._idle.set()

    async def _acquire(self) -> Any:
        try:
            return await self._pool.acquire(timeout=self._acquire_timeout_s)
        except TimeoutError:
            raise StoreUnavailable(f"no session was free within {self._acquire_timeout_s} s; nothing was written") from None
        except _CONNECT_ERRORS as error:
            raise failure_of(error) from None

    @staticmethod
    async def _run(connection: Any, statement: Statement) -> list[Row]:
        sql = numbered_placeholders(statement.sql)
        rows: list[Row] = []
        if _gives_rows(statement.sql):
            rows = [tuple(row) for row in await connection.fetch(sql, *statement.params)]
            touched = len(rows)
        else:
            # "UPDATE 3", "INSERT 0 1", "CREATE TABLE": the count, if there is one, is the last word.
            last = (await connection.execute(sql, *statement.params)).rpartition(" ")[2]
            touched = int(last) if last.isdigit() else 0
        if statement.expect is not None and touched != statement.expect:
            raise LostRace(f"{touched} rows instead of {statement.expect}: {statement.sql[:120]}")
        return rows

    async def _listen(self, channel: str, callback: Callable[[str], None], listening: asyncio.Future[None]) -> None:
        def notified(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
            callback(payload)

        delay_s = RECONNECT_FIRST_S
        while True:
            connection: Any = None
            try:
                connection = await asyncpg.connect(**self._connect)
                await connection.add_listener(channel, notified)
                delay_s = RECONNECT_FIRST_S
                if listening.done():
                    callback("")
                else:
                    listening.set_result(None)
                await self._until_lost(connection)
            except _CONNECT_ERRORS as error:
                if not listening.done():
                    listening.set_exception(StoreUnavailable(str(failure_of(error))))
                    return
            finally:
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            delay_s = min(delay_s * 2, RECONNECT_MOST_S)

    @staticmethod
    async def _until_lost(connection: Any) -> None:
        """Return when the session is gone; a silent network is found out by a query now and then."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        while not lost.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await lost.wait()
            except TimeoutError:
                await connection.fetchval("SELECT 1", timeout=_SILENCE_S)
