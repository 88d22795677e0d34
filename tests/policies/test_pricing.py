"""What is owed: prices of what was metered, by interval and by tier, and a line for what cannot be priced."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.model import CARNET, ODRL, Action, AnyConstraint, Compound, Constraint, Duty, Lit, Logic, Permission, Policy, Ref
from policies.odrl import read
from policies.pricing import (
    AGREEMENT,
    CALL,
    MEGABYTE,
    PERIODS_MOST,
    ROW,
    VEHICLE,
    Line,
    Readings,
    Used,
    intervals,
    periods,
    statement,
    totals,
)
from policies.terms.price import EURO
from tests.policies import drawn

AT: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY: Final = 86_400_000
JANUARY: Final = Used(AT, AT + 31 * DAY, vehicles=3, calls=4, rows=50, bytes=2_500_000)
FEBRUARY: Final = Used(AT + 31 * DAY, AT + 59 * DAY, vehicles=5, calls=6, rows=70, bytes=1_000_000)
WHOLE: Final = Used(AT, AT + 59 * DAY, vehicles=6, calls=10, rows=120, bytes=3_500_000)
READINGS: Final = Readings(WHOLE, {"P1M": (JANUARY, FEBRUARY), "P1Y": (WHOLE,)})


def atom(left: str, operator: str, right: str, unit: str | None = None) -> Constraint:
    iri = left.replace("vdx:", CARNET) if left.startswith("vdx:") else ODRL + left
    value = Ref(right.replace("vdx:", CARNET)) if right.startswith("vdx:") else Lit(right)
    return Constraint(iri, ODRL + operator, (value,), unit=unit)


def pay(price: str | None = "2.50", *more: AnyConstraint, operator: str = "eq", unit: str | None = EURO, **rest: Any) -> Duty:
    said = () if price is None else (atom("payAmount", operator, price, unit),)
    return Duty(Action(f"{ODRL}compensate", (*said, *more)), **rest)


def policy(*permissions: Permission, **more: Any) -> Policy:
    return Policy("Agreement", "urn:a", permissions, **more)


def permits(*duties: Duty, count: tuple[AnyConstraint, ...] = ()) -> Permission:
    return Permission(Action(f"{ODRL}use"), count, duties)


def only(*duties: Duty, readings: Readings = READINGS, count: tuple[AnyConstraint, ...] = ()) -> Line:
    (line,) = statement(policy(permits(*duties, count=count)), readings)
    return line


def offered(number: int) -> Policy:
    return read(drawn.offer_document(str(number)))


def amounts(lines: tuple[Line, ...]) -> list[tuple[str, str, str | None]]:
    return [(line.path, f"{line.quantity}", None if line.amount is None else f"{line.amount}") for line in lines]


# --- the offers ------------------------------------------------------------------------------------------------------


def test_distinct_vehicles_are_paid_by_month() -> None:
    lines = statement(offered(1), READINGS)
    assert amounts(lines) == [("/permission/0/duty/0", "3", "9.00"), ("/permission/0/duty/0", "5", "15.00")]
    assert [(line.begin_ms, line.unit, line.currency, line.price) for line in lines] == [
        (JANUARY.begin_ms, VEHICLE, "EUR", Decimal("3.00")),
        (FEBRUARY.begin_ms, VEHICLE, "EUR", Decimal("3.00")),
    ]
    assert totals(lines) == {"EUR": Decimal(24)}
    assert intervals(offered(1)) == {"P1M"}


@pytest.mark.parametrize(
    ("calls", "first", "second", "beyond"),
    [
        (0, 0, 0, 0),
        (10_000, 10_000, 0, 0),
        (10_001, 10_000, 1, 0),
        (1_000_000, 10_000, 990_000, 0),
        (1_000_007, 10_000, 990_000, 7),
    ],
)
def test_tiers_meet_exactly(calls: int, first: int, second: int, beyond: int) -> None:
    lines = statement(offered(2), Readings(replace(WHOLE, calls=calls)))
    assert [line.quantity for line in lines[:2]] == [first, second]
    assert [line.amount for line in lines[:2]] == [first * Decimal("0.05"), second * Decimal("0.02")]
    assert [(line.quantity, line.amount, line.path) for line in lines[2:]] == (
        [(Decimal(beyond), None, "/permission")] if beyond else []
    )


def test_an_agreement_is_paid_once_and_a_year_by_the_year() -> None:
    assert amounts(statement(offered(3), READINGS)) == [("/permission/0/duty/0", "1", "12000.00")]
    assert amounts(statement(offered(4), READINGS)) == [("/permission/1/duty/0", "1", "4900.00")]
    assert statement(offered(4), READINGS, permissions={0}) == ()
    assert [amount for _, _, amount in amounts(statement(offered(6), READINGS))] == ["990.00", "990.00"]


def test_a_most_is_no_price() -> None:
    (line,) = statement(offered(7), READINGS)
    assert (line.quantity, line.amount, line.bound) == (Decimal(6), Decimal("2.40"), "at most")
    assert line.basis == f"{CARNET}CostOnlyForSme"
    assert totals((line,)) == {}
    assert only(pay(operator="gteq")).bound == "at least"


# --- units -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "quantity"), [(VEHICLE, "6"), (CALL, "10"), (AGREEMENT, "1"), (ROW, "120"), (MEGABYTE, "3.5")])
def test_each_unit_is_read_from_its_meter(unit: str, quantity: str) -> None:
    line = only(pay("0.1", atom("unitOfCount", "eq", unit.replace(CARNET, "vdx:"))))
    assert (line.unit, line.quantity, line.amount) == (unit, Decimal(quantity), Decimal(quantity) / 10)


def test_what_is_free_costs_nothing() -> None:
    free = atom("vdx:priceBasis", "eq", "vdx:Free")
    assert only(pay(None, free)).amount == 0
    assert totals((only(pay(None, free)),)) == {}
    assert only(pay("1.00", free)).note == "it is free and has a price"


def test_an_obligation_of_the_whole_policy_is_owed_once() -> None:
    found = policy(permits(), permits(Duty(Action(f"{ODRL}inform"))), obligations=(pay(), Duty(Action(f"{ODRL}inform"))))
    assert amounts(statement(found, READINGS)) == [("/obligation/0", "1", "2.50")]


# --- what cannot be priced -------------------------------------------------------------------------------------------

CONDITION: Final = atom("dateTime", "lt", "2027-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("duty", "note"),
    [
        (pay(None), "it names no price"),
        (pay(unit=None), "it names no currency"),
        (pay("1", atom("payAmount", "eq", "2", EURO)), "it names several prices"),
        (pay("1", atom("unitOfCount", "eq", "vdx:Kiss")), "it says something of the price that is not understood here"),
        (pay("1", Compound(Logic.OR, (CONDITION,))), "it says something of the price that is not understood here"),
        (pay("1", CONDITION), "it says something of the price that is not counted here"),
        (pay("1", atom("timeInterval", "gteq", "P1M")), "it says something of the price that is not counted here"),
        (pay("1", constraints=(CONDITION,)), "it is owed under a condition that is not decided here"),
        (pay("1", constraints=(Compound(Logic.OR, (CONDITION,)),)), "it is owed under a condition that is not decided here"),
        (pay("1", atom("timeInterval", "eq", "P1W")), "nothing was counted by intervals of P1W"),
    ],
)
def test_what_cannot_be_priced_is_a_line_that_says_so(duty: Duty, note: str) -> None:
    line = only(duty)
    assert (line.amount, line.note) == (None, note)
    assert totals((line,)) == {}


def test_vehicles_are_not_told_apart_by_tiers() -> None:
    by_vehicle = pay("1", atom("unitOfCount", "eq", "vdx:Vehicle"))
    assert only(by_vehicle, count=(atom("count", "lteq", "4"),)).note == "what was used is not told apart by tiers"
    assert only(by_vehicle, count=(atom("count", "lteq", "10"),)).amount == 6
    assert only(by_vehicle, count=(atom("count", "gt", "10"),)).amount == 0
    unused = Readings(replace(WHOLE, calls=0))
    assert only(pay(), count=(atom("count", "lteq", "10"),), readings=unused).amount == Decimal("2.50")


# --- tiers -----------------------------------------------------------------------------------------------------------

PER_CALL: Final = atom("unitOfCount", "eq", "vdx:ApiCall")


@pytest.mark.parametrize(
    ("operator", "limit", "counted"),
    [("lteq", 4, 4), ("lt", 4, 3), ("lt", 0, 0), ("gt", 4, 6), ("gteq", 4, 7), ("gteq", 0, 10), ("eq", 4, 1), ("neq", 4, 9)],
)
def test_a_range_counts_the_requests_in_it(operator: str, limit: int, counted: int) -> None:
    duty = pay("1", PER_CALL)
    line, *beyond = statement(policy(permits(duty, count=(atom("count", operator, str(limit)),))), READINGS)
    assert line.quantity == counted
    assert sum(one.quantity for one in beyond) == 10 - counted


def test_a_condition_on_the_duty_is_a_tier_too_and_others_are_no_tiers() -> None:
    duty = pay("1", PER_CALL, constraints=(atom("count", "lteq", "4"),))
    choice = Compound(Logic.OR, (atom("count", "lteq", "2"),))
    lines = statement(policy(permits(duty, count=(CONDITION, choice))), READINGS)
    assert [line.quantity for line in lines] == [4, 6]


def test_a_request_is_priced_once_where_tiers_overlap() -> None:
    wide = permits(pay("1", PER_CALL), count=(atom("count", "lteq", "8"),))
    narrow = permits(pay("2", PER_CALL), count=(Compound(Logic.AND, (atom("count", "gt", "2"), atom("count", "lteq", "10"))),))
    assert [line.quantity for line in statement(policy(wide, narrow), READINGS)] == [8, 2]
    assert [line.quantity for line in statement(policy(narrow, wide), READINGS)] == [8, 2]
    never = permits(pay("2", PER_CALL), count=(atom("count", "gt", "5"), atom("count", "lt", "3")))
    assert [line.quantity for line in statement(policy(wide, narrow, never), READINGS)] == [8, 2, 0]


def test_tiers_go_on_from_interval_to_interval() -> None:
    monthly = atom("timeInterval", "eq", "P1M")
    first = permits(pay("1", PER_CALL, monthly), count=(atom("count", "lteq", "5"),))
    rest = permits(pay("0.5", PER_CALL, monthly), count=(atom("count", "gt", "5"),))
    lines = statement(policy(first, rest), READINGS)
    assert [line.quantity for line in lines] == [4, 1, 0, 5]


counts = st.integers(0, 2_000)
edges = st.lists(st.integers(1, 1_000), min_size=1, max_size=4, unique=True).map(sorted)


@given(counts, counts, edges, st.lists(st.decimals("0.01", "9", places=2), min_size=5, max_size=5))
def test_more_is_never_cheaper_and_every_request_is_in_one_tier(
    calls: int, more: int, bounds: list[int], prices: list[Decimal]
) -> None:
    lows = [0, *bounds]
    tiers = [
        permits(
            pay(str(prices[index]), PER_CALL),
            count=(atom("count", "gt", str(low)), *([atom("count", "lteq", str(bounds[index]))] if index < len(bounds) else [])),
        )
        for index, low in enumerate(lows)
    ]
    few = statement(policy(*tiers), Readings(replace(WHOLE, calls=calls)))
    many = statement(policy(*tiers), Readings(replace(WHOLE, calls=calls + more)))
    assert sum(line.quantity for line in few) == calls
    assert len(few) == len(tiers)
    assert totals(few)["EUR"] <= totals(many)["EUR"]
    expected = sum(prices[sum(number > bound for bound in bounds)] for number in range(1, calls + 1))
    assert totals(few)["EUR"] == expected


@given(counts, counts, counts, st.sampled_from([VEHICLE, CALL, AGREEMENT, ROW, MEGABYTE]))
def test_who_uses_more_owes_no_less(used: int, other: int, more: int, unit: str) -> None:
    def owed(vehicles: int, rows: int) -> Decimal:
        readings = Readings(Used(AT, AT + DAY, vehicles, rows, rows, rows))
        found = only(pay("0.07", atom("unitOfCount", "eq", unit.replace(CARNET, "vdx:"))), readings=readings).amount
        assert found is not None
        return found

    assert owed(used, other) <= owed(used + more, other) <= owed(used + more, other + more)


# --- intervals -------------------------------------------------------------------------------------------------------


def test_intervals_are_those_of_the_calendar_and_end() -> None:
    end_of_january = AT + 30 * DAY
    assert periods("P1M", end_of_january, AT + 90 * DAY) == (
        (AT + 30 * DAY, AT + 58 * DAY),
        (AT + 58 * DAY, AT + 89 * DAY),
        (AT + 89 * DAY, AT + 119 * DAY),
    )
    assert periods("P1Y", AT, AT) == ((AT, AT + 365 * DAY),)
    assert periods("P1D", AT, AT - 1) == ()
    assert periods("PT0S", AT, AT) == ()
    assert periods("a month", AT, AT) == ()
    assert periods("P9999Y", AT, AT) == ()
    assert len(periods("PT1S", AT, AT + DAY)) == PERIODS_MOST


def test_amounts_are_exact() -> None:
    line = only(pay("0.123456789012345678901234567891", PER_CALL), readings=Readings(replace(WHOLE, calls=10**20 + 1)))
    assert line.amount == Decimal("12345678901234567890.246913578112345678901234567891")
