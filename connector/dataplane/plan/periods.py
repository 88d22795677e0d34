"""Which period of time a plan covers: what the delay of the terms leaves, narrowed by the request, in whole steps or months.

Aggregates and rounded times are of whole steps, and features of whole months of the clock in the car: no two requests may cut a
step in two, for the difference would say what the step hides. No I/O; time is passed in.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connector.dataplane.plan.model import Ask
from connector.dataplane.plan.refused import PlanRefused
from policies.terms.values import Duration

_LATEST_S: Final = 253_370_764_800
"""Begin of the year 9999: the last that a calendar can add a month to."""


def oldest_first(now_ms: int, delays: tuple[Duration, ...]) -> int | None:
    """Before which epoch second everything is at least as old as each of ``delays``; None where there are none."""
    return min((_earlier(now_ms, delay) for delay in delays), default=None)


def _earlier(now_ms: int, delay: Duration) -> int:
    """So much before now, in epoch seconds; the day is kept inside its month; never before the epoch."""
    moment = datetime.fromtimestamp(now_ms // 1000, UTC)
    total = moment.year * 12 + moment.month - 1 - delay.months
    if total < 1970 * 12:
        return 0
    first = datetime(total // 12, total % 12 + 1, 1, tzinfo=UTC)
    gone = moment - moment.replace(day=1, hour=0, minute=0, second=0)
    length_s = int((_next_month(first) - first).total_seconds())
    return max(0, int(first.timestamp()) + min(int(gone.total_seconds()), length_s - 1) - delay.ms // 1000)


def within(ask: Ask, before_s: int | None) -> tuple[int | None, int | None]:
    """The period of the request inside the agreed one. Raises PlanRefused where it is outside or empty."""
    if ask.before_s is not None and before_s is not None and ask.before_s > before_s:
        raise _outside("to", f"the agreed delay lets out what was measured before {said(before_s)}", f"ask to={said(before_s)}")
    before = before_s if ask.before_s is None else ask.before_s
    if ask.after_s is not None and before is not None and ask.after_s >= before:
        raise _outside("from", f"the period asked for ends before it begins, or begins after {said(before)}", "ask for a period")
    return ask.after_s, before


def whole_steps(period: tuple[int | None, int | None], step_s: int) -> tuple[int | None, int | None]:
    """The period rounded inwards to multiples of ``step_s``. Raises PlanRefused where nothing is left."""
    after, before = period
    after = None if after is None else -(-after // step_s) * step_s
    before = None if before is None else before // step_s * step_s
    return _some(after, before, f"the period asked for has no whole step of {step_s} s")


def whole_months(period: tuple[int | None, int | None], zone: str, now_ms: int) -> tuple[int | None, int]:
    """The period rounded inwards to months of the clock in ``zone``; the running month is not over. Raises PlanRefused."""
    clock = _clock(zone)
    after, before = period
    last = now_ms // 1000 if before is None else min(before, now_ms // 1000)
    begin = None if after is None else _month(clock, after)
    if begin is not None and after is not None and begin < after:
        begin = int(_next_month(datetime.fromtimestamp(begin, clock)).timestamp())
    end = _month(clock, last)
    _some(begin, end, "the period asked for has no whole month")
    return begin, end


def said(at_s: int) -> str:
    """An epoch second as people and requests write it."""
    return datetime.fromtimestamp(min(max(at_s, 0), _LATEST_S), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _some(after: int | None, before: int | None, reason: str) -> tuple[int | None, int | None]:
    if after is not None and before is not None and after >= before:
        raise _outside("from", reason, "ask for a longer period")
    return after, before


def _month(clock: ZoneInfo, at_s: int) -> int:
    """The begin of the month in which a moment lies."""
    moment = datetime.fromtimestamp(min(max(at_s, 0), _LATEST_S), clock)
    return int(moment.replace(day=1, hour=0, minute=0, second=0).timestamp())


def _next_month(first: datetime) -> datetime:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def _clock(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        said = "the time zone of the table is not known here"
        raise PlanRefused("not-enforceable", "", said, "map the table with a known time zone") from error


def _outside(path: str, reason: str, remedy: str) -> PlanRefused:
    return PlanRefused("ask-outside", path, reason, remedy)
