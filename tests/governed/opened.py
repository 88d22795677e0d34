"""A delivered file and the raw table behind it, opened side by side in DuckDB for the checkers.

Nothing here or in the checkers comes from the data plane or the compiler: an error there is not
repeated here.
The names of delivered columns and the size of cells are written down again, as a buyer would read them in the documentation.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

LAT, LON = "Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"
SPEED = "Vehicle.Speed"
METRES_PER_DEGREE = 111_320
EDGE_OF_LEVEL_0 = 1_107_713
EDGES = [1_107_713, 418_677, 158_245, 59_811, 22_607, 8_545, 3_230, 1_221, 462, 175, 66, 25, 10, 4, 2, 1]

_MACROS = """
CREATE MACRO metres(lat1, lon1, lat2, lon2) AS 2 * 6371008.8 * asin(least(1, sqrt(
    sin(radians(lat2 - lat1) / 2) ** 2 + cos(radians(lat1)) * cos(radians(lat2)) * sin(radians(lon2 - lon1) / 2) ** 2)));
CREATE MACRO row_of(lat, height) AS CAST(floor(lat / height) AS BIGINT);
CREATE MACRO middle_of(lat, height) AS (row_of(lat, height) + 0.5) * height;
CREATE MACRO width_of(lat, height) AS height / cos(radians(middle_of(lat, height)));
CREATE MACRO col_of(lat, lon, height) AS CAST(floor(lon / width_of(lat, height)) AS BIGINT);
CREATE MACRO centre_of(lat, lon, height) AS (col_of(lat, lon, height) + 0.5) * width_of(lat, height);
"""


@dataclass(frozen=True)
class Raw:
    """The raw table as its owner knows it: a file, and SQL over its own headers. ``at`` is in epoch seconds, UTC."""

    path: Path
    vehicle: str
    at: str
    trip: str = "''"
    lat: str = "NULL"
    lon: str = "NULL"
    speed: str = "NULL"


class Opened:
    """SQL runs over ``out``, the delivered rows (with ``at_s`` in epoch seconds, ``o_lat`` and ``o_lon``, where they have them),
    and ``raw``: ``vehicle``, ``trip``, ``at_s``, ``lat``, ``lon``, ``speed``. Close it when done."""

    def __init__(self, delivered: Path, raw: Raw | None = None) -> None:
        self.base = duckdb.connect(":memory:", config={"threads": "2", "memory_limit": "1GB"})
        self.base.execute("SET TimeZone = 'UTC'")
        self.base.execute(_MACROS)
        table = read(delivered)
        self.columns = list(table.column_names)
        self.rows = table.num_rows
        self.base.register("delivered", table)
        at = 'epoch(CAST("time" AS TIMESTAMP))' if "time" in self.columns else "NULL"
        lat, lon = next(
            (pair for pair in ((LAT, LON), ("latitude", "longitude")) if set(pair) <= set(self.columns)), (None, None)
        )
        self.placed = lat is not None
        place = f'"{lat}" AS o_lat, "{lon}" AS o_lon' if self.placed else "NULL AS o_lat, NULL AS o_lon"
        self.base.execute(f"CREATE TABLE out AS SELECT *, CAST({at} AS BIGINT) AS at_s, {place} FROM delivered")
        if raw is not None:
            self._read_raw(raw)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.base.close()

    def _read_raw(self, raw: Raw) -> None:
        reader = "read_csv" if raw.path.suffix == ".csv" else "read_parquet"
        self.base.execute(
            f"""CREATE TABLE raw AS SELECT CAST({raw.vehicle} AS VARCHAR) AS vehicle, CAST({raw.trip} AS VARCHAR) AS trip,
                CAST(floor({raw.at}) AS BIGINT) AS at_s, CAST({raw.lat} AS DOUBLE) AS lat, CAST({raw.lon} AS DOUBLE) AS lon,
                CAST({raw.speed} AS DOUBLE) AS speed FROM {reader}(?)""",
            [str(raw.path)],
        )
        assert self.one("SELECT count(*) FROM raw") > 0, "the raw table is empty"

    def all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.base.execute(query, list(values)).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        [(value,)] = self.all(query, *values)
        return value

    def put(self, table: str, rows: list[tuple[Any, ...]], **types: str) -> None:
        """A table of rows that the test gives."""
        self.base.execute(f"CREATE OR REPLACE TABLE {table} ({', '.join(f'{column} {of}' for column, of in types.items())})")
        columns = [pa.array([row[n] for row in rows]) for n in range(len(types))]
        if rows:
            self.base.register("given", pa.table(columns, names=list(types)))
            self.base.execute(f"INSERT INTO {table} SELECT * FROM given")
            self.base.unregister("given")

    def at_least(self, least: int) -> None:
        assert least > 0, "a check over nothing is no check"
        assert self.rows >= least, f"{self.rows} rows were delivered, expected at least {least}"


def read(path: Path) -> pa.Table:
    """A delivered file, whatever its format."""
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path)
    if path.suffix == ".csv":
        return pyarrow.csv.read_csv(path)
    if path.suffix == ".ndjson":
        return pyarrow.json.read_json(path)
    assert path.suffix in (".arrow", ".arrows"), f"no format is known by the name of {path.name}"
    with pa.memory_map(str(path)) as source:
        opened = pa.ipc.open_file(source) if source.read(6) == b"ARROW1" else pa.ipc.open_stream(_rewound(source))
        return opened.read_all()


def _rewound(source: Any) -> Any:
    source.seek(0)
    return source


def height(cell_level: int) -> float:
    """Of a cell, in degrees."""
    return EDGES[cell_level] / METRES_PER_DEGREE


def name_of(key: bytes, text: str) -> str:
    """A pseudonym: HMAC-SHA-256 cut to 128 bits."""
    return hmac.new(key, text.encode(), hashlib.sha256).digest()[:16].hex()


def epochs_of(seconds: Collection[int], epoch: str | None) -> Iterator[str]:
    """The texts before a vehicle in the making of its pseudonyms."""
    forms = {"day": "%Y-%m-%d|", "month": "%Y-%m|", "year": "%Y|"}
    return iter({datetime.fromtimestamp(at, UTC).strftime(forms[epoch]) if epoch else "" for at in seconds})
