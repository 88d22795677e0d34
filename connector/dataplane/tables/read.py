"""A table as one expression: each row with its vehicle, trip, time and signals, under names that are ours.

No header and no value becomes text of a query: columns of CSV are read by position, columns of Parquet as quoted identifiers of
Ibis, names of zones and files as literals. Values that cannot be read are null; a row whose vehicle, trip or time cannot be read
is no row, since nothing that governs rows could govern it. Needs an engine whose settings are made elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import ibis

from connector.dataplane.tables.files import Dialect, Headers, Kind, headers_of, snapshot_of
from connector.dataplane.tables.formats import FILE_NAME
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, Column, Table, TimeColumn
from connector.dataplane.tables.refused import SchemaChanged, TableRefused
from connector.dataplane.tables.signals import conversion, unit_of
from connector.dataplane.tables.zones import Offsets, instant_us, offsets, shown_us

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Column as Expression
    from ibis.expr.types import Table as Rows

VEHICLE: Final = "vehicle"
TRIP: Final = "trip"
AT: Final = "at"
LOCAL: Final = "local"
_SECOND_US: Final = 1_000_000
_DAY_S: Final = 86_400
_DAY_MS: Final = 86_400_000
_MAX_TRIP_MS: Final = 10 * _DAY_MS
# No path has a blank.
_AT: Final = "clock at"
_SHOWN: Final = "clock shown"
_OFFSET: Final = "clock offset"
_SINCE: Final = "clock since"
# What is outside was not measured by a car, and the engine's arithmetic cannot overflow within.
_FIRST_S: Final = 31_536_000
_LAST_S: Final = 7_258_118_400
_EXACT: Final = 2**53
_NOTHING: Final = ("", "NaN", "nan")

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
    parsed = _parsed(connection, table, paths)
    needed = [VEHICLE, TRIP, *(name for name in (_AT, _SHOWN, _SINCE) if name in parsed.columns)]
    # Of what was parsed, not of what is made of it: the engine computes again whatever it filters by.
    rows = _timed(parsed.filter([parsed[name].notnull() for name in needed]), table)
    at, local = _divide(rows["us"], _SECOND_US), _divide(rows["local_us"], _SECOND_US)
    signals = {column.path: rows[column.path] for column in _asked(table, paths)}
    return rows.select(**{VEHICLE: rows[VEHICLE], TRIP: rows[TRIP], AT: at, LOCAL: local, **signals})


def _asked(table: Table, paths: frozenset[str] | None) -> tuple[Column, ...]:
    if paths is not None and not paths <= table.paths:
        raise ValueError("the table has no column of that path")
    return tuple(column for column in table.mapping.columns if paths is None or column.path in paths)


def readings(connection: Backend, table: Table) -> Rows:
    """All rows, also those that are none: ``vehicle``, ``trip``, and the times in microseconds: ``us`` and ``local_us``."""
    return _timed(_parsed(connection, table, frozenset()), table)


def _parsed(connection: Backend, table: Table, paths: frozenset[str] | None) -> Rows:
    """Vehicle, trip, the columns of ``_clock`` and the signals."""
    dialect, mapping = Dialect(table.encoding, table.delimiter), table.mapping
    raw = Raw(connection, table.files, table.format, table.headers, dialect)
    vehicle = ibis.literal(mapping.one_vehicle) if mapping.vehicle is None else _text(raw[mapping.vehicle])
    if mapping.trip is None:
        trip = ibis.literal("")
    else:
        trip = _stem(raw.file, True) if raw.by_file(mapping.trip) else _text(raw[mapping.trip])
    signals = {column.path: _signal(raw[column.header], column) for column in _asked(table, paths)}
    return raw.rows.select(**{VEHICLE: vehicle, TRIP: trip, **_clock(raw, mapping.time), **signals})


def _timed(parsed: Rows, table: Table) -> Rows:
    """``parsed`` with ``us`` and ``local_us``, each made in a step of its own so that nothing is computed twice."""
    zone = table.mapping.time.zone
    known = offsets(zone, table.first_s, table.last_s)
    timed = parsed.mutate(us=_us(parsed, zone, known))
    return timed.mutate(local_us=_local_us(timed, zone, known))


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
            nullstr=list(_NOTHING),
        )

    def __getitem__(self, header: str) -> Expression:
        values = self.rows[self._names[header]]
        # Also so that there is no bare cast of a column: DuckDB 2.0 has the CSV reader make such a TRY_CAST, and it fails.
        return values.nullif("") if values.type().is_string() else values

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
    """Text as it is; null where nothing is said."""
    type_ = values.type()
    if type_.is_floating():
        return ibis.ifelse(_finite(values.cast("float64")), values.cast("string"), ibis.null("string"))
    return values.cast("string")


def _number(values: Expression) -> Expression:
    """Finite floating point numbers."""
    type_ = values.type()
    number = values.try_cast("float64") if type_.is_string() else values.cast("float64")
    return ibis.ifelse(_finite(number), number, ibis.null("float64"))


def _bounded(values: Expression, first: int, last: int) -> Expression:
    """Numbers between two, else null; what is not a number is greater than all."""
    number = values.try_cast("float64") if values.type().is_string() else values.cast("float64")
    return ibis.ifelse(number.between(first, last), number, ibis.null("float64"))


def _whole(values: Expression) -> Expression:
    return _bounded(values, -_EXACT, _EXACT).round().cast("int64")


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
    if column.path in (LATITUDE, LONGITUDE):
        limit = 90 if column.path == LATITUDE else 180
        return _bounded(values, -limit, limit)
    number = _number(values)
    change = conversion(unit_of(column.header), column.unit)
    if change is not None:
        number = number * change.factor + change.offset
    return _whole(number) if column.type == "integer" else number


def _clock(raw: Raw, time: TimeColumn) -> dict[str, Expression]:
    """What a row says of its time, in microseconds: an instant; or what the clock of the zone shows, and with that whether it was
    an instant after all, or how much later the row is."""
    values = raw[time.header]
    if time.clock in ("epoch-s", "epoch-ms"):
        scale = 1 if time.clock == "epoch-s" else 1000
        number = _bounded(values, _FIRST_S * scale, _LAST_S * scale)
        return {_AT: (number * (_SECOND_US // scale)).round().cast("int64")}
    if time.clock == "day-and-ms":
        return _day_and_ms(raw, time)
    if raw.by_file(time.day_one):
        day = _stem(raw.file, True).re_extract(r"(\d{4}-\d\d-\d\d)", 1)
        return {_SHOWN: _shown_us(_measured((day + " " + values.cast("string").strip()).try_cast("timestamp")))}
    type_ = values.type()
    if type_.is_timestamp() and type_.timezone is not None:
        return {_AT: _whole_us(values)}
    if type_.is_timestamp():
        return {_SHOWN: _shown_us(_measured(values.cast("timestamp")))}
    text = values.cast("string").strip()
    # With an offset the engine makes it UTC.
    shown = _shown_us(_measured(text.try_cast("timestamp")))
    if time.zone == "UTC":
        return {_AT: shown}
    return {_SHOWN: shown, _OFFSET: text.re_search(r"\d\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)$")}


def _us(rows: Rows, zone: str, known: Offsets | None) -> Expression:
    """The instants of rows that have the columns of ``_clock``."""
    if _AT in rows.columns:
        return rows[_AT]
    shown = rows[_SHOWN]
    us = shown if zone == "UTC" else instant_us(shown, known, lambda at: _instant_us(_instant(zone, _of_us(at))))
    if _OFFSET in rows.columns:
        return ibis.ifelse(rows[_OFFSET], shown, us)
    return us + rows[_SINCE] if _SINCE in rows.columns else us


def _local_us(rows: Rows, zone: str, known: Offsets | None) -> Expression:
    """What the clock of the zone shows at the instants of rows."""
    if zone == "UTC":
        return rows["us"]
    if _SHOWN in rows.columns and not {_OFFSET, _SINCE} & set(rows.columns):
        return rows[_SHOWN]
    return shown_us(rows["us"], known, lambda at: _shown_us(_shown(zone, _at_us(at))))


def _measured(shown: Expression) -> Expression:
    """Times that the engine can compute with, else null."""
    first, last = ibis.timestamp("1971-01-01 00:00:00"), ibis.timestamp("2200-01-01 00:00:00")
    return ibis.ifelse((shown >= first) & (shown < last), shown, ibis.null("timestamp"))


def _whole_us(values: Expression) -> Expression:
    """Microseconds of timestamps with a zone, whose stored values are UTC."""
    first, last = (ibis.literal(text, "timestamp('UTC')") for text in ("1971-01-01 00:00:00+00:00", "2200-01-01 00:00:00+00:00"))
    inside = (values >= first) & (values < last)
    return _instant_us(ibis.ifelse(inside, values, ibis.null("timestamp('UTC')")))


def _day_and_ms(raw: Raw, time: TimeColumn) -> dict[str, Expression]:
    """The beginning of the trip by the clock of the zone, and the time since."""
    first_s = round(datetime.fromisoformat(f"{time.day_one}T00:00:00+00:00").timestamp())
    day = _bounded(raw[time.header], (_FIRST_S - first_s) // _DAY_S + 2, (_LAST_S - first_s) // _DAY_S)
    shown = {_SHOWN: ((day - 1) * _DAY_MS).round().cast("int64") * 1000 + first_s * _SECOND_US}
    if time.ms_header is None:
        return shown
    return {**shown, _SINCE: _bounded(raw[time.ms_header], 0, _MAX_TRIP_MS).round().cast("int64") * 1000}
