"""Rows: names that VSS has, values that can be, places where vehicles are known to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from connector.demo.fleet import ENVIROCAR, KIT, Profile, simulate, vins
from connector.demo.fleet.simulation import BATCH_ROWS
from tests.demo.fleet.conftest import Array, Week

# Leaves of the COVESA Vehicle Signal Specification, release 6.0, that a fleet may have.
VSS = {
    "Vehicle.VehicleIdentification.VIN",
    "Vehicle.Speed",
    "Vehicle.TraveledDistance",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.CurrentLocation.Longitude",
    "Vehicle.CurrentLocation.Heading",
    "Vehicle.Acceleration.Longitudinal",
    "Vehicle.Powertrain.CombustionEngine.Speed",
    "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current",
    "Vehicle.Powertrain.TractionBattery.Charging.IsCharging",
    "Vehicle.Diagnostics.DTCCount",
    "Vehicle.Diagnostics.DTCList",
    "Vehicle.Exterior.AirTemperature",
}
OPTIONAL = {
    "Vehicle.Powertrain.CombustionEngine.Speed",
    "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current",
    "Vehicle.Powertrain.TractionBattery.Charging.IsCharging",
    "Vehicle.Diagnostics.DTCList",
}
CHARGE = "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current"
CHARGING = "Vehicle.Powertrain.TractionBattery.Charging.IsCharging"
RPM = "Vehicle.Powertrain.CombustionEngine.Speed"


def all_rows(profile: Profile, vehicles: int, days: int, seed: int) -> Any:
    return pa.Table.from_batches(list(simulate(profile, vehicles, days, seed)))


def test_columns_are_named_as_in_vss(any_week: Week) -> None:
    assert set(any_week.table.column_names) == VSS | {"trip", "time"}
    assert any_week.table.schema.field("time").type == pa.timestamp("ms", tz="UTC")


def test_nothing_is_a_number_that_is_none(any_week: Week) -> None:
    for name in any_week.table.column_names:
        column = any_week.table.column(name)
        assert name in OPTIONAL or column.null_count == 0, name
        if pa.types.is_floating(column.type):
            assert not pc.any(pc.is_nan(column.drop_null())).as_py(), name
            assert not pc.any(pc.is_inf(column.drop_null())).as_py(), name


@pytest.mark.parametrize(
    ("path", "least", "most"),
    [
        ("Vehicle.Speed", 0, 230),
        ("Vehicle.Acceleration.Longitudinal", -8, 6),
        ("Vehicle.CurrentLocation.Heading", 0, 360),
        ("Vehicle.Exterior.AirTemperature", -25, 42),
        ("Vehicle.Diagnostics.DTCCount", 0, 2),
        (RPM, 700, 4_500),
        (CHARGE, 0, 100),
    ],
)
def test_values_can_be(any_week: Week, path: str, least: float, most: float) -> None:
    found = pc.min_max(any_week.table.column(path)).as_py()
    assert least <= found["min"] < found["max"] <= most


def test_same_seed_same_rows() -> None:
    assert all_rows(KIT, 5, 2, 11).equals(all_rows(KIT, 5, 2, 11))
    assert not all_rows(KIT, 5, 2, 11).equals(all_rows(KIT, 5, 2, 12))


def test_rows_are_of_the_fleet_in_its_order(any_week: Week) -> None:
    begins = np.flatnonzero(np.append(True, np.diff(any_week.vehicle) != 0))
    seen = any_week.table.column("Vehicle.VehicleIdentification.VIN").take(pa.array(begins)).cast(pa.string()).to_pylist()
    assert seen == vins(any_week.profile, len(seen), 7).to_pylist()


def test_batches_are_bounded_for_a_fleet_and_for_a_long_time() -> None:
    for profile, vehicles, days in ((ENVIROCAR, 70, 30), (KIT, 3, 60)):
        sizes = [batch.num_rows for batch in simulate(profile, vehicles, days, 1)]
        assert len(sizes) > 1
        assert max(sizes) < 2 * BATCH_ROWS


def test_a_vehicle_is_on_one_trip_at_a_time(any_week: Week) -> None:
    later = np.diff(any_week.seconds)
    same_vehicle, same_trip = np.diff(any_week.vehicle) == 0, np.diff(any_week.trip) == 0
    assert (later[same_vehicle] > 0).all()
    assert set(later[same_trip].tolist()) == {any_week.profile.step_s}
    names = any_week.table.column("trip").cast(pa.string())
    assert len(names.unique()) == any_week.trip[-1] + 1


def test_all_is_within_the_week(any_week: Week) -> None:
    start_s = any_week.profile.start_s
    assert start_s <= any_week.seconds.min()
    assert any_week.seconds.max() < start_s + 7 * 86_400


def test_positions_move_as_fast_as_the_speed_says(kit_week: Week) -> None:
    moved = moved_m(kit_week)
    said = kit_week.column("Vehicle.Speed").astype(float)
    inside = np.diff(kit_week.trip) == 0
    away = moved[inside] - (said[1:] + said[:-1])[inside] / 7.2
    assert np.quantile(np.abs(away), 0.99) < 8
    assert abs(away.sum()) < 0.04 * moved[inside].sum()


def test_headings_point_where_positions_go(kit_week: Week) -> None:
    lat, lon = kit_week.column("Vehicle.CurrentLocation.Latitude"), kit_week.column("Vehicle.CurrentLocation.Longitude")
    east, north = np.diff(lon) * np.cos(np.radians(lat[1:])), np.diff(lat)
    moving = (np.diff(kit_week.trip) == 0) & (kit_week.column("Vehicle.Speed")[1:] > 60)
    course = np.degrees(np.arctan2(east, north))[moving]
    off = (course - kit_week.column("Vehicle.CurrentLocation.Heading")[1:][moving] + 180) % 360 - 180
    assert np.quantile(np.abs(off), 0.95) < 15


def test_the_odometer_counts_what_is_driven(any_week: Week) -> None:
    metres = any_week.column("Vehicle.TraveledDistance").astype(np.int64)
    assert (np.diff(metres)[np.diff(any_week.vehicle) == 0] >= 0).all()
    ends = np.append(np.flatnonzero(np.diff(any_week.trip) != 0), len(metres) - 1)
    begins = np.append(0, ends[:-1] + 1)
    assert (metres[ends] - metres[begins]).sum() / 1_000 == pytest.approx(any_week.trip_km.sum(), rel=0.02)


def test_every_day_begins_and_ends_at_home(kit_week: Week) -> None:
    """Trips leave home and come back: each begins where the one before ended."""
    lat, lon = kit_week.column("Vehicle.CurrentLocation.Latitude"), kit_week.column("Vehicle.CurrentLocation.Longitude")
    joints = np.flatnonzero((np.diff(kit_week.trip) != 0) & (np.diff(kit_week.vehicle) == 0))
    apart = np.hypot(lat[joints + 1] - lat[joints], (lon[joints + 1] - lon[joints]) * 0.65) * 111_320
    assert len(joints) > 500
    assert apart.max() < 20


def test_the_way_to_work_is_the_same_every_day(kit_week: Week) -> None:
    cells = squares(kit_week, 500)
    day = (kit_week.seconds - kit_week.profile.start_s) // 86_400
    hour = kit_week.seconds % 86_400 // 3_600
    alike = []
    for vehicle in range(20):
        mine = (kit_week.vehicle == vehicle) & (hour < 12)
        ways = [set(cells[mine & (day == each)].tolist()) for each in (0, 1)]
        if all(ways):
            alike.append(len(ways[0] & ways[1]) / len(ways[0] | ways[1]))
    assert len(alike) > 8
    assert np.median(alike) > 0.9


def test_vehicles_share_streets(kit_week: Week) -> None:
    """Of the squares of 200 m that are driven through, a good part is by several vehicles."""
    visits = np.unique(squares(kit_week, 500) * 1_000 + kit_week.vehicle)
    _cells, vehicles = np.unique(visits // 1_000, return_counts=True)
    assert (vehicles >= 2).mean() > 0.2
    assert vehicles.max() >= 10


def test_a_vehicle_has_an_engine_or_a_battery(any_week: Week) -> None:
    charge, turns, charging = (any_week.table.column(path).is_null().to_numpy() for path in (CHARGE, RPM, CHARGING))
    assert (charge != turns).all()
    assert (charge == charging).all()
    electric = np.bincount(any_week.vehicle, ~charge) > 0
    assert 0.05 < electric.mean() < 0.4


def test_batteries_are_used_and_charged(kit_week: Week) -> None:
    chosen = kit_week.table.filter(kit_week.table.column(CHARGE).is_valid())
    charge, charging, speed = (chosen.column(path).to_numpy(zero_copy_only=False) for path in (CHARGE, CHARGING, "Vehicle.Speed"))
    assert charging.any()
    assert speed[charging.astype(bool)].max() == 0
    trip, vehicle = chosen.column("trip").cast(pa.string()).to_numpy(), chosen.column(0).cast(pa.string()).to_numpy()
    same_trip = trip[1:] == trip[:-1]
    driving = same_trip & ~charging[1:].astype(bool)
    assert (np.diff(charge)[driving] <= 0.11).all()  # a tenth of a percent is the last digit
    assert (np.diff(charge)[~same_trip & (vehicle[1:] == vehicle[:-1])] > 5).any()
    assert charge.min() > 1


def test_faults_are_shown_for_a_while(envirocar_week: Week) -> None:
    count = envirocar_week.column("Vehicle.Diagnostics.DTCCount")
    codes = envirocar_week.table.column("Vehicle.Diagnostics.DTCList")
    assert (codes.is_null().to_numpy() == (count == 0)).all()
    shown = codes.cast(pa.string()).drop_null().unique().to_pylist()
    assert shown
    assert all(len(code) == 5 for codes_of_one in shown for code in codes_of_one.split())
    assert 0 < (count > 0).mean() < 0.1


def squares(week: Week, by_degree: int) -> Array:
    """The square of a grid that each row lies in, as one number."""
    lat, lon = week.column("Vehicle.CurrentLocation.Latitude"), week.column("Vehicle.CurrentLocation.Longitude")
    cells: Array = np.floor(lat * by_degree).astype(np.int64) * 1_000_000 + np.floor(lon * by_degree).astype(np.int64)
    return cells


def moved_m(week: Week) -> Array:
    lat, lon = week.column("Vehicle.CurrentLocation.Latitude"), week.column("Vehicle.CurrentLocation.Longitude")
    moved: Array = 111_320 * np.hypot(np.diff(lat), np.diff(lon) * np.cos(np.radians(week.profile.region.lat)))
    return moved
