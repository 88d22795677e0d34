"""How much work a database does for a list, counted and not timed: steps of SQLite's machine, which no neighbour changes.

`Heard` is an engine that remembers what it was asked, `steps` asks it again of the same file and counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path

from connector.store.engine import Engine, Row, Statement, Value

Asked = tuple[str, tuple[Value, ...]]


class Heard:
    """An engine that remembers its queries while somebody wants to know them."""

    def __init__(self, inner: Engine, path: Path | None) -> None:
        self.inner, self.path = inner, path
        self.dialect = "sqlite" if path is not None else "postgresql"
        self.asked: list[Asked] | None = None

    async def commit(self, statements: Sequence[Statement]) -> None:
        """See Engine."""
        await self.inner.commit(statements)

    async def commit_returning(self, statements: Sequence[Statement]) -> list[Row]:
        """See Engine."""
        return await self.inner.commit_returning(statements)

    async def fetch(self, sql: str, params: Sequence[Value] = (), *, limit: int = 10_000) -> list[Row]:
        """See Engine."""
        if self.asked is not None:
            self.asked.append((sql, tuple(params)))
        return await self.inner.fetch(sql, params, limit=limit)

    async def close(self) -> None:
        """See Engine."""
        await self.inner.close()


async def steps(engine: Heard, doing: Callable[[], Awaitable[object]]) -> int:
    """Steps of the database for all queries of what is done; 0 where nobody can count them."""
    asked: list[Asked] = []
    engine.asked = asked
    try:
        await doing()
    finally:
        engine.asked = None
    return 0 if engine.path is None else _counted(engine.path, asked)


def _counted(path: Path, asked: Sequence[Asked]) -> int:
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        connection.set_progress_handler(step, 1)
        for sql, params in asked:
            connection.execute(sql, params).fetchall()
    return count
