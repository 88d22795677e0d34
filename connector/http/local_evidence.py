"""Our own interface, evidence: ``/carnet/v1/receipts``, ``/duties`` and the statement of an agreement.

No pseudonym or reference leaves here: of an open duty only their numbers are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from aiohttp import web

from connector.api.answers.evidence import DutyAnswer, ReceiptAnswer, StatementAnswer, duty_answer, receipt_answer
from connector.api.operation import Operation, Query
from connector.api.page import PAGED, after_of, limit_of, page
from connector.flow import erasure, statements
from connector.flow.context import Context
from connector.http.bodies import json_answer, read_body
from connector.http.local_agreements import WHOSE
from connector.store.evidence import EvidenceStore

BASE: Final = "/carnet/v1"
_UNDER: Final = Query("agreement", "Only receipts of deliveries under this agreement.")
_LATE: Final = Query("overdue", "1: only what is late.")


class HappenedRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The event that a duty to delete waits for has happened."""

    counterparty: str
    role: Literal["consumer", "provider"] = "consumer"


@dataclass(frozen=True, slots=True)
class LocalEvidence:
    """Handlers for who wants to see what is proved and what is owed."""

    context: Context

    def operations(self) -> list[Operation]:
        """All of them."""
        return [
            Operation(
                "GET", f"{BASE}/receipts", "listReceipts", "receipts", "read",
                "Receipts in order of their making: what was signed, by whom, and where both sides differ.",
                self._receipts, answer=list[ReceiptAnswer], query=(*PAGED, _UNDER),
            ),
            Operation(
                "GET", f"{BASE}/agreements/{{id}}/statement", "showStatement", "receipts", "read",
                "What is owed under an agreement so far.",
                self._statement, answer=StatementAnswer, errors=(404,), query=(WHOSE,),
            ),
            Operation(
                "GET", f"{BASE}/duties", "listDuties", "receipts", "read", "What has to be erased, in order of its making.",
                self._duties, answer=list[DutyAnswer], query=(*PAGED, _LATE),
            ),
            Operation(
                "POST", f"{BASE}/duties/{{id}}/happened", "dutyHappened", "agreements", "write",
                "The event that a duty to delete waits for has happened.",
                self._happened, body=HappenedRequest, answer=DutyAnswer, errors=(404, 409), told=True,
            ),
        ]  # fmt: skip

    async def _receipts(self, request: web.Request) -> web.Response:
        store, agreement = EvidenceStore(self.context.store.engine), request.query.get("agreement", "")
        rows = await store.receipts(after=after_of(request), limit=limit_of(request), agreement=agreement)
        return page(request, rows, lambda row: f"{row.created_at}:{row.transfer}", [receipt_answer(row) for row in rows])

    async def _statement(self, request: web.Request) -> web.Response:
        counterparty = request.query.get("counterparty")
        return json_answer(await statements.statement(self.context, request.match_info["id"], counterparty))

    async def _duties(self, request: web.Request) -> web.Response:
        now, store = self.context.now_ms(), EvidenceStore(self.context.store.engine)
        late = now if request.query.get("overdue") in ("1", "true") else None
        rows = await store.duties(after=after_of(request), limit=limit_of(request), overdue_at=late)
        return page(request, rows, lambda row: f"{row.created_at}:{row.id}", [duty_answer(row, now) for row in rows])

    async def _happened(self, request: web.Request) -> web.Response:
        said = await read_body(request, HappenedRequest)
        duty = await erasure.happened(self.context, said.counterparty, said.role, request.match_info["id"])
        return json_answer(duty_answer(duty, self.context.now_ms()))
