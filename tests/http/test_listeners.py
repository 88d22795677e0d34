"""Who may call: every route of every listener of a connector that really runs, without a token and with a wrong one.

The routes are read from the applications themselves, so that a new one cannot be forgotten here.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from connector.app import serve
from connector.cli.init import make_house
from connector.client.local import Away, LocalClient, Refused
from connector.dataplane.public import PublicData
from connector.dataplane.settings import DataPlaneSettings
from connector.dataplane.signaling import Signaling
from connector.demo.houses import free_ports
from connector.http.local import LocalServer
from connector.http.protocol import ProtocolServer
from connector.http.signaling import SignalingServer
from connector.identity.interface import Entrance
from connector.settings import Settings, load
from connector.settings.secret import Secret

OPEN = {("protocol", "/.well-known/dspace-version"), ("protocol", "/health"), ("data plane", "/health")}
WRONG: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": "Bearer wrong-token-0123456789"},
    {"Authorization": "Basic d3Jvbmc6d3Jvbmc="},
)
NOBODY: Any = None


@dataclass(frozen=True)
class House:
    settings: Settings
    ports: dict[str, int]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    names = ("protocol", "local", "control", "data plane", "public")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    chosen = {
        "protocol.port": ports["protocol"],
        "local.port": ports["local"],
        "data.control_port": ports["control"],
        "data.signaling_port": ports["data plane"],
        "data.public_port": ports["public"],
    }
    folder = tmp_path / "house"
    written = {key: str(port) for key, port in chosen.items()} | {"local.host": '"127.0.0.1"'}
    await asyncio.to_thread(make_house, folder, "did:web:us.example", written)
    settings = load(folder / "carnet.toml", {})
    stop = asyncio.Event()
    started = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve(settings, stop, started))
    await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield House(settings, ports)
    finally:
        stop.set()
        await running


MAIN = [Entrance("/dsp/2025-1", NOBODY, {})]


def applications(settings: Settings) -> Iterator[tuple[str, web.Application]]:
    """The same applications as those that run, for their routes only: no handler of these is ever called."""
    token = Secret("not-used-0123456789")
    plane = DataPlaneSettings(
        database=Path("none"), token=token, control_token=token, control_url="http://127.0.0.1:1", sink_dir=Path("none"),
        source_roots=(), signaling_host="127.0.0.1", signaling_port=0, public_host="127.0.0.1", public_port=0,
    )  # fmt: skip
    yield (
        "protocol",
        ProtocolServer(
            NOBODY, "", [Entrance("/dsp/2025-1", NOBODY, {})], NOBODY, settings.protocol, NOBODY, lambda: True
        ).application(),
    )
    yield "local", LocalServer(NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, token).application()
    yield "control", SignalingServer(NOBODY, token, NOBODY).application()
    yield "data plane", Signaling(NOBODY, NOBODY, NOBODY, NOBODY, plane).application()
    yield "public", PublicData(NOBODY, NOBODY, plane.bounds, NOBODY, NOBODY, NOBODY).application()


def routes(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Listener, method and a path that matches, of every route."""
    for name, application in applications(settings):
        for route in application.router.routes():
            assert route.resource is not None
            yield name, route.method, re.sub(r"\{[^}]+\}", _filled, route.resource.canonical)


def _filled(place: re.Match[str]) -> str:
    return {"{event}": "completed", "{change}": "terminate"}.get(place.group(), "urn:uuid:1")


async def test_nobody_without_a_token_gets_anything(house: House) -> None:
    asked: list[tuple[str, str, str]] = []
    async with aiohttp.ClientSession() as session:
        for name, method, path in routes(house.settings):
            for headers in WRONG:
                url = f"http://127.0.0.1:{house.ports[name]}{path}"
                async with session.request(method, url, headers=headers, data=b"{}") as answer:
                    expected = {200} if (name, path) in OPEN else {401, 403}
                    assert answer.status in expected, f"{name} {method} {path} {headers}: {answer.status}"
                    body = await answer.read()
                    assert answer.status == 200 or len(body) < 500
            asked.append((name, method, path))
    assert {name for name, _, _ in asked} == set(house.ports)
    assert len(asked) > 60
    assert {(name, path) for name, _, path in asked} >= OPEN


async def test_paths_that_are_none_tell_nothing(house: House) -> None:
    async with aiohttp.ClientSession() as session:
        for name, port in house.ports.items():
            for path in ("/", "/carnet/v1", "/dsp", "/public", "/dataflows", "/../carnet.toml", "/%2e%2e/local.token"):
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    assert answer.status in (401, 403, 404), f"{name} {path}: {answer.status}"


async def test_the_socket_is_the_owners_alone(house: House) -> None:
    path = house.settings.local.socket
    assert path is not None
    found = await asyncio.to_thread(path.stat)
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    folder = await asyncio.to_thread(path.parent.stat)
    assert stat.S_IMODE(folder.st_mode) == 0o700
    assert folder.st_uid == os.getuid()


async def test_listeners_are_on_loopback_only(house: House) -> None:
    """Only the addresses that the settings name are bound: nothing answers on another address of this machine."""
    loop = asyncio.get_running_loop()
    for port in house.ports.values():
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
            probe.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(probe, ("127.0.0.2", port))


async def test_the_owner_gets_in_by_both_doors(house: House) -> None:
    token = house.settings.local.token_file.read_text().strip()
    url = f"http://127.0.0.1:{house.ports['local']}"
    for client in (LocalClient.of(house.settings), LocalClient(url=url, token=token)):
        async with client:
            assert (await client.status())["participantId"] == "did:web:us.example"
            assert await client.datasets() == await client.agreements() == await client.processes("transfer") == []
            with pytest.raises(Refused) as caught:
                await client.process("urn:uuid:none", wait_s=1)
            assert (caught.value.status, caught.value.code) == (404, "process-unknown")
    async with LocalClient(url=url) as client:
        with pytest.raises(Refused, match="token-missing"):
            await client.status()
    async with LocalClient(url="http://127.0.0.1:1") as client:
        with pytest.raises(Away, match="connector-away"):
            await client.status()


async def test_the_owner_is_told_what_is_wrong_with_a_query(house: House) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(house.settings.local.socket))) as session:
        for path in ("processes/x?wait_s=soon", "processes/x?version=-1", "agreements?after=x", "transfers?after=²:x"):
            async with session.get(f"http://localhost/carnet/v1/{path}") as answer:
                assert answer.status == 400, path
                assert (await answer.json())["code"] in ("query-invalid", "after-invalid")
