"""What a driver may do: see and change what the vehicle of his key agrees to, and nothing about any other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from connector.access.caller import OWNER, Caller, Role, scopes_of
from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.routes import ConsentRoutes
from connector.flow import consents
from connector.flow.plane import Plane
from connector.http.client import EgressPolicy, GuardedClient, parse_target
from connector.http.local_consents import LocalConsents
from connector.http.local_own_consents import LocalOwnConsents
from connector.protocol.errors import CallerError
from connector.settings.secret import Secret
from tests.dataplane.consent.ledgers import TEXT, VIN, ledger_in
from tests.dataplane.consent.test_routes import ENTRY, KEY, served
from tests.routed import routed

OTHER = "WVWZZZ1JZXW000002"
OWN = {name: value for name, value in ENTRY.items() if name not in ("vehicle", "decided_by")}


@dataclass
class Seat:
    """The interface as the driver of a vehicle, and as nobody's driver."""

    driver: TestClient[web.Request, web.Application]
    owner: TestClient[web.Request, web.Application]
    plane: Plane
    ledger: Ledger

    async def call(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        """As the driver."""
        async with self.driver.request(method, f"/carnet/v1/own-consents{path}", json=body) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def seat(tmp_path: Path) -> AsyncIterator[Seat]:
    async with ledger_in(tmp_path / "own") as ledger, served(ConsentRoutes(ledger, (tmp_path,)).routes()) as behind:
        base = str(behind.make_url("")).rstrip("/")
        async with GuardedClient(EgressPolicy(allow=frozenset({parse_target(base).authority}), https_only=False)) as http:
            plane = Plane(http, Secret("token"))
            plane.came(base)
            for vehicle in (VIN, OTHER):
                await consents.decide(plane, [{**ENTRY, "vehicle": vehicle}])
            number = await consents.number_of(plane, VIN)
            driver = Caller("key:d", frozenset({Role.DRIVER}), scopes_of([Role.DRIVER]), number)
            own = LocalOwnConsents(plane).operations()
            async with (
                TestClient(served(routed(own, driver))) as as_driver,
                TestClient(served(routed([*own, *LocalConsents(plane).operations()], OWNER))) as as_owner,
            ):
                yield Seat(as_driver, as_owner, plane, ledger)


async def test_a_driver_sees_and_changes_what_the_own_vehicle_agrees_to(seat: Seat) -> None:
    status, seen = await seat.call("GET")
    assert (status, seen["held"], len(seen["entries"])) == (200, [KEY], 1)
    assert VIN not in str(seen)
    assert (await seat.call("POST", "/withdraw", {}))[1]["withdrawn"] == [KEY]
    assert await seat.call("POST", "", {"entries": [{**OWN, "text_sha256": TEXT}]}) == (201, {"number": 4, "entries": 1})
    assert (await seat.call("GET"))[1]["entries"][0]["decidedBy"] == "driver"
    # The other vehicle has not been touched.
    assert len((await consents.subject(seat.plane, OTHER))["entries"]) == 1


@pytest.mark.parametrize("foreign", [{"vehicle": OTHER}, {"decided_by": "owner"}])
async def test_a_driver_speaks_for_nobody_else(seat: Seat, foreign: dict[str, str]) -> None:
    for path, body in (("", {"entries": [{**OWN, **foreign}]}), ("/withdraw", foreign)):
        status, problem = await seat.call("POST", path, body)
        assert (status, problem["code"]) == (400, "entry-foreign")
        assert OTHER not in str(problem)
    assert await seat.ledger.number() == 2


async def test_who_drives_no_vehicle_has_no_own_consents(seat: Seat) -> None:
    for method, path in (("GET", ""), ("POST", "/withdraw")):
        async with seat.owner.request(method, f"/carnet/v1/own-consents{path}", json={}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "vehicle-none")


async def test_the_number_of_a_vehicle_is_found_by_its_name_and_leads_back(seat: Seat) -> None:
    async with seat.owner.post("/carnet/v1/consents/number", json={"vehicle": OTHER}) as answer:
        number = (await answer.json())["vehicleNumber"]
    assert await consents.vehicle_of(seat.plane, number) == OTHER
    for unknown in (consents.number_of(seat.plane, "none-such"), consents.vehicle_of(seat.plane, 99)):
        with pytest.raises(CallerError, match="vehicle-unknown"):
            await unknown
