"""What sets a version of the management interface apart: how its documents are read, and how they are written.

Everything else is the same for all versions: ``desk_definitions`` and ``desk_business`` serve their operations through this seam.
Knows aiohttp's request and response.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import orjson
from aiohttp import web

from connector.api.operation import Query
from connector.management.documents import Flat
from connector.management.model import QuerySpec
from connector.management.shapes import query_of
from connector.protocol.messages import Document

Item = TypeVar("Item")
PAGING = (
    Query("offset", "How many to pass over; goes before that of the body, so that a Link can be followed.", int),
    Query("limit", "How many to show at most, likewise.", int),
)


class Dialect(Protocol):
    """One version of the interface. ``name`` stands in its paths."""

    @property
    def name(self) -> str:
        """As it stands in paths."""

    async def read(self, raw: bytes, form: str) -> Flat:
        """The document in ``raw``, which is to be a ``form`` (the name of its type). Raises DocumentError or Invalid."""

    def shown(self, document: Document) -> Document:
        """A document of ``shapes`` as this version spells it, with its context."""


def one(dialect: Dialect, document: Document, status: int = 200) -> web.Response:
    """An answer with one document."""
    return _json(dialect.shown(document), status)


def done() -> web.Response:
    """An answer that says nothing but that it was done."""
    return web.Response(status=204)


def raw_json(value: object, status: int = 200) -> web.Response:
    """An answer as it stands: what a counterparty said."""
    return _json(value, status)


def _json(value: object, status: int) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value, default=str), content_type="application/json")


async def page(
    dialect: Dialect,
    request: web.Request,
    query: Callable[[QuerySpec], Awaitable[Sequence[Item]]],
    count: Callable[[QuerySpec], Awaitable[int]],
    shown: Callable[[Item], Document],
) -> web.Response:
    """A page of a list: the bare array that clients read, with ``X-Total-Count`` and ``Link`` beside it (RFC 8288)."""
    spec = query_of(await dialect.read(await request.read(), "QuerySpec"), request.query)
    items = await query(spec)
    whole = spec.offset == 0 and len(items) < spec.limit
    total = len(items) if whole else await count(spec)
    response = _json([dialect.shown(shown(item)) for item in items], 200)
    response.headers["X-Total-Count"] = str(total)
    links = list(_links(request.path, spec, total))
    if links:
        response.headers["Link"] = ", ".join(links)
    return response


def _links(path: str, spec: QuerySpec, total: int) -> list[str]:
    """Where to post the same body for the pages around this one."""
    places = {}
    if spec.offset:
        places["prev"] = max(0, spec.offset - spec.limit)
    if spec.offset + spec.limit < total:
        places["next"] = spec.offset + spec.limit
    return [f'<{path}?offset={offset}&limit={spec.limit}>; rel="{name}"' for name, offset in places.items()]
