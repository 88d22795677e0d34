"""Queries run in processes that answer, wait their turn, crash alone, and die when told."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from connector.dataplane.query.job import Failed, Job, Made
from connector.dataplane.query.messages import Look, Seen, Unseen
from connector.dataplane.query.workers import MODULE, Busy, Workers
from connector.dataplane.tables.model import SPEED
from tests.dataplane.query.small import START, drive, job_of, people, row, table_of


@asynccontextmanager
async def workers(limit: int = 1, **settings: float) -> AsyncIterator[Workers]:
    made = Workers(limit, **settings)  # type: ignore[arg-type]  # settings of several types
    try:
        yield made
    finally:
        await made.close()


def job(folder: Path, name: str = "job") -> Job:
    return job_of(folder, table_of(folder, drive()), people(folder, ["v0"]), name)


def endless(folder: Path, name: str = "endless") -> Job:
    """A job that does not end in time: its table is a pipe that nobody writes into."""
    made = job(folder, name)
    pipe = folder / f"{name}.pipe"
    os.mkfifo(pipe)
    Path(made.output).write_bytes(b"half")
    return msgspec.structs.replace(made, table=msgspec.structs.replace(made.table, files=(str(pipe),)))


async def under_way(made: Workers, key: str) -> int:
    """The process of a query, as soon as it has one."""
    while True:
        run = made._runs.get(key)
        if run is not None and run.process is not None:
            return run.process.pid
        await asyncio.sleep(0.01)


def exists(path: str) -> bool:
    return Path(path).exists()


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_warm_process_makes_the_file(tmp_path: Path) -> None:
    async with workers() as made:
        await made.start()
        found = await made.make(job(tmp_path), "a")
        assert isinstance(found, Made), found
        assert found.rows == pq.read_metadata(tmp_path / "job.parquet").num_rows == 100
        assert found.peak_bytes < 400_000_000
        again = await made.run("b", job(tmp_path, "again"))
        assert isinstance(again, Made)


async def test_a_killed_query_is_dead_and_leaves_nothing(tmp_path: Path) -> None:
    async with workers() as made:
        wanted = endless(tmp_path)
        task = asyncio.create_task(made.make(wanted, "a"))
        pid = await under_way(made, "a")
        waiting = asyncio.create_task(made.make(job(tmp_path, "next"), "b"))
        await made.kill("a")
        assert not lives(pid)
        assert not exists(wanted.scratch)
        assert not exists(wanted.output)
        assert isinstance(await task, Failed)
        assert isinstance(await waiting, Made)
        await made.kill("nobody")


async def test_a_query_that_waits_can_be_killed(tmp_path: Path) -> None:
    async with workers() as made:
        first = asyncio.create_task(made.make(endless(tmp_path), "a"))
        await under_way(made, "a")
        wanted = job(tmp_path, "waits")
        second = asyncio.create_task(made.make(wanted, "b"))
        await asyncio.sleep(0)
        await made.kill("b")
        assert isinstance(await second, Failed)
        assert not exists(wanted.scratch)
        await made.kill("a")
        assert isinstance(await first, Failed)


async def test_a_cancelled_call_ends_its_process(tmp_path: Path) -> None:
    async with workers() as made:
        wanted = endless(tmp_path)
        task = asyncio.create_task(made.make(wanted, "a"))
        pid = await under_way(made, "a")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not lives(pid)
        assert not exists(wanted.scratch)
        assert isinstance(await made.make(job(tmp_path, "next"), "b"), Made)


async def test_a_crash_is_a_failure_of_that_query_alone(tmp_path: Path) -> None:
    async with workers() as made:
        task = asyncio.create_task(made.make(endless(tmp_path), "a"))
        os.kill(await under_way(made, "a"), signal.SIGSEGV)
        found = await task
        assert isinstance(found, Failed)
        assert found.code == "internal"
        assert isinstance(await made.make(job(tmp_path), "b"), Made)


async def test_a_query_ends_at_its_deadline(tmp_path: Path) -> None:
    async with workers(deadline_s=0.2) as made:
        found = await made.make(endless(tmp_path), "a")
        assert isinstance(found, Failed)
        assert "longer" in found.reason


async def test_so_many_wait_and_no_more(tmp_path: Path) -> None:
    async with workers(1, queue=1) as made:
        tasks = [asyncio.create_task(made.make(endless(tmp_path, name), name)) for name in ("a", "b")]
        await under_way(made, "a")
        with pytest.raises(Busy):
            await made.make(job(tmp_path), "c")
        with pytest.raises(ValueError, match="under way"):
            await made.make(job(tmp_path, "again"), "a")
    assert all(isinstance(found, Failed) for found in await asyncio.gather(*tasks))


async def test_a_table_is_looked_at_elsewhere(tmp_path: Path) -> None:
    table = table_of(tmp_path, drive(), headers={"vehicle": "what"})
    async with workers() as made:
        speed = tuple(column for column in table.mapping.columns if column.path == SPEED)
        look = Look(path=table.files[0], mapping=msgspec.structs.replace(table.mapping, columns=speed))
        found = await made.look(look, "look")
        assert isinstance(found, Seen), found
        assert found.table.rows == 100
        assert isinstance(await made.look(Look(path=str(tmp_path / "absent.csv")), "look"), Unseen)


async def test_uniqueness_is_measured_and_the_file_does_not_stay(tmp_path: Path) -> None:
    rows = [row(f"v{n}", at=START + m * 3600, lat=50.0 + n, lon=8.0 + m) for n in range(4) for m in range(5)]
    wanted = job_of(
        tmp_path, table_of(tmp_path, rows), people(tmp_path, [f"v{n}" for n in range(4)]),
        columns=("Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"),
    )  # fmt: skip
    async with workers() as made:
        found = await made.measure(wanted, "a", "seed")
        assert found.failed is None
        assert (found.unique, found.units) == (1.0, 4)
        assert not exists(wanted.output)


def test_a_worker_dies_with_the_pipe_it_is_asked_through() -> None:
    process = subprocess.Popen([sys.executable, "-m", MODULE, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.communicate(timeout=60)[0] == b""
    assert process.returncode == 1


def test_a_worker_of_a_dead_parent_does_not_begin() -> None:
    found = subprocess.run(
        [sys.executable, "-m", MODULE, "1"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    assert found.returncode == 1
