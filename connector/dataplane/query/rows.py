"""Form ``rows`` (L1 and L2): what leaves of each row that takes part. One Ibis expression; it runs nothing."""

from __future__ import annotations

import functools
from typing import Any

import ibis

from connector.dataplane.plan.model import BANDS, Plan
from connector.dataplane.query import grid
from connector.dataplane.query.cells import speed_band
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED, Table

CONTROLS = "".join(map(chr, range(32))) + "\x7f"
"""Characters that a text never leaves with: files and terminals take them for orders."""


def projected(rows: Any, plan: Plan, table: Table) -> Any:
    """The columns that leave, by the level of the plan."""
    leaving: dict[str, Any] = {}
    if plan.level == "L1":
        leaving["pseudonym"] = rows.pseudonym
    if plan.enrolled:
        leaving["reference"] = rows.reference
    leaving["trip"] = rows.trip_pseudonym
    at = (rows.at / plan.step_s).floor().cast("int64") * plan.step_s if plan.step_s else rows.at
    leaving["time"] = at.as_timestamp("s")
    placed = _placed(rows, plan)
    for path in plan.columns:
        leaving[path] = placed[path] if path in placed else signal(rows, path, plan, table)
    if "cell" in placed:
        leaving["cell"] = placed["cell"]
    return rows.select(**leaving)


def signal(rows: Any, path: str, plan: Plan, table: Table) -> Any:
    """One signal as it leaves: numbers, texts without controls, speed as a band where the plan says so."""
    column = table.column(path)
    kind = "number" if column is None else column.type
    if path == SPEED and plan.bands:
        return banded(rows[path])
    if kind == "text":
        return rows[path].cast("string").translate(CONTROLS, "")
    if kind == "flag":
        return rows[path].cast("boolean")
    return rows[path].cast("int64" if kind == "integer" else "float64")


def banded(speed: Any) -> Any:
    """A speed as the name of its band."""
    return functools.reduce(
        lambda rest, band: speed_band(speed, band).ifelse(ibis.literal(band), rest), BANDS, ibis.null("string")
    )


def _placed(rows: Any, plan: Plan) -> dict[str, Any]:
    """Positions as the middle of their cells, and the cell's name; nothing where positions leave as they are or not at all."""
    if plan.cell_level is None or not {LATITUDE, LONGITUDE} & set(plan.columns):
        return {}
    level = plan.cell_level
    lat, lon = rows[LATITUDE], rows[LONGITUDE]
    valid = grid.placed(lat, lon)
    row = grid.row_of(lat, level)
    col = grid.column_of(lon, row, level)
    none = ibis.null("float64")
    name = ibis.literal(f"{level}/") + row.cast("string") + "/" + col.cast("string")
    return {
        LATITUDE: valid.ifelse(grid.centre_lat(row, level), none),
        LONGITUDE: valid.ifelse(grid.centre_lon(row, col, level), none),
        "cell": valid.ifelse(name, ibis.null("string")),
    }
