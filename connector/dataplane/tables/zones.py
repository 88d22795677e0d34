"""What clocks of a zone show, as integers: offsets are looked up in a short list of changes, which is quicker by far than asking
the engine for every row. Outside the list the engine is asked, whose rules are the same.

Where clocks are put back, what they show twice is taken for the later time. What they skip lies as far after the gap as it lies
in it. No I/O but the rules of zones.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import ibis

_DAY_S: Final = 86_400
_MARGIN_S: Final = 400 * _DAY_S
_MAX_SPAN_S: Final = 12 * 366 * _DAY_S
_SECOND_US: Final = 1_000_000


class Change(NamedTuple):
    """From ``at_s`` on clocks are ``offset_s`` ahead of UTC."""

    at_s: int
    offset_s: int


class Offsets(NamedTuple):
    """The offsets of a zone from ``first_s`` until ``last_s`` (UTC)."""

    first_s: int
    last_s: int
    offset_s: int
    changes: tuple[Change, ...]


@lru_cache(maxsize=64)
def offsets(zone: str, first_s: int | None, last_s: int | None) -> Offsets | None:
    """The offsets of ``zone`` in a period and more than a year around it; None for no period, or one too long for a list."""
    if first_s is None or last_s is None or last_s - first_s > _MAX_SPAN_S:
        return None
    rules, first, last = ZoneInfo(zone), first_s - _MARGIN_S, last_s + _MARGIN_S
    changes: list[Change] = []
    before = start = _offset_s(rules, first)
    for day in range(first, last, _DAY_S):
        end = min(day + _DAY_S, last)
        if (after := _offset_s(rules, end)) != before:
            changes.append(Change(_found(rules, day, end), after))
            before = after
    return Offsets(first, last, start, tuple(changes))


def _offset_s(rules: ZoneInfo, at_s: int) -> int:
    shown = (datetime.fromtimestamp(0, UTC) + timedelta(seconds=at_s)).astimezone(rules).utcoffset()
    return round(shown.total_seconds()) if shown is not None else 0


def _found(rules: ZoneInfo, low: int, high: int) -> int:
    """The second of the one change after ``low`` and until ``high``."""
    before = _offset_s(rules, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset_s(rules, middle) == before else (low, middle)
    return high


def shown_us(us: Any, known: Offsets | None, asked: Callable[[Any], Any]) -> Any:
    """What clocks show at instants; ``asked`` has the engine compute it."""
    if known is None:
        return asked(us)
    steps = [change.at_s for change in known.changes]
    return _by(us, known, (known.first_s, known.last_s), steps, 1, asked)


def instant_us(shown: Any, known: Offsets | None, asked: Callable[[Any], Any]) -> Any:
    """The instants at which clocks show these times; ``asked`` has the engine compute it."""
    if known is None:
        return asked(shown)
    ends = (known.first_s + _DAY_S, known.last_s - _DAY_S)
    steps = [change.at_s + change.offset_s for change in known.changes]
    return _by(shown, known, ends, steps, -1, asked)


def _by(us: Any, known: Offsets, ends: tuple[int, int], steps: list[int], sign: int, asked: Callable[[Any], Any]) -> Any:
    """``us`` moved by the offset of the step that it lies in."""
    branches = [(us.isnull(), ibis.null("int64")), ((us < ends[0] * _SECOND_US) | (us >= ends[1] * _SECOND_US), asked(us))]
    offset_s = known.offset_s
    for step, change in zip(steps, known.changes, strict=True):
        branches.append((us < step * _SECOND_US, us + sign * offset_s * _SECOND_US))
        offset_s = change.offset_s
    return ibis.cases(*branches, else_=us + sign * offset_s * _SECOND_US)
