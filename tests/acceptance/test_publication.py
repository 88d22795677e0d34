"""What is published and what is refused, with term, place and remedy: the seven offers, the templates, records with a gap."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from catalog.dcat.model import Column, Privacy
from catalog.dcat.terms import iri
from catalog.dcat.write import dataset_document
from catalog.jsonld import normalise, slow
from catalog.templates import TEMPLATES
from catalog.wire import parse
from connector.flow import shelf
from connector.flow.described import TemplateAnswers
from connector.flow.offers import PublicationRefused
from connector.flow.publish import publish
from policies import dsp
from policies.model import CARNET, ODRL
from policies.terms.registry import term
from tests.acceptance.seven import OFFERS, Offered
from tests.acceptance.shop import BUYING, Shop, open_shop
from tests.catalog import entries

each_offer = pytest.mark.parametrize("offered", OFFERS, ids=lambda offered: offered.number)
NEEDED: Final = frozenset({f"{CARNET}legalBasis", f"{CARNET}requestsPerVehicleDay", f"{ODRL}obtainConsent"})
ANSWERS: Final = TemplateAnswers(
    title="What our cars know",
    columns={"car": "identifying", "km": "Vehicle.TraveledDistance", "faults": "Vehicle.Diagnostics.DTCList"},
    price="3.50",
    place="http://publications.europa.eu/resource/authority/country/FRA",
    publisher="Example Motors",
    contact="Data desk",
    email="desk@oem.example",
)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as opened:
        yield opened


def declaring(shop: Shop, terms: frozenset[str]) -> None:
    """The data plane declares to keep these terms."""
    shop.context = replace(shop.context, declared=terms)


async def put(shop: Shop, offered: Offered) -> Any:
    return await publish(shop.context, offered.target, title="Seven", source="trips.csv", offers=[offered.document])


# --- the seven offers ------------------------------------------------------------------------------------------------


@each_offer
async def test_an_offer_is_refused_until_a_data_plane_declares_what_only_one_can_keep(shop: Shop, offered: Offered) -> None:
    if offered.enforced:
        with pytest.raises(PublicationRefused) as refused:
            await put(shop, offered)
        assert refused.value.code == "policy-unenforceable"
        assert {finding.term for finding in refused.value.findings} == offered.enforced
        assert all(finding.path.startswith("/offers/0/permission/") for finding in refused.value.findings)
        assert all(finding.remedy and "declare" in finding.remedy for finding in refused.value.findings)
        assert await shop.store.dataset(offered.target) is None
    declaring(shop, offered.enforced)
    published = await put(shop, offered)
    (offer,) = published["hasPolicy"]
    assert offer["assigner"] == shop.context.participant_id


@each_offer
async def test_one_declaration_less_and_it_is_refused(shop: Shop, offered: Offered) -> None:
    for missing in offered.enforced:
        declaring(shop, offered.enforced - {missing})
        with pytest.raises(PublicationRefused) as refused:
            await put(shop, offered)
        assert {finding.term for finding in refused.value.findings} == {missing}


@pytest.mark.parametrize("strange", ["operator", "leftOperand", "action"])
async def test_what_nobody_here_understands_is_not_published(shop: Shop, strange: str) -> None:
    said = {"action": "use", "leftOperand": "dateTime", "operator": "lt", strange: "urn:x"}
    action, left, operator = (said[name] for name in ("action", "leftOperand", "operator"))
    bound = {"leftOperand": left, "operator": operator, "rightOperand": "2027-01-01T00:00:00Z"}
    with pytest.raises(PublicationRefused, match="urn:x"):
        await shop.offer({"permission": [{"action": action, "constraint": [bound]}]})


# --- templates -------------------------------------------------------------------------------------------------------


async def filled(shop: Shop, template: str) -> Any:
    return await publish(shop.context, f"urn:asset:{template}", source="cars.csv", offers=[], template=template, answers=ANSWERS)


@pytest.mark.parametrize("template", [name for name in TEMPLATES if name != "payd"])
async def test_a_template_can_be_offered_as_it_is(shop: Shop, template: str) -> None:
    published = await filled(shop, template)
    assert len(published["hasPolicy"]) == 1
    assert (await shop.store.shelf.offers(f"urn:asset:{template}"))[0].document


async def test_insurance_by_distance_waits_for_a_data_plane_that_keeps_consent(shop: Shop) -> None:
    with pytest.raises(PublicationRefused) as refused:
        await filled(shop, "payd")
    assert {finding.term for finding in refused.value.findings} == NEEDED
    declaring(shop, NEEDED)
    assert (await filled(shop, "payd"))["hasPolicy"]
    assert all(term(needed) for needed in NEEDED)


# --- records ---------------------------------------------------------------------------------------------------------

RECORD: Final[dict[str, Any]] = dataset_document(entries.DATASET, [])
FILE: Final = ("distribution", 0)
# Where a property stands in the record, and its name there; and by which the finding calls it, where DSP has a name of its own.
MANDATORY: Final = (
    ((), "dct:title"),
    ((), "dct:description"),
    ((), "dct:publisher"),
    ((), "dct:accrualPeriodicity"),
    ((), "dct:spatial"),
    ((), "mobilitydcatap:mobilityTheme"),
    ((), "distribution"),
    (FILE, "dcat:accessURL"),
    (FILE, "vdx:fileType"),
    (FILE, "dct:rights"),
    (FILE, "mobilitydcatap:mobilityDataStandard"),
    ((*FILE, "accessService"), "dct:title"),
    ((*FILE, "accessService"), "endpointURL"),
    ((*FILE, iri("spdx:checksum"), 0), "spdx:algorithm"),
    ((*FILE, iri("spdx:checksum"), 0), "spdx:checksumValue"),
    ((*FILE, iri("dct:rights")), "dct:type"),
    ((iri("dct:publisher"),), "foaf:name"),
    ((iri("dcat:contactPoint"),), "vcard:fn"),
    ((iri("dcat:contactPoint"),), "vcard:hasEmail"),
)
CALLED: Final = {"distribution": "dcat:distribution", "endpointURL": "dcat:endpointURL", "vdx:fileType": "dct:format"}


async def test_a_whole_record_is_published(shop: Shop) -> None:
    published = await publish(shop.context, entries.DATASET.iri, source="trips.csv", offers=[], record=RECORD)
    assert published["distribution"][0]["accessService"]["endpointURL"] == shop.context.callback_address


@pytest.mark.parametrize(("where", "name"), MANDATORY)
async def test_a_record_that_lacks_a_mandatory_property_is_refused_and_says_which(
    shop: Shop, where: tuple[str | int, ...], name: str
) -> None:
    lacking = copy.deepcopy(RECORD)
    holder: Any = lacking
    for step in where:
        holder = holder[step]
    del holder[iri(name) if ":" in name else name]
    with pytest.raises(PublicationRefused) as refused:
        await publish(shop.context, entries.DATASET.iri, source="trips.csv", offers=[], record=lacking)
    assert refused.value.code == "record-invalid"
    called = CALLED.get(name, name)
    assert any(finding.path.endswith(f"/{called}") and called in finding.sentence for finding in refused.value.findings)


PAGE_BYTES: Final = 1024 * 1024
"""What a peer reads of one answer, if nothing else is set."""


async def test_a_page_of_wide_records_can_be_read_by_a_peer(shop: Shop) -> None:
    def offered(number: int) -> dict[str, Any]:
        return {"@id": f"urn:offer:wide:{number}", **city, "@type": "Offer"}

    city = {name: value for name, value in dsp.write(OFFERS[3].policy).items() if name in ("permission", "prohibition")}
    columns = tuple(Column(f"column{number}", privacy=Privacy.NONE) for number in range(40))
    for number in range(100):
        wide = replace(entries.DATASET, iri=f"urn:asset:wide:{number:03}", columns=columns, quality=None)
        record = dataset_document(wide, [])
        await publish(shop.context, wide.iri, source="trips.csv", offers=[offered(number)], record=record)
    page = await shelf.catalog_page(shop.context, BUYING, {}, None, 100)
    assert page.next_token is None
    document = parse(page.body, max_bytes=PAGE_BYTES)
    found = normalise(document)
    assert slow(document) == found
    assert len(found["dataset"]) == 100
    alone = normalise(parse(await shelf.dataset_document(shop.context, BUYING, "urn:asset:wide:042")))
    assert len(alone[iri("vdx:column")]) == 40
    assert iri("vdx:column") not in found["dataset"][42]
