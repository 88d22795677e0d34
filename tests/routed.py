"""Operations as routes without a router around them: whoever asks is the owner."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from connector.access.caller import OWNER
from connector.api.operation import CALLER, Handler, Operation


def routed(operations: Sequence[Operation]) -> list[web.RouteDef]:
    """A route for each."""
    return [web.route(each.method, each.path, _of_owner(each.handle)) for each in operations]


def _of_owner(handle: Handler) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        request[CALLER] = OWNER
        return await handle(request)

    return serve
