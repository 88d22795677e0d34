"""A record out of JSON-LD: what `catalog.dcat.write` wrote, in either form and in any plain spelling of it.

Takes documents that came through `catalog.jsonld` (short or absolute names, one value or an array of one), the full view's
nodes (`dct:title`), and expanded JSON-LD. Members that are not of the model are left aside: a peer may say more. Members that
are and have a wrong value are refused, with their place. Pure. Imports the model, its tables and `catalog.errors`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast, get_args

from catalog.dcat import instants
from catalog.dcat.model import (
    Agent,
    Algorithm,
    Box,
    Checksum,
    Column,
    Contact,
    DataService,
    Dataset,
    DataType,
    Distribution,
    Period,
    Place,
    Privacy,
    Quality,
    RightsStatement,
    Standard,
    Text,
    Texts,
)
from catalog.dcat.terms import PREFIXES, iri, short
from catalog.dcat.write import MEDIA_TYPES
from catalog.errors import DocumentError, pointer

MAX_ITEMS: Final = 1000
"""Most values of one member (columns, texts, places...)."""

_NUMBER: Final = r"(-?\d{1,3}(?:\.\d{1,20})?(?:e-?\d{1,3})?)"
_POLYGON: Final = re.compile(rf"POLYGON \(\({_NUMBER} {_NUMBER}, {_NUMBER} {_NUMBER}, {_NUMBER} {_NUMBER}, .{{1,120}}\)\)\Z")
_ALGORITHM: Final = f"{PREFIXES['spdx']}checksumAlgorithm_"

T = TypeVar("T")


def read_record(document: Mapping[str, Any]) -> Dataset:
    """Return the dataset that `document` describes: a dataset of a DSP catalogue or of the full view.

    read_record(dataset_document(record, offers)) == record, likewise from the full view, for every record without findings.
    Raises DocumentError `member-invalid` (a value of the wrong shape, with its place) or `member-missing` (no `@id`).
    """
    return _dataset(_Node(document, ()))


@dataclass(frozen=True, slots=True)
class _Node:
    """One object of a document and where it stands."""

    members: Mapping[str, Any]
    path: tuple[str | int, ...]

    def values(self, name: str) -> list[Any]:
        """The values of `name` (`dct:title`), however the member is spelled."""
        for spelled, value in self.members.items():
            if iri(spelled) == iri(name):
                items = value if isinstance(value, list) else [value]
                if len(items) > MAX_ITEMS:
                    raise self.wrong(name, f"has more than {MAX_ITEMS} values")
                return items
        return []

    def wrong(self, name: str, why: str) -> DocumentError:
        return DocumentError("member-invalid", f"{short(iri(name))} {why}.", pointer([*self.path, short(iri(name))]))

    def nodes(self, name: str, make: Callable[[_Node], T]) -> tuple[T, ...]:
        return tuple(make(node) for node in self._nodes(name))

    def node(self, name: str, make: Callable[[_Node], T]) -> T | None:
        return next((make(node) for node in self._nodes(name)), None)

    def _nodes(self, name: str) -> Iterator[_Node]:
        for index, value in enumerate(self.values(name)):
            # A bare string is a reference that its context would have made one.
            members = {"@id": value} if isinstance(value, str) else value
            if not isinstance(members, dict):
                raise self.wrong(name, "must be an object")
            yield _Node(members, (*self.path, short(iri(name)), index))

    def literal(self, name: str) -> Any:
        """The one value of `name`, out of its `@value`; None when there is none."""
        value = next(iter(self.values(name)), None)
        return value["@value"] if isinstance(value, dict) and "@value" in value else value

    def text(self, name: str) -> str | None:
        value = self.literal(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, "must be a string")
        return value

    def number(self, name: str) -> int | None:
        value = self.literal(name)
        if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value):
            return int(value)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self.wrong(name, "must be a whole number")
        return value

    def truth(self, name: str, absent: bool) -> bool:
        value = self.literal(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "must be true or false")
        return absent if value is None else value

    def texts(self, name: str) -> Texts:
        return tuple(self._text(name, value) for value in self.values(name))

    def _text(self, name: str, value: Any) -> Text:
        text, language = (value.get("@value"), value.get("@language", "")) if isinstance(value, dict) else (value, "")
        if not isinstance(text, str) or not isinstance(language, str):
            raise self.wrong(name, "must be text with a language")
        return Text(text, language.lower())

    def refs(self, name: str) -> tuple[str, ...]:
        """The IRIs that `name` refers to."""
        return tuple(self._ref(name, value) for value in self.values(name))

    def ref(self, name: str) -> str | None:
        return next(iter(self.refs(name)), None)

    def _ref(self, name: str, value: Any) -> str:
        target = (value.get("@id") or value.get("@value")) if isinstance(value, dict) else value
        if not isinstance(target, str):
            raise self.wrong(name, "must be an IRI")
        return target

    def instant(self, name: str) -> int | None:
        text = self.text(name)
        try:
            return None if text is None else instants.read(text)
        except ValueError:
            raise self.wrong(name, "must be a date, with or without a time") from None

    def one_of(self, name: str, choices: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is not None and value not in choices:
            raise self.wrong(name, f"must be one of {', '.join(choices)}")
        return value

    @property
    def id(self) -> str:
        target = self.members.get("@id")
        if not isinstance(target, str):
            raise DocumentError("member-missing", "The object has no @id.", pointer([*self.path, "@id"]))
        return target


def _mail(node: _Node, name: str) -> str | None:
    address = node.ref(name)
    return address and address.removeprefix("mailto:")


def _agent(node: _Node) -> Agent:
    return Agent(node.id, node.texts("foaf:name"), node.ref("foaf:homepage"), _mail(node, "foaf:mbox"))


def _contact(node: _Node) -> Contact:
    return Contact(node.text("vcard:fn") or "", _mail(node, "vcard:hasEmail") or "", node.ref("vcard:hasURL"))


def _place(node: _Node) -> Place:
    return Place(node.members.get("@id") and node.id, node.texts("skos:prefLabel"), _box(node))


def _box(node: _Node) -> Box | None:
    text = node.text("dcat:bbox")
    if text is None:
        return None
    found = _POLYGON.match(text)
    if found is None:
        raise node.wrong("dcat:bbox", "must be a WKT polygon of the four corners, from the south-west on")
    west, south, east, _, _, north = (float(edge) for edge in found.groups())
    return Box(west, south, east, north)


def _period(node: _Node) -> Period:
    return Period(node.instant("dcat:startDate"), node.instant("dcat:endDate"))


def _rights(node: _Node) -> RightsStatement:
    return RightsStatement(node.refs("dct:type"), node.texts("rdfs:label"))


def _standard(node: _Node) -> Standard:
    name = node.ref("dct:conformsTo") or node.members.get("@id") or ""
    return Standard(name, node.text("owl:versionInfo"), node.ref("mobilitydcatap:schema"))


def _checksum(node: _Node) -> Checksum:
    algorithm = (node.ref("spdx:algorithm") or "").removeprefix(_ALGORITHM)
    if algorithm and algorithm not in get_args(Algorithm):
        raise node.wrong("spdx:algorithm", f"must be one of {', '.join(get_args(Algorithm))}")
    return Checksum(cast("Algorithm", algorithm) if algorithm else None, node.text("spdx:checksumValue") or "")


def _service(node: _Node) -> DataService:
    titles, url = node.texts("dct:title"), node.ref("dcat:endpointURL")
    return DataService(node.id, titles, url, node.ref("dcat:endpointDescription"))


def _distribution(node: _Node) -> Distribution:
    named, form = node.ref("vdx:transferFormat"), node.ref("dct:format")
    media = node.ref("dcat:mediaType")
    return Distribution(
        iri=node.id,
        transfer=named or form or "",
        titles=node.texts("dct:title"),
        access_url=node.ref("dcat:accessURL"),
        file_type=form if named else node.ref("vdx:fileType"),
        media_type=media and media.removeprefix(MEDIA_TYPES),
        rights=node.node("dct:rights", _rights),
        standard=node.node("mobilitydcatap:mobilityDataStandard", _standard),
        service=node.node("dcat:accessService", _service),
        license=node.ref("dct:license"),
        byte_size=node.number("vdx:byteSize" if named else "dcat:byteSize"),
        checksums=node.nodes("vdx:checksum", _checksum) or node.nodes("spdx:checksum", _checksum),
    )


def _column(node: _Node) -> Column:
    datatype = node.one_of("vdx:dataType", get_args(DataType))
    privacy = node.one_of("vdx:privacyClass", tuple(Privacy))
    return Column(
        name=node.text("vdx:name") or "",
        path=node.text("vdx:path"),
        unit=node.text("vdx:unit"),
        datatype=cast("DataType | None", datatype),
        privacy=Privacy(privacy) if privacy else None,
        nullable=node.truth("vdx:nullable", absent=True),
        descriptions=node.texts("dct:description"),
    )


def _share(node: _Node) -> tuple[str, float]:
    share = node.literal("vdx:share")
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise node.wrong("vdx:share", "must be a number")
    return node.text("vdx:name") or "", float(share)


def _quality(node: _Node) -> Quality:
    return Quality(
        rows=node.number("vdx:rows") or 0,
        vehicles=node.number("vdx:vehicles"),
        vehicles_estimated=node.truth("vdx:vehiclesEstimated", absent=False),
        trips=node.number("vdx:trips"),
        trips_estimated=node.truth("vdx:tripsEstimated", absent=False),
        duplicates=node.number("vdx:duplicates") or 0,
        period=node.node("vdx:period", _period),
        sampling_interval_ms=node.number("vdx:samplingInterval"),
        completeness=node.nodes("vdx:completeness", _share),
    )


def _dataset(node: _Node) -> Dataset:
    return Dataset(
        iri=node.id,
        titles=node.texts("dct:title"),
        descriptions=node.texts("dct:description"),
        publisher=node.node("dct:publisher", _agent),
        frequency=node.ref("dct:accrualPeriodicity"),
        spatial=node.nodes("dct:spatial", _place),
        themes=node.refs("mobilitydcatap:mobilityTheme"),
        distributions=node.nodes("dcat:distribution", _distribution),
        keywords=node.texts("dcat:keyword"),
        contact=node.node("dcat:contactPoint", _contact),
        period=node.node("dct:temporal", _period),
        languages=node.refs("dct:language"),
        modes=node.refs("mobilitydcatap:transportMode"),
        crs=node.ref("dct:conformsTo"),
        version=node.text("owl:versionInfo"),
        issued_ms=node.instant("dct:issued"),
        modified_ms=node.instant("dct:modified"),
        columns=node.nodes("vdx:column", _column),
        quality=node.node("vdx:quality", _quality),
    )
