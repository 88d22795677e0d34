"""The public listener: a bearer of a live token reads the flow's file, in pieces, until somebody revokes it.

A stream enters the table *before* its right is checked: a revocation committed after that check finds it there, one
committed before it makes the check fail. So once ``abort`` has returned, no byte of the flow leaves any more.
May import this package only.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import re
import socket
import struct
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar

from aiohttp import web

from connector.dataplane.desk import Desk, Outgoing
from connector.dataplane.problems import Refusal
from connector.dataplane.records import Flow, Records
from connector.dataplane.seams import OnChanged
from connector.dataplane.settings import DataPlaneBounds
from connector.dataplane.sources import Source, SourceChanged, read_piece
from connector.dataplane.threads import settle
from connector.dataplane.tokens import MAX_FORM_BYTES, MAX_TOKEN_CHARS, Tokens

log = logging.getLogger("carnet.dataplane")

_RANGE = re.compile(r"bytes=(?:(?P<first>\d{1,18})-(?P<last>\d{0,18})|-(?P<suffix>\d{1,18}))", re.ASCII)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
Opened = TypeVar("Opened")


class Stream:
    """One delivery in progress."""

    def __init__(self, transport: asyncio.BaseTransport | None) -> None:
        self._transport = transport
        self.cut = asyncio.Event()
        self.done = asyncio.Event()

    def abort(self) -> None:
        """Close the connection with a reset: what the kernel still holds is dropped, not delivered."""
        self.cut.set()
        if isinstance(self._transport, asyncio.WriteTransport):
            raw = self._transport.get_extra_info("socket")
            if raw is not None:
                with suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()


class StreamTable:
    """Every running delivery, by flow; bounded."""

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._count = 0
        self._by_flow: dict[str, set[Stream]] = {}

    @contextmanager
    def entered(self, flow_id: str, transport: asyncio.BaseTransport | None) -> Iterator[Stream]:
        """A place in the table for as long as the block runs. Raises Refusal 503 when it is full."""
        if self._count >= self._max_streams:
            raise Refusal(503, "busy", "too many deliveries are running; try again")
        stream = Stream(transport)
        streams = self._by_flow.setdefault(flow_id, set())
        streams.add(stream)
        self._count += 1
        try:
            yield stream
        finally:
            self._count -= 1
            streams.discard(stream)
            if not streams and self._by_flow.get(flow_id) is streams:
                del self._by_flow[flow_id]
            stream.done.set()

    async def abort(self, flow_id: str) -> None:
        """Cut every stream of the flow and wait until each has ended."""
        await self._abort(list(self._by_flow.get(flow_id, ())))

    async def abort_all(self) -> None:
        """The same for all flows: the process ends."""
        await self._abort([stream for streams in self._by_flow.values() for stream in streams])

    @staticmethod
    async def _abort(streams: list[Stream]) -> None:
        for stream in streams:
            stream.abort()
        for stream in streams:
            await stream.done.wait()


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First and past-the-end byte of a single range (RFC 9110, 14.2); ``None``: send everything.

    A header that is malformed or has several ranges is ignored, as the standard allows. Raises Refusal 416.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    if match["suffix"] is not None:
        first, end = max(0, size - int(match["suffix"])), size
    else:
        first = int(match["first"])
        end = min(size, int(match["last"]) + 1) if match["last"] else size
        if match["last"] and int(match["last"]) < first:
            return None
    if first >= end:
        raise Refusal(416, "range", f"the file has {size} bytes")
    return first, end


def presented_token(header: str | None) -> str:
    """The token of ``Authorization: Bearer <token>``, or the bare token. Raises Refusal 401."""
    scheme, _, rest = (header or "").strip().partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else (header or "").strip()
    if not token or " " in token or len(token) > MAX_TOKEN_CHARS:
        raise Refusal(401, "token_missing", "an Authorization header with the transfer's token is needed")
    return token


class Passing(Protocol):
    """What answers for sources that are called for each request."""

    async def answer(self, request: web.Request, stream: Stream, flow: Flow, source: Source) -> web.StreamResponse:
        """The source's answer. Raises Refusal as long as nothing has left."""


class PublicData:
    """Handler of ``GET /public/{flow_id}``, and of any method and path below for an HTTP source, which ``passing`` answers for.

    ``on_changed`` learns of a source that is not what was published.
    """

    def __init__(
        self,
        records: Records,
        streams: StreamTable,
        bounds: DataPlaneBounds,
        desk: Desk,
        on_changed: OnChanged,
        tokens: Tokens,
        live: Callable[[], bool] = lambda: True,
        passing: Passing | None = None,
    ) -> None:
        self._passing = passing
        self._live = live
        self._records = records
        self._tokens = tokens
        self._streams = streams
        self._bounds = bounds
        self._desk = desk
        self._on_changed = on_changed

    def application(self) -> web.Application:
        """The data of a flow, and what renews the token that opens them."""
        app = web.Application(client_max_size=MAX_FORM_BYTES)
        app.router.add_get("/public/{flow_id}", self._handle)
        app.router.add_post("/public/{flow_id}/token", self._renew)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            app.router.add_route(method, "/public/{flow_id}", self._handle)
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            app.router.add_route(method, "/public/{flow_id}/{tail:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        flow_id = request.match_info["flow_id"]
        try:
            token = presented_token(request.headers.get("Authorization"))
            with self._streams.entered(flow_id, request.transport) as stream:
                flow, source = await self._authorize(flow_id, token)
                if source.kind == "http" and self._passing is not None:
                    return await self._passing.answer(request, stream, flow, source)
                _plain(request)
                outgoing = await unless_cut(stream, self._desk.open(flow, source, list(request.query.items())))
                try:
                    return await self._send(request, stream, flow, outgoing)
                finally:
                    os.close(outgoing.descriptor)
        except Refusal as refusal:
            return refusal.response()

    async def _renew(self, request: web.Request) -> web.Response:
        return await self._tokens.handle(request)

    async def _authorize(self, flow_id: str, token: str) -> tuple[Flow, Source]:
        """Token, then flow, then state, then source; each failure has its own code."""
        flow = await self._tokens.admitted(flow_id, token)
        source = await self._records.source(flow.dataset_id)
        if source is None:
            raise Refusal(404, "dataset_unknown", f"dataset {flow.dataset_id} is not published any more")
        return flow, source

    async def _send(self, request: web.Request, stream: Stream, flow: Flow, outgoing: Outgoing) -> web.StreamResponse:
        source = outgoing.source
        etag = f'"{source.sha256}"'
        headers = {
            "Content-Type": outgoing.content_type,
            "ETag": etag,
            "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(source.sha256)).decode()}:",
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **outgoing.headers,
        }
        wanted = None
        if request.headers.get("If-Range", etag) == etag:
            try:
                wanted = byte_range(request.headers.get("Range"), source.bytes)
            except Refusal as refusal:
                return refusal.response({"Content-Range": f"bytes */{source.bytes}"})
        first, end = wanted or (0, source.bytes)
        if wanted:
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{source.bytes}"
        if not self._live():
            raise Refusal(503, "elsewhere", "this process may not serve now; ask again", retry_s=1)
        if stream.cut.is_set():
            raise Refusal(403, "flow_suspended", "the transfer has just been suspended or ended")
        response = web.StreamResponse(status=206 if wanted else 200, headers=headers)
        response.content_length = end - first
        await response.prepare(request)
        if request.method != "HEAD":
            await self._pump(response, stream, flow, outgoing, first, end)
        return response

    async def _pump(
        self,
        response: web.StreamResponse,
        stream: Stream,
        flow: Flow,
        outgoing: Outgoing,
        first: int,
        end: int,
    ) -> None:
        """Send bytes [first, end); a break in the middle closes the connection, so that nobody takes it for the whole."""
        pace = self._bounds.stream_bytes_per_s
        piece_bytes = min(self._bounds.piece_bytes, max(1, pace // 8)) if pace else self._bounds.piece_bytes
        offset = first
        try:
            while offset < end:
                piece = await settle(read_piece, outgoing.descriptor, outgoing.source, offset, min(piece_bytes, end - offset))
                if not self._live():
                    # Something may have been revoked of which we could not be told.
                    stream.abort()
                if stream.cut.is_set():
                    return
                async with asyncio.timeout(self._bounds.stream_idle_s):
                    await response.write(piece)
                offset += len(piece)
                if pace:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(len(piece) / pace):
                            await stream.cut.wait()
        except SourceChanged as error:
            stream.abort()
            await self._on_changed(flow.id, str(error), None)
        except TimeoutError:
            log.warning("flow %s: the consumer reads nothing; delivery cut", flow.id)
            stream.abort()
        except ConnectionError:
            # The consumer went away, or abort() did its work.
            return


def _plain(request: web.Request) -> None:
    """A file is only ever got. Raises Refusal."""
    if request.match_info.get("tail"):
        raise Refusal(404, "path_unknown", "this dataset has no paths below its address")
    if request.method not in ("GET", "HEAD"):
        raise Refusal(405, "method", "this dataset is got with GET")


async def unless_cut(stream: Stream, opening: Coroutine[Any, Any, Opened]) -> Opened:
    """What is opened, or Refusal as soon as the stream is cut: who revokes does not wait for what is being made."""
    work, cut = asyncio.create_task(opening), asyncio.create_task(stream.cut.wait())
    try:
        await asyncio.wait((work, cut), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            await asyncio.wait((work,))
        if work.cancelled():
            raise Refusal(403, "flow_suspended", "the transfer has just been suspended or ended")
        return work.result()
    finally:
        work.cancel()
        cut.cancel()
