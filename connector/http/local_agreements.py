"""Our own interface, agreements: ``/carnet/v1/agreements``, each with its exact document, how it is signed, and what it used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from aiohttp import web

from connector.api.answers.agreements import AgreementAnswer, SignaturesAnswer, agreement_answer, signatures_answer
from connector.api.answers.evidence import MetersAnswer
from connector.api.operation import Operation, Query
from connector.api.page import PAGED, after_of, limit_of, page
from connector.flow.context import Context
from connector.http.bodies import json_answer
from connector.protocol.errors import Conflict, NotFound
from connector.protocol.states import Role
from connector.store.rows import Agreement
from connector.store.signatures import SignatureStore

BASE: Final = "/carnet/v1/agreements"
WHOSE: Final = Query("counterparty", "With whom, where two have agreements of the same id.")


@dataclass(frozen=True, slots=True)
class LocalAgreements:
    """Handlers for who wants to see what was agreed, and who has signed it."""

    context: Context

    def operations(self) -> list[Operation]:
        """All of them."""
        one = f"{BASE}/{{id}}"
        return [
            Operation(
                "GET", BASE, "listAgreements", "agreements", "read", "Agreements in order of their making.",
                self._agreements, answer=list[AgreementAnswer], query=PAGED,
            ),
            Operation(
                "GET", one, "showAgreement", "agreements", "read", "An agreement with its exact document.",
                self._agreement, answer=AgreementAnswer, errors=(404,), query=(WHOSE,),
            ),
            Operation(
                "GET", f"{one}/signatures", "showSignatures", "agreements", "read",
                "The signed document of an agreement, each signature in words, and what is disputed.",
                self._signatures, answer=SignaturesAnswer, errors=(404,), query=(WHOSE,),
            ),
            Operation(
                "GET", f"{one}/meters", "showMeters", "receipts", "read",
                "What was used under an agreement of ours as provider, as the data plane has counted it.",
                self._meters, answer=MetersAnswer, errors=(404, 409), query=(WHOSE,),
            ),
        ]  # fmt: skip

    async def _agreements(self, request: web.Request) -> web.Response:
        rows = await self.context.store.agreements(after=after_of(request), limit=limit_of(request))
        return page(request, rows, lambda row: f"{row.created_at}:{row.id}", await self._shown(rows))

    async def _agreement(self, request: web.Request) -> web.Response:
        return json_answer((await self._shown([await self._found(request)]))[0])

    async def _signatures(self, request: web.Request) -> web.Response:
        row = await self._found(request)
        signed = await SignatureStore(self.context.store.engine).signature(row.id, row.counterparty, row.role)
        return json_answer(signatures_answer(row, signed, self.context.participant_id))

    async def _meters(self, request: web.Request) -> web.Response:
        row = await self._found(request)
        if row.role != Role.PROVIDER.value:
            raise Conflict("meters-elsewhere", "the provider counts what is used; see the receipts and the statement")
        asked = f"agreement={quote(row.id, safe='')}&counterparty={quote(row.counterparty, safe='')}"
        return json_answer(await self.context.seals.ask("GET", f"/carnet/meters?{asked}", None))

    async def _found(self, request: web.Request) -> Agreement:
        whose = request.query.get("counterparty")
        found = await self.context.store.agreements_by_id(request.match_info["id"])
        meant = [row for row in found if whose in (None, row.counterparty)]
        if not meant:
            raise NotFound("agreement-unknown", "there is no such agreement")
        return meant[0]

    async def _shown(self, rows: Sequence[Agreement]) -> list[AgreementAnswer]:
        signed = await SignatureStore(self.context.store.engine).signatures([row.id for row in rows])
        known = {(each.counterparty, each.role, each.agreement): each for each in signed}
        return [agreement_answer(row, known.get((row.counterparty, row.role, row.id))) for row in rows]
