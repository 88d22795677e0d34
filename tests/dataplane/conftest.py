"""A data plane as a real process, and a control plane that remembers what it was told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from tests.ports import free_port

TOKEN = "signaling-token-0123456789abcdef"
CONTROL_TOKEN = "control-token-0123456789abcdef"
PATIENCE_S = 30.0
ROOT = Path(__file__).resolve().parents[2]
HTTP_PULL = "https://w3id.org/dspace-sig/profile/http-pull"


BUYER = "did:web:two.example"
ODRL = "http://www.w3.org/ns/odrl/2/"
VDX = "https://w3id.org/carnet/terms#"


def when(left: str, operator: str, right: Any) -> dict[str, Any]:
    """A constraint as DSP has it."""
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def agreement(*permissions: list[dict[str, Any]], name: str = "urn:agreement:1") -> dict[str, Any]:
    """An agreement with these constraints, a permission for each list; one without any if none is given."""
    return {
        "@id": name,
        "@type": "Agreement",
        "target": "ds",
        "assigner": "did:web:one.example",
        "assignee": BUYER,
        "timestamp": "2026-01-01T00:00:00Z",
        "permission": [{"action": "use", "constraint": each} if each else {"action": "use"} for each in permissions or ([],)],
    }


def permitted(document: dict[str, Any], *, purpose: str | None = None, buyer: str = BUYER) -> dict[str, Any]:
    """What the control plane decides where every permission of an agreement holds."""
    indexes = list(range(len(document["permission"])))
    named = {"agreement": document, "counterparty": buyer, "purpose": purpose}
    return {"permitted": True, "reasons": [], "permissions": indexes, **named}


@dataclass
class Control:
    """What the data planes reported, as (process, event, body)."""

    url: str = ""
    heard: asyncio.Queue[tuple[str, str, dict[str, Any]]] = field(default_factory=asyncio.Queue)
    refuse: int = 0
    message_ids: list[str] = field(default_factory=list)
    decision: dict[str, Any] = field(default_factory=lambda: permitted(agreement()))
    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    away: bool = False
    deaf: bool = False
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    made: int = 0
    shown: set[str] = field(default_factory=set)
    erasures: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    leaves: list[dict[str, Any]] = field(default_factory=list)
    forgetful: int = 0
    base: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.message_ids.append(body["messageId"])
        if request.headers["Authorization"] != f"Bearer {CONTROL_TOKEN}":
            return web.Response(status=401)
        if self.refuse > 0:
            self.refuse -= 1
            return web.Response(status=503)
        await self.heard.put((request.match_info["id"], request.match_info["event"], body))
        return web.Response()

    async def decide(self, request: web.Request) -> web.Response:
        """As a control plane answers ``POST /transfers/{id}/decision``."""
        if request.headers["Authorization"] != f"Bearer {CONTROL_TOKEN}":
            return web.Response(status=401)
        self.asked.append((request.match_info["id"], (await request.json())["purpose"]))
        if self.away:
            return web.Response(status=503)
        return web.json_response(self.decisions.get(request.match_info["id"], self.decision))

    def assertion(self, token: str) -> str:
        """What stands for a signed assertion about a token; good once."""
        self.made += 1
        return f"made.{hashlib.sha256(token.encode()).hexdigest()}.{self.made}"

    async def assert_(self, request: web.Request) -> web.Response:
        """As a control plane answers ``POST /transfers/{id}/assertion`` and ``.../check``."""
        if request.headers["Authorization"] != f"Bearer {CONTROL_TOKEN}":
            return web.Response(status=401)
        if self.away:
            return web.Response(status=503)
        body = await request.json()
        if request.path.endswith("/assertion"):
            return web.json_response({"assertion": self.assertion(body["token"])})
        shown = body["assertion"]
        code = "token-other" if shown.split(".")[1] != body["tokenSha256"] else ""
        code = code or ("assertion-replayed" if shown in self.shown else "")
        self.shown.add(shown)
        return web.json_response({"ok": not code, "code": code, "reason": "made up"})

    async def erase(self, request: web.Request) -> web.Response:
        if self.deaf:
            return web.Response(status=503)
        await self.erasures.put(await request.json())
        return web.Response()

    async def leaf(self, request: web.Request) -> web.Response:
        """As a control plane answers ``POST /carnet/leaves``: the digest is made of the names that it asks for."""
        told, named = await request.json(), list[str]()
        after: int | None = -1 if "vehicles" in told else None
        while after is not None and self.base:
            url, headers = f"{self.base}/carnet/leaves/{told['id']}/vehicles", {"Authorization": f"Bearer {TOKEN}"}
            async with aiohttp.ClientSession() as http, http.get(url, params={"after": after}, headers=headers) as page:
                found = await page.json()
            named, after = named + found["vehicles"], found["after"]
        self.leaves.append(told | {"named": sorted(named)})
        if self.forgetful > 0:
            self.forgetful -= 1
            return web.Response(status=503)
        digest = hashlib.sha256("|".join(sorted(named)).encode()).hexdigest()
        return web.json_response({"index": digest if "vehicles" in told else None, "vehicles": len(named)})

    async def leaf_of(self, kind: str, **members: Any) -> dict[str, Any]:
        """The first leaf of a type with these members, once it was told."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for told in self.leaves:
                    if told["type"] == kind and members.items() <= told["members"].items():
                        return told
                await asyncio.sleep(0.01)

    async def next(self) -> tuple[str, str, dict[str, Any]]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()


@dataclass
class Plane:
    """One data plane process with its folder; ``kill`` and ``start`` again as often as a test likes."""

    folder: Path
    control_url: str
    http: aiohttp.ClientSession
    allow: list[str]
    bounds: dict[str, float]
    more: tuple[str, ...] = ()
    process: asyncio.subprocess.Process | None = None
    signaling_url: str = ""
    public_url: str = ""
    log: bytes = b""

    @property
    def sinks(self) -> Path:
        return self.folder / "sinks"

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    def write_config(self) -> None:
        self.sources.mkdir(parents=True)
        for name, secret in (("token", TOKEN), ("control_token", CONTROL_TOKEN)):
            (self.folder / name).write_text(secret)
            (self.folder / name).chmod(0o600)
        lines = [
            'database = "data.db"',
            'token_file = "token"',
            'control_token_file = "control_token"',
            f"control_url = {json.dumps(self.control_url)}",
            'sink_dir = "sinks"',
            'source_roots = ["sources"]',
            f"public_port = {free_port()}",
            f"egress_allow = {json.dumps(self.allow)}",
            *self.more,
            "[bounds]",
            "backoff_first_s = 0.01",
            "backoff_max_s = 0.2",
            *(f"{name} = {value}" for name, value in self.bounds.items()),
        ]
        (self.folder / "data.toml").write_text("\n".join(lines))

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "connector.dataplane",
            "--config",
            str(self.folder / "data.toml"),
            "--exit-with-stdin",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await self.process.stdout.readline()
        assert line, (await self.process.communicate())[1].decode()
        ready = json.loads(line)
        self.signaling_url, self.public_url = ready["signaling_url"], ready["public_url"]

    async def kill(self) -> None:
        """SIGKILL: no goodbye of any kind."""
        assert self.process is not None
        self.process.kill()
        self.log += (await self.process.communicate())[1]
        self.process = None

    async def close(self) -> int:
        """End of standard input, as when the parent dies; the exit code."""
        if self.process is None:
            return 0
        assert self.process.stdin is not None
        self.process.stdin.close()
        async with asyncio.timeout(PATIENCE_S):
            self.log += (await self.process.communicate())[1]
        code = self.process.returncode
        self.process = None
        assert code is not None
        return code

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.http.request(method, self.signaling_url + path, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def done(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        status, answer = await self.call(method, path, body)
        assert status == 200, answer
        return answer

    async def publish(self, dataset: str, content: bytes) -> Path:
        path = self.sources / f"{dataset}.bin"
        path.write_bytes(content)
        answer = await self.done("PUT", f"/carnet/sources/{dataset}", {"path": str(path)})
        assert (answer["bytes"], answer["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        return path

    async def change(self, flow: str, change: str, message_id: str, **more: Any) -> Any:
        return await self.done("POST", f"/dataflows/{quote(flow, safe='')}/{change}", {"messageId": message_id, **more})

    async def seen(self, flow: str) -> Any:
        return await self.done("GET", f"/carnet/flows/{quote(flow, safe='')}")

    async def until_bytes(self, flow: str, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (await self.seen(flow))["bytes"] < count:
                pass


def first_message(flow: str, message_id: str, dataset: str = "ds", **metadata: Any) -> dict[str, Any]:
    return {
        "messageId": message_id,
        "participantId": "did:web:one.example",
        "counterPartyId": "did:web:two.example",
        "dataspaceContext": "test",
        "processId": flow,
        "agreementId": "urn:agreement:1",
        "datasetId": dataset,
        "profile": HTTP_PULL,
        "claims": {},
        "metadata": metadata,
    }


def token_of(address: dict[str, Any]) -> str:
    return next(str(entry["value"]) for entry in address["endpointProperties"] if entry["name"] == "authorization")


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - test data


MakePlane = Callable[..., Awaitable[Plane]]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def control() -> AsyncIterator[Control]:
    here = Control()
    app = web.Application()
    app.router.add_post("/transfers/{id}/dataflow/{event}", here.handle)
    app.router.add_post("/transfers/{id}/decision", here.decide)
    app.router.add_post("/transfers/{id}/assertion", here.assert_)
    app.router.add_post("/transfers/{id}/assertion/check", here.assert_)
    app.router.add_post("/carnet/erasures", here.erase)
    app.router.add_post("/carnet/leaves", here.leaf)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield here
    await runner.cleanup()


@pytest.fixture
async def make_plane(tmp_path: Path, control: Control, http: aiohttp.ClientSession) -> AsyncIterator[MakePlane]:
    planes: list[Plane] = []

    async def make(*allow: str, more: tuple[str, ...] = (), **bounds: float) -> Plane:
        plane = Plane(tmp_path / f"plane{len(planes)}", control.url, http, list(allow), bounds, more)
        planes.append(plane)
        plane.write_config()
        await plane.start()
        return plane

    yield make
    for plane in planes:
        await plane.close()
        assert TOKEN.encode() not in plane.log
        assert CONTROL_TOKEN.encode() not in plane.log
        assert b"Traceback" not in plane.log, plane.log.decode()


@pytest.fixture
async def pair(make_plane: MakePlane) -> tuple[Plane, Plane]:
    """A provider that delivers at about 1 MiB/s, and a consumer."""
    provider = await make_plane(stream_bytes_per_s=1024 * 1024)
    # A provider that was killed is away for as long as a loaded machine takes to start it.
    consumer = await make_plane(provider.public_url.removeprefix("http://"), download_attempts=200)
    return provider, consumer


def owner_only(path: Path) -> bool:
    return os.stat(path).st_mode & 0o077 == 0
