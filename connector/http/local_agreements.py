"""The owner's channel, agreements: ``/carnet/v1/agreements``, each with its exact document and how it is signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson
from aiohttp import web

from connector.flow.context import Context
from connector.flow.signatures import dispute_of, document_of
from connector.http.bodies import json_answer
from connector.identity.jades import opened_compact
from connector.protocol.errors import CallerError, NotFound
from connector.protocol.messages import Document
from connector.store.rows import Agreement
from connector.store.signatures import AgreementSignature, SignatureStore

BASE: Final = "/carnet/v1"
PAGE: Final = 100
_ALONE: Final = "weaker evidence: our own signature, and the messages of the other side as they came"
_SENTENCES: Final = {
    "": "signed by neither (weaker evidence: the messages of the other side as they came)",
    "countersigned": "signed by both",
    "signed": f"signed by us alone, theirs has not come yet ({_ALONE})",
    "own-only": f"signed by us alone, the other side signs no agreements ({_ALONE})",
    "unverified": f"signed by us alone, their signature came and cannot be verified yet ({_ALONE})",
    "disputed": f"signed by us alone, the other side has signed other words ({_ALONE})",
}


@dataclass(frozen=True, slots=True)
class LocalAgreements:
    """Handlers for who wants to see what was agreed, and who has signed it."""

    context: Context

    def routes(self) -> list[web.RouteDef]:
        """All of them, to be added to the owner's channel."""
        return [
            web.get(f"{BASE}/agreements", self._agreements),
            web.get(f"{BASE}/agreements/{{id}}", self._agreement),
            web.get(f"{BASE}/agreements/{{id}}/signatures", self._signatures),
        ]

    async def _agreements(self, request: web.Request) -> web.Response:
        rows = await self.context.store.agreements(after=_after(request), limit=PAGE)
        return json_answer(await self._shown(rows))

    async def _agreement(self, request: web.Request) -> web.Response:
        return json_answer((await self._shown([await self._found(request)]))[0])

    async def _signatures(self, request: web.Request) -> web.Response:
        """With ``counterparty``: whose, where two have agreements of the same id."""
        row = await self._found(request)
        signed = await SignatureStore(self.context.store.engine).signature(row.id, row.counterparty, row.role)
        return json_answer(signatures_shown(row, signed, self.context.participant_id))

    async def _found(self, request: web.Request) -> Agreement:
        whose = request.query.get("counterparty")
        found = await self.context.store.agreements_by_id(request.match_info["id"])
        meant = [row for row in found if whose in (None, row.counterparty)]
        if not meant:
            raise NotFound("agreement-unknown", "there is no such agreement")
        return meant[0]

    async def _shown(self, rows: Sequence[Agreement]) -> list[Document]:
        signed = await SignatureStore(self.context.store.engine).signatures([row.id for row in rows])
        known = {(each.counterparty, each.role, each.agreement): each for each in signed}
        return [agreement_shown(row, known.get((row.counterparty, row.role, row.id))) for row in rows]


def agreement_shown(row: Agreement, signed: AgreementSignature | None) -> Document:
    """An agreement with its exact document, and how it is signed."""
    return {
        "id": row.id,
        "counterparty": row.counterparty,
        "role": row.role,
        "negotiation": row.negotiation_id,
        "dataset": row.dataset,
        "state": row.state,
        "createdAt": row.created_at,
        "document": orjson.loads(row.document),
        "canonical": row.document,
        "signed": signed_shown(signed),
    }


def signed_shown(signed: AgreementSignature | None) -> Document:
    """Who has signed, and in one sentence what that is worth."""
    state = signed.state if signed is not None and signed.own else ""
    by = "both" if state == "countersigned" else "us" if state else "neither"
    return {"by": by, "state": state or None, "sentence": _SENTENCES[state]}


def signatures_shown(row: Agreement, signed: AgreementSignature | None, us: str) -> Document:
    """The signed document, each signature in words, and what is disputed, if anything is."""
    document = {} if signed is None else document_of(signed)
    dispute = {} if signed is None else dispute_of(signed)
    ours = [] if signed is None or not signed.own else [_signature(us, signed.own, signed.own_thumbprint)]
    both = signed is not None and signed.state == "countersigned"
    theirs = [_signature(row.counterparty, signed.theirs, signed.their_thumbprint)] if signed is not None and both else []
    return {
        "agreement": row.id,
        "counterparty": row.counterparty,
        "role": row.role,
        "signed": signed_shown(signed),
        "signatures": [*ours, *theirs],
        "jws": document or None,
        "disputed": dispute or None,
        "refused": (signed and signed.refused) or None,
    }


def _signature(who: str, raw: str, thumbprint: str) -> Document:
    claim = opened_compact(raw).claims[0]
    moment = datetime.fromtimestamp(claim.signed_at_s, UTC).isoformat().replace("+00:00", "Z")
    return {"participant": who, "kid": claim.kid, "signedAt": moment, "keyThumbprint": thumbprint}


def _after(request: web.Request) -> tuple[int, str]:
    created, _, last = request.query.get("after", "0:").partition(":")
    if not (created.isascii() and created.isdigit() and len(created) < 18):
        raise CallerError("after-invalid", "after is 'createdAt:id' of the last one seen")
    return int(created), last
