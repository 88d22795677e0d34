"""Our own interface, negotiations and transfers: begin, look at, wait for and move them.

Each is found below its own kind; who has an id only finds it below ``/carnet/v1/processes`` too, if he may see its kind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from aiohttp import web

from connector.access.caller import Caller, Resource, scope
from connector.api.answers.processes import ProcessAnswer, TimelineLine, process_answer, timeline_answer
from connector.api.operation import Handler, Operation, Query, caller_of, check_still
from connector.api.page import PAGED, after_of, limit_of, page, whole_of
from connector.flow import acts, begin, deciding
from connector.flow.context import Context
from connector.flow.watch import Watch
from connector.http.bodies import json_answer, read_body
from connector.protocol.errors import NotFound, PolicyDenied
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind

BASE: Final = "/carnet/v1"
MAX_WAIT_S: Final = 30
_VERSION_MOST: Final = 1 << 53
_STATE: Final = Query("state", "Only those in this state, as the protocol names it.")
_WAIT: Final = (
    Query(
        "wait_s",
        f"Answer when the process has another version than `version`, or after so many seconds, at most {MAX_WAIT_S}.",
        int,
    ),
    Query("version", "The version that was seen last.", int),
)
_RESOURCES: Final[Mapping[Kind, Resource]] = {Kind.NEGOTIATION: "negotiations", Kind.TRANSFER: "transfers"}


class NegotiationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Begin a negotiation: ``role`` consumer needs the catalogue's offer, provider names an own dataset."""

    counterparty: str
    dataset: str
    offer: Document = {}
    role: Literal["consumer", "provider"] = "consumer"
    address: str | None = None


class TransferRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Begin a transfer under an agreement. With ``sink`` (a file name) our data plane fetches, ``into`` a table; ``ask`` narrows
    what the contract gives."""

    agreement: str
    counterparty: str | None = None
    sink: str | None = None
    format: str = "HttpData-PULL"
    address: str | None = None
    ask: dict[str, str] = {}
    into: str | None = None


class NothingMore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All is said by the path."""


class DecisionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Yes or no to what waits: ``comment``, which the counterparty reads of a no; only in this ``version`` of the process, where
    one is given."""

    comment: str = ""
    version: int | None = None


class EndRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why: a code for programs, and in words for the counterparty."""

    code: str | None = None
    reason: list[Any] = []


class CounterRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other terms: an ODRL offer about the same dataset."""

    offer: Document = {}


Act = Callable[[Context, str, Any, Caller], Awaitable[Process]]


@dataclass(frozen=True, slots=True)
class _Act:
    """A way to move a process. ``of``: of which kinds."""

    name: str
    about: str
    do: Act
    body: Any = NothingMore
    of: tuple[Kind, ...] = (Kind.NEGOTIATION,)
    approves: bool = False


def _plain(do: Callable[..., Awaitable[Process]]) -> Act:
    async def act(context: Context, process_id: str, _: Any, by: Caller) -> Process:
        return await do(context, process_id, by=by)

    return act


def _ended(do: Callable[..., Awaitable[Process]], code: str) -> Act:
    async def act(context: Context, process_id: str, said: Any, by: Caller) -> Process:
        return await do(context, process_id, said.code or code, said.reason or None, by=by)

    return act


def _decided(do: Callable[..., Awaitable[Process]]) -> Act:
    async def act(context: Context, process_id: str, said: Any, by: Caller) -> Process:
        return await do(context, process_id, said.comment, seen=said.version, by=by)

    return act


async def _countered(context: Context, process_id: str, said: Any, by: Caller) -> Process:
    return await acts.offer(context, process_id, said.offer, by=by)


_BOTH: Final = (Kind.NEGOTIATION, Kind.TRANSFER)
_TRANSFER: Final = (Kind.TRANSFER,)
ACTS: Final = (
    _Act("approve", "Yes to what waits for a person", _decided(deciding.approve), DecisionRequest, _BOTH, approves=True),
    _Act(
        "reject", "No to what waits for a person, with a reason", _decided(deciding.reject), DecisionRequest, _BOTH, approves=True
    ),
    _Act("offer", "Answer with other terms", _countered, CounterRequest),
    _Act("accept", "Consumer: accept the provider's last offer", _plain(acts.accept)),
    _Act("agree", "Provider: agree to the last offer on the table", _plain(acts.agree)),
    _Act("verify", "Consumer: confirm the agreement", _plain(acts.verify)),
    _Act("finalize", "Provider: finalize", _plain(acts.finalize)),
    _Act("start", "Provider: start; either: resume", _plain(acts.start), of=_TRANSFER),
    _Act("suspend", "Pause: data stop at once", _ended(acts.suspend, "suspended"), EndRequest, _TRANSFER),
    _Act("resume", "Go on after a suspension", _plain(acts.start), of=_TRANSFER),
    _Act("complete", "Say that it is complete", _plain(acts.complete), of=_TRANSFER),
    _Act(
        "terminate", "End it, with a reason that the counterparty sees", _ended(acts.terminate, "terminated"), EndRequest, _BOTH
    ),
)


@dataclass(frozen=True, slots=True)
class LocalProcesses:
    """The handlers."""

    context: Context
    watch: Watch

    def operations(self) -> list[Operation]:
        """All of them."""
        negotiations = list(self._below("negotiations", "Negotiation", Kind.NEGOTIATION))
        transfers = list(self._below("transfers", "Transfer", Kind.TRANSFER))
        return [*self._collections(), *negotiations, *transfers, *self._below("processes", "Process", None)]

    def _collections(self) -> list[Operation]:
        return [
            Operation(
                "GET", f"{BASE}/negotiations", "listNegotiations", "negotiations", "read",
                "Negotiations in order of their beginning.",
                self._listed(Kind.NEGOTIATION), answer=list[ProcessAnswer], query=(*PAGED, _STATE),
            ),
            Operation(
                "POST", f"{BASE}/negotiations", "beginNegotiation", "negotiations", "write",
                "Ask a provider for a contract on an offer, or offer one on a dataset of ours.",
                self._negotiate, body=NegotiationRequest, answer=ProcessAnswer, status=201, errors=(404, 409), told=True,
            ),
            Operation(
                "GET", f"{BASE}/transfers", "listTransfers", "transfers", "read", "Transfers in order of their beginning.",
                self._listed(Kind.TRANSFER), answer=list[ProcessAnswer], query=(*PAGED, _STATE),
            ),
            Operation(
                "POST", f"{BASE}/transfers", "beginTransfer", "transfers", "write", "Ask for data under an agreement.",
                self._transfer, body=TransferRequest, answer=ProcessAnswer, status=201, errors=(404, 409), told=True,
            ),
        ]  # fmt: skip

    def _below(
        self, place: Literal["negotiations", "transfers", "processes"], word: str, kind: Kind | None
    ) -> Iterator[Operation]:
        one, resource = f"{BASE}/{place}/{{id}}", _RESOURCES[kind or Kind.NEGOTIATION]
        what = word.lower() if kind else "negotiation or transfer"
        yield Operation(
            "GET", one, f"show{word}", resource, "read", f"One {what}, at once or when it has moved.",
            self._show(kind), answer=ProcessAnswer, errors=(404,), query=_WAIT,
        )  # fmt: skip
        yield Operation(
            "GET", f"{one}/timeline", f"timelineOf{word}", resource, "read",
            f"What happened in a {what}, in order: state changes, messages, decisions, retries.",
            self._timeline(kind), answer=list[TimelineLine], errors=(404,),
        )  # fmt: skip
        for act in ACTS:
            if kind is None or kind in act.of:
                needed: Resource = "approvals" if act.approves else _RESOURCES[kind or act.of[0]]
                yield Operation(
                    "POST", f"{one}/{act.name}", f"{act.name}{word}", needed, "write", f"{act.about}.",
                    self._moved(act, kind), body=act.body, answer=ProcessAnswer, errors=(404, 409), told=True,
                )  # fmt: skip

    def _listed(self, kind: Kind) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            state, limit = request.query.get("state"), limit_of(request)
            rows = await self.context.store.processes(kind, after=after_of(request), limit=limit, state=state)
            return page(request, rows, lambda row: f"{row.created_at}:{row.id}", [process_answer(row) for row in rows])

        return handle

    def _show(self, kind: Kind | None) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            wait_s, version = whole_of(request, "wait_s", MAX_WAIT_S), whole_of(request, "version", _VERSION_MOST)
            newer = await self.watch.newer(lambda: self._load(request, kind), version, wait_s)
            # He may have waited longer than he may read.
            await check_still(request)
            return json_answer(process_answer(newer))

        return handle

    def _timeline(self, kind: Kind | None) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            process = await self._load(request, kind)
            return json_answer(timeline_answer(process, await self.context.store.timeline(process.id)))

        return handle

    def _moved(self, act: _Act, kind: Kind | None) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            said = await read_body(request, act.body)
            process = await self._load(request, kind, None if act.approves else "write")
            return json_answer(process_answer(await act.do(self.context, process.id, said, caller_of(request))))

        return handle

    async def _load(self, request: web.Request, kind: Kind | None, verb: Literal["read", "write"] | None = "read") -> Process:
        """The process, if it is of this kind; of any, if the caller may do ``verb`` with those of its kind.

        Raises NotFound or PolicyDenied.
        """
        process = await acts.load(self.context, request.match_info["id"])
        if kind not in (None, process.kind):
            raise NotFound("process-unknown", f"there is no {kind and kind.value} {process.id:.80} here")
        wanted = None if kind or not verb else scope(_RESOURCES[process.kind], verb)
        if wanted is not None and not caller_of(request).may(wanted):
            raise PolicyDenied("scope-missing", f"this needs the scope {wanted}")
        return process

    async def _negotiate(self, request: web.Request) -> web.Response:
        wanted, by = await read_body(request, NegotiationRequest), caller_of(request)
        if wanted.role == "provider":
            offer_id = wanted.offer.get("@id")
            process = await begin.offer_contract(
                self.context, counterparty=wanted.counterparty, dataset=wanted.dataset, offer_id=offer_id,
                address=wanted.address, by=by,
            )  # fmt: skip
        else:
            process = await begin.request_contract(
                self.context, counterparty=wanted.counterparty, dataset=wanted.dataset, offer=wanted.offer,
                address=wanted.address, by=by,
            )  # fmt: skip
        return json_answer(process_answer(process), 201)

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
            by=caller_of(request),
        )
        return json_answer(process_answer(process), 201)
