"""Features of driving, for an insurer: a row for each vehicle and month, without a place or a speed. One Ibis expression, no I/O.

The rows are those after the plan's step 6 (``plan/model.py``): ``vehicle``, ``pseudonym``, ``reference`` (of an enrolled plan),
``trip``, ``at``, ``local`` and the signals by VSS path. Rows without a speed are passed over; of rows in one second of a trip the
fastest counts. A step is the time between two neighbours in a trip. It counts for distance and time when it is at most
``STEP_S`` long, and belongs to the month, the hour and the band of its end, on the clock in the car.

A harsh braking is a run of neighbouring seconds in each of which the speed falls by ``BRAKING_MS2`` or more; ``HARSH_STEP_S``
says how far apart neighbours may be, and the run belongs to the month in which it begins. Coarser data cannot show it: ``unfit``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import ibis

from connector.dataplane.plan.model import Plan
from connector.dataplane.tables.model import SPEED

NEEDS: Final = (SPEED,)
"""VSS paths without which there are no features."""
BRAKING_MS2: Final = 3.0
ACCELERATING_MS2: Final = 2.5
HARSH_STEP_S: Final = 1.5
STEP_S: Final = 5
COARSEST_MS: Final = 1_000
NIGHT_FROM_H: Final = 22
NIGHT_TO_H: Final = 5
BAND_EDGES: Final = (50, 90, 130)
"""Where the bands of speed meet, in km/h: the last edge belongs to the band below it."""
SHARES: Final = ("share_below_50", "share_50_90", "share_90_130", "share_above_130")
"""Shares of the driving time, by band in the order of ``BANDS``."""

_KMH_PER_MS: Final = 3.6
_DAY_S: Final = 86_400
_HOUR_S: Final = 3_600


def unfit(sampling_ms: int | None) -> str | None:
    """Why features and scores cannot be made of a table with this median time between its rows; None if they can."""
    if sampling_ms is None:
        return "the time between two rows is not known: harsh braking needs a row each second"
    if sampling_ms > COARSEST_MS:
        return f"a row every {sampling_ms / 1000:g} s is too coarse: harsh braking needs a row each second"
    return None


def features(rows: Any, plan: Plan) -> Any:
    """The features: ``pseudonym``, ``reference`` (if enrolled), ``month`` (YYYY-MM), ``km``, ``hours``, ``trips``, ``days``,
    ``harsh_brakings`` and rates and shares, which are null where nothing was driven.
    """
    months = by_month(rows, plan)
    per_100km, seconds = 100 / months.km.nullif(0), months.seconds.nullif(0)
    return months.select(
        *_names(plan)[1:],
        "month",
        km=months.km.round(3),
        hours=(months.seconds / _HOUR_S).round(4),
        trips=months.trips,
        days=months.days,
        # DuckDB sums whole numbers to 128 bits, which Parquet has not; Ibis takes them for 64 and would leave a plain cast away.
        harsh_brakings=months.brakings.cast("float64").cast("int64"),
        harsh_braking_per_100km=(months.brakings * per_100km).round(3),
        harsh_acceleration_per_100km=(months.accelerations * per_100km).round(3),
        night_km_share=(months.night_km / months.km.nullif(0)).round(5),
        **{share: (months[f"{share}_s"] / seconds).round(5) for share in SHARES},
    )


def by_month(rows: Any, plan: Plan) -> Any:
    """Sums for each vehicle, pseudonym and month: ``km``, ``night_km``, ``seconds``, seconds by band (``share_..._s``),
    ``brakings``, ``accelerations``, ``trips``, ``days``.

    Trips and days are counted by their rows: two stages, of which the first is small enough for text.
    """
    names, steps = _names(plan), _steps(rows, plan)
    sums = ("km", "night_km", "seconds", *(f"{share}_s" for share in SHARES), "brakings", "accelerations")
    daily = steps.group_by(*names, "trip", "day").aggregate(**{name: steps[name].sum() for name in sums})
    date = ibis.date(1970, 1, 1) + daily.day.cast("int32").as_interval("D")
    dated = daily.mutate(month=date.strftime("%Y-%m"))
    return dated.group_by(*names, "month").aggregate(
        **{name: dated[name].sum() for name in sums}, trips=dated.trip.nunique(), days=dated.day.nunique()
    )


def _names(plan: Plan) -> tuple[str, ...]:
    return ("vehicle", "pseudonym", "reference") if plan.enrolled else ("vehicle", "pseudonym")


def _seconds(rows: Any, plan: Plan) -> Any:
    """One row for each second of a trip that has a speed. ``sample_s`` has seen to that already."""
    names = _names(plan)
    known = rows.filter(rows[SPEED].notnull()).select(*names, "trip", "at", "local", speed=rows[SPEED].cast("float64"))
    if plan.sample_s:
        return known
    return known.group_by(*names, "trip", "at").aggregate(local=known.local.max(), speed=known.speed.max())


def _steps(rows: Any, plan: Plan) -> Any:
    """Each second with what its step adds to the sums. One window serves both neighbours, so one sort is enough."""
    seconds = _seconds(rows, plan)
    window = ibis.window(group_by=[seconds.vehicle, seconds.trip], order_by=seconds["at"])
    near = seconds.mutate(
        step=(seconds["at"] - seconds["at"].lag().over(window)),
        step_before=(seconds["at"].lag().over(window) - seconds["at"].lag(2).over(window)),
        last=seconds.speed.lag().over(window),
        last_but_one=seconds.speed.lag(2).over(window),
    )
    day = near.local.floordiv(_DAY_S)
    hour = (near.local - day * _DAY_S).floordiv(_HOUR_S)
    taken = ibis.ifelse(near.step <= STEP_S, near.step, 0).fill_null(0)
    km = ((near.last + near.speed) / 2 * taken / _HOUR_S).fill_null(0.0)
    night = (hour >= NIGHT_FROM_H) | (hour < NIGHT_TO_H)
    return near.select(
        *_names(plan),
        "trip",
        day=day,
        km=km,
        night_km=ibis.ifelse(night, km, 0.0),
        seconds=taken,
        **{f"{share}_s": ibis.ifelse(band, taken, 0) for share, band in zip(SHARES, _bands(near.speed), strict=True)},
        brakings=_began(-1, BRAKING_MS2, near),
        accelerations=_began(1, ACCELERATING_MS2, near),
    )


def _bands(speed: Any) -> Iterable[Any]:
    low, middle, high = BAND_EDGES
    return (
        speed < low,
        (speed >= low) & (speed < middle),
        (speed >= middle) & (speed <= high),
        speed > high,
    )


def _began(sign: int, least_ms2: float, near: Any) -> Any:
    """1 where the speed changes by so much and did not in the step before, else 0."""

    def harsh(now: Any, before: Any, step: Any) -> Any:
        return ((step <= HARSH_STEP_S) & (sign * (now - before) >= least_ms2 * _KMH_PER_MS * step)).fill_null(False)

    now = harsh(near.speed, near.last, near.step)
    return (now & ~harsh(near.last, near.last_but_one, near.step_before)).cast("int64")
