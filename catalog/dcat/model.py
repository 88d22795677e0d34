"""The catalogue record as frozen values: what a dataset is, whatever document says so.

Classes and members bear the names of DCAT 3 (W3C) and mobilityDCAT-AP 1.1 where those have one. What is mandatory there may be
missing here: a record that somebody is still writing is a value too, and `catalog.records` says what it lacks. Nothing here
judges. Instants are ms since the epoch, concepts are IRIs. Imports nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Algorithm = Literal["sha1", "sha256"]
DataType = Literal[
    "boolean", "string", "string[]", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double"
]
"""VSS data types."""


@dataclass(frozen=True, slots=True)
class Text:
    """Words in one language; `language` is a BCP 47 tag in lower case such as `de` or `de-ch`."""

    text: str
    language: str


Texts = tuple[Text, ...]
"""The same in several languages, each once."""


@dataclass(frozen=True, slots=True)
class Agent:
    """foaf:Agent: who publishes. `email` is an address without `mailto:`."""

    iri: str
    names: Texts = ()
    homepage: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """vcard:Kind: whom to ask. `email` is an address without `mailto:`."""

    name: str
    email: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A bounding box in WGS 84 degrees."""

    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True, slots=True)
class Place:
    """dct:Location: by IRI (EU authority table, NUTS, GeoNames), by bounding box, or both."""

    iri: str | None = None
    names: Texts = ()
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """dct:PeriodOfTime: both bounds inclusive; None is open."""

    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RightsStatement:
    """dct:RightsStatement: `conditions` are concepts of mobilityDCAT-AP's conditions for access and usage."""

    conditions: tuple[str, ...] = ()
    labels: Texts = ()


@dataclass(frozen=True, slots=True)
class Checksum:
    """spdx:Checksum: `value` is the digest in lower-case hexadecimal."""

    algorithm: Algorithm | None
    value: str


@dataclass(frozen=True, slots=True)
class Standard:
    """mobilitydcatap:MobilityDataStandard: `name` is a concept of its table; what that lacks is `other` with a `schema`.

    Vehicle data is `other` with VSS as its schema: dct:conformsTo of a dataset is taken by the reference system there.
    """

    name: str
    version: str | None = None
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class DataService:
    """dcat:DataService: where the data is to be had."""

    iri: str
    titles: Texts = ()
    endpoint_url: str | None = None
    endpoint_description: str | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """dcat:Distribution: one form of a dataset, fetched in one way.

    `transfer` is DSP's format (`HttpData-PULL`); `file_type` the IRI of an EU file type, which mobilityDCAT-AP calls format.
    """

    iri: str
    transfer: str
    titles: Texts = ()
    access_url: str | None = None
    file_type: str | None = None
    media_type: str | None = None
    rights: RightsStatement | None = None
    standard: Standard | None = None
    service: DataService | None = None
    license: str | None = None
    byte_size: int | None = None
    checksums: tuple[Checksum, ...] = ()


class Privacy(StrEnum):
    """What a column tells about a person."""

    NONE = "none"
    """Nothing: weather, a road."""
    TECHNICAL = "technical"
    """The state of a vehicle: mileage, battery, fault codes."""
    LOCATION = "location"
    """Where somebody is, when combined with who."""
    DRIVING_BEHAVIOUR = "driving-behaviour"
    """How somebody drives."""
    IDENTIFYING = "identifying"
    """Who it is: VIN, a pseudonym that stays."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `path` is its VSS path, None for what VSS has no node for; `unit` is spelled as VSS does."""

    name: str
    path: str | None = None
    unit: str | None = None
    datatype: DataType | None = None
    privacy: Privacy | None = None
    nullable: bool = True
    descriptions: Texts = ()


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures measured in the data.

    `vehicles_estimated` and `trips_estimated`: there were too many to count exactly. `duplicates` is a lower bound.
    `completeness` has the share of rows (0 to 1) in which each column has a value. `sampling_interval_ms` is the median time
    between two rows of a trip.
    """

    rows: int
    vehicles: int | None = None
    vehicles_estimated: bool = False
    trips: int | None = None
    trips_estimated: bool = False
    duplicates: int = 0
    period: Period | None = None
    sampling_interval_ms: int | None = None
    completeness: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """dcat:Dataset: what is on offer. `crs` is an EPSG reference system (IRI); `languages` those of the data's own texts."""

    iri: str
    titles: Texts = ()
    descriptions: Texts = ()
    publisher: Agent | None = None
    frequency: str | None = None
    spatial: tuple[Place, ...] = ()
    themes: tuple[str, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    keywords: Texts = ()
    contact: Contact | None = None
    period: Period | None = None
    languages: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    crs: str | None = None
    version: str | None = None
    issued_ms: int | None = None
    modified_ms: int | None = None
    columns: tuple[Column, ...] = ()
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class CatalogRecord:
    """dcat:CatalogRecord: the entry that is about `topic` (foaf:primaryTopic). `languages` are those of the entry's texts."""

    iri: str
    topic: Dataset | None = None
    created_ms: int | None = None
    modified_ms: int | None = None
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalog:
    """dcat:Catalog: its datasets are the topics of its records."""

    iri: str
    titles: Texts = ()
    descriptions: Texts = ()
    homepage: str | None = None
    publisher: Agent | None = None
    spatial: tuple[Place, ...] = ()
    languages: tuple[str, ...] = ()
    records: tuple[CatalogRecord, ...] = ()
    service: DataService | None = None

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """dcat:dataset: what the records are about."""
        return tuple(record.topic for record in self.records if record.topic)
