"""What the demo's provider has: figures of the whole table and of what is behind a delivered file, against slow Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from connector.demo.fleet import KIT, write_ved
from connector.demo.given import Given, simulated, taken
from connector.demo.given_counts import Counted, behind_cells, behind_features, behind_rows, behind_vehicles
from connector.demo.given_files import survey
from connector.demo.given_people import INSURANCE, REPAIR, Buyers
from tests.demo.slow_trips import Row, envirocar, km, ved
from tests.requirement import real_data

BUYERS = Buyers(insurer="did:web:insurer.example", repairer="did:web:repairer.example")
NEAR = replace(KIT, towns=1, spread_km=2.0, trip_km=(1.0, 2.0, 3.0, 5.0, 8.0))
VEHICLES = 8
STEP_S = 5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("given")


@pytest.fixture(scope="module")
def given(place: Path) -> Given:
    """VED-format files of three days, which two weeks share."""
    write_ved(place / "ved", NEAR, VEHICLES, 3, seed=7)
    return taken(survey(place / "ved", None, place), place, BUYERS)


@pytest.fixture(scope="module")
def rows(given: Given) -> list[Row]:
    return ved(given.table_path)


def same(counted: Counted, rows: list[Row], counts: Callable[[Row], bool] = lambda _: True, longest_s: float = STEP_S) -> None:
    """That the rows for which ``counts`` holds were counted, and kilometres of the whole trips that they are cut out of."""
    part = [row for row in rows if counts(row)]
    assert part
    assert counted.rows == len(part)
    assert counted.vehicles == len({row.vehicle for row in part})
    assert counted.trips == len({(row.vehicle, row.trip) for row in part})
    assert counted.km == pytest.approx(km(rows, longest_s, counts), rel=1e-9)
    assert (counted.first_s, counted.last_s) == (min(row.at_s for row in part), max(row.at_s for row in part))
    assert counted.method == "speed and time"


def parquet(path: Path, found: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(found), path)
    return path


def instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_all_of_it_is_what_slow_python_counts(given: Given, rows: list[Row]) -> None:
    assert len(list(given.table_path.iterdir())) == 2
    same(given.counted, rows)
    assert given.counted.vehicles == VEHICLES
    assert given.sampling_ms == 1_000
    assert given.placed
    assert given.paced
    assert not given.faults
    assert [line.partition(":")[0] for line in given.lacking] == ["no fault codes"]


def test_behind_cells_are_all_rows_of_their_hours(given: Given, rows: list[Row], tmp_path: Path) -> None:
    there: dict[tuple[str, int], set[str]] = defaultdict(set)
    for row in rows:
        there[row.cell, row.hour_s].add(row.vehicle)
    chosen = {key for key, vehicles in there.items() if len(vehicles) >= 3}
    assert 0 < len(chosen) < len(there)
    file = parquet(tmp_path / "cells.parquet", [{"cell": cell, "time": instant(hour)} for cell, hour in chosen])
    same(behind_cells(given, file), rows, lambda row: (row.cell, row.hour_s) in chosen)


def test_behind_no_cells_is_nothing(given: Given, tmp_path: Path) -> None:
    empty = pa.table({"cell": pa.array([], pa.string()), "time": pa.array([], pa.timestamp("s"))})
    pq.write_table(empty, tmp_path / "cells.parquet")
    found = behind_cells(given, tmp_path / "cells.parquet")
    assert (found.rows, found.vehicles, found.trips, found.km, found.first_s) == (0, 0, 0, 0.0, None)


def test_behind_features_are_the_months_of_the_enrolled(given: Given, rows: list[Row], tmp_path: Path) -> None:
    reference, vehicle = next(iter(given.references.items()))
    file = parquet(tmp_path / "features.parquet", [{"reference": reference, "month": "2026-03", "km": 1.0}])
    same(behind_features(given, file), rows, lambda row: row.vehicle == vehicle and row.month == "2026-03")
    other = parquet(tmp_path / "other.parquet", [{"reference": reference, "month": "2026-04"}])
    assert behind_features(given, other).rows == 0


def test_behind_rows_with_references_are_the_trips_that_came(given: Given, rows: list[Row], tmp_path: Path) -> None:
    reference, vehicle = next(iter(given.references.items()))
    trip = next(row.trip for row in rows if row.vehicle == vehicle)
    came = sorted(row.at_s for row in rows if (row.vehicle, row.trip) == (vehicle, trip))[10:-10]
    file = parquet(tmp_path / "rows.parquet", [{"reference": reference, "trip": "ps", "time": instant(at)} for at in came[::7]])
    first, last = came[::7][0], came[::7][-1]
    same(behind_rows(given, file, BUYERS.insurer), rows, lambda row: row.vehicle == vehicle and first <= row.at_s <= last)


def test_behind_rows_under_pseudonyms_are_those_of_the_vehicles_that_agreed(
    given: Given, rows: list[Row], tmp_path: Path
) -> None:
    file = parquet(tmp_path / "rows.parquet", [{"pseudonym": "p", "trip": "t", "time": instant(rows[0].at_s)}])
    agreed = set(given.agreed[BUYERS.repairer or ""])
    same(behind_rows(given, file, BUYERS.repairer or ""), rows, lambda row: row.vehicle in agreed)
    assert behind_vehicles(given, []).rows == 0


def test_people_are_made_up_and_the_same_again(given: Given, place: Path, tmp_path: Path) -> None:
    decided = pyarrow.csv.read_csv(given.consents_file).to_pylist()
    assert {row["recipient"]: row["purpose"] for row in decided} == {BUYERS.insurer: INSURANCE, BUYERS.repairer: REPAIR}
    assert [len(given.agreed[each]) for each in (BUYERS.insurer, BUYERS.repairer or "")] == [6, 5]
    assert all(row["given"] and row["at_ms"] < (given.counted.first_s or 0) * 1_000 for row in decided)
    assert len(given.contracts) == len(given.references) == 3
    assert set(given.references.values()) <= set(given.agreed[BUYERS.insurer])
    again = taken(survey(given.table_path, None, tmp_path), tmp_path, BUYERS)
    assert again.consents_file.read_bytes() == given.consents_file.read_bytes()
    assert again.contracts == given.contracts
    assert replace(again.counted, km=0.0) == replace(given.counted, km=0.0)


def test_a_simulated_fleet_is_counted_by_its_odometers(tmp_path: Path) -> None:
    fleet = simulated(tmp_path, BUYERS, vehicles=12, days=1)
    with duckdb.connect() as opened:
        expected = opened.execute(
            """SELECT sum(rows), count(DISTINCT vin), count(*), sum(far) / 1000 FROM (
                SELECT "Vehicle.VehicleIdentification.VIN" AS vin, trip, count(*) AS rows,
                       max("Vehicle.TraveledDistance")::BIGINT - min("Vehicle.TraveledDistance") AS far
                FROM read_parquet(?) GROUP BY ALL)""",
            [str(fleet.table_path)],
        ).fetchone()
    counted = fleet.counted
    assert expected is not None
    assert (counted.rows, counted.vehicles, counted.trips) == expected[:3]
    assert counted.km == pytest.approx(expected[3])
    assert counted.method == "odometer"
    assert fleet.lacking == ()
    assert fleet.wish == {}
    assert {contract["recipient"] for contract in fleet.contracts} == {BUYERS.insurer}


@pytest.mark.realdata
def test_kit_is_one_vehicle_that_agreed(tmp_path: Path) -> None:
    found = survey(real_data("kit-obd2"), None, tmp_path)
    kit = taken(found, tmp_path, BUYERS)
    assert (kit.counted.rows, kit.counted.vehicles, kit.counted.trips) == (222_706, 1, 77)
    assert kit.counted.km == pytest.approx(3_937, abs=3)
    assert kit.counted.km == pytest.approx(slow_kit(kit.table_path), rel=1e-9)
    assert len(kit.contracts) == 1
    assert kit.paced
    assert [line.partition(":")[0] for line in kit.lacking] == ["no positions", "no fault codes"]
    assert [line.partition(": ")[2].partition(":")[0] for line in found.files] == ["taken", *["left out"] * 4]


def slow_kit(file: Path) -> float:
    raw = pq.read_table(file, columns=["trip_id", "ts", "speed_kmh"]).to_pylist()
    found = [
        Row("one", row["trip_id"], round(row["ts"].replace(tzinfo=UTC).timestamp()), row["speed_kmh"], 0.0, 0.0) for row in raw
    ]
    return km(found, STEP_S)


@pytest.mark.realdata
def test_envirocar_is_four_vehicles_of_which_three_agree(tmp_path: Path) -> None:
    found = survey(real_data("envirocar"), None, tmp_path)
    cars = taken(found, tmp_path, BUYERS)
    raw = envirocar(cars.table_path)
    same(cars.counted, raw, longest_s=25)
    assert (cars.counted.rows, cars.counted.vehicles, cars.counted.trips) == (2_440, 4, 14)
    assert cars.counted.km == pytest.approx(165.611, abs=0.001)
    assert len(cars.agreed[BUYERS.insurer]) == 3
    assert [line.partition(":")[0] for line in cars.lacking] == ["a row each 5 s", "no fault codes"]
    assert found.ignored == ("speed_gps_kmh", "hdop")
    said = dict(line.split(": ", 1) for line in found.files)
    assert said["envirocar_points.csv"] == "taken: 2,440 rows"
    assert "one row a trip" in said["envirocar_trips.csv"]
    assert "figures of many" in said["envirocar_grid_speed_weekday_hour.csv"]
    assert "neither CSV nor Parquet" in said["PROVENANCE.md"]


@pytest.mark.realdata
def test_cells_of_envirocar_are_counted_in_its_time(tmp_path: Path) -> None:
    cars = taken(survey(real_data("envirocar", "envirocar_points.csv"), None, tmp_path), tmp_path, BUYERS)
    raw = envirocar(cars.table_path)
    chosen = {(row.cell, row.hour_s) for row in raw[::50]}
    file = parquet(tmp_path / "cells.parquet", [{"cell": cell, "time": instant(hour)} for cell, hour in chosen])
    same(behind_cells(cars, file), raw, lambda row: (row.cell, row.hour_s) in chosen, longest_s=25)
