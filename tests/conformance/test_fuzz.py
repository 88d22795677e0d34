"""Tens of thousands of messages, right, odd and broken: at the core beside a walk of the state tables, and over HTTP.

`CARNET_FULL=1` runs all of them. `CARNET_TEST_SEED` repeats a run; the seed is in the output of a failure.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from connector.store.rows import Outgoing
from tests.conformance.walk import Walker, surroundings

FULL = os.environ.get("CARNET_FULL") == "1"
AT_THE_CORE = 20_000 if FULL else 2_000
OVER_HTTP = 5_000 if FULL else 500


@pytest.fixture
def chance() -> random.Random:
    """A generator whose seed is printed."""
    seed = int(os.environ.get("CARNET_TEST_SEED") or random.SystemRandom().getrandbits(32))
    sys.stdout.write(f"CARNET_TEST_SEED={seed}\n")
    return random.Random(seed)  # noqa: S311 - reproducible test data


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is, on each engine in turn: they do not take the same texts."""
    return str(tmp_path / "control.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_dsn"))


@pytest.mark.timeout(300)
async def test_every_state_is_the_one_that_the_tables_lead_to(database: str, chance: random.Random) -> None:
    leaving: list[Outgoing] = []
    async with surroundings(database, leaving) as context:
        walker = Walker(context, leaving, chance)
        while walker.messages < AT_THE_CORE:
            await walker.step()
    sys.stdout.write(f"{walker.counts}\n{len(walker.seen)} states seen\n")
    assert {"accepted", "repeated", "illegal-transition", "not-now", "wish", "answer"} <= walker.counts.keys()
