"""How a trip is driven: stretches of road with a speed that is reached, held, and braked from; a table of phases comes out.

Within a phase the acceleration is constant, so that every row between is exact arithmetic and rows of any step fit together.
All trips of a batch are made at once; nothing here loops over trips or rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from connector.demo.fleet.chance import Array
from connector.demo.fleet.events import GENTLE_BRAKE, GENTLE_GAIN, HARSH_BRAKE, HARSH_GAIN, harshness
from connector.demo.fleet.profiles import Profile
from connector.demo.fleet.streets import MOTORWAY, PARTS
from connector.demo.fleet.trips import DAY_S, HOUR_S, Trips
from connector.demo.fleet.vehicles import Vehicles

KMH: Final = 3.6
PHASES: Final = 4  # gain speed, hold it, brake, stand
PLUGGED_S: Final = 60.0
"""How long the rows of a trip go on after a vehicle was plugged in."""
_TURN_KMH: Final = 22.0
_RAMP_KMH: Final = 65.0
_JAMMED: Final = (0.15, 0.5)


@dataclass(frozen=True, slots=True)
class Stretches:
    """Parts of a way between two changes of speed, by trip and order.

    ``x``, ``y``: where it begins. ``east``, ``north``: where it goes, each -1, 0 or 1.
    ``last_of_part``, ``last``: whether a corner, or the end of the trip, follows.
    """

    trip: Array
    road: Array
    length_m: Array
    begin_m: Array
    x: Array
    y: Array
    east: Array
    north: Array
    last_of_part: Array
    last: Array


@dataclass(frozen=True, slots=True)
class Phases:
    """Constant acceleration over a time, PHASES for each stretch. Seconds and metres count from the beginning of the trip."""

    begin_s: Array
    speed: Array
    gain: Array
    done_m: Array
    stretches: Stretches
    trip_s: Array
    """How long each trip takes."""


def drive(profile: Profile, block: Vehicles, trips: Trips, chance: np.random.Generator) -> Phases:
    """Drive the trips of a batch."""
    parts = _stretches(profile, block, trips, chance)
    cruise = _cruising(profile, block, trips, parts, chance)
    stands, ends = _endings(profile, parts, cruise, chance)
    first = np.concatenate([[True], parts.last[:-1]])
    begins = np.where(first, 0.0, np.concatenate([[0.0], ends[:-1]]))
    often = block.temper[trips.vehicle] * trips.length_m / 100_000
    gain = harshness(profile.harsh_gains_per_100km * often, parts.trip, cruise - begins, GENTLE_GAIN, HARSH_GAIN, chance)
    brake = harshness(profile.harsh_per_100km * often, parts.trip, cruise - ends, GENTLE_BRAKE, HARSH_BRAKE, chance)
    reach = (2 * parts.length_m + begins**2 / gain + ends**2 / brake) / (1 / gain + 1 / brake)
    top = np.maximum(np.minimum(cruise, np.sqrt(reach)), np.maximum(begins, ends))
    gain_m, brake_m = (top**2 - begins**2) / (2 * gain), (top**2 - ends**2) / (2 * brake)
    stand_s = np.where(parts.last, np.where(trips.plugged[parts.trip], PLUGGED_S, 3.0), stands)
    hold_m = np.maximum(parts.length_m - gain_m - brake_m, 0.0)
    times = np.stack([(top - begins) / gain, hold_m / np.maximum(top, 0.5), (top - ends) / brake, stand_s], axis=1)
    speeds = np.stack([begins, top, top, ends], axis=1)
    gains = np.stack([gain, np.zeros(len(gain)), -brake, np.zeros(len(gain))], axis=1)
    way = np.stack([np.zeros(len(gain)), gain_m, gain_m + hold_m, parts.length_m], axis=1) + parts.begin_m[:, None]
    total = np.cumsum(times.ravel()).reshape(times.shape)
    starts = np.flatnonzero(first)
    before = (total[:, -1] - times.sum(axis=1))[starts]
    trip_s = total[np.flatnonzero(parts.last), -1] - before
    begin_s = total - times - before[parts.trip][:, None]
    # Microseconds: sums of floats would begin a trip a hair late and lose its first row.
    return Phases(np.round(begin_s, 6).ravel(), speeds.ravel(), gains.ravel(), way.ravel(), parts, trip_s)


def _stretches(profile: Profile, block: Vehicles, trips: Trips, chance: np.random.Generator) -> Stretches:
    """Cut the ways of the trips into stretches of random length."""
    x, y, road = block.ways.x[trips.way], block.ways.y[trips.way], block.ways.road[trips.way]
    back = trips.back[:, None]
    x, y, road = np.where(back, x[:, ::-1], x), np.where(back, y[:, ::-1], y), np.where(back, road[:, ::-1], road)
    length = np.abs(np.diff(x, axis=1)) + np.abs(np.diff(y, axis=1))
    mean = np.array([road.stretch_m for road in profile.roads])[road]
    count = np.where(length >= 1.0, np.maximum(np.rint(length / mean), 1), 0).astype(np.int64).ravel()
    part = np.repeat(np.arange(count.size), count)
    weight = chance.gamma(3.0, 1.0, len(part)) + 0.3
    begins = np.concatenate([[True], part[1:] != part[:-1]])
    total = np.add.reduceat(weight, np.flatnonzero(begins))
    stretch = weight / np.repeat(total, count[count > 0]) * length.ravel()[part]
    done = np.cumsum(stretch) - stretch
    trip = part // PARTS
    first = np.concatenate([[True], trip[1:] != trip[:-1]])
    part_begin = np.repeat(done[begins], count[count > 0])
    east, north = np.sign(np.diff(x, axis=1)).ravel()[part], np.sign(np.diff(y, axis=1)).ravel()[part]
    within = done - part_begin
    return Stretches(
        trip=trip,
        road=road.ravel()[part],
        length_m=stretch,
        begin_m=done - np.repeat(done[first], np.diff(np.append(np.flatnonzero(first), len(trip)))),
        x=x[:, :-1].ravel()[part] + east * within,
        y=y[:, :-1].ravel()[part] + north * within,
        east=east,
        north=north,
        last_of_part=np.append(begins[1:], True),
        last=np.append(first[1:], True),
    )


def _cruising(profile: Profile, block: Vehicles, trips: Trips, parts: Stretches, chance: np.random.Generator) -> Array:
    """The speed aimed at on each stretch, in m/s: of the road, of the driver, of the hour."""
    roads, count = profile.roads, len(parts.trip)
    mean, spread = np.array([road.cruise_kmh for road in roads]), np.array([road.spread_kmh for road in roads])
    jams = np.array([road.jams for road in roads])
    aimed = mean[parts.road] + spread[parts.road] * chance.normal(0.0, 1.0, count)
    fast = (parts.road == MOTORWAY) & (chance.random(count) < profile.fast_share)
    aimed = np.where(fast, profile.fast_kmh + 9.0 * chance.normal(0.0, 1.0, count), aimed)
    hour = trips.wish_s % DAY_S / HOUR_S
    rush = np.where(((hour > 6.5) & (hour < 9.0)) | ((hour > 15.5) & (hour < 18.5)), 1.3, 0.4)
    jammed = chance.random(count) < jams[parts.road] * rush[parts.trip]
    aimed = np.where(jammed, aimed * chance.uniform(*_JAMMED, count), aimed * block.pace[trips.vehicle[parts.trip]])
    speeds: Array = np.clip(aimed, 8.0, 215.0) / KMH
    return speeds


def _endings(profile: Profile, parts: Stretches, cruise: Array, chance: np.random.Generator) -> tuple[Array, Array]:
    """How long a vehicle stands after each stretch (seconds), and its speed at the end of it (m/s).

    No end is faster than the shorter of the two stretches allows, so that every pair of neighbours can be driven.
    """
    roads, count = profile.roads, len(cruise)
    stops, stop_s = np.array([road.stops for road in roads])[parts.road], np.array([road.stop_s for road in roads])[parts.road]
    slows = np.array([road.slows for road in roads])[parts.road]
    following = np.append(cruise[1:], 0.0)
    keeps = 1.0 - (1.0 - slows) * chance.random(count) ** 2
    ends = np.minimum(cruise, following) * keeps
    corner = np.where(parts.road == MOTORWAY, _RAMP_KMH, _TURN_KMH) / KMH
    ends = np.where(parts.last_of_part, np.minimum(ends, corner), ends)
    stopped = chance.random(count) < np.where(parts.last_of_part & (parts.road != MOTORWAY), 0.4, stops)
    stopped |= parts.last
    shortest = np.minimum(parts.length_m, np.append(parts.length_m[1:], 0.0))
    ends = np.where(stopped, 0.0, np.minimum(ends, np.sqrt(2 * min(GENTLE_GAIN[0], GENTLE_BRAKE[0]) * shortest)))
    return np.where(stopped, chance.exponential(stop_s), 0.0), ends
