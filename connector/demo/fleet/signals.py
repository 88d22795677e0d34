"""What the vehicle says: rows with VSS paths, cut out of the phases of its trips at the profile's step.

Paths and units are those of COVESA VSS 6: km/h, m/s², degrees, metres, rpm, percent, celsius. A signal that a vehicle does
not have is null, never a number that is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from connector.demo.fleet import streets
from connector.demo.fleet.chance import Array
from connector.demo.fleet.motion import KMH, PHASES, Phases
from connector.demo.fleet.profiles import Profile
from connector.demo.fleet.trips import DAY_S, HOUR_S, Trips
from connector.demo.fleet.vehicles import FAULTS, Vehicles

VEHICLE: Final = "Vehicle.VehicleIdentification.VIN"
TRIP: Final = "trip"
TIME: Final = "time"
SPEED: Final = "Vehicle.Speed"
ACCELERATION: Final = "Vehicle.Acceleration.Longitudinal"
LATITUDE: Final = "Vehicle.CurrentLocation.Latitude"
LONGITUDE: Final = "Vehicle.CurrentLocation.Longitude"
HEADING: Final = "Vehicle.CurrentLocation.Heading"
ODOMETER: Final = "Vehicle.TraveledDistance"
RPM: Final = "Vehicle.Powertrain.CombustionEngine.Speed"
CHARGE: Final = "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current"
CHARGING: Final = "Vehicle.Powertrain.TractionBattery.Charging.IsCharging"
FAULT_COUNT: Final = "Vehicle.Diagnostics.DTCCount"
FAULT_LIST: Final = "Vehicle.Diagnostics.DTCList"
OUTSIDE: Final = "Vehicle.Exterior.AirTemperature"

_NAMES: Final = pa.dictionary(pa.int32(), pa.string())
SCHEMA: Final = pa.schema(
    [
        pa.field(VEHICLE, _NAMES, nullable=False),
        pa.field(TRIP, _NAMES, nullable=False),
        pa.field(TIME, pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field(SPEED, pa.float32(), nullable=False),
        pa.field(ACCELERATION, pa.float32(), nullable=False),
        pa.field(LATITUDE, pa.float64(), nullable=False),
        pa.field(LONGITUDE, pa.float64(), nullable=False),
        pa.field(HEADING, pa.float32(), nullable=False),
        pa.field(ODOMETER, pa.uint32(), nullable=False),
        pa.field(RPM, pa.uint16()),
        pa.field(CHARGE, pa.float32()),
        pa.field(CHARGING, pa.bool_()),
        pa.field(FAULT_COUNT, pa.uint8(), nullable=False),
        pa.field(FAULT_LIST, _NAMES),
        pa.field(OUTSIDE, pa.float32(), nullable=False),
    ]
)
"""The columns of a fleet's table, in order. ``DTCList`` is text, codes divided by a space; ``TraveledDistance`` is in metres."""

_IDLE_RPM: Final = 800
_GEARS: Final = ((15, 105.0), (30, 60.0), (50, 40.0), (72, 29.0), (95, 22.0), (400, 16.8))  # up to km/h: rpm per km/h
_GPS_M: Final = 1.5
_WAVE: Final = 0.018
_CHARGER_PERCENT_S: Final = 100 * 11.0 / 3_600 / 64


def _gears() -> Array:
    """Engine speed by whole km/h."""
    turns = np.full(400, _IDLE_RPM, dtype=np.float32)
    lower = 4
    for upper, ratio in _GEARS:
        turns[lower:upper] = np.maximum(np.arange(lower, upper) * ratio, _IDLE_RPM + 60)
        lower = upper
    return turns


_TURNS: Final = _gears()
_STRAIGHT: Final = np.float32(2 * np.pi / 23.0)  # a driver's foot: a wave of 23 seconds


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where each row of a batch belongs: its ``phase`` and ``trip``, the time in the trip and in the phase, the way done."""

    phase: Array
    trip: Array
    trip_s: Array
    speed: Array
    gain: Array
    phase_m: Array


def rows(profile: Profile, block: Vehicles, trips: Trips, driven: Phases, start_s: Array, chance: np.random.Generator) -> Any:
    """The rows of driven trips that begin at ``start_s`` (epoch seconds, whole): an Arrow record batch of ``SCHEMA``."""
    at = _places(profile, driven)
    wave = 1 + np.float32(_WAVE) * np.sin(at.trip_s * _STRAIGHT + np.float32(2.4) * (at.trip & 7).astype(np.float32))
    speed = np.rint(at.speed * wave * np.float32(KMH))
    noise = chance.standard_normal((3, len(at.trip)), dtype=np.float32)
    lat, lon, heading = _positions(profile, driven, at, noise)
    acceleration = np.rint((at.gain + np.float32(0.04) * noise[2]) * np.float32(100)) / np.float32(100)
    way = driven.done_m.astype(np.float32)[at.phase] + at.phase_m
    signals = {
        VEHICLE: _named(trips.vehicle[at.trip], [code.decode() for code in block.vins.tolist()]),
        TRIP: _named(at.trip, _trip_names(block, trips)),
        TIME: pa.array(start_s.astype(np.int64)[at.trip] * 1_000 + (at.trip_s * 1_000).astype(np.int64)).cast(
            SCHEMA.field(TIME).type
        ),
        SPEED: speed,
        ACCELERATION: acceleration,
        LATITUDE: lat,
        LONGITUDE: lon,
        HEADING: heading,
        ODOMETER: (trips.odometer_m[at.trip] + way).astype(np.uint32),
        **_powertrain(block, trips, driven, at, speed, way, noise[2]),
        **_faults(profile, block, trips, at),
        OUTSIDE: _outside(profile, trips, start_s, chance)[at.trip],
    }
    return pa.record_batch([_column(signals[name]) for name in SCHEMA.names], schema=SCHEMA)


def _column(values: Any) -> Any:
    return pa.array(values) if isinstance(values, np.ndarray) else values


def _places(profile: Profile, driven: Phases) -> _Rows:
    """One row every step of each trip, from its beginning to its end."""
    step, parts = profile.step_s, driven.stretches
    phase_trip = np.repeat(parts.trip, PHASES)
    first = np.ceil(driven.begin_s / step).astype(np.int64)
    last_of_trip = np.append(phase_trip[1:] != phase_trip[:-1], True)
    ends = np.where(last_of_trip, np.floor(driven.trip_s / step).astype(np.int64)[phase_trip] + 1, np.append(first[1:], 0))
    count = ends - first
    phase = np.repeat(np.arange(len(count), dtype=np.int32), count)
    offset = np.cumsum(count) - count
    ticks = np.arange(len(phase), dtype=np.int64) - (offset - first)[phase]
    trip_s = (ticks * step).astype(np.float32)
    time_s = ((ticks * step) - driven.begin_s[phase]).astype(np.float32)
    begin, gain = driven.speed.astype(np.float32)[phase], driven.gain.astype(np.float32)[phase]
    speed = np.maximum(begin + gain * time_s, 0)
    trip = phase_trip.astype(np.int32)[phase]
    return _Rows(phase, trip, trip_s, speed, gain, (begin + np.float32(0.5) * gain * time_s) * time_s)


def _positions(profile: Profile, driven: Phases, at: _Rows, noise: Array) -> tuple[Array, Array, Array]:
    """Latitude, longitude and heading: on the bent street, a few metres off as receivers are."""
    parts = driven.stretches
    eastward = parts.east != 0
    stretch = at.phase // PHASES
    direction = np.where(eastward, parts.east, parts.north).astype(np.float32)
    fixed = np.where(eastward, parts.y, parts.x)
    phase = np.where(eastward, streets.EAST_PHASE, streets.NORTH_PHASE).astype(np.float32)
    across_shift = np.where(eastward, streets.shift(fixed, streets.NORTH_PHASE), streets.shift(fixed, streets.EAST_PHASE)).astype(
        np.float32
    )
    begin = (np.where(eastward, parts.x, parts.y)).astype(np.float32)
    within = at.phase_m + (driven.done_m - np.repeat(parts.begin_m, PHASES)).astype(np.float32)[at.phase]
    heads = direction[stretch]
    along = begin[stretch] + heads * within
    bent = fixed.astype(np.float32)[stretch] + streets.shift(along, phase[stretch])
    moved = along + across_shift[stretch]
    flat = eastward[stretch]
    x = np.where(flat, moved, bent) + np.float32(_GPS_M) * noise[0]
    y = np.where(flat, bent, moved) + np.float32(_GPS_M) * noise[1]
    base = np.where(eastward, np.where(parts.east > 0, 90, 270), np.where(parts.north > 0, 0, 180)).astype(np.float32)
    tilt = np.degrees(streets.slope(along, phase[stretch])) * np.where(flat, np.float32(-1), np.float32(1))
    heading = np.rint(base[stretch] + tilt)
    heading += np.float32(360) * (heading < 0)
    return _micro(profile.region.latitude(y)), _micro(profile.region.longitude(x)), heading


def _micro(degrees: Array) -> Array:
    """Degrees with six digits."""
    rounded: Array = np.rint(degrees * 1e6) / 1e6
    return rounded


def _powertrain(
    block: Vehicles, trips: Trips, driven: Phases, at: _Rows, speed: Array, way: Array, noise: Array
) -> dict[str, Any]:
    """Engine or battery, whichever the vehicle has."""
    with_battery = block.electric[trips.vehicle]
    electric = with_battery[at.trip]
    kmh = speed.astype(np.uint16)
    turns = (_TURNS[kmh] * (np.float32(1) + np.float32(0.015) * noise)).astype(np.uint16)
    battery = np.where(with_battery, block.battery_kwh[trips.vehicle], 1.0)
    per_m = (0.1 * block.use_kwh_km[trips.vehicle] / battery).astype(np.float32)
    ending = (np.arange(PHASES * len(driven.stretches.last)) % PHASES == PHASES - 1) & np.repeat(driven.stretches.last, PHASES)
    charges = ending & np.repeat(trips.plugged[driven.stretches.trip], PHASES)
    charging = charges[at.phase]
    rest_s = np.where(charging, at.trip_s - driven.begin_s.astype(np.float32)[at.phase], np.float32(0))
    charge = (100 * trips.charge).astype(np.float32)[at.trip] - per_m[at.trip] * way + np.float32(_CHARGER_PERCENT_S) * rest_s
    return {
        RPM: pa.array(turns, mask=electric),
        CHARGE: pa.array(np.rint(np.clip(charge, 0, 100) * 10) / np.float32(10), mask=~electric),
        CHARGING: pa.array(charging, mask=~electric),
    }


def _faults(profile: Profile, block: Vehicles, trips: Trips, at: _Rows) -> dict[str, Any]:
    """Fault codes, for as long as they are shown."""
    into_s = (trips.wish_s - profile.start_s) % (30 * DAY_S)
    shown = (into_s >= block.fault_from_s[trips.vehicle]) & (into_s < block.fault_until_s[trips.vehicle])
    code = np.where(shown, block.fault[trips.vehicle], -1)
    counts = np.array([*(len(codes.split()) for codes in FAULTS), 0], dtype=np.uint8)
    indices = pa.array(code.astype(np.int32)[at.trip], mask=(code < 0)[at.trip])
    return {FAULT_COUNT: counts[code][at.trip], FAULT_LIST: pa.DictionaryArray.from_arrays(indices, pa.array(FAULTS))}


def _outside(profile: Profile, trips: Trips, start_s: Array, chance: np.random.Generator) -> Array:
    """Outside temperature of each trip in whole degrees: the season, the hour, the day's weather."""
    days = start_s / DAY_S
    season = 10 - 9 * np.cos(2 * np.pi * (days % 365.25 - 20) / 365.25)
    hour = start_s % DAY_S / HOUR_S
    weather = 3 * np.sin(days.astype(np.int64) * 1.7)
    degrees: Array = np.rint(season + weather - 4 * np.cos(2 * np.pi * (hour - 3) / 24) + chance.normal(0, 0.7, len(trips)))
    return degrees.astype(np.float32)


def _trip_names(block: Vehicles, trips: Trips) -> list[str]:
    """A name for each trip, different in the whole fleet."""
    return [
        f"t{block.first + vehicle:x}-{number}"
        for vehicle, number in zip(trips.vehicle.tolist(), trips.number.tolist(), strict=True)
    ]


def _named(index: Array, names: list[str]) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), pa.array(names, pa.string()))
