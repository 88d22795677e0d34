"""What clients of the field do that none of the pinned ones does: one call from offer to data, bare question marks, no bodies.

The flow of Tractus-X's clients over version 3: catalogue, `POST /edrs`, poll the negotiation, find the transfer by agreement, the
data address with a token that is renewed on the way. And what a dashboard in a browser needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.interop.parties import Market, Party, market

NS = "https://w3id.org/edc/v0.0.1/ns/"
CONTEXT = {"@vocab": NS}
PROTOCOL = "dataspace-protocol-http:2025-1"
TYPE = "https://example.org/Trip"
POLLS = 150


class Caller:
    """A client in its barest form. ``version`` stands in every path."""

    def __init__(self, session: aiohttp.ClientSession, party: Party, version: str = "v3") -> None:
        self.session, self.base, self.key = session, f"{party.management}/{version}", party.key

    async def __call__(self, method: str, path: str, body: Any = None, *, expect: int = 200, raw: bytes | None = None) -> Any:
        """The answer's JSON, if it has that status. Every URL ends with a question mark."""
        headers = {"x-api-key": self.key, "Content-Type": "application/json"}
        data: dict[str, Any] = {"json": body} if raw is None and body is not None else {"data": raw}
        async with self.session.request(
            method, f"{self.base}/{path}{'' if '?' in path else '?'}", headers=headers, **data
        ) as answer:
            text = await answer.text()
            assert answer.status == expect, f"{method} {path}: {answer.status} {text}"
            self.headers = answer.headers
            return None if not text else await answer.json()


@pytest.fixture
async def sellers(tmp_path: Path) -> AsyncIterator[Market]:
    """Two connectors and an API of this test."""
    async with market(tmp_path) as both:
        yield both


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to both."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as opened:
        yield opened


async def publish(provider: Caller, source: str, asset: str = "trips") -> None:
    """An asset of the API, open to all whom the provider knows."""
    properties = {"kind": ["a"], "dct:type": {"@id": TYPE}}
    address = {"@type": "DataAddress", "type": "HttpData", "baseUrl": source, "proxyPath": "true"}
    await provider("POST", "assets", {"@context": CONTEXT, "@id": asset, "properties": properties, "dataAddress": address})
    if asset != "trips":
        return
    policy = {"@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Set", "permission": [{"action": "use"}]}
    await provider("POST", "policydefinitions", {"@context": CONTEXT, "@id": "use", "policy": policy})
    definition = {"@context": CONTEXT, "@id": "all", "accessPolicyId": "use", "contractPolicyId": "use", "assetsSelector": []}
    await provider("POST", "contractdefinitions", definition)


async def reached(call: Caller, path: str, state: str) -> None:
    """Wait until something is in this state."""
    for _ in range(POLLS):
        found = (await call("GET", path))["state"]
        if found == state:
            return
        assert found != "TERMINATED"
        await asyncio.sleep(0.1)
    raise AssertionError(f"{path} is not {state}")


def equals(left: str, right: str) -> dict[str, Any]:
    """A QuerySpec of one criterion."""
    criterion = {"@type": "Criterion", "operandLeft": left, "operator": "=", "operandRight": right}
    return {"@context": CONTEXT, "@type": "QuerySpec", "filterExpression": [criterion]}


@pytest.mark.interop
async def test_one_call_from_offer_to_data(sellers: Market, session: aiohttp.ClientSession) -> None:
    provider, consumer = Caller(session, sellers.provider), Caller(session, sellers.consumer)
    await publish(provider, sellers.source)
    who = sellers.provider.told()
    party = {"counterPartyAddress": who["address"], "counterPartyId": who["id"], "protocol": PROTOCOL}
    wanted = {"@context": CONTEXT, "@type": "CatalogRequest", **party, "querySpec": equals(f"{NS}id", "trips")}
    (dataset,) = (await consumer("POST", "catalog/request", wanted))["dataset"]
    typed = {**wanted, "querySpec": equals("'http://purl.org/dc/terms/type'.'@id'", TYPE)}
    assert [each["@id"] for each in (await consumer("POST", "catalog/request", typed))["dataset"]] == ["trips"]
    typed["querySpec"] = equals("'http://purl.org/dc/terms/type'.'@id'", "https://example.org/Another")
    assert "dataset" not in await consumer("POST", "catalog/request", typed)
    # By the older name of the protocol the same catalogue comes with prefixes, as older clients read it.
    legacy = {**wanted, "protocol": "dataspace-protocol-http", "counterPartyAddress": who["address"].removesuffix("/2025-1")}
    (same,) = (await consumer("POST", "catalog/request", legacy))["dcat:dataset"]
    assert same["odrl:hasPolicy"][0]["@id"] == dataset["hasPolicy"][0]["@id"]
    context = [{"odrl": "http://www.w3.org/ns/odrl/2/"}, CONTEXT]
    offer = {
        "@id": dataset["hasPolicy"][0]["@id"],
        "@type": "odrl:Offer",
        "odrl:assigner": {"@id": who["id"]},
        "odrl:target": {"@id": "trips"},
        "odrl:permission": [{"odrl:action": {"@id": "odrl:use"}}],
    }
    begun = await consumer("POST", "edrs", {"@context": context, "@type": "ContractRequest", **party, "policy": offer})
    await reached(consumer, f"contractnegotiations/{begun['@id']}/state", "FINALIZED")
    agreement = (await consumer("GET", f"contractnegotiations/{begun['@id']}"))["contractAgreementId"]
    newest = {**equals("contractId", agreement), "sortField": "createdAt", "sortOrder": "DESC"}
    found: list[dict[str, Any]] = []
    for _ in range(POLLS):
        found = await consumer("POST", "transferprocesses/request", newest)
        if found and found[0]["state"] == "STARTED":
            break
        await asyncio.sleep(0.1)
    (transfer,) = found
    (entry,) = await consumer("POST", "edrs/request", equals("agreementId", agreement))
    assert (entry["transferProcessId"], entry["contractNegotiationId"]) == (transfer["@id"], begun["@id"])

    address = await consumer("GET", f"edrs/{transfer['@id']}/dataaddress?auto_refresh=true")
    assert consumer.headers["Cache-Control"] == "no-store"
    assert await fetched(session, address) == 200
    renewed = await consumer("POST", f"edrs/{transfer['@id']}/refresh")
    assert renewed["authorization"] != address["authorization"]
    assert await fetched(session, renewed) == 200
    # Once the new token is used, the old one is none any more.
    assert await fetched(session, address) in (401, 403)

    await consumer("DELETE", f"edrs/{transfer['@id']}", expect=204)
    await consumer("GET", f"edrs/{transfer['@id']}/dataaddress", expect=404)
    await consumer("DELETE", f"edrs/{transfer['@id']}", expect=404)
    assert await consumer("POST", "edrs/request", raw=b"null") == []
    assert (await consumer("GET", f"transferprocesses/{transfer['@id']}/state"))["state"] == "STARTED"
    await consumer("POST", f"transferprocesses/{transfer['@id']}/deprovision", expect=204)
    await consumer("DELETE", f"contractnegotiations/{begun['@id']}", expect=409)


async def fetched(session: aiohttp.ClientSession, address: dict[str, Any]) -> int:
    """The status with which the data come."""
    headers = {"Authorization": address["authorization"]}
    async with session.get(f"{address['endpoint']}/zones", headers=headers) as answer:
        return answer.status


@pytest.mark.interop
async def test_lists_have_pages_and_totals_and_refusals_have_places(sellers: Market, session: aiohttp.ClientSession) -> None:
    provider, four = Caller(session, sellers.provider), Caller(session, sellers.provider, "v4")
    for name in ("trips", "zones", "routes"):
        await publish(provider, sellers.source, name)
    everything = [each["@id"] for each in await provider("POST", "assets/request", raw=b"")]
    assert (
        everything
        == [each["@id"] for each in await provider("POST", "assets/request", raw=b"null")]
        == ["trips", "zones", "routes"]
    )
    assert provider.headers["X-Total-Count"] == "3"
    assert "Link" not in provider.headers
    page = {"@context": CONTEXT, "limit": 2, "sortField": "createdAt", "sortOrder": "ASC"}
    assert [each["@id"] for each in await provider("POST", "assets/request", page)] == everything[:2]
    assert provider.headers["X-Total-Count"] == "3"
    following = provider.headers["Link"].partition(">")[0].rpartition("/v3/")[2]
    assert provider.headers["Link"].endswith('rel="next"')
    assert [each["@id"] for each in await provider("POST", following, page)] == everything[2:]
    assert 'rel="prev"' in provider.headers["Link"]

    # An array of one stays an array, and a selector still finds what is in it.
    (kept, *_) = await provider("POST", "assets/request", equals("kind", "a"))
    assert kept["properties"]["kind"] == ["a"]

    (wrong,) = await provider("POST", "assets/request", {"@context": CONTEXT, "limitt": 3}, expect=400)
    assert wrong["type"] == "InvalidRequest" or wrong["path"] == "limitt"
    found = await four("POST", "assets/request", {"@type": "QuerySpec", "limit": 0}, expect=400)
    assert {each["path"] for each in found} >= {"limit"}
    assert {"message", "type", "path", "invalidValue", "code"} == found[0].keys()
    (unknown,) = await provider("GET", "assets/nothing", expect=404)
    assert unknown["type"] == "ObjectNotFound"
    callbacks = {"@context": CONTEXT, "contractId": "x", "callbackAddresses": [{"uri": "http://localhost"}]}
    (refused,) = await provider("POST", "transferprocesses", callbacks, expect=400)
    assert refused["path"] == "callbackAddresses"
