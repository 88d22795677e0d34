"""Whose rows are in a file: the index of a delivery, made from the names that stand in the file itself.

Names and vehicles go through files in the scratch folder, batch by batch, so that memory does not grow with the fleet.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, BinaryIO, Final

import numpy
import pyarrow
import pyarrow.parquet

from connector.dataplane.query.engine import batches, rows_of, text, write_parquet
from connector.dataplane.query.job import Job

GROUP_ROWS: Final = 32_768
_NAMES: Final = pyarrow.schema([("name", pyarrow.string())])
_RECORD: Final = numpy.dtype([("ordinal", "<u4"), ("trip", "V16")])


class Writer:
    """Collects names into a Parquet file at ``path``; some come more than once."""

    def __init__(self, path: str) -> None:
        self._writer = pyarrow.parquet.ParquetWriter(path, _NAMES, compression="zstd")
        self._waiting: list[Any] = []
        self._rows = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._flush()
        finally:
            self._writer.close()

    def add(self, names: Any) -> None:
        """An Arrow array of texts."""
        self._waiting.append(names.cast(pyarrow.string()))
        self._rows += len(names)
        if self._rows >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pyarrow.table([pyarrow.chunked_array(self._waiting, pyarrow.string())], schema=_NAMES))
        self._waiting, self._rows = [], 0


def index(backend: Any, job: Job, path: str, key: str | None) -> int:
    """Write the index of the vehicles whose names (of the column ``key``) are in the file at ``path``, and their trips where the
    job has a place for them; all members where rows have no name. Gives the number of vehicles, also of those without ordinal.
    """
    held = os.path.join(job.scratch, "held.parquet")
    trip = ", trip_pseudonym AS trip" if job.trips else ""
    column = "trip_pseudonym" if key == "trip" else "pseudonym"
    # As 128 bits names take a quarter of the room.
    here = f"SEMI JOIN (SELECT name::UUID AS name FROM read_parquet({text(path)})) ON {column}::UUID = name" if key else ""  # noqa: S608 - a path of our own
    vehicle = "CASE WHEN ordinal IS NULL THEN vehicle END AS unknown"
    write_parquet(backend, f"SELECT DISTINCT ordinal, {vehicle}{trip} FROM carnet_members {here}", held)  # noqa: S608 - names of our own
    source = f"read_parquet({text(held)})"
    known = _ordinals(backend, source, job.index)
    if job.trips:
        _trips(backend, source, job.trips)
    ((unknown,),) = rows_of(backend, f"SELECT count(DISTINCT unknown) FROM {source}")  # noqa: S608 - a path of our own
    os.unlink(path)
    os.unlink(held)
    return known + int(unknown)


def _ordinals(backend: Any, source: str, path: str) -> int:
    found = 0
    with open(path, "wb") as file:
        for batch in batches(backend, f"SELECT DISTINCT ordinal FROM {source} WHERE ordinal IS NOT NULL ORDER BY ordinal"):  # noqa: S608
            file.write(batch.column(0).to_numpy().astype("<u4").tobytes())
            found += len(batch)
        _durable(file)
    return found


def _trips(backend: Any, source: str, path: str) -> None:
    wanted = f"SELECT DISTINCT ordinal, unhex(trip) AS trip FROM {source} WHERE ordinal IS NOT NULL ORDER BY ordinal"  # noqa: S608
    with open(path, "wb") as file:
        for batch in batches(backend, wanted):
            records = numpy.empty(len(batch), _RECORD)
            records["ordinal"] = batch.column(0).to_numpy()
            records["trip"] = numpy.array(batch.column(1).to_pylist(), "V16")
            file.write(records.tobytes())
        _durable(file)


def _durable(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
