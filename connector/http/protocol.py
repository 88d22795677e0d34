"""The listener that peers talk to: DSP 2025-1 over HTTPS (binding), the version document, extension messages, health.

A handler knows paths and types; what a message does is decided below. The answer is on the wire before anything that follows
from the message is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from aiohttp import web

from catalog.errors import DocumentError
from catalog.jsonld import normalise_message
from connector.flow import inbound, peer, shelf
from connector.flow.context import Context
from connector.http import problems
from connector.http.log_tiles import LogTiles
from connector.http.quota import Quota
from connector.identity.interface import Entrance, Inbound, Incoming, Principal, Scope
from connector.metrics import Metrics
from connector.protocol.errors import BadMessage, CarnetError, NotAuthenticated, NotFound
from connector.protocol.messages import Document
from connector.protocol.states import Kind
from connector.protocol.versions import Endpoint, version_document
from connector.settings.model import ProtocolSettings
from connector.telemetry import correlated, logger, span

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_NEGOTIATION: Final[Mapping[str, frozenset[str]]] = {
    "request": frozenset({"ContractRequestMessage"}),
    "offers": frozenset({"ContractOfferMessage"}),
    "agreement": frozenset({"ContractAgreementMessage"}),
    "agreement/verification": frozenset({"ContractAgreementVerificationMessage"}),
    "events": frozenset({"ContractNegotiationEventMessage"}),
    "termination": frozenset({"ContractNegotiationTerminationMessage"}),
}
_TRANSFER: Final[Mapping[str, frozenset[str]]] = {
    "start": frozenset({"TransferStartMessage"}),
    "completion": frozenset({"TransferCompletionMessage"}),
    "suspension": frozenset({"TransferSuspensionMessage"}),
    "termination": frozenset({"TransferTerminationMessage"}),
}
_FIRST: Final[Mapping[tuple[Kind, str], frozenset[str]]] = {
    (Kind.NEGOTIATION, "request"): frozenset({"ContractRequestMessage"}),
    (Kind.NEGOTIATION, "offers"): frozenset({"ContractOfferMessage"}),
    (Kind.TRANSFER, "request"): frozenset({"TransferRequestMessage"}),
}
_ERRORS: Final = {Kind.NEGOTIATION: problems.NEGOTIATION, Kind.TRANSFER: problems.TRANSFER}
_SCOPES: Final = {Kind.NEGOTIATION: Scope.NEGOTIATION, Kind.TRANSFER: Scope.TRANSFER}
_MEDIA: Final = frozenset({"application/json", "application/ld+json"})
# Two of one of these would let two readers see two callers.
_ONCE: Final = ("Authorization", "DPoP")
log = logger("protocol")
PRINCIPAL: Final = web.RequestKey("principal", Principal)


@dataclass(frozen=True, slots=True)
class ProtocolServer:
    """Handlers of the protocol listener. ``origin`` is the scheme, host and port that peers see."""

    context: Context
    origin: str
    entrances: Sequence[Entrance]
    quota: Quota
    settings: ProtocolSettings
    metrics: Metrics
    ready: Callable[[], bool]

    def application(self, open_routes: Sequence[web.RouteDef] = ()) -> web.Application:
        """All routes. Only the version document, health and ``open_routes`` answer a caller without identity."""
        app = web.Application(client_max_size=self.settings.max_body_bytes, middlewares=[self._observe])
        add = app.router
        add.add_get("/.well-known/dspace-version", self._versions)
        add.add_get("/health", self._health)
        add.add_routes(open_routes)
        for entrance in self.entrances:
            self._enter(add, entrance)
        return app

    def _enter(self, add: web.UrlDispatcher, entrance: Entrance) -> None:
        base, identity = entrance.base_path, entrance.identity

        def guard(name: str, scope: Scope, handler: Handler, *, changes: bool) -> Handler:
            return self._guard(identity, name, scope, handler, changes=changes)

        add.add_post(f"{base}/catalog/request", guard(problems.CATALOG, Scope.CATALOG, self._catalog, changes=False))
        add.add_get(f"{base}/catalog/request", guard(problems.CATALOG, Scope.CATALOG, self._catalog_followed, changes=False))
        add.add_get(f"{base}/catalog/datasets/{{id}}", guard(problems.CATALOG, Scope.CATALOG, self._dataset, changes=False))
        add.add_post(f"{base}/carnet/messages", guard(problems.CATALOG, Scope.MESSAGES, self._peer_message, changes=True))
        add.add_get(f"{base}/log/checkpoint", guard(problems.CATALOG, Scope.MESSAGES, self._checkpoint, changes=False))
        add.add_get(f"{base}/log/tile/{{tile:.+}}", guard(problems.CATALOG, Scope.MESSAGES, self._tile, changes=False))
        for kind, name, paths in (
            (Kind.NEGOTIATION, "negotiations", _NEGOTIATION),
            (Kind.TRANSFER, "transfers", _TRANSFER),
        ):
            error, scope = _ERRORS[kind], _SCOPES[kind]
            for first_kind, path in _FIRST:
                if first_kind is kind:
                    handler = self._first(kind, _FIRST[kind, path])
                    add.add_post(f"{base}/{name}/{path}", guard(error, scope, handler, changes=True))
            add.add_get(f"{base}/{name}/{{pid}}", guard(error, scope, self._show(kind), changes=False))
            for path, types in paths.items():
                handler = self._message(kind, types)
                add.add_post(f"{base}/{name}/{{pid}}/{path}", guard(error, scope, handler, changes=True))

    # -- around every request -----------------------------------------------------------------------------------------

    @web.middleware
    async def _observe(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The supervisor: correlation id, time, and an answer for whatever no handler has caught."""
        began = time.perf_counter()
        with correlated(request.headers.get("X-Correlation-ID")), span("request", method=request.method):
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = problems.problem_answer(_http_error(error))
        self.metrics.request_answered("protocol", response.status, time.perf_counter() - began)
        return response

    def _guard(self, identity: Inbound, name: str, scope: Scope, handler: Handler, *, changes: bool) -> Handler:
        """Identity, quota, and errors in the protocol's own form."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                principal = await identity.inbound(self._incoming(request, scope, changes=changes))
                request[PRINCIPAL] = principal
                _check_path(request)
                with self.quota.admitted(principal.participant_id, verified=principal.admitted):
                    return await self._settled(principal, handler, request)
            except web.HTTPRequestEntityTooLarge as error:
                return problems.protocol_answer(error, name, None, None)
            except web.HTTPException:
                raise
            except NotAuthenticated as error:
                log.info("caller refused", code=error.code)
                response = problems.protocol_answer(error, name, request.match_info.get("pid"), None)
                response.headers.update(identity.challenge(error))
                return response
            except Exception as error:  # noqa: BLE001 - the supervisor of requests: what nobody expected becomes an incident
                return problems.protocol_answer(error, name, request.match_info.get("pid"), None)

        return guarded

    def _incoming(self, request: web.Request, scope: Scope, *, changes: bool) -> Incoming:
        for name in _ONCE:
            if len(request.headers.getall(name, ())) > 1:
                raise NotAuthenticated("header-repeated", f"send one {name} header")
        # The path as it was sent: what a proof was made for, whatever a router makes of it.
        path = request.raw_path.partition("?")[0]
        return Incoming(request.method, self.origin + path, request.headers, scope, changes)

    async def _settled(self, principal: Principal, handler: Handler, request: web.Request) -> web.StreamResponse:
        """What the caller showed is used up, however its request ends."""
        try:
            return await handler(request)
        finally:
            await self.context.door.settle(principal)

    # -- open to all --------------------------------------------------------------------------------------------------

    async def _versions(self, _: web.Request) -> web.Response:
        us = self.context.participant_id
        endpoints = [Endpoint("2025-1", entrance.base_path or "/", us, entrance.auth) for entrance in self.entrances]
        messages = f"{self.entrances[0].base_path}/carnet/messages"
        return _json(200, orjson.dumps(version_document(endpoints, messages)))

    async def _health(self, _: web.Request) -> web.Response:
        ready = self.ready()
        return _json(200 if ready else 503, orjson.dumps({"status": "ready" if ready else "starting"}))

    # -- catalogue ----------------------------------------------------------------------------------------------------

    async def _catalog(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request, await self._read(request, frozenset({"CatalogRequestMessage"})))

    async def _catalog_followed(self, request: web.Request) -> web.StreamResponse:
        """DSP 2025-1, catalog HTTPS binding: pages are linked as RFC 5988 has it, and links are followed by GET, too."""
        return await self._page(request, {})

    async def _page(self, request: web.Request, document: Document) -> web.StreamResponse:
        token = request.query.get("continuationToken")
        page = await shelf.catalog_page(self.context, request[PRINCIPAL], document, token, self.settings.page_size)
        response = _json(200, page.body)
        if page.next_token is not None:
            own = f"{self.context.callback_address}/catalog/request?continuationToken={page.next_token}"
            response.headers["Link"] = f'<{own}>; rel="next"'
        _pack(request, response)
        return response

    async def _dataset(self, request: web.Request) -> web.StreamResponse:
        found = await shelf.dataset_document(self.context, request[PRINCIPAL], request.match_info["id"])
        response = _json(200, found)
        _pack(request, response)
        return response

    # -- negotiation and transfer -------------------------------------------------------------------------------------

    def _first(self, kind: Kind, types: frozenset[str]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            document = await self._read(request, types)
            answer = await inbound.first_message(self.context, kind, request[PRINCIPAL], document)
            return await self._answer(request, kind, document, answer)

        return handle

    def _message(self, kind: Kind, types: frozenset[str]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            document = await self._read(request, types)
            pid = request.match_info["pid"]
            try:
                answer = await inbound.message(self.context, kind, request[PRINCIPAL], pid, document)
            except CarnetError as error:
                self.metrics.message_received(kind.value, "other", str(document["@type"]), "refused")
                log.info("message refused", type=document["@type"], code=error.code, sender=request[PRINCIPAL].participant_id)
                pids = (str(document.get("providerPid", "")), str(document.get("consumerPid", "")))
                return problems.protocol_answer(error, _ERRORS[kind], *pids)
            return await self._answer(request, kind, document, answer)

        return handle

    def _show(self, kind: Kind) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await inbound.show(self.context, kind, request[PRINCIPAL], request.match_info["pid"])
            return _json(200, body.encode())

        return handle

    async def _peer_message(self, request: web.Request) -> web.StreamResponse:
        try:
            document = await self._read(request, peer.TYPES)
        except DocumentError as error:
            if error.code in ("type-unknown", "type-unexpected"):
                known = ", ".join(sorted(peer.TYPES))
                raise BadMessage("message-unknown", f"this type of message is not taken here; those that are: {known}") from error
            raise
        await peer.received(self.context, request[PRINCIPAL], document)
        return web.Response(status=200)

    # -- our log ------------------------------------------------------------------------------------------------------

    async def _checkpoint(self, request: web.Request) -> web.StreamResponse:
        return await LogTiles(self.context.witnessing).checkpoint(request[PRINCIPAL])

    async def _tile(self, request: web.Request) -> web.StreamResponse:
        return await LogTiles(self.context.witnessing).tile(request[PRINCIPAL], request.match_info["tile"])

    # -- in and out ---------------------------------------------------------------------------------------------------

    async def _read(self, request: web.Request, types: frozenset[str]) -> dict[str, object]:
        if request.content_type not in _MEDIA:
            raise BadMessage("media-type", "send application/json (or application/ld+json)")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise BadMessage("content-encoding", "send the body as it is: no Content-Encoding is taken here")
        try:
            async with asyncio.timeout(self.settings.request_timeout_s):
                raw = await request.read()
        except (web.RequestPayloadError, ConnectionError) as error:
            raise BadMessage("body-broken", "the body did not arrive as its headers announce it; send it again") from error
        except TimeoutError as error:
            raise BadMessage("body-too-slow", f"send the body within {self.settings.request_timeout_s} seconds") from error
        return await normalise_message(raw, types, max_bytes=self.settings.max_body_bytes, max_depth=self.settings.max_depth)

    async def _answer(
        self, request: web.Request, kind: Kind, document: Mapping[str, object], answer: inbound.Answer
    ) -> web.StreamResponse:
        """Answer first; what follows from the message leaves after that."""
        self.metrics.message_received(kind.value, "other", str(document["@type"]), answer.outcome)
        log.info("message received", type=document["@type"], outcome=answer.outcome, sender=request[PRINCIPAL].participant_id)
        response = _json(answer.status, (answer.body or "").encode())
        if answer.leaving:
            try:
                await response.prepare(request)
                await response.write_eof()
            except ConnectionError:
                # Who hung up asks again and gets the same answer; the message counts.
                log.info("the sender did not wait for the answer", sender=request[PRINCIPAL].participant_id)
            finally:
                self.context.hand_over(answer.leaving)
        return response


def _json(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json")


def _check_path(request: web.Request) -> None:
    """No id of ours has a NUL in it, and PostgreSQL takes none in a text. Raises NotFound."""
    if any("\0" in value for value in request.match_info.values()):
        raise NotFound("path-unknown", "no id here has a NUL in it; see the path that you called")


def _pack(request: web.Request, response: web.Response) -> None:
    """DSP 2025-1, Catalog HTTPS binding: gzip and nothing else, for those who take it."""
    if "gzip" in request.headers.get("Accept-Encoding", "").lower():
        response.enable_compression(web.ContentCoding.gzip)


def _http_error(error: web.HTTPException) -> CarnetError:
    if error.status == 404:
        return NotFound("path-unknown", "there is no such endpoint; the version document names the base path")
    known = CarnetError("http", error.reason)
    known.status = error.status
    return known
