"""The deliveries that are measured, and their floors: queries that read and write as much with nothing governed.

Floors are plain SQL. They round positions and name cells as the deliveries do, in floating point, since the same rows are to come
out; what they leave out is the ledger, the pseudonyms, the ends of trips, the vote of each vehicle, digests and flushing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import duckdb

from connector.dataplane.plan.model import EDGES_M, METRES_PER_DEGREE, Consent, Plan
from connector.dataplane.query.job import Bits, Job, Population
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED, Table
from tests.dataplane.consent.ledgers import CONSENT as BASIS
from tests.dataplane.consent.ledgers import INSURER, UBI

KEY: Final = "0f" * 32
LEVEL: Final = 7
LEAST: Final = 10
VIN: Final = "Vehicle.VehicleIdentification.VIN"
CONSENT: Final = Consent(categories=("driving-behaviour",), purposes=(UBI,), recipient=INSURER, bases=(BASIS,))
_EDGE: Final = f"{EDGES_M[LEVEL] / METRES_PER_DEGREE!r}e0"


def rows_job(folder: Path, table: Table, population: Population, *, cut_m: float = 400) -> Job:
    """L1: speed, place and cell of who agreed, by pseudonym, without the ends of trips."""
    columns = (SPEED, LATITUDE, LONGITUDE)
    return _job(folder, table, population, level="L1", form="rows", columns=columns, consent=CONSENT, cut_m=cut_m)


def cells_job(folder: Path, table: Table) -> Job:
    """L3: how fast at least ten vehicles drive in a cell in an hour."""
    shape: dict[str, Any] = {"columns": (SPEED,), "step_s": 3600, "least": LEAST, "anonymous": True}
    return _job(folder, table, Population(), level="L3", form="cells", **shape)


def _job(folder: Path, table: Table, population: Population, **plan: Any) -> Job:
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    terms: dict[str, Any] = {"dataset": "d", "table": table.id, "schema": table.schema, "agreement": "a", "recipient": INSURER}
    return Job(
        plan=Plan(cell_level=LEVEL, **terms, **plan),
        table=table,
        population=population,
        output=str(folder / "out.parquet"),
        index=str(folder / "out.index"),
        scratch=str(scratch),
        keep=str(folder / "kept.parquet") if plan["form"] == "cells" else None,
    )


def people(folder: Path, source: Path) -> Population:
    """The ledger's files for the vehicles of a table: nine in ten agreed."""
    ordinals, bits = folder / "ordinals.parquet", folder / "agreed.bits"
    with duckdb.connect() as connection:
        vehicles = f"SELECT DISTINCT \"{VIN}\" AS vehicle FROM read_parquet('{source}')"  # noqa: S608 - a path of our own
        numbered = f"SELECT vehicle, (row_number() OVER (ORDER BY vehicle) - 1)::UINTEGER AS ordinal FROM ({vehicles})"  # noqa: S608
        connection.execute(f"COPY ({numbered}) TO '{ordinals}' (FORMAT parquet)")
        ((known,),) = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(ordinals)]).fetchall()
    agreed = bytearray(known // 8 + 1)
    for ordinal in range(known):
        agreed[ordinal // 8] |= (ordinal % 10 != 3) << ordinal % 8
    bits.write_bytes(agreed)
    return Population(ordinals=(str(ordinals),), granted=((Bits(file=str(bits)),),), key=KEY)


def rows_floor(source: Path, share: float) -> str:
    """About that share of all rows, by their second, with the same columns."""
    chosen = _placed(source, f"WHERE epoch(time)::BIGINT % 1000 < {round(share * 1000)}")
    return f"SELECT vehicle, trip, time, speed, {_middles()}, {_name()} AS cell FROM ({chosen})"  # noqa: S608 - names of our own


def cells_floor(source: Path) -> str:
    """Means of the rows of a cell and hour with enough vehicles, in one stage."""
    hourly = f"SELECT *, time_bucket(INTERVAL 1 HOUR, time) AS hour FROM ({_placed(source, '')})"  # noqa: S608 - a path of our own
    counted = (
        "SELECT row, col, hour, any_value(width) AS width, count(DISTINCT vehicle) AS vehicles, avg(speed) AS speed"  # noqa: S608
        f" FROM ({hourly}) GROUP BY row, col, hour HAVING count(DISTINCT vehicle) >= {LEAST}"
    )
    return f"SELECT {_name()} AS cell, {_middles()}, hour AS time, vehicles, speed FROM ({counted})"  # noqa: S608 - names of our own


def _placed(source: Path, where: str) -> str:
    columns = f'"{VIN}" AS vehicle, trip, time, "{SPEED}"::DOUBLE AS speed, "{LONGITUDE}" AS lon'
    row = f'floor("{LATITUDE}" / {_EDGE})::BIGINT AS row'
    read = f"SELECT {columns}, {row} FROM read_parquet('{source}') {where}"  # noqa: S608 - a path of our own
    wide = f"SELECT *, {_EDGE} / cos(radians((row + 0.5e0) * {_EDGE})) AS width FROM ({read})"  # noqa: S608 - names of our own
    return f"SELECT *, floor(lon / width)::BIGINT AS col FROM ({wide})"  # noqa: S608 - names of our own


def _middles() -> str:
    return f"round((row + 0.5e0) * {_EDGE}, 5) AS latitude, round((col + 0.5e0) * width, 5) AS longitude"


def _name() -> str:
    return f"'{LEVEL}/' || row || '/' || col"
