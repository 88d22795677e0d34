"""What an owner publishes cannot break the catalogue for everybody else."""

from __future__ import annotations

import asyncio
import json

import pytest

from catalog.jsonld import normalise
from connector.flow import publish
from connector.protocol.errors import CarnetError, Conflict
from tests.attacks.target import LIAR, OTHER, Target
from tests.attacks.test_owner import ODD_OFFERS
from tests.conformance.peer import contract_request
from tests.conformance.spoiling import CONTEXT, USE, Json

MORE: dict[str, Json] = {
    "a constraint that is none": {"@id": "a", "permission": [{"action": "use", "constraint": [{"leftOperand": "x"}]}]},
    "a constraint without end": {"@id": "a", "permission": [{"action": "use", "constraint": [{"and": [{"or": []}]}]}]},
    "the target of another": {"@id": "a", "target": "another", "permission": USE},
    "a type of its own": {"@id": "a", "@type": "Nonsense", "permission": USE},
}


async def check_catalogue(target: Target) -> list[Json]:
    """The catalogue can be read by a strict peer; gives its datasets."""
    answer = await target.callers[OTHER].post("/catalog/request", {"@context": [CONTEXT], "@type": "CatalogRequestMessage"})
    assert answer.status == 200
    datasets = normalise(json.loads(answer.body), frozenset({"Catalog"})).get("dataset", [])
    return list(datasets)


@pytest.mark.parametrize("offer", [*ODD_OFFERS.values(), *MORE.values()], ids=[*ODD_OFFERS, *MORE])
async def test_an_odd_offer_is_refused_or_can_be_read_by_all(target: Target, offer: Json) -> None:
    try:
        await publish.publish(target.running.context, "odd", title="", source="", offers=[offer])
    except CarnetError as error:
        assert error.status in (400, 409)  # noqa: PT017 - either outcome is right, a crash is not
    for dataset in await check_catalogue(target):
        for shown in dataset["hasPolicy"]:
            request = contract_request(dataset["@id"], shown["@id"], target.liar.address)
            request["offer"]["permission"] = shown.get("permission", USE)
            answer = await target.callers[LIAR].post("/negotiations/request", request)
            assert answer.status == 201, answer.body


@pytest.mark.parametrize("dataset", ["", "a/b", "..", "ä☃", "x" * 10_000, "a\0b", "a b", "%2F"], ids=lambda text: text[:6])
async def test_an_odd_dataset_id_is_refused_or_can_be_asked_for(target: Target, dataset: str) -> None:
    try:
        await publish.publish(target.running.context, dataset, title="", source="", offers=[])
    except CarnetError as error:
        assert error.status == 400  # noqa: PT017 - either outcome is right, a crash is not
        return
    assert dataset in [shown["@id"] for shown in await check_catalogue(target)]


async def test_an_offer_id_belongs_to_one_dataset(target: Target) -> None:
    context, offer = target.running.context, {"@id": "urn:offer:ours", "permission": USE}
    with pytest.raises(Conflict):
        await publish.publish(context, "second", title="", source="", offers=[offer])
    with pytest.raises(Conflict):
        await publish.publish(context, "second", title="", source="", offers=[offer | {"@id": "new"}] * 2)
    assert [dataset["@id"] for dataset in await check_catalogue(target)] == ["ours"]


async def test_twenty_publications_of_one_offer_id_are_one(target: Target) -> None:
    context, offer = target.running.context, {"@id": "wanted", "permission": USE}
    work = [publish.publish(context, f"d{number}", title="", source="", offers=[offer]) for number in range(20)]
    told = await asyncio.gather(*work, return_exceptions=True)
    assert sum(isinstance(each, Conflict) for each in told) == 19
    assert len(await check_catalogue(target)) == 2
