"""Figures measured in data: exact where they claim to be, bounded everywhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import quality
from catalog.dcat.model import Period
from catalog.quality import Clock, Layout, measure, measure_csv
from tests.requirement import real_data

HEADER = ("car", "trip", "at", "speed")
LAYOUT = Layout("car", "trip", "at")


def row(car: str, trip: str, second: int, speed: str = "50") -> tuple[str, ...]:
    return car, trip, f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}Z", speed


def test_the_figures_of_a_small_file() -> None:
    rows = [
        row("a", "1", 0),
        row("a", "1", 1, ""),
        row("a", "1", 1, ""),
        row("b", "1", 9, "NaN"),
        row("b", "1", 11),
        row("b", "2", 59),
    ]
    found = measure(HEADER, rows, LAYOUT)
    assert (found.rows, found.vehicles, found.trips, found.duplicates) == (6, 2, 3, 1)
    assert not found.vehicles_estimated
    assert not found.trips_estimated
    assert found.period == Period(1_767_225_600_000, 1_767_225_659_000)
    assert found.sampling_interval_ms == 1000
    assert dict(found.completeness) == {"car": 1.0, "trip": 1.0, "at": 1.0, "speed": 0.5}


def test_nothing_is_measured_in_no_rows() -> None:
    found = measure(HEADER, [], LAYOUT)
    assert (found.rows, found.vehicles, found.trips, found.period, found.sampling_interval_ms) == (0, 0, 0, None, None)
    assert dict(found.completeness)["speed"] == 0.0


def test_what_the_data_do_not_say_is_not_said() -> None:
    found = measure(HEADER, [row("a", "1", 0)], Layout())
    assert (found.vehicles, found.trips, found.period) == (None, None, None)


def test_short_long_and_blank_rows_are_taken_as_they_come() -> None:
    found = measure(HEADER, [("a", "1"), (), (*row("a", "1", 0), "more")], LAYOUT)
    assert found.rows == 2
    assert dict(found.completeness) == {"car": 1.0, "trip": 1.0, "at": 0.5, "speed": 0.5}


@pytest.mark.parametrize(
    ("clock", "texts"),
    [
        ("iso8601", ("1970-01-01T00:00:01Z", "1970-01-01T00:00:02.500Z")),
        ("iso8601", ("1970-01-01 00:00:01", "1970-01-01 00:00:02.5")),
        ("s", ("1", "2.5")),
        ("ms", ("1000", "2500")),
    ],
)
def test_times_are_read_as_the_layout_says(clock: Clock, texts: tuple[str, str]) -> None:
    found = measure(("at",), [(text,) for text in texts], Layout(time="at", clock=clock))
    assert found.period == Period(1000, 2500)
    assert found.sampling_interval_ms == 1500


@pytest.mark.parametrize(("clock", "text"), [("iso8601", "soon"), ("s", "inf"), ("s", "1e300"), ("ms", "x"), ("ms", "9e18")])
def test_a_time_that_cannot_be_read_is_missing(clock: Clock, text: str) -> None:
    found = measure(("at",), [(text,)], Layout(time="at", clock=clock))
    assert found.period is None
    assert found.completeness == (("at", 0.0),)


def test_intervals_are_taken_within_a_trip_and_forwards() -> None:
    rows = [row("a", "1", 0), row("b", "1", 3), row("a", "1", 5), row("b", "1", 2), row("b", "1", 7), row("b", "1", 7)]
    assert measure(HEADER, rows, LAYOUT).sampling_interval_ms == 5000


def test_long_intervals_keep_three_digits() -> None:
    rows = [("0",), ("123456",)]
    assert measure(("at",), rows, Layout(time="at", clock="ms")).sampling_interval_ms == 123_000


def test_many_vehicles_are_estimated_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "MAX_DISTINCT", 6_000)
    found = measure(("car",), ((str(index % 20_000),) for index in range(30_000)), Layout("car"))
    assert found.vehicles_estimated
    assert found.vehicles is not None
    assert abs(found.vehicles - 20_000) < 20_000 * 0.08
    assert found.duplicates >= 4_000


def test_as_many_as_are_told_apart_are_counted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "MAX_DISTINCT", 5_000)
    found = measure(("car",), ((str(index % 5_000),) for index in range(9_000)), Layout("car"))
    assert (found.vehicles, found.vehicles_estimated) == (5_000, False)


def test_the_track_seen_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "MAX_TRACKS", 2)
    rows = [row("a", "1", 0), row("b", "1", 0), row("c", "1", 0), row("a", "1", 9), row("c", "1", 2)]
    assert measure(HEADER, rows, LAYOUT).sampling_interval_ms == 2000


def test_rows_are_read_once_and_one_at_a_time() -> None:
    taken = []

    def rows() -> Iterator[tuple[str, ...]]:
        for second in range(5):
            taken.append(second)
            yield row("a", "1", second)

    assert measure(HEADER, rows(), LAYOUT).rows == 5
    assert taken == list(range(5))


def test_csv_with_a_header_a_mark_and_quotes() -> None:
    lines = io.StringIO('\ufeffcar;at;note\na;0;"x;\ny"\na;1000;\n', newline="")
    found = measure_csv(lines, Layout("car", None, "at", "ms"), delimiter=";")
    assert (found.rows, found.vehicles, found.sampling_interval_ms) == (2, 1, 1000)
    assert dict(found.completeness)["note"] == 0.5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no header"),
        ("a,b\n1,2\n", "no column 'car'"),
        ("car\n" + "x" * (csv.field_size_limit() + 1), "no CSV"),
        (",".join(["car"] * 501), "501 columns"),
    ],
)
def test_what_cannot_be_measured_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        measure_csv(io.StringIO(text), Layout("car"))


VALUES = st.sampled_from(("", "a", "b", "NaN", "1", "2026-01-01", "2026-01-01T00:00:01Z"))


@given(st.lists(st.lists(VALUES, max_size=5).map(tuple), max_size=30))
def test_the_figures_agree_with_counting_by_hand(rows: list[tuple[str, ...]]) -> None:
    found = measure(HEADER, rows, LAYOUT)
    said = [row for row in rows if row]
    assert found.rows == len(said)
    assert found.duplicates == len(said) - len(set(said))
    assert found.vehicles == len({row[0] for row in said if row[0] not in ("", "NaN")})
    assert all(0 <= share <= 1 for _, share in found.completeness)
    if found.period is not None:
        assert found.period.start_ms is not None
        assert found.period.end_ms is not None
        assert found.period.start_ms <= found.period.end_ms


@pytest.mark.realdata
def test_real_trips_are_measured_as_their_provenance_says() -> None:
    source = real_data("envirocar", "envirocar_points.csv")
    with source.open(encoding="utf-8", newline="") as lines:
        found = measure_csv(lines, Layout("vehicle_id", "track_id", "time"))
    assert (found.rows, found.vehicles, found.trips) == (2440, 4, 14)
    assert found.sampling_interval_ms is not None
    assert 4_000 <= found.sampling_interval_ms <= 6_000
