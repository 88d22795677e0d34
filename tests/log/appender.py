"""A process that commits leaves and writes the log for ever, and prints each acknowledged id; the tests kill it."""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

from tests.log.keeping import keeping, running

WRITERS = 4


async def main(database: str, home: str, name: str) -> None:
    async with keeping(database, Path(home), batch_rows=50) as kept, running(kept) as task:
        numbers = count()

        async def commit_for_ever() -> None:
            for number in numbers:
                ids = await kept.commit(f"{name} {number}", f"{name} {number} too", payload=f"{name} {number}".encode())
                sys.stdout.write("".join(f"{each}\n" for each in ids))
                sys.stdout.flush()

        done, _ = await asyncio.wait(
            [task, *(asyncio.ensure_future(commit_for_ever()) for _ in range(WRITERS))], return_when=asyncio.FIRST_COMPLETED
        )
        done.pop().result()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
