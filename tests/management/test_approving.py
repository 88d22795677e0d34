"""A contract definition asks for approval: said over the interface of both versions, shown again, and kept by its offers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connector.api.approvals import BASE, Approvals
from connector.api.guard import OwnerGuard
from connector.api.router import mount
from connector.flow import begin, deciding
from connector.management.approving import APPROVAL
from connector.management.desk_definitions import DefinitionDesk
from connector.management.model import EDC
from connector.management.service import Management
from connector.management.v3 import V3
from connector.management.v4 import V4
from connector.protocol.record import Process, Rule
from connector.protocol.states import State
from policies.model import CARNET
from tests.flow.deciders import ANNA, BERT
from tests.flow.house import Fuse, Street
from tests.flow.test_acceptance import negotiation, rest
from tests.management.stand import Stand, managed

Json = dict[str, Any]
RULE: Json = {"roles": ["commercial"], "eyes": 2, "deadline_s": 3600}
CONTEXTS: dict[str, Any] = {"v3": {"@vocab": EDC}, "v4": ["https://w3id.org/edc/connector/management/v2"]}
OPEN: Json = {"@type": "Set", "permission": [{"action": "use"}]}


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    """Two houses."""
    street = Street(Fuse())
    await street.open(tmp_path, "street")
    yield street
    await street.close()


class Desk:
    """The provider's interface, as programs speak to it."""

    def __init__(self, client: TestClient[web.Request, web.Application], m: Management) -> None:
        self.client, self.m = client, m

    async def ask(self, method: str, version: str, path: str, body: Json | None = None, status: int = 200) -> Any:
        """What is answered."""
        sent = None if body is None else {"@context": CONTEXTS[version], **body}
        answer = await self.client.request(method, f"/management/{version}{path}", json=sent)
        text = await answer.read()
        assert answer.status == status, text
        return msgspec.json.decode(text) if text else None

    async def waiting(self) -> list[Json]:
        """What waits for people."""
        answer = await self.client.get(BASE)
        found: list[Json] = await answer.json()
        return found


@pytest.fixture
async def desk(street: Street) -> AsyncIterator[Desk]:
    """With an asset and a policy that permits everything."""
    house = street.provider
    m = managed(house, Stand())
    app = web.Application()
    for dialect in (V3(), V4()):
        mount(app, DefinitionDesk(m, dialect, f"/management/{dialect.name}").operations(), OwnerGuard())
    mount(app, Approvals(house.context, m.plane).operations(), OwnerGuard())
    client = TestClient(TestServer(app))
    await client.start_server()
    desk = Desk(client, m)
    address = {"@type": "DataAddress", "type": "HttpData", "baseUrl": "https://api.example.com/trips"}
    await desk.ask("POST", "v3", "/assets", {"@id": "trips", "properties": {"name": "Trips"}, "dataAddress": address})
    await desk.ask(
        "POST", "v3", "/policydefinitions", {"@id": "open", "policy": {"@context": "http://www.w3.org/ns/odrl.jsonld", **OPEN}}
    )
    yield desk
    await client.close()


def definition(asked: Any, name: str = "approval") -> Json:
    """A contract definition that asks so."""
    private = {} if asked is None else {"privateProperties": {name: asked}}
    policies = {"accessPolicyId": "open", "contractPolicyId": "open", "assetsSelector": []}
    return {"@id": "all", "@type": "ContractDefinition", **policies, **private}


async def requested(street: Street) -> Process:
    """The provider's negotiation about what it offers."""
    row = await street.provider.store.dataset("trips")
    assert row is not None
    (offer,) = orjson.loads(row.document)["hasPolicy"]
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset="trips", offer=offer)
    await rest(street)
    return await negotiation(street.provider)


@pytest.mark.parametrize("name", ["approval", f"{CARNET}approval"])
@pytest.mark.parametrize("version", ["v3", "v4"])
async def test_its_offers_wait_for_those_whom_it_names(street: Street, desk: Desk, version: str, name: str) -> None:
    await desk.ask("POST", version, "/contractdefinitions", definition(RULE, name))
    for read in ("v3", "v4"):
        shown = await desk.ask("GET", read, "/contractdefinitions/all")
        assert shown["privateProperties"] == {name: RULE}
    ours = await requested(street)
    assert ours.detail.asks == Rule(roles=("commercial",), eyes=2, deadline_s=3600, origin="offer")
    (found,) = await desk.waiting()
    assert (found["id"], found["rule"]["eyes"]) == (ours.id, 2)
    for by in (ANNA, BERT):
        await deciding.approve(street.provider.context, ours.id, by=by)
    await rest(street)
    assert (await negotiation(street.consumer)).state is State.FINALIZED


async def test_what_it_asks_can_be_changed_and_left_out(street: Street, desk: Desk) -> None:
    await desk.ask("POST", "v3", "/contractdefinitions", definition(None))
    await desk.ask("PUT", "v3", "/contractdefinitions", definition({"roles": "operator"}), 204)
    offers = await street.provider.store.shelf.on_offer(after=("", ""), dataset="trips", limit=10)
    asked = await street.provider.store.shelf.approval(offers[0].id, "trips")
    assert asked is not None
    assert msgspec.json.decode(asked, type=Rule) == Rule(roles=("operator",), origin="offer")
    await desk.ask("PUT", "v4", "/contractdefinitions", definition(None), 204)
    assert await street.provider.store.shelf.approval(offers[0].id, "trips") == ""
    assert (await requested(street)).state is State.FINALIZED


@pytest.mark.parametrize(
    "asked",
    ["commercial", {"roles": ["auditor"]}, {"roles": ["commercial"], "eyes": 3}, {"who": "anybody"}, {"deadline_s": 0}, 7],
)
@pytest.mark.parametrize("version", ["v3", "v4"])
async def test_a_rule_that_cannot_be_kept_is_refused(street: Street, desk: Desk, version: str, asked: Any) -> None:
    (said,) = await desk.ask("POST", version, "/contractdefinitions", definition(asked), 400)
    assert said["path"] == "privateProperties.approval"
    assert await street.provider.store.dataset("trips") is None


async def test_it_is_said_once(desk: Desk) -> None:
    twice = definition(None) | {"privateProperties": dict.fromkeys(("approval", APPROVAL[0]), RULE)}
    await desk.ask("POST", "v3", "/contractdefinitions", twice, 400)
