"""All SQL about meters: what agreements have used, and what each transfer was metered with. May import the engine seam only.

A reading's version counts its changes: a write goes through only if nobody wrote since it was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connector.store.engine import Engine, Row, Statement

MAX_READINGS: Final = 100_000
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was used in a period: ``all``, a UTC day (2026-07-01) or a UTC month (2026-07). ``last_at``: ms since the epoch."""

    period: str
    calls: int = 0
    rows: int = 0
    bytes: int = 0
    last_at: int | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one transfer was metered with. ``permission``: the index of the one whose limits held."""

    flow_id: str
    agreement_id: str
    counterparty: str
    permission: int | None
    day: str
    rows: int
    bytes: int
    vehicles: int
    at: int


_READING = "period, calls, row_count, byte_count, last_at, version"
_RESERVATION = "flow_id, agreement_id, counterparty, permission, day, row_count, byte_count, vehicles, at"


class Readings:
    """Reads over one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def of(self, agreement_id: str, counterparty: str, *periods: str) -> list[Reading]:
        """The readings of these periods, in order; those of a period without use are zero."""
        found = {reading.period: reading for reading in await self.all(agreement_id, counterparty)}
        return [found.get(period, Reading(period)) for period in periods]

    async def all(self, agreement_id: str, counterparty: str) -> list[Reading]:
        """Every period with use."""
        rows = await self.engine.fetch(
            f"SELECT {_READING} FROM meter WHERE agreement_id = ? AND counterparty = ? ORDER BY period",  # noqa: S608 - constant columns
            (agreement_id, counterparty),
            limit=MAX_READINGS,
        )
        return [_reading(row) for row in rows]

    async def reservation(self, flow_id: str) -> Reservation | None:
        """What a transfer was metered with, if its bytes may leave already."""
        rows = await self.engine.fetch(f"SELECT {_RESERVATION} FROM reservation WHERE flow_id = ?", (flow_id,), limit=1)  # noqa: S608 - constant columns
        return _reservation(rows[0]) if rows else None


def _reading(row: Row) -> Reading:
    return Reading(str(row[0]), *(int(value or 0) for value in row[1:]))


def _reservation(row: Row) -> Reservation:
    return Reservation(
        str(row[0]),
        str(row[1]),
        str(row[2]),
        None if row[3] is None else int(row[3]),
        str(row[4]),
        *(int(value or 0) for value in row[5:]),
    )


def put_reading(agreement_id: str, counterparty: str, after: Reading) -> Statement:
    """Writes a reading over the version before it."""
    if after.version == 1:
        return Statement(
            f"INSERT INTO meter (agreement_id, counterparty, {_READING}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constant columns
            (agreement_id, counterparty, after.period, after.calls, after.rows, after.bytes, after.last_at or 0, after.version),
        )
    return Statement(
        "UPDATE meter SET calls = ?, row_count = ?, byte_count = ?, last_at = ?, version = ?"
        " WHERE agreement_id = ? AND counterparty = ? AND period = ? AND version = ?",
        (
            after.calls,
            after.rows,
            after.bytes,
            after.last_at or 0,
            after.version,
            agreement_id,
            counterparty,
            after.period,
            after.version - 1,
        ),
    )


def put_reservation(reservation: Reservation, before: Reservation | None) -> Statement:
    """One for each transfer; an artifact that was made anew changes what it was metered with."""
    if before is None:
        return Statement(
            f"INSERT INTO reservation ({_RESERVATION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constant columns
            (
                reservation.flow_id,
                reservation.agreement_id,
                reservation.counterparty,
                reservation.permission,
                reservation.day,
                reservation.rows,
                reservation.bytes,
                reservation.vehicles,
                reservation.at,
            ),
        )
    return Statement(
        "UPDATE reservation SET row_count = ?, byte_count = ?, vehicles = ?"
        " WHERE flow_id = ? AND row_count = ? AND byte_count = ?",
        (reservation.rows, reservation.bytes, reservation.vehicles, reservation.flow_id, before.rows, before.bytes),
    )


def while_started(flow_id: str) -> Statement:
    """A guard: nothing is metered for a transfer that does not run."""
    return Statement("UPDATE flow SET id = id WHERE id = ? AND state = 'STARTED'", (flow_id,))


def while_ledger(flow_id: str, number: int) -> Statement:
    """A guard: nobody has decided anything since the ledger was read at a number."""
    return Statement(
        "UPDATE flow SET id = id WHERE id = ? AND ? = (SELECT COALESCE(MAX(number), 0) FROM consent_commit)", (flow_id, number)
    )
