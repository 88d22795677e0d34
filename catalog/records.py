"""What is wrong with a catalogue record, for people to act on: what it lacks, and what cannot be right.

`MANDATORY` is DCAT-AP's and mobilityDCAT-AP 1.1's list of what must be there (sh:minCount 1), with what DSP needs besides. The
rest is sense: periods that end before they begin, concepts that are in no table, units that VSS does not give a signal. Places
in findings are JSON pointers of the specification's names (`/dcat:distribution/0/dct:rights`). A record without findings can be
published. Pure. Imports `catalog.dcat` and `catalog.findings`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from catalog.dcat import instants, vss
from catalog.dcat import vocabulary as voc
from catalog.dcat.model import (
    Agent,
    Catalog,
    CatalogRecord,
    Checksum,
    Column,
    Contact,
    DataService,
    Dataset,
    Distribution,
    Period,
    Place,
    Privacy,
    Quality,
    RightsStatement,
    Standard,
    Texts,
)
from catalog.findings import MAX_FINDINGS, Finding

MAX_COLUMNS: Final = 500
"""Most columns of a dataset (count)."""
MAX_TEXT_CHARS: Final = 10_000
"""Longest text in one language."""


class Needed(NamedTuple):
    """A property that must be there: its name, the member of the model that holds it, and what to do about it."""

    name: str
    member: str
    remedy: str


MANDATORY: Final[Mapping[type, tuple[Needed, ...]]] = MappingProxyType(
    {
        Catalog: (
            Needed("dct:title", "titles", "name the catalogue"),
            Needed("dct:description", "descriptions", "say what the catalogue offers"),
            Needed("dct:publisher", "publisher", "say who runs it"),
            Needed("foaf:homepage", "homepage", "give the web page of whoever runs it"),
            Needed("dct:spatial", "spatial", "give the country where it is run"),
            Needed("dcat:record", "records", "describe at least one dataset"),
            Needed("dcat:dataset", "datasets", "describe at least one dataset"),
        ),
        CatalogRecord: (
            Needed("dct:created", "created_ms", "say when the record was made"),
            Needed("dct:language", "languages", "say which languages the record is written in"),
            Needed("foaf:primaryTopic", "topic", "say which dataset the record is about"),
        ),
        Dataset: (
            Needed("dct:title", "titles", "name the dataset"),
            Needed("dct:description", "descriptions", "say what is in it"),
            Needed("dct:publisher", "publisher", "say who publishes it"),
            Needed("dct:accrualPeriodicity", "frequency", "say how often it is updated: NEVER, DAILY... of the EU's table"),
            Needed("dct:spatial", "spatial", "say which country or place it covers"),
            Needed("dcat:distribution", "distributions", "say how to get it"),
            Needed("mobilitydcatap:mobilityTheme", "themes", "choose a mobility theme; driving behaviour is `other`"),
        ),
        Distribution: (
            Needed("dcat:accessURL", "access_url", "give the address where it is asked for"),
            Needed("dct:format", "file_type", "give the file type: CSV, PARQUET... of the EU's table"),
            Needed("dct:rights", "rights", "say on what conditions it is to be had"),
            Needed("mobilitydcatap:mobilityDataStandard", "standard", "name the standard; vehicle data is `other` with VSS"),
            Needed("dcat:accessService", "service", "name the data service that gives it out"),
            Needed("vdx:transferFormat", "transfer", "say how it is transferred, as HttpData-PULL"),
        ),
        DataService: (
            Needed("dct:title", "titles", "name the service"),
            Needed("dcat:endpointURL", "endpoint_url", "give its address"),
        ),
        Checksum: (
            Needed("spdx:algorithm", "algorithm", "say how the digest was made: sha1 or sha256"),
            Needed("spdx:checksumValue", "value", "give the digest, or leave the checksum out"),
        ),
        Agent: (Needed("foaf:name", "names", "name it"),),
        Contact: (
            Needed("vcard:fn", "name", "name whom to ask"),
            Needed("vcard:hasEmail", "email", "give an e-mail address"),
        ),
        RightsStatement: (Needed("dct:type", "conditions", "choose from the conditions for access and usage"),),
        Standard: (Needed("dct:conformsTo", "name", "choose from the mobility data standards"),),
        Column: (Needed("vdx:name", "name", "name the column as the file does"),),
    }
)
"""Class -> what it must have."""

_CALLED: Final[Mapping[type, str]] = MappingProxyType(
    {
        Catalog: "The catalogue",
        CatalogRecord: "The catalogue record",
        DataService: "The data service",
        Agent: "The publisher",
        Contact: "The contact",
        RightsStatement: "The rights statement",
    }
)
_DIGEST_CHARS: Final = {"sha1": 40, "sha256": 64}
_TAG: Final = re.compile(r"[a-z]{2}(-[a-z0-9]{1,8}){0,3}\Z")
_HEX: Final = re.compile(r"[0-9a-f]+\Z")
_CRS: Final = "http://www.opengis.net/def/crs/EPSG/0/"


def findings(thing: Catalog | CatalogRecord | Dataset) -> list[Finding]:
    """Return what is wrong with `thing` and all that it holds, at most `MAX_FINDINGS`; empty when it can be published."""
    found: list[Finding] = []
    for finding in _examined(thing, ""):
        found.append(finding)
        if len(found) >= MAX_FINDINGS:
            break
    return found


def _examined(thing: Any, path: str) -> Iterator[Finding]:
    """What is wrong with `thing` at `path`: what it lacks, then what its class is examined for, then its parts."""
    for needed in MANDATORY.get(type(thing), ()):
        if getattr(thing, needed.member) in (None, (), ""):
            called = _CALLED.get(type(thing), f"The {type(thing).__name__.lower()}")
            yield Finding(f"{path}/{needed.name}", "member-missing", f"{called} has no {needed.name}: {needed.remedy}.")
    for finding in _EXAMINERS.get(type(thing), _nothing)(thing):
        yield Finding(f"{path}{finding.path}", finding.code, finding.reason)
    for name, parts in _PARTS.get(type(thing), {}).items():
        value = getattr(thing, parts)
        many = isinstance(value, tuple)
        for index, part in enumerate(value if many else (value,)):
            if part is not None:
                yield from _examined(part, f"{path}/{name}/{index}" if many else f"{path}/{name}")


def _nothing(_: Any) -> Iterator[Finding]:
    return iter(())


def _texts(name: str, texts: Texts) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, each in enumerate(texts):
        path, tag = f"/{name}/{index}", each.language
        if not each.text.strip():
            yield Finding(path, "text-empty", f"A text of {name} is empty: write it or leave it out.")
        if len(each.text) > MAX_TEXT_CHARS:
            yield Finding(path, "text-too-long", f"A text of {name} has more than {MAX_TEXT_CHARS} characters: shorten it.")
        if not _TAG.match(tag) or tag.partition("-")[0] not in voc.LANGUAGES:
            reason = f"{tag[:40]!r} is no official language of the EU: tag the text de, en, fr-be..., in lower case."
            yield Finding(path, "language-unknown", reason)
        if tag in seen and name != "dcat:keyword":
            yield Finding(path, "language-twice", f"{name} says two things in {tag!r}: keep one text per language.")
        seen.add(tag)


def _known(name: str, iris: Iterable[str | None], table: Iterable[str], what: str) -> Iterator[Finding]:
    known = frozenset(table)
    for each in iris:
        if each and each not in known:
            example = min(known)
            yield Finding(f"/{name}", "concept-unknown", f"{each[:120]} is no {what}: choose one of the table, as {example}.")


def _absolute(name: str, iris: Iterable[str | None]) -> Iterator[Finding]:
    for each in iris:
        if each and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S+\Z", each):
            yield Finding(f"/{name}", "iri-invalid", f"{each[:120]!r} is no IRI: write it in full, without blanks.")


def _instants(**moments: int | None) -> Iterator[Finding]:
    for name, moment in moments.items():
        if moment is not None and not instants.EARLIEST_MS <= moment <= instants.LATEST_MS:
            yield Finding(f"/{name}", "time-invalid", f"{name} is outside the years 1 to 9999: it is in ms since 1970.")


def _catalog(catalog: Catalog) -> Iterator[Finding]:
    yield from _texts("dct:title", catalog.titles)
    yield from _texts("dct:description", catalog.descriptions)
    yield from _known("dct:language", catalog.languages, voc.LANGUAGES.values(), "language of the EU's table")
    yield from _absolute("@id", [catalog.iri])
    yield from _absolute("foaf:homepage", [catalog.homepage])


def _record(record: CatalogRecord) -> Iterator[Finding]:
    yield from _known("dct:language", record.languages, voc.LANGUAGES.values(), "language of the EU's table")
    yield from _absolute("@id", [record.iri])
    yield from _instants(created=record.created_ms, modified=record.modified_ms)


def _dataset(record: Dataset) -> Iterator[Finding]:
    yield from _texts("dct:title", record.titles)
    yield from _texts("dct:description", record.descriptions)
    yield from _texts("dcat:keyword", record.keywords)
    yield from _absolute("@id", [record.iri])
    yield from _known("dct:accrualPeriodicity", [record.frequency], voc.FREQUENCIES, "frequency of the EU's table")
    yield from _known("mobilitydcatap:mobilityTheme", record.themes, voc.THEMES, "mobility theme")
    yield from _known("mobilitydcatap:transportMode", record.modes, voc.MODES, "transport mode")
    yield from _known("dct:language", record.languages, voc.LANGUAGES.values(), "language of the EU's table")
    yield from _instants(issued=record.issued_ms, modified=record.modified_ms)
    if record.crs and not record.crs.startswith(_CRS):
        yield Finding("/dct:conformsTo", "concept-unknown", f"The reference system is no EPSG one: write {_CRS}4326 for GPS.")
    yield from _columns(record)


def _columns(record: Dataset) -> Iterator[Finding]:
    if len(record.columns) > MAX_COLUMNS:
        yield Finding("/vdx:column", "columns-too-many", f"There are more than {MAX_COLUMNS} columns: split the dataset.")
    names = [column.name for column in record.columns]
    for name in sorted({name for name in names if names.count(name) > 1})[:MAX_FINDINGS]:
        yield Finding("/vdx:column", "column-twice", f"Two columns are called {name!r}: name each once.")
    interval = record.quality.sampling_interval_ms if record.quality else None
    behaviour = next((column.name for column in record.columns if column.privacy is Privacy.DRIVING_BEHAVIOUR), None)
    if behaviour is not None and not interval:
        reason = f"{behaviour} shows driving behaviour, which depends on how often it was measured: give the sampling interval."
        yield Finding("/vdx:quality/vdx:samplingInterval", "sampling-missing", reason)


def _column(column: Column) -> Iterator[Finding]:
    yield from _texts("dct:description", column.descriptions)
    if column.privacy is None:
        classes = ", ".join(Privacy)
        reason = f"{column.name} has no privacy class: say what it tells about a person ({classes})."
        yield Finding("/vdx:privacyClass", "privacy-missing", reason)
    if column.path is None:
        return
    signal = vss.SIGNALS.get(column.path)
    if signal is None:
        if not column.path.startswith("Vehicle."):
            yield Finding("/vdx:path", "path-invalid", f"{column.path[:120]} is no VSS path: it begins with Vehicle.")
        return
    if column.unit != signal.unit:
        wanted, given = (f"in {unit}" if unit else "without a unit" for unit in (signal.unit, column.unit))
        reason = f"{column.path} is {wanted} in VSS {vss.VERSION}, not {given}: convert it or leave the path out."
        yield Finding("/vdx:unit", "unit-mismatch", reason)
    if column.privacy is Privacy.NONE and signal.privacy is not Privacy.NONE:
        reason = f"{column.path} tells something about a person ({signal.privacy}): it cannot be {Privacy.NONE}."
        yield Finding("/vdx:privacyClass", "privacy-mismatch", reason)


def _quality(quality: Quality) -> Iterator[Finding]:
    counts = {"vdx:rows": quality.rows, "vdx:vehicles": quality.vehicles, "vdx:trips": quality.trips}
    for name, count in (counts | {"vdx:duplicates": quality.duplicates}).items():
        if count is not None and count < 0:
            yield Finding(f"/{name}", "number-invalid", f"{name} is negative: measure it again.")
    if quality.sampling_interval_ms is not None and quality.sampling_interval_ms <= 0:
        yield Finding("/vdx:samplingInterval", "number-invalid", "The sampling interval must be above 0 ms: measure it again.")
    for index, (name, share) in enumerate(quality.completeness):
        if not 0 <= share <= 1:
            yield Finding(f"/vdx:completeness/{index}", "number-invalid", f"The completeness of {name} is not between 0 and 1.")


def _period(period: Period) -> Iterator[Finding]:
    if period.start_ms is None and period.end_ms is None:
        yield Finding("", "period-empty", "The period has neither start nor end: give one or leave it out.")
    if period.start_ms is not None and period.end_ms is not None and period.end_ms < period.start_ms:
        yield Finding("/dcat:endDate", "period-reversed", "The period ends before it begins: change its bounds over.")
    yield from _instants(startDate=period.start_ms, endDate=period.end_ms)


def _place(place: Place) -> Iterator[Finding]:
    yield from _absolute("@id", [place.iri])
    if place.iri is None and place.box is None:
        yield Finding("", "place-empty", "The place has neither an IRI nor a bounding box: give one.")
    box = place.box
    if box and not (-180 <= box.west <= 180 and -180 <= box.east <= 180 and -90 <= box.south <= box.north <= 90):
        yield Finding("/dcat:bbox", "box-invalid", "The bounding box is not west, south, east, north in degrees.")


def _distribution(distribution: Distribution) -> Iterator[Finding]:
    yield from _texts("dct:title", distribution.titles)
    yield from _absolute("@id", [distribution.iri])
    yield from _absolute("dcat:accessURL", [distribution.access_url])
    yield from _absolute("dct:license", [distribution.license])
    yield from _known("dct:format", [distribution.file_type], voc.FILE_TYPES, "file type of the EU's table")
    if distribution.byte_size is not None and distribution.byte_size < 0:
        yield Finding("/dcat:byteSize", "number-invalid", "The size is negative: it is in bytes.")


def _rights(rights: RightsStatement) -> Iterator[Finding]:
    yield from _texts("rdfs:label", rights.labels)
    yield from _known("dct:type", rights.conditions, voc.CONDITIONS, "condition for access and usage")


def _standard(standard: Standard) -> Iterator[Finding]:
    yield from _known("dct:conformsTo", [standard.name], voc.STANDARDS, "mobility data standard")
    yield from _absolute("mobilitydcatap:schema", [standard.schema])


def _service(service: DataService) -> Iterator[Finding]:
    yield from _texts("dct:title", service.titles)
    yield from _absolute("@id", [service.iri])
    yield from _absolute("dcat:endpointURL", [service.endpoint_url])


def _checksum(checksum: Checksum) -> Iterator[Finding]:
    wanted = _DIGEST_CHARS.get(checksum.algorithm or "", 0)
    if wanted and checksum.value and not (_HEX.match(checksum.value) and len(checksum.value) == wanted):
        reason = f"A {checksum.algorithm} digest has {wanted} lower-case hexadecimal digits: compute it again."
        yield Finding("/spdx:checksumValue", "digest-invalid", reason)


def _agent(agent: Agent) -> Iterator[Finding]:
    yield from _texts("foaf:name", agent.names)
    yield from _absolute("@id", [agent.iri])
    yield from _absolute("foaf:homepage", [agent.homepage])


_EXAMINERS: Final[Mapping[type, Callable[[Any], Iterator[Finding]]]] = MappingProxyType(
    {
        Catalog: _catalog,
        CatalogRecord: _record,
        Dataset: _dataset,
        Column: _column,
        Quality: _quality,
        Period: _period,
        Place: _place,
        Distribution: _distribution,
        RightsStatement: _rights,
        Standard: _standard,
        DataService: _service,
        Checksum: _checksum,
        Agent: _agent,
    }
)
_PARTS: Final[Mapping[type, Mapping[str, str]]] = MappingProxyType(
    {
        Catalog: {"dct:publisher": "publisher", "dct:spatial": "spatial", "dcat:service": "service", "dcat:record": "records"},
        CatalogRecord: {"foaf:primaryTopic": "topic"},
        Dataset: {
            "dct:publisher": "publisher",
            "dct:spatial": "spatial",
            "dcat:distribution": "distributions",
            "dcat:contactPoint": "contact",
            "dct:temporal": "period",
            "vdx:column": "columns",
            "vdx:quality": "quality",
        },
        Distribution: {
            "dct:rights": "rights",
            "mobilitydcatap:mobilityDataStandard": "standard",
            "dcat:accessService": "service",
            "spdx:checksum": "checksums",
        },
        Quality: {"vdx:period": "period"},
    }
)
"""Class -> its parts that are examined in turn: the property's name and the member of the model."""
