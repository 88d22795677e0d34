"""Values of right operands: how a lexical form is read, and how two values are compared.

DSP has strings where ODRL has typed literals, so that every reader takes the lexical form of its type from ``xsd:string`` too.
Every reader gives None for what it cannot read and never raises; every length is bounded. Imports the model only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from policies.model import XSD, Lit, Operator, Ref, Value

Values = tuple[Value, ...]
Check = Callable[[Values], str | None]
Compare = Callable[[Values, Operator, Values], bool | None]

ORDER: Final = frozenset({Operator.EQ, Operator.NEQ, Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ})
SETS: Final = frozenset({Operator.IS_ANY_OF, Operator.IS_ALL_OF, Operator.IS_NONE_OF})
CONCEPTS: Final = SETS | {Operator.EQ, Operator.NEQ, Operator.IS_A}
PARTS: Final = CONCEPTS | {Operator.IS_PART_OF}
SAME: Final = frozenset({Operator.EQ, Operator.NEQ})

TEXT_MOST: Final = 512
"""Characters of a value that is compared as text."""
VALUES_MOST: Final = 256
"""Values of one right operand."""
_READ_MOST: Final = 4096
"""Values that are kept once read; the same few stand in every policy."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
LAST_MS: Final = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH) // _MS
"""The last moment that a calendar here knows, in ms since the epoch."""

_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_NUMBER: Final = r"([0-9]{1,6})"
_DURATION: Final = re.compile(
    rf"P(?=.)(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_NUMERIC: Final = frozenset(f"{XSD}{name}" for name in ("string", "integer", "decimal", "int", "long", "nonNegativeInteger"))
_WHOLE: Final = _NUMERIC - {f"{XSD}decimal"}
_MOMENT: Final = frozenset({f"{XSD}string", f"{XSD}dateTime", f"{XSD}dateTimeStamp"})
_SPAN: Final = frozenset({f"{XSD}string", f"{XSD}duration", f"{XSD}dayTimeDuration", f"{XSD}yearMonthDuration"})
_TRUTH: Final = frozenset({f"{XSD}string", f"{XSD}boolean"})
_TEXT: Final = frozenset({f"{XSD}string", f"{XSD}anyURI", f"{XSD}token"})
_DAYS_OF_MONTH: Final = (28, 31)
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Duration:
    """Calendar months and milliseconds: a month has no fixed length until it is added to a moment."""

    months: int
    ms: int

    def after(self, moment_ms: int) -> int:
        """The moment this much later, in ms since the epoch; the day is kept inside its month; never later than LAST_MS."""
        if not 0 <= moment_ms <= LAST_MS:
            return LAST_MS
        moment = _EPOCH + timedelta(milliseconds=moment_ms)
        total = moment.year * 12 + moment.month - 1 + self.months
        if total >= 9999 * 12:
            return LAST_MS
        year, month = total // 12, total % 12 + 1
        first = datetime(year, month, 1, tzinfo=UTC)
        length = (datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC) - first).days
        moved = moment.replace(year=year, month=month, day=min(moment.day, length))
        return min(LAST_MS, (moved - _EPOCH) // _MS + self.ms)


def name(value: Value) -> str:
    """What a value names: an IRI, or a text that DSP has in the place of one."""
    return value.iri if isinstance(value, Ref) else value.text


def text(value: Value) -> str | None:
    """A name or plain text of at most ``TEXT_MOST`` characters."""
    if isinstance(value, Lit) and value.datatype not in _TEXT:
        return None
    found = name(value)
    return found if 0 < len(found) <= TEXT_MOST else None


@lru_cache(maxsize=_READ_MOST)
def number(value: Value) -> Decimal | None:
    """An integer or a decimal, without an exponent."""
    if isinstance(value, Ref) or value.datatype not in _NUMERIC or _DECIMAL.fullmatch(value.text) is None:
        return None
    return Decimal(value.text)


def whole(value: Value) -> Decimal | None:
    """An integer that is not negative."""
    found = number(value)
    if found is None or found < 0 or found != found.to_integral_value() or not isinstance(value, Lit):
        return None
    return found if value.datatype in _WHOLE else None


def amount(value: Value) -> Decimal | None:
    """A number that is not negative."""
    found = number(value)
    return None if found is None or found < 0 else found


@lru_cache(maxsize=_READ_MOST)
def instant(value: Value) -> int | None:
    """A moment with its time zone, as ms since the epoch."""
    if isinstance(value, Ref) or value.datatype not in _MOMENT or _INSTANT.fullmatch(value.text) is None:
        return None
    try:
        return (datetime.fromisoformat(value.text) - _EPOCH) // _MS
    except ValueError:
        return None


@lru_cache(maxsize=_READ_MOST)
def duration(value: Value) -> Duration | None:
    """An ISO 8601 duration that is not negative, in whole seconds."""
    if isinstance(value, Ref) or value.datatype not in _SPAN or (found := _DURATION.fullmatch(value.text)) is None:
        return None
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return Duration(years * 12 + months, (((weeks * 7 + days) * 24 + hours) * 3600 + minutes * 60 + seconds) * 1000)


def truth(value: Value) -> bool | None:
    """``true`` or ``false``."""
    if isinstance(value, Ref) or value.datatype not in _TRUTH:
        return None
    return {"true": True, "false": False, "1": True, "0": False}.get(value.text)


def at(moment_ms: int) -> Lit:
    """A moment as a value: what ``instant`` reads."""
    bounded = min(max(moment_ms, 0), LAST_MS)
    moment = (_EPOCH + timedelta(milliseconds=bounded)).isoformat(timespec="milliseconds")
    return Lit(moment.replace("+00:00", "Z"), f"{XSD}dateTime")


def read_as(read: Callable[[Value], object | None], wanted: str) -> Check:
    """A check that every value can be read; ``wanted`` says in English what is."""

    def check(values: Values) -> str | None:
        for value in values:
            if read(value) is None:
                return f"{name(value)[:80]!r} is not {wanted}"
        return None

    return check


def one_of(known: frozenset[str], wanted: str) -> Check:
    """A check that every value is one of the concepts ``known``."""
    return read_as(lambda value: value if name(value) in known else None, wanted)


def by_order(read: Callable[[Value], Any]) -> Compare:
    """Compares one value with one other by their order; None where either cannot be read."""

    def compare(given: Values, operator: Operator, right: Values) -> bool | None:
        if not given or not right:
            return None
        left, limit = read(given[0]), read(right[0])
        return None if left is None or limit is None else in_order(left, operator, limit)

    return compare


def in_order(left: Any, operator: Operator, limit: Any) -> bool | None:
    """``left operator limit`` for what has an order; None for an operator that is not one of order."""
    match operator:
        case Operator.EQ:
            return bool(left == limit)
        case Operator.NEQ:
            return bool(left != limit)
        case Operator.LT:
            return bool(left < limit)
        case Operator.LTEQ:
            return bool(left <= limit)
        case Operator.GT:
            return bool(left > limit)
        case Operator.GTEQ:
            return bool(left >= limit)
        case _:
            return None


def by_name(given: Values, operator: Operator, right: Values) -> bool | None:
    """Compares names. ``given`` is all that the thing is, its concept and all broader ones: it equals each of them."""
    held, asked = set(map(name, given)), set(map(name, right))
    match operator:
        case Operator.EQ | Operator.IS_A | Operator.IS_ANY_OF | Operator.IS_PART_OF:
            return not held.isdisjoint(asked)
        case Operator.NEQ | Operator.IS_NONE_OF:
            return held.isdisjoint(asked)
        case Operator.IS_ALL_OF | Operator.HAS_PART:
            return asked <= held
        case _:
            return None


def durations(left: Duration, operator: Operator, limit: Duration) -> bool | None:
    """Compares lengths; None where the calendar would decide (a month and thirty days)."""
    if left.months == limit.months:
        return in_order(left.ms, operator, limit.ms)
    least, most = (left.ms + left.months * days * _DAY_MS for days in _DAYS_OF_MONTH)
    low, high = (limit.ms + limit.months * days * _DAY_MS for days in _DAYS_OF_MONTH)
    if most < low:
        return in_order(0, operator, 1)
    return in_order(1, operator, 0) if least > high else None
