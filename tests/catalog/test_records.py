"""A record that cannot be right is refused, and the finding says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from catalog.dcat import instants
from catalog.dcat import vocabulary as voc
from catalog.dcat.model import (
    Agent,
    Box,
    Catalog,
    Checksum,
    Column,
    Dataset,
    Distribution,
    Period,
    Place,
    Privacy,
    RightsStatement,
    Standard,
    Text,
)
from catalog.findings import MAX_FINDINGS
from catalog.records import MANDATORY, MAX_COLUMNS, MAX_TEXT_CHARS, findings
from tests.catalog import entries

SPEED = entries.DATASET.columns[1]
QUALITY = entries.DATASET.quality
assert QUALITY is not None

# Every property that mobilityDCAT-AP 1.1 and DCAT-AP demand (facts of the specification, not of the code under test).
DEMANDED = {
    "Catalog": (
        *("dct:title", "dct:description", "dct:publisher", "foaf:homepage", "dct:spatial", "dcat:record", "dcat:dataset"),
    ),
    "CatalogRecord": ("dct:created", "dct:language", "foaf:primaryTopic"),
    "Dataset": (
        *("dct:title", "dct:description", "dct:publisher", "dct:accrualPeriodicity", "dct:spatial", "dcat:distribution"),
        "mobilitydcatap:mobilityTheme",
    ),
    "Distribution": ("dcat:accessURL", "dct:format", "dct:rights", "mobilitydcatap:mobilityDataStandard"),
    "DataService": ("dct:title", "dcat:endpointURL"),
    "Checksum": ("spdx:algorithm", "spdx:checksumValue"),
    "Agent": ("foaf:name",),
    "Contact": ("vcard:fn", "vcard:hasEmail"),
    "RightsStatement": ("dct:type",),
}


def changed_part(thing: Any, **members: Any) -> Any:
    return replace(thing, **members)


def without(thing: Any, kind: type, member: str) -> Iterator[Any]:
    """`thing` with `member` of one of its parts of class `kind` emptied, once for each such part."""
    if isinstance(thing, kind):
        value = getattr(thing, member)
        empty = () if isinstance(value, tuple) else "" if member in {"value", "name", "email"} else None
        yield changed_part(thing, **{member: empty})
    for name in getattr(thing, "__dataclass_fields__", {}):
        value = getattr(thing, name)
        if isinstance(value, tuple):
            for index, item in enumerate(value):
                for part in without(item, kind, member):
                    yield changed_part(thing, **{name: (*value[:index], part, *value[index + 1 :])})
        elif hasattr(value, "__dataclass_fields__"):
            yield from (changed_part(thing, **{name: part}) for part in without(value, kind, member))


def codes(record: Dataset | Catalog) -> dict[str, str]:
    found = findings(record)
    assert all(finding.reason.endswith(".") for finding in found)
    return {finding.path: finding.code for finding in found}


def changed(**members: Any) -> dict[str, str]:
    return codes(replace(entries.DATASET, **members))


def distributed(**members: Any) -> dict[str, str]:
    return changed(distributions=(replace(entries.DISTRIBUTION, **members),))


def test_a_whole_record_is_in_order() -> None:
    assert findings(entries.CATALOG) == findings(entries.RECORD) == findings(entries.DATASET) == []


def test_the_list_of_what_is_mandatory_is_the_specifications() -> None:
    ours = {kind.__name__: {needed.name for needed in table} for kind, table in MANDATORY.items()}
    assert all(set(names) <= ours[kind] for kind, names in DEMANDED.items())


@pytest.mark.parametrize(
    ("kind", "member", "name"),
    [(kind, needed.member, needed.name) for kind, table in MANDATORY.items() for needed in table if needed.member != "datasets"],
)
def test_a_catalogue_that_lacks_one_property_is_refused_and_told_which(kind: type, member: str, name: str) -> None:
    lacking = list(without(entries.CATALOG, kind, member))
    assert lacking, f"nothing of class {kind.__name__} in the example"
    for catalog in lacking:
        missing = [finding for finding in findings(catalog) if finding.code == "member-missing"]
        assert missing
        assert any(finding.path.endswith(f"/{name}") and name in finding.reason for finding in missing)


def test_a_catalogue_without_datasets_is_refused() -> None:
    empty = replace(entries.CATALOG, records=(replace(entries.RECORD, topic=None),))
    assert codes(empty)["/dcat:dataset"] == "member-missing"


def test_a_finding_says_where() -> None:
    bad = replace(entries.DISTRIBUTION, rights=None)
    record = replace(entries.RECORD, topic=replace(entries.DATASET, distributions=(entries.DISTRIBUTION, bad)))
    (finding,) = findings(replace(entries.CATALOG, records=(record,)))
    assert finding.path == "/dcat:record/0/foaf:primaryTopic/dcat:distribution/1/dct:rights"
    assert finding.reason == "The distribution has no dct:rights: say on what conditions it is to be had."


@pytest.mark.parametrize(
    ("found", "path", "code"),
    [
        (changed(titles=(Text(" ", "en"),)), "/dct:title/0", "text-empty"),
        (changed(titles=(Text("x" * (MAX_TEXT_CHARS + 1), "en"),)), "/dct:title/0", "text-too-long"),
        (changed(titles=(Text("x", "en"), Text("y", "en"))), "/dct:title/1", "language-twice"),
        (changed(descriptions=(Text("x", ""),)), "/dct:description/0", "language-unknown"),
        (changed(descriptions=(Text("x", "de-CH"),)), "/dct:description/0", "language-unknown"),
        (changed(keywords=(Text("x", "xx"),)), "/dcat:keyword/0", "language-unknown"),
        (changed(frequency=f"{voc.FREQUENCY}/SOMETIMES"), "/dct:accrualPeriodicity", "concept-unknown"),
        (changed(themes=(f"{voc.THEME}/driving-behaviour",)), "/mobilitydcatap:mobilityTheme", "concept-unknown"),
        (changed(modes=("car",)), "/mobilitydcatap:transportMode", "concept-unknown"),
        (changed(languages=("en",)), "/dct:language", "concept-unknown"),
        (changed(crs="https://covesa.example/vss"), "/dct:conformsTo", "concept-unknown"),
        (changed(period=Period(2, 1)), "/dct:temporal/dcat:endDate", "period-reversed"),
        (changed(period=Period()), "/dct:temporal", "period-empty"),
        (changed(period=Period(instants.LATEST_MS + 1)), "/dct:temporal/startDate", "time-invalid"),
        (changed(issued_ms=instants.EARLIEST_MS - 1), "/issued", "time-invalid"),
        (changed(iri="my data"), "/@id", "iri-invalid"),
        (changed(spatial=(Place(),)), "/dct:spatial/0", "place-empty"),
        (changed(spatial=(Place(box=Box(0, 9, 0, 1)),)), "/dct:spatial/0/dcat:bbox", "box-invalid"),
        (changed(spatial=(Place(box=Box(float("nan"), 0, 0, 1)),)), "/dct:spatial/0/dcat:bbox", "box-invalid"),
        (changed(publisher=Agent("urn:a", (Text("A", "en"),), "home page")), "/dct:publisher/foaf:homepage", "iri-invalid"),
        (changed(columns=(SPEED, SPEED)), "/vdx:column", "column-twice"),
        (changed(columns=(replace(SPEED, unit="mph"),)), "/vdx:column/0/vdx:unit", "unit-mismatch"),
        (changed(columns=(replace(SPEED, unit=None),)), "/vdx:column/0/vdx:unit", "unit-mismatch"),
        (changed(columns=(replace(SPEED, privacy=None),)), "/vdx:column/0/vdx:privacyClass", "privacy-missing"),
        (changed(columns=(replace(SPEED, privacy=Privacy.NONE),)), "/vdx:column/0/vdx:privacyClass", "privacy-mismatch"),
        (changed(columns=(replace(SPEED, path="Speed"),)), "/vdx:column/0/vdx:path", "path-invalid"),
        (changed(quality=None), "/vdx:quality/vdx:samplingInterval", "sampling-missing"),
        (changed(quality=replace(QUALITY, sampling_interval_ms=None)), "/vdx:quality/vdx:samplingInterval", "sampling-missing"),
        (changed(quality=replace(QUALITY, sampling_interval_ms=-1)), "/vdx:quality/vdx:samplingInterval", "number-invalid"),
        (changed(quality=replace(QUALITY, rows=-1)), "/vdx:quality/vdx:rows", "number-invalid"),
        (changed(quality=replace(QUALITY, period=Period(2, 1))), "/vdx:quality/vdx:period/dcat:endDate", "period-reversed"),
        (changed(quality=replace(QUALITY, completeness=(("a", 1.5),))), "/vdx:quality/vdx:completeness/0", "number-invalid"),
        (distributed(file_type=f"{voc.FILE_TYPE}/WORD"), "/dcat:distribution/0/dct:format", "concept-unknown"),
        (distributed(access_url="here"), "/dcat:distribution/0/dcat:accessURL", "iri-invalid"),
        (distributed(byte_size=-1), "/dcat:distribution/0/dcat:byteSize", "number-invalid"),
        (distributed(rights=RightsStatement(("free",))), "/dcat:distribution/0/dct:rights/dct:type", "concept-unknown"),
        (
            distributed(standard=Standard("vss")),
            "/dcat:distribution/0/mobilitydcatap:mobilityDataStandard/dct:conformsTo",
            "concept-unknown",
        ),
        (
            distributed(checksums=(Checksum("sha256", "0F" * 32),)),
            "/dcat:distribution/0/spdx:checksum/0/spdx:checksumValue",
            "digest-invalid",
        ),
    ],
)
def test_what_cannot_be_right_is_found(found: dict[str, str], path: str, code: str) -> None:
    assert found[path] == code


def test_a_language_may_be_that_of_a_country() -> None:
    assert changed(titles=(Text("Fahrten", "de-ch"), Text("Fahrten", "de"))) == {}


def test_a_signal_outside_our_table_is_taken_as_it_comes() -> None:
    overlay = Column("braking", "Vehicle.Example.HarshBraking", "count", "uint8", Privacy.DRIVING_BEHAVIOUR)
    assert changed(columns=(overlay,)) == {}


def test_a_signal_that_is_made_coarse_enough_may_be_called_something_else() -> None:
    assert changed(columns=(replace(SPEED, privacy=Privacy.TECHNICAL),)) == {}


def test_what_tells_nothing_of_a_person_needs_no_sampling_interval() -> None:
    air = Column("air", "Vehicle.Exterior.AirTemperature", "Celsius", "float", Privacy.NONE)
    assert changed(columns=(air,), quality=None) == {}


def test_findings_are_bounded() -> None:
    columns = tuple(Column(f"c{index}") for index in range(MAX_COLUMNS + 1))
    found = findings(replace(entries.DATASET, columns=columns))
    assert len(found) == MAX_FINDINGS
    assert found[0].code == "columns-too-many"


@pytest.mark.parametrize(
    "lame", [lambda each: replace(each, service=None), lambda each: replace(each, transfer="")], ids=["service", "transfer"]
)
def test_what_dsp_needs_is_needed_too(lame: Callable[[Distribution], Distribution]) -> None:
    assert "member-missing" in changed(distributions=(lame(entries.DISTRIBUTION),)).values()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(entries.DATASETS)
def test_any_record_can_be_examined(record: Dataset) -> None:
    assert len(findings(record)) <= MAX_FINDINGS
