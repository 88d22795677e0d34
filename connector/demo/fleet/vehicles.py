"""The vehicles: made in blocks of a fixed size, so that the first hundred are the same in a fleet of any size.

What is known of a vehicle before it drives: its VIN, home, places it goes to (the first is work) and the ways there, its battery
or gears, its driver's temper, its faults.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from connector.demo.fleet import streets, vin
from connector.demo.fleet.chance import Array, shares, stream
from connector.demo.fleet.profiles import Profile
from connector.demo.fleet.streets import Ways

BLOCK: Final = 64
"""Vehicles that are made together."""
PLACES: Final = 6
"""Places that a vehicle goes to, work among them."""
FAULTS: Final = ("P0128", "P0171", "P0300", "P0420", "P0442", "P0A80 P0AA6", "U0100")
"""Fault codes (SAE J2012) that the fleet shows, one or two at a time."""


@dataclass(frozen=True, slots=True)
class Vehicles:
    """A block of n vehicles. ``ways``: (n * PLACES) of them. ``battery_kwh``: 0 where there is no traction battery.

    ``temper``: 1 for the median driver, more for one who brakes harder. ``fault``: an index of ``FAULTS`` or -1, shown between
    ``fault_from_s`` and ``fault_until_s`` of the period. ``odometer_m``: at the beginning.
    """

    first: int
    vins: Array
    ways: Ways
    electric: Array
    battery_kwh: Array
    use_kwh_km: Array
    temper: Array
    pace: Array
    odometer_m: Array
    fault: Array
    fault_from_s: Array
    fault_until_s: Array

    def __len__(self) -> int:
        return len(self.vins)


def vins(profile: Profile, vehicles: int, seed: int) -> Any:
    """The VINs of a fleet in the order of its vehicles, as an Arrow array of strings. Cheap: nobody drives for it."""
    return _strings(vin.codes(np.arange(vehicles), _seed(profile, seed)))


def electric(profile: Profile, numbers: Array, seed: int) -> Array:
    """Which vehicles have a traction battery."""
    chosen: Array = shares(numbers, _seed(profile, seed), "electric") < profile.electric
    return chosen


def blocks(profile: Profile, vehicles: int, seed: int) -> Iterator[Vehicles]:
    """The vehicles of a fleet, block after block."""
    for first in range(0, vehicles, BLOCK):
        yield _block(profile, first, min(BLOCK, vehicles - first), seed)


def _seed(profile: Profile, seed: int) -> int:
    return seed * 31 + len(profile.name)


def _block(profile: Profile, first: int, count: int, seed: int) -> Vehicles:
    """A block: all of its chance is drawn for ``BLOCK`` vehicles, then the first ``count`` are taken."""
    chance = stream(_seed(profile, seed), "vehicles", first // BLOCK)
    numbers = np.arange(first, first + BLOCK)
    kept, with_battery = slice(0, count), electric(profile, numbers, seed)
    battery_kwh = np.where(with_battery, chance.choice(np.array([58.0, 64.0, 77.0]), BLOCK), 0.0)
    faulty = chance.random(BLOCK) < profile.faulty
    fault = np.where(faulty, chance.integers(0, len(FAULTS), BLOCK), -1)
    fault_from_s = chance.uniform(0, 20 * 86_400, BLOCK)
    made = _ways(profile, chance, seed)
    return Vehicles(
        first=first,
        vins=vin.codes(numbers[kept], _seed(profile, seed)),
        ways=Ways(made.x[: count * PLACES], made.y[: count * PLACES], made.road[: count * PLACES]),
        electric=with_battery[kept],
        battery_kwh=battery_kwh[kept],
        use_kwh_km=chance.uniform(0.15, 0.21, BLOCK)[kept],
        temper=np.exp(chance.normal(0.0, 0.45, BLOCK))[kept],
        pace=chance.normal(1.0, 0.04, BLOCK)[kept],
        odometer_m=np.floor(chance.gamma(2.0, 30_000_000.0, BLOCK))[kept],
        fault=fault[kept],
        fault_from_s=fault_from_s[kept],
        fault_until_s=(fault_from_s + chance.exponential(6 * 86_400.0, BLOCK))[kept],
    )


def _ways(profile: Profile, chance: np.random.Generator, seed: int) -> Ways:
    """Homes around towns, and ways to ``PLACES`` places each, work first; their lengths are as the profile has them."""
    towns = stream(_seed(profile, seed), "towns")
    centres = towns.normal(0.0, profile.spread_km * 1_000, (profile.towns, 2))
    weights = 1.0 / np.arange(1, profile.towns + 1)
    town = chance.choice(profile.towns, BLOCK, p=weights / weights.sum())
    home = centres[town] + chance.normal(0.0, 1_800.0, (BLOCK, 2))
    home_x, home_y = np.repeat(home[:, 0], PLACES), np.repeat(streets.snapped(home[:, 1]), PLACES)
    count = BLOCK * PLACES
    quantiles = np.linspace(0.0, 1.0, len(profile.trip_km))
    length_m = 1_000 * np.interp(chance.random(count), quantiles, profile.trip_km)
    inward = np.where(chance.random((2, count)) < 0.65, -1.0, 1.0)
    east, north = np.where(home_x > 0, 1.0, -1.0) * inward[0], np.where(home_y > 0, 1.0, -1.0) * inward[1]
    return streets.ways(home_x, home_y, length_m, profile.motorway_km * 1_000, east, north, chance.random(count))


def _strings(codes: Array) -> Any:
    """VINs as an Arrow array of strings, without a Python object for each."""
    offsets = np.arange(0, (len(codes) + 1) * vin.LENGTH, vin.LENGTH, dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(codes.tobytes())]
    return pa.LargeStringArray.from_buffers(len(codes), buffers[1], buffers[2]).cast(pa.string())
