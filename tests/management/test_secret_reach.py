"""A secret goes where who may write secrets sends it, and nowhere else; one that cannot be opened any more is in nobody's way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connector.access.caller import SCOPES, Caller, Role
from connector.api.router import mount, supervisor
from connector.management import assets, secrets, sources
from connector.management.business import Business
from connector.management.model import EDC, Asset
from connector.management.operations import operations
from connector.management.sealing import SecretBox
from connector.management.service import Management
from connector.metrics import Metrics
from connector.protocol.errors import CarnetError, PolicyDenied, Unavailable
from tests.management.stand import URL, Stand, asset, http

THEIRS = "https://attacker.example.com/collect"
OTHER = SecretBox(bytes([7] * 32))


@dataclass(frozen=True)
class Named:
    """Everybody is what the request says."""

    async def caller(self, request: web.Request) -> Caller:
        """See Guard."""
        return await self.still(request)

    async def still(self, request: web.Request) -> Caller:
        """See Guard."""
        role = Role(request.headers["X-Role"])
        return Caller("key:x", frozenset({role}), SCOPES[role])

    def challenge(self, request: web.Request, error: CarnetError) -> Mapping[str, str]:
        """See Guard."""
        del request, error
        return {}


@pytest.fixture
async def client(m: Management) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application(middlewares=[supervisor("management", Metrics())])
    nothing: Any = None
    mount(app, operations(Business(m, nothing, nothing), "/management"), Named())
    async with TestClient(TestServer(app)) as client:
        yield client


def body(url: str, **more: str) -> dict[str, Any]:
    address = {"type": "HttpData", "baseUrl": url, **more}
    return {"@context": {"@vocab": EDC}, "@id": "a", "properties": {}, "dataAddress": address}


async def test_who_may_not_write_secrets_sends_none_to_a_server_of_his_own(
    client: TestClient[web.Request, web.Application], m: Management, plane: Stand
) -> None:
    await secrets.create(m, "api-key", "hunter2hunter2")

    async def sent(method: str, role: Role, url: str, **more: str) -> int:
        answer = await client.request(method, "/management/v3/assets", json=body(url, **more), headers={"X-Role": role.value})
        assert answer.status != 403 or "secrets:write" in await answer.text()
        return answer.status

    assert await sent("POST", Role.COMMERCIAL, THEIRS, secretName="api-key") == 403
    assert plane.sources == {}
    assert await sent("POST", Role.OPERATOR, URL, secretName="api-key") == 200
    assert await sent("PUT", Role.COMMERCIAL, URL, secretName="api-key", path="/v2", proxyPath="true") == 204
    assert plane.sources["a"]["http"]["credential"]["value"] == "hunter2hunter2"
    for url, more in ((THEIRS, {}), (URL, {"authKey": "X-Shown"})):
        assert await sent("PUT", Role.COMMERCIAL, url, secretName="api-key", **more) == 403
    assert await sent("PUT", Role.COMMERCIAL, THEIRS) == 204
    assert "credential" not in plane.sources["a"]["http"]
    assert await sent("PUT", Role.COMMERCIAL, URL, secretName="api-key") == 403
    assert await sent("PUT", Role.COMMERCIAL, THEIRS, authCode="of-his-own") == 204


async def test_another_secret_of_the_same_server_is_another_secret(m: Management) -> None:
    for name in ("one", "two"):
        await secrets.create(m, name, f"value of {name}")
    await asset(m, "a", http(secretName="one"))
    with pytest.raises(PolicyDenied, match="secret-scope"):
        await assets.update(m, Asset("a", data_address=http(secretName="two")), trusted=False)
    await assets.update(m, Asset("a"), trusted=False)


async def test_what_was_sealed_with_a_lost_key_is_written_again(m: Management, plane: Stand) -> None:
    await secrets.create(m, "k", "value")
    await asset(m, "a", http(authCode="s3cret"))
    await asset(m, "b", http(secretName="k"))
    later = replace(m, secrets=OTHER)
    for again in (Asset("a", {f"{EDC}name": "x"}), Asset("a", data_address=http()), Asset("b")):
        with pytest.raises(Unavailable, match="secret-sealed"):
            await assets.update(later, again)
    await assets.update(later, Asset("a", data_address=http(authCode="new")))
    assert plane.sources["a"]["http"]["credential"]["value"] == "new"
    await secrets.update(later, "k", "newer")
    assert plane.sources["b"]["http"]["credential"]["value"] == "newer"
    assert await sources.sealed(later, "a") == {"authCode": "new"}
