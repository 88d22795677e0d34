"""Version 4 can neither register a data plane nor take one off: the connector brings its own, and says so."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connector.api.guard import OwnerGuard
from connector.api.router import mount
from connector.management.desk_definitions import DefinitionDesk
from connector.management.service import Management
from connector.management.v4 import V4


async def test_a_data_plane_is_neither_registered_nor_taken_off(m: Management) -> None:
    app = web.Application()
    mount(app, DefinitionDesk(m, V4(), "/v4").operations(), OwnerGuard())
    wanted = {"dataplaneId": "other", "endpoint": "https://plane.example", "transferTypes": ["HttpData-PULL"], "labels": []}
    async with TestClient(TestServer(app)) as client:
        refused = await client.put("/v4/dataplanes", json=wanted)
        (said,) = await refused.json()
        assert (refused.status, "brings its data plane" in said["message"]) == (409, True)
        (plane,) = await (await client.get("/v4/dataplanes")).json()
        assert (await client.delete(f"/v4/dataplanes/{quote(plane['@id'], safe='')}")).status == 409
        assert (await client.delete("/v4/dataplanes/other")).status == 404
