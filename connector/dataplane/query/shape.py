"""Steps 2 to 6 of a plan: which rows of a table take part. One Ibis expression; it runs nothing.

A trip's ends come from a GROUP BY and are joined to its rows, and with them what is known of the vehicle (consent, pseudonyms):
the members of a delivery. There is no window function, so nothing has to be sorted or held.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, Final

import ibis

from connector.dataplane.plan.model import COARSE_LEVEL, Plan
from connector.dataplane.query import grid
from connector.dataplane.query.engine import impossible
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, Table

DEGREE: Final = 10_000_000
"""A position is kept as one integer to a ten-millionth of a degree, a centimetre."""
HALF: Final = 2**32
TIE: Final = 2**20
OURS: Final = frozenset({
    "vehicle", "trip", "at", "local", "epoch", "epoch_from_s", "epoch_to_s", "ordinal", "pseudonym", "trip_pseudonym",
    "reference", "time", "cell", "month", "first_s", "last_s", "first_lat", "first_lon", "first_cos", "last_lat", "last_lon",
    "last_cos", "latitude", "longitude", "vehicles", "row", "col", "step", "slot", "spot", "first_of",
})  # fmt: skip
"""Names that columns of our own have: no signal may have one of them."""


# Ibis would have the engine sort for these, which takes it twice as long.
_builtin: Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]] = ibis.udf.agg.builtin


@_builtin(name="arg_min", signature=(("int64", "int64"), "int64"))
def _first(values: Any, order: Any) -> Any: ...


@_builtin(name="arg_max", signature=(("int64", "int64"), "int64"))
def _last(values: Any, order: Any) -> Any: ...


def is_cut(plan: Plan) -> bool:
    """Whether the ends of trips are taken off."""
    return plan.cut_m > 0 or plan.cut_s > 0


def by_trip(plan: Plan) -> bool:
    """Whether the members of a delivery are trips; otherwise they are vehicles."""
    return is_cut(plan) or plan.form == "rows"


def check(plan: Plan, table: Table) -> None:
    """Raise ``Refused`` where the table has not what the steps need."""
    if table.paths & OURS:
        raise impossible("a column has a name that deliveries use themselves")
    missing = [path for path in plan.columns if path not in table.paths]
    if missing:
        raise impossible("the plan has a column that the table has not")
    placed = plan.cut_m > 0 or plan.areas or (plan.sensitive != "kept" and table.sensitive) or plan.form == "cells"
    if placed and not table.placed:
        raise impossible("the plan depends on positions, which the table has not")


def ends(rows: Any, plan: Plan) -> Any:
    """For each trip (or vehicle): its first and last second, and its first and last position where the plan cuts by distance.

    Of two rows of one second, which is the first is decided by their positions, so that it is always the same one.
    """
    keys = ["vehicle", "trip"] if by_trip(plan) else ["vehicle"]
    found = {"first_s": rows.at.min(), "last_s": rows.at.max()}
    if plan.cut_m <= 0:
        return rows.group_by(keys).aggregate(**found)
    lat, lon = rows[LATITUDE], rows[LONGITUDE]
    whole = ((lat + 90) * DEGREE).round().cast("int64") * HALF + ((lon + 180) * DEGREE).round().cast("int64")
    rows = rows.mutate(spot=whole)
    order = rows.at * TIE + (rows.spot & (TIE - 1))
    spots = rows.group_by(keys).aggregate(first_spot=_first(rows.spot, order), last_spot=_last(rows.spot, order), **found)
    found = spots.select(
        *keys, "first_s", "last_s",
        first_lat=_lat(spots.first_spot), first_lon=_lon(spots.first_spot),
        last_lat=_lat(spots.last_spot), last_lon=_lon(spots.last_spot),
    )  # fmt: skip
    return found.mutate(first_cos=_cos(found.first_lat), last_cos=_cos(found.last_lat))


def _cos(lat: Any) -> Any:
    return lat.radians().cos()


def _lat(spot: Any) -> Any:
    return (spot >> 32) / DEGREE - 90


def _lon(spot: Any) -> Any:
    return (spot % HALF) / DEGREE - 180


def in_period(rows: Any, plan: Plan) -> Any:
    """Step 3, the time."""
    if plan.after_s is not None:
        rows = rows.filter(rows.at >= plan.after_s)
    if plan.before_s is not None:
        rows = rows.filter(rows.at < plan.before_s)
    return rows


def shaped(rows: Any, plan: Plan, table: Table, members: Any | None) -> Any:
    """Steps 2 to 6: the rows that take part, with the columns of their member. ``members`` is None where none are needed."""
    rows = in_period(rows, plan)
    if plan.form != "cells":
        for boxes in plan.areas:
            rows = rows.filter(grid.within(rows[LATITUDE], rows[LONGITUDE], boxes))
    if members is not None:
        rows = _joined(rows, plan, members)
    if is_cut(plan):
        rows = _cut(rows, plan)
    if plan.sensitive != "kept" and table.sensitive:
        rows = _sensitive(rows, plan, table)
    return sampled(rows, plan.sample_s) if plan.sample_s else rows


def _joined(rows: Any, plan: Plan, members: Any) -> Any:
    keys = ["vehicle", "trip"] if by_trip(plan) else ["vehicle"]
    rows = rows.inner_join(members, keys)
    if "epoch" in members.columns:
        rows = rows.filter(rows.at >= rows.epoch_from_s, rows.at < rows.epoch_to_s)
    return rows


def _cut(rows: Any, plan: Plan) -> Any:
    """Step 2. A row of which nobody knows where it was is dropped where distance counts."""
    if plan.cut_s > 0:
        rows = rows.filter((rows.at - rows.first_s >= plan.cut_s) & (rows.last_s - rows.at >= plan.cut_s))
    if plan.cut_m > 0:
        lat, lon = rows[LATITUDE], rows[LONGITUDE]
        rows = rows.filter(
            grid.placed(lat, lon),
            grid.apart(lat, lon, rows.first_lat, rows.first_lon, rows.first_cos, plan.cut_m),
            grid.apart(lat, lon, rows.last_lat, rows.last_lon, rows.last_cos, plan.cut_m),
        )
    return rows


def _sensitive(rows: Any, plan: Plan, table: Table) -> Any:
    """Step 4."""
    lat, lon = rows[LATITUDE], rows[LONGITUDE]
    close = grid.any_of([grid.near(lat, lon, place) for place in table.sensitive]).fill_null(False)
    if plan.sensitive == "removed":
        return rows.filter(~close)
    row = grid.row_of(lat, COARSE_LEVEL)
    col = grid.column_of(lon, row, COARSE_LEVEL)
    coarse = {
        LATITUDE: close.ifelse(grid.centre_lat(row, COARSE_LEVEL), lat),
        LONGITUDE: close.ifelse(grid.centre_lon(row, col, COARSE_LEVEL), lon),
    }
    return rows.mutate(**coarse)


def sampled(rows: Any, sample_s: int) -> Any:
    """Step 6: of each vehicle's trip the first row in each ``sample_s`` seconds of the clock.

    Every value travels in a state of fixed size (nothing is sorted, and the engine can put it on the disk): a null as a number
    that is none. Rows of one second are told apart by a digest of their values, so that a row stays or goes as a whole.
    """
    keys = ["vehicle", "trip"]
    rows = rows.mutate(slot=(rows.at / sample_s).floor().cast("int64"))
    rest = [name for name in rows.columns if name not in {*keys, "slot", "at"}]
    told = functools.reduce(operator.xor, [rows[name].hash() for name in rest if name not in OURS], ibis.literal(0, "int64"))
    rows = rows.mutate(first_of=rows.at * 2**31 + (told & (2**31 - 1)))
    chosen = {name: _packed(rows[name]).argmin(rows.first_of) for name in rest}
    found = rows.group_by([*keys, "slot"]).aggregate(at=rows.at.min(), **chosen)
    return found.mutate(**{name: _unpacked(found[name], rows[name].type()) for name in rest}).drop("slot")


def _packed(value: Any) -> Any:
    if value.type().is_string():
        return value.fill_null("\x00")
    return value.cast("float64").fill_null(float("nan"))


def _unpacked(value: Any, kind: Any) -> Any:
    if kind.is_string():
        return value.nullif("\x00")
    return value.isnan().ifelse(ibis.null("float64"), value).cast(kind)
