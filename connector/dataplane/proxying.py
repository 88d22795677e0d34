"""One request of a buyer passed on to an HTTP source, and its answer passed back in pieces, under the contract.

The order: what is asked must be what the source offers; whether it may be now (the control plane decides each time); the call is
counted; the source is asked; bytes are reserved, and only then leave. The status is the source's. What its answer comes to is
written down before its last byte leaves, so that a receipt finds it. An answer that breaks off, or is cut by a revocation, ends
with a reset, so that nobody takes it for the whole; one that shows what opens the source is no answer. May import this package
and the guarded client.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from aiohttp import web

from connector.dataplane.calls import Call, Calls
from connector.dataplane.desk import Desk, limit_reached
from connector.dataplane.http_requests import PURPOSE_HEADER, SOURCE_STATUS, HttpWish, Upstream, Wanted, compose, kept_headers
from connector.dataplane.http_sources import HttpSources
from connector.dataplane.meters import LimitReached
from connector.dataplane.problems import Refusal
from connector.dataplane.public import Stream, unless_cut
from connector.dataplane.records import Flow
from connector.dataplane.screening import screened
from connector.dataplane.seams import Clock
from connector.dataplane.settings import DataPlaneBounds
from connector.dataplane.sources import Source
from connector.http.client import Download, EgressRefused, PeerUnreachable

log = logging.getLogger("carnet.dataplane")

SHORT_BYTES: Final = 256 * 1024
"""An answer that says that it is not longer is read as a whole first, so that its digest stands in its head."""
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_UNSENT: Final = frozenset({"dns", "connect", "tls"})
_VIA: Final = re.compile(r"1\.1 carnet-([0-9a-f]{16})")
MAX_HOPS: Final = 8
"""Data planes, one the source of the other, that a request may pass."""
_BODILESS: Final = frozenset({204, 205, 304})


@dataclass(slots=True)
class Proxying:
    """Serves the flows whose source is an HTTP API; the caller has checked the token and the state. ``live`` says whether this
    process may write the next piece."""

    sources: HttpSources
    desk: Desk
    calls: Calls
    bounds: DataPlaneBounds
    now_ms: Clock
    live: Callable[[], bool]
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    """What this process is called where requests say through whom they came (RFC 9110, 7.6.3)."""

    async def answer(self, request: web.Request, stream: Stream, flow: Flow, source: Source) -> web.StreamResponse:
        """The source's answer. Raises Refusal as long as nothing has left."""
        relay = _Relay(self, request, stream, flow)
        try:
            return await unless_cut(stream, relay.run(source))
        except LimitReached as reached:
            raise limit_reached(reached, self.now_ms()) from None
        except Refusal:
            if relay.response is None:
                raise
            # The head has left: there is nobody to tell.
            stream.abort()
            return relay.response


class _Relay:
    """One request and its answer. ``sent``: bytes that have left."""

    def __init__(self, parts: Proxying, request: web.Request, stream: Stream, flow: Flow) -> None:
        self.parts = parts
        self.request = request
        self.stream = stream
        self.flow = flow
        self.response: web.StreamResponse | None = None
        self.sent = 0
        self.opening: tuple[bytes, ...] = ()
        self._digest = sha256()

    async def run(self, source: Source) -> web.StreamResponse:
        """All of it. Raises Refusal or LimitReached while nothing has left."""
        via = self._via()
        wish = await self.parts.sources.of(source)
        self.opening = wish.opening
        if self.request.method not in wish.methods:
            allowed = ", ".join(wish.methods)
            return Refusal(405, "http-method", f"this source takes {allowed}").response({"Allow": allowed})
        upstream = compose(wish, _wanted(self.request), await self._body(wish))
        asked, right = await self.parts.desk.call(self.flow, source, upstream.purpose)
        call = await self.parts.calls.begin(asked, right)
        try:
            return await self._asked(upstream, via, call)
        except (EgressRefused, PeerUnreachable) as error:
            return await self._broken(source, call, error)
        except (LimitReached, TimeoutError, ConnectionError) as error:
            return await self._stopped(call, error)

    async def _asked(self, upstream: Upstream, via: str, call: Call) -> web.StreamResponse:
        bounds = self.parts.bounds
        async with self.parts.sources.client.stream(
            upstream.method,
            upstream.url,
            headers={**upstream.headers, "Via": via},
            body=upstream.body,
            max_bytes=bounds.max_source_bytes,
            idle_timeout_s=bounds.source_idle_s,
            total_timeout_s=bounds.source_total_s,
        ) as incoming:
            if incoming.status in (206, 407) or incoming.status < 200:
                raise PeerUnreachable("protocol", f"the source answered {incoming.status}")
            if 300 <= incoming.status < 400 and incoming.status != 304:
                log.warning("the source of dataset %s redirects; publish the address it leads to", self.flow.dataset_id)
            return await self._passed(incoming, call, upstream.method)

    async def _passed(self, incoming: Download, call: Call, method: str) -> web.StreamResponse:
        """The answer, in pieces."""
        calls, length = self.parts.calls, _length(incoming)
        if incoming.status in _BODILESS or "HEAD" in (method, self.request.method):
            await calls.finish(call, 0, self._digest.hexdigest(), whole=False)
            response = await self._prepared(incoming, None if incoming.status in _BODILESS else length, None)
            await response.write_eof()
            return response
        if length is not None:
            await calls.fits(call, length)
        whole = incoming.status == 200
        if length is not None and length <= SHORT_BYTES:
            body = b"".join([piece async for piece in screened(incoming.chunks(), self.opening)])
            digest = sha256(body)
            await calls.finish(call, len(body), digest.hexdigest(), whole=whole)
            response = await self._prepared(incoming, len(body), digest.digest())
            await self._write(response, body)
        else:
            async for piece in screened(incoming.chunks(), self.opening):
                await self._piece(incoming, call, piece, length)
            if length is None:
                await calls.finish(call, self.sent, self._digest.hexdigest(), whole=whole)
            response = self.response or await self._prepared(incoming, length, None)
        await response.write_eof()
        return response

    async def _piece(self, incoming: Download, call: Call, piece: bytes, length: int | None) -> None:
        """Reserve and send; before the last byte is sent, everything is written down."""
        after = self.sent + len(piece)
        if length is not None and after >= length:
            digest = self._digest.copy()
            digest.update(piece)
            await self.parts.calls.finish(call, after, digest.hexdigest(), whole=incoming.status == 200)
        else:
            await self.parts.calls.cover(call, after, length)
        response = self.response or await self._prepared(incoming, length, None)
        await self._write(response, piece)

    async def _prepared(self, incoming: Download, length: int | None, digest: bytes | None) -> web.StreamResponse:
        """The head is sent. Raises Refusal if this process may not serve."""
        if not self.parts.live():
            raise Refusal(503, "elsewhere", "this process may not serve now; ask again", retry_s=1)
        headers = {
            **kept_headers(incoming.headers, self.opening),
            SOURCE_STATUS: str(incoming.status),
            "Accept-Ranges": "none",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        if digest is not None and incoming.status == 200:
            headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
        response = web.StreamResponse(status=incoming.status, headers=headers)
        if length is not None:
            response.content_length = length
        self.response = response
        await response.prepare(self.request)
        return response

    async def _write(self, response: web.StreamResponse, body: bytes) -> None:
        """Send in pieces, at the pace that is set; the source waits meanwhile."""
        bounds = self.parts.bounds
        pace = bounds.stream_bytes_per_s
        size = min(bounds.piece_bytes, max(1, pace // 8)) if pace else bounds.piece_bytes
        view = memoryview(body)
        for begin in range(0, len(body), size):
            if not self.parts.live():
                # Something may have been revoked of which we could not be told.
                raise ConnectionResetError
            piece = view[begin : begin + size]
            async with asyncio.timeout(bounds.stream_idle_s):
                await response.write(piece)
            self._digest.update(piece)
            self.sent += len(piece)
            if pace:
                await asyncio.sleep(len(piece) / pace)

    def _via(self) -> str:
        """Through whom a request comes, and we. Raises Refusal 508 for one that was here already."""
        found = _VIA.findall(", ".join(self.request.headers.getall("Via", ())))
        if self.parts.name in found or len(found) >= MAX_HOPS:
            raise Refusal(508, "source-loop", "this source leads back to itself, or through too many")
        return ", ".join(f"1.1 carnet-{name}" for name in [*found, self.parts.name])

    async def _body(self, wish: HttpWish) -> bytes | None:
        """What the buyer sends, where it is passed on. Raises Refusal."""
        if not self.request.body_exists:
            return None
        if not wish.proxy_body:
            raise Refusal(400, "http-body", "this source takes no body")
        if self.request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Refusal(415, "http-body", "the body is passed on as it is; send it unencoded")
        found = bytearray()
        try:
            async with asyncio.timeout(self.parts.bounds.stream_idle_s):
                async for piece in self.request.content.iter_any():
                    found += piece
                    if len(found) > self.parts.bounds.max_request_bytes:
                        raise Refusal(413, "http-body", f"more than {self.parts.bounds.max_request_bytes} bytes are not taken")
        except TimeoutError:
            raise Refusal(408, "http-body", "the body did not come in time") from None
        except web.RequestPayloadError:
            raise Refusal(400, "http-body", "the body is broken off or badly framed") from None
        return bytes(found)

    async def _broken(self, source: Source, call: Call, error: EgressRefused | PeerUnreachable) -> web.StreamResponse:
        """The source gave no whole answer."""
        log.warning("the source of dataset %s: %s", source.dataset_id, error)
        if self.response is not None:
            return await self._stopped(call, error)
        if isinstance(error, EgressRefused) or error.code in _UNSENT:
            await self.parts.calls.refund(call)
        else:
            await self._settle(call)
        if isinstance(error, PeerUnreachable) and error.code == "timeout":
            raise Refusal(504, "source-timeout", "the source did not answer in time; whether it has acted is not known")
        raise Refusal(502, "source-unreachable", "the source gave no answer that can be passed on", retry_s=5)

    async def _stopped(self, call: Call, error: Exception) -> web.StreamResponse:
        """The answer cannot go on: it is counted as far as it went."""
        await self._settle(call)
        if self.response is None:
            if isinstance(error, LimitReached):
                raise error
            raise Refusal(503, "busy", "the connection is gone")
        if isinstance(error, TimeoutError):
            log.warning("flow %s: the consumer reads nothing; delivery cut", self.flow.id)
        self.stream.abort()
        return self.response

    async def _settle(self, call: Call) -> None:
        """What did not leave is not counted; of a transfer that was stopped it stays."""
        with suppress(Refusal, LimitReached):
            await self.parts.calls.finish(call, self.sent, self._digest.hexdigest(), whole=False)


def _wanted(request: web.Request) -> Wanted:
    """As it stands on the wire: nothing is decoded, nothing is resolved. Raises Refusal."""
    if len(request.headers.getall(PURPOSE_HEADER, ())) > 1:
        raise Refusal(400, "ask-purpose", "name one purpose")
    _, _, _, *tail = request.rel_url.raw_path.split("/", 3)
    return Wanted(request.method, tail[0] if tail else "", request.rel_url.raw_query_string, request.headers)


def _length(incoming: Download) -> int | None:
    """How long the body is, if the source says so and frames it thereby."""
    said = incoming.headers.get("Content-Length", "")
    return int(said) if _LENGTH.fullmatch(said) and "Transfer-Encoding" not in incoming.headers else None
