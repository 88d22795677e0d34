"""Instants between ms since the epoch and what XML Schema writes: exact both ways. Imports nothing of the project."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}\Z")

EARLIEST_MS: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MS
LATEST_MS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MS
"""What can be written: the years 1 to 9999."""


def written(instant_ms: int) -> str:
    """Return `instant_ms` as xsd:dateTime in UTC. Raises OverflowError outside `EARLIEST_MS` to `LATEST_MS`."""
    moment = _EPOCH + instant_ms * _MS
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def read(text: str) -> int:
    """Return the instant that `text` says, an xsd:dateTime or xsd:date; without a time zone it is taken for UTC.

    Raises ValueError for anything else, also for a year that Python has not.
    """
    moment = datetime.combine(date.fromisoformat(text), time.min) if _DATE.match(text) else datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MS


def duration(span_ms: int) -> str:
    """Return `span_ms` (not negative) as xsd:duration, in seconds: `PT1S`, `PT0.5S`."""
    seconds, rest = divmod(span_ms, 1000)
    return f"PT{seconds}.{rest:03d}".rstrip("0") + "S" if rest else f"PT{seconds}S"
