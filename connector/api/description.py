"""The interface described by itself: ``/carnet/v1/openapi.json`` and ``/carnet/v1/docs``, of whatever the listener serves.

Says nothing of the connector's data. Both are made once, when somebody asks for the first time.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import orjson
from aiohttp import web

from connector.api import reference
from connector.api.openapi import document
from connector.api.operation import Operation
from connector.api.router import operations_of

BASE: Final = "/carnet/v1"
_HEADERS: Final = {
    "Content-Security-Policy": reference.POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=300",
}


class Description:
    """The handlers of one listener."""

    def __init__(self) -> None:
        self._made: tuple[bytes, bytes] | None = None

    def operations(self) -> list[Operation]:
        """Both."""
        return [
            Operation(
                "GET", f"{BASE}/openapi.json", "describeInterface", "status", "read",
                "This interface as OpenAPI 3.1, made of the types that it is written in.",
                self._openapi, answer=dict[str, Any],
            ),
            Operation(
                "GET", f"{BASE}/docs", "showReference", "status", "read",
                "This interface as a page to read; a browser may send a key as the password of HTTP Basic.",
                self._docs, answer=bytes, media="text/html",
            ),
        ]  # fmt: skip

    async def _openapi(self, request: web.Request) -> web.Response:
        return web.Response(body=(await self._whole(request))[0], content_type="application/json")

    async def _docs(self, request: web.Request) -> web.Response:
        page = (await self._whole(request))[1]
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=_HEADERS)

    async def _whole(self, request: web.Request) -> tuple[bytes, bytes]:
        if self._made is None:
            served = [each for each in operations_of(request.app) if each.path.startswith(f"{BASE}/")]
            self._made = await asyncio.to_thread(_made, served)
        return self._made


def _made(served: list[Operation]) -> tuple[bytes, bytes]:
    whole = document(served, version=_release())
    return orjson.dumps(whole), reference.page(whole).encode()


def _release() -> str:
    try:
        return version("carnet")
    except PackageNotFoundError:
        return "unknown"
