"""The owner's channel, keys: told that the key files have changed, the running connector reads them again.

Whoever changes the files does so itself; no key ever passes through this channel. Imports operations only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from connector.api.operation import Operation

Reload = Callable[[], Awaitable[None]]
PATH: Final = "/carnet/v1/keys/reload"


class LocalKeys:
    """The handler. ``reload`` reads the keys again, and raises CarnetError when they cannot be used: then the old ones stay."""

    def __init__(self, reload: Reload) -> None:
        self._reload = reload
        # One after the other: a reading that began before a change must not end after the one that saw it.
        self._one = asyncio.Lock()

    def operations(self) -> list[Operation]:
        """What the owner's channel serves of it."""
        about = "Read the key files again; where they cannot be used the old keys stay."
        return [Operation("POST", PATH, "reloadKeys", "keys", "write", about, self._handle, status=204, told=True)]

    async def _handle(self, _: web.Request) -> web.Response:
        async with self._one:
            await self._reload()
        return web.Response(status=204)
