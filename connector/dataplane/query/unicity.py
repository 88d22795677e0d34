"""How unique the vehicles of a delivery are: whether four random points of one fit another one, too.

Measured on the file that would leave (Parquet), never on the source: what counts is what a buyer could join. A point is a place
and a time as coarse as the plan makes them, or of 0.01 degree and one hour where it makes them finer by not saying. Of the whole
population all are candidates, of at most ``SAMPLE`` the points are drawn; the draw follows from the seed alone, so the figure of
one snapshot is one figure. Memory is bounded: DuckDB spills beside the file, and the candidates of a vehicle are those at its
rarest point. This module reads a file; it may not import the engine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from connector.dataplane.plan.model import Level
from connector.dataplane.tables.model import LATITUDE, LONGITUDE

POINTS: Final = 4
SAMPLE: Final = 2_000
CELL_DEGREES: Final = 0.01
STEP_S: Final = 3_600
MEMORY_BYTES: Final = 200 * 1024 * 1024
THREADS: Final = 2
UNITS: Final = {"L1": "pseudonym", "L2": "trip"}
"""The column that names what could be recognised again, by level."""
TIME: Final = "time"

_NOWHERE: Final = -1
_NO_DEGREE: Final = 999
_CHOSEN: Final = """
CREATE TABLE chosen AS
WITH ranked AS (
    SELECT *, row_number() OVER (PARTITION BY unit ORDER BY md5(concat(?, '|', unit, '|', step, '|', lat, '|', lon))) AS rank
    FROM seen SEMI JOIN drawn USING (unit)
), few AS (
    SELECT * FROM ranked WHERE rank <= ?
), common AS (
    SELECT step, lat, lon, count(*) AS units FROM seen SEMI JOIN few USING (step, lat, lon) GROUP BY ALL
)
SELECT few.*, row_number() OVER (PARTITION BY unit ORDER BY units, rank) = 1 AS rarest,
    count(*) OVER (PARTITION BY unit) AS points
FROM few JOIN common USING (step, lat, lon)
"""
_COUNTS: Final = """
WITH others AS (
    SELECT chosen.unit AS unit, seen.unit AS other
    FROM chosen JOIN seen USING (step, lat, lon) WHERE chosen.rarest AND chosen.unit <> seen.unit
), alike AS (
    SELECT others.unit
    FROM others JOIN chosen ON chosen.unit = others.unit
    JOIN seen ON seen.unit = others.other AND seen.step = chosen.step AND seen.lat = chosen.lat AND seen.lon = chosen.lon
    GROUP BY others.unit, others.other HAVING count(*) = any_value(chosen.points)
)
SELECT figure FROM (
    SELECT 1 AS place, count(DISTINCT unit) AS figure FROM seen
    UNION ALL SELECT 2, count(*) FROM drawn
    UNION ALL SELECT 3, count(DISTINCT unit) FROM alike
) ORDER BY place
"""


class Unicity(msgspec.Struct, frozen=True, kw_only=True):
    """``unique`` is the share (0 to 1) of the drawn vehicles whose ``points`` points fit no other of all ``vehicles``. At level
    L2 the vehicles are trips, since nothing else has a name there."""

    points: int = POINTS
    vehicles: int
    unique: float


def unicity(
    path: Path, *, level: Level, step_s: int | None, cell_level: int | None, seed: str, memory_bytes: int = MEMORY_BYTES
) -> Unicity | None:
    """Measure a Parquet file of rows. None where it does not apply: aggregates, and tables without a time or a name.

    ``seed`` is any text: the same file and seed give the same figure. Without a position, time alone tells vehicles apart.
    Raises ``duckdb.Error`` if the file cannot be read.
    """
    unit = UNITS.get(level)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".unicity-") as scratch, duckdb.connect(":memory:") as base:
        base.execute("SET autoinstall_known_extensions = false")
        base.execute("SET autoload_known_extensions = false")
        base.execute("SET temp_directory = ?", [scratch])
        base.execute("SET memory_limit = ?", [f"{memory_bytes}B"])
        base.execute("SET threads = ?", [THREADS])
        base.execute("SET preserve_insertion_order = false")
        columns = {column[0] for column in base.execute("SELECT * FROM read_parquet(?) LIMIT 0", [str(path)]).description or ()}
        if unit is None or not {unit, TIME} <= columns:
            return None
        _see(base, path, unit, step_s or STEP_S, cell_level if {LATITUDE, LONGITUDE} <= columns else _NOWHERE)
        return _measured(base, seed)


def _see(base: duckdb.DuckDBPyConnection, path: Path, unit: str, step_s: int, cell_level: int | None) -> None:
    """The table ``seen``: each unit's distinct points. In a plan's cells a position is a centre, which is a point already."""
    if cell_level == _NOWHERE:
        lat, lon = "0.0", "0.0"
    elif cell_level is None:
        lat, lon = (f'floor(coalesce("{axis}", {_NO_DEGREE}) / {CELL_DEGREES})' for axis in (LATITUDE, LONGITUDE))
    else:
        lat, lon = (f'coalesce(CAST("{axis}" AS DOUBLE), {_NO_DEGREE})' for axis in (LATITUDE, LONGITUDE))
    base.execute(
        f"""CREATE TABLE seen AS SELECT DISTINCT "{unit}" AS unit, floor(epoch("{TIME}") / {step_s}) AS step, {lat} AS lat,
            {lon} AS lon FROM read_parquet(?) WHERE "{unit}" IS NOT NULL AND "{TIME}" IS NOT NULL""",  # noqa: S608  # our own names
        [str(path)],
    )


def _measured(base: duckdb.DuckDBPyConnection, seed: str) -> Unicity:
    base.execute(
        "CREATE TABLE drawn AS SELECT unit FROM seen GROUP BY unit ORDER BY md5(concat(?, '|', unit)), unit LIMIT ?",
        [seed, SAMPLE],
    )
    base.execute(_CHOSEN, [seed, POINTS])
    [(all_of_them,), (drawn,), (found_again,)] = base.execute(_COUNTS).fetchall()
    return Unicity(vehicles=all_of_them, unique=(drawn - found_again) / drawn if drawn else 0.0)
