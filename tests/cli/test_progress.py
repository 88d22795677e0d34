"""The progress of long work: one line on a terminal, lines elsewhere, and nothing that is not known."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import re
import struct
import termios
from collections.abc import Callable
from contextlib import suppress

import pytest

from connector.cli import progress as progress_module
from connector.cli.progress import Bar, beating, progress


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def plainly(total: int | None, unit: str, work: Callable[[Bar, Clock], None]) -> list[str]:
    stream, clock = io.StringIO(), Clock()
    with Bar("Reading the table", total, unit, stream, clock) as bar:
        work(bar, clock)
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    return stream.getvalue().splitlines()


def on_terminal(columns: int, total: int | None, unit: str, work: Callable[[Bar, Clock], None]) -> str:
    """What a terminal of that width is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clock = Clock()
    with open(theirs, "w", encoding="utf-8") as stream:
        assert stream.isatty()
        with Bar("Reading the table", total, unit, stream, clock) as bar:
            work(bar, clock)
        stream.flush()
        # Whatever was written is there at once, in pieces of the terminal's own size.
        os.set_blocking(ours, False)
        sent = b""
        with suppress(BlockingIOError):
            while piece := os.read(ours, 65536):
                sent += piece
    os.close(ours)
    return sent.decode()


def drawings(sent: str) -> list[str]:
    return [line for line in re.split(r"\r\x1b\[K|\r\n", sent) if line]


def by_hundredths(bar: Bar, clock: Clock) -> None:
    for done in range(0, 10_000_001, 100_000):
        clock.now += 0.05
        bar.to(done)


def test_a_pipe_gets_a_line_at_the_start_at_each_tenth_and_at_the_end() -> None:
    lines = plainly(10_000_000, "B", by_hundredths)
    assert lines[0] == "Reading the table ..."
    assert [int(found[1]) for line in lines if (found := re.search(r"(\d+) %", line))] == list(range(10, 100, 10))
    assert lines[1] == "Reading the table: 10 %, 1.0 MB of 10.0 MB, 0 s"
    assert lines[-1] == "Reading the table: 10.0 MB, 5 s"
    assert len(lines) == 11


def test_a_pipe_gets_a_line_every_ten_seconds_when_no_total_is_known() -> None:
    def slowly(bar: Bar, clock: Clock) -> None:
        for _ in range(25):
            clock.now += 1
            bar.by(1000)

    assert plainly(None, "rows", slowly) == [
        "Reading the table ...",
        "Reading the table: 10,000 rows, 10 s",
        "Reading the table: 20,000 rows, 20 s",
        "Reading the table: 25,000 rows, 25 s",
    ]


def test_a_total_that_was_wrong_gives_no_percentage() -> None:
    def too_much(bar: Bar, clock: Clock) -> None:
        clock.now += 10
        bar.to(300)

    assert plainly(200, "B", too_much)[1] == "Reading the table: 300 B, 10 s"


def test_a_total_may_become_known_on_the_way() -> None:
    assert plainly(None, "B", lambda bar, _: bar.to(1500, total=3000))[1] == "Reading the table: 50 %, 1.5 kB of 3.0 kB, 0 s"


def test_failed_work_has_no_last_word() -> None:
    stream = io.StringIO()

    def full_disk() -> None:
        with Bar("Copying", None, "B", stream) as bar:
            bar.to(10)
            raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"):
        full_disk()
    assert stream.getvalue() == "Copying ...\n"


def test_a_terminal_has_one_line_that_is_drawn_anew() -> None:
    sent = on_terminal(120, 10_000_000, "B", by_hundredths)
    assert sent.count("\n") == 1
    lines = drawings(sent)
    assert lines[0] == "Reading the table ..."
    assert lines[-1] == "Reading the table: 10.0 MB, 5 s"
    assert len(lines) < 60, "drawn at most ten times a second"
    middle = next(line for line in lines if " 50 %" in line)
    assert re.fullmatch(r"Reading the table: \[#{12}-{12}\] 50 %, 5\.0 MB of 10\.0 MB, 2 s, 2\.0 MB/s, 2 s left", middle), middle


def test_a_narrow_terminal_gets_what_fits() -> None:
    assert max(map(len, drawings(on_terminal(40, 10_000_000, "B", by_hundredths)))) <= 39


def test_a_terminal_that_cannot_erase_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in on_terminal(80, 10_000_000, "B", by_hundredths)


def test_what_was_there_before_does_not_count_for_the_rate() -> None:
    def resumed(bar: Bar, clock: Clock) -> None:
        bar.to(9_000_000)
        clock.now += 2
        bar.to(9_200_000)

    assert drawings(on_terminal(200, 10_000_000, "B", resumed))[-2].endswith("9.2 MB of 10.0 MB, 2 s, 100.0 kB/s, 8 s left")


def test_long_spans_are_in_minutes_and_hours() -> None:
    def long(bar: Bar, clock: Clock) -> None:
        clock.now += 75
        bar.beat()
        clock.now += 7200

    assert plainly(None, "", long)[1:] == ["Reading the table: 1 min 15 s", "Reading the table: 2 h 1 min"]


async def test_work_that_tells_nothing_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "BEAT_S", 0.001)
    stream, clock, beaten = io.StringIO(), Clock(), asyncio.Event()
    bar = Bar("Looking", None, "", stream, clock)

    def told() -> None:
        clock.now += 10
        Bar.beat(bar)
        beaten.set()

    monkeypatch.setattr(bar, "beat", told)

    async def work() -> str:
        await beaten.wait()
        return "found"

    with bar:
        assert await beating(bar, work()) == "found"
    assert stream.getvalue().splitlines()[:2] == ["Looking ...", "Looking: 10 s"]


async def test_what_ends_the_work_comes_through_as_it_is() -> None:
    async def broken() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await beating(Bar("Looking", None, "", io.StringIO()), broken())


def test_it_is_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Writing", 2, "rows") as bar:
        bar.to(2)
    assert capsys.readouterr() == ("", "Writing ...\nWriting: 2 rows, 0 s\n")
