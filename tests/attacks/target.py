"""What is attacked: a connector in this process with real sockets, and a peer with a valid token that answers as a test tells it.

A connector here has no data plane unless a test asks for one: what it would be told stays in the outbox.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from connector.app import Running, serve
from connector.cli.init import make_house
from connector.settings import Settings, load
from tests.conformance.peer import Answer, Caller
from tests.conformance.spoiling import CONTEXT, USE, Json

US: Final = "did:web:us.example"
LIAR, OTHER = "did:web:liar.example", "did:web:other.example"
TOKENS: Final = {LIAR: "liar-made-up-token-0001", OTHER: "other-made-up-token-002"}
OUR_TOKEN: Final = "our-made-up-token-for-the-liar"
DEADLINE_S: Final = 20.0
FINAL: Final = frozenset({"FINALIZED", "COMPLETED", "TERMINATED"})
Behaviour = Callable[[web.Request, Json], Awaitable[web.StreamResponse]]
OFFER: Final[Json] = {"@id": "urn:offer:theirs", "@type": "Offer", "permission": USE}
SHORT: Final[Mapping[str, str]] = {
    "dispatch.backoff_first_ms": "5",
    "dispatch.conflict_retry_s": "0",
    "dispatch.not_found_retry_s": "0",
    "dispatch.message_deadline_s": "1",
    "dispatch.termination_deadline_s": "1",
    "dispatch.attempt_timeout_s": "1",
    "dispatch.backoff_max_s": "1",
    "dispatch.lease_s": "2",
}
DEVELOPMENT: Final = """
[development]
key = "i-know-this-is-not-for-production"
datasets = [{ id = "ours", offer_id = "urn:offer:ours" }]
"""


async def polite(request: web.Request, message: Json) -> web.StreamResponse:
    """What an honest peer answers."""
    if not request.path.endswith("s/request"):
        return web.Response()
    return acknowledging(message, f"peer:{message['consumerPid']}")


def acknowledging(message: Json, peer_pid: str, **changes: Any) -> web.Response:
    """The acknowledgement of a first request, with what is to be otherwise in it."""
    name = "TransferProcess" if message["@type"].startswith("Transfer") else "ContractNegotiation"
    body = {"providerPid": peer_pid, "consumerPid": message["consumerPid"], "state": "REQUESTED"}
    return web.json_response({"@context": [CONTEXT], "@type": name, **body, **changes}, status=201)


@dataclass(slots=True)
class Liar:
    """A peer's listener. ``answer`` may be replaced at any time."""

    url: str = ""
    answer: Behaviour = polite
    got: list[tuple[str, str, Json]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Its DSP base."""
        return f"{self.url}/dsp"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Note what came, then answer."""
        message: Json = await request.json() if request.body_exists else {}
        self.got.append((request.method, request.raw_path, message))
        return await self.answer(request, message)


@asynccontextmanager
async def lying() -> AsyncIterator[Liar]:
    """A peer that listens on a free port of loopback."""
    liar = Liar()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", liar.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        liar.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield liar
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Target:
    """A connector that runs; ``own`` calls its owner's channel."""

    running: Running
    stop: asyncio.Event
    done: asyncio.Task[None]
    session: aiohttp.ClientSession
    liar: Liar
    callers: dict[str, Caller] = field(default_factory=dict)

    async def own(self, method: str, path: str, body: Any = None) -> Answer:
        """A request on the owner's channel; a body is JSON, or bytes as they are."""
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        async with self.session.request(method, f"http://localhost/carnet/v1{path}", data=raw) as response:
            return Answer(response.status, response.headers, await response.read())

    async def negotiate(self, **more: Any) -> str:
        """Ask the liar for a contract; gives our process id."""
        body = {"counterparty": LIAR, "dataset": "theirs", "offer": OFFER, **more}
        answer = await self.own("POST", "/negotiations", body)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    async def process(self, process_id: str) -> Json:
        """A process as its owner sees it."""
        answer = await self.own("GET", f"/processes/{process_id}")
        assert answer.status == 200, answer.body
        return dict(answer.json)

    async def until(self, process_id: str, *states: str, settled: bool = True) -> Json:
        """Wait until a process is in one of these states (none given: a final one), and nothing is on its way if ``settled``."""
        async with asyncio.timeout(DEADLINE_S):
            shown = await self.process(process_id)
            while shown["state"] not in (states or FINAL) or (settled and shown["awaiting"] is not None):
                answer = await self.own("GET", f"/processes/{process_id}?wait_s=5&version={shown['version']}")
                shown = answer.json
        return dict(shown)

    async def count(self, table: str) -> int:
        """Rows of a table."""
        rows = await self.running.context.store.engine.fetch(f"SELECT count(*) FROM {table}")  # noqa: S608 - a name in a test
        assert isinstance(rows[0][0], int)
        return rows[0][0]

    async def alive(self) -> None:
        """The connector still serves, its parts run, and another peer gets what it asks for."""
        assert not self.done.done()
        assert not self.stop.is_set()
        answer = await self.callers[OTHER].post("/catalog/request", {"@context": [CONTEXT], "@type": "CatalogRequestMessage"})
        assert answer.status == 200, answer.body


async def made(folder: Path, liar: Liar, chosen: Mapping[str, str] | None = None, more: str = DEVELOPMENT) -> Settings:
    """The settings of a connector that knows the liar and another peer, in a new folder."""
    settings = {
        "protocol.port": "0",
        "protocol.auth": '"pinned-token"',
        "data.managed": "false",
        "data.signaling_port": "1",
        "quota.burst": "100000",
        "quota.in_flight": "1000",
        "client.allow": json.dumps([liar.url.removeprefix("http://")]),
        **(chosen or {}),
    }
    peers = "".join(
        f'\n[[peers]]\nid = "{name}"\naddresses = ["{address}"]\n'
        f'inbound_token = "{TOKENS[name]}"\noutbound_token = "{OUR_TOKEN}"\n'
        for name, address in ((LIAR, liar.address), (OTHER, f"{liar.url}/other"))
    )
    await asyncio.to_thread(make_house, folder, US, settings, more + peers)
    return load(folder / "carnet.toml", {})


@asynccontextmanager
async def attacked(settings: Settings, liar: Liar) -> AsyncIterator[Target]:
    """Run a connector until the block is left."""
    stop = asyncio.Event()
    started = asyncio.get_running_loop().create_future()
    done = asyncio.create_task(serve(settings, stop, started))
    await asyncio.wait({done, started}, return_when=asyncio.FIRST_COMPLETED)
    if done.done():
        await done
    running = started.result()
    local = aiohttp.UnixConnector(str(settings.local.socket))
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    try:
        async with (
            aiohttp.ClientSession(connector=local, timeout=timeout) as session,
            aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as wire,
        ):
            callers = {name: Caller(wire, running.protocol_url, token) for name, token in TOKENS.items()}
            yield Target(running, stop, done, session, liar, callers)
    finally:
        stop.set()
        await done
