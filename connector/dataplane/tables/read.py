"""A table as one expression: each row with its vehicle, trip, time and signals, under names that are ours.

No header and no value becomes text of a query: columns of CSV are read by position, columns of Parquet as quoted identifiers of
Ibis, names of zones and files as literals. Values that cannot be read are null; a row whose vehicle, trip or time cannot be read
is no row, since nothing that governs rows could govern it. Needs an engine whose settings are made elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import ibis

from connector.dataplane.tables.files import Dialect, Headers, Kind, headers_of, snapshot_of
from connector.dataplane.tables.formats import FILE_NAME
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, Column, Table, TimeColumn
from connector.dataplane.tables.refused import SchemaChanged, TableRefused
from connector.dataplane.tables.signals import conversion, unit_of

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Column as Expression
    from ibis.expr.types import Table as Rows

VEHICLE: Final = "vehicle"
TRIP: Final = "trip"
AT: Final = "at"
LOCAL: Final = "local"
_SECOND_US: Final = 1_000_000
_DAY_MS: Final = 86_400_000
_MAX_TRIP_MS: Final = 10 * _DAY_MS
# What is outside was not measured by a car, and the engine's arithmetic cannot overflow within.
_FIRST_S: Final = 31_536_000
_LAST_S: Final = 7_258_118_400
_EXACT: Final = 2**53
_NOTHING: Final = ("", "NaN", "nan", "null", "NULL")

# What the engine has and Ibis has no word for; the name alone is untyped.
_builtin: Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]] = ibis.udf.scalar.builtin


@_builtin(name="timezone", signature=(("string", "timestamp"), "timestamp('UTC')"))
def _instant(zone: str, shown: Any) -> Any:
    """The instant at which clocks of a zone show a time: the later one of two, and past a gap by as much as it lies in it."""


@_builtin(name="timezone", signature=(("string", "timestamp('UTC')"), "timestamp"))
def _shown(zone: str, at: Any) -> Any:
    """What clocks of a zone show at an instant."""


@_builtin(name="epoch_us", signature=(("timestamp('UTC')",), "int64"))
def _instant_us(at: Any) -> Any: ...


@_builtin(name="epoch_us", signature=(("timestamp",), "int64"))
def _shown_us(at: Any) -> Any: ...


@_builtin(name="make_timestamp", signature=(("int64",), "timestamp"))
def _of_us(us: Any) -> Any: ...


@_builtin(name="make_timestamptz", signature=(("int64",), "timestamp('UTC')"))
def _at_us(us: Any) -> Any: ...


@_builtin(name="divide", signature=(("int64", "int64"), "int64"))
def _divide(number: Any, by: int) -> Any:
    """Whole division of a number that is not negative."""


@_builtin(name="isfinite", signature=(("float64",), "boolean"))
def _finite(number: Any) -> Any: ...


@_builtin(name="parse_filename", signature=(("string", "boolean"), "string"))
def _stem(path: Any, trim: bool) -> Any: ...


def verify(table: Table) -> str:
    """The snapshot as of now, if every file still has the headers and types that were looked at: other rows are allowed.

    Blocks. Raises SchemaChanged, which names the column.
    """
    try:
        before = snapshot_of(table.files)
        for path in table.files:
            _same(table.headers, headers_of(path, table.format, Dialect(table.encoding, table.delimiter)))
        after = snapshot_of(table.files)
    except OSError:
        raise SchemaChanged("a file of the table is gone") from None
    except TableRefused as refused:
        raise SchemaChanged(f"a file of the table cannot be read any more: {refused.reason}", refused.column) from None
    if before != after:
        raise SchemaChanged("a file of the table changes at this moment")
    return after


def _same(known: Headers, found: Headers) -> None:
    """Raises SchemaChanged about the first column that is not as it was."""
    was, now = dict(known), dict(found)
    for name in was:
        if name not in now:
            raise SchemaChanged(f"the column {name!r} is gone", name)
    for name in now:
        if name not in was:
            raise SchemaChanged(f"the column {name!r} is new", name)
    for name, type_ in was.items():
        if now[name] != type_:
            raise SchemaChanged(f"the column {name!r} was {type_} and is {now[name]}", name)
    moved = next((one for (one, _), (other, _) in zip(known, found, strict=True) if one != other), None)
    if moved is not None:
        raise SchemaChanged(f"the column {moved!r} stands in another place", moved)


def canonical(connection: Backend, table: Table, paths: frozenset[str] | None = None) -> Rows:
    """The rows of a table: ``vehicle`` and ``trip`` (text), ``at`` and ``local`` (whole seconds since 1970, in UTC and as the
    clock of the zone shows them, floored), and each signal of ``paths`` (None: all) under its path, in its unit.

    Without a column for trips, ``trip`` is the empty text: all rows of a vehicle are one trip. No column is read that is not
    needed. Call ``verify`` before. Raises ValueError for a path that the table does not have.
    """
    rows = readings(connection, table, paths)
    kept = rows.filter(rows[VEHICLE].notnull() & rows[TRIP].notnull() & rows["us"].notnull())
    at, local = _divide(kept["us"], _SECOND_US), _divide(kept["local_us"], _SECOND_US)
    signals = {column.path: kept[column.path] for column in _asked(table, paths)}
    return kept.select(**{VEHICLE: kept[VEHICLE], TRIP: kept[TRIP], AT: at, LOCAL: local, **signals})


def _asked(table: Table, paths: frozenset[str] | None) -> tuple[Column, ...]:
    if paths is not None and not paths <= table.paths:
        raise ValueError("the table has no column of that path")
    return tuple(column for column in table.mapping.columns if paths is None or column.path in paths)


def readings(connection: Backend, table: Table, paths: frozenset[str] | None = None) -> Rows:
    """As ``canonical``, with all rows, and the times in microseconds: ``us`` and ``local_us``."""
    dialect, mapping = Dialect(table.encoding, table.delimiter), table.mapping
    raw = Raw(connection, table.files, table.format, table.headers, dialect)
    vehicle = ibis.literal(mapping.one_vehicle) if mapping.vehicle is None else _text(raw[mapping.vehicle])
    if mapping.trip is None:
        trip = ibis.literal("")
    else:
        trip = _stem(raw.file, True) if raw.by_file(mapping.trip) else _text(raw[mapping.trip])
    us, local_us = _times(raw, mapping.time)
    signals = {column.path: _signal(raw[column.header], column) for column in _asked(table, paths)}
    return raw.rows.select(**{VEHICLE: vehicle, TRIP: trip, "us": us, "local_us": local_us, **signals})


class Raw:
    """The columns of files, by header."""

    def __init__(self, connection: Backend, files: Sequence[str], kind: Kind, headers: Headers, dialect: Dialect) -> None:
        names = [name for name, _ in headers]
        taken = {name.lower() for name in names}
        self._file = next(name for count in range(len(names) + 1) if (name := f"file{count}") not in taken)
        self._names = {name: name if kind == "parquet" else f"c{index}" for index, name in enumerate(names)}
        if kind == "parquet":
            self.rows = connection.read_parquet(list(files), filename=self._file, hive_partitioning=False, union_by_name=False)
            return
        self._file = "file"
        self.rows = connection.read_csv(
            list(files),
            columns=dict.fromkeys(self._names.values(), "string"),
            header=True,
            delim=dialect.delimiter,
            quote='"',
            escape='"',
            encoding=dialect.encoding,
            compression="none",
            filename=self._file,
            hive_partitioning=False,
            null_padding=False,
            ignore_errors=False,
        )

    def __getitem__(self, header: str) -> Expression:
        return self.rows[self._names[header]]

    @property
    def file(self) -> Expression:
        return self.rows[self._file]

    def samples(self, count: int) -> dict[str, list[str]]:
        """Some values of each column, as text."""
        head = self.rows.limit(count).select(**{f"s{at}": self[name].cast("string") for at, name in enumerate(self._names)})
        found = head.to_pyarrow()
        return {name: [each or "" for each in found.column(at).to_pylist()] for at, name in enumerate(self._names)}

    def by_file(self, header: str | None) -> bool:
        """Whether the name of the file is meant; a column of that name goes first."""
        return header == FILE_NAME and FILE_NAME not in self._names


def _text(values: Expression) -> Expression:
    """Text without blanks around it; null where nothing is said."""
    trimmed = values.cast("string").strip()
    return ibis.ifelse(trimmed.isin(_NOTHING), ibis.null("string"), trimmed)


def _number(values: Expression) -> Expression:
    """Finite floating point numbers."""
    type_ = values.type()
    number = values.try_cast("float64") if type_.is_string() else values.cast("float64")
    return ibis.ifelse(_finite(number), number, ibis.null("float64"))


def _whole(values: Expression) -> Expression:
    number = _number(values).round()
    return ibis.ifelse(number.between(-_EXACT, _EXACT), number, ibis.null("float64")).cast("int64")


def _flag(values: Expression) -> Expression:
    type_ = values.type()
    if type_.is_boolean():
        return values
    return values.try_cast("boolean") if type_.is_string() else _number(values) != 0


def _signal(values: Expression, column: Column) -> Expression:
    """A column's values as its mapping says, in its unit."""
    if column.type == "text":
        return _text(values)
    if column.type == "flag":
        return _flag(values)
    number = _number(values)
    change = conversion(unit_of(column.header), column.unit)
    if change is not None:
        number = number * change.factor + change.offset
    if column.path in (LATITUDE, LONGITUDE):
        limit = 90 if column.path == LATITUDE else 180
        number = ibis.ifelse(number.between(-limit, limit), number, ibis.null("float64"))
    return _whole(number) if column.type == "integer" else number


def _times(raw: Raw, time: TimeColumn) -> tuple[Expression, Expression]:
    """Microseconds of the instant and of the clock of the zone."""
    values = raw[time.header]
    if time.clock in ("epoch-s", "epoch-ms"):
        scale = 1 if time.clock == "epoch-s" else 1000
        number = _number(values)
        number = ibis.ifelse(number.between(_FIRST_S * scale, _LAST_S * scale), number, ibis.null("float64"))
        return _both((number * (_SECOND_US // scale)).round().cast("int64"), time.zone)
    if time.clock == "day-and-ms":
        return _both(_day_and_ms(raw, time), time.zone)
    if raw.by_file(time.day_one):
        day = _stem(raw.file, True).re_extract(r"(\d{4}-\d\d-\d\d)", 1)
        values = day + " " + values.cast("string").strip()
    return _of_clock(values, time.zone)


def _both(us: Expression, zone: str) -> tuple[Expression, Expression]:
    """An instant, and what the clock of the zone shows then."""
    return us, us if zone == "UTC" else _shown_us(_shown(zone, _at_us(us)))


def _measured(shown: Expression) -> Expression:
    """Times that the engine can compute with, else null."""
    first, last = ibis.timestamp("1971-01-01 00:00:00"), ibis.timestamp("2200-01-01 00:00:00")
    return ibis.ifelse((shown >= first) & (shown < last), shown, ibis.null("timestamp"))


def _of_clock(values: Expression, zone: str) -> tuple[Expression, Expression]:
    """Text and timestamps: instants where they have an offset, else of the zone."""
    type_ = values.type()
    if type_.is_timestamp() and type_.timezone is not None:
        return _both(_shown_us(_measured(_shown("UTC", values))), zone)
    if type_.is_timestamp():
        shown = _measured(values.cast("timestamp"))
        return (_shown_us(shown) if zone == "UTC" else _instant_us(_instant(zone, shown))), _shown_us(shown)
    text = values.cast("string").strip()
    shown = _measured(text.try_cast("timestamp"))
    if zone == "UTC":
        return _shown_us(shown), _shown_us(shown)
    # With an offset the engine has made it UTC already.
    offset = text.re_search(r"\d\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)$")
    us = ibis.ifelse(offset, _shown_us(shown), _instant_us(_instant(zone, shown)))
    return us, ibis.ifelse(offset, _shown_us(_shown(zone, _at_us(_shown_us(shown)))), _shown_us(shown))


def _day_and_ms(raw: Raw, time: TimeColumn) -> Expression:
    """The beginning of the trip by the clock of the zone, and the milliseconds since."""
    day = _number(raw[time.header])
    day = ibis.ifelse(day.between(-36_500, 73_000), day, ibis.null("float64"))
    begin_ms = ((day - 1) * _DAY_MS).round().cast("int64")
    first = _shown_us(ibis.timestamp(f"{time.day_one} 00:00:00"))
    begin = _instant_us(_instant(time.zone, _measured(_of_us(first + begin_ms * 1000))))
    if time.ms_header is None:
        return begin
    ms = _whole(raw[time.ms_header])
    return begin + ibis.ifelse(ms.between(0, _MAX_TRIP_MS), ms, ibis.null("int64")) * 1000
