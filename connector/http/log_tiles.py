"""Our log for its witnesses, read-only: the newest checkpoint and the hash tiles (C2SP tlog-tiles), never an entry.

Whoever somebody here has vouched for can make a proof of consistency from these. A hash says nothing of its leaf, which has a
random id; entries are for those to whom the owner gives them. Knows paths and forms; what is read is asked of the log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from connector.flow.logs import Witnessing
from connector.identity.interface import Principal
from connector.log.tiles import MAX_LEVEL, WIDTH, LogDamaged, tile_path
from connector.protocol.errors import NotFound

_TILE: Final = re.compile(r"([0-9])/((?:x[0-9]{3}/){0,4}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class LogTiles:
    """What is served of the log of a connector. Raises NotFound for all that is not there or not the caller's."""

    witnessing: Witnessing

    async def checkpoint(self, principal: Principal) -> web.Response:
        """The newest checkpoint, a signed note."""
        self._check(principal)
        newest = await self.witnessing.read(lambda own: own.newest())
        if newest is None:
            raise _none()
        return web.Response(text=newest[0], content_type="text/plain", headers={"Cache-Control": "no-store"})

    async def tile(self, principal: Principal, path: str) -> web.Response:
        """The hashes of a tile, 32 bytes each."""
        self._check(principal)
        named = _TILE.fullmatch(path)
        if named is None:
            raise _none()
        level, number, width = int(named[1]), int(re.sub("[x/]", "", named[2])), int(named[3] or WIDTH)
        # One tile has one name.
        if level > MAX_LEVEL or width > WIDTH or tile_path(level, number, width) != f"tile/{path}":
            raise _none()
        try:
            hashes = await self.witnessing.read(lambda own: own.hash_tile(level, number, width))
        except LogDamaged as error:
            raise _none() from error
        return web.Response(body=hashes, content_type="application/octet-stream")

    def _check(self, principal: Principal) -> None:
        if not self.witnessing.on or not principal.admitted:
            raise _none()


def _none() -> NotFound:
    return NotFound("tile-unknown", "there is no such tile of a log here for you; entries are not served")
