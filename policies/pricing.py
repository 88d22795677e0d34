"""What is owed for what was used: the duties to compensate of a policy, as lines. Nothing is paid here, and nothing is rounded.

A duty says a price (``payAmount``), what is counted (``unitOfCount``), and the interval in which it is counted anew
(``timeInterval``); without one it is counted once for the whole agreement. A permission for a range of requests (``count``) is a
tier: each request, by its number since the agreement was made, is priced by the first permission whose range it falls into, as it
is delivered under the first that carries it. What cannot be priced is a line that says so. Imports the model and the terms.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from types import MappingProxyType
from typing import Final, Literal

from policies.model import CARNET, AnyConstraint, Constraint, Duty, Lit, Logic, Operator, Permission, Policy
from policies.terms.duties import COMPENSATE
from policies.terms.examine import Fault, Understood, understand
from policies.terms.metering import COUNT
from policies.terms.price import CURRENCIES, PAY_AMOUNT, PRICE_BASIS, UNIT_OF_COUNT
from policies.terms.time import TIME_INTERVAL
from policies.terms.values import LAST_MS, amount, duration, name, number
from policies.walk import numbered

VEHICLE: Final = f"{CARNET}Vehicle"
CALL: Final = f"{CARNET}ApiCall"
AGREEMENT: Final = f"{CARNET}Agreement"
ROW: Final = f"{CARNET}Row"
MEGABYTE: Final = f"{CARNET}Megabyte"
FREE: Final = f"{CARNET}Free"
PERIODS_MOST: Final = 10_000
"""Intervals that one statement covers."""

Bound = Literal["exact", "at most", "at least"]
Range = tuple[int, int | None]
"""Requests by number: after the first, up to and with the second; None: without end."""

_PRECISION: Final = 100
_BYTES: Final = Decimal(1_000_000)
_BOUNDS: Final[Mapping[Operator, Bound]] = {Operator.EQ: "exact", Operator.LTEQ: "at most", Operator.GTEQ: "at least"}


@dataclass(frozen=True, slots=True)
class Used:
    """What was used from ``begin_ms`` on, before ``end_ms``: distinct vehicles, requests, rows, bytes."""

    begin_ms: int
    end_ms: int
    vehicles: int = 0
    calls: int = 0
    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Readings:
    """The meters of an agreement. ``whole``: since it was made. ``periods``: by interval (``P1M``), for each that has begun, in
    order; ``intervals`` says which a policy asks for, and ``periods`` when they are."""

    whole: Used
    periods: Mapping[str, Sequence[Used]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: the duty (JSON pointer into the policy), when, how much of what, its price, and the amount that is owed.

    ``unit`` is an IRI; ``currency`` a code of ISO 4217; ``bound``: whether the price is agreed, or only its most or its least.
    ``basis``: IRI of the basis of the price, where one is agreed. ``amount`` is None where it cannot be said; ``note`` says why.
    """

    path: str
    begin_ms: int
    end_ms: int
    unit: str = AGREEMENT
    quantity: Decimal = Decimal(0)
    price: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    bound: Bound = "exact"
    basis: str | None = None
    note: str | None = None


def statement(policy: Policy, readings: Readings, permissions: Collection[int] | None = None) -> tuple[Line, ...]:
    """What is owed. ``permissions``: by index, those under which the data were used; None where it was all of them."""
    taken: list[Range] = []
    lines: list[Line] = []
    tiered = False
    for path, duty, constraints in _owed(policy, permissions):
        price = _price(path, duty)
        ranges = _ranges(constraints)
        if ranges is not None and price.unit == CALL:
            tiered = True
            ranges = [part for one in ranges for part in _without(one, taken)]
            taken += ranges
        lines += _lines(price, ranges, readings)
    if tiered and (beyond := _within(0, readings.whole.calls, _free(taken))):
        said = "these requests are in no tier that has a price"
        whole = readings.whole
        lines.append(
            Line(path="/permission", begin_ms=whole.begin_ms, end_ms=whole.end_ms, unit=CALL, quantity=Decimal(beyond), note=said)
        )
    return tuple(lines)


def totals(lines: Iterable[Line]) -> dict[str, Decimal]:
    """The sum of the agreed amounts by currency; what has only a bound, or no amount, is not in it."""
    sums: dict[str, Decimal] = {}
    with localcontext(prec=_PRECISION):
        for line in lines:
            if line.amount is not None and line.currency is not None and line.bound == "exact":
                sums[line.currency] = sums.get(line.currency, Decimal(0)) + line.amount
    return sums


def intervals(policy: Policy) -> frozenset[str]:
    """The intervals in which something is counted anew: what ``Readings.periods`` has to have."""
    return frozenset(interval for path, duty, _ in _owed(policy, None) if (interval := _price(path, duty).interval) is not None)


def counts(policy: Policy, unit: str) -> bool:
    """Whether something is priced by this unit (IRI)."""
    return any(_price(path, duty).unit == unit for path, duty, _ in _owed(policy, None))


def periods(interval: str, agreed_at_ms: int, until_ms: int) -> tuple[tuple[int, int], ...]:
    """Begin and end of each interval that has begun by ``until_ms``, at most ``PERIODS_MOST``; by the calendar, in UTC."""
    length = duration(Lit(interval))
    found: list[tuple[int, int]] = []
    begin = agreed_at_ms
    while length is not None and begin <= until_ms and len(found) < PERIODS_MOST:
        step = len(found) + 1
        end = replace(length, months=length.months * step, ms=length.ms * step).after(agreed_at_ms)
        if end <= begin or end >= LAST_MS:
            break
        found.append((begin, end))
        begin = end
    return tuple(found)


# --- duties ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Price:
    """What one duty says of the price; ``wrong``: why nothing can be priced by it."""

    path: str
    unit: str = AGREEMENT
    price: Decimal | None = None
    currency: str | None = None
    bound: Bound = "exact"
    interval: str | None = None
    basis: str | None = None
    wrong: str | None = None


def _owed(policy: Policy, permissions: Collection[int] | None) -> Iterator[tuple[str, Duty, tuple[AnyConstraint, ...]]]:
    """The duties to compensate with their paths, and the conditions under which each is owed."""
    for index, permission in enumerate(policy.permissions):
        if permissions is None or index in permissions:
            for at, duty in enumerate(permission.duties):
                if duty.action.iri == COMPENSATE:
                    yield f"/permission/{index}/duty/{at}", duty, (*_stated(permission), *duty.constraints)
    for index, duty in enumerate(policy.obligations):
        if duty.action.iri == COMPENSATE:
            yield f"/obligation/{index}", duty, duty.constraints


def _stated(permission: Permission) -> tuple[AnyConstraint, ...]:
    return (*permission.constraints, *permission.action.refinements)


def _atoms(constraints: Iterable[AnyConstraint]) -> Iterator[Constraint | None]:
    """The plain constraints that hold together; None for a choice between some."""
    for one in constraints:
        if isinstance(one, Constraint):
            yield one
        elif one.logic is Logic.AND:
            yield from _atoms(one.parts)
        else:
            yield None


def _price(path: str, duty: Duty) -> _Price:
    price = _Price(path=path)
    if any(atom is None or atom.left != COUNT for atom in _atoms(duty.constraints)):
        price = replace(price, wrong="it is owed under a condition that is not decided here")
    for atom in _atoms(condition for _, condition in numbered("", duty.action.refinements)):
        found = None if atom is None else understand(atom)
        if found is None or isinstance(found, Fault) or atom is None:
            price = replace(price, wrong="it says something of the price that is not understood here")
        else:
            price = _told(price, found, atom.unit)
    return _checked(price)


def _told(price: _Price, found: Understood, unit: str | None) -> _Price:
    """A price after one more refinement."""
    value = found.right[0]
    match found.term.iri:
        case iri if iri == PAY_AMOUNT:
            known = CURRENCIES.get(unit or "")
            if price.price is not None:
                return replace(price, wrong="it names several prices")
            return replace(price, price=amount(value), currency=known, bound=_BOUNDS[found.operator])
        case iri if iri == UNIT_OF_COUNT:
            return replace(price, unit=name(value))
        case iri if iri == PRICE_BASIS:
            return replace(price, basis=name(value))
        case iri if iri == TIME_INTERVAL and found.operator is Operator.EQ:
            return replace(price, interval=name(value))
        case _:
            return replace(price, wrong="it says something of the price that is not counted here")


def _checked(price: _Price) -> _Price:
    if price.wrong is not None:
        return price
    if price.basis == FREE:
        return replace(price, wrong="it is free and has a price" if price.price else None, price=Decimal(0))
    if price.price is None:
        return replace(price, wrong="it names no price")
    return price if price.currency is not None else replace(price, wrong="it names no currency")


# --- quantities ------------------------------------------------------------------------------------------------------


def _lines(price: _Price, ranges: list[Range] | None, readings: Readings) -> Iterator[Line]:
    if price.interval is None:
        spans: Sequence[Used] = (readings.whole,)
    else:
        spans = readings.periods.get(price.interval, ())
    if not spans:
        price = replace(price, wrong=price.wrong or f"nothing was counted by intervals of {price.interval}")
        spans = (readings.whole,)
    before = 0
    for span in spans:
        yield _line(price, ranges, span, before)
        before += span.calls


def _line(price: _Price, ranges: list[Range] | None, span: Used, before: int) -> Line:
    line = Line(
        path=price.path,
        begin_ms=span.begin_ms,
        end_ms=span.end_ms,
        unit=price.unit,
        price=price.price,
        currency=price.currency,
        bound=price.bound,
        basis=price.basis,
        note=price.wrong,
    )
    quantity = _quantity(price.unit, ranges, span, before)
    if quantity is None:
        return replace(line, note=price.wrong or "what was used is not told apart by tiers")
    if price.wrong is not None or price.price is None:
        return replace(line, quantity=quantity)
    with localcontext(prec=_PRECISION):
        return replace(line, quantity=quantity, amount=quantity * price.price)


def _quantity(unit: str, ranges: list[Range] | None, span: Used, before: int) -> Decimal | None:
    """How much of a unit was used; None where only some of the requests count and the unit is not one of requests."""
    if ranges is not None:
        counted = _within(before, span.calls, ranges)
        if unit == CALL:
            return Decimal(counted)
        if counted not in (0, span.calls):
            return None
        if span.calls and not counted:
            return Decimal(0)
    with localcontext(prec=_PRECISION):
        return {
            VEHICLE: Decimal(span.vehicles),
            CALL: Decimal(span.calls),
            AGREEMENT: Decimal(1),
            ROW: Decimal(span.rows),
            MEGABYTE: span.bytes / _BYTES,
        }[unit]


# --- tiers -----------------------------------------------------------------------------------------------------------


def _ranges(constraints: Iterable[AnyConstraint]) -> list[Range] | None:
    """The requests, by number, that a permission is for; None where it says nothing of them."""
    found: list[Range] | None = None
    for atom in _atoms(constraints):
        read = None if atom is None else understand(atom)
        if isinstance(read, Understood) and read.term.iri == COUNT:
            allowed = _allowed(read)
            found = allowed if found is None else [both for one in found for other in allowed for both in _both(one, other)]
    return found


def _allowed(found: Understood) -> list[Range]:
    limit = int(number(found.right[0]) or 0)
    match found.operator:
        case Operator.LTEQ:
            return [(0, limit)]
        case Operator.LT:
            return [(0, max(limit - 1, 0))]
        case Operator.GT:
            return [(limit, None)]
        case Operator.GTEQ:
            return [(max(limit - 1, 0), None)]
        case Operator.EQ:
            return [(max(limit - 1, 0), limit)]
        case _:
            return [(0, max(limit - 1, 0)), (limit, None)]


def _both(one: Range, other: Range) -> list[Range]:
    low = max(one[0], other[0])
    ends = [end for end in (one[1], other[1]) if end is not None]
    high = min(ends, default=None)
    return [(low, high)] if high is None or low < high else []


def _free(taken: Iterable[Range]) -> list[Range]:
    """All that no range has."""
    left: list[Range] = [(0, None)]
    for low, high in taken:
        beside: list[Range] = [(0, low)] if high is None else [(0, low), (high, None)]
        left = [both for one in left for other in beside for both in _both(one, other)]
    return left


def _without(one: Range, taken: Iterable[Range]) -> list[Range]:
    return [both for free in _free(taken) for both in _both(one, free)]


def _within(before: int, calls: int, ranges: Iterable[Range]) -> int:
    """How many of the requests after number ``before`` fall into disjoint ``ranges``."""
    last = before + calls
    return sum(max(0, (last if high is None else min(last, high)) - max(before, low)) for low, high in ranges)
