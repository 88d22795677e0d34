"""Quality figures measured in the data themselves: one pass over rows, in bounded memory.

Rows, distinct vehicles and trips, duplicate rows, the period, how often it was sampled, and in how many rows each column has a
value. What is too much to remember is estimated, and the figures say so. Pure over an iterator: whoever calls opens the file and
shows progress. Imports `catalog.dcat`.
"""

from __future__ import annotations

import csv
import heapq
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal

from catalog.dcat import instants
from catalog.dcat.model import Period, Quality

MAX_DISTINCT: Final = 100_000
"""Most values of a kind (vehicles, trips, rows) that are told apart exactly (count)."""
SKETCH: Final = 4_096
"""Smallest hashes from which more than that are estimated (count): the error is about 1.6 %."""
MAX_TRACKS: Final = 10_000
"""Most trips under way at once whose last instant is remembered (count): beyond, the one seen longest ago is forgotten."""
MAX_COLUMNS: Final = 500

_HASH_BITS: Final = 64
_MISSING: Final = frozenset({"", "nan", "null"})

Clock = Literal["iso8601", "s", "ms"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns say whose row it is, of which trip, and when; None where there is none.

    `clock`: how the time is written, as ISO 8601 or as seconds or ms since the epoch.
    """

    vehicle: str | None = None
    trip: str | None = None
    time: str | None = None
    clock: Clock = "iso8601"


def measure_csv(lines: Iterable[str], layout: Layout, *, delimiter: str = ",") -> Quality:
    """Return the figures of CSV with a header line. `lines` end as a file's do; nothing is read but through them.

    Raises ValueError for no header, too many columns, a column of `layout` that is not there, or what is no CSV.
    """
    try:
        reader = csv.reader(lines, delimiter=delimiter)
        header = next(reader, None)
        if header is None:
            raise ValueError("the data have no header line")
        return measure([name.strip("\ufeff ") for name in header], reader, layout)
    except csv.Error as error:
        raise ValueError(f"the data are no CSV: {error}") from error


def measure(header: Sequence[str], rows: Iterable[Sequence[str]], layout: Layout) -> Quality:
    """Return the figures of `rows`, whose values stand in the order of `header`; a short row lacks its last values.

    A value is missing when it is blank, NaN or null; a time also when it cannot be read. Raises ValueError for too many columns,
    or when a column of `layout` is not in `header`.
    """
    if len(header) > MAX_COLUMNS:
        raise ValueError(f"the data have {len(header)} columns; at most {MAX_COLUMNS} are measured")
    figures = _Figures(header, layout)
    for row in rows:
        if row:
            figures.add(row)
    return figures.quality()


def _place(header: Sequence[str], name: str | None) -> int | None:
    if name is None:
        return None
    if name not in header:
        raise ValueError(f"the data have no column {name!r}; they have {', '.join(header)[:300]}")
    return header.index(name)


def _present(value: str) -> bool:
    return value.strip().casefold() not in _MISSING


def _instant(text: str, clock: Clock) -> int | None:
    """The instant that `text` says in ms, None if none that can be written."""
    try:
        moment = instants.read(text.strip()) if clock == "iso8601" else round(float(text) * (1000 if clock == "s" else 1))
    except (ValueError, OverflowError):
        return None
    return moment if instants.EARLIEST_MS <= moment <= instants.LATEST_MS else None


class _Distinct:
    """Counts distinct values: exactly up to `MAX_DISTINCT`, then from the smallest of their hashes (k minimum values)."""

    __slots__ = ("_seen", "_smallest")

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._smallest: list[int] | None = None

    @property
    def estimated(self) -> bool:
        return self._smallest is not None

    def add(self, value: str) -> None:
        digest = _digest(value)
        if digest in self._seen:
            return
        if self._smallest is None:
            self._seen.add(digest)
            if len(self._seen) > MAX_DISTINCT:
                self._seen = set(heapq.nsmallest(SKETCH, self._seen))
                self._smallest = [-kept for kept in self._seen]
                heapq.heapify(self._smallest)
        elif digest < -self._smallest[0]:
            self._seen.discard(-heapq.heapreplace(self._smallest, -digest))
            self._seen.add(digest)

    def count(self) -> int:
        if self._smallest is None:
            return len(self._seen)
        return round((SKETCH - 1) * (1 << _HASH_BITS) / -self._smallest[0])


def _digest(value: str) -> int:
    return int.from_bytes(blake2b(value.encode("utf-8", "surrogatepass"), digest_size=_HASH_BITS // 8).digest())


class _Intervals:
    """Times between two rows of a trip. Exact below 1 s, to three digits beyond, so that there are few different ones."""

    __slots__ = ("_found", "_last")

    def __init__(self) -> None:
        self._last: OrderedDict[str, int] = OrderedDict()
        self._found: Counter[int] = Counter()

    def add(self, track: str, instant_ms: int) -> None:
        before = self._last.get(track)
        self._last[track] = instant_ms
        self._last.move_to_end(track)
        if len(self._last) > MAX_TRACKS:
            self._last.popitem(last=False)
        if before is not None and instant_ms > before:
            self._found[round(instant_ms - before, -max(0, len(str(instant_ms - before)) - 3))] += 1

    def median_ms(self) -> int | None:
        """The median (of an even number, the lower one of the two in the middle); None when nothing was measured twice."""
        half = (self._found.total() + 1) // 2
        for interval in sorted(self._found):
            half -= self._found[interval]
            if half <= 0:
                return interval
        return None


class _Figures:
    """What has been seen so far."""

    def __init__(self, header: Sequence[str], layout: Layout) -> None:
        self._header = header
        self._clock = layout.clock
        self._vehicle = _place(header, layout.vehicle)
        self._trip = _place(header, layout.trip)
        self._time = _place(header, layout.time)
        self._rows = self._duplicates = 0
        self._present = [0] * len(header)
        self._vehicles, self._trips, self._intervals = _Distinct(), _Distinct(), _Intervals()
        self._known_rows: set[int] = set()
        self._first: int | None = None
        self._last: int | None = None

    def add(self, row: Sequence[str]) -> None:
        self._rows += 1
        self._count_repeat(row)
        values = [value if _present(value) else None for value in row[: len(self._header)]]
        values += [None] * (len(self._header) - len(values))
        instant = self._at(values)
        for index, value in enumerate(values):
            self._present[index] += value is not None
        vehicle = values[self._vehicle] if self._vehicle is not None else None
        trip = values[self._trip] if self._trip is not None else None
        if vehicle is not None:
            self._vehicles.add(vehicle)
        if trip is not None:
            self._trips.add(f"{vehicle}\0{trip}")
        if instant is not None:
            self._first = instant if self._first is None else min(self._first, instant)
            self._last = instant if self._last is None else max(self._last, instant)
            self._intervals.add(f"{vehicle}\0{trip}", instant)

    def _at(self, values: list[str | None]) -> int | None:
        """When the row was measured; a time that cannot be read is struck from `values`."""
        if self._time is None:
            return None
        text = values[self._time]
        instant = None if text is None else _instant(text, self._clock)
        if instant is None:
            values[self._time] = None
        return instant

    def _count_repeat(self, row: Sequence[str]) -> None:
        digest = _digest("\0".join(row))
        if digest in self._known_rows:
            self._duplicates += 1
        elif len(self._known_rows) < MAX_DISTINCT:
            self._known_rows.add(digest)

    def quality(self) -> Quality:
        shares = (present / self._rows if self._rows else 0.0 for present in self._present)
        return Quality(
            rows=self._rows,
            vehicles=None if self._vehicle is None else self._vehicles.count(),
            vehicles_estimated=self._vehicles.estimated,
            trips=None if self._trip is None else self._trips.count(),
            trips_estimated=self._trips.estimated,
            duplicates=self._duplicates,
            period=None if self._first is None else Period(self._first, self._last),
            sampling_interval_ms=self._intervals.median_ms(),
            completeness=tuple(zip(self._header, (round(share, 4) for share in shares), strict=True)),
        )
