"""An API that is sold: published as EDC's clients do, kept by a file's receipt and a program's calls, counted as agreed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from connector.client.local import Document
from tests.interop.parties import SOURCE_KEY, Market, Party, market

STEP_S = 60.0
EDC = {"@vocab": "https://w3id.org/edc/v0.0.1/ns/", "odrl": "http://www.w3.org/ns/odrl/2/"}
ASSET = "urn:cars:api"


@pytest.fixture
async def sellers(tmp_path: Path) -> AsyncIterator[Market]:
    """A provider with an API behind a key, and a consumer."""
    async with market(tmp_path) as both:
        yield both


async def post(party: Party, path: str, document: Document) -> tuple[int, Any]:
    """One call of the management interface, version 3."""
    headers = {"X-Api-Key": party.key}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{party.management}/v3/{path}", json={"@context": EDC, **document}) as answer,
    ):
        return answer.status, await answer.json()


def rule(left: str, operator: str, right: Any) -> Document:
    """A permission with one constraint."""
    constraint = {"odrl:leftOperand": {"@id": left}, "odrl:operator": {"@id": f"odrl:{operator}"}, "odrl:rightOperand": right}
    return {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": constraint}


async def offer(party: Party, name: str, permission: Document) -> tuple[int, Any]:
    """A contract definition that offers the asset on these terms."""
    for policy, terms in ((f"all-{name}", {"odrl:action": {"@id": "odrl:use"}}), (name, permission)):
        document = {"@type": "odrl:Set", "odrl:permission": [terms]}
        status, _ = await post(party, "policydefinitions", {"@id": policy, "policy": document})
        assert status == 200
    selector = [{"operandLeft": EDC["@vocab"] + "id", "operator": "=", "operandRight": ASSET}]
    definition = {"@id": f"def-{name}", "accessPolicyId": f"all-{name}", "contractPolicyId": name, "assetsSelector": selector}
    return await post(party, "contractdefinitions", definition)


async def publish(provider: Party, source: str) -> None:
    """The API as an asset of which paths may be asked."""
    address = {"type": "HttpData", "baseUrl": source, "proxyPath": "true", "authKey": "x-source-key", "authCode": SOURCE_KEY}
    status, answer = await post(provider, "assets", {"@id": ASSET, "properties": {"name": "cars"}, "dataAddress": address})
    assert status == 200, answer


async def reached(party: Party, process_id: str, *states: str) -> Document:
    async with party.house.client() as owner:
        found = await owner.wait(process_id, lambda now: now["state"] in states and now["awaiting"] is None, STEP_S)
    assert found["state"] in states, found
    return found


async def agreed(sellers: Market) -> str:
    """The id of a contract about the only offer."""
    provider = sellers.provider.house.participant_id
    async with sellers.consumer.house.client() as owner:
        await owner.hello(provider)
        (shown,) = await owner.catalog(provider)
        begun = await owner.negotiate(provider, ASSET, shown["hasPolicy"][0])
    found = await reached(sellers.consumer, begun["id"], "FINALIZED")
    return str(found["agreement"]["@id"])


async def receipt(party: Party, transfer: str) -> Document:
    """The receipt of a transfer once both have signed, or one disputes it."""
    async with asyncio.timeout(STEP_S), party.house.client() as owner:
        while True:
            for found in await owner.receipts():
                if found["id"] == transfer and found["state"] in ("countersigned", "disputed"):
                    return found
            await asyncio.sleep(0.05)


async def test_an_answer_that_is_kept_has_a_receipt_of_both_and_calls_are_counted_as_agreed(sellers: Market) -> None:
    await publish(sellers.provider, sellers.source)
    status, answer = await offer(sellers.provider, "thrice", rule("odrl:count", "lteq", "3"))
    assert status == 200, answer
    agreement = await agreed(sellers)
    async with sellers.consumer.house.client() as owner:
        begun = await owner.transfer(agreement, sink="cars.json")
    done = await reached(sellers.consumer, begun["id"], "COMPLETED", "TERMINATED")
    (kept,) = sellers.consumer.house.folder.rglob("cars.json")
    body = kept.read_bytes()
    assert orjson.loads(body)["opened"]
    assert (done["state"], done["received"]["sha256"]) == ("COMPLETED", hashlib.sha256(body).hexdigest())
    assert (await receipt(sellers.consumer, begun["id"]))["state"] == "countersigned"
    async with sellers.consumer.house.client() as owner:
        begun = await owner.transfer(agreement)
        await reached(sellers.consumer, begun["id"], "STARTED")
        address = await owner.data_address(begun["id"])
    token = next(entry["value"] for entry in address["endpointProperties"] if entry["name"] == "authorization")
    seen = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        for path in ("/one", "/missing", "/three"):
            async with session.get(address["endpoint"] + path) as got:
                seen.append((got.status, got.headers.get("Carnet-Source-Status")))
    assert seen == [(200, "200"), (404, "404"), (429, None)]


async def test_terms_about_rows_are_no_terms_for_an_api(sellers: Market) -> None:
    await publish(sellers.provider, sellers.source)
    shaped = rule("https://w3id.org/carnet/terms#minGroupSize", "gteq", "5")
    status, answer = await offer(sellers.provider, "grouped", shaped)
    assert status == 400, answer
    async with sellers.consumer.house.client() as owner:
        await owner.hello(sellers.provider.house.participant_id)
        assert await owner.catalog(sellers.provider.house.participant_id) == []
