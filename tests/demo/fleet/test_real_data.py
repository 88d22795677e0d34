"""The profiles beside the data sets that they were fitted to: distances of distributions."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import pytest

from tests.demo.fleet.conftest import Array, Week
from tests.requirement import real_data

MOST = 0.2

pytestmark = pytest.mark.realdata


def distance(one: Array, other: Array) -> float:
    """Kolmogorov and Smirnov: the largest difference of the two shares of values up to any value."""
    at = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(each), at, side="right") / len(each) for each in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def column(path: Path, name: str) -> Array:
    with path.open(newline="") as file:
        return np.array([float(row[name]) for row in csv.DictReader(file) if row[name]])


def test_the_distance_is_that_of_the_textbook() -> None:
    assert distance(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6])) == 0.5
    assert distance(np.array([1.0, 2]), np.array([2.0, 1])) == 0


def test_speeds_are_those_of_kit(kit_week: Week) -> None:
    real = parquet.read_table(real_data("kit-obd2", "kit_obd2_1hz.parquet"), columns=["speed_kmh"]).column(0)
    assert distance(kit_week.column("Vehicle.Speed"), real.drop_null().to_numpy()) < MOST


def test_trips_are_as_long_as_those_of_kit(kit_week: Week) -> None:
    table = parquet.read_table(real_data("kit-obd2", "kit_obd2_1hz.parquet"), columns=["trip_id", "speed_kmh"])
    metres = table.group_by("trip_id").aggregate([("speed_kmh", "sum")]).column("speed_kmh_sum")
    assert distance(kit_week.trip_km, pc.divide(metres, 3_600.0).to_numpy()) < MOST


def test_speeds_are_those_of_envirocar(envirocar_week: Week) -> None:
    real = column(real_data("envirocar", "envirocar_points.csv"), "speed_obd_kmh")
    assert distance(envirocar_week.column("Vehicle.Speed"), real) < MOST


def test_trips_are_as_long_as_those_of_envirocar(envirocar_week: Week) -> None:
    assert distance(envirocar_week.trip_km, column(real_data("envirocar", "envirocar_trips.csv"), "length_km")) < MOST
