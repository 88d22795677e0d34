"""Products of real tables, from the terms of a contract to checked files: KIT's drives and enviroCar's.

The tables have no consents: those here are made up for the tests. No row of them stands in the repository.
"""

from __future__ import annotations

import csv
import math
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
import pytest

from connector.dataplane.plan.make import PlanRefused
from connector.dataplane.tables.look import look
from policies.model import CARNET
from tests.acceptance.delivering import KEY, made, plan
from tests.governed import checks
from tests.governed.opened import LAT, LON, Opened, Raw
from tests.requirement import real_data

pytestmark = pytest.mark.realdata
INSURANCE: Final = [("purpose", "isA", f"{CARNET}UsageBasedInsurance"), (f"{CARNET}detail", "eq", f"{CARNET}FeaturesOnly")]
ROWS: Final = [(f"{CARNET}releaseLevel", "eq", f"{CARNET}L1"), (f"{CARNET}tripEndCut", "gteq", "400"),
               (f"{CARNET}offenceData", "eq", "false")]  # fmt: skip
CELLS: Final = [(f"{CARNET}minGroupSize", "gteq", "10"), (f"{CARNET}spatialResolution", "lteq", "7"),
                (f"{CARNET}temporalResolution", "gteq", "PT1H")]  # fmt: skip


def test_features_of_kit_are_what_slow_python_counts(tmp_path: Path) -> None:
    source = real_data("kit-obd2", "kit_obd2_1hz.parquet")
    table = look(source)
    found, out = made(table, plan(table, INSURANCE), [table.mapping.one_vehicle or ""], tmp_path)
    months = pq.read_table(out).to_pylist()
    assert found.vehicles == 1
    assert len(months) == found.rows == 5
    assert sum(month["harsh_brakings"] for month in months) == 434 == brakings(source)
    assert sum(month["km"] for month in months) == pytest.approx(3_937, abs=3)
    hours = sum(month["hours"] for month in months)
    assert sum(month["share_above_130"] * month["hours"] for month in months) / hours == pytest.approx(0.034, abs=0.0005)
    assert sum(month["night_km_share"] for month in months) == 0


def brakings(source: Path) -> int:
    """Runs of seconds whose speed falls by at least 3.0 m/s² between samples at most 1.5 s apart, one by one."""
    rows = pq.read_table(source, columns=["trip_id", "ts", "speed_kmh"]).to_pylist()
    rows.sort(key=lambda row: (row["trip_id"], row["ts"]))
    count, braking, before = 0, False, rows[0]
    for row in rows[1:]:
        seconds = (row["ts"] - before["ts"]).total_seconds()
        near = row["trip_id"] == before["trip_id"] and 0 < seconds <= 1.5 and None not in (row["speed_kmh"], before["speed_kmh"])
        falls = near and (before["speed_kmh"] - row["speed_kmh"]) / 3.6 / seconds >= 3.0
        count += falls and not braking
        braking, before = falls, row
    return count


def test_envirocar_rows_come_out_under_pseudonyms(tmp_path: Path) -> None:
    source = real_data("envirocar", "envirocar_points.csv")
    table = look(source)
    with source.open(encoding="utf-8", newline="") as lines:
        vehicles = sorted({row["vehicle_id"] for row in csv.DictReader(lines)})
    consented = vehicles[:3]
    found, out = made(table, plan(table, ROWS), consented, tmp_path)
    raw = Raw(source, "vehicle_id", 'epoch("time")', "track_id", "lat", "lon", "speed_obd_kmh")
    with Opened(out, raw) as opened:
        checks.no_vehicle_without_consent(opened, consented, key=KEY, least=500)
        checks.nothing_within_the_cut(opened, key=KEY, cut_m=400, least=500)
        checks.no_precise_speed(opened, least=500)
        checks.no_identifier_of_a_vehicle(opened, least=500)
        assert {LAT, LON} <= set(opened.columns)
        assert opened.rows == found.rows


def test_envirocar_cells_of_ten_vehicles_are_none_and_that_is_said(tmp_path: Path) -> None:
    source = real_data("envirocar", "envirocar_points.csv")
    table = look(source)
    found, out = made(table, plan(table, CELLS, format="csv"), ["nobody"], tmp_path)
    assert found.rows == found.cells == 0
    assert found.suppressed == cells(source) > 100
    assert len(out.read_text().splitlines()) <= 1


def cells(source: Path) -> int:
    """Cells of level 7 and hours with any vehicle, one by one."""
    seen = set()
    with source.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            height = 1221 / 111_320
            north = math.floor(float(row["lat"]) / height)
            width = height / math.cos(math.radians((north + 0.5) * height))
            seen.add((north, math.floor(float(row["lon"]) / width), datetime.fromisoformat(row["time"]).strftime("%Y%m%d%H")))
    return len(seen)


def test_envirocar_cannot_tell_how_somebody_drives() -> None:
    table = look(real_data("envirocar", "envirocar_points.csv"))
    with pytest.raises(PlanRefused, match="5 s") as refused:
        plan(table, INSURANCE)
    assert refused.value.code == "sampling-too-coarse"
    assert "1 s" in refused.value.reason
