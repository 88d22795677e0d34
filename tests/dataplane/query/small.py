"""A small table in a Parquet file, and jobs on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connector.dataplane.plan.model import Consent, Plan
from connector.dataplane.query.job import Bits, Job, Population
from connector.dataplane.tables.files import headers_of
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED, Column, Mapping, Table, TimeColumn
from connector.dataplane.tables.signals import category_of

START = 1_772_323_200
NOTE, TEMPERATURE = "Owner.Note", "Vehicle.Exterior.AirTemperature"
KEY = "0f" * 32
CONSENT = Consent(categories=("c",), purposes=("p",), recipient="buyer", bases=("b",))
Row = dict[str, Any]


def row(vehicle: str = "v0", trip: str = "t", at: int = START, **signals: Any) -> Row:
    """A row of the source; signals by ``lat``, ``lon``, ``speed``, ``note`` and ``temperature``."""
    return {
        "vehicle": vehicle,
        "trip": trip,
        "at": at,
        "lat": 50.0,
        "lon": 8.0,
        "speed": 60.0,
        "note": None,
        "temperature": 1.5,
    } | signals


def drive(vehicle: str = "v0", trip: str = "t", at: int = START, seconds: int = 100, **signals: Any) -> list[Row]:
    """A row each second, 0.0002 degrees further north."""
    return [row(vehicle, trip, at + n, **({"lat": 50.0 + n * 0.0002} | signals)) for n in range(seconds)]


def table_of(folder: Path, rows: Sequence[Row], **changed: Any) -> Table:
    """The rows as a table; ``headers`` renames columns of the file."""
    path = folder / "source.parquet"
    headers: dict[str, str] = changed.pop("headers", {})
    types = {"vehicle": pa.string(), "trip": pa.string(), "at": pa.int64(), "lat": pa.float64(), "lon": pa.float64(),
             "speed": pa.float64(), "note": pa.string(), "temperature": pa.float64()}  # fmt: skip
    schema = pa.schema([(headers.get(name, name), kind) for name, kind in types.items()])
    columns = [pa.array([one[name] for one in rows], kind) for name, kind in types.items()]
    pq.write_table(pa.table(columns, schema=schema), path)
    paths = {"lat": LATITUDE, "lon": LONGITUDE, "speed": SPEED, "note": NOTE, "temperature": TEMPERATURE}
    mapping = Mapping(
        origin="given",
        columns=tuple(
            Column(
                header=headers.get(name, name),
                path=path_of,
                type="text" if name == "note" else "number",
                unit="km/h" if name == "speed" else None,
                category=category_of(path_of),
            )
            for name, path_of in paths.items()
        ),
        time=TimeColumn(header=headers.get("at", "at"), clock="epoch-s"),
        vehicle=headers.get("vehicle", "vehicle"),
        trip=headers.get("trip", "trip"),
    )
    times = [one["at"] for one in rows]
    known: dict[str, Any] = {
        "id": "table", "files": (str(path),), "format": "parquet", "headers": headers_of(str(path), "parquet"),
        "mapping": mapping,
        "rows": len(rows), "vehicles": len({one["vehicle"] for one in rows}), "sampling_ms": 1000,
        "first_s": min(times, default=None), "last_s": max(times, default=None), "snapshot": "s",
    }  # fmt: skip
    return Table(**(known | changed))


def people(folder: Path, vehicles: Sequence[str], **changed: Any) -> Population:
    """A ledger that knows these vehicles, by their place, and has the consent of all."""
    path = folder / "ordinals.parquet"
    pq.write_table(
        pa.table({"vehicle": pa.array(vehicles, pa.string()), "ordinal": pa.array(range(len(vehicles)), pa.uint32())}), path
    )
    known: dict[str, Any] = {
        "ordinals": (str(path),), "granted": ((Bits(added=tuple(range(len(vehicles)))),),), "key": KEY,
    }  # fmt: skip
    return Population(**(known | changed))


def job_of(folder: Path, table: Table, population: Population | None = None, name: str = "job", **plan: Any) -> Job:
    """A job with its own scratch folder; L1 rows with consent unless the plan says otherwise."""
    scratch = folder / f"{name}.scratch"
    scratch.mkdir()
    kept = folder / f"{name}.kept.parquet" if plan.get("form") == "cells" else None
    terms: dict[str, Any] = {
        "dataset": "d", "table": table.id, "schema": table.schema, "agreement": "a", "recipient": "buyer",
        "level": "L1", "form": "rows", "columns": (SPEED,), "consent": None if plan.get("form") == "cells" else CONSENT,
    }  # fmt: skip
    made = Plan(**(terms | plan))
    return Job(
        plan=made, table=table, population=population or Population(), output=str(folder / f"{name}.{made.format}"),
        index=str(folder / f"{name}.index"), scratch=str(scratch), keep=str(kept) if kept else None,
    )  # fmt: skip
