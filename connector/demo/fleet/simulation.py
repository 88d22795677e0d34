"""A fleet driven from its first day to its last, in batches of bounded size: block after block, trip after trip."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from connector.demo.fleet.chance import Array, stream
from connector.demo.fleet.motion import drive
from connector.demo.fleet.profiles import Profile
from connector.demo.fleet.signals import rows
from connector.demo.fleet.trips import DAY_S, Trips, trips
from connector.demo.fleet.vehicles import Vehicles, blocks

BATCH_ROWS: Final = 200_000
"""About so many rows are made at once."""
_PAUSE_S: Final = 60
_USUAL_MS: Final = 14.0  # metres a second, to guess how many rows a trip will have


def simulate(profile: Profile, vehicles: int, days: int, seed: int) -> Iterator[Any]:
    """The rows of a fleet as Arrow record batches of ``signals.SCHEMA``, by vehicle and time; the same for the same arguments.

    The first vehicles of a fleet are those of a smaller one, with the same homes and ways; what they drive is the same for whole
    blocks of vehicles. A trip that would end after the last day is left out.
    """
    for block in blocks(profile, vehicles, seed):
        yield from _driven(profile, block, trips(profile, block, days, seed), days, seed)


def _driven(profile: Profile, block: Vehicles, planned: Trips, days: int, seed: int) -> Iterator[Any]:
    """The rows of one block."""
    chance = stream(seed, f"driving {days} days", block.first)
    end_s = profile.start_s + days * DAY_S
    free = np.full(len(block), float(profile.start_s))
    for part in _parts(profile, planned):
        driven = drive(profile, block, part, chance)
        start_s = _departures(part, driven.trip_s, free)
        made = rows(profile, block, part, driven, start_s, chance)
        late = start_s + driven.trip_s >= end_s
        if late.any():
            made = made.filter(_kept(profile, driven.trip_s, late))
        yield made


def _parts(profile: Profile, planned: Trips) -> Iterator[Trips]:
    """The trips in parts of about ``BATCH_ROWS`` rows."""
    guess = np.cumsum(planned.length_m / _USUAL_MS / profile.step_s + 30)
    first = 0
    while first < len(planned):
        before = guess[first - 1] if first else 0.0
        last = max(int(np.searchsorted(guess, before + BATCH_ROWS)), first + 1)
        yield planned.part(first, last)
        first = last


def _departures(part: Trips, trip_s: Array, free: Array) -> Array:
    """Epoch seconds at which the trips begin: as wished, or when the vehicle is back from the one before.

    ``free``: from when on each vehicle is free; it is brought up to date.
    """
    whole = np.ceil(trip_s) + _PAUSE_S
    spent = np.cumsum(whole) - whole
    lanes = (part.vehicle - part.vehicle[0]) * 1e11  # so that no vehicle waits for another
    wished = np.maximum(part.wish_s, np.where(np.append(True, np.diff(part.vehicle) != 0), free[part.vehicle], 0.0))
    start_s: Array = np.maximum.accumulate(wished - spent + lanes) + spent - lanes
    free[part.vehicle] = start_s + whole  # of several trips of a vehicle the last one stays
    return np.rint(start_s)


def _kept(profile: Profile, trip_s: Array, late: Array) -> Array:
    """Which rows belong to trips that are not late."""
    kept: Array = np.repeat(~late, np.floor(trip_s / profile.step_s).astype(np.int64) + 1)
    return kept
