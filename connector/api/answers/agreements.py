"""Answers about agreements: the exact document, who has signed it, and what that is worth."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
import orjson

from connector.flow.signatures import dispute_of, document_of
from connector.identity.jades import opened_compact
from connector.protocol.messages import Document
from connector.store.rows import Agreement
from connector.store.signatures import AgreementSignature

_ALONE: Final = "weaker evidence: our own signature, and the messages of the other side as they came"
_SENTENCES: Final = {
    "": "signed by neither (weaker evidence: the messages of the other side as they came)",
    "countersigned": "signed by both",
    "signed": f"signed by us alone, theirs has not come yet ({_ALONE})",
    "own-only": f"signed by us alone, the other side signs no agreements ({_ALONE})",
    "unverified": f"signed by us alone, their signature came and cannot be verified yet ({_ALONE})",
    "disputed": f"signed by us alone, the other side has signed other words ({_ALONE})",
}


class SignedAnswer(msgspec.Struct, frozen=True):
    """Who has signed, and in one sentence what that is worth."""

    by: Literal["both", "us", "neither"]
    state: str | None
    sentence: str


class AgreementAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An agreement with its exact document (``canonical``: RFC 8785), and how it is signed. ``state``: pending, binding, void or
    held; ``negotiation`` is the process that brought it."""

    id: str
    counterparty: str
    role: str
    negotiation: str
    dataset: str
    state: str
    created_at: int = msgspec.field(name="createdAt")
    document: Document
    canonical: str
    signed: SignedAnswer


class SignatureAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One signature in words. ``signedAt`` is RFC 3339, ``keyThumbprint`` RFC 7638."""

    participant: str
    kid: str | None
    signed_at: str
    key_thumbprint: str


class SignaturesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The signed document (``jws``, general JSON serialisation), each signature in words, and what is disputed or was refused."""

    agreement: str
    counterparty: str
    role: str
    signed: SignedAnswer
    signatures: list[SignatureAnswer]
    jws: Document | None
    disputed: Document | None
    refused: str | None


def agreement_answer(row: Agreement, signed: AgreementSignature | None) -> AgreementAnswer:
    """An agreement as its owner sees it."""
    return AgreementAnswer(
        id=row.id,
        counterparty=row.counterparty,
        role=row.role,
        negotiation=row.negotiation_id,
        dataset=row.dataset,
        state=row.state,
        created_at=row.created_at,
        document=orjson.loads(row.document),
        canonical=row.document,
        signed=signed_answer(signed),
    )


def signed_answer(signed: AgreementSignature | None) -> SignedAnswer:
    """Who has signed."""
    state = signed.state if signed is not None and signed.own else ""
    by: Any = "both" if state == "countersigned" else "us" if state else "neither"
    return SignedAnswer(by, state or None, _SENTENCES[state])


def signatures_answer(row: Agreement, signed: AgreementSignature | None, us: str) -> SignaturesAnswer:
    """Each signature of an agreement. ``us``: our participant id."""
    document = {} if signed is None else document_of(signed)
    dispute = {} if signed is None else dispute_of(signed)
    ours = [] if signed is None or not signed.own else [_signature(us, signed.own, signed.own_thumbprint)]
    both = signed is not None and signed.state == "countersigned"
    theirs = [_signature(row.counterparty, signed.theirs, signed.their_thumbprint)] if signed is not None and both else []
    return SignaturesAnswer(
        agreement=row.id,
        counterparty=row.counterparty,
        role=row.role,
        signed=signed_answer(signed),
        signatures=[*ours, *theirs],
        jws=document or None,
        disputed=dispute or None,
        refused=(signed and signed.refused) or None,
    )


def _signature(who: str, raw: str, thumbprint: str) -> SignatureAnswer:
    claim = opened_compact(raw).claims[0]
    moment = datetime.fromtimestamp(claim.signed_at_s, UTC).isoformat().replace("+00:00", "Z")
    return SignatureAnswer(participant=who, kid=claim.kid, signed_at=moment, key_thumbprint=thumbprint)
