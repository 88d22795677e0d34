"""How many rows, vehicles, trips and kilometres a table has, and how many of them are behind a file that was delivered.

The kilometres of a row are those since the row before it in its trip: by the odometer where the table has one, else by speed and
time (the mean of both speeds), else straight from position to position. By speed or position, steps longer than ``STEP_S`` and
than ``STEPS`` intervals of sampling count for nothing: who knows what the car did meanwhile. This is the only place that says so.
Counted in SQL of its own over the rows as the data plane reads them, with bounded memory. Blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from connector.dataplane.plan.model import EDGES_M, METRES_PER_DEGREE
from connector.dataplane.query.engine import Refused, failure, open_engine, sql_of, text
from connector.dataplane.query.job import Limits
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED, Table
from connector.dataplane.tables.read import canonical, verify
from connector.dataplane.tables.refused import SchemaChanged
from connector.demo.given_mapping import NotTaken

if TYPE_CHECKING:
    from connector.demo.given import Given

STEP_S: Final = 5
STEPS: Final = 5
MEMORY_BYTES: Final = 256 * 1024 * 1024
ODOMETER: Final = "Vehicle.TraveledDistance"
Method = Literal["odometer", "speed and time", "positions", "nothing"]

_HOUR_S: Final = 3_600
_LET_BE: Final = "let nothing write to the files while the demo runs, then begin again"
_LEAST_SHARE: Final = 0.5
_EARTH_KM: Final = 6_371.0088


@dataclass(frozen=True, slots=True)
class Counted:
    """Of a table or a part of it. ``first_s``, ``last_s``: epoch seconds; ``method``: by what the kilometres were counted."""

    rows: int
    vehicles: int
    trips: int
    km: float
    first_s: int | None
    last_s: int | None
    method: Method


def whole(table: Table, most: int) -> tuple[Counted, list[str]]:
    """All of a table, and the first ``most`` of its vehicles in order. Raises NotTaken when its files have changed."""
    with _steps(table) as (connection, method):
        named = connection.execute(f"SELECT DISTINCT vehicle FROM seen ORDER BY 1 LIMIT {most}").fetchall()  # noqa: S608 - a number
        return _counted(connection, "SELECT * FROM steps", method), [row[0] for row in named]


def behind_cells(given: Given, file: Path, *, step_s: int = _HOUR_S) -> Counted:
    """What of the raw table is behind delivered cells: its rows in those cells and steps of time, whosever they are."""
    with _steps(given.table, [file]) as (connection, method):
        level = connection.execute("SELECT min(split_part(cell, '/', 1))::INT FROM read_parquet(?)", [str(file)]).fetchone()[0]
        edge = EDGES_M[level or 0] / METRES_PER_DEGREE
        part = f"""
            SELECT steps.* FROM (
                SELECT *, CAST(floor("{LATITUDE}" / {edge}) AS BIGINT) AS north, "at" - "at" % {step_s} AS step
                FROM steps) AS steps
            SEMI JOIN read_parquet({text(str(file))}) AS came ON epoch(came."time") = step
                AND came.cell = '{level}/' || north || '/'
                    || CAST(floor("{LONGITUDE}" / {edge} * cos(radians((north + 0.5) * {edge}))) AS BIGINT)"""  # noqa: S608 - numbers, names of our own and a quoted text
        return _counted(connection, part, method)


def behind_features(given: Given, file: Path) -> Counted:
    """What of the raw table is behind delivered features: the rows of their vehicles and months, by the enrolled reference."""
    with _steps(given.table, [file], known=given.references) as (connection, method):
        part = f"""
            SELECT steps.* FROM steps SEMI JOIN (
                SELECT vehicle, month FROM read_parquet({text(str(file))}) JOIN known USING (reference)) AS came
            ON steps.vehicle = came.vehicle AND strftime(make_timestamp("local" * 1000000), '%Y-%m') = came.month"""  # noqa: S608 - a quoted text
        return _counted(connection, part, method)


def behind_rows(given: Given, file: Path, recipient: str) -> Counted:
    """What of the raw table is behind delivered rows.

    Of rows with references: from the first to the last of each trip that came. Under pseudonyms, which only the provider's key
    could undo: all rows of the vehicles that agreed to give them to ``recipient``.
    """
    if "reference" not in pq.read_schema(file).names:
        return behind_vehicles(given, given.agreed.get(recipient, ()))
    with _steps(given.table, [file], known=given.references) as (connection, method):
        part = f"""
            SELECT steps.* FROM steps SEMI JOIN (
                SELECT vehicle, min(epoch("time")) AS first, max(epoch("time")) AS last
                FROM read_parquet({text(str(file))}) JOIN known USING (reference) GROUP BY vehicle, trip) AS came
            ON steps.vehicle = came.vehicle AND steps."at" BETWEEN came.first AND came.last"""  # noqa: S608 - a quoted text
        return _counted(connection, part, method)


def behind_vehicles(given: Given, vehicles: Iterable[str]) -> Counted:
    """All rows of some vehicles."""
    with _steps(given.table, known={str(number): vehicle for number, vehicle in enumerate(vehicles)}) as (connection, method):
        return _counted(connection, "SELECT steps.* FROM steps SEMI JOIN known USING (vehicle)", method)


def _counted(connection: Any, part: str, method: Method) -> Counted:
    """Two stages, of which the first is no larger than the number of trips."""
    found = connection.execute(f"""
        WITH part AS ({part}),
        trips AS (SELECT vehicle, trip, count(*) AS rows, sum(km) AS km, min("at") AS first, max("at") AS last
                  FROM part GROUP BY vehicle, trip)
        SELECT coalesce(sum(rows), 0)::BIGINT, count(DISTINCT vehicle), count(*), coalesce(sum(km), 0.0)::DOUBLE,
               min(first), max(last)
        FROM trips""").fetchone()  # noqa: S608 - the parts above
    rows, vehicles, trips, km, first_s, last_s = found
    return Counted(rows, vehicles, trips, km, first_s, last_s, method)


@contextmanager
def _rows(
    table: Table, paths: frozenset[str], files: Sequence[Path] = (), known: Mapping[str, str] | None = None
) -> Iterator[Any]:
    """A connection with the rows of a table as ``seen``, and ``known`` as a table of that name. Raises NotTaken."""
    with _unchanged(table), TemporaryDirectory(prefix="carnet-count-") as scratch:
        limits = Limits(memory_bytes=MEMORY_BYTES)
        backend = open_engine(limits, scratch, [*table.files, *(str(file) for file in files)])
        try:
            connection = backend.con
            # Read once: what is asked of it more often is little beside the reading of text.
            connection.execute(f"CREATE TEMP TABLE seen AS {sql_of(canonical(backend, table, paths))}")
            names = pa.table({"reference": list(known or {}), "vehicle": list((known or {}).values())},
                             pa.schema([("reference", pa.string()), ("vehicle", pa.string())]))  # fmt: skip
            connection.register("known", names)
            yield connection
        finally:
            backend.disconnect()


@contextmanager
def _unchanged(table: Table) -> Iterator[None]:
    """Makes NotTaken of what happens when the files of a table are not as they were. The engine's texts may quote values."""
    try:
        verify(table)
        yield
    except SchemaChanged as changed:
        raise NotTaken("table-changed", str(changed), _LET_BE) from None
    except (duckdb.Error, Refused) as error:
        code = failure(error).code
        if code in ("out-of-memory", "disk-full"):
            raise NotTaken(code, "counting the table needs more memory or disk than there is", "take fewer rows") from None
        raise NotTaken("table-changed", "the rows cannot be read any more as they were looked at", _LET_BE) from None


@contextmanager
def _steps(table: Table, files: Sequence[Path] = (), known: Mapping[str, str] | None = None) -> Iterator[tuple[Any, Method]]:
    """A connection with ``steps``: the rows of a table, each with its kilometres; and how those were counted."""
    wanted = frozenset({ODOMETER, SPEED, LATITUDE, LONGITUDE}) & table.paths
    with _rows(table, wanted, files, known) as connection:
        method = _method(connection, wanted)
        connection.execute(f"CREATE TEMP VIEW steps AS {_with_km(method, wanted, table.sampling_ms)}")
        yield connection, method


def _method(connection: Any, paths: frozenset[str]) -> Method:
    """The first way for which most rows have what it needs."""
    ways: tuple[tuple[Method, str], ...] = (("odometer", ODOMETER), ("speed and time", SPEED), ("positions", LATITUDE))
    for method, path in ways:
        if path not in paths:
            continue
        share = connection.execute(f'SELECT count("{path}") / count(*) FROM seen').fetchone()[0]  # noqa: S608 - a path of our own
        if share is not None and share >= _LEAST_SHARE:
            return method
    return "nothing"


def _with_km(method: Method, paths: frozenset[str], sampling_ms: int | None) -> str:
    """The rows with ``km``: null where the row or the one before it does not say."""
    if method == "nothing":
        return "SELECT *, NULL::DOUBLE AS km FROM seen"
    names = ", ".join(f'"{path}"' for path in sorted(paths) if path in (LATITUDE, LONGITUDE))
    value = {"odometer": ODOMETER, "speed and time": SPEED, "positions": LATITUDE}[method]
    longest = max(STEP_S, STEPS * (sampling_ms or 0) / 1_000)
    # Of rows in one second the order is that of their values, so that the sum does not depend on how the engine reads.
    # Rows that do not say stand by themselves, and between no others.
    along = f'OVER (PARTITION BY vehicle, trip, "{value}" IS NULL ORDER BY "at", "{value}")'
    others = f', lag("{LONGITUDE}") {along} AS before_lon' if method == "positions" else ""
    return f"""
        SELECT vehicle, trip, "at", "local"{", " + names if names else ""}, {_km(method, longest)} AS km FROM (
            SELECT *, "at" - lag("at") {along} AS since, lag("{value}") {along} AS before{others} FROM seen)"""  # noqa: S608 - paths of our own and numbers


def _km(method: Method, longest_s: float) -> str:
    if method == "odometer":
        return f'if("{ODOMETER}" >= before, ("{ODOMETER}" - before) / 1000, NULL)'
    if method == "speed and time":
        return f'if(since <= {longest_s}, ("{SPEED}" + before) / 2 * since / 3600, NULL)'
    half = f'sin(radians("{LATITUDE}" - before) / 2) ** 2 + cos(radians(before)) * cos(radians("{LATITUDE}"))'
    return (
        f"if(since <= {longest_s}, 2 * {_EARTH_KM} * asin(sqrt(least(1.0, {half}"
        f' * sin(radians("{LONGITUDE}" - before_lon) / 2) ** 2))), NULL)'
    )
