"""Receipts, duties and who was greeted, in the control database: reads and guarded writes. The only place with their SQL.

A change of a row is guarded by its version. Imports the engine's seam and the rows of processes only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Literal

from connector.protocol.states import Role
from connector.store.engine import Engine, Statement

ReceiptState = Literal["signed", "sent", "answered", "received", "unverified", "invalid", "countersigned", "disputed"]
"""Consumer: ``signed`` and not sent (the provider takes none, or has not said so), ``sent``, ``answered`` (the answer's signature
is still to be verified). Provider: ``received``, ``unverified`` (the consumer's key could not be found yet), ``invalid`` (signed
by somebody else). Both: ``countersigned``, ``disputed``."""
DutyState = Literal["waiting", "pending", "erasing", "attested", "unverified", "refused", "fulfilled"]
"""``waiting``: for its event. ``pending``: to be fulfilled by its deadline. Consumer: ``erasing``, ``refused`` (the notice is not
the provider's). Provider: ``attested`` and ``unverified``, while the attestation's signature is still to be verified.
``fulfilled``."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt by our own transfer. ``content`` is what the consumer signed, ``signed`` its JWS, ``answer`` the provider's JWS;
    ``findings`` the members in which both differ, as JSON; ``thumbprint`` that of the key of the other side's signature."""

    transfer: str
    id: str
    role: str
    counterparty: str
    agreement: str
    state: ReceiptState
    content: str
    signed: str
    created_at: int
    updated_at: int
    answer: str = ""
    findings: str = "[]"
    thumbprint: str = ""
    tries: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to be erased. ``digest`` is that of what was signed in the notice, or of the agreement's term; ``content`` what
    it is about, as JSON: once fulfilled, without pseudonyms and references. ``due_at`` is None while it waits for an event."""

    counterparty: str
    role: str
    id: str
    kind: Literal["erase", "delete"]
    agreement: str
    state: DutyState
    digest: str
    content: str
    due_at: int | None
    created_at: int
    updated_at: int
    notice: str = ""
    attestation: str = ""
    outcome: str = ""
    thumbprint: str = ""
    tries: int = 0
    told_at: int | None = None
    fulfilled_at: int | None = None
    version: int = 0

    def overdue(self, now_ms: int) -> bool:
        """Whether it is not fulfilled although its deadline is over."""
        return self.fulfilled_at is None and self.state != "refused" and self.due_at is not None and self.due_at < now_ms


_RECEIPT_FIELDS = tuple(field.name for field in fields(Receipt))
_DUTY_FIELDS = tuple(field.name for field in fields(Duty))
_RECEIPT = ", ".join(_RECEIPT_FIELDS)
_DUTY = ", ".join(_DUTY_FIELDS)
_receipt_values = attrgetter(*_RECEIPT_FIELDS)
_duty_values = attrgetter(*_DUTY_FIELDS)


def insert_receipt(receipt: Receipt) -> Statement:
    """A new receipt; a second one of the same transfer loses the race."""
    slots = ", ".join("?" * len(_RECEIPT_FIELDS))
    return Statement(f"INSERT INTO receipt ({_RECEIPT}) VALUES ({slots})", _receipt_values(receipt))


def update_receipt(receipt: Receipt) -> Statement:
    """The new row, if ``receipt.version`` is still the stored one; the stored version is then one more."""
    return Statement(
        "UPDATE receipt SET id = ?, state = ?, content = ?, signed = ?, answer = ?, findings = ?, thumbprint = ?, tries = ?, "
        "updated_at = ?, version = version + 1 WHERE transfer = ? AND version = ?",
        (
            receipt.id,
            receipt.state,
            receipt.content,
            receipt.signed,
            receipt.answer,
            receipt.findings,
            receipt.thumbprint,
            receipt.tries,
            receipt.updated_at,
            receipt.transfer,
            receipt.version,
        ),
    )


def insert_duty(duty: Duty) -> Statement:
    """A new duty; a second one of the same counterparty, role and id loses the race."""
    slots = ", ".join("?" * len(_DUTY_FIELDS))
    return Statement(f"INSERT INTO duty ({_DUTY}) VALUES ({slots})", _duty_values(duty))


def keep_duty(duty: Duty) -> Statement:
    """As ``insert_duty``, and nothing where it is there already."""
    slots = ", ".join("?" * len(_DUTY_FIELDS))
    sql = f"INSERT INTO duty ({_DUTY}) VALUES ({slots}) ON CONFLICT (counterparty, role, id) DO NOTHING"
    return Statement(sql, _duty_values(duty), expect=None)


def update_duty(duty: Duty) -> Statement:
    """The new row, if ``duty.version`` is still the stored one; the stored version is then one more."""
    return Statement(
        "UPDATE duty SET state = ?, content = ?, notice = ?, attestation = ?, outcome = ?, thumbprint = ?, tries = ?, "
        "due_at = ?, told_at = ?, fulfilled_at = ?, updated_at = ?, version = version + 1 "
        "WHERE counterparty = ? AND role = ? AND id = ? AND version = ?",
        (
            duty.state,
            duty.content,
            duty.notice,
            duty.attestation,
            duty.outcome,
            duty.thumbprint,
            duty.tries,
            duty.due_at,
            duty.told_at,
            duty.fulfilled_at,
            duty.updated_at,
            duty.counterparty,
            duty.role,
            duty.id,
            duty.version,
        ),
    )


def greet(counterparty: str, now_ms: int) -> Statement:
    """We greet a peer of our own accord; whoever does it a second time loses the race."""
    return Statement("INSERT INTO greeted (counterparty, at) VALUES (?, ?)", (counterparty, now_ms))


class EvidenceStore:
    """Typed reads over either engine. Raises StoreUnavailable where the engine does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def receipt(self, transfer: str) -> Receipt | None:
        """The receipt of a transfer of ours."""
        rows = await self.engine.fetch(f"SELECT {_RECEIPT} FROM receipt WHERE transfer = ?", (transfer,))
        return Receipt(*_any(rows[0])) if rows else None

    async def receipts(
        self, *, after: tuple[int, str] = (0, ""), limit: int = 100, agreement: str = "", counterparty: str = ""
    ) -> list[Receipt]:
        """A page of receipts in order of their making, of all or of one agreement or counterparty."""
        rows = await self.engine.fetch(
            f"SELECT {_RECEIPT} FROM receipt WHERE (created_at, transfer) > (?, ?) AND (? = '' OR agreement = ?) "
            "AND (? = '' OR counterparty = ?) ORDER BY created_at, transfer LIMIT ?",
            (*after, agreement, agreement, counterparty, counterparty, limit),
        )
        return [Receipt(*_any(row)) for row in rows]

    async def receipts_in(self, counterparty: str, state: ReceiptState, limit: int = 100) -> list[Receipt]:
        """The oldest receipts with a counterparty that are in a state."""
        rows = await self.engine.fetch(
            f"SELECT {_RECEIPT} FROM receipt WHERE counterparty = ? AND state = ? ORDER BY created_at, transfer LIMIT ?",
            (counterparty, state, limit),
        )
        return [Receipt(*_any(row)) for row in rows]

    async def duty(self, counterparty: str, role: Role, duty_id: str) -> Duty | None:
        """A duty with a counterparty, by its id."""
        rows = await self.engine.fetch(
            f"SELECT {_DUTY} FROM duty WHERE counterparty = ? AND role = ? AND id = ?", (counterparty, role.value, duty_id)
        )
        return Duty(*_any(rows[0])) if rows else None

    async def duties(
        self, *, after: tuple[int, str] = (0, ""), limit: int = 100, overdue_at: int | None = None, agreement: str = ""
    ) -> list[Duty]:
        """A page of duties in order of their making; with ``overdue_at`` only those that are overdue then."""
        late = overdue_at is not None
        rows = await self.engine.fetch(
            f"SELECT {_DUTY} FROM duty WHERE (created_at, id) > (?, ?) AND (? = '' OR agreement = ?) AND (? = 0 OR "
            "(fulfilled_at IS NULL AND state <> 'refused' AND due_at IS NOT NULL AND due_at < ?)) "
            "ORDER BY created_at, id LIMIT ?",
            (*after, agreement, agreement, int(late), overdue_at or 0, limit),
        )
        return [Duty(*_any(row)) for row in rows]

    async def untold(self, counterparty: str, limit: int = 100) -> list[Duty]:
        """The oldest notices for a counterparty that were not queued yet."""
        rows = await self.engine.fetch(
            f"SELECT {_DUTY} FROM duty WHERE counterparty = ? AND role = 'provider' AND kind = 'erase' AND told_at IS NULL "
            "AND fulfilled_at IS NULL ORDER BY created_at, id LIMIT ?",
            (counterparty, limit),
        )
        return [Duty(*_any(row)) for row in rows]

    async def unattested(self, counterparty: str, limit: int = 100) -> list[Duty]:
        """The oldest duties that we have fulfilled towards a counterparty and whose attestation was not queued yet."""
        rows = await self.engine.fetch(
            f"SELECT {_DUTY} FROM duty WHERE counterparty = ? AND role = 'consumer' AND fulfilled_at IS NOT NULL "
            "AND told_at IS NULL ORDER BY created_at, id LIMIT ?",
            (counterparty, limit),
        )
        return [Duty(*_any(row)) for row in rows]

    async def transfers_under(self, agreement: str, counterparty: str, role: Role, limit: int = 10_000) -> list[str]:
        """Our ids of the transfers under an agreement, the oldest first."""
        rows = await self.engine.fetch(
            "SELECT id FROM process WHERE subject = ? AND kind = 'transfer' AND counterparty = ? AND role = ? "
            "ORDER BY created_at, id LIMIT ?",
            (agreement, counterparty, role.value, limit),
        )
        return [str(row[0]) for row in rows]

    async def running_under(self, agreement: str, counterparty: str, limit: int = 1000) -> list[str]:
        """Our ids of the transfers under an agreement in which we provide and that are not over."""
        rows = await self.engine.fetch(
            "SELECT id FROM process WHERE subject = ? AND kind = 'transfer' AND counterparty = ? AND role = 'provider' "
            "AND state NOT IN ('COMPLETED', 'TERMINATED') ORDER BY created_at, id LIMIT ?",
            (agreement, counterparty, limit),
        )
        return [str(row[0]) for row in rows]

    async def greeted(self, counterparty: str) -> bool:
        """Whether we have greeted a peer of our own accord."""
        return bool(await self.engine.fetch("SELECT 1 FROM greeted WHERE counterparty = ?", (counterparty,)))


def _any(row: Any) -> Any:
    return row
