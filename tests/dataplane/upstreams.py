"""An HTTP API as a source: a server of ours that remembers what it was asked, and a provider that has published it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiohttp import web
from yarl import URL

from .conftest import Control, Plane, agreement, first_message, permitted, token_of

KEY = "key-of-the-source-0123456789"


@dataclass
class Heard:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Api:
    """What stands upstream. ``release`` lets a slow answer go on; ``waits``: one waits for that, and nothing was answered."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    waits: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.append(Heard(request.method, request.raw_path, headers, await request.read()))
        what = request.path.rpartition("/")[2]
        special = {"slow": self.slow, "endless": self.endless, "short": self.short, "late": self.late}
        if what in special:
            return await special[what](request)
        if what.isdigit():
            return web.Response(status=int(what), text=f"status {what}", headers={"Location": "http://elsewhere.example/"})
        if what == "large":
            return web.Response(body=b"0123456789abcdef" * 131_072, content_type="application/octet-stream")
        more = {"Set-Cookie": "session=1", "X-Internal": "host-17", "ETag": '"v1"', "WWW-Authenticate": "Basic"}
        return web.json_response({"path": request.path, "query": request.query_string}, headers=more)

    async def slow(self, request: web.Request) -> web.StreamResponse:
        """A piece, and the other one when it is let go."""
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await self.release.wait()
        await response.write(b"second")
        return response

    async def endless(self, request: web.Request) -> web.StreamResponse:
        """Pieces until nobody reads them."""
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"0123456789abcdef" * 4096)

    async def short(self, request: web.Request) -> web.StreamResponse:
        """Fewer bytes than it says, once it is let go."""
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        await response.write(b"x" * 500_000)
        await self.release.wait()
        assert request.transport is not None
        request.transport.close()
        return response

    async def late(self, request: web.Request) -> web.StreamResponse:
        """Nothing at all until it is let go."""
        self.waits.set()
        await self.release.wait()
        return web.Response(text="late")


@asynccontextmanager
async def api() -> AsyncIterator[Api]:
    """It listens on loopback."""
    here = Api()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", here.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield here
    here.release.set()
    await runner.cleanup()


@dataclass
class Got:
    """What a buyer was answered."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Stall:
    """A provider that offers the API, and transfers of one buyer."""

    plane: Plane
    control: Control
    api: Api
    addresses: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def publish(self, path: str = "/v1", dataset: str = "ds", **wish: Any) -> Any:
        http = {"baseUrl": self.api.url + path, "credential": {"header": "X-Api-Key", "value": KEY}, **wish}
        return await self.plane.done("PUT", f"/carnet/sources/{dataset}", {"http": http})

    def agree(self, *permissions: list[dict[str, Any]], purpose: str | None = None) -> None:
        self.control.decision = permitted(agreement(*permissions), purpose=purpose)

    async def begin(self, flow: str = "f1") -> None:
        answer = await self.plane.done("POST", "/dataflows/start", first_message(flow, f"start-{flow}"))
        self.addresses[flow] = answer["dataAddress"]

    def url(self, tail: str = "", flow: str = "f1") -> URL:
        return URL(self.addresses[flow]["endpoint"] + tail, encoded=True)

    def headers(self, flow: str = "f1", **more: str) -> dict[str, str]:
        return {"Authorization": token_of(self.addresses[flow])} | {name.replace("_", "-"): value for name, value in more.items()}

    async def ask(
        self, tail: str = "", *, method: str = "GET", flow: str = "f1", body: bytes | None = None, **headers: str
    ) -> Got:
        sent = self.headers(flow, **headers)
        data = None if body is None else io.BytesIO(body)
        async with self.plane.http.request(method, self.url(tail, flow), headers=sent, data=data) as answer:
            return Got(answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read())

    async def record(self, flow: str = "f1") -> Any:
        return await self.plane.done("GET", f"/carnet/deliveries/{quote(flow, safe='')}")

    async def meters(self) -> Any:
        name, buyer = quote("urn:agreement:1"), quote("did:web:two.example")
        found = await self.plane.done("GET", f"/carnet/meters?agreement={name}&counterparty={buyer}")
        return {each["period"]: each for each in found["periods"]}
