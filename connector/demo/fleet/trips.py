"""Who drives when: outings of each vehicle by day, and for each trip its way, wished departure, kilometres and battery.

Every outing leaves home for one of the vehicle's places and comes back: to work on weekdays, on errands, some at night.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from connector.demo.fleet.chance import Array, stream
from connector.demo.fleet.profiles import Profile
from connector.demo.fleet.vehicles import PLACES, Vehicles

DAY_S: Final = 86_400
HOUR_S: Final = 3_600.0
_OUTINGS: Final = 3  # by day, in the evening, at night
_FULL: Final = 0.9
_PLUGGED_BELOW: Final = 0.6
_RESERVE: Final = 0.08
_CHARGER_KW: Final = 11.0


@dataclass(frozen=True, slots=True)
class Trips:
    """Trips of a block, by vehicle and time. ``vehicle``: place in the block. ``number``: counts the trips of a vehicle.

    ``way``: row of the block's ways; ``back``: driven from its end to its beginning. ``wish_s``: epoch seconds of the wished
    departure. ``odometer_m``, ``charge``: at departure (charge as a share, 0 without battery). ``plugged``: charges on arrival.
    """

    vehicle: Array
    number: Array
    way: Array
    back: Array
    wish_s: Array
    length_m: Array
    odometer_m: Array
    charge: Array
    plugged: Array

    def __len__(self) -> int:
        return len(self.vehicle)

    def part(self, first: int, last: int) -> Trips:
        """The trips ``first <= index < last``."""
        cut = slice(first, last)
        return Trips(
            self.vehicle[cut],
            self.number[cut],
            self.way[cut],
            self.back[cut],
            self.wish_s[cut],
            self.length_m[cut],
            self.odometer_m[cut],
            self.charge[cut],
            self.plugged[cut],
        )


def trips(profile: Profile, block: Vehicles, days: int, seed: int) -> Trips:
    """All trips of a block within ``days`` days from the profile's start."""
    chance = stream(seed, f"trips of {days} days", block.first)
    taken, wish_s, place = _outings(profile, len(block), days, chance)
    vehicle, _day, outing, leg = np.nonzero(np.repeat(taken[..., None], 2, axis=3))
    way = vehicle * PLACES + place[vehicle, _day, outing]
    length_m = block.ways.parts_m.sum(axis=1)[way]
    starts = np.searchsorted(vehicle, np.arange(len(block)))
    before_m = np.cumsum(length_m) - length_m
    began = before_m[np.minimum(starts, max(len(vehicle) - 1, 0))] if len(vehicle) else np.zeros(len(block))
    odometer_m = block.odometer_m[vehicle] + before_m - began[vehicle]
    number = np.arange(len(vehicle)) - starts[vehicle]
    wishes = wish_s[vehicle, _day, outing, leg]
    charge, plugged = _batteries(block, vehicle, number, leg == 1, wishes, length_m)
    return Trips(vehicle, number, way, leg == 1, wishes, length_m, odometer_m, charge, plugged)


def _outings(profile: Profile, vehicles: int, days: int, chance: np.random.Generator) -> tuple[Array, Array, Array]:
    """Which outings happen (vehicle, day, outing), the wished departures of their two trips (..., 2), and to which place."""
    shape = (vehicles, days, _OUTINGS)
    weekday = (np.arange(days) % 7 < 5)[None, :]
    draw = chance.random(shape)
    taken = np.empty(shape, dtype=bool)
    taken[..., 0] = np.where(weekday, draw[..., 0] < profile.commutes, draw[..., 0] < profile.errands)
    taken[..., 1] = draw[..., 1] < profile.errands
    owls = np.minimum(profile.nights * chance.gamma(0.5, 2.0, (vehicles, 1)), 0.9)
    taken[..., 2] = draw[..., 2] < owls
    place = chance.integers(1, PLACES, shape)
    place[..., 0] = np.where(weekday, 0, place[..., 0])
    habit_h = chance.normal(7.2, 0.7, (vehicles, 1))
    leave_h, stay_h = np.empty(shape), np.empty(shape)
    leave_h[..., 0] = np.where(weekday, habit_h + chance.normal(0, 0.15, shape[:2]), chance.uniform(9, 14, shape[:2]))
    stay_h[..., 0] = np.where(weekday, chance.normal(8.6, 0.7, shape[:2]), chance.uniform(0.5, 3, shape[:2]))
    leave_h[..., 1], stay_h[..., 1] = chance.uniform(17.5, 20.0, shape[:2]), chance.uniform(0.3, 1.5, shape[:2])
    leave_h[..., 2], stay_h[..., 2] = chance.uniform(22.0, 25.5, shape[:2]), chance.uniform(0.3, 1.2, shape[:2])
    days_s = profile.start_s + DAY_S * np.arange(days)[None, :, None]
    out_s = days_s + np.maximum(leave_h, 4.5) * HOUR_S
    return taken, np.floor(np.stack([out_s, out_s + np.maximum(stay_h, 0.2) * HOUR_S], axis=3)), place


def _batteries(
    block: Vehicles, vehicle: Array, number: Array, home: Array, wish_s: Array, length_m: Array
) -> tuple[Array, Array]:
    """Charge at the departure of each trip, and whether the vehicle is plugged in when it arrives.

    It is plugged in at home when it is low, and on the way to a far place before it leaves.
    """
    charge, plugged = np.zeros(len(vehicle)), np.zeros(len(vehicle), dtype=bool)
    battery = block.battery_kwh[vehicle]
    use = np.divide(block.use_kwh_km[vehicle] * length_m / 1_000, battery, out=np.zeros(len(vehicle)), where=battery > 0)
    level = np.full(len(block), 0.8)
    for turn in range(int(number.max()) + 1 if len(number) else 0):
        now = np.flatnonzero((number == turn) & (battery > 0))
        who = vehicle[now]
        leaves = np.where(level[who] - use[now] < _RESERVE, _FULL, level[who])
        arrives = leaves - use[now]
        following = np.minimum(now + 1, len(vehicle) - 1)
        rest_s = np.where(vehicle[following] == who, wish_s[following] - wish_s[now], 0.0)
        charge[now], plugged[now] = leaves, home[now] & (arrives < _PLUGGED_BELOW)
        gained = plugged[now] * np.maximum(rest_s / HOUR_S - 1.0, 0.0) * _CHARGER_KW / battery[now]
        level[who] = np.minimum(arrives + gained, np.maximum(_FULL, arrives))
    return charge, plugged
