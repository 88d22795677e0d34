"""The ledger over HTTP: from the owner's client to the data plane's listener, and nothing of a vehicle in paths and errors."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.routes import ConsentRoutes
from connector.dataplane.problems import Refusal
from connector.flow.plane import Plane
from connector.http.client import EgressPolicy, GuardedClient, parse_target
from connector.http.local_consents import LocalConsents
from connector.protocol.errors import CarnetError
from connector.settings.secret import Secret
from tests.dataplane.consent.ledgers import INSURER, TEXT, VIN, ledger_in, row, write_csv
from tests.routed import routed

ENTRY = {
    "vehicle": VIN,
    "category": "mileage",
    "purpose": "vdx:Insurance",
    "recipient": INSURER,
    "given": True,
    "decided_by": "owner",
    "text_sha256": TEXT,
}
KEY = {
    "category": "mileage",
    "purpose": "https://w3id.org/carnet/terms#Insurance",
    "recipient": INSURER,
    "basis": "https://w3id.org/dpv#Consent",
}


@web.middleware
async def refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    """As the signaling listener and the owner's channel answer them."""
    try:
        return await handler(request)  # type: ignore[no-any-return]  # a handler
    except Refusal as refusal:
        return refusal.response()
    except CarnetError as error:
        return web.json_response({"code": error.code, "detail": error.reason}, status=error.status)


@dataclass
class Desk:
    """The owner's channel before a data plane with a ledger."""

    client: TestClient[web.Request, web.Application]
    ledger: Ledger
    roots: Path

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.client.request(method, f"/carnet/v1{path}", json=body) as answer:
            return answer.status, await answer.json()


def served(routes: list[web.RouteDef]) -> TestServer:
    app = web.Application(middlewares=[refusals])
    app.add_routes(routes)
    return TestServer(app)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with ledger_in(tmp_path / "own") as ledger, served(ConsentRoutes(ledger, (tmp_path,)).routes()) as plane_server:
        base = str(plane_server.make_url("")).rstrip("/")
        policy = EgressPolicy(allow=frozenset({parse_target(base).authority}), https_only=False)
        async with GuardedClient(policy) as http:
            plane = Plane(http, Secret("token"))
            plane.came(base)
            async with TestClient(served(routed(LocalConsents(plane).operations()))) as client:
                yield Desk(client, ledger, tmp_path)


async def test_granted_seen_enrolled_and_withdrawn(desk: Desk) -> None:
    assert await desk.call("POST", "/consents", {"entries": [ENTRY]}) == (201, {"number": 1, "entries": 1})
    assert await desk.call("GET", "/consents") == (200, {"number": 1, "counts": [{**KEY, "vehicles": 1}]})
    enrolment = {"vehicle": VIN, "recipient": INSURER, "reference": "contract 7", "text_sha256": TEXT}
    assert await desk.call("POST", "/enrolments", {"enrolments": [enrolment]}) == (201, {"number": 2, "enrolments": 1})
    assert await desk.ledger.references(INSURER) == ((0, "contract 7"),)
    status, seen = await desk.call("POST", "/consents/vehicle", {"vehicle": VIN})
    assert (status, seen["held"], seen["entries"][0]["decidedBy"], seen["entries"][0]["textSha256"]) == (
        200,
        [KEY],
        "owner",
        TEXT,
    )
    wanted = {"vehicle": VIN, "purpose": "vdx:Insurance"}
    assert await desk.call("POST", "/consents/withdraw", wanted) == (200, {"number": 3, "withdrawn": [KEY]})
    assert await desk.ledger.references(INSURER) == ()


async def test_a_file_is_imported_from_where_one_may_publish_only(desk: Desk) -> None:
    path = write_csv(desk.roots / "in.csv", [row(), row("other")])
    done = {"number": 1, "entries": 2, "newVehicles": 2, "withdrawn": 0, "late": 0}
    assert await desk.call("POST", "/consents/import", {"path": str(path)}) == (201, done)
    for wrong, code in (("/etc/passwd", "source_outside"), ("in.csv", "source_path"), (f"{path}x", "source_missing")):
        status, problem = await desk.call("POST", "/consents/import", {"path": wrong})
        assert (status, problem["code"]) == (400, code)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/consents", {"entries": [{**ENTRY, "category": VIN}]}),
        ("/consents", {"entries": [{**ENTRY, VIN: 1}]}),
        ("/consents", {"entries": [{**ENTRY, "given": VIN}]}),
        ("/consents", {"entries": [{"vehicle": VIN}]}),
        ("/consents", {"entries": []}),
        ("/consents", {"entries": [VIN]}),
        ("/consents", {"entries": [ENTRY, ENTRY]}),
        ("/consents/vehicle", {"vehicle": VIN}),
        ("/consents/withdraw", {"vehicle": VIN}),
        ("/consents/withdraw", {"vehicle": VIN, "purpose": VIN}),
        ("/consents/withdraw", {"vehicle": VIN, "everything": VIN}),
        ("/consents/import", {"path": f"/{VIN}/\x01"}),
        ("/enrolments", {"enrolments": [{"vehicle": VIN, "recipient": VIN, "reference": "", "text_sha256": VIN}]}),
    ],
)
async def test_what_is_refused_is_refused_without_naming_a_vehicle(
    desk: Desk, caplog: pytest.LogCaptureFixture, path: str, body: Any
) -> None:
    caplog.set_level(logging.INFO)
    status, problem = await desk.call("POST", path, body)
    assert status in (400, 404)
    assert problem["code"]
    assert VIN not in str(problem)
    # aiohttp's test server notes requests by their path.
    assert VIN not in caplog.text
    assert await desk.ledger.number() == 0


async def test_every_answer_is_of_the_type_that_is_described(desk: Desk) -> None:
    """And has no member beside it."""
    types: dict[tuple[str, str], Any] = {
        (each.method, each.path.removeprefix("/carnet/v1")): each.answer for each in LocalConsents(ANY).operations()
    }
    asked = {"vehicle": VIN, "recipient": INSURER, "purpose": "vdx:Insurance", "id": "urn:request:1"}
    reference = {"vehicle": VIN, "recipient": INSURER, "reference": "contract 7", "text_sha256": TEXT}
    calls = (
        ("POST", "/consents", {"entries": [ENTRY]}),
        ("GET", "/consents", None),
        ("POST", "/consents/number", {"vehicle": VIN}),
        ("POST", "/enrolments", {"enrolments": [reference]}),
        ("POST", "/requests", asked),
        ("GET", "/requests", None),
        ("POST", "/requests/show", {"id": "urn:request:1"}),
        ("POST", "/consents/vehicle", {"vehicle": VIN}),
        ("POST", "/requests/withdraw", {"id": "urn:request:1"}),
        ("POST", "/consents/withdraw", {"vehicle": VIN}),
        ("POST", "/consents/import", {"path": str(write_csv(desk.roots / "in.csv", [row("other")]))}),
    )
    assert {call[:2] for call in calls} == types.keys()
    for method, path, body in calls:
        status, answer = await desk.call(method, path, body)
        assert status in (200, 201), (path, answer)
        understood = msgspec.convert(answer, types[method, path])
        assert msgspec.json.decode(msgspec.json.encode(understood)) == answer, path


async def test_a_ledger_that_is_away_is_said_so() -> None:
    async with (
        GuardedClient(EgressPolicy(allow=frozenset(), https_only=False)) as http,
        TestClient(served(routed(LocalConsents(Plane(http, Secret("token"))).operations()))) as client,
        client.get("/carnet/v1/consents") as answer,
    ):
        assert (answer.status, (await answer.json())["code"]) == (503, "data-plane-away")
