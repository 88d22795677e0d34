"""What a participant that nobody has vouched for sees, and what looks to it as if it were not there."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from connector.flow import inbound, publish, shelf
from connector.identity.interface import Principal
from connector.protocol.errors import BadMessage, NotFound
from connector.protocol.states import Kind
from tests.flow.house import DATASET, OFFER, Street

WHO = "did:web:consumer"
UNVERIFIED, ADMITTED = Principal(WHO, admitted=False), Principal(WHO)
OPEN, OPEN_OFFER = "urn:dataset:stops", "urn:offer:stops"


@pytest.fixture
async def provider(street: Street) -> Any:
    """A provider with a dataset for admitted participants, and one for all."""
    context = street.provider.context
    offers = [{**OFFER, "@id": OPEN_OFFER}]
    await publish.publish(context, OPEN, title="Stops", source="stops.csv", offers=offers, open_to="all")
    return context


async def shown(context: Any, *, admitted: bool) -> list[str]:
    page = await shelf.catalog_page(context, ADMITTED if admitted else UNVERIFIED, {}, None, 10)
    return [dataset["@id"] for dataset in orjson.loads(page.body).get("dataset", [])]


def request(offer: str, target: str | None, pid: str = "urn:pid:1") -> dict[str, Any]:
    return {
        "@type": "ContractRequestMessage",
        "consumerPid": pid,
        "callbackAddress": "https://consumer.example",
        "offer": {"@id": offer, "@type": "Offer", "permission": [{"action": "use"}]} | ({"target": target} if target else {}),
    }


async def test_the_catalogue_has_more_for_who_is_admitted(provider: Any) -> None:
    assert await shown(provider, admitted=True) == [OPEN, DATASET]
    assert await shown(provider, admitted=False) == [OPEN]
    await shelf.dataset_document(provider, UNVERIFIED, OPEN)
    await shelf.dataset_document(provider, ADMITTED, DATASET)
    with pytest.raises(NotFound) as hidden:
        await shelf.dataset_document(provider, UNVERIFIED, DATASET)
    with pytest.raises(NotFound) as unknown:
        await shelf.dataset_document(provider, UNVERIFIED, "urn:dataset:none")
    assert (hidden.value.code, hidden.value.reason) == (unknown.value.code, unknown.value.reason)


@pytest.mark.parametrize("target", [DATASET, None])
async def test_a_request_for_the_rest_is_refused_as_for_what_is_not_there(provider: Any, target: str | None) -> None:
    with pytest.raises(BadMessage) as hidden:
        await inbound.first_message(provider, Kind.NEGOTIATION, UNVERIFIED, request(OFFER["@id"], target))
    with pytest.raises(BadMessage) as unknown:
        await inbound.first_message(provider, Kind.NEGOTIATION, UNVERIFIED, request("urn:offer:none", "urn:dataset:none"))
    assert (hidden.value.code, hidden.value.reason) == (unknown.value.code, unknown.value.reason)

    assert (await inbound.first_message(provider, Kind.NEGOTIATION, ADMITTED, request(OFFER["@id"], target))).status == 201


async def test_a_request_for_what_is_open_to_all_is_taken(provider: Any) -> None:
    answer = await inbound.first_message(provider, Kind.NEGOTIATION, UNVERIFIED, request(OPEN_OFFER, OPEN))
    assert answer.status == 201
