"""Whatever is sent to whichever operation: it is done, or refused in the form that clients read, and never an incident."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connector.api.guard import OwnerGuard
from connector.api.operation import Operation
from connector.api.router import mount, supervisor
from connector.flow.plane import Plane
from connector.http.client import GuardedClient
from connector.management.model import EDC
from connector.management.operations import operations
from connector.metrics import Metrics
from connector.settings.secret import Secret
from tests.management.scene import Scene, opened

CONTEXT = {"@vocab": EDC}
FOUR = {"@context": ["https://w3id.org/edc/connector/management/v2"]}
METADATA = {"@type": "DataplaneMetadata", "properties": {"type": "HttpData"}}
BODIES: list[Any] = [
    None,
    [],
    "text",
    7,
    {},
    {"@context": CONTEXT},
    {"@context": "https://nobody.example/context"},
    {"@context": CONTEXT, "@id": {"x": 1}},
    {"@context": CONTEXT, "@id": "x", "properties": [1], "policy": [], "value": 7},
    {"@context": CONTEXT, "@id": "x", "properties": {"a": {"@list": [1]}}, "dataAddress": "x", "policy": {"@type": "Set"}},
    {"@context": CONTEXT, "policyScope": "catalog", "contractId": "x", "accessPolicyId": "x", "contractPolicyId": "x"},
    {"@context": CONTEXT, "counterPartyId": "did:web:x", "policy": {"@id": "o", "@type": f"{EDC}Offer", f"{EDC}target": "x"}},
    {"@context": CONTEXT, "counterPartyId": "did:web:provider", "@id": "zones", "querySpec": {"limit": "x"}},
    {"@context": CONTEXT, "filterExpression": [{"operandLeft": "'", "operator": "like", "operandRight": 7}]},
    {"@context": CONTEXT, "limit": 1 << 40, "offset": -1, "sortOrder": "up"},
    {
        **FOUR,
        "@type": "Asset",
        "properties": {},
        "dataplaneMetadata": {"@type": "DataplaneMetadata", "properties": {"type": "HttpData"}},
    },
    {**FOUR, "@type": "QuerySpec", "sortField": "state", "filterExpression": []},
]
REFUSED = (400, 404, 409, 412, 502, 503)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """The beginning, with a data plane that is away."""
    async with opened(tmp_path) as found:
        object.__setattr__(found.b.m, "plane", Plane(cast("GuardedClient", None), Secret("x" * 32)))
        yield found


@pytest.fixture
async def client(scene: Scene) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """A client of all operations."""
    app = web.Application(middlewares=[supervisor("management", Metrics())])
    mount(app, operations(scene.b, "/management"), OwnerGuard())
    async with TestClient(TestServer(app)) as opened_client:
        yield opened_client


async def test_no_request_is_an_incident(scene: Scene, client: TestClient[web.Request, web.Application]) -> None:
    served: list[Operation] = [each for each in operations(scene.b, "/management") if not each.open]
    for operation in served:
        for body in BODIES if operation.method in ("POST", "PUT") else [None]:
            for name in ("x", "urn:uuid:1", "%2e%2e", "a%20b"):
                raw = b"" if body is None else json.dumps(body).encode()
                async with client.request(operation.method, operation.path.replace("{id}", name) + "?", data=raw) as answer:
                    told = await answer.read()
                said = f"{operation.name} {body}: {answer.status} {told[:300]!r}"
                assert answer.status == operation.status or answer.status in REFUSED, said
                if answer.status != operation.status:
                    listed = json.loads(told)
                    assert {"message", "type", "path", "invalidValue", "code"} == listed[0].keys(), said
                    assert answer.status in (*operation.errors, 400, 503), said
                if "{id}" not in operation.path:
                    break


@pytest.mark.parametrize("path", ["/management/v3/nothing", "/management/v5/assets", "/management"])
async def test_what_is_not_there_is_said_in_the_same_form(client: TestClient[web.Request, web.Application], path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 404
        assert (await answer.json())[0]["type"] == "ObjectNotFound"
    async with client.delete("/management/v3/assets") as answer:
        assert answer.status == 405
