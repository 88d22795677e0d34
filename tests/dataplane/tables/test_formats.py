"""Each data set as it is: small made-up files of its headers, and the real data where they are."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.dataplane.tables.look import examine, look
from connector.dataplane.tables.model import Mapping, Table
from connector.dataplane.tables.read import canonical, verify
from tests.requirement import real_data

SPEED = "Vehicle.Speed"


def rows(table: Table, paths: frozenset[str] | None = None) -> list[dict[str, Any]]:
    connection = ibis.duckdb.connect()
    try:
        found: list[dict[str, Any]] = canonical(connection, table, paths).order_by("at").to_pyarrow().to_pylist()
        return found
    finally:
        connection.disconnect()


def at(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def test_envirocar(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text(
        "track_id,vehicle_id,time,lat,lon,speed_obd_kmh,speed_gps_kmh,maf\n"
        "t1,v1,2020-03-05T13:22:21Z,53.1,9.2,97.5,98,27.2\n"
        "t1,v1,2020-03-05T13:22:26Z,53.1,999,,98,x\n"
        ",v1,2020-03-05T13:22:30Z,53.1,9,1,1,1\n"
        "t1,NaN,2020-03-05T13:22:30Z,53.1,9,1,1,1\n"
        "t1,v1,someday,53.1,9,1,1,1\n"
    )
    looked = examine(file)
    table = looked.table
    assert looked.ignored == ("speed_gps_kmh",)
    assert (table.mapping.origin, table.rows, table.vehicles, table.sampling_ms) == ("envirocar", 2, 1, 5_000)
    assert (table.first_s, table.last_s) == (at("2020-03-05T13:22:21"), at("2020-03-05T13:22:26"))
    first, second = rows(table)
    assert first["vehicle"] == "v1"
    assert first["trip"] == "t1"
    assert first["at"] == first["local"] == at("2020-03-05T13:22:21")
    assert first[SPEED] == 97.5
    assert second["Vehicle.CurrentLocation.Longitude"] is None
    assert second[SPEED] is None
    assert second["Vehicle.Powertrain.CombustionEngine.MAF"] is None


def kit(path: Path, times: list[str]) -> None:
    count = len(times)
    columns = {
        "trip_id": pa.array(["one"] * count),
        "ts": pa.array([datetime.fromisoformat(text) for text in times], pa.timestamp("us")),  # as the file
        "speed_kmh": pa.array([50.0] * count, pa.float32()),
        "coolant_temp_c": pa.array([float("nan")] * count, pa.float32()),
        "accel_pedal_d_pct": pa.array([None] * count, pa.float32()),
    }
    pq.write_table(pa.table(columns), path)


# Clocks were put forward on 2018-03-25 and back on 2017-10-29.
@pytest.mark.parametrize(
    ("shown", "utc"),
    [
        ("2017-07-05T07:16:30.900", "2017-07-05T05:16:30"),
        ("2018-01-05T07:16:30", "2018-01-05T06:16:30"),
        ("2018-03-25T01:59:59", "2018-03-25T00:59:59"),
        ("2018-03-25T02:30:00", "2018-03-25T01:30:00"),
        ("2018-03-25T03:00:00", "2018-03-25T01:00:00"),
        ("2017-10-29T01:59:59", "2017-10-28T23:59:59"),
        ("2017-10-29T02:30:00", "2017-10-29T01:30:00"),
        ("2017-10-29T03:00:00", "2017-10-29T02:00:00"),
    ],
)
def test_kit_shows_the_clock_of_its_zone(tmp_path: Path, shown: str, utc: str) -> None:
    file = tmp_path / "kit.parquet"
    kit(file, [shown])
    table = look(file)
    assert (table.mapping.origin, table.mapping.time.zone) == ("kit", "Europe/Berlin")
    (row,) = rows(table)
    assert (row["at"], row["local"]) == (at(utc), at(shown[:19]))
    assert row["Vehicle.Powertrain.CombustionEngine.EngineCoolant.Temperature"] is None
    without_period = Table(**{name: getattr(table, name) for name in Table.__struct_fields__} | {"first_s": None})
    assert rows(without_period) == [row], "the engine says the same as the list"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "twice"])
def test_kit_as_it_was_recorded(tmp_path: Path, encoding: str) -> None:
    text = (
        "Time,Engine Coolant Temperature [°C],Engine RPM [RPM],Vehicle Speed Sensor [km/h],Accelerator Pedal Position D [%]\r\n"
        "07:37:14.075,26,,,\r\n07:37:14.164,26,864.0,30.5,14.1\r\n"
    )
    if encoding == "twice":
        text, encoding = text.replace("°", "Â°"), "utf-8"
    file = tmp_path / "2017-08-07_Seat_it's_a_trip.csv"
    file.write_bytes(text.encode(encoding))
    table = look(file)
    assert (table.mapping.origin, table.rows, table.sampling_ms) == ("kit", 2, 89)
    first, second = rows(table)
    assert first["at"] == second["at"] == at("2017-08-07T05:37:14")
    assert first["local"] == at("2017-08-07T07:37:14")
    assert first["trip"] == "2017-08-07_Seat_it's_a_trip"
    assert (first[SPEED] or second[SPEED]) == 30.5
    assert first["Vehicle.Powertrain.CombustionEngine.EngineCoolant.Temperature"] == 26


def test_ved(tmp_path: Path) -> None:
    head = "DayNum,VehId,Trip,Timestamp(ms),Latitude[deg],Longitude[deg],Vehicle Speed[km/h],Outside Air Temperature[DegC]\n"
    (tmp_path / "VED_1.csv").write_text(head + "1.5,8,706,0,42.2,-83.7,30,NaN\n1.5,8,706,1200,42.2,-83.7,NaN,4\n")
    # Clocks were put back on 2017-11-05 at 2: day 5.
    (tmp_path / "VED_2.csv").write_text(head + "5.5,8,707,500,NaN,-83.7,30,4\n1e300,8,707,500,0,0,0,0\n1,8,707,1e300,0,0,0,0\n")
    table = look(tmp_path)
    assert (table.mapping.origin, table.rows, table.vehicles, table.sampling_ms) == ("ved", 3, 1, 1_200)
    first, second, third = rows(table)
    assert first["at"] == at("2017-11-01T16:00:00")
    assert first["local"] == at("2017-11-01T12:00:00")
    assert (second["at"] - first["at"], second[SPEED]) == (1, None)
    assert (third["at"], third["local"]) == (at("2017-11-05T17:00:00"), at("2017-11-05T12:00:00"))
    assert third["Vehicle.CurrentLocation.Latitude"] is None


def test_headers_that_are_vss_paths(tmp_path: Path) -> None:
    file = tmp_path / "fleet.parquet"
    columns = {
        "Vehicle.VehicleIdentification.VIN": ["V1", "V1"],
        "trip": ["a", "a"],
        "time": pa.array(
            [at("2026-03-01T10:00:00") * 1000, at("2026-03-01T10:00:01") * 1000 + 999], pa.timestamp("ms", tz="UTC")
        ),
        SPEED: pa.array([1.0, float("inf")], pa.float32()),
        "Vehicle.Powertrain.TractionBattery.Charging.IsCharging": [True, None],
        "Vehicle.Diagnostics.DTCCount": pa.array([0, 3], pa.uint8()),
        "Vehicle.Own.Thing": ["x", ""],
    }
    pq.write_table(pa.table(columns), file)
    table = look(file)
    assert (table.mapping.origin, table.rows, table.sampling_ms) == ("vss", 2, 1_999)
    first, second = rows(table)
    assert (second["at"], second[SPEED]) == (at("2026-03-01T10:00:01"), None)
    assert first["Vehicle.Powertrain.TractionBattery.Charging.IsCharging"] is True
    assert second["Vehicle.Diagnostics.DTCCount"] == 3
    assert (first["Vehicle.Own.Thing"], second["Vehicle.Own.Thing"]) == ("x", None)
    assert "Vehicle.VehicleIdentification.VIN" not in table.paths
    assert set(rows(table, frozenset({SPEED}))[0]) == {"vehicle", "trip", "at", "local", SPEED}


def test_renamed_columns_are_guessed_with_their_units(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("veh_id;trip_no;timestamp_ms;latitude;lng;speed_mps;odometer_km;speed\nv;t;1583410941500;1;2;10;3;7\n")
    looked = examine(file)
    assert (looked.table.delimiter, looked.ignored) == (";", ("speed",))
    assert f"speed_mps is {SPEED}" in looked.guessed
    (row,) = rows(looked.table)
    assert (row["at"], row[SPEED], row["Vehicle.TraveledDistance"]) == (1583410941, 36.0, 3000.0)


def test_a_zone_is_given_where_none_can_be_guessed(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("vin,trip,time,v [mph]\nA,1,2024-07-01 12:00:00,10\nA,1,2024-07-01 12:00:00+00:00,20\n")
    given = {
        "origin": "given",
        "vehicle": "vin",
        "trip": "trip",
        "time": {"header": "time", "zone": "America/Detroit"},
        "columns": [{"header": "v [mph]", "path": SPEED, "unit": "km/h", "category": "driving-behaviour"}],
    }
    table = look(file, msgspec.convert(given, Mapping))
    instant, shown = rows(table)
    assert (instant["at"], instant["local"]) == (at("2024-07-01T12:00:00"), at("2024-07-01T08:00:00"))
    assert (shown["at"], shown["local"]) == (at("2024-07-01T16:00:00"), at("2024-07-01T12:00:00"))
    assert shown[SPEED] == pytest.approx(16.09344)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "count", "trips", "vehicles", "sampling_ms"),
    [
        ("envirocar/envirocar_points.csv", 2_440, 14, 4, 5_000),
        ("kit-obd2/kit_obd2_1hz.parquet", 222_706, 77, 1, 1_000),
    ],
)
def test_real_data(name: str, count: int, trips: int, vehicles: int, sampling_ms: int) -> None:
    table = look(real_data(name))
    assert (table.rows, table.vehicles, table.sampling_ms) == (count, vehicles, sampling_ms)
    assert verify(table) == table.snapshot
    found = rows(table, frozenset({SPEED}))
    assert len(found) == count
    assert len({(row["vehicle"], row["trip"]) for row in found}) == trips
    assert {row["local"] - row["at"] for row in found} == ({0} if vehicles == 4 else {3_600, 7_200})


@pytest.mark.realdata
def test_the_real_emergency_braking_is_where_it_was() -> None:
    found = list(real_data("kit-obd2").glob("2017*.csv"))
    table = look(found[0])
    assert (table.rows, table.encoding, table.mapping.origin) == (39_110, "utf-8", "kit")
    braking = [row for row in rows(table, frozenset({SPEED})) if "07:48:33" <= _clock(row["local"]) <= "07:48:36"]
    speeds = [row[SPEED] for row in braking]
    assert max(speeds) - min(speeds) > 20


def _clock(local: int) -> str:
    return datetime.fromtimestamp(local, ZoneInfo("UTC")).strftime("%H:%M:%S")
