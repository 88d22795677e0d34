"""A process killed while it commits: what it was told is stored is stored, and nothing is stored by half."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from connector.store.engine import StoreUnavailable
from tests.store.conftest import create_item_table, open_engine


async def start_committer(database: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.committer", database, stdout=PIPE, env={**os.environ, "PYTHONPATH": "."}
    )


async def read_acknowledged(process: Process, enough: int) -> list[int]:
    assert process.stdout is not None
    return [int(await process.stdout.readline()) for _ in range(enough)]


async def read_rest(process: Process) -> list[int]:
    assert process.stdout is not None
    rest = await process.stdout.read()
    # The last line may have been cut by the kill.
    return [int(line) for line in rest[: rest.rfind(b"\n") + 1].split()]


@pytest.mark.parametrize("enough", [1, 300])
async def test_every_acknowledged_commit_survives_a_kill(database: str, enough: int) -> None:
    engine = await open_engine(database)
    await create_item_table(engine)
    await engine.close()
    process = await start_committer(database)
    acknowledged = await read_acknowledged(process, enough)

    process.send_signal(signal.SIGKILL)
    acknowledged += await read_rest(process)
    await process.wait()

    engine = await open_engine(database)
    rows = await engine.fetch("SELECT id FROM item", limit=1_000_000)
    await engine.close()
    stored = {str(row[0]) for row in rows}
    firsts, seconds = ({key[:-1] for key in stored if key.endswith(half)} for half in "xy")
    assert firsts == seconds
    assert {str(number) for number in acknowledged} <= firsts


async def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    database = str(tmp_path / "control.db")
    engine = await open_engine(database)
    await create_item_table(engine)
    await engine.close()
    process = await start_committer(database)
    await read_acknowledged(process, 1)

    with pytest.raises(StoreUnavailable, match="another carnet process uses this database"):
        await open_engine(database)
    process.send_signal(signal.SIGKILL)
    await read_rest(process)
    await process.wait()

    engine = await open_engine(database)
    await engine.close()
