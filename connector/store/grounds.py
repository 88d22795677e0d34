"""Who holds what: the register of the ground that agreements cover, and how often each was used. Its SQL stands here alone.

Of two agreements that are made at once, one may forbid the other. So each takes along the version of its dataset's register
as it was read: an exclusive one moves it on, the others only hold it, so that none of them loses against another. Their number is
counted again in the transaction of an exclusive one, after the row is locked: PostgreSQL sees there what was committed by then.
"""

from __future__ import annotations

from typing import Any, Final, cast

from connector.store.engine import Engine, Statement
from connector.store.rows import Agreement, Grounds

# What is wanted of the version: the row may not be there yet, which is version 0.
_HOLD: Final = (
    "INSERT INTO ledger (name, version) VALUES (?, 0) ON CONFLICT (name) DO UPDATE SET version = ledger.version "
    "WHERE ledger.version = ?"
)
_MOVE: Final = (
    "INSERT INTO ledger (name, version) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET version = ledger.version + 1 "
    "WHERE ledger.version = ?"
)


def _register(dataset: str) -> str:
    return f"exclusivity:{dataset}"


def _meter(counterparty: str, agreement_id: str) -> str:
    return f"transfers:{counterparty}:{agreement_id}"


async def read_grounds(engine: Engine, dataset: str, *, exclusive: bool) -> Grounds:
    """The register of ``dataset`` with all its agreements if ``exclusive``, else with those that are exclusive themselves."""
    rows: list[Any] = await engine.fetch(
        "SELECT version, '' FROM ledger WHERE name = ? UNION ALL SELECT -1, bounds FROM exclusivity WHERE dataset = ? "
        "AND exclusive >= ?",
        (_register(dataset), dataset, 0 if exclusive else 1),
        limit=1_000_000,
    )
    held = tuple(text for version, text in rows if version < 0)
    return Grounds(max((version for version, _ in rows if version >= 0), default=0), len(held), held)


def keep_ground(agreement: Agreement, *, exclusive: bool, version: int, held: int) -> list[Statement]:
    """Enter an agreement of ours as provider. Loses the race if the register is not as it was read."""
    name = _register(agreement.dataset)
    guards = [Statement(_MOVE if exclusive else _HOLD, (name, version))]
    if exclusive:
        counted = (
            "UPDATE ledger SET version = version WHERE name = ? AND (SELECT count(*) FROM exclusivity WHERE dataset = ?) = ?"
        )
        guards.append(Statement(counted, (name, agreement.dataset, held)))
    entered = Statement(
        "INSERT INTO exclusivity (agreement_id, counterparty, dataset, exclusive, bounds, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (agreement.id, agreement.counterparty, agreement.dataset, int(exclusive), agreement.document, agreement.created_at),
    )
    return [*guards, entered]


def leave_ground(counterparty: str, agreement_id: str) -> Statement:
    """The agreement is void: its ground is free again."""
    sql = "DELETE FROM exclusivity WHERE counterparty = ? AND agreement_id = ?"
    return Statement(sql, (counterparty, agreement_id), expect=None)


async def transfers_under(engine: Engine, counterparty: str, agreement_id: str) -> int:
    """How many transfers were requested under an agreement so far."""
    rows = await engine.fetch("SELECT version FROM ledger WHERE name = ?", (_meter(counterparty, agreement_id),))
    return cast("int", rows[0][0]) if rows else 0


def count_transfer(counterparty: str, agreement_id: str, before: int) -> Statement:
    """One more transfer. Loses the race if ``before`` is not their number any more."""
    return Statement(_MOVE, (_meter(counterparty, agreement_id), before))
