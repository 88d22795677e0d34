"""Operations as routes without a router around them: whoever asks is the owner, or who is said."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from connector.access.caller import OWNER, Caller
from connector.api.operation import CALLER, Handler, Operation


def routed(operations: Sequence[Operation], caller: Caller = OWNER) -> list[web.RouteDef]:
    """A route for each."""
    return [web.route(each.method, each.path, _asked_by(caller, each.handle)) for each in operations]


def _asked_by(caller: Caller, handle: Handler) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        request[CALLER] = caller
        return await handle(request)

    return serve
