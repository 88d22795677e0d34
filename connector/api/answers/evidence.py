"""Answers about what is proved, used and owed: receipts, meters, statements and duties.

No pseudonym or reference leaves here: of an open duty only their numbers are shown.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import orjson

from connector.protocol.messages import Document
from connector.store.evidence import Duty, Receipt


class ReceiptAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A receipt: what was signed, by whom, and where both sides differ. ``id`` is our transfer, ``signed`` the consumer's JWS,
    ``answer`` the provider's, ``keyThumbprint`` that of the key of the other side's signature."""

    id: str
    receipt: str
    role: str
    counterparty: str
    agreement: str
    state: str
    content: Document
    differences: list[Any]
    signed: str
    answer: str | None
    key_thumbprint: str | None
    created_at: int
    updated_at: int


class DutyAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that has to be erased. ``state`` is ``overdue`` where its deadline is over, else as ``stage``. ``pseudonyms``,
    ``references`` and ``trips`` are numbers of them; ``transfers`` are those that it is about."""

    id: str
    role: str
    counterparty: str
    kind: Literal["erase", "delete"]
    agreement: str
    state: str
    stage: str
    happened_at: int | None
    due_at: int | None
    told_at: int | None
    fulfilled_at: int | None
    late: bool
    transfers: list[str]
    pseudonyms: int
    references: int
    trips: int
    outcome: Any
    attestation: str | None
    key_thumbprint: str | None
    created_at: int


class ReceiptMarks(msgspec.Struct, frozen=True):
    """How many deliveries have a receipt that stands so."""

    countersigned: int
    disputed: int
    unverified: int
    missing: int


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one price of the contract comes to in an interval (RFC 3339, half-open). Amounts are decimal texts; ``bound`` says
    that there is a limit to it. ``settled``: every delivery of the interval has a receipt that both signed."""

    path: str
    begin: str = msgspec.field(name="from")
    to: str
    unit: str
    quantity: str
    price: str | None
    amount: str | None
    currency: str | None
    bound: Any
    basis: Any
    note: str | None
    receipts: ReceiptMarks
    settled: bool


class UnsettledDelivery(msgspec.Struct, frozen=True):
    """A delivery that not both have signed for."""

    transfer: str
    receipt: str


class StatementAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is owed under an agreement so far: lines, totals by currency, and deliveries whose amount may be disputed."""

    agreement: str
    counterparty: str
    role: str
    at: str
    lines: list[StatementLine]
    totals: dict[str, str]
    deliveries: int
    unsettled: list[UnsettledDelivery]


class MeteredPeriod(msgspec.Struct, frozen=True, rename="camel"):
    """What was used in a period: ``all``, a month or a day (UTC). ``vehicles``: distinct ones."""

    period: str
    calls: int
    rows: int
    bytes: int
    vehicles: int
    last_at: int | None


class MetersAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What an agreement has used, as our data plane has counted it, and each delivery whose first byte has left."""

    agreement_id: str
    counterparty: str
    periods: list[MeteredPeriod] = []
    deliveries: list[Document] = []


def receipt_answer(row: Receipt) -> ReceiptAnswer:
    """A receipt as its owner sees it."""
    return ReceiptAnswer(
        id=row.transfer,
        receipt=row.id,
        role=row.role,
        counterparty=row.counterparty,
        agreement=row.agreement,
        state=row.state,
        content=orjson.loads(row.content),
        differences=orjson.loads(row.findings),
        signed=row.signed,
        answer=row.answer or None,
        key_thumbprint=row.thumbprint or None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def duty_answer(row: Duty, now_ms: int) -> DutyAnswer:
    """A duty as its owner sees it at ``now_ms``."""
    content = orjson.loads(row.content)
    return DutyAnswer(
        id=row.id,
        role=row.role,
        counterparty=row.counterparty,
        kind=row.kind,
        agreement=row.agreement,
        state="overdue" if row.overdue(now_ms) else row.state,
        stage=row.state,
        happened_at=content.get("happenedAt"),
        due_at=row.due_at,
        told_at=row.told_at,
        fulfilled_at=row.fulfilled_at,
        late=row.fulfilled_at is not None and row.due_at is not None and row.fulfilled_at > row.due_at,
        transfers=content.get("transfers", []),
        pseudonyms=_number(content.get("pseudonyms")),
        references=_number(content.get("references")),
        trips=_number(content.get("trips")),
        outcome=orjson.loads(row.outcome) if row.outcome else None,
        attestation=row.attestation or None,
        key_thumbprint=row.thumbprint or None,
        created_at=row.created_at,
    )


def _number(value: object) -> int:
    return len(value) if isinstance(value, list) else value if isinstance(value, int) else 0
