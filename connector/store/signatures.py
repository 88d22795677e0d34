"""Signatures of agreements in the control database: reads and guarded writes. The only place with their SQL.

A change of a row is guarded by its version. Imports the engine's seam only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Literal

from connector.store.engine import Engine, Statement
from connector.store.rows import Timer

SignatureState = Literal["signed", "own-only", "unverified", "countersigned", "disputed"]
"""``signed``: by us; theirs may come. ``own-only``: by us; the counterparty has said that it signs none. ``unverified``: theirs
came, and is still to be verified. ``countersigned``: by both, of the same bytes. ``disputed``: theirs holds, and is of other
words."""


@dataclass(frozen=True, slots=True)
class AgreementSignature:
    """How an agreement is signed. ``role`` is ours; ``own`` and ``theirs`` are compact JWS of the agreement's canonical bytes, or
    empty, each with its key's thumbprint; ``digest`` is the SHA-256 of these bytes."""

    agreement: str
    counterparty: str
    role: str
    negotiation: str
    digest: str
    state: SignatureState
    created_at: int
    updated_at: int
    own: str = ""
    own_thumbprint: str = ""
    theirs: str = ""
    their_thumbprint: str = ""
    disputed: str = ""
    refused: str = ""
    tries: int = 0
    told_at: int | None = None
    version: int = 0


_FIELDS = tuple(field.name for field in fields(AgreementSignature))
_ROW = ", ".join(_FIELDS)
_values = attrgetter(*_FIELDS)
_CHANGED = (
    "state",
    "own",
    "own_thumbprint",
    "theirs",
    "their_thumbprint",
    "disputed",
    "refused",
    "tries",
    "told_at",
    "updated_at",
)
_changed = attrgetter(*_CHANGED, "counterparty", "role", "agreement", "version")


def insert_signature(row: AgreementSignature) -> Statement:
    """A new row; a second one of the same agreement loses the race."""
    return Statement(f"INSERT INTO signature ({_ROW}) VALUES ({', '.join('?' * len(_FIELDS))})", _values(row))


def update_signature(row: AgreementSignature) -> Statement:
    """The new row, if ``row.version`` is still the stored one; the stored version is then one more."""
    given = ", ".join(f"{name} = ?" for name in _CHANGED)
    which = "counterparty = ? AND role = ? AND agreement = ? AND version = ?"
    return Statement(f"UPDATE signature SET {given}, version = version + 1 WHERE {which}", _changed(row))


def wake(timer: Timer) -> Statement:
    """The one timer of this id is due then, or earlier if it was."""
    return Statement(
        "INSERT INTO timer (id, kind, process_id, due_at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "due_at = CASE WHEN excluded.due_at < timer.due_at THEN excluded.due_at ELSE timer.due_at END",
        (timer.id, timer.kind, timer.process_id, timer.due_at),
    )


class SignatureStore:
    """Typed reads over either engine. Raises StoreUnavailable where the engine does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def signature(self, agreement: str, counterparty: str, role: str) -> AgreementSignature | None:
        """How the agreement of this id between us in this role and the counterparty is signed."""
        rows = await self.engine.fetch(
            f"SELECT {_ROW} FROM signature WHERE counterparty = ? AND role = ? AND agreement = ?",
            (counterparty, role, agreement),
        )
        return AgreementSignature(*_any(rows[0])) if rows else None

    async def signatures(self, agreements: Sequence[str]) -> list[AgreementSignature]:
        """How the agreements of these ids are signed, at most a page of them."""
        if not agreements:
            return []
        slots = ", ".join("?" * len(agreements))
        rows = await self.engine.fetch(f"SELECT {_ROW} FROM signature WHERE agreement IN ({slots})", tuple(agreements))
        return [AgreementSignature(*_any(row)) for row in rows]

    async def untold(self, counterparty: str, states: Sequence[SignatureState], limit: int) -> list[AgreementSignature]:
        """The oldest signatures of ours in one of these states that were never sent to a counterparty."""
        slots = ", ".join("?" * len(states))
        rows = await self.engine.fetch(
            f"SELECT {_ROW} FROM signature WHERE counterparty = ? AND told_at IS NULL AND own <> '' AND state IN ({slots}) "
            "ORDER BY created_at, agreement LIMIT ?",
            (counterparty, *states, limit),
        )
        return [AgreementSignature(*_any(row)) for row in rows]


def _any(row: Any) -> Any:
    return row
