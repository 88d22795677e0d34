"""`carnet demo --data`, run for real on somebody's own files: what it says went where, against slow Python over the same."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from connector.demo.fleet import KIT, write_ved
from tests.demo.slow_trips import Row, envirocar, km, ved
from tests.requirement import real_data

ROOT = Path(__file__).parents[2]
LONGEST_S = 300
# So close together that ten of them are in one cell of an hour.
CROWD = replace(KIT, towns=1, spread_km=0.1, trip_km=(0.6, 1.0, 2.0, 3.0))
VEHICLES = 120
STEP_S = 5

pytestmark = pytest.mark.timeout(2 * LONGEST_S)


@dataclass(frozen=True)
class Told:
    """What the demo said, and where its files are."""

    said: str
    folder: Path

    def whole(self) -> list[int]:
        """Rows, vehicles, trips and kilometres of the table."""
        (found,) = re.findall(r"([\d,]+) rows of ([\d,]+) vehicles? on ([\d,]+) trips?, ([\d,]+) km", self.said)
        return [int(figure.replace(",", "")) for figure in found]

    def went(self, whom: str) -> list[list[int]]:
        """Vehicles, trips, kilometres and rows of each line of the account about somebody."""
        _, _, account = self.said.partition("The account")
        found = re.findall(rf"^ +{whom} .*?" + r" +([\d,]+)" * 5 + "$", account, re.MULTILINE)
        return [[int(figure.replace(",", "")) for figure in line[:4]] for line in found]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    return subprocess.run(
        [sys.executable, "-m", "connector.cli", "demo", "--folder", str(folder), *arguments],
        cwd=ROOT, env={**kept, "COLUMNS": "200"}, capture_output=True, text=True, timeout=LONGEST_S, check=False,
    )  # fmt: skip


def told(folder: Path, *arguments: str) -> Told:
    done = run(folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return Told(done.stdout, folder)


def figures(rows: list[Row]) -> tuple[int, int]:
    return len({row.vehicle for row in rows}), len({(row.vehicle, row.trip) for row in rows})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VED-format files."""
    folder = tmp_path_factory.mktemp("data")
    write_ved(folder, CROWD, VEHICLES, 1, seed=7)
    (folder / "README.txt").write_text("What these are.\n")
    return folder


@pytest.fixture(scope="module")
def rows(data: Path) -> list[Row]:
    return ved(data)


@pytest.fixture(scope="module")
def crowd(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    return told(tmp_path_factory.mktemp("demo") / "new", "--data", str(data))


def test_all_of_ved_files_is_counted(crowd: Told, rows: list[Row]) -> None:
    vehicles, trips = figures(rows)
    assert crowd.whole() == [len(rows), vehicles, trips, round(km(rows, STEP_S))]
    assert "README.txt: left out" in crowd.said
    assert "MADE UP" in crowd.said


def test_the_mapping_is_printed_and_written(crowd: Told) -> None:
    assert re.search(r"Vehicle Speed\[km/h\] +-> Vehicle\.Speed \[km/h\]", crowd.said)
    assert "not read: Air Conditioning Power[kW]" in crowd.said
    form = json.loads((crowd.folder / "mapping.json").read_text())
    assert form["time"] == {"header": "DayNum", "clock": "day-and-ms", "zone": "America/Detroit", "day_one": "2017-11-01",
                            "ms_header": "Timestamp(ms)"}  # fmt: skip


def test_what_went_to_the_city_is_behind_its_cells(crowd: Told, rows: list[Row]) -> None:
    there: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        there[row.cell, row.hour_s].append(row)
    came = pq.read_table(crowd.folder / "city" / "received" / "flow.parquet").to_pylist()
    keys = [(cell["cell"], round(cell["time"].timestamp())) for cell in came]
    assert keys
    for cell, key in zip(came, keys, strict=True):
        assert cell["vehicles"] == figures(there[key])[0]
    least = min(cell["vehicles"] for cell in came)
    assert sum(figures(found)[0] >= least for found in there.values()) == len(keys)
    part = [row for key in keys for row in there[key]]
    driven = km(rows, STEP_S, lambda row: (row.cell, row.hour_s) in set(keys))
    assert crowd.went("city") == [[*figures(part), round(driven), len(came)]]


def test_what_went_to_the_insurer_is_of_those_that_agreed(crowd: Told, rows: list[Row]) -> None:
    by_vehicle: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_vehicle[row.vehicle].append(row)
    driven = {vehicle: km(found, STEP_S) for vehicle, found in by_vehicle.items()}
    decided = pyarrow.csv.read_csv(
        crowd.folder / "oem" / "consents.csv",
    ).to_pylist()
    agreed = {str(row["vehicle"]) for row in decided if row["purpose"].endswith("#PayAsYouDrive") and row["given"]}
    came = pq.read_table(crowd.folder / "insurer" / "received" / "features-later.parquet").to_pylist()
    # A file names no vehicle; who drove how far tells which it can be, each for one row.
    left = sorted((vehicle for vehicle in agreed if vehicle in driven), key=driven.__getitem__)
    of: list[str] = []
    for row in sorted(came, key=lambda each: each["km"]):
        of.append(next(vehicle for vehicle in left if abs(driven[vehicle] - row["km"]) < 0.001))
        left.remove(of[-1])
    first, later = crowd.went("insurer")
    _, trips = figures([row for row in rows if row.vehicle in of])
    assert later == [len(of), trips, round(sum(driven[vehicle] for vehicle in of)), len(came)]
    assert first[0] == first[3] == later[0] + 1
    gone = [vehicle for vehicle in agreed - set(of) if figures(by_vehicle[vehicle])[1] == first[1] - later[1]]
    assert any(abs(driven[vehicle] - (first[2] - later[2])) <= 1 for vehicle in gone)


def test_files_that_nobody_can_read_end_it_before_anything_starts(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a,b,c\n1,2,3\n")
    done = run(tmp_path / "new", "--data", str(data))
    assert done.returncode == 1
    assert "column-missing" in done.stderr
    begun = json.loads((tmp_path / "new" / "mapping-to-finish.json").read_text())
    assert [column["header"] for column in begun["columns"]] == ["a", "b", "c"]
    assert str(tmp_path / "new" / "mapping-to-finish.json") in done.stderr
    assert "oem" not in os.listdir(tmp_path / "new")


@pytest.mark.realdata
def test_kit_gives_a_premium_with_the_mapping_that_was_guessed(tmp_path: Path) -> None:
    kit = real_data("kit-obd2")
    first = told(tmp_path / "first", "--data", str(kit))
    rows, vehicles, trips, driven = first.whole()
    assert (rows, vehicles, trips) == (222_706, 1, 77)
    assert driven == pytest.approx(3_937, abs=3)
    sent, again = first.went("insurer")
    assert sent[:2] == [1, 77]
    assert sent[2] == pytest.approx(3_937, abs=3)
    assert again == [0, 0, 0, 0]
    assert "434 harsh brakings" in first.said
    assert "no positions" in first.said
    assert "1 of 1 contracts priced" in first.said


@pytest.mark.realdata
def test_envirocar_is_used_for_what_it_can_give(tmp_path: Path) -> None:
    cars = real_data("envirocar")
    raw = envirocar(cars / "envirocar_points.csv")
    one = told(tmp_path / "new", "--data", str(cars))
    assert one.whole() == [2_440, 4, 14, 166] == [len(raw), *figures(raw), round(km(raw, 25))]
    assert "too coarse" in one.said
    assert one.went("insurer") == []
    assert one.went("city") == [[0, 0, 0, 0]]
    for name in ("envirocar_trips.csv", "envirocar_grid_speed_weekday_hour.csv", "PROVENANCE.md"):
        assert f"{name}: left out" in one.said
