"""A connector that really runs, and calls of its own interface as programs make them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from connector.app import Running, serve
from connector.cli.init import make_house
from connector.demo.houses import free_ports
from connector.settings import load
from connector.settings.model import DEVELOPMENT_KEY

OWN: Final = "did:web:own.example"
CHOSEN: Final = {
    "protocol.port": "0", "protocol.auth": '"pinned-token"', "data.managed": "false", "data.signaling_port": "1",
    "management.host": '"127.0.0.1"', "management.port": "0",
    # A program that tries everything is not made to wait.
    "management.requests_per_s": "100000", "management.burst": "100000",
}  # fmt: skip


@dataclass(frozen=True)
class Answered:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body as JSON."""
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Channel:
    """The owner's channel of a running connector."""

    folder: Path
    running: Running
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answered:
        """One request below ``/carnet/v1``; underscores in names of headers are hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://localhost/carnet/v1{path}"
        async with self.session.request(method, url, json=body, headers=sent) as answer:
            return Answered(answer.status, answer.headers, await answer.read())

    async def get(self, path: str) -> Any:
        """What a GET answers, which must be well."""
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json


@asynccontextmanager
async def running(folder: Path, *, data_plane: bool = False) -> AsyncIterator[Channel]:
    """A connector in ``folder``, until the block ends; with a data plane beside it or without."""
    chosen = CHOSEN
    if data_plane:
        control, signaling, public = map(str, free_ports(3))
        chosen = CHOSEN | {"data.managed": "true", "data.control_port": control, "data.signaling_port": signaling}
        chosen |= {"data.public_port": public}
    await asyncio.to_thread(make_house, folder, OWN, chosen, f'\n[development]\nkey = "{DEVELOPMENT_KEY}"\n')
    settings = load(folder / "carnet.toml", {})
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    done = asyncio.create_task(serve(settings, stop, started))
    await asyncio.wait({done, started}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if done.done():
            await done
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(settings.local.socket))) as session:
            yield Channel(folder, started.result(), session)
    finally:
        stop.set()
        await done
