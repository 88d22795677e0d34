"""How the fleet drives: the rates that insurers and researchers would find, and how hard it is to hide in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.demo.fleet.conftest import Array, Week


def events(week: Week, per_second: float, sign: int) -> Array:
    """By trip, the runs of rows at most 1.5 s apart whose speed changes by at least so many m/s each second."""
    change = sign * np.diff(week.column("Vehicle.Speed").astype(float)) / 3.6
    apart = np.diff(week.seconds)
    hard = (np.diff(week.trip) == 0) & (apart <= 1.5) & (change >= per_second)
    begins = hard & ~np.append(False, hard[:-1])
    counts: Array = np.bincount(week.trip[1:][begins], minlength=week.trip[-1] + 1)
    return counts


def per_100_km(week: Week, counts: Array) -> Array:
    rates: Array = 100 * np.bincount(week.owner, counts) / np.bincount(week.owner, week.trip_km)
    return rates


def test_harsh_brakings_of_the_median_vehicle(kit_week: Week) -> None:
    assert np.median(per_100_km(kit_week, events(kit_week, 3.0, -1))) == pytest.approx(10.8, rel=0.2)


def test_harsh_brakings_of_the_median_trip(kit_week: Week) -> None:
    assert np.median(100 * events(kit_week, 3.0, -1) / kit_week.trip_km) == pytest.approx(10.8, rel=0.2)


def test_some_drivers_are_harsher_than_others(kit_week: Week) -> None:
    calm, harsh = np.quantile(per_100_km(kit_week, events(kit_week, 3.0, -1)), [0.1, 0.9])
    assert harsh > 2 * calm


def test_harsh_gains_of_speed(kit_week: Week) -> None:
    assert np.median(per_100_km(kit_week, events(kit_week, 2.5, 1))) == pytest.approx(20.3, rel=0.25)


def test_at_five_seconds_harsh_brakings_cannot_be_seen(envirocar_week: Week) -> None:
    assert events(envirocar_week, 3.0, -1).sum() == 0


def test_share_of_the_time_above_130(kit_week: Week, envirocar_week: Week) -> None:
    assert (kit_week.column("Vehicle.Speed") > 130).mean() == pytest.approx(0.034, rel=0.2)
    assert 0 < (envirocar_week.column("Vehicle.Speed") > 130).mean() < 0.01


def test_some_drive_at_night_and_most_by_day(any_week: Week) -> None:
    hour = any_week.seconds % 86_400 // 3_600
    at_night = (hour >= 22) | (hour < 5)
    assert 0.005 < at_night.mean() < 0.08
    assert 0.05 < (np.bincount(any_week.vehicle, at_night) > 0).mean() < 0.5


def test_weekdays_have_rush_hours(kit_week: Week) -> None:
    weekday = (kit_week.seconds - kit_week.profile.start_s) // 86_400 < 5
    by_hour = np.bincount((kit_week.seconds % 86_400 // 3_600)[weekday], minlength=24)
    assert by_hour[7] > 2 * by_hour[11]
    assert by_hour[16] > 2 * by_hour[11]


def test_four_points_tell_a_vehicle(any_week: Week) -> None:
    assert unique_share(any_week, points=4) >= 0.95


def unique_share(week: Week, points: int) -> float:
    """Of the vehicles, how many are alone in having been at so many of their own points, drawn at random.

    A point is a square of 0.01 degree and an hour.
    """
    lat, lon = week.column("Vehicle.CurrentLocation.Latitude"), week.column("Vehicle.CurrentLocation.Longitude")
    hour = (week.seconds - week.profile.start_s) // 3_600
    point = (np.floor(lat * 100).astype(np.int64) * 100_000 + np.floor(lon * 100).astype(np.int64)) * 1_000 + hour
    visits = np.unique(point * 10_000 + week.vehicle)
    there: dict[Any, set[Any]] = {}
    own: dict[Any, list[Any]] = {}
    for where, vehicle in zip((visits // 10_000).tolist(), (visits % 10_000).tolist(), strict=True):
        there.setdefault(where, set()).add(vehicle)
        own.setdefault(vehicle, []).append(where)
    draw = np.random.default_rng(1)
    alone = 0
    for places in own.values():
        chosen = draw.choice(len(places), min(points, len(places)), replace=False)
        alone += len(set.intersection(*(there[places[index]] for index in chosen))) == 1
    return alone / len(own)
