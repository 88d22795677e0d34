"""The listener that peers talk to: DSP 2025-1 over HTTPS (binding), the version document, extension messages, health.

A handler knows paths and types; what a message does is decided below. The answer is on the wire before anything that follows
from the message is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson
from aiohttp import web

from catalog.jsonld import normalise_message
from connector.flow import inbound, peer, publish
from connector.flow.context import Context
from connector.http import problems
from connector.http.quota import Quota
from connector.identity.interface import Identity, Principal
from connector.metrics import Metrics
from connector.protocol.errors import BadMessage, CarnetError, NotFound
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
_MEDIA: Final = frozenset({"application/json", "application/ld+json"})
log = logger("protocol")
PRINCIPAL: Final = web.RequestKey("principal", Principal)


@dataclass(frozen=True, slots=True)
class ProtocolServer:
    """Handlers of the protocol listener."""

    context: Context
    identity: Identity
    quota: Quota
    settings: ProtocolSettings
    metrics: Metrics
    ready: Callable[[], bool]

    def application(self) -> web.Application:
        """All routes. Only the version document and health answer a caller without identity."""
        base = self.settings.base_path
        app = web.Application(client_max_size=self.settings.max_body_bytes, middlewares=[self._observe])
        add = app.router
        add.add_get("/.well-known/dspace-version", self._versions)
        add.add_get("/health", self._health)
        add.add_post(f"{base}/catalog/request", self._guard(problems.CATALOG, self._catalog))
        add.add_get(f"{base}/catalog/datasets/{{id}}", self._guard(problems.CATALOG, self._dataset))
        add.add_post(f"{base}/carnet/messages", self._guard(problems.CATALOG, self._peer_message))
        for kind, name, paths in (
            (Kind.NEGOTIATION, "negotiations", _NEGOTIATION),
            (Kind.TRANSFER, "transfers", _TRANSFER),
        ):
            for first_kind, path in _FIRST:
                if first_kind is kind:
                    handler = self._first(kind, _FIRST[kind, path])
                    add.add_post(f"{base}/{name}/{path}", self._guard(_ERRORS[kind], handler))
            add.add_get(f"{base}/{name}/{{pid}}", self._guard(_ERRORS[kind], self._show(kind)))
            for path, types in paths.items():
                handler = self._message(kind, types)
                add.add_post(f"{base}/{name}/{{pid}}/{path}", self._guard(_ERRORS[kind], handler))
        return app

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

    def _guard(self, name: str, handler: Handler) -> Handler:
        """Identity, quota, and errors in the protocol's own form."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                principal = await self.identity.inbound(request.method, str(request.url), request.headers)
                request[PRINCIPAL] = principal
                _check_path(request)
                with self.quota.admitted(principal.participant_id):
                    return await handler(request)
            except web.HTTPRequestEntityTooLarge as error:
                return problems.protocol_answer(error, name, None, None)
            except web.HTTPException:
                raise
            except Exception as error:  # noqa: BLE001 - the supervisor of requests: what nobody expected becomes an incident
                return problems.protocol_answer(error, name, request.match_info.get("pid"), None)

        return guarded

    # -- open to all --------------------------------------------------------------------------------------------------

    async def _versions(self, _: web.Request) -> web.Response:
        auth = {"protocol": "carnet-pinned-token", "version": "1", "profile": ["bearer"]}
        endpoint = Endpoint("2025-1", self.settings.base_path or "/", self.context.participant_id, auth)
        return _json(200, orjson.dumps(version_document([endpoint], f"{self.settings.base_path}/carnet/messages")))

    async def _health(self, _: web.Request) -> web.Response:
        ready = self.ready()
        return _json(200 if ready else 503, orjson.dumps({"status": "ready" if ready else "starting"}))

    # -- catalogue ----------------------------------------------------------------------------------------------------

    async def _catalog(self, request: web.Request) -> web.StreamResponse:
        document = await self._read(request, frozenset({"CatalogRequestMessage"}))
        token = request.query.get("continuationToken")
        page = await publish.catalog_page(self.context, document, token, self.settings.page_size)
        response = _json(200, page.body)
        if page.next_token is not None:
            own = f"{self.context.callback_address}/catalog/request?continuationToken={page.next_token}"
            response.headers["Link"] = f'<{own}>; rel="next"'
        _pack(request, response)
        return response

    async def _dataset(self, request: web.Request) -> web.StreamResponse:
        response = _json(200, await publish.dataset_document(self.context, request.match_info["id"]))
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
        document = await self._read(request, peer.TYPES)
        await peer.received(self.context, request[PRINCIPAL], document)
        return web.Response(status=200)

    # -- in and out ---------------------------------------------------------------------------------------------------

    async def _read(self, request: web.Request, types: frozenset[str]) -> dict[str, object]:
        if request.content_type not in _MEDIA:
            raise BadMessage("media-type", "send application/json (or application/ld+json)")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise BadMessage("content-encoding", "send the body as it is: no Content-Encoding is taken here")
        try:
            async with asyncio.timeout(self.settings.request_timeout_s):
                raw = await request.read()
        except web.RequestPayloadError as error:
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
