"""A record survives both of its forms, DSP's door, and a peer's own expansion."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyld import jsonld as pyld

from catalog import contexts, expansion, jsonld
from catalog.dcat import instants, vss
from catalog.dcat import vocabulary as voc
from catalog.dcat.model import Catalog, CatalogRecord, Checksum, Dataset, Place, Privacy, Text
from catalog.dcat.read import MAX_ITEMS, read_record
from catalog.dcat.terms import PREFIXES, iri, short
from catalog.dcat.write import dataset_document, full_catalog
from catalog.errors import DocumentError
from tests.catalog import entries

DSP = {"@context": [contexts.DSP]}
# What the specification calls mandatory (mobilityDCAT-AP 1.1, sh:minCount 1), class by class.
MANDATORY = {
    "dcat:Catalog": (
        *("dct:title", "dct:description", "dct:publisher", "foaf:homepage", "dct:spatial", "dcat:record", "dcat:dataset"),
    ),
    "dcat:CatalogRecord": ("dct:created", "dct:modified", "dct:language", "foaf:primaryTopic"),
    "dcat:Dataset": (
        *("dct:title", "dct:description", "dct:publisher", "dct:accrualPeriodicity", "dct:spatial", "dcat:distribution"),
        "mobilitydcatap:mobilityTheme",
    ),
    "dcat:Distribution": ("dcat:accessURL", "dct:format", "dct:rights", "mobilitydcatap:mobilityDataStandard"),
    "dcat:DataService": ("dct:title", "dcat:endpointURL"),
    "spdx:Checksum": ("spdx:algorithm", "spdx:checksumValue"),
    "foaf:Agent": ("foaf:name",),
    "vcard:Kind": ("vcard:fn", "vcard:hasEmail"),
    "dct:RightsStatement": ("dct:type",),
    "skos:Concept": ("skos:prefLabel",),
    "skos:ConceptScheme": ("dct:title",),
}


def document(record: Dataset) -> dict[str, Any]:
    return dataset_document(record, [entries.OFFER])


def full(record: Dataset) -> dict[str, Any]:
    return full_catalog(Catalog("urn:catalog", records=(CatalogRecord("urn:record", record),)))


def nodes(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [node for item in value for node in nodes(item)]
    if not isinstance(value, dict) or "@value" in value:
        return []
    return [value, *(node for member in value.values() for node in nodes(member))]


def test_the_dsp_form_is_what_the_door_makes_of_it() -> None:
    normal = jsonld.normalise(DSP | document(entries.DATASET))
    assert normal == DSP | document(entries.DATASET)


def test_a_catalogue_with_the_record_is_one_of_dsp() -> None:
    whole: dict[str, Any] = DSP | {"@type": "Catalog", "@id": "urn:c", "participantId": "did:web:oem.example"}
    whole["dataset"] = [document(entries.DATASET)]
    jsonld.check(whole, "Catalog")
    assert jsonld.normalise(whole) == whole


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(entries.DATASETS)
def test_any_record_comes_back_from_both_forms(record: Dataset) -> None:
    written = document(record)
    assert read_record(written) == record
    assert read_record(full(record)["dcat:dataset"]) == record
    jsonld.check(DSP | written, "Dataset")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(entries.DATASETS)
def test_any_record_survives_the_door_and_a_peers_expansion(record: Dataset) -> None:
    normal = jsonld.normalise(DSP | document(record))
    assert normal == DSP | document(record)
    assert read_record(normal) == record
    (expanded,) = pyld.expand(full(record))
    assert read_record(expanded[iri("dcat:dataset")][0]) == record


def test_the_forms_are_json() -> None:
    assert json.loads(json.dumps(document(entries.DATASET))) == document(entries.DATASET)


def test_the_full_view_has_every_mandatory_property_under_its_iri() -> None:
    expanded = pyld.expand(full_catalog(entries.CATALOG))
    found = nodes(expanded)
    for kind, names in MANDATORY.items():
        described = [node for node in found if iri(kind) in node.get("@type", [])]
        assert described, kind
        for node in described:
            missing = [name for name in names if not node.get(iri(name))]
            assert not missing, f"{kind} {node.get('@id')} lacks {missing}"


def test_the_full_view_loses_nothing_in_expansion() -> None:
    lost: list[Any] = []
    pyld.expand(full_catalog(entries.CATALOG), {"base": None}, on_property_dropped=lost.append)
    assert lost == []


def test_a_record_is_about_a_dataset_of_the_catalogue() -> None:
    view = full_catalog(entries.CATALOG)
    assert view["dcat:record"]["foaf:primaryTopic"] == {"@id": view["dcat:dataset"]["@id"]}


def test_an_entry_that_was_never_changed_was_changed_last_when_it_was_made() -> None:
    view = full_catalog(replace(entries.CATALOG, records=(replace(entries.RECORD, modified_ms=None),)))
    assert view["dcat:record"]["dct:modified"] == view["dcat:record"]["dct:created"]


def test_the_two_forms_name_formats_as_their_specifications_do() -> None:
    (here,) = document(entries.DATASET)["distribution"]
    there = full_catalog(entries.CATALOG)["dcat:dataset"]["dcat:distribution"]
    assert here["format"] == there["vdx:transferFormat"] == "HttpData-PULL"
    assert here[iri("vdx:fileType")]["@id"] == there["dct:format"]["@id"] == f"{voc.FILE_TYPE}/CSV"


def test_only_sha1_is_a_checksum_to_mobility_dcat_ap() -> None:
    distribution = full_catalog(entries.CATALOG)["dcat:dataset"]["dcat:distribution"]
    assert distribution["spdx:checksum"]["spdx:algorithm"] == {"@id": f"{PREFIXES['spdx']}checksumAlgorithm_sha1"}
    assert len(distribution["vdx:checksum"]) == 2
    only = replace(entries.DATASET, distributions=(replace(entries.DISTRIBUTION, checksums=(Checksum("sha256", "00" * 32),)),))
    assert "spdx:checksum" not in full(only)["dcat:dataset"]["dcat:distribution"]


def test_concepts_have_a_name_and_a_scheme_for_portals_and_neither_for_peers() -> None:
    theme = full(replace(entries.DATASET, themes=(f"{voc.THEME}/speed",)))["dcat:dataset"]["mobilitydcatap:mobilityTheme"]
    assert theme["skos:prefLabel"]["@value"] == "Speed"
    assert theme["skos:inScheme"]["@id"] == voc.THEME
    sent = document(replace(entries.DATASET, themes=(f"{voc.THEME}/speed",)))
    assert sent[iri("mobilitydcatap:mobilityTheme")] == {"@id": f"{voc.THEME}/speed"}


def test_a_concept_of_no_known_scheme_stands_alone() -> None:
    odd = full(replace(entries.DATASET, themes=("https://example.org/theme",)))
    assert "skos:inScheme" not in odd["dcat:dataset"]["mobilitydcatap:mobilityTheme"]


def test_what_says_nothing_is_not_written() -> None:
    bare = document(Dataset("urn:a"))
    assert set(bare) == {"@id", "@type", "hasPolicy"}
    assert read_record(bare) == Dataset("urn:a")
    assert iri("dct:spatial") not in document(replace(entries.DATASET, spatial=(Place(),)))


def test_a_page_of_many_has_the_brief_form() -> None:
    brief = dataset_document(entries.DATASET, [entries.OFFER], brief=True)
    assert brief[iri("vdx:signal")] == ["Vehicle.Speed", "Vehicle.TraveledDistance"]
    assert jsonld.normalise(DSP | brief) == DSP | brief
    assert entries.DATASET.quality is not None
    shown = replace(entries.DATASET, columns=(), quality=replace(entries.DATASET.quality, completeness=()))
    assert read_record(brief) == shown
    assert dataset_document(Dataset("urn:a"), [], brief=True) == dataset_document(Dataset("urn:a"), [])


def weight(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value
    return len(value) + sum(weight(item) for item in inner if isinstance(item, dict | list))


def test_a_hundred_wide_records_in_brief_are_not_too_costly_for_a_peer() -> None:
    words = tuple(Text("Was es ist", language) for language in ("de", "en", "fr"))
    columns = tuple(replace(entries.DATASET.columns[1], path=f"Vehicle.Overlay{n}", descriptions=words) for n in range(100))
    wide = replace(entries.DATASET, columns=columns)
    assert 100 * weight(dataset_document(wide, [entries.OFFER], brief=True)) < expansion.MAX_VALUES
    assert 100 * weight(document(wide)) > expansion.MAX_VALUES


def test_members_that_are_not_ours_are_left_aside() -> None:
    assert read_record(document(entries.DATASET) | {"https://other.example/x": [1, {"a": 2}]}) == entries.DATASET


def test_a_peers_plain_words_are_read_too() -> None:
    words = {
        "dct:title": ["No language", {"@value": "Swiss", "@language": "de-CH"}],
        "dct:publisher": "did:web:a.example",
        "dct:issued": "2026-01-31",
    }
    figures = {"vdx:quality": {"vdx:rows": {"@value": "12", "@type": "xsd:integer"}}}
    record = read_record({"@id": "urn:a"} | words | figures)
    assert record.quality is not None
    assert record.quality.rows == 12
    assert [(text.text, text.language) for text in record.titles] == [("No language", ""), ("Swiss", "de-ch")]
    assert record.publisher is not None
    assert record.publisher.iri == "did:web:a.example"
    assert record.issued_ms == instants.read("2026-01-31T00:00:00Z")


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (["dct:title"], {"@value": 3}, "/dct:title"),
        (["dct:title"], {"@value": "x", "@language": 3}, "/dct:title"),
        (["dct:publisher"], 3, "/dct:publisher"),
        (["dct:publisher"], {"foaf:name": "x"}, "/dct:publisher/0/@id"),
        (["dct:publisher"], {"@id": 3}, "/dct:publisher/0/@id"),
        (["dct:accrualPeriodicity"], {"@list": []}, "/dct:accrualPeriodicity"),
        (["dct:issued"], "yesterday", "/dct:issued"),
        (["dct:issued"], 3, "/dct:issued"),
        (["owl:versionInfo"], {"@id": "urn:x"}, "/owl:versionInfo"),
        (["dct:spatial"], {"dcat:bbox": "POINT (1 2)"}, "/dct:spatial/0/dcat:bbox"),
        (["vdx:quality"], {"vdx:rows": True}, "/vdx:quality/0/vdx:rows"),
        (["vdx:quality"], {"vdx:rows": "many"}, "/vdx:quality/0/vdx:rows"),
        (["vdx:quality"], {"vdx:vehiclesEstimated": "yes"}, "/vdx:quality/0/vdx:vehiclesEstimated"),
        (["vdx:quality"], {"vdx:completeness": {"vdx:share": True}}, "/vdx:quality/0/vdx:completeness/0/vdx:share"),
        (["vdx:column"], {"vdx:privacyClass": "secret"}, "/vdx:column/0/vdx:privacyClass"),
        (["vdx:column"], {"vdx:dataType": "decimal"}, "/vdx:column/0/vdx:dataType"),
        (["vdx:column"], [{}] * (MAX_ITEMS + 1), "/vdx:column"),
        (
            ["distribution"],
            {"@id": "urn:d", "spdx:checksum": {"spdx:algorithm": "md5"}},
            "/dcat:distribution/0/spdx:checksum/0/spdx:algorithm",
        ),
    ],
)
def test_a_value_of_the_wrong_shape_is_refused_with_its_place(path: list[str], value: Any, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_record({"@id": "urn:a", path[0]: value})
    assert caught.value.path == place.replace("~", "~0")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["@id", "@value", "@language", "x"]), inner),
)
NAMES = ["dct:title", "dct:publisher", "dct:spatial", "dct:temporal", "distribution", "vdx:column", "vdx:quality", "@id"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_nothing_that_json_can_carry_breaks_the_reader(rubbish: dict[str, Any]) -> None:
    with suppress(DocumentError):
        read_record(rubbish)


@given(entries.INSTANTS)
def test_instants_are_exact(instant_ms: int) -> None:
    assert instants.read(instants.written(instant_ms)) == instant_ms


def test_instants_are_written_as_people_expect() -> None:
    assert instants.written(0) == "1970-01-01T00:00:00Z"
    assert instants.written(1) == "1970-01-01T00:00:00.001Z"
    assert instants.read("1970-01-01") == 0
    assert instants.read("1970-01-01T01:00:00+01:00") == 0
    assert instants.read("1970-01-01T00:00:01") == 1000
    assert [instants.duration(ms) for ms in (1000, 500, 1250, 0)] == ["PT1S", "PT0.5S", "PT1.25S", "PT0S"]


@pytest.mark.parametrize("name", ["dct:title", "vdx:rows", "https://example.org/x", "odrl:use"])
def test_names_are_spelled_out_and_back(name: str) -> None:
    assert short(iri(name)) == name
    assert iri(iri(name)) == iri(name)


def test_dsps_members_are_what_its_context_says() -> None:
    (expanded,) = pyld.expand(document(entries.DATASET) | {"@context": contexts.load(contexts.DSP)["@context"]})
    assert {iri("hasPolicy"), iri("distribution")} <= expanded.keys()
    (distribution,) = expanded[iri("distribution")]
    assert {iri("format"), iri("accessService")} <= distribution.keys()


def test_the_table_of_signals_is_sane() -> None:
    assert all(path.startswith("Vehicle.") and " " not in path for path in vss.SIGNALS)
    assert vss.SIGNALS["Vehicle.TraveledDistance"] == ("m", "uint32", Privacy.TECHNICAL)
    assert vss.SIGNALS["Vehicle.Exterior.AirTemperature"].unit == "Celsius"
    located = [path for path, signal in vss.SIGNALS.items() if signal.privacy is Privacy.LOCATION]
    assert located == [path for path in vss.SIGNALS if ".CurrentLocation." in path]


def test_the_tables_of_concepts_hold_iris_of_their_schemes() -> None:
    for scheme, table in (
        (voc.THEME, voc.THEMES),
        (voc.CONDITION, voc.CONDITIONS),
        (voc.STANDARD, voc.STANDARDS),
        (voc.MODE, voc.MODES),
        (voc.FREQUENCY, voc.FREQUENCIES),
        (voc.FILE_TYPE, voc.FILE_TYPES),
    ):
        assert table
        assert all(voc.scheme_of(each) == scheme for each in table)
    assert len(voc.THEMES) == 121
    assert voc.label(f"{voc.FILE_TYPE}/CSV") == "CSV"
    assert len(voc.LANGUAGES) == 24
