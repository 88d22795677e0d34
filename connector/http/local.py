"""The owner's channel, ``/carnet/v1`` in plain JSON: on a Unix socket that only the owner can open, or on loopback with a token.

One thin handler for each use case; the command line speaks to a running connector through it and never opens its database.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec
import orjson
from aiohttp import web

from connector.flow import acts, begin, deciding, letters, peer, publish
from connector.flow.browse import Browser
from connector.flow.context import Context
from connector.flow.described import TemplateAnswers
from connector.flow.offers import PublicationRefused
from connector.flow.plane import Plane
from connector.flow.watch import Watch
from connector.http import problems
from connector.http.bodies import json_answer, read_body
from connector.http.local_agreements import LocalAgreements
from connector.http.local_bundles import LocalBundles
from connector.http.local_consents import LocalConsents
from connector.http.local_evidence import LocalEvidence
from connector.http.local_keys import LocalKeys
from connector.http.local_peers import LocalPeers
from connector.http.local_subjects import LocalSubjects
from connector.http.local_terms import LocalTerms
from connector.http.local_transfers import LocalTransfers
from connector.identity.assertions import Assertions
from connector.log.access import LogAccess
from connector.metrics import CONTENT_TYPE, Metrics
from connector.protocol.errors import CallerError, CarnetError, NotAuthenticated, NotFound, Unavailable
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind
from connector.settings.secret import Secret
from connector.store.rows import OpenTo, Outgoing
from connector.telemetry import correlated

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_BODY_BYTES: Final = 1_048_576
PAGE: Final = 100
MAX_WAIT_S: Final = 30


class DatasetRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Publish a file as a dataset, with ``table`` (the data plane's ``Wish``) its rows under terms, or say what that would do."""

    id: str
    file: str
    title: str = ""
    offers: list[Document] = []
    media_type: str | None = None
    open_to: OpenTo = "admitted"
    record: Document | None = None
    template: str | None = None
    answers: TemplateAnswers | None = None
    table: Document | None = None
    dry_run: bool = False


class CatalogRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Read a peer's catalogue, or one of its datasets."""

    counterparty: str
    address: str | None = None
    dataset: str | None = None


class NegotiationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Begin a negotiation: ``role`` consumer needs the catalogue's offer, provider names an own dataset."""

    counterparty: str
    dataset: str
    offer: Document = {}
    role: str = "consumer"
    address: str | None = None


class TransferRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Begin a transfer under an agreement."""

    agreement: str
    counterparty: str | None = None
    sink: str | None = None
    format: str = "HttpData-PULL"
    address: str | None = None
    ask: dict[str, str] = {}
    into: str | None = None


class ActRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of an act: reason and code for an ending, terms for a counter-offer; for what waits for a person a comment and,
    if it is to be decided as it was seen, the version of the process."""

    code: str | None = None
    reason: list[Any] = []
    offer: Document = {}
    comment: str = ""
    version: int | None = None


@dataclass(frozen=True, slots=True)
class LocalServer:
    """Handlers of the owner's channel. ``token`` is None on the Unix socket, where the file's mode is the guard. ``keys`` is what
    reads our keys again; without it there is no such route. ``log`` is the contract log, where there is one."""

    context: Context
    browser: Browser
    plane: Plane
    metrics: Metrics
    watch: Watch
    token: Secret | None
    keys: LocalKeys | None = None
    assertions: Assertions | None = None
    log: LogAccess | None = None

    def application(self) -> web.Application:
        """All routes; every one needs the token where there is one."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._guard])
        add = app.router
        add.add_get("/health", self._status)
        add.add_get("/metrics", self._metrics)
        base = "/carnet/v1"
        add.add_get(f"{base}/status", self._status)
        add.add_post(f"{base}/datasets", self._publish)
        add.add_get(f"{base}/datasets", self._datasets)
        add.add_delete(f"{base}/datasets/{{id}}", self._withdraw)
        add.add_post(f"{base}/catalog", self._catalog)
        add.add_post(f"{base}/negotiations", self._negotiate)
        add.add_post(f"{base}/transfers", self._transfer)
        for kind, name in ((Kind.NEGOTIATION, "negotiations"), (Kind.TRANSFER, "transfers")):
            add.add_get(f"{base}/{name}", self._processes(kind))
        # Before the acts, of which none is one.
        add.add_routes(LocalTransfers(self.context, self.plane, self.assertions).routes())
        # An owner who has an id only finds the process under the third name.
        for name in ("negotiations", "transfers", "processes"):
            add.add_get(f"{base}/{name}/{{id}}", self._process)
            add.add_get(f"{base}/{name}/{{id}}/timeline", self._timeline)
            add.add_post(f"{base}/{name}/{{id}}/{{act}}", self._act)
        add.add_routes(LocalAgreements(self.context).routes())
        add.add_get(f"{base}/dead-letters", self._dead_letters)
        add.add_post(f"{base}/dead-letters/{{id}}/retry", self._retry)
        add.add_delete(f"{base}/dead-letters/{{id}}", self._give_up)
        add.add_post(f"{base}/peers/{{id}}/hello", self._hello)
        add.add_get(f"{base}/peers/{{id}}/capabilities", self._capabilities)
        add.add_routes(LocalPeers(self.context).routes())
        add.add_routes(LocalTerms(self.context).routes())
        add.add_routes(LocalConsents(self.plane).routes())
        add.add_routes(LocalSubjects(self.context, self.plane).routes())
        add.add_routes(LocalEvidence(self.context).routes())
        add.add_routes(LocalBundles(self.context, self.log).routes())
        if self.keys is not None:
            add.add_routes(self.keys.routes())
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        with correlated(request.headers.get("X-Correlation-ID")):
            response = await self._supervised(request, handler)
        self.metrics.request_answered("local", response.status, time.perf_counter() - began)
        return response

    async def _supervised(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            check_token(self.token, request)
            _check_path(request)
            return await handler(request)
        except web.HTTPRequestEntityTooLarge as error:
            return problems.problem_answer(error)
        except web.HTTPException as error:
            known = CarnetError("http", error.reason)
            known.status = error.status
            return problems.problem_answer(known)
        except Exception as error:  # noqa: BLE001 - the supervisor of requests: what nobody expected becomes an incident
            return problems.problem_answer(error)

    # -- state of the connector ---------------------------------------------------------------------------------------

    async def _status(self, _: web.Request) -> web.Response:
        pending = await self.context.store.pending()
        self.metrics.outbox_pending(pending)
        return json_answer(
            {"participantId": self.context.participant_id, "outboxPending": pending, "dataPlane": self.plane.ready}
        )

    async def _metrics(self, _: web.Request) -> web.Response:
        self.metrics.outbox_pending(await self.context.store.pending())
        return web.Response(body=self.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    # -- catalogue ----------------------------------------------------------------------------------------------------

    async def _publish(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, DatasetRequest)
        if not wanted.dry_run:
            facts = await self.plane.register_source(wanted.id, wanted.file, wanted.table)
            return json_answer(await self._published(wanted, facts), 201)
        if wanted.table is None:
            raise CallerError("dry-run-table", "only a table is looked at before; a file leaves as it is")
        facts = await self.plane.preview(wanted.id, wanted.file, wanted.table)
        name = facts.pop("preview")
        try:
            return json_answer(await self._published(wanted, facts, name))
        except PublicationRefused as refused:
            wrong = [asdict(each) for each in refused.findings]
            return json_answer({"dataset": None, "source": facts, "releases": [], "problems": wrong})
        finally:
            with suppress(Unavailable):
                await self.plane.forget(name)

    async def _published(self, wanted: DatasetRequest, facts: Document, preview: str | None = None) -> Document:
        releases: list[Document] = []

        async def look(policies: list[Document]) -> list[Document]:
            releases.extend(await self.plane.releases(wanted.id, policies, preview))
            return releases

        document = await publish.publish(
            self.context,
            wanted.id,
            title=wanted.title,
            source=wanted.file,
            offers=wanted.offers,
            media_type=wanted.media_type,
            open_to=wanted.open_to,
            record=wanted.record,
            template=wanted.template,
            answers=wanted.answers,
            able=self.plane.able(facts),
            look=look if wanted.table is not None else None,
            dry=wanted.dry_run,
        )
        return {"dataset": document, "source": facts, "releases": releases}

    async def _datasets(self, request: web.Request) -> web.Response:
        rows = await self.context.store.datasets(after=request.query.get("after", ""), limit=PAGE)
        return json_answer([orjson.loads(row.document) for row in rows])

    async def _withdraw(self, request: web.Request) -> web.Response:
        await publish.withdraw(self.context, request.match_info["id"])
        return web.Response(status=204)

    async def _catalog(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, CatalogRequest)
        if wanted.dataset is not None:
            return json_answer(await self.browser.dataset(wanted.counterparty, wanted.dataset, wanted.address))
        return json_answer(await self.browser.catalog(wanted.counterparty, wanted.address))

    # -- processes ----------------------------------------------------------------------------------------------------

    async def _negotiate(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, NegotiationRequest)
        if wanted.role == "provider":
            offer_id = wanted.offer.get("@id")
            process = await begin.offer_contract(
                self.context, counterparty=wanted.counterparty, dataset=wanted.dataset, offer_id=offer_id, address=wanted.address
            )
        else:
            process = await begin.request_contract(
                self.context,
                counterparty=wanted.counterparty,
                dataset=wanted.dataset,
                offer=wanted.offer,
                address=wanted.address,
            )
        return json_answer(shown(process), 201)

    async def _transfer(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, TransferRequest)
        process = await begin.request_transfer(
            self.context,
            agreement_id=wanted.agreement,
            counterparty=wanted.counterparty,
            transfer_format=wanted.format,
            sink=wanted.sink,
            address=wanted.address,
            ask=wanted.ask,
            into=wanted.into,
        )
        return json_answer(shown(process), 201)

    def _processes(self, kind: Kind) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            rows = await self.context.store.processes(kind, after=_after(request), limit=PAGE, state=request.query.get("state"))
            return json_answer([shown(row) for row in rows])

        return handle

    async def _process(self, request: web.Request) -> web.Response:
        """With ``wait_s`` and ``version``: answered when the process has another version, or after that many seconds."""
        process_id = request.match_info["id"]
        wait_s, version = (_whole(request, name, most) for name, most in (("wait_s", MAX_WAIT_S), ("version", 1 << 53)))
        return json_answer(shown(await self.watch.newer(lambda: acts.load(self.context, process_id), version, wait_s)))

    async def _timeline(self, request: web.Request) -> web.Response:
        await acts.load(self.context, request.match_info["id"])
        lines = await self.context.store.timeline(request.match_info["id"])
        return json_answer([msgspec.to_builtins(line) for line in lines])

    async def _act(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, ActRequest)
        process_id, name = request.match_info["id"], request.match_info["act"]
        if name == "offer":
            return json_answer(shown(await acts.offer(self.context, process_id, wanted.offer)))
        if name in ("approve", "reject"):
            decide = deciding.approve if name == "approve" else deciding.reject
            return json_answer(shown(await decide(self.context, process_id, wanted.comment, seen=wanted.version)))
        if name in ("terminate", "suspend"):
            end = acts.terminate if name == "terminate" else acts.suspend
            return json_answer(shown(await end(self.context, process_id, wanted.code or f"{name}d", wanted.reason or None)))
        plain = {"accept": acts.accept, "agree": acts.agree, "verify": acts.verify, "finalize": acts.finalize}
        plain |= {"start": acts.start, "resume": acts.start, "complete": acts.complete}
        if name not in plain:
            known = ", ".join(sorted(("approve", "reject", "offer", "suspend", "terminate", *plain)))
            raise NotFound("act-unknown", f"there is no such act; known: {known}")
        return json_answer(shown(await plain[name](self.context, process_id)))

    # -- letters, peers -----------------------------------------------------------------------------------------------

    async def _dead_letters(self, _: web.Request) -> web.Response:
        return json_answer([letter_shown(row) for row in await self.context.store.dead_letters(limit=PAGE)])

    async def _retry(self, request: web.Request) -> web.Response:
        await letters.retry(self.context, request.match_info["id"])
        return web.Response(status=202)

    async def _give_up(self, request: web.Request) -> web.Response:
        await letters.give_up(self.context, request.match_info["id"])
        return web.Response(status=204)

    async def _hello(self, request: web.Request) -> web.Response:
        return json_answer({"messageId": await peer.hello(self.context, request.match_info["id"])}, 202)

    async def _capabilities(self, request: web.Request) -> web.Response:
        return json_answer(await peer.capabilities(self.context, request.match_info["id"]))


def check_token(token: Secret | None, request: web.Request) -> None:
    """Raises NotAuthenticated unless the request carries the token, where one is needed."""
    if token is None:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.matches(given):
        raise NotAuthenticated("token-missing", "send the token of the token file as 'Authorization: Bearer ...'")


def _check_path(request: web.Request) -> None:
    """PostgreSQL keeps no text with a NUL in it, so that no id of ours has one. Raises CallerError."""
    if "%00" in request.raw_path:
        raise CallerError("text-invalid", "the path has the character U+0000 in it; leave it out")


def shown(process: Process) -> Document:
    """A process as its owner sees it. The data address, which carries a token, has an endpoint of its own."""
    provider_pid, consumer_pid = process.pids
    detail = {
        key: value for key, value in msgspec.to_builtins(process.detail).items() if key not in ("data_address", "first_digest")
    }
    return {
        "id": process.id,
        "kind": process.kind.value,
        "role": process.role.value,
        "state": process.state.on_wire,
        "awaiting": process.awaiting and process.awaiting.value,
        "counterparty": process.counterparty,
        "providerPid": provider_pid,
        "consumerPid": consumer_pid,
        "subject": process.subject,
        "correlationId": process.correlation_id,
        "createdAt": process.created_at,
        "updatedAt": process.updated_at,
        "version": process.version,
        **detail,
    }


def letter_shown(row: Outgoing) -> Document:
    """A dead letter without its body, which may carry a token."""
    return {
        "id": row.id,
        "counterparty": row.counterparty,
        "process": row.process_id,
        "message": row.message,
        "attempts": row.attempts,
        "lastError": row.last_error,
        "deadAt": row.dead_at,
    }


def _after(request: web.Request) -> tuple[int, str]:
    """Where the page begins. Raises CallerError."""
    created, _, last = request.query.get("after", "0:").partition(":")
    if not (created.isascii() and created.isdigit() and len(created) < 18):
        raise CallerError("after-invalid", "after is 'createdAt:id' of the last one seen")
    return int(created), last


def _whole(request: web.Request, name: str, most: int) -> int:
    """A whole number of the query, at most ``most``; 0 where it is missing. Raises CallerError."""
    given = request.query.get(name, "0")
    if not (given.isascii() and given.isdigit() and len(given) < 18):
        raise CallerError("query-invalid", f"{name} is a whole number from 0 to {most}")
    return min(int(given), most)
