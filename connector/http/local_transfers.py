"""The owner's channel, data of a transfer to us: how far they are, where they are, and what renews the token for them.

One thin handler for each use case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from connector.flow import acts, renewals
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.http.bodies import json_answer, read_body
from connector.identity.assertions import Assertions
from connector.protocol.errors import CallerError, NotFound, Unavailable

BASE: Final = "/carnet/v1/transfers/{id}"
_TOLD: Final = ("bytes", "total", "making")


class AssertionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Renew the token of a data address: ``token`` is its ``authorization``."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


@dataclass(frozen=True, slots=True)
class LocalTransfers:
    """The handlers. Without ``assertions`` there is no key to renew a token with."""

    context: Context
    plane: Plane
    assertions: Assertions | None

    def routes(self) -> list[web.RouteDef]:
        """What the owner's channel serves of it."""
        return [
            web.get(f"{BASE}/progress", self._progress),
            web.get(f"{BASE}/data-address", self._data_address),
            web.post(f"{BASE}/assertion", self._assertion),
        ]

    async def _progress(self, request: web.Request) -> web.Response:
        """``bytes`` of ``total`` that came, and whether the provider is still ``making`` the file; null where it is not known."""
        process = await acts.load(self.context, request.match_info["id"])
        try:
            found = await self.plane.ask("GET", f"/carnet/flows/{quote(process.id, safe='')}")
        except CallerError:
            found = {}  # the data plane has not begun, or is not the one that gets the data
        return json_answer({name: found.get(name) for name in _TOLD})

    async def _data_address(self, request: web.Request) -> web.Response:
        process = await acts.load(self.context, request.match_info["id"])
        if process.state.on_wire != "STARTED" or process.detail.data_address is None:
            raise NotFound("data-address-none", f"the transfer is {process.state.on_wire}; a started one has a data address")
        return json_answer(process.detail.data_address)

    async def _assertion(self, request: web.Request) -> web.Response:
        """For who fetches by itself: what renews the token of the data address at its ``refreshEndpoint``."""
        if self.assertions is None:
            raise Unavailable("signing-key-missing", "there is no key to sign with")
        wanted = await read_body(request, AssertionRequest)
        made = await renewals.assertion(self.context, self.assertions, request.match_info["id"], wanted.token)
        return json_answer({"assertion": made})
