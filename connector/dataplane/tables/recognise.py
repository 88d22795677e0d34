"""From the headers of a table to what its columns mean: known data sets, VSS paths as headers, and careful guesses. No I/O.

A guess is made by name and unit: a signal that has a unit is guessed only from a header that says one. A time without an offset
has no zone that could be guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Map
from typing import Final

import msgspec

from connector.dataplane.tables.formats import FILE_NAME, FORMATS, Format
from connector.dataplane.tables.model import ACCELERATION, LATITUDE, LONGITUDE, SPEED, Clock, Column, Mapping, TimeColumn, Type
from connector.dataplane.tables.refused import TableRefused
from connector.dataplane.tables.signals import CLOSED, PATH, SIGNALS, VIN, category_of, conversion, unit_of

MAX_NAME: Final = 200
"""Characters of a header, a path and the name of a vehicle."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What headers turned out to be. ``mapping`` is None where something is ``missing``; ``guessed`` says header and meaning of
    what was not known for sure; ``ignored`` are headers that will not be read. ``roles`` (header of ``vehicle``, ``trip``,
    ``time``) and ``columns`` are what was guessed, also where that is not enough for a mapping."""

    mapping: Mapping | None
    missing: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    roles: dict[str, str] = msgspec.field(default_factory=dict)
    columns: tuple[Column, ...] = ()


def repaired(header: str) -> str:
    """A header as it was meant: without a byte order mark, and decoded once more if it was encoded twice."""
    stripped = header.removeprefix("\ufeff").strip()
    for codec in ("latin-1", "cp1252"):
        try:
            again = stripped.encode(codec).decode("utf-8")
        except UnicodeError:
            continue
        return repaired(again) if again != stripped else stripped
    return stripped


def recognise(headers: Sequence[tuple[str, str]], samples: Map[str, Sequence[str]]) -> Found:
    """What ``headers`` (name and type, as in ``Table.headers``) mean; ``samples`` has a few values of each as text."""
    names: dict[str, str] = {}
    for header, _ in headers:
        names.setdefault(repaired(header), header)
    for known in FORMATS:
        if known.needs <= names.keys() and not known.not_with & names.keys():
            return _known(known, names)
    types = dict(headers)
    if any(name.startswith("Vehicle.") for name in names):
        return _vss(names, types, samples)
    return _guess(names, types, samples)


def _known(known: Format, names: Map[str, str]) -> Found:
    columns = tuple(_column(names[name], path) for name, path in known.columns.items() if name in names)
    time = msgspec.structs.replace(known.time, header=names[known.time.header])
    if known.time.ms_header is not None:
        time = msgspec.structs.replace(time, ms_header=names[known.time.ms_header])
    mapping = Mapping(
        origin=known.origin,
        columns=columns,
        time=time,
        vehicle=None if known.vehicle is None else names[known.vehicle],
        one_vehicle=known.one_vehicle,
        trip=known.trip if known.trip == FILE_NAME else names[known.trip],
    )
    return Found(mapping=mapping, ignored=_ignored(mapping, names.values()))


def _column(header: str, path: str, type_: Type | None = None) -> Column:
    signal = SIGNALS.get(path)
    unit = signal.unit if signal else unit_of(header)
    return Column(header, path, signal.type if signal else type_ or "text", unit, category_of(path))


def _ignored(mapping: Mapping, headers: Iterable[str]) -> tuple[str, ...]:
    used = {mapping.vehicle, mapping.trip, mapping.time.header, mapping.time.ms_header}
    used |= {column.header for column in mapping.columns}
    return tuple(header for header in headers if header not in used)


def _vss(names: Map[str, str], types: Map[str, str], samples: Map[str, Sequence[str]]) -> Found:
    lower = {name.lower(): header for name, header in names.items()}
    missing = [what for what, name in (("vehicle", VIN), ("trip", "trip"), ("time", "time")) if name.lower() not in lower]
    if missing:
        return Found(mapping=None, missing=tuple(missing))
    header = lower["time"]
    clock = _clock(types[header], samples.get(header, ()), zone="UTC")
    if clock is None:
        return Found(mapping=None, missing=("a time that can be read",))
    columns = tuple(
        _column(names[name], name, _type(types[names[name]], samples.get(names[name], ())))
        for name in names
        if PATH.fullmatch(name) and not name.startswith(CLOSED)
    )
    time = TimeColumn(header, clock)
    mapping = Mapping(origin="vss", columns=columns, time=time, vehicle=lower[VIN.lower()], trip=lower["trip"])
    return Found(mapping=mapping, ignored=_ignored(mapping, names.values()))


_NUMBER: Final = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_OFFSET: Final = re.compile(r"\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|[+-]\d\d(:?\d\d)?)\s*")
_LOCAL: Final = re.compile(r"\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*")


def _said(samples: Sequence[str]) -> list[str]:
    return [value for value in samples if value.strip() and value.strip().lower() not in ("nan", "null")]


def _type(type_: str, samples: Sequence[str]) -> Type:
    if type_ == "bool":
        return "flag"
    if type_.startswith(("float", "double", "halffloat", "decimal", "int", "uint")):
        return "number"
    said = _said(samples)
    if said and all(value.lower() in ("true", "false") for value in said):
        return "flag"
    return "number" if said and all(_NUMBER.fullmatch(value) for value in said) else "text"


def _clock(type_: str, samples: Sequence[str], zone: str | None) -> Clock | None:
    """How a column tells the time, or None. Without a ``zone``, text and timestamps need an offset."""
    if type_.startswith("timestamp"):
        return "instant" if zone or "tz=" in type_ else None
    said = _said(samples)
    if not said:
        return None
    if all(_NUMBER.fullmatch(value) for value in said):
        values = [float(value) for value in said]
        if all(1e8 <= value < 1e11 for value in values):
            return "epoch-s"
        return "epoch-ms" if all(1e11 <= value < 1e14 for value in values) else None
    if all(_OFFSET.fullmatch(value) for value in said):
        return "instant"
    return "instant" if zone and all(_LOCAL.fullmatch(value) or _OFFSET.fullmatch(value) for value in said) else None


_VEHICLE: Final = frozenset({"vin", "vehicle", "vehicleid", "vehid", "carid", "car", "veh"})
_TRIP: Final = frozenset({"trip", "tripid", "trackid", "track", "journey", "journeyid", "tripno", "rideid"})
_TIME: Final = frozenset(
    {"time", "timestamp", "ts", "datetime", "utc", "timeutc", "utctime", "timestamputc", "epoch", "epochs", "epochms"}
    | {"times", "timems", "timestamps", "timestampms", "unixtime", "recordedat", "measuredat"}
)
_PLACES: Final[Map[str, str]] = {
    **dict.fromkeys(("lat", "latitude", "gpslat", "gpslatitude", "positionlat"), LATITUDE),
    **dict.fromkeys(("lon", "lng", "long", "longitude", "gpslon", "gpslongitude", "positionlon"), LONGITUDE),
}
_SIGNALS: Final[Map[str, str]] = {
    **dict.fromkeys(("speed", "vehiclespeed", "velocity", "speedobd", "obdspeed", "carspeed"), SPEED),
    **dict.fromkeys(("heading", "bearing", "course"), "Vehicle.CurrentLocation.Heading"),
    **dict.fromkeys(("altitude", "elevation"), "Vehicle.CurrentLocation.Altitude"),
    **dict.fromkeys(("enginespeed", "enginerpm", "engine"), "Vehicle.Powertrain.CombustionEngine.Speed"),
    **dict.fromkeys(("odometer", "mileage", "traveleddistance", "travelleddistance"), "Vehicle.TraveledDistance"),
    **dict.fromkeys(("acceleration", "accel", "longitudinalacceleration", "accelerationlongitudinal"), ACCELERATION),
    **dict.fromkeys(("lateralacceleration", "accelerationlateral"), "Vehicle.Acceleration.Lateral"),
    **dict.fromkeys(("soc", "stateofcharge", "batterysoc"), "Vehicle.Powertrain.TractionBattery.StateOfCharge.Displayed"),
    **dict.fromkeys(("ambienttemp", "ambienttemperature", "outsidetemp", "airtemp"), "Vehicle.Exterior.AirTemperature"),
    **dict.fromkeys(("coolanttemp", "coolanttemperature"), "Vehicle.Powertrain.CombustionEngine.EngineCoolant.Temperature"),
    **dict.fromkeys(("maf", "massairflow"), "Vehicle.Powertrain.CombustionEngine.MAF"),
    **dict.fromkeys(("throttle", "throttleposition"), "Vehicle.Powertrain.CombustionEngine.TPS"),
}
_BARE: Final = {"rpm": "Vehicle.Powertrain.CombustionEngine.Speed"}


def _plain(name: str) -> str:
    """A header's letters and digits, small."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _without_unit(name: str) -> str:
    """A header's name in front of its unit, plain."""
    cut = re.sub(r"\s*[\[(][^\[\]()]*[\])]\s*$", "", name)
    if cut == name and unit_of(name) is not None:
        words = name.split("_")
        cut = "_".join(words[: -2 if len(words) > 2 and unit_of("x_" + "_".join(words[-2:])) and not unit_of(words[-1]) else -1])
    return _plain(cut)


def _signal(name: str, samples: Sequence[str]) -> str | None:
    """The path that a header safely means: places by name and range, everything else by name and unit."""
    if (place := _PLACES.get(_without_unit(name))) is not None:
        limit, said = 90 if place == LATITUDE else 180, _said(samples)
        return place if all(_NUMBER.fullmatch(value) and abs(float(value)) <= limit for value in said) else None
    if (bare := _BARE.get(_plain(name))) is not None:
        return bare
    path = _SIGNALS.get(_without_unit(name))
    if path is None or (unit := unit_of(name)) is None:
        return None
    target = SIGNALS[path].unit
    return path if unit == target or conversion(unit, target) is not None else None


def _guess(names: Map[str, str], types: Map[str, str], samples: Map[str, Sequence[str]]) -> Found:
    guessed: list[str] = []
    roles: dict[str, str] = {}
    for role, words in (("vehicle", _VEHICLE), ("trip", _TRIP), ("time", _TIME)):
        fitting = [name for name in names if _plain(name) in words and name not in roles.values()]
        if len(fitting) == 1:
            roles[role] = fitting[0]
            guessed.append(f"{fitting[0]} is the {role}")
    missing = [role for role in ("vehicle", "trip", "time") if role not in roles]
    clock: Clock | None = None
    if "time" in roles:
        header = names[roles["time"]]
        zone = "UTC" if "utc" in roles["time"].lower() else None
        clock = _clock(types[header], samples.get(header, ()), zone)
        if clock is None:
            missing.append(f"the zone or the unit of {roles['time']}")
    columns: dict[str, Column] = {}
    for name, header in names.items():
        path = None if name in roles.values() else _signal(name, samples.get(header, ()))
        if path is not None and path not in columns:
            columns[path] = _column(header, path)
            guessed.append(f"{name} is {path}")
    if not columns:
        missing.append("a signal")
    if missing or clock is None:
        known = {role: names[name] for role, name in roles.items()}
        return Found(mapping=None, missing=tuple(missing), guessed=tuple(guessed), roles=known, columns=tuple(columns.values()))
    mapping = Mapping(
        origin="given",
        columns=tuple(columns.values()),
        time=TimeColumn(names[roles["time"]], clock),
        vehicle=names[roles["vehicle"]],
        trip=names[roles["trip"]],
    )
    return Found(mapping=mapping, guessed=tuple(guessed), ignored=_ignored(mapping, names.values()))


def completed(mapping: Mapping) -> Mapping:
    """A mapping in which the columns of signals that are known, and of which nothing but the path was said, have the type, unit
    and category of the signal."""
    return msgspec.structs.replace(mapping, columns=tuple(map(_completed, mapping.columns)))


def _completed(column: Column) -> Column:
    signal = SIGNALS.get(column.path)
    if signal is None:
        return column
    if column == Column(column.header, column.path):
        return Column(column.header, column.path, signal.type, signal.unit, signal.category)
    # Without the unit a value in another one would not be converted.
    return msgspec.structs.replace(column, unit=column.unit or signal.unit)


def check(mapping: Mapping, headers: Sequence[tuple[str, str]]) -> None:
    """That a mapping which was given fits the headers. Raises TableRefused, about the first thing that does not."""
    types, time = dict(headers), mapping.time
    if (mapping.vehicle is None) == (mapping.one_vehicle is None) or not len(mapping.one_vehicle or "x") <= MAX_NAME:
        raise TableRefused("vehicle-unreadable", "a mapping names the column of the vehicle, or one vehicle, and not both")
    if time.clock == "day-and-ms" and not re.fullmatch(r"\d{4}-\d\d-\d\d", time.day_one or ""):
        raise TableRefused("time-unreadable", "days are counted from a day that the mapping names", time.header)
    roles = [each for each in (mapping.vehicle, mapping.trip, time.header, time.ms_header) if each is not None]
    asked = [*roles, *(column.header for column in mapping.columns)]
    for header in asked:
        if header not in types and header != (FILE_NAME if mapping.trip == FILE_NAME else None):
            raise TableRefused("column-missing", f"the table has no column {header[:MAX_NAME]!r}", header[:MAX_NAME])
        if asked.count(header) > 1:
            raise TableRefused("column-double", f"the column {header[:MAX_NAME]!r} is mapped twice", header[:MAX_NAME])
    if not mapping.columns:
        raise TableRefused("column-missing", "the mapping names no signal")
    paths = [column.path.lower() for column in mapping.columns]
    for column in mapping.columns:
        if paths.count(column.path.lower()) > 1:
            raise TableRefused("column-double", f"two columns are mapped to {column.path[:MAX_NAME]}", column.path[:MAX_NAME])
        _fits(column, types[column.header])


def _fits(column: Column, type_: str) -> None:
    """That one column may be read as its mapping says. Raises TableRefused."""
    path, signal = column.path[:MAX_NAME], SIGNALS.get(column.path)
    if not PATH.fullmatch(column.path) or len(column.path) > MAX_NAME or column.path.startswith(CLOSED):
        raise TableRefused("column-path", f"{path!r} is not a path that a column may have", path)
    if signal is not None and (column.unit or signal.unit) != signal.unit:
        raise TableRefused("column-unit", f"{path} is read in {signal.unit}; say the unit of the file in its header", path)
    if signal is not None and column.type != signal.type and {column.type, signal.type} != {"number", "integer"}:
        raise TableRefused("column-type", f"{path} is a {signal.type}, not a {column.type}", path)
    if signal is not None and column.category != signal.category:
        raise TableRefused("column-path", f"{path} is of the category {signal.category}", path)
    if type_.startswith(("timestamp", "date", "time", "binary", "fixed", "struct", "map", "large_binary", "duration")):
        raise TableRefused("column-type", f"a column of the type {type_[:40]} cannot be read as a {column.type}", path)
    if type_.startswith("list") and column.type != "text":
        raise TableRefused("column-type", f"a list cannot be read as a {column.type}", path)
