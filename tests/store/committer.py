"""A process that commits for ever and prints each acknowledged number; the tests kill it."""

from __future__ import annotations

import asyncio
import sys
from itertools import count

from connector.store.engine import Statement
from tests.store.conftest import open_engine

TASKS = 8


async def main(database: str) -> None:
    engine = await open_engine(database)
    numbers = count(1)

    async def commit_for_ever() -> None:
        for number in numbers:
            pair = [Statement("INSERT INTO item (id, version) VALUES (?, 1)", (f"{number}{half}",)) for half in "xy"]
            await engine.commit(pair)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(commit_for_ever() for _ in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
