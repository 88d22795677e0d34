"""Looking at a source that is to be published as a table: its files, what its columns mean, and its figures. Blocking.

Runs in a process of its own: whoever wrote the files is not trusted. What the engine says about a file may quote its values, and
is not passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb
import ibis
import msgspec

from connector.dataplane.plan.model import Circle
from connector.dataplane.query.engine import Refused, failure, open_engine
from connector.dataplane.query.job import Limits
from connector.dataplane.tables.files import Dialect, Headers, dialect_of, files_of, headers_of, id_of, snapshot_of
from connector.dataplane.tables.model import Mapping, Table
from connector.dataplane.tables.read import TRIP, VEHICLE, Raw, readings
from connector.dataplane.tables.recognise import Found, check, completed, recognise
from connector.dataplane.tables.refused import TableRefused

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table as Rows

SAMPLE_ROWS: Final = 50
SAMPLE_TRIPS: Final = 500
"""The interval of sampling is measured on so many trips, taken evenly."""
USUAL_S: Final = (1_420_070_400, 1_798_761_600)
"""From 2015 until 2026: of this period the offsets of a zone are at hand before the table's own is known."""
MEMORY_BYTES: Final = 128 * 1024 * 1024
READABLE_SHARE: Final = 0.5
"""Of at least this share of rows the vehicle and the time can be read."""


class Looked(msgspec.Struct, frozen=True):
    """A table, and what the owner should know of how it was understood: see ``Found``."""

    table: Table
    guessed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def engine(scratch: str, files: Sequence[str]) -> Backend:
    """An engine with bounded memory that reads these files only and spills into ``scratch``."""
    return cast("Backend", open_engine(Limits(memory_bytes=MEMORY_BYTES), scratch, files))


def look(
    path: Path,
    mapping: Mapping | None = None,
    *,
    personal: bool = True,
    bases: Sequence[str] = (),
    sensitive: Sequence[Circle] = (),
    connect: Callable[[str, Sequence[str]], Backend] = engine,
) -> Table:
    """The table at ``path``, a CSV or Parquet file or a folder of them: see ``examine``. Raises TableRefused."""
    return examine(path, mapping, personal=personal, bases=bases, sensitive=sensitive, connect=connect).table


def examine(
    path: Path,
    mapping: Mapping | None = None,
    *,
    personal: bool = True,
    bases: Sequence[str] = (),
    sensitive: Sequence[Circle] = (),
    connect: Callable[[str, Sequence[str]], Backend] = engine,
) -> Looked:
    """The table at ``path``, and how it was understood. A ``mapping`` that is given is checked, else one is recognised.

    Raises TableRefused.
    """
    files, kind = files_of(path)
    before = _snapshot(files)
    dialect = dialect_of(files) if kind == "csv" else Dialect()
    headers = headers_of(files[0], kind, dialect)
    for other in files[1:]:
        if headers_of(other, kind, dialect) != headers:
            raise TableRefused("table-headers-differ", "the files of the folder have different columns")
    with TemporaryDirectory(prefix="carnet-look-") as scratch, _refusals():
        connection = connect(scratch, files)
        try:
            mapping, found = _meaning(Raw(connection, files, kind, headers, dialect), headers, mapping)
            table = Table(
                id=id_of(path),
                files=files,
                format=kind,
                headers=headers,
                mapping=mapping,
                rows=0,
                vehicles=0,
                sampling_ms=None,
                first_s=None,
                last_s=None,
                snapshot=before,
                sensitive=tuple(sensitive),
                personal=personal,
                bases=tuple(bases),
                encoding=dialect.encoding,
                delimiter=dialect.delimiter,
            )
            table = _figures(connection, table)
        finally:
            connection.disconnect()
    if _snapshot(files) != before:
        raise TableRefused("file-unreadable", "a file changed while it was read; publish the table when it is complete")
    return Looked(table, found.guessed, found.ignored)


@contextmanager
def _refusals() -> Iterator[None]:
    """Makes refusals of the engine's errors, whose texts quote values."""
    try:
        yield
    except (duckdb.Error, Refused) as error:
        if failure(error).code in ("out-of-memory", "disk-full"):
            raise TableRefused("table-too-large", "looking at the table needs more memory or disk than there is") from None
        raise TableRefused("file-unreadable", "a file is damaged, or not every line has as many fields as the first") from None


def _snapshot(files: Sequence[str]) -> str:
    try:
        return snapshot_of(files)
    except OSError:
        raise TableRefused("file-unreadable", "a file is gone") from None


def _meaning(raw: Raw, headers: Headers, given: Mapping | None) -> tuple[Mapping, Found]:
    """The mapping that was given, or the one that is recognised. Raises TableRefused."""
    samples = {} if given is not None else raw.samples(SAMPLE_ROWS)
    if given is None and not any(samples.values()):
        raise TableRefused("table-empty", "the table has no rows")
    found = Found(mapping=completed(given)) if given is not None else recognise(headers, samples)
    mapping = found.mapping
    if mapping is None:
        raise TableRefused("column-missing", f"not recognised: {', '.join(found.missing)}; say it in a mapping", found.missing[0])
    check(mapping, headers)
    try:
        ZoneInfo(mapping.time.zone)
        if mapping.time.clock == "day-and-ms":
            date.fromisoformat(mapping.time.day_one or "")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise TableRefused("time-zone", "the zone or the day that days are counted from is not known") from None
    return mapping, found


def _figures(connection: Backend, table: Table) -> Table:
    """``table`` with its numbers of rows and vehicles, its period and its interval. Raises TableRefused."""
    first_s, last_s = USUAL_S
    rows = readings(connection, msgspec.structs.replace(table, first_s=first_s, last_s=last_s))
    timed, named = rows["us"].notnull(), rows[VEHICLE].notnull() & rows[TRIP].notnull()
    both = timed & named
    found: dict[str, Any] = (
        rows.aggregate(
            all=rows.count(),
            timed=timed.sum(),
            named=named.sum(),
            rows=both.sum(),
            vehicles=rows[VEHICLE].nunique(where=both),
            first=rows["us"].min(where=both),
            last=rows["us"].max(where=both),
        )
        .to_pyarrow()
        .to_pylist()[0]
    )
    if not found["all"]:
        raise TableRefused("table-empty", "the table has no rows")
    if found["timed"] < READABLE_SHARE * found["all"]:
        raise TableRefused("time-unreadable", "of most rows the time cannot be read", table.mapping.time.header)
    if found["named"] < READABLE_SHARE * found["all"] or not found["rows"]:
        raise TableRefused("vehicle-unreadable", "of most rows the vehicle or the trip is not said", table.mapping.vehicle)
    return msgspec.structs.replace(
        table,
        rows=found["rows"],
        vehicles=found["vehicles"],
        sampling_ms=_sampling_ms(rows.filter(both)),
        first_s=found["first"] // 1_000_000,
        last_s=found["last"] // 1_000_000,
    )


def _sampling_ms(rows: Rows) -> int | None:
    """The median time between two rows of a trip, of some trips; None where no trip has two."""
    trips = rows.group_by([VEHICLE, TRIP]).aggregate(count=rows.count())
    some = trips.filter(trips["count"] > 1).order_by((trips[VEHICLE] + trips[TRIP]).hash()).limit(SAMPLE_TRIPS)
    taken = rows.select(VEHICLE, TRIP, "us").semi_join(some, [VEHICLE, TRIP])
    along = ibis.window(group_by=[taken[VEHICLE], taken[TRIP]], order_by=taken["us"])
    gaps = taken.select(gap=taken["us"] - taken["us"].lag().over(along))
    found = gaps.aggregate(median=gaps["gap"].quantile(0.5)).to_pyarrow().to_pylist()[0]["median"]
    return None if found is None else round(found / 1000)
