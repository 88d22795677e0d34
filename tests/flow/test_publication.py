"""What is published, and what is refused: with every term that cannot be kept, its place and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import orjson
import pytest

from catalog.dcat.write import dataset_document
from connector.flow import publish
from connector.flow.described import TemplateAnswers
from connector.flow.offers import OFFERS_MOST, PublicationRefused
from connector.protocol.errors import CallerError, Conflict
from connector.store import writes
from connector.store.engine import Statement
from connector.store.rows import Agreement
from policies.terms.exclusivity import EXCLUSIVE
from policies.terms.metering import REQUESTS_PER_VEHICLE_DAY
from policies.terms.place import SPATIAL
from tests.catalog import entries
from tests.flow.house import DATASET, OFFER, Street
from tests.policies.drawn import offer_document

MILEAGE = "urn:asset:mileage"
GROUND = (
    "INSERT INTO exclusivity (agreement_id, counterparty, dataset, exclusive, bounds, created_at) "
    "VALUES (?, 'did:web:city', ?, ?, ?, 1)"
)
Json = dict[str, Any]


@pytest.fixture
def context(street: Street) -> Any:
    return street.provider.context


async def refused(context: Any, *offers: Json, dataset: str = DATASET, **more: Any) -> PublicationRefused:
    with pytest.raises(PublicationRefused) as caught:
        await publish.publish(context, dataset, source="trips.csv", offers=list(offers), **more)
    return caught.value


def exclusively(where: str | None, uid: str = "urn:offer:exclusive") -> Json:
    """An offer of exclusive use, everywhere or in one place."""
    spatial = [] if where is None else [{"leftOperand": SPATIAL, "operator": "eq", "rightOperand": where}]
    constraint = [{"leftOperand": EXCLUSIVE, "operator": "eq", "rightOperand": "true"}, *spatial]
    return {"@id": uid, "permission": [{"action": "use", "constraint": constraint}]}


async def test_an_offer_in_full_odrl_stands_in_the_catalogue_as_ours(context: Any) -> None:
    offer = offer_document("1") | {"permission": [{"action": "odrl:use", "target": MILEAGE}], "prohibition": []}
    document = await publish.publish(context, MILEAGE, source="m.csv", offers=[offer])
    assert document["hasPolicy"] == [
        {
            "@id": "urn:offer:1-payd-mileage",
            "@type": "Offer",
            "profile": "https://w3id.org/carnet/terms/profile/1",
            "assigner": context.participant_id,
            "permission": [{"action": "use"}],
        }
    ]
    (kept,) = await context.store.shelf.offers(MILEAGE)
    assert orjson.loads(kept.odrl) == offer
    assert orjson.loads(kept.document) == document["hasPolicy"][0]


async def test_what_only_a_data_plane_keeps_is_refused_until_one_declares_it(street: Street) -> None:
    error = await refused(street.provider.context, offer_document("1"), dataset=MILEAGE)
    assert error.code == "policy-unenforceable"
    found = {finding.term: finding for finding in error.findings}[REQUESTS_PER_VEHICLE_DAY]
    assert found.path == "/offers/0/permission/0/constraint/2"
    assert found.sentence.startswith("no data plane here declares")
    assert REQUESTS_PER_VEHICLE_DAY in (found.remedy or "")
    assert found.path in error.reason
    assert await street.provider.store.dataset(MILEAGE) is None

    street.provider.context = declaring(street, *(finding.term for finding in error.findings))
    document = await publish.publish(street.provider.context, MILEAGE, source="m.csv", offers=[offer_document("1")])
    assert len(document["hasPolicy"][0]["permission"][0]["constraint"]) == 3


def declaring(street: Street, *terms: str | None) -> Any:
    return replace(street.provider.context, declared=frozenset(term for term in terms if term))


@pytest.mark.parametrize(
    ("offer", "code", "finding", "path"),
    [
        ({"permission": [{"action": "frobnicate"}]}, "policy-unenforceable", "action-unknown", "/offers/1/permission/0/action"),
        ({"permission": "use"}, "offer-invalid", "object-expected", "/offers/1/permission"),
        ({}, "offer-without-form", "rule-missing", "/offers/1"),
        ({"permission": [{"action": "use"}], "target": "urn:other"}, "offer-without-form", "target-other", "/offers/1/target"),
        (
            {"uid": "urn:o", "@type": "Set", "permission": [{"action": "odrl:use"}]},
            "offer-without-form",
            "kind",
            "/offers/1/@type",
        ),
    ],
)
async def test_what_is_wrong_is_named_with_its_place(context: Any, offer: Json, code: str, finding: str, path: str) -> None:
    error = await refused(context, OFFER, offer)
    assert error.code == code
    assert (finding, path) in [(each.code, each.path) for each in error.findings]


async def test_all_that_is_wrong_is_said_at_once(context: Any) -> None:
    error = await refused(context, *[{"permission": [{"action": f"do-{number}"}]} for number in range(9)])
    assert len(error.findings) == 9
    assert "and 4 more" in error.reason
    many = await refused(context, *[OFFER] * (OFFERS_MOST + 1))
    assert many.code == "offers-too-many"


async def test_two_offers_do_not_share_exclusive_ground(context: Any) -> None:
    error = await refused(context, OFFER, exclusively(None))
    assert error.code == "exclusivity-conflict"
    assert [(each.path, each.term) for each in error.findings] == [("/offers/1/permission/0", EXCLUSIVE)]
    await publish.publish(context, DATASET, source="trips.csv", offers=[exclusively(None)])


async def test_what_is_promised_exclusively_is_not_offered_again(street: Street) -> None:
    context = declaring(street, SPATIAL)
    paris, rome = "http://data.europa.eu/nuts/code/FR101", "http://data.europa.eu/nuts/code/ITI43"
    agreed = exclusively(paris) | {
        "@id": "urn:agreement:1",
        "@type": "Agreement",
        "target": DATASET,
        "assigner": context.participant_id,
        "assignee": "did:web:city",
    }
    text = orjson.dumps(agreed).decode()
    row = Agreement("urn:agreement:1", "did:web:city", "provider", "n", DATASET, text, "binding", 1, 1)
    await context.store.commit([writes.insert_agreement(row), Statement(GROUND, ("urn:agreement:1", DATASET, 1, text))])
    error = await refused(context, OFFER)
    assert (error.code, error.findings[0].path) == ("exclusivity-conflict", "/offers/0/permission/0")
    assert (await refused(context, exclusively(paris))).code == "exclusivity-conflict"
    await publish.publish(context, DATASET, source="trips.csv", offers=[exclusively(rome)])


async def test_an_agreement_that_cannot_be_read_may_promise_everything(context: Any) -> None:
    row = Agreement("a", "did:web:city", "provider", "n", DATASET, '{"@id": "a", "permission": 7}', "binding", 1, 1)
    await context.store.commit([writes.insert_agreement(row), Statement(GROUND, ("a", DATASET, 0, ""))])
    await publish.publish(context, DATASET, source="trips.csv", offers=[OFFER])
    assert (await refused(context, exclusively(None))).code == "exclusivity-conflict"


def recorded() -> Json:
    """A whole record as its owner writes it."""
    return {name: value for name, value in dataset_document(entries.DATASET, []).items() if name != "hasPolicy"}


async def test_a_record_is_published_with_our_service(context: Any) -> None:
    name = entries.DATASET.iri
    document = await publish.publish(context, name, source="t.csv", offers=[], record=recorded())
    service = document["distribution"]["accessService"] if isinstance(document["distribution"], dict) else None
    service = service or document["distribution"][0]["accessService"]
    assert service["endpointURL"] == context.callback_address
    row = await context.store.dataset(name)
    assert row is not None
    assert orjson.loads(row.record) == recorded()
    assert "fahrten" in row.words
    assert all(f"\n{theme}\n" in row.theme for theme in entries.DATASET.themes)
    assert len(row.brief) < len(row.document)


@pytest.mark.parametrize("missing", ["http://purl.org/dc/terms/title", "distribution"])
async def test_a_record_that_lacks_something_is_refused(context: Any, missing: str) -> None:
    record = recorded()
    assert record.pop(missing)
    error = await refused(context, OFFER, dataset=entries.DATASET.iri, record=record)
    assert error.code == "record-invalid"
    assert error.findings[0].code == "member-missing"
    assert error.findings[0].path.startswith("/record/")


async def test_a_record_is_about_what_is_published_and_leaves_as_we_can(context: Any) -> None:
    other = await refused(context, record=recorded(), dataset="urn:asset:other")
    assert other.findings[0].code == "record-other"
    unread = await refused(context, record=recorded() | {"http://purl.org/dc/terms/title": 7}, dataset=entries.DATASET.iri)
    assert unread.findings[0].code == "member-invalid"
    record = orjson.loads(orjson.dumps(recorded()).replace(b"HttpData-PULL", b"Kafka-PULL"))
    wrong = await refused(context, record=record, dataset=entries.DATASET.iri)
    assert [each.code for each in wrong.findings] == ["format-unsupported"]


ANSWERS = TemplateAnswers(
    columns={"code": "technical"},
    price="120.00",
    place="http://publications.europa.eu/resource/authority/country/FRA",
    publisher="Example Motors",
    contact="Data desk",
    email="desk@oem.example",
    title="Fault codes",
    from_ms=1_735_689_600_000,
)


async def test_a_template_makes_record_and_offer(context: Any) -> None:
    name = "urn:asset:dtc"
    document = await publish.publish(context, name, source="dtc.csv", offers=[], template="repairer", answers=ANSWERS)
    assert [offer["@id"] for offer in document["hasPolicy"]] == [f"{name}#offer"]
    row = await context.store.dataset(name)
    assert row is not None
    assert orjson.loads(row.record)["template"] == "repairer"


async def test_answers_that_a_template_cannot_take(context: Any) -> None:
    with pytest.raises(CallerError, match="template-unknown"):
        await publish.publish(context, "urn:a", source="a.csv", offers=[], template="nothing", answers=ANSWERS)
    dear = msgspec.structs.replace(ANSWERS, price="much")
    error = await refused(context, dataset="urn:a", template="city", answers=dear)
    assert (error.code, error.findings[0].path) == ("answers-invalid", "/answers/price")


async def test_an_offer_id_belongs_to_one_dataset(context: Any) -> None:
    with pytest.raises(Conflict):
        await publish.publish(context, "urn:dataset:other", source="", offers=[OFFER])
