"""Two connectors as processes of their own, with management listeners, and an API behind a key that one of them sells."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from connector.access.caller import Role
from connector.access.keys import new_key
from connector.cli.init import KEY_FILE, make_house, on_loopback
from connector.demo.houses import BASE_PATH, House, free_ports
from connector.demo.servers import serving

SOURCE_KEY: Final = "the-key-of-the-source"
FLOW_TIMEOUT_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class Party:
    """A connector, as a client of its management interface sees it."""

    house: House
    port: int
    key: str = field(repr=False)

    @property
    def management(self) -> str:
        """The address of the interface, without a version."""
        return f"http://127.0.0.1:{self.port}/management"

    def told(self) -> dict[str, str]:
        """What a client has to know."""
        house = self.house
        return {"management": self.management, "key": self.key, "address": house.address, "id": house.participant_id}


@dataclass(frozen=True, slots=True)
class Market:
    """Provider, consumer, and the address of the API that the provider sells."""

    provider: Party
    consumer: Party
    source: str

    def told(self) -> dict[str, Any]:
        """What a program with a client in it reads."""
        nobody = f"{self.provider.house.address}/nothing"
        parties = {"provider": self.provider.told(), "consumer": self.consumer.told()}
        return {**parties, "source": self.source, "sourceKey": SOURCE_KEY, "nobody": nobody}


@asynccontextmanager
async def api(port: int) -> AsyncIterator[str]:
    """An API that says what it was asked, and whether with its key."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/missing"):
            return web.json_response({"error": "there is no such thing"}, status=404)
        opened = request.headers.get("x-source-key") == SOURCE_KEY
        return web.json_response({"path": request.path, "query": dict(request.query), "opened": opened})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}/api"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def market(folder: Path) -> AsyncIterator[Market]:
    """Both connectors and the API, for as long as the block runs. The provider knows the consumer."""
    ports = free_ports(7)
    houses = [House("provider", folder / "provider", *ports[0:2]), House("consumer", folder / "consumer", *ports[2:4])]
    provider, consumer = (_made(house, other, port, ports[6]) for house, other, port in _pairs(houses, ports[4:6]))
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(api(ports[6]))
        for house in houses:
            await stack.enter_async_context(serving(house))
        async with provider.house.client() as owner:
            await owner.add_peer(consumer.house.participant_id, vouched_by="a test")
        yield Market(provider, consumer, source)


def _pairs(houses: Sequence[House], ports: Sequence[int]) -> list[tuple[House, House, int]]:
    return [(houses[0], houses[1], ports[0]), (houses[1], houses[0], ports[1])]


def _made(house: House, other: House, port: int, source: int) -> Party:
    settings, more = on_loopback(house.protocol_port, house.public_port, [*other.reached_at, f"127.0.0.1:{source}"])
    settings |= {"management.host": '"127.0.0.1"', "management.port": str(port)}
    key = new_key("a test", [Role.OPERATOR], now_ms=0, by="owner").text
    make_house(house.folder, house.participant_id, settings, more, {KEY_FILE: key + "\n"})
    assert house.address.endswith(BASE_PATH)
    return Party(house, port, key)


async def steps(command: Sequence[str | Path], told: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """What a program with a client in it says that each of its steps came to. Raises AssertionError with what it said."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", ""), **environ},
    )
    try:
        async with asyncio.timeout(FLOW_TIMEOUT_S):
            out, complaints = await process.communicate(json.dumps(told).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = {line["step"]: line["value"] for line in map(json.loads, out.decode().splitlines())}
    assert process.returncode == 0, f"after {list(found)[-1:]}: {complaints.decode()[-3000:]}"
    return found
