"""A table as data: its files, what each column means, and what was found when it was looked at. No I/O.

Column names are never identifiers of a query: the reading makes VSS paths of them, and everything behind it knows those only.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import msgspec

from connector.dataplane.plan.model import Circle

Origin = Literal["envirocar", "kit", "ved", "vss", "given"]
Type = Literal["number", "integer", "text", "flag"]
Clock = Literal["instant", "epoch-s", "epoch-ms", "day-and-ms"]

SPEED: Final = "Vehicle.Speed"
LATITUDE: Final = "Vehicle.CurrentLocation.Latitude"
LONGITUDE: Final = "Vehicle.CurrentLocation.Longitude"
ACCELERATION: Final = "Vehicle.Acceleration.Longitudinal"

Category = Literal["location", "driving-behaviour", "mileage", "diagnostics", "energy", "environment", "identity"]
"""Of what kind a column's data are: a consent is for one of these."""


class Column(msgspec.Struct, frozen=True):
    """One signal: its header in the files, its VSS path (or a name of our own), type, unit (as VSS spells it) and category."""

    header: str
    path: str
    type: Type = "number"
    unit: str | None = None
    category: Category = "diagnostics"


class TimeColumn(msgspec.Struct, frozen=True):
    """When a row was measured.

    ``instant``: text or timestamps; without an offset they are of ``zone``. ``day-and-ms``: a fractional day number that counts
    from ``day_one`` (an ISO date that is day 1), in ``zone``, and in ``ms_header`` the milliseconds since the beginning of the
    trip.
    """

    header: str
    clock: Clock = "instant"
    zone: str = "UTC"
    day_one: str | None = None
    ms_header: str | None = None


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """What the columns of a source mean. ``vehicle`` and ``trip`` are headers; ``one_vehicle`` stands in where there is none.

    A trip is told apart by its header together with the vehicle's.
    """

    origin: Origin
    columns: tuple[Column, ...]
    time: TimeColumn
    vehicle: str | None = None
    one_vehicle: str | None = None
    trip: str | None = None


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A source that was looked at.

    ``files`` are real paths; ``headers`` all columns of the files with their types as the engine names them; ``sampling_ms`` the
    median time between two rows of a trip. ``id`` names the raw table, whatever datasets are made of it; ``schema`` changes with
    the headers and their types, ``snapshot`` whenever a file does. ``sensitive`` are places that the owner named.
    ``personal``: its rows are about vehicles of people, so they leave by consent or another basis on record. ``bases``: IRIs of
    the legal bases, beside consent, that the owner has on record for all its vehicles.
    """

    id: str
    files: tuple[str, ...]
    format: Literal["csv", "parquet"]
    headers: tuple[tuple[str, str], ...]
    mapping: Mapping
    rows: int
    vehicles: int
    sampling_ms: int | None
    first_s: int | None
    last_s: int | None
    snapshot: str
    sensitive: tuple[Circle, ...] = ()
    personal: bool = True
    bases: tuple[str, ...] = ()
    encoding: str = "utf-8"
    delimiter: str = ","

    @property
    def schema(self) -> str:
        """Digest of the headers and their types, in hex."""
        return hashlib.sha256(msgspec.json.encode(sorted(self.headers))).hexdigest()

    @property
    def paths(self) -> frozenset[str]:
        """The VSS paths of its signals."""
        return frozenset(column.path for column in self.mapping.columns)

    def column(self, path: str) -> Column | None:
        """The column of a VSS path."""
        return next((column for column in self.mapping.columns if column.path == path), None)

    @property
    def placed(self) -> bool:
        """Whether its rows say where a vehicle was."""
        return {LATITUDE, LONGITUDE} <= self.paths
