"""A connector that says what a test wants, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from connector.client import Carnet
from connector.client.local import LocalClient

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def process(version: int = 1, state: str = "REQUESTED", **more: Any) -> dict[str, Any]:
    """A negotiation as a connector shows it."""
    return {
        "id": "urn:uuid:1",
        "kind": "negotiation",
        "role": "consumer",
        "state": state,
        "awaiting": None,
        "counterparty": "did:web:them",
        "providerPid": None,
        "consumerPid": "urn:uuid:1",
        "subject": "trips",
        "correlationId": "c-1",
        "createdAt": 1,
        "updatedAt": version,
        "version": version,
        **more,
    }


class Said:
    """What was asked, with headers and bodies, and the answers that are left, the last one repeated. ``link``: of the first."""

    def __init__(self, *answers: tuple[int, Any], link: str = "") -> None:
        self.answers = list(answers)
        self.link = link
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[Any] = []

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.asked.append(f"{request.method} {request.raw_path}")
        self.headers.append(dict(request.headers))
        self.bodies.append(orjson.loads(raw) if raw else None)
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        headers, self.link = ({"Link": self.link} if self.link else {}), ""
        return web.Response(status=status, body=body if isinstance(body, bytes) else orjson.dumps(body), headers=headers)


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    """Where something listens that has this handler."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(said: Said) -> AsyncIterator[Carnet]:
    """A client of a connector that says this."""
    async with listening(said.handle) as url, Carnet.over(LocalClient(url=url)) as carnet:
        yield carnet
