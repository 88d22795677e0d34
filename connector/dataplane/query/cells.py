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
    for earlier in released:
        found = found.filter(~_covered(found, earlier, level))
    return found


def _own(rows: Any, name: str) -> Any:
    if name in share_names():
        speed = rows[SPEED]
        inside = speed_band(speed, name.removeprefix("share "))
        return inside.ifelse(1.0, 0.0).mean(where=speed.notnull())
    return rows[name].cast("float64").mean()


def _inside(found: Any, plan: Plan, level: int) -> Any:
    return _of_areas(found, plan.areas, level)


def _of_areas(found: Any, areas: tuple[tuple[Box, ...], ...], level: int) -> Any:
    lat, lon = grid.centre_lat(found.row, level), grid.centre_lon(found.row, found.col, level)
    inside = ibis.literal(True)
    for boxes in areas:
        inside &= grid.within(lat, lon, boxes)
    return inside


def _covered(found: Any, earlier: Released, level: int) -> Any:
    """Whether this buyer has had the cell, or was told nothing of it, before."""
    return (found.step >= earlier.after_s) & (found.step < earlier.before_s) & _of_areas(found, earlier.areas, level)


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
    for number, earlier in enumerate(job.released):
        past = backend.read_parquet(earlier.file, table_name=f"carnet_released_{number}")
        missing = {name: ibis.null("float64") for name in names if name not in past.columns}
        past = past.mutate(**missing).select(*names) if missing else past.select(*names)
        past = past.filter(_covered(past, earlier, level), _inside(past, plan, level))
        if plan.after_s is not None:
            past = past.filter(past.step >= plan.after_s)
        if plan.before_s is not None:
            past = past.filter(past.step < plan.before_s)
        found = found.union(past)
    return found


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
