"""Imports in slices: wherever the slices end, the files hold the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connector.dataplane.consent import placing, staging
from tests.dataplane.consent.ledgers import CITY, INSURER, NOW, ledger_in, row, write_csv

VEHICLES = 3_000


def entries(seed: int, vehicles: range, rows: int) -> list[dict[str, Any]]:
    """Some of these vehicles for two buyers, some of them often, others never; a fifth of the entries withdraw."""
    drawn = random.Random(seed)  # noqa: S311 - a sequence that can be had again
    return [
        row(
            f"W{drawn.choice(vehicles):05}'",
            recipient=drawn.choice((INSURER, CITY)),
            at_ms=NOW - drawn.randrange(2_000),
            given=drawn.choice(("true", "true", "true", "true", "false")),
        )
        for _ in range(rows)
    ]


async def made(folder: Path) -> dict[str, Any]:
    """What three imports say and leave behind; in the second are new vehicles between those of the first."""
    said: dict[str, Any] = {}
    async with ledger_in(folder) as ledger:
        for nth, vehicles in enumerate((range(0, VEHICLES, 2), range(VEHICLES), range(VEHICLES)), 1):
            if nth == 2:
                await ledger.withdraw("W00002'")
            done = await ledger.import_file(write_csv(folder / f"{nth}.csv", entries(nth, vehicles, 4_000)))
            said[f"import {nth}"] = done
    for file in sorted((folder / "ledger").iterdir()):
        name = file.name.split("-")[0] + "".join(file.name.partition(".")[1:])
        if file.suffix == ".bits":
            said[name] = file.read_bytes()
        elif file.suffix == ".parquet":
            with duckdb.connect() as connection:
                said[name] = connection.execute("SELECT * FROM read_parquet(?) ORDER BY ALL", [str(file)]).fetchall()
    return said


async def test_slices_are_of_no_consequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await made(tmp_path / "whole")
    for name, small in (("SLICE", 256), ("_SAMPLED", 16), ("_STEP", 64), ("SETS_BYTES", 1), ("BATCH", 100), ("ROW_GROUP", 50)):
        monkeypatch.setattr(placing, name, small)
    monkeypatch.setattr(staging, "GROUPS_EACH", 1)
    assert await made(tmp_path / "sliced") == whole
    assert whole["import 2"].late
    assert whole["import 2"].withdrawn
    assert whole["import 2"].new_vehicles
