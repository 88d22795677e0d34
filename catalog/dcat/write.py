"""A record as JSON-LD, in two forms that say the same.

`dataset_document` is what stands in a DSP 2025-1 catalogue: DSP's own members by their short names, everything else under
absolute IRIs, so that a peer that knows only DSP's context loses nothing when it expands. It is in the normal form of
`catalog.jsonld`.
`full_catalog` is the mobilityDCAT-AP 1.1 view for data portals: every node has its class, every concept its label and scheme,
names are short under a context of prefixes.

Where the two differ: dct:format is DSP's transfer format in the first and the file type in the second (each has the other under a
term of ours), and offers stand in the first only. mobilityDCAT-AP admits spdx:Checksum with SHA-1 alone: the full view has a
SHA-1 there, and all digests under `vdx:checksum`. It says sizes under `vdx:byteSize`, because releases of DCAT-AP differ on the
type of dcat:byteSize. Pure. Imports the model and its tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from catalog.dcat import instants, vss
from catalog.dcat import vocabulary as voc
from catalog.dcat.model import (
    Agent,
    Box,
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
    Quality,
    RightsStatement,
    Standard,
    Texts,
)
from catalog.dcat.terms import PREFIXES, iri

MEDIA_TYPES: Final = "https://www.iana.org/assignments/media-types/"
WKT: Final = "geosparql:wktLiteral"

Json = dict[str, Any]


def dataset_document(record: Dataset, offers: Sequence[Mapping[str, Any]], *, brief: bool = False) -> Json:
    """Return `record` with `offers` (DSP's form, no target) as a dataset of a DSP catalogue, without `@context`.

    `brief` is for a page of many: of the columns it has but the signals, under `vdx:signal`, and no completeness. Peers bound
    what they read, and expansion costs them by the value.

    Valid for the schema `Dataset` if each distribution has a service and there is an offer; `catalog.records.findings` tells what
    else is missing. Raises OverflowError for an instant outside the years 1 to 9999.
    """
    written = _Writer(rich=False)
    head = {"@id": record.iri, "@type": "Dataset", "hasPolicy": [dict(offer) for offer in offers]}
    distributions = [written.dsp_distribution(each) for each in record.distributions]
    members = written.dataset_members(_shortened(record) if brief else record)
    if brief:
        members |= written.node("", {"vdx:signal": sorted({each.path for each in record.columns if each.path})})
    described: Json = _spelled(members | ({"distribution": distributions} if distributions else {}))
    return head | described


def full_catalog(catalog: Catalog) -> Json:
    """Return the mobilityDCAT-AP view of `catalog`, one JSON-LD document.

    Raises OverflowError for an instant outside the years 1 to 9999.
    """
    written = _Writer(rich=True)
    node = written.node(
        "dcat:Catalog",
        {
            "@id": catalog.iri,
            "dct:identifier": catalog.iri,
            "dct:title": written.texts(catalog.titles),
            "dct:description": written.texts(catalog.descriptions),
            "dct:publisher": catalog.publisher and written.agent(catalog.publisher),
            "dct:language": [written.language(each) for each in catalog.languages],
            "dct:spatial": [written.place(each) for each in catalog.spatial],
            "foaf:homepage": catalog.homepage and written.node("foaf:Document", {"@id": catalog.homepage}),
            "dcat:themeTaxonomy": [written.scheme(voc.DATA_THEME), written.scheme(voc.THEME)],
            "dcat:service": catalog.service and written.service(catalog.service),
            "dcat:record": [written.record(each) for each in catalog.records],
            "dcat:dataset": [written.dataset(each) for each in catalog.datasets],
        },
    )
    return {"@context": dict(PREFIXES)} | node


def _shortened(record: Dataset) -> Dataset:
    return replace(record, columns=(), quality=record.quality and replace(record.quality, completeness=()))


def _spelled(value: Any) -> Any:
    """`value` with every short name of a member as its IRI, but for DSP's own, which have no prefix."""
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "@value" in value:
        kind = value.get("@type", "")
        return value | {"@type": iri(kind)} if kind and not kind.startswith("xsd:") else value
    return {iri(name) if ":" in name else name: _spelled(member) for name, member in value.items()}


def _is_nothing(value: Any) -> bool:
    return value is None or value in ([], "", {})


def _compact(value: Any) -> Any:
    """`value` without what says nothing; an array of one is its only item."""
    if not isinstance(value, list):
        return value
    items = [item for item in value if not _is_nothing(item)]
    return items[0] if len(items) == 1 else items


def _typed(text: str, datatype: str) -> Json:
    return {"@value": text, "@type": datatype}


def _instant(instant_ms: int | None) -> Json | None:
    return None if instant_ms is None else _typed(instants.written(instant_ms), "xsd:dateTime")


def _reference(target: str | None) -> Json | None:
    return {"@id": target} if target else None


def _mail(address: str) -> Json:
    return {"@id": f"mailto:{address}"}


def _box(box: Box | None) -> Json | None:
    if box is None:
        return None
    west, south, east, north = (repr(float(edge)) for edge in (box.west, box.south, box.east, box.north))
    ring = f"{west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}"
    return _typed(f"POLYGON (({ring}))", WKT)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes nodes with short names; `rich` adds what a data portal wants: classes, labels, schemes."""

    rich: bool

    def node(self, kind: str, members: Mapping[str, Any]) -> Json:
        """A node of class `kind` in compact form, without what says nothing; empty when nothing is said."""
        compacted = {name: _compact(value) for name, value in members.items()}
        out = {name: value for name, value in compacted.items() if not _is_nothing(value)}
        return {"@type": kind} | out if self.rich and out else out

    def texts(self, texts: Texts) -> list[Json]:
        return [{"@value": each.text, "@language": each.language} for each in texts]

    def scheme(self, target: str) -> Json:
        title = {"@value": voc.SCHEMES[target], "@language": "en"}
        return {"@id": target, "@type": "skos:ConceptScheme", "dct:title": title}

    def concept(self, target: str | None, kind: str = "skos:Concept") -> Json | None:
        """A concept of a controlled vocabulary."""
        if not target or not self.rich:
            return _reference(target)
        scheme = voc.scheme_of(target)
        label = {"@value": voc.label(target), "@language": "en"} if kind == "skos:Concept" else None
        members = {"@id": target, "skos:prefLabel": label, "skos:inScheme": scheme and self.scheme(scheme)}
        return self.node(kind, members)

    def language(self, target: str) -> Json | None:
        return self.concept(target, "dct:LinguisticSystem")

    def agent(self, agent: Agent) -> Json:
        members = {
            "@id": agent.iri,
            "foaf:name": self.texts(agent.names),
            "foaf:homepage": agent.homepage and self.node("foaf:Document", {"@id": agent.homepage}),
            "foaf:mbox": agent.email and _mail(agent.email),
        }
        return self.node("foaf:Agent", members)

    def contact(self, contact: Contact) -> Json:
        members = {
            "vcard:fn": contact.name,
            "vcard:hasEmail": contact.email and _mail(contact.email),
            "vcard:hasURL": _reference(contact.url),
        }
        return self.node("vcard:Kind", members)

    def place(self, place: Place) -> Json:
        scheme = voc.scheme_of(place.iri or "") if self.rich else None
        members = {
            "@id": place.iri,
            "skos:prefLabel": self.texts(place.names),
            "skos:inScheme": scheme and self.scheme(scheme),
            "dcat:bbox": _box(place.box),
        }
        return self.node("dct:Location", members)

    def period(self, period: Period) -> Json:
        members = {"dcat:startDate": _instant(period.start_ms), "dcat:endDate": _instant(period.end_ms)}
        return self.node("dct:PeriodOfTime", members)

    def rights(self, rights: RightsStatement) -> Json:
        conditions = [self.concept(each) for each in rights.conditions]
        return self.node("dct:RightsStatement", {"dct:type": conditions, "rdfs:label": self.texts(rights.labels)})

    def standard(self, standard: Standard) -> Json:
        members = {
            "dct:conformsTo": self.concept(standard.name),
            "owl:versionInfo": standard.version,
            "mobilitydcatap:schema": _reference(standard.schema),
        }
        return self.node("mobilitydcatap:MobilityDataStandard", members)

    def checksum(self, checksum: Checksum) -> Json:
        members = {
            "spdx:algorithm": checksum.algorithm and {"@id": f"{PREFIXES['spdx']}checksumAlgorithm_{checksum.algorithm}"},
            "spdx:checksumValue": checksum.value and _typed(checksum.value, "xsd:hexBinary"),
        }
        return self.node("vdx:Checksum", members)

    def service(self, service: DataService) -> Json:
        members = {
            "@id": service.iri,
            "dct:title": self.texts(service.titles),
            "dcat:endpointURL": _reference(service.endpoint_url),
            "dcat:endpointDescription": _reference(service.endpoint_description),
        }
        return self.node("dcat:DataService", members)

    def dsp_service(self, service: DataService) -> Json:
        members = {
            "@id": service.iri,
            "@type": "DataService",
            "dct:title": self.texts(service.titles),
            "endpointURL": service.endpoint_url,
            "endpointDescription": service.endpoint_description,
        }
        return self.node("", members)

    def distribution_members(self, distribution: Distribution) -> Json:
        """What both forms say of a distribution in the same words."""
        license_ = distribution.license
        return {
            "dct:title": self.texts(distribution.titles),
            "dcat:accessURL": _reference(distribution.access_url),
            "dct:rights": distribution.rights and self.rights(distribution.rights),
            "mobilitydcatap:mobilityDataStandard": distribution.standard and self.standard(distribution.standard),
            "dct:license": license_ and self.node("dct:LicenseDocument", {"@id": license_}),
        }

    def dsp_distribution(self, distribution: Distribution) -> Json:
        members = {
            "@id": distribution.iri,
            "@type": "Distribution",
            "format": distribution.transfer,
            "accessService": distribution.service and self.dsp_service(distribution.service),
            "vdx:fileType": _reference(distribution.file_type),
            "dcat:mediaType": distribution.media_type,
            "dcat:byteSize": distribution.byte_size,
            "spdx:checksum": [self.checksum(each) for each in distribution.checksums],
        }
        return self.node("", members | self.distribution_members(distribution))

    def distribution(self, distribution: Distribution) -> Json:
        """A distribution of the full view. Its one spdx:Checksum is SHA-1; see the module's head."""
        media, sums = distribution.media_type, [self.checksum(each) for each in distribution.checksums]
        sha1 = [node for node, each in zip(sums, distribution.checksums, strict=True) if each.algorithm == "sha1"][:1]
        members = {
            "@id": distribution.iri,
            "dct:format": self.concept(distribution.file_type, "dct:MediaTypeOrExtent"),
            "vdx:transferFormat": distribution.transfer,
            "dcat:accessService": distribution.service and self.service(distribution.service),
            "dcat:mediaType": media and self.node("dct:MediaType", {"@id": MEDIA_TYPES + media}),
            "spdx:checksum": [node | {"@type": "spdx:Checksum"} for node in sha1],
            "vdx:checksum": sums,
            "vdx:byteSize": distribution.byte_size,
        }
        return self.node("dcat:Distribution", members | self.distribution_members(distribution))

    def column(self, column: Column) -> Json:
        members = {
            "vdx:name": column.name,
            "vdx:path": column.path,
            "vdx:unit": column.unit,
            "vdx:dataType": column.datatype,
            "vdx:privacyClass": column.privacy and column.privacy.value,
            "vdx:nullable": None if column.nullable else False,
            "dct:description": self.texts(column.descriptions),
        }
        return self.node("vdx:Column", members)

    def quality(self, quality: Quality) -> Json:
        shares = [self.node("vdx:Share", {"vdx:name": name, "vdx:share": share}) for name, share in quality.completeness]
        members = {
            "vdx:rows": quality.rows,
            "vdx:vehicles": quality.vehicles,
            "vdx:vehiclesEstimated": quality.vehicles_estimated or None,
            "vdx:trips": quality.trips,
            "vdx:tripsEstimated": quality.trips_estimated or None,
            "vdx:duplicates": quality.duplicates or None,
            "vdx:period": quality.period and self.period(quality.period),
            "vdx:samplingInterval": quality.sampling_interval_ms,
            "vdx:completeness": shares,
        }
        return self.node("vdx:Quality", members)

    def dataset_members(self, record: Dataset) -> Json:
        """What both forms say of a dataset in the same words."""
        members = {
            "dct:title": self.texts(record.titles),
            "dct:description": self.texts(record.descriptions),
            "dct:publisher": record.publisher and self.agent(record.publisher),
            "dct:accrualPeriodicity": self.concept(record.frequency, "dct:Frequency"),
            "dct:spatial": [self.place(each) for each in record.spatial],
            "mobilitydcatap:mobilityTheme": [self.concept(each) for each in record.themes],
            "mobilitydcatap:transportMode": [self.concept(each) for each in record.modes],
            "dcat:keyword": self.texts(record.keywords),
            "dcat:contactPoint": record.contact and self.contact(record.contact),
            "dct:temporal": record.period and self.period(record.period),
            "dct:language": [self.language(each) for each in record.languages],
            "dct:conformsTo": record.crs and self.node("dct:Standard", {"@id": record.crs}),
            "owl:versionInfo": record.version,
            "dct:issued": _instant(record.issued_ms),
            "dct:modified": _instant(record.modified_ms),
            "vdx:column": [self.column(each) for each in record.columns],
            "vdx:quality": record.quality and self.quality(record.quality),
        }
        return self.node("dcat:Dataset", members)

    def dataset(self, record: Dataset) -> Json:
        interval = record.quality.sampling_interval_ms if record.quality else None
        members = {
            "@id": record.iri,
            "dct:identifier": record.iri,
            "dcat:theme": self.concept(voc.TRANSPORT),
            "dcat:temporalResolution": interval and _typed(instants.duration(interval), "xsd:duration"),
            "dcat:distribution": [self.distribution(each) for each in record.distributions],
        }
        return self.node("dcat:Dataset", members) | self.dataset_members(record)

    def record(self, record: CatalogRecord) -> Json:
        """An entry of the full view. DCAT-AP wants to know when it was changed last: if never, when it was made."""
        members = {
            "@id": record.iri,
            "dct:created": _instant(record.created_ms),
            "dct:modified": _instant(record.created_ms if record.modified_ms is None else record.modified_ms),
            "dct:language": [self.language(each) for each in record.languages],
            "foaf:primaryTopic": record.topic and _reference(record.topic.iri),
        }
        return self.node("dcat:CatalogRecord", members)


def vehicle_standard() -> Standard:
    """The standard of vehicle data: none of mobilityDCAT-AP's table, with VSS as its schema."""
    return Standard(f"{voc.STANDARD}/other", vss.VERSION, vss.SCHEMA)
