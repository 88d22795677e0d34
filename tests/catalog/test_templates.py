"""A few answers make a record without findings and an offer that both parties' connectors understand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from catalog import contexts, jsonld
from catalog.dcat.model import Agent, CatalogRecord, Column, Contact, Privacy, Quality, Text
from catalog.dcat.read import read_record
from catalog.dcat.write import dataset_document
from catalog.errors import DocumentError
from catalog.records import findings
from catalog.templates import TEMPLATES, Answers, column, fill
from policies import dsp, odrl
from policies.model import CARNET, ODRL, Asset, Constraint, Lit, Party, Permission, Policy, Prohibition
from policies.terms.registry import term
from tests.catalog import entries, example

ANSWERS = Answers(
    dataset="urn:asset:my-data",
    title="What our cars know",
    file="cars.parquet",
    columns={
        "car": "identifying",
        "km": "Vehicle.TraveledDistance",
        "speed": "Vehicle.Speed",
        "faults": "Vehicle.Diagnostics.DTCList",
    },
    price="3.50",
    place="http://publications.europa.eu/resource/authority/country/FRA",
    publisher=Agent("did:web:oem.example", (Text("Example Motors", "en"),)),
    contact=Contact("Data desk", "desk@oem.example"),
    endpoint="https://oem.example/dsp/2025-1",
    quality=Quality(rows=10, sampling_interval_ms=1000),
)
each_template = pytest.mark.parametrize("template", TEMPLATES)


def filled_offer(template: str) -> Policy:
    return fill(template, ANSWERS).offer


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from strings(member)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


@each_template
def test_the_record_has_nothing_wrong_with_it(template: str) -> None:
    record = fill(template, ANSWERS).record
    assert findings(record) == []
    assert findings(CatalogRecord("urn:record", record, 0, None, (entries.ENGLISH,))) == []


@each_template
def test_record_and_offer_stand_in_a_catalogue_and_come_back(template: str) -> None:
    filled = fill(template, ANSWERS)
    offer = dsp.write(filled.offer, in_dataset=True)
    document = {"@context": [contexts.DSP]} | dataset_document(filled.record, [offer])
    normal = jsonld.normalise(document)
    jsonld.check(normal, "Dataset")
    assert read_record(normal) == filled.record
    assert normal["hasPolicy"] == [offer]


@each_template
def test_the_offer_is_whole_and_has_a_form_in_dsp(template: str) -> None:
    offer = filled_offer(template)
    assert offer.kind == "Offer"
    assert offer.uid == "urn:asset:my-data#offer"
    assert offer.target == Asset("urn:asset:my-data")
    assert offer.assigner == Party("did:web:oem.example")
    assert dsp.without_form(offer) == ()
    assert odrl.read(odrl.write(offer)) == offer


@each_template
def test_the_price_is_the_one_that_was_said(template: str) -> None:
    amounts = [
        refinement.right
        for permission in filled_offer(template).permissions
        for duty in permission.duties
        for refinement in duty.action.refinements
        if isinstance(refinement, Constraint) and refinement.left == f"{ODRL}payAmount"
    ]
    assert amounts == [(Lit("3.50", "http://www.w3.org/2001/XMLSchema#decimal"),)]


def rules(template: str) -> tuple[Permission | Prohibition, ...]:
    offer = filled_offer(template)
    return (*offer.permissions, *offer.prohibitions)


def constraints(template: str) -> Iterator[Constraint]:
    """What the rules of the offer depend on."""
    for rule in rules(template):
        yield from (each for each in rule.constraints if isinstance(each, Constraint))


@each_template
def test_every_term_is_one_that_we_know_with_an_operator_and_a_value_that_it_takes(template: str) -> None:
    offer = filled_offer(template)
    actions = [rule.action for rule in rules(template)]
    duties = [duty.action for permission in offer.permissions for duty in permission.duties]
    assert all(term(action.iri) for action in (*actions, *duties))
    refinements = [each for duty in duties for each in duty.refinements if isinstance(each, Constraint)]
    for constraint in (*constraints(template), *refinements):
        known = term(constraint.left)
        assert known is not None, constraint.left
        assert constraint.operator.rpartition("/")[2] in known.operators, constraint
        assert known.values is None or known.values(constraint.right) is None, constraint


def needs_a_data_plane(template: str) -> set[str]:
    known = {constraint.left: term(constraint.left) for constraint in constraints(template)}
    return {iri for iri, found in known.items() if found and all(point.of_data_plane for point in found.points)}


@pytest.mark.parametrize("template", [name for name in TEMPLATES if name != "payd"])
def test_what_needs_no_rows_to_be_looked_at_can_be_offered_as_a_file(template: str) -> None:
    assert needs_a_data_plane(template) == set()


def test_insurance_by_distance_needs_a_data_plane_that_keeps_consent() -> None:
    assert needs_a_data_plane("payd") == {f"{CARNET}legalBasis", f"{CARNET}requestsPerVehicleDay"}


@each_template
def test_no_placeholder_is_left(template: str) -> None:
    filled = fill(template, ANSWERS)
    said = [*strings(dataset_document(filled.record, [])), *strings(odrl.write(filled.offer))]
    assert not [text for text in said if "{" in text]


@each_template
def test_the_texts_are_there_in_three_languages(template: str) -> None:
    record = fill(template, ANSWERS).record
    assert {text.language for text in record.descriptions} == {"en", "de", "fr"}
    rights = record.distributions[0].rights
    assert rights is not None
    assert {text.language for text in rights.labels} == {"en", "de", "fr"}


def test_own_words_replace_those_of_the_template() -> None:
    record = fill("city", replace(ANSWERS, description="Rouen, à l'heure.", language="fr", title="Rouen")).record
    assert record.descriptions == (Text("Rouen, à l'heure.", "fr"),)
    assert record.titles == (Text("Rouen", "fr"),)


def test_a_column_takes_from_the_table_what_it_can() -> None:
    assert column("v", "Vehicle.Speed") == Column("v", "Vehicle.Speed", "km/h", "float", Privacy.DRIVING_BEHAVIOUR)
    assert column("id", "identifying") == Column("id", privacy=Privacy.IDENTIFYING)
    assert column("x", "Vehicle.Example.Overlay") == Column("x", "Vehicle.Example.Overlay")


def test_what_the_answers_leave_open_is_found() -> None:
    record = fill("repairer", replace(ANSWERS, file="cars", columns={"x": "Vehicle.Unheard.Of"})).record
    assert {finding.path for finding in findings(record)} == {
        "/dcat:distribution/0/dct:format",
        "/vdx:column/0/vdx:privacyClass",
    }
    assert fill("city", replace(ANSWERS, quality=None)).record.period is None


@pytest.mark.parametrize("price", ["", "free", "-1", "1,50", "1e3", "0" * 10])
def test_a_price_is_an_amount(price: str) -> None:
    with pytest.raises(DocumentError, match="no amount"):
        fill("city", replace(ANSWERS, price=price))


def test_a_template_is_one_that_there_is() -> None:
    with pytest.raises(KeyError):
        fill("../secret", ANSWERS)


def test_the_example_is_what_the_templates_make() -> None:
    assert findings(example.catalogue()) == []
    assert example.FILE.read_text(encoding="utf-8") == example.text(), "write it anew: python -m tests.catalog.example"
