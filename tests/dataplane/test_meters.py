"""Limits as values: which permission a delivery goes under, what is refused and when it is renewed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane import indexes, meters
from connector.dataplane.meters import LimitReached, Size
from connector.dataplane.plan.declared import every
from connector.dataplane.readings import ALL, Reading, Reservation
from policies import dsp
from policies.compile import compile_agreement
from policies.delivery import Capabilities, Delivery
from policies.terms.metering import BYTES, COUNT, ROWS
from policies.terms.time import TIME_INTERVAL

from .conftest import VDX, agreement, when

NOW = 1_782_900_000_000
DAY = 86_400_000


def terms(*permissions: list[dict[str, Any]]) -> Delivery:
    return compile_agreement(dsp.read(agreement(*permissions)), Capabilities(terms=every()))


def admitted(delivery: Delivery, used: Reading, size: Size | None = None, before: Reservation | None = None) -> int:
    return meters.admit(delivery, delivery.permissions, used, size or Size(1, 1, 1), before, NOW)


@given(st.integers(0, 20), st.integers(1, 10), st.integers(1, 10))
def test_of_tiers_the_one_that_holds_the_new_count_applies(used: int, first: int, more: int) -> None:
    tiers = terms(
        [when("odrl:count", "lteq", str(first))],
        [{"and": [when("odrl:count", "gt", str(first)), when("odrl:count", "lteq", str(first + more))]}],
    )
    reading = Reading(ALL, calls=used)
    if used + 1 <= first + more:
        assert admitted(tiers, reading) == (used + 1 > first)
    else:
        with pytest.raises(LimitReached) as refused:
            admitted(tiers, reading)
        assert (refused.value.term, refused.value.limit) == (COUNT, f"lteq {first + more}")


@pytest.mark.parametrize(("name", "term"), [("rows", ROWS), ("bytes", BYTES)])
def test_totals_count_what_is_about_to_leave(name: str, term: str) -> None:
    limited = terms([when(f"{VDX}{name}", "lt", "10")])
    used = Reading(ALL, calls=1, rows=5, bytes=5)
    assert admitted(limited, used, Size(4, 4, 1)) == 0
    with pytest.raises(LimitReached) as refused:
        admitted(limited, used, Size(5, 5, 1))
    assert (refused.value.term, refused.value.limit, refused.value.renewed_ms) == (term, "lt 10", None)
    # Made anew it was metered with four already.
    before = Reservation("f", "a", "b", 0, "2026-07-01", 4, 4, 1, NOW)
    assert admitted(limited, Reading(ALL, calls=1, rows=9, bytes=9), Size(4, 4, 1), before) == 0


@pytest.mark.parametrize("operator", ["eq", "gteq", "gt"])
def test_an_interval_lets_one_through_and_says_when_the_next(operator: str) -> None:
    daily = terms([when("odrl:timeInterval", operator, "P1D")])
    assert admitted(daily, Reading(ALL)) == 0
    assert admitted(daily, Reading(ALL, calls=1, last_at=NOW - DAY - 1)) == 0
    with pytest.raises(LimitReached) as refused:
        admitted(daily, Reading(ALL, calls=1, last_at=NOW - DAY + 5))
    assert (refused.value.term, refused.value.renewed_ms) == (TIME_INTERVAL, NOW + 5 + (operator == "gt"))


def test_a_transfer_is_one_call_however_often_its_file_is_made() -> None:
    once = meters.add(Reading(ALL), Size(10, 100, 2), None, NOW)
    assert (once.calls, once.rows, once.bytes, once.last_at, once.version) == (1, 10, 100, NOW, 1)
    before = Reservation("f", "a", "b", 0, "2026-07-01", 10, 100, 2, NOW)
    smaller = meters.add(once, Size(5, 50, 1), before, NOW)
    assert (smaller.calls, smaller.rows, smaller.bytes, smaller.version) == (1, 10, 100, 2)
    larger = meters.add(once, Size(15, 150, 1), before, NOW)
    assert (larger.calls, larger.rows, larger.bytes) == (1, 15, 150)


@pytest.mark.parametrize(("operator", "limit", "most"), [("lteq", "2", 2), ("lt", "2", 1), ("eq", "2", 2), ("gteq", "2", 0)])
def test_requests_of_a_vehicle_in_a_day(operator: str, limit: str, most: int) -> None:
    assert meters.per_vehicle_day(terms([when(f"{VDX}requestsPerVehicleDay", operator, limit)])) == most
    assert meters.per_vehicle_day(terms([])) is None


@given(st.lists(st.sets(st.integers(0, 60)), max_size=5), st.integers(1, 4))
def test_indexes_are_searched_counted_and_joined(deliveries: list[set[int]], most: int) -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, delivered in enumerate(deliveries):
            path = Path(folder) / str(number)
            path.write_bytes(b"".join(ordinal.to_bytes(4, "little") for ordinal in sorted(delivered)))
            paths.append(str(path))
            assert {ordinal for ordinal in range(62) if indexes.holds(str(path), ordinal)} == delivered
            assert set(indexes.among(str(path), range(1000))) == delivered
        assert indexes.distinct(paths) == len(set().union(*deliveries))
        often = {ordinal for ordinal in range(62) if sum(ordinal in each for each in deliveries) >= most}
        assert set(indexes.used_up(paths, most)) == often


def test_days_are_those_of_utc() -> None:
    assert meters.day_of(0) == "1970-01-01"
    assert meters.day_of(DAY - 1) == "1970-01-01"
    assert meters.next_day_ms(DAY - 1) == DAY
    assert meters.periods(NOW) == (ALL, meters.day_of(NOW)[:7], meters.day_of(NOW))
