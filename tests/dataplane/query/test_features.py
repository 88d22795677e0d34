"""Features and scores: small tables by hand, and the real drives of one car."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis
import pyarrow.parquet as parquet
import pytest

from connector.dataplane.plan.model import Plan
from connector.dataplane.query.features import features, unfit
from connector.dataplane.query.score import TOO_SHORT, score
from connector.dataplane.tables.model import SPEED
from tests.requirement import real_data

NOON = 1_767_268_800  # 2026-01-01T12:00:00Z
MIDNIGHT = NOON + 12 * 3600
Row = dict[str, Any]


def plan(**fields: Any) -> Plan:
    given: dict[str, Any] = {"form": "features", **fields}
    return Plan(dataset="d", table="t", schema="s", agreement="a", recipient="r", level="L1", **given)


def drive(speeds: Sequence[float | None], start: int = NOON, trip: str = "1", vehicle: str = "A", every: int = 1) -> list[Row]:
    return [
        {
            "vehicle": vehicle,
            "pseudonym": f"p{vehicle}",
            "trip": trip,
            "at": start + n * every,
            "local": start + n * every,
            SPEED: v,
        }
        for n, v in enumerate(speeds)
    ]


def table(rows: list[Row]) -> Any:
    types = {"vehicle": "string", "pseudonym": "string", "trip": "string", "at": "int64", "local": "int64", SPEED: "float64"}
    if "reference" in rows[0]:
        types["reference"] = "string"
    return ibis.memtable(rows, schema=types)


def made(rows: list[Row], **fields: Any) -> list[Row]:
    found: list[Row] = ibis.duckdb.connect().to_pyarrow(features(table(rows), plan(**fields))).to_pylist()
    return sorted(found, key=lambda row: (row["pseudonym"], row["month"]))


def scored(rows: list[Row], **fields: Any) -> list[Row]:
    found: list[Row] = ibis.duckdb.connect().to_pyarrow(score(table(rows), plan(form="score", **fields))).to_pylist()
    return sorted(found, key=lambda row: row["pseudonym"])


def test_an_hour_of_driving_is_its_distance_its_time_and_its_bands() -> None:
    [row] = made(drive([36.0] * 1801 + [90.0] * 900 + [130.0] * 450 + [131.0] * 450))
    assert row["month"] == "2026-01"
    assert row["hours"] == 1
    assert row["km"] == pytest.approx((1800 * 36 + 900 * 90 + 450 * 130 + 450 * 131 - 27 - 20 - 0.5) / 3600, abs=0.001)
    shares = [row[name] for name in ("share_below_50", "share_50_90", "share_90_130", "share_above_130")]
    assert shares == [0.5, 0, 0.375, 0.125], "90 is of the band above it, 130 of the band below"
    assert (row["trips"], row["days"], row["night_km_share"]) == (1, 1, 0)


def test_a_run_of_falling_seconds_is_one_harsh_braking() -> None:
    one = [80, 69, 58, 47, 47, 47]
    [row] = made(drive([*one, 80, *one]))
    assert row["harsh_brakings"] == 2
    assert row["harsh_braking_per_100km"] == pytest.approx(200 / row["km"], rel=0.01)
    assert row["harsh_acceleration_per_100km"] == pytest.approx(100 / row["km"], rel=0.01)


@pytest.mark.parametrize(("fall", "events"), [(10.7, 0), (10.9, 1)])
def test_harsh_begins_at_three_metres_per_second_squared(fall: float, events: int) -> None:
    assert made(drive([80, 80 - fall]))[0]["harsh_brakings"] == events


@pytest.mark.parametrize(("rise", "events"), [(8.9, 0), (9.1, 1)])
def test_acceleration_is_harsh_from_two_and_a_half(rise: float, events: int) -> None:
    row = made(drive([50, 50 + rise]))[0]
    assert row["harsh_acceleration_per_100km"] == pytest.approx(events * 100 / row["km"], rel=0.03)


def test_what_lies_two_seconds_apart_shows_no_braking() -> None:
    assert made(drive([90, 10], every=2))[0]["harsh_brakings"] == 0


def test_a_gap_counts_neither_for_distance_nor_for_time() -> None:
    [row] = made(drive([100, 100]) + drive([100, 100], start=NOON + 7))
    assert row["hours"] == pytest.approx(2 / 3600, abs=0.0001)
    [row] = made(drive([100, 100], every=5))
    assert row["hours"] == pytest.approx(5 / 3600, abs=0.0001)


def test_trips_are_not_joined() -> None:
    [row] = made(drive([90], trip="1") + drive([10], trip="2", start=NOON + 1))
    assert (row["harsh_brakings"], row["km"], row["trips"]) == (0, 0, 2)
    assert row["harsh_braking_per_100km"] is None
    assert row["share_below_50"] is None


def test_two_vehicles_with_one_name_of_a_trip_are_two() -> None:
    rows = made(drive([90, 90], vehicle="A") + drive([10, 10], vehicle="B", start=NOON + 1))
    assert [(row["pseudonym"], row["harsh_brakings"], row["trips"]) for row in rows] == [("pA", 0, 1), ("pB", 0, 1)]


def test_of_equal_seconds_the_fastest_counts() -> None:
    rows = drive([50, 50]) + drive([90], start=NOON) + drive([20], start=NOON)
    assert made(rows)[0]["harsh_brakings"] == 1
    assert made(drive([50, 50]) + drive([45], start=NOON))[0]["harsh_brakings"] == 0


def test_a_row_without_a_speed_is_passed_over() -> None:
    assert made(drive([90, None, 10]))[0]["harsh_brakings"] == 0
    assert made(drive([None, None])) == []


def test_night_is_from_22_to_5_on_the_clock_in_the_car() -> None:
    for hour, night in [(21, 0), (22, 1), (4, 1), (5, 0)]:
        rows = drive([60] * 60, start=MIDNIGHT + hour * 3600)
        assert made(rows)[0]["night_km_share"] == night, hour
    away = [{**row, "local": row["local"] + 10 * 3600} for row in drive([60] * 60)]
    assert made(away)[0]["night_km_share"] == 1


def test_months_are_those_of_the_clock_in_the_car() -> None:
    end = NOON + 30 * 86_400 + 12 * 3600  # midnight of the first of February
    rows = made(drive([36] * 200, start=end - 100))
    assert [(row["month"], row["trips"], row["days"]) for row in rows] == [("2026-01", 1, 1), ("2026-02", 1, 1)]
    assert [round(row["hours"] * 3600) for row in rows] == [99, 100]
    early = [{**row, "local": row["local"] - 3600} for row in drive([36] * 200, start=end - 100)]
    assert [row["month"] for row in made(early)] == ["2026-01"]


def test_a_reference_leaves_only_with_an_enrolment() -> None:
    rows = [{**row, "reference": "contract-7"} for row in drive([50, 50])]
    assert made(rows, enrolled=True)[0]["reference"] == "contract-7"
    assert "reference" not in made(rows)[0]
    assert scored(rows, enrolled=True)[0]["reference"] == "contract-7"
    for row in (made(rows)[0], scored(rows)[0]):
        assert "vehicle" not in row
        assert SPEED not in row


def test_counts_are_whole_numbers_in_the_file(tmp_path: Path) -> None:
    connection = ibis.duckdb.connect()
    written = tmp_path / "out.parquet"
    connection.to_parquet(features(table(drive([90, 70, 50])), plan()), written)
    types = {field.name: str(field.type) for field in parquet.read_schema(written)}
    assert {types[name] for name in ("trips", "days", "harsh_brakings")} == {"int64"}


def test_a_sampled_plan_gives_the_same() -> None:
    rows = drive([50, 90, 70, 60, 20] * 50)
    assert made(rows, sample_s=1) == made(rows)


def test_a_score_says_distance_and_score_only() -> None:
    rows = drive([100] * 4 * 3600) + drive([100] * 3600, start=NOON + 40 * 86_400, trip="2")
    [row] = scored(rows)
    assert list(row) == ["pseudonym", "first_month", "last_month", "km", "score", "why"]
    assert (row["first_month"], row["last_month"], row["why"]) == ("2026-01", "2026-02", None)
    assert row["score"] == pytest.approx(100 - 20 * (row["km"] / 2) / 2000, abs=0.06)


def test_a_bad_driver_loses_all_there_is_to_lose() -> None:
    rows = drive([140, 150, 161, 150, 139] * 3600, start=MIDNIGHT - 2 * 3600)
    [row] = scored(rows)
    assert row["score"] == pytest.approx(100 - 30 - 15 - 15 - 20 - 20 * row["km"] / 2000, abs=0.06)


def test_a_short_distance_has_no_score() -> None:
    [row] = scored(drive([100] * 3600))
    assert (row["score"], row["why"]) == (None, TOO_SHORT)
    assert row["km"] == pytest.approx(100, abs=0.1)


def test_coarse_data_are_unfit() -> None:
    assert unfit(1000) is None
    assert unfit(100) is None
    assert "5 s" in str(unfit(5000))
    assert unfit(None) is not None


@pytest.fixture
def kit() -> Any:
    table = real_data("kit-obd2", "kit_obd2_1hz.parquet")
    read = ibis.memtable(parquet.read_table(table, columns=["trip_id", "ts", "speed_kmh"]))
    second = read.ts.epoch_seconds()
    named = {"vehicle": ibis.literal("A"), "pseudonym": ibis.literal("p"), "trip": read.trip_id, SPEED: read.speed_kmh}
    return read.select(at=second, local=second, **named)


@pytest.mark.realdata
def test_real_drives_are_found_as_they_were_counted_elsewhere(kit: Any) -> None:
    rows = ibis.duckdb.connect().to_pyarrow(features(kit, plan())).to_pylist()
    assert len(rows) == 5
    hours = sum(row["hours"] for row in rows)
    assert sum(row["harsh_brakings"] for row in rows) == 434
    assert sum(row["km"] for row in rows) == pytest.approx(3937, abs=3)
    assert sum(row["trips"] for row in rows) == 77
    assert sum(row["hours"] * row["share_above_130"] for row in rows) / hours == pytest.approx(0.034, abs=0.0005)
    assert all(row["night_km_share"] == 0 for row in rows)


@pytest.mark.realdata
def test_the_real_driver_has_a_score(kit: Any) -> None:
    [row] = ibis.duckdb.connect().to_pyarrow(score(kit, plan(form="score"))).to_pylist()
    assert row["score"] == pytest.approx(58.4, abs=0.2)
