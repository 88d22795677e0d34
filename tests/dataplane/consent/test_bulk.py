"""Imports as large as a fleet: right to the last vehicle, in bounded memory. The full size runs with CARNET_FULL=1."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[3]
PEAK_BYTES = 450 * 1024 * 1024
CHILD = """
import asyncio, json, pathlib, time
from tests.dataplane.consent.ledgers import asked, ledger_in

def peak():  # not ru_maxrss: that begins with the peak of the process that started this one
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))

async def main(folder, files):
    said = {}
    async with ledger_in(folder) as ledger:
        for file in files:
            began = time.perf_counter(), time.process_time()
            done = await ledger.import_file(folder / file)
            said[file] = [done.entries, done.new_vehicles, done.withdrawn, done.late]
            said[file + " s"] = [round(time.perf_counter() - began[0], 2), round(time.process_time() - began[1], 2)]
        began = time.perf_counter()
        population = await ledger.population(asked())
        said["population ms"] = round((time.perf_counter() - began) * 1000, 2)
        said["counts"] = [each.vehicles for each in await ledger.counts()]
        said["number"] = await ledger.number()
        began = time.perf_counter()
        done = await ledger.withdraw("WVWZZZ00000000003")
        said["withdraw ms"] = round((time.perf_counter() - began) * 1000, 2)
        said["affected"] = len(done.affected)
    said["peak"] = peak()
    print(json.dumps(said))

import sys
asyncio.run(main(pathlib.Path(sys.argv[1]), sys.argv[2:]))
"""


def write(path: Path, vehicles: int, given: str, at: int, shape: str) -> None:
    """A row for each vehicle, in no order."""
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 'WVWZZZ' || lpad((range * 7919 % {vehicles})::VARCHAR, 11, '0') AS vehicle,"
            " 'driving-behaviour' AS category, 'vdx:UsageBasedInsurance' AS purpose, 'did:web:insurer.example' AS recipient,"
            f" 'dpv:Consent' AS basis, 'driver' AS decided_by, sha256('text') AS text_sha256, {at} + range AS at_ms,"
            f" {given} AS given FROM range({vehicles})) TO '{path}' ({shape})"
        )


def fill(folder: Path, vehicles: int) -> dict[str, object]:
    """Two imports in a process of their own: all agree; then every second one, by the file's order, withdraws."""
    write(folder / "in.csv", vehicles, "true", 1_700_000_000_000, "FORMAT csv, HEADER")
    write(folder / "later.parquet", vehicles, "range % 2 = 0", 1_800_000_000_000, "FORMAT parquet")
    words = [sys.executable, "-c", CHILD, str(folder), "in.csv", "later.parquet"]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    said: dict[str, object] = json.loads(done.stdout)
    sys.stdout.write(done.stdout.decode())
    return said


@pytest.mark.parametrize(
    "vehicles", [200_000, pytest.param(34_000_000, marks=[pytest.mark.slow, pytest.mark.huge, pytest.mark.timeout(3600)])]
)
async def test_a_fleet_is_imported_to_the_last_vehicle(tmp_path: Path, vehicles: int) -> None:
    said = await asyncio.to_thread(fill, tmp_path, vehicles)
    assert said["in.csv"] == [vehicles, vehicles, 0, 0]
    assert said["later.parquet"] == [vehicles, 0, vehicles // 2, 0]
    assert said["counts"] == [vehicles - vehicles // 2]
    assert said["number"] == 2
    assert isinstance(said["peak"], int)
    assert said["peak"] < PEAK_BYTES
