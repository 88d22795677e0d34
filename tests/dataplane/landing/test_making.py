"""Whether the provider still makes the file is known while it does, and not after."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from tests.dataplane.conftest import HTTP_PULL, PATIENCE_S, Control, MakePlane, first_message
from tests.dataplane.landing.test_landing import Provider, provider, serving
from tests.ports import free_port

__all__ = ["provider"]


class Maker(Provider):
    """Makes the file until ``made`` is set."""

    made: asyncio.Event

    async def handle(self, request: web.Request) -> web.Response:
        if not self.made.is_set():
            return web.Response(status=202, headers={"Retry-After": "0"})
        return await super().handle(request)


async def test_the_file_is_in_the_making_until_it_comes(
    make_plane: MakePlane, control: Control, provider: Provider, tmp_path: Path
) -> None:
    maker = Maker(provider.body, provider.headers)
    maker.made = asyncio.Event()
    port = free_port()
    plane = await make_plane(f"127.0.0.1:{port}")
    await plane.done("POST", "/dataflows/prepare", first_message("flow", "m1", sink="trips.csv"))
    address = {"endpointType": HTTP_PULL, "endpoint": f"http://127.0.0.1:{port}/data", "endpointProperties": []}
    async with serving(maker, port):
        await plane.change("flow", "started", "m2", dataAddress=address)
        async with asyncio.timeout(PATIENCE_S):
            while not (seen := await plane.seen("flow"))["making"]:
                assert seen["total"] is None
        assert (seen["bytes"], seen["total"]) == (0, None)
        maker.made.set()
        _, event, told = await control.next()
    assert event == "completed"
    seen = await plane.seen("flow")
    assert (seen["making"], seen["bytes"], seen["total"]) == (False, told["bytes"], len(maker.body))
