"""What an agreement's meters allow, and what they read after a delivery. No I/O.

``count``, ``rows`` and ``bytes`` are totals of the agreement; a delivery counts itself, so that what is used up refuses the next
one. ``timeInterval`` says how far apart two deliveries are. Permissions may differ by their limits (tiers): the first whose
limits all hold for the new totals is the one that a delivery goes under. ``requestsPerVehicleDay`` leaves vehicles out while the
file is made (``per_vehicle_day``) and so refuses nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from connector.dataplane.readings import ALL, Reading, Reservation
from policies.delivery import Delivery, Item
from policies.model import Lit, Operator
from policies.terms.metering import BYTES, COUNT, REQUESTS_PER_VEHICLE_DAY, ROWS
from policies.terms.time import TIME_INTERVAL
from policies.terms.values import duration, in_order, number

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Size:
    """What is about to leave."""

    rows: int
    bytes: int
    vehicles: int


class LimitReached(Exception):
    """``term`` (IRI) allows no other delivery now. ``limit`` as the agreement says it; ``renewed_ms``: when it will, or None."""

    def __init__(self, term: str, limit: str, renewed_ms: int | None) -> None:
        when = "not under this agreement" if renewed_ms is None else _iso(renewed_ms)
        super().__init__(f"the limit of the agreement is reached: {_local(term)} {limit}; renewed: {when}")
        self.term = term
        self.limit = limit
        self.renewed_ms = renewed_ms


def periods(now_ms: int) -> tuple[str, str, str]:
    """The periods that a delivery of now is counted in: all, the month and the day, by UTC."""
    day = day_of(now_ms)
    return ALL, day[:7], day


def day_of(now_ms: int) -> str:
    """The UTC day of a moment."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d")


def next_day_ms(now_ms: int) -> int:
    """When the next UTC day begins."""
    return (now_ms // DAY_MS + 1) * DAY_MS


def per_vehicle_day(terms: Delivery) -> int | None:
    """How often each vehicle may be in a delivery of a UTC day; None: as often as it likes."""
    found = [_most(item) for item in terms.meters if item.term == REQUESTS_PER_VEHICLE_DAY]
    return min(found, default=None)


def _most(item: Item) -> int:
    """The highest whole number that a limit lets through; 0 where it says something else."""
    limit = number(item.values[0]) if item.values else None
    if limit is None or item.operator not in (Operator.LT, Operator.LTEQ, Operator.EQ):
        return 0
    return max(0, int(limit) - (item.operator is Operator.LT))


def admit(terms: Delivery, permissions: Iterable[int], used: Reading, size: Size, before: Reservation | None, now_ms: int) -> int:
    """The permission (index) under which a delivery of ``size`` may leave now. Raises LimitReached.

    ``used``: of all periods; ``before``: what this transfer was metered with already, so that only what exceeds it counts.
    """
    refused: list[LimitReached] = []
    for index in permissions:
        found = _exceeded(terms.under((index,)), used, size, before, now_ms)
        if found is None:
            return index
        refused.append(found)
    if not refused:
        raise LimitReached("", "no permission holds", None)
    raise max(refused, key=_reach)


def _reach(found: LimitReached) -> tuple[bool, Decimal]:
    """Of several tiers the last one is named."""
    words = found.limit.split(" ")
    limit = number(Lit(words[-1])) if words[0] in (Operator.LT.value, Operator.LTEQ.value) else None
    return found.renewed_ms is not None, limit or Decimal(-1)


def _exceeded(terms: Delivery, used: Reading, size: Size, before: Reservation | None, now_ms: int) -> LimitReached | None:
    after = add(used, size, before, now_ms)
    totals = {COUNT: after.calls, ROWS: after.rows, BYTES: after.bytes}
    for item in terms.meters:
        if item.term in totals and not (item.term == COUNT and before is not None):
            limit = number(item.values[0]) if item.values else None
            if limit is None or item.operator is None or not in_order(Decimal(totals[item.term]), item.operator, limit):
                return LimitReached(item.term, _said(item), None)
        elif item.term == TIME_INTERVAL and before is None and used.last_at is not None:
            renewed = _renewed(item, used.last_at, now_ms)
            if renewed is not None:
                return LimitReached(item.term, _said(item), renewed)
    return None


def _renewed(item: Item, last_ms: int, now_ms: int) -> int | None:
    """When an interval that is not over yet will be; None where it is. ``eq`` means once in each interval."""
    span = duration(item.values[0]) if item.values else None
    if span is None or item.operator is None:
        return last_ms + DAY_MS
    end = span.after(last_ms)
    operator = Operator.GTEQ if item.operator is Operator.EQ else item.operator
    return None if in_order(now_ms, operator, end) else end + (operator is Operator.GT)


def add(used: Reading, size: Size, before: Reservation | None, now_ms: int) -> Reading:
    """A reading after a delivery: a transfer is one call however often its file was made, and counts its largest file."""
    version = used.version + 1
    if before is None:
        return Reading(used.period, used.calls + 1, used.rows + size.rows, used.bytes + size.bytes, now_ms, version)
    more_rows, more_bytes = max(0, size.rows - before.rows), max(0, size.bytes - before.bytes)
    return replace(used, rows=used.rows + more_rows, bytes=used.bytes + more_bytes, version=version)


def _local(iri: str) -> str:
    return iri.replace("#", "/").rpartition("/")[2]


def _said(item: Item) -> str:
    value = item.values[0] if item.values else None
    return f"{item.operator.value if item.operator else ''} {value.text if isinstance(value, Lit) else ''}".strip()


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
