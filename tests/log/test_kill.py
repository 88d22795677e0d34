"""Processes killed while they write the log: what was committed is in it once, and no checkpoint ever has to be taken back."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from connector.log.folder import LogFolder
from connector.log.sequencer import GATHER_S, POLL_S
from tests.log.keeping import checked_against, keeping, payload_of, running, some_leaf

ROUNDS = 10 if os.environ.get("CARNET_FULL") == "1" else 5
MOST_LINES = 300


async def started(database: str, home: Path, name: str) -> Process:
    command = (sys.executable, "-m", "tests.log.appender", database, str(home), name)
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, env={**os.environ, "PYTHONPATH": "."})


async def acknowledged(process: Process, enough: int) -> list[str]:
    """So many ids, or fewer where the process has ended."""
    assert process.stdout is not None
    lines = [(await process.stdout.readline()).decode() for _ in range(enough)]
    return [line.strip() for line in lines if line.startswith("urn:") and line.endswith("\n")]


async def killed(process: Process) -> list[str]:
    """Kill a process; what it had said by then."""
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    rest = (await process.stdout.read()).decode()
    await process.wait()
    # The last line may have been cut by the kill.
    return [line for line in rest[: rest.rfind("\n") + 1].splitlines() if line.startswith("urn:")]


async def test_every_committed_leaf_is_in_the_log_once_after_kills(tmp_path: Path) -> None:
    chance, database = random.Random(8), str(tmp_path / "control.db")  # noqa: S311  # the same moments in each run
    notes: list[str] = []
    told: list[str] = []
    for number in range(ROUNDS):
        process = await started(database, tmp_path, f"round {number}")
        told += await acknowledged(process, chance.randrange(1, MOST_LINES))
        told += await killed(process)
        note = LogFolder(tmp_path / "log").checkpoint()
        checked_against(tmp_path / "log", notes)
        notes += [] if note is None else [note]
    await finished(database, tmp_path, notes, told)


@pytest.mark.postgres
async def test_two_replicas_are_killed_in_turn(postgres_dsn: str, tmp_path: Path) -> None:
    chance = random.Random(9)  # noqa: S311  # the same moments in each run
    notes: list[str] = []
    told: list[str] = []
    running_now = [await started(postgres_dsn, tmp_path, f"replica {number}") for number in range(2)]
    for number in range(2, 2 + ROUNDS):
        oldest = running_now.pop(0)
        for process in (oldest, *running_now):
            told += await acknowledged(process, chance.randrange(1, MOST_LINES // 2))
        told += await killed(oldest)
        note = LogFolder(tmp_path / "log").checkpoint()
        notes += [] if note is None else [note]
        running_now.append(await started(postgres_dsn, tmp_path, f"replica {number}"))
    for process in running_now:
        told += await acknowledged(process, 1)
        told += await killed(process)
    await finished(postgres_dsn, tmp_path, notes, told)


async def finished(database: str, home: Path, notes: list[str], told: list[str]) -> None:
    """Start once more and stop as one should: then all that was told is in the log, with what stands beside it."""
    async with keeping(database, home) as kept:
        assert await kept.sequencer.begin()
        async with running(kept):
            pass
        assert await kept.waiting.count() == 0
    found = checked_against(home / "log", notes)
    assert len(notes) > 0
    assert set(told) <= set(found)
    assert len(told) == len(set(told)) > ROUNDS
    payload = some_leaf("round 0 0", b"round 0 0")
    if payload.id in told:
        assert payload_of(home / "log", str(payload.sha256)) == b"round 0 0"


def test_a_leaf_is_published_within_a_second() -> None:
    assert GATHER_S + POLL_S < 0.75
