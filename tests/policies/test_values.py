"""How values are read and compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.model import XSD, Lit, Operator, Ref
from policies.terms.values import (
    LAST_MS,
    ORDER,
    Duration,
    amount,
    at,
    by_name,
    by_order,
    duration,
    durations,
    in_order,
    instant,
    number,
    text,
    truth,
    whole,
)
from tests.policies import drawn

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000
moments = st.integers(0, LAST_MS)
lengths = st.builds(Duration, st.integers(0, 40), st.integers(0, 100 * DAY_MS))


def typed(form: str, datatype: str) -> Lit:
    return Lit(form, f"{XSD}{datatype}")


@pytest.mark.parametrize("form", ["3", "-3", "+3.00", "0.05", "123456789012345678901234567890"])
@pytest.mark.parametrize("datatype", ["string", "decimal"])
def test_numbers_are_read_as_they_are_written(form: str, datatype: str) -> None:
    assert number(typed(form, datatype)) == Decimal(form)


@pytest.mark.parametrize("value", [Lit("1e9"), Lit(""), Lit("٣"), Lit("1."), Lit("1" * 31), Ref("urn:3"), typed("3", "double")])
def test_what_is_no_number_is_not_read(value: Lit | Ref) -> None:
    assert number(value) is None
    assert amount(value) is None
    assert whole(value) is None


def test_amounts_are_not_negative_and_whole_numbers_have_no_fraction() -> None:
    assert amount(Lit("-1")) is None
    assert amount(Lit("1.5")) == Decimal("1.5")
    assert whole(Lit("1.5")) is None
    assert whole(Lit("-1")) is None
    assert whole(typed("1", "decimal")) is None
    assert whole(typed("1.0", "string")) == 1


@given(moments)
def test_moments_are_read_back(moment_ms: int) -> None:
    assert instant(at(moment_ms)) == moment_ms


@pytest.mark.parametrize(
    "form",
    ["2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "20260101T000000Z", "2026-01-01T00:00:00+99:99", "now", ""],
)
def test_what_is_no_moment_with_a_time_zone_is_not_read(form: str) -> None:
    assert instant(typed(form, "dateTime")) is None


def test_moments_have_their_type_and_their_time_zone() -> None:
    assert instant(Ref("2026-01-01T00:00:00Z")) is None
    assert instant(typed("2026-01-01T00:00:00Z", "duration")) is None
    assert instant(typed("2026-01-01T01:00:00+01:00", "dateTime")) == instant(Lit("2026-01-01T00:00:00.000Z"))
    assert instant(at(-1)) == 0


@pytest.mark.parametrize(
    ("form", "length"),
    [
        ("P1M", Duration(1, 0)),
        ("P1Y2M", Duration(14, 0)),
        ("P90D", Duration(0, 90 * DAY_MS)),
        ("P2W", Duration(0, 14 * DAY_MS)),
        ("PT1H30M5S", Duration(0, 5_405_000)),
        ("P1DT1S", Duration(0, DAY_MS + 1000)),
    ],
)
def test_durations_are_months_and_milliseconds(form: str, length: Duration) -> None:
    assert duration(typed(form, "duration")) == length
    assert duration(Lit(form)) == length


@pytest.mark.parametrize("form", ["P", "PT", "1D", "-P1D", "P1.5D", "P1DT", "P1H", "P9999999D", "p1d"])
def test_what_is_no_duration_is_not_read(form: str) -> None:
    assert duration(Lit(form)) is None
    assert duration(Ref("urn:P1D")) is None
    assert duration(typed("P1D", "decimal")) is None


@pytest.mark.parametrize(
    ("start", "length", "end"),
    [
        ("2026-01-31T00:00:00Z", Duration(1, 0), "2026-02-28T00:00:00Z"),
        ("2027-12-31T10:00:00Z", Duration(2, 0), "2028-02-29T10:00:00Z"),
        ("2026-11-30T00:00:00Z", Duration(1, DAY_MS), "2026-12-31T00:00:00Z"),
        ("9999-01-01T00:00:00Z", Duration(12, 0), "9999-12-31T23:59:59Z"),
        ("9998-12-31T00:00:00Z", Duration(0, 400 * DAY_MS), "9999-12-31T23:59:59Z"),
    ],
)
def test_months_are_those_of_the_calendar(start: str, length: Duration, end: str) -> None:
    begin = instant(Lit(start))
    assert begin is not None
    assert length.after(begin) == instant(Lit(end))


def test_nothing_comes_after_the_last_moment() -> None:
    assert Duration(0, 0).after(LAST_MS + 1) == LAST_MS
    assert Duration(0, 0).after(-1) == LAST_MS


@given(st.integers(0, 4_000_000_000_000), lengths)
def test_later_is_later_by_at_least_the_milliseconds(moment_ms: int, length: Duration) -> None:
    assert length.after(moment_ms) >= moment_ms + length.ms
    if not length.months:
        assert EPOCH + timedelta(milliseconds=length.after(moment_ms)) == EPOCH + timedelta(milliseconds=moment_ms + length.ms)


@given(lengths, lengths, st.sampled_from(sorted(ORDER)), st.integers(0, 4_000_000_000_000))
def test_lengths_compare_as_they_would_from_any_day(one: Duration, other: Duration, operator: Operator, moment_ms: int) -> None:
    verdict = durations(one, operator, other)
    if verdict is not None:
        assert verdict is in_order(one.after(moment_ms), operator, other.after(moment_ms))
    assert durations(one, Operator.EQ, one)


def test_a_month_and_thirty_days_cannot_be_compared() -> None:
    assert durations(Duration(1, 0), Operator.LTEQ, Duration(0, 30 * DAY_MS)) is None
    assert durations(Duration(1, 0), Operator.LT, Duration(0, 32 * DAY_MS)) is True
    assert durations(Duration(1, 0), Operator.LT, Duration(0, 27 * DAY_MS)) is False


def test_truth_and_text() -> None:
    assert [truth(Lit(form)) for form in ("true", "1", "false", "0", "yes")] == [True, True, False, False, None]
    assert truth(Ref("true")) is None
    assert truth(typed("true", "integer")) is None
    assert text(Lit("")) is None
    assert text(Lit("x" * 513)) is None
    assert text(typed("x", "integer")) is None
    assert text(Ref("urn:x")) == "urn:x"


@pytest.mark.parametrize(
    ("operator", "verdicts"),
    [
        (Operator.EQ, (False, True, False)),
        (Operator.NEQ, (True, False, True)),
        (Operator.LT, (True, False, False)),
        (Operator.LTEQ, (True, True, False)),
        (Operator.GT, (False, False, True)),
        (Operator.GTEQ, (False, True, True)),
    ],
)
def test_operators_of_order(operator: Operator, verdicts: tuple[bool, ...]) -> None:
    compare = by_order(number)
    assert tuple(compare((Lit(form),), operator, (Lit("2"),)) for form in ("1", "2", "3")) == verdicts


def test_what_cannot_be_read_or_has_no_order_is_not_compared() -> None:
    compare = by_order(number)
    assert compare((), Operator.EQ, (Lit("2"),)) is None
    assert compare((Lit("2"),), Operator.EQ, ()) is None
    assert compare((Lit("x"),), Operator.EQ, (Lit("2"),)) is None
    assert compare((Lit("2"),), Operator.EQ, (Lit("x"),)) is None
    assert compare((Lit("2"),), Operator.IS_A, (Lit("2"),)) is None


@pytest.mark.parametrize(
    ("operator", "asked", "verdict"),
    [
        (Operator.EQ, "a", True),
        (Operator.EQ, "x", False),
        (Operator.IS_A, "b", True),
        (Operator.IS_ANY_OF, "xb", True),
        (Operator.IS_ANY_OF, "xy", False),
        (Operator.IS_PART_OF, "a", True),
        (Operator.NEQ, "a", False),
        (Operator.NEQ, "x", True),
        (Operator.IS_NONE_OF, "xb", False),
        (Operator.IS_NONE_OF, "xy", True),
        (Operator.IS_ALL_OF, "ab", True),
        (Operator.IS_ALL_OF, "ax", False),
        (Operator.HAS_PART, "a", True),
        (Operator.LT, "a", None),
    ],
)
def test_operators_of_names(operator: Operator, asked: str, verdict: bool | None) -> None:
    assert by_name((Ref("a"), Lit("b")), operator, tuple(Ref(one) for one in asked)) is verdict


@given(drawn.values)
def test_no_value_makes_a_reader_fail(value: Lit | Ref) -> None:
    for read in (number, whole, amount, instant, duration, truth, text):
        read(value)
