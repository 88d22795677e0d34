"""The owner's channel, keys: told that the key files have changed, the running connector reads them again.

Whoever changes the files does so itself; no key ever passes through this channel. Imports nothing of the connector's inside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

Reload = Callable[[], Awaitable[None]]
PATH: Final = "/carnet/v1/keys/reload"


class LocalKeys:
    """The handler. ``reload`` reads the keys again, and raises CarnetError when they cannot be used: then the old ones stay."""

    def __init__(self, reload: Reload) -> None:
        self._reload = reload
        # One after the other: a reading that began before a change must not end after the one that saw it.
        self._one = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """What the owner's channel serves of it."""
        return [web.post(PATH, self._handle)]

    async def _handle(self, _: web.Request) -> web.Response:
        async with self._one:
            await self._reload()
        return web.Response(status=204)
