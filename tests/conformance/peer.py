"""A peer made by hand: it calls a connector over HTTP, and listens for what the connector sends."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from aiohttp import web

from tests.conformance.spoiling import CONTEXT, USE, Json

DEADLINE_S: Final = 30.0
MAX_WAITING: Final = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: body as bytes, as they are on the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls one connector at its protocol base, with a token or without."""

    session: aiohttp.ClientSession
    base: str
    token: str | None = None

    async def call(self, method: str, path: str, body: Json | bytes | None = None, **headers: str) -> Answer:
        """One request; header names are given with underscores. `path` is below the base, or absolute."""
        sent = {"Accept-Encoding": "identity"} | ({} if body is None else {"Content-Type": "application/json"})
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = json.dumps(body).encode() if isinstance(body, dict) else body
        url = path if path.startswith("http") else f"{self.base}{path}"
        async with self.session.request(method, url, data=raw, headers=sent) as response:
            return Answer(response.status, response.headers, await response.read())

    async def post(self, path: str, body: Json | bytes, **headers: str) -> Answer:
        """POST."""
        return await self.call("POST", path, body, **headers)

    async def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return await self.call("GET", path, None, **headers)


@asynccontextmanager
async def calling(base: str, token: str | None = None) -> AsyncIterator[Caller]:
    """A caller with connections of its own. Answers are not unpacked."""
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as session:
        yield Caller(session, base, token)


@dataclass(frozen=True, slots=True)
class Listener:
    """What the connector sent us: (path, message), each already answered with 200.

    Messages beside the protocol, such as a greeting, are not taken: we are a peer that knows nothing of them.
    """

    arrived: asyncio.Queue[tuple[str, Json]] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING))

    async def expect(self, name: str) -> Json:
        """The next message, which must be of type `name`."""
        async with asyncio.timeout(DEADLINE_S):
            path, message = await self.arrived.get()
        assert message["@type"] == name, (path, message)
        return message

    async def handle(self, request: web.Request) -> web.Response:
        """Take a message; a first one is acknowledged with a process id of ours."""
        if request.path == "/carnet/messages":
            raise web.HTTPNotFound
        message: Json = await request.json()
        await self.arrived.put((request.path, message))
        if not request.path.endswith("s/request"):
            return web.Response()
        name = "TransferProcess" if message["@type"].startswith("Transfer") else "ContractNegotiation"
        pids = {"providerPid": f"peer:{message['consumerPid']}", "consumerPid": message["consumerPid"]}
        return web.json_response({"@context": [CONTEXT], "@type": name, **pids, "state": "REQUESTED"})


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Listener]:
    """Listen on a loopback port."""
    listener = Listener()
    app = web.Application()
    app.router.add_post("/{path:.*}", listener.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield listener
    finally:
        await runner.cleanup()


def message(name: str, **members: Any) -> Json:
    """A message with a fresh `@id`."""
    return {"@context": [CONTEXT], "@type": name, "@id": f"urn:uuid:{uuid.uuid4()}", **members}


def contract_request(dataset: str, offer_id: str, callback: str, **members: Any) -> Json:
    """A first request, of a new process."""
    offer = {"@type": "Offer", "@id": offer_id, "target": dataset, "permission": USE}
    pid = f"urn:uuid:{uuid.uuid4()}"
    return message("ContractRequestMessage", consumerPid=pid, offer=offer, callbackAddress=callback, **members)


def contract_offer(dataset: str, callback: str) -> Json:
    """A first offer, of a new process."""
    offer = {"@type": "Offer", "@id": "urn:offer:1", "target": dataset, "permission": USE}
    return message("ContractOfferMessage", providerPid=f"urn:uuid:{uuid.uuid4()}", offer=offer, callbackAddress=callback)


def transfer_request(agreement: str, callback: str) -> Json:
    """A first request of a transfer."""
    more = {"agreementId": agreement, "format": "HttpData-PULL", "callbackAddress": callback}
    return message("TransferRequestMessage", consumerPid=f"urn:uuid:{uuid.uuid4()}", **more)


def pids(answer: Answer) -> Json:
    """The two process ids of an acknowledgement."""
    return {name: answer.json[name] for name in ("providerPid", "consumerPid")}


def check_refusal(answer: Answer, name: str, status: int, code: str) -> str:
    """The answer is the protocol's error body; returns its reason."""
    assert (answer.status, answer.json["code"]) == (status, code), answer.body
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json["@context"] == [CONTEXT]
    assert answer.json["@type"] == name
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
    (reason,) = answer.json["reason"]
    assert len(reason.split()) >= 4
    if name != "CatalogError":
        assert isinstance(answer.json["providerPid"], str)
        assert isinstance(answer.json["consumerPid"], str)
    return str(reason)
