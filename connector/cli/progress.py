"""Progress of long work on standard error: one line drawn anew on a terminal, plain lines elsewhere; never on standard output.

What is not known is not shown: without a total there is no percentage and no remaining time. No colours and no control characters
but a carriage return and "erase to the end of the line" are used, and those on a terminal only. Time decides what is printed and
when, nothing else. Imports nothing of the connector, so that commands, demo and examples can use it alike.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self, TextIO, TypeVar

REDRAW_S: Final = 0.1
LINE_EVERY_S: Final = 10.0
LINE_EVERY_PERCENT: Final = 10
BEAT_S: Final = 0.5
BAR_CELLS: Final = 24
_ERASE: Final = "\r\x1b[K"
_SIZES: Final = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB"))
Result = TypeVar("Result")


def progress(what: str, total: int | None = None, unit: str = "") -> Bar:
    """A bar for ``with``: ``what`` is done, such as "Reading the table"; ``total`` of ``unit`` (B for bytes, or a plural), if
    known. ``bar.to(done)`` says how far it is. Nothing is drawn before ``with``, and the last word is said at its end."""
    return Bar(what, total, unit, sys.stderr)


class Bar:
    """Says on a stream how far one piece of work is; a context manager. ``clock`` gives seconds."""

    def __init__(
        self, what: str, total: int | None, unit: str, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.what, self.total, self.unit, self.done = what, total, unit, 0
        self._stream = stream
        self._clock = clock
        self._terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._began = self._first_at = self._said_at = clock()
        self._first: int | None = None
        self._tenths = 0

    def __enter__(self) -> Self:
        self._began = self._first_at = self._said_at = self._clock()
        self._write(f"{self.what} ..." if self._terminal else f"{self.what} ...\n")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """A last line with what was done; when the work has failed, none: what comes next says why."""
        last = "" if kind is not None else f"{self.what}: {self._amount(whole=True)}{_span(self._clock() - self._began)}\n"
        if self._terminal or last:
            self._write(_ERASE + last if self._terminal else last)

    def to(self, done: int, total: int | None = None) -> None:
        """So much is done by now; ``total`` when it has become known, or is another."""
        if total is not None:
            self.total = total
        self.done = done
        if self._first is None and done:
            self._first, self._first_at = done, self._clock()
        self.beat()

    def by(self, step: int) -> None:
        """So much more is done."""
        self.to(self.done + step)

    def beat(self) -> None:
        """The work goes on; says so where it is time to."""
        now = self._clock()
        if self._terminal:
            if now - self._said_at >= REDRAW_S:
                self._said_at = now
                self._write(_ERASE + self._drawn(now))
            return
        tenths = (self.percent or 0) // LINE_EVERY_PERCENT
        if now - self._said_at >= LINE_EVERY_S or self._tenths < tenths < 100 // LINE_EVERY_PERCENT:
            self._said_at, self._tenths = now, tenths
            percent = "" if self.percent is None else f"{self.percent} %, "
            self._write(f"{self.what}: {percent}{self._amount()}{_span(now - self._began)}\n")

    @property
    def percent(self) -> int | None:
        """Whole percent of the total; None where it is not known, or was wrong."""
        if not self.total or self.done > self.total:
            return None
        return 100 * self.done // self.total

    def _drawn(self, now: float) -> str:
        """The line as it is now, cut to the terminal."""
        percent, line = self.percent, f"{self.what}: "
        if percent is not None:
            full = BAR_CELLS * percent // 100
            line += f"[{'#' * full}{'-' * (BAR_CELLS - full)}] {percent} %, "
        line += f"{self._amount()}{_span(now - self._began)}{self._ahead(now)}"
        return line[: max(1, _width(self._stream) - 1)]

    def _amount(self, *, whole: bool = False) -> str:
        if not self.done and (self.total is None or whole):
            return ""
        of = f" of {_size(self.total, self.unit)}" if self.total and not whole and self.done <= self.total else ""
        return f"{_size(self.done, self.unit)}{of}, "

    def _ahead(self, now: float) -> str:
        """Rate and remaining time, from what was done since the first word: what was there before cost no time."""
        spent = now - self._first_at
        if self._first is None or spent < 1 or self.done <= self._first:
            return ""
        rate = (self.done - self._first) / spent
        left = "" if self.percent is None or self.total is None else f", {_span((self.total - self.done) / rate)} left"
        return f", {_size(int(rate), self.unit)}/s{left}"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


async def beating(bar: Bar, work: Awaitable[Result]) -> Result:
    """Await ``work`` while the bar shows that time passes."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            bar.beat()

    ticker = asyncio.create_task(beat())
    try:
        return await work
    finally:
        ticker.cancel()
        await asyncio.wait({ticker})


def _size(amount: int, unit: str) -> str:
    if unit != "B":
        return f"{amount:,} {unit}".rstrip()
    for size, name in _SIZES:
        if amount >= size:
            return f"{amount / size:.1f} {name}"
    return f"{amount} B"


def _span(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80
