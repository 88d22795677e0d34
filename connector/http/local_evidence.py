"""The owner's channel, evidence: ``/carnet/v1/receipts``, ``/duties`` and the statement of an agreement.

No pseudonym or reference leaves here: of an open duty only their numbers are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import orjson
from aiohttp import web

from connector.flow import erasure, statements
from connector.flow.context import Context
from connector.flow.erasing import NAMES
from connector.http.bodies import json_answer, read_body
from connector.protocol.errors import CallerError
from connector.protocol.messages import Document
from connector.store.evidence import Duty, EvidenceStore, Receipt

BASE: Final = "/carnet/v1"
PAGE: Final = 100


class HappenedRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The event that a duty to delete waits for has happened."""

    counterparty: str
    role: Literal["consumer", "provider"] = "consumer"


@dataclass(frozen=True, slots=True)
class LocalEvidence:
    """Handlers for who wants to see what is proved and what is owed."""

    context: Context

    def routes(self) -> list[web.RouteDef]:
        """All of them, to be added to the owner's channel."""
        return [
            web.get(f"{BASE}/receipts", self._receipts),
            web.get(f"{BASE}/agreements/{{id}}/statement", self._statement),
            web.get(f"{BASE}/duties", self._duties),
            web.post(f"{BASE}/duties/{{id}}/happened", self._happened),
        ]

    async def _receipts(self, request: web.Request) -> web.Response:
        store, agreement = EvidenceStore(self.context.store.engine), request.query.get("agreement", "")
        rows = await store.receipts(after=_after(request), limit=PAGE, agreement=agreement)
        return json_answer([receipt_shown(row) for row in rows])

    async def _statement(self, request: web.Request) -> web.Response:
        counterparty = request.query.get("counterparty")
        return json_answer(await statements.statement(self.context, request.match_info["id"], counterparty))

    async def _duties(self, request: web.Request) -> web.Response:
        now, store = self.context.now_ms(), EvidenceStore(self.context.store.engine)
        late = now if request.query.get("overdue") in ("1", "true") else None
        rows = await store.duties(after=_after(request), limit=PAGE, overdue_at=late)
        return json_answer([duty_shown(row, now) for row in rows])

    async def _happened(self, request: web.Request) -> web.Response:
        said = await read_body(request, HappenedRequest)
        duty = await erasure.happened(self.context, said.counterparty, said.role, request.match_info["id"])
        return json_answer(duty_shown(duty, self.context.now_ms()))


def receipt_shown(row: Receipt) -> Document:
    """A receipt as its owner sees it: what was signed, by whom, and where both differ."""
    return {
        "id": row.transfer,
        "receipt": row.id,
        "role": row.role,
        "counterparty": row.counterparty,
        "agreement": row.agreement,
        "state": row.state,
        "content": orjson.loads(row.content),
        "differences": orjson.loads(row.findings),
        "signed": row.signed,
        "answer": row.answer or None,
        "keyThumbprint": row.thumbprint or None,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }


def duty_shown(row: Duty, now_ms: int) -> Document:
    """A duty as its owner sees it; ``state`` is ``overdue`` where its deadline is over. Times are ms since the epoch."""
    content = orjson.loads(row.content)
    values = {name: _number(content.get(name)) for name in NAMES}
    return {
        "id": row.id,
        "role": row.role,
        "counterparty": row.counterparty,
        "kind": row.kind,
        "agreement": row.agreement,
        "state": "overdue" if row.overdue(now_ms) else row.state,
        "stage": row.state,
        "happenedAt": content.get("happenedAt"),
        "dueAt": row.due_at,
        "toldAt": row.told_at,
        "fulfilledAt": row.fulfilled_at,
        "late": row.fulfilled_at is not None and row.due_at is not None and row.fulfilled_at > row.due_at,
        "transfers": content.get("transfers", []),
        **values,
        "outcome": orjson.loads(row.outcome) if row.outcome else None,
        "attestation": row.attestation or None,
        "keyThumbprint": row.thumbprint or None,
        "createdAt": row.created_at,
    }


def _number(value: object) -> int:
    return len(value) if isinstance(value, list) else value if isinstance(value, int) else 0


def _after(request: web.Request) -> tuple[int, str]:
    created, _, last = request.query.get("after", "0:").partition(":")
    if not (created.isascii() and created.isdigit() and len(created) < 18):
        raise CallerError("after-invalid", "after is 'createdAt:id' of the last one seen")
    return int(created), last
