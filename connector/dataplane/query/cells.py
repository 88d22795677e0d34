"""Form ``cells`` (L3): aggregates of at least so many vehicles, each of which counts once. Ibis expressions; they run nothing.

Two stages: what each vehicle did in a cell and step, then the mean over vehicles. What a buyer has been given stays as it was:
a cell whose step and centre lie in what was released comes from the kept file, or stays away.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import ibis

from connector.dataplane.plan.model import BANDS, Box, Plan
from connector.dataplane.query import grid
from connector.dataplane.query.engine import impossible
from connector.dataplane.query.job import Job, Released
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED, Table

DIGITS: Final = 6
"""Means are rounded: the last digits of a sum depend on the order in which an engine adds."""
KEYS: Final = ("row", "col", "step")


def averaged(plan: Plan, table: Table) -> tuple[str, ...]:
    """The columns that a cell can have: means of numbers, and shares of bands in place of a mean of speed."""
    found: list[str] = []
    for column in table.mapping.columns:
        if column.path in (LATITUDE, LONGITUDE) or column.type == "text":
            continue
        found.extend(share_names() if column.path == SPEED and plan.bands else (column.path,))
    return tuple(found)


def share_names() -> tuple[str, ...]:
    """The columns that stand for speed where it leaves as bands."""
    return tuple(f"share {band}" for band in BANDS)


def leaving(plan: Plan, table: Table) -> tuple[str, ...]:
    """The averaged columns that the plan lets out, in its order."""
    possible = set(averaged(plan, table))
    wanted = [name for path in plan.columns for name in (share_names() if path == SPEED and plan.bands else (path,))]
    return tuple(dict.fromkeys(name for name in wanted if name in possible))


def check(plan: Plan) -> None:
    """Raise ``Refused`` where a request would cut cells or steps in two, or name no group."""
    if plan.cell_level is None or plan.step_s is None or plan.step_s <= 0 or plan.least < 1:
        raise impossible("cells need a level, a step of time and a number of vehicles")
    if any(edge is not None and edge % plan.step_s for edge in (plan.after_s, plan.before_s)):
        raise impossible("the period must be of whole steps")


def speed_band(speed: Any, band: str) -> Any:
    """Whether a speed in km/h is in a band."""
    return {
        "<50": speed < 50,
        "50-90": (speed >= 50) & (speed < 90),
        "90-130": (speed >= 90) & (speed <= 130),
        ">130": speed > 130,
    }[band]


def parts(rows: Any, plan: Plan, table: Table, released: Sequence[Released]) -> Any:
    """First stage: a row for each cell, step and vehicle, with the vehicle's own means; nothing that was released before."""
    level, step_s = plan.cell_level or 0, plan.step_s or 1
    lat, lon = rows[LATITUDE], rows[LONGITUDE]
    rows = rows.filter(grid.placed(lat, lon))
    rows = rows.mutate(row=grid.row_of(rows[LATITUDE], level), step=(rows.at / step_s).floor().cast("int64") * step_s)
    rows = rows.mutate(col=grid.column_of(rows[LONGITUDE], rows.row, level))
    means = {name: _own(rows, name) for name in averaged(plan, table)}
    found = rows.group_by([*KEYS, "vehicle"]).aggregate(**means) if means else rows.select(*KEYS, "vehicle").distinct()
    found = found.filter(_inside(found, plan, level))
    earlier = stretches(touching(released, plan))
    if not earlier:
        return found
    placed = found.mutate(lat=grid.centre_lat(found.row, level), lon=grid.centre_lon(found.row, found.col, level))
    return placed.filter(~grid.any_of([_covered(placed, one) for one in earlier])).select(*found.columns)


def _own(rows: Any, name: str) -> Any:
    if name in share_names():
        speed = rows[SPEED]
        inside = speed_band(speed, name.removeprefix("share "))
        return inside.ifelse(1.0, 0.0).mean(where=speed.notnull())
    return rows[name].cast("float64").mean()


def _inside(found: Any, plan: Plan, level: int) -> Any:
    return _of_areas(found, plan.areas, level)


def _of_areas(found: Any, areas: tuple[tuple[Box, ...], ...], level: int) -> Any:
    return _in_all(grid.centre_lat(found.row, level), grid.centre_lon(found.row, found.col, level), areas)


def _in_all(lat: Any, lon: Any, areas: tuple[tuple[Box, ...], ...]) -> Any:
    inside = ibis.literal(True)
    for boxes in areas:
        inside &= grid.within(lat, lon, boxes)
    return inside


def _covered(found: Any, earlier: Released) -> Any:
    """Whether this buyer has had the cell (its centre is ``lat``, ``lon``), or was told nothing of it, before."""
    return (found.step >= earlier.after_s) & (found.step < earlier.before_s) & _in_all(found.lat, found.lon, earlier.areas)


def counted(parts: Any, plan: Plan, table: Table) -> Any:
    """Second stage: a row for each cell and step; without figures where there are too few vehicles.

    A figure needs as many as a cell: where only one vehicle of a cell measured something, the mean would be just that.
    """
    names = averaged(plan, table)
    means = {
        name: (parts[name].count() >= plan.least).ifelse(parts[name].mean().round(DIGITS), ibis.null("float64")) for name in names
    }
    found = parts.group_by(list(KEYS)).aggregate(vehicles=parts.vehicle.nunique(), **means)
    enough = found.vehicles >= plan.least
    return found.select(
        *KEYS,
        vehicles=enough.ifelse(found.vehicles, ibis.null("int64")),
        **{name: enough.ifelse(found[name], ibis.null("float64")) for name in names},
    )


def together(backend: Any, kept: Any, job: Job) -> Any:
    """What was computed now and what the buyer has already, of this plan's period and areas; suppressed cells still in it."""
    plan, level = job.plan, job.plan.cell_level or 0
    names = [*KEYS, "vehicles", *averaged(plan, job.table)]
    found = kept.select(*names)
    files = list(dict.fromkeys(earlier.file for earlier in touching(job.released, plan)))
    if not files:
        return found
    # No two of these files have the same cell and step: each has only what was not released before it.
    past = backend.read_parquet(files, table_name="carnet_released", union_by_name=True)
    past = past.mutate(**{name: ibis.null("float64") for name in names if name not in past.columns}).select(*names)
    past = past.filter(_inside(past, plan, level))
    if plan.after_s is not None:
        past = past.filter(past.step >= plan.after_s)
    if plan.before_s is not None:
        past = past.filter(past.step < plan.before_s)
    return found.union(past)


def touching(released: Sequence[Released], plan: Plan) -> list[Released]:
    """What was released of the plan's period. A buyer comes back every day: other days do not make the query longer."""
    after, before = plan.after_s, plan.before_s
    return [
        earlier
        for earlier in released
        if (after is None or earlier.before_s > after) and (before is None or earlier.after_s < before)
    ]


def stretches(released: Sequence[Released]) -> list[Released]:
    """The same times and areas with as few entries as simply possible: of each area, times that touch become one (without a
    file of its own)."""
    by_area: dict[tuple[tuple[Box, ...], ...], list[Released]] = {}
    for earlier in sorted(released, key=lambda each: each.after_s):
        line = by_area.setdefault(earlier.areas, [])
        if line and earlier.after_s <= line[-1].before_s:
            line[-1] = Released("", line[-1].after_s, max(line[-1].before_s, earlier.before_s), earlier.areas)
        else:
            line.append(earlier)
    return [each for line in by_area.values() for each in line]


def projected(found: Any, plan: Plan, table: Table) -> Any:
    """What leaves: cells with figures, and the columns of the plan."""
    level = plan.cell_level or 0
    found = found.filter(found.vehicles.notnull())
    name = ibis.literal(f"{level}/") + found.row.cast("string") + "/" + found.col.cast("string")
    columns = {path: found[path] for path in leaving(plan, table)}
    return found.select(
        cell=name,
        latitude=grid.centre_lat(found.row, level),
        longitude=grid.centre_lon(found.row, found.col, level),
        time=found.step.as_timestamp("s"),
        vehicles=found.vehicles,
        **columns,
    )


def readable(job: Job) -> list[str]:
    """The kept files that the query reads."""
    return [os.path.abspath(earlier.file) for earlier in job.released]
