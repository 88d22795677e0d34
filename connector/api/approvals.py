"""Our own interface, decisions by people: ``/carnet/v1/approvals``, a thin handler for each use case of ``flow/deciding.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, get_args

import msgspec
from aiohttp import web
from msgspec import Meta

from connector.api.answers.approvals import ReviewAnswer, WaitingAnswer, review_answer, waiting_answer
from connector.api.answers.processes import ProcessAnswer, process_answer
from connector.api.operation import Operation, Query, caller_of
from connector.api.page import LIMIT, after_of, limit_of, page
from connector.flow import deciding, reviewing
from connector.flow.approvals import COMMENT_CHARS
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.http.bodies import json_answer, read_body
from connector.protocol.errors import CallerError
from connector.protocol.messages import Document
from connector.protocol.record import Process
from policies.terms.term import Language

BASE: Final = "/carnet/v1/approvals"
AFTER: Final = Query("after", "Where the page begins: `since:id` of the last entry seen. The Link header of a full page has it.")
LANGUAGE: Final = Query("language", f"Of the explanation: {' or '.join(get_args(Language))}; en if nothing is said.")
Comment = Annotated[str, Meta(max_length=COMMENT_CHARS)]
Version = Annotated[int, Meta(ge=0, lt=2**53)]


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Yes. ``comment`` stays here; ``version``: only if the process still is as it was seen."""

    comment: Comment = ""
    version: Version | None = None


class Rejection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No; the counterparty reads the ``reason``."""

    reason: Annotated[str, Meta(min_length=1, max_length=COMMENT_CHARS)]
    version: Version | None = None


class CounterProposal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other terms: an ODRL ``offer``. ``comment`` stays here."""

    offer: Document
    comment: Comment = ""
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class Approvals:
    """Handlers for those who decide."""

    context: Context
    plane: Plane

    def operations(self) -> list[Operation]:
        """All of them."""
        one = f"{BASE}/{{id}}"
        return [
            Operation(
                "GET", BASE, "listApprovals", "approvals", "read",
                "What waits for people, the newest first: what is to be decided, by whom, until when, and who has approved it.",
                self._list, answer=list[WaitingAnswer], query=(AFTER, LIMIT),
            ),
            Operation(
                "GET", one, "reviewApproval", "approvals", "read",
                "What somebody sees who decides about a negotiation or transfer: the redline, what the terms would release, "
                "what the linter finds, and what the terms say.",
                self._review, answer=ReviewAnswer, errors=(404,), query=(LANGUAGE,),
            ),
            Operation(
                "POST", f"{one}/approve", "approveWaiting", "approvals", "write",
                "Say yes. It is done when as many people have as the rule asks for; until then the process waits on.",
                self._approve, body=Approval, answer=ProcessAnswer, errors=(404, 409), told=True,
            ),
            Operation(
                "POST", f"{one}/reject", "rejectWaiting", "approvals", "write",
                "Say no: the process ends, and the counterparty reads the reason.",
                self._reject, body=Rejection, answer=ProcessAnswer, errors=(404, 409), told=True,
            ),
            Operation(
                "POST", f"{one}/counter", "counterWaiting", "approvals", "write",
                "Answer with other terms, as provider or as consumer. Whoever does cannot approve what comes of it.",
                self._counter, body=CounterProposal, answer=ProcessAnswer, errors=(404, 409), told=True,
            ),
        ]  # fmt: skip

    async def _list(self, request: web.Request) -> web.Response:
        before = after_of(request) if "after" in request.query else None
        rows = await self.context.store.waiting(before=before, limit=limit_of(request))
        by = caller_of(request)
        shown = [waiting_answer(self.context, row, by) for row in rows]
        return page(request, rows, _last, shown)

    async def _review(self, request: web.Request) -> web.Response:
        found = await reviewing.review(self.context, self.plane, request.match_info["id"], _language(request))
        return json_answer(review_answer(self.context, found, caller_of(request)))

    async def _approve(self, request: web.Request) -> web.Response:
        said, by = await read_body(request, Approval), caller_of(request)
        done = await deciding.approve(self.context, request.match_info["id"], said.comment, seen=said.version, by=by)
        return json_answer(process_answer(done))

    async def _reject(self, request: web.Request) -> web.Response:
        said, by = await read_body(request, Rejection), caller_of(request)
        done = await deciding.reject(self.context, request.match_info["id"], said.reason, seen=said.version, by=by)
        return json_answer(process_answer(done))

    async def _counter(self, request: web.Request) -> web.Response:
        said, by = await read_body(request, CounterProposal), caller_of(request)
        process_id = request.match_info["id"]
        done = await deciding.counter(self.context, process_id, said.offer, said.comment, seen=said.version, by=by)
        return json_answer(process_answer(done))


def _last(row: Process) -> str:
    """Where the page after a row begins."""
    return f"{row.waits_since}:{row.id}"


def _language(request: web.Request) -> Language:
    given = request.query.get("language", "en")
    found: Language | None = next((each for each in get_args(Language) if each == given), None)
    if found is None:
        raise CallerError("query-invalid", f"language is {' or '.join(get_args(Language))}")
    return found
