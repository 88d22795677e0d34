"""Premiums from features: bounded, never higher for less risk, and refused with a reason where there is too little to go by."""

from __future__ import annotations

import csv
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane.query import score as provider
from connector.demo.premium import (
    LEAST_KM,
    LOWEST,
    NOTHING_CAME,
    RISKS,
    Premium,
    factor,
    premiums,
    read_features,
    score,
    write_premiums,
)

BASE = Decimal(600)
Row = dict[str, Any]
EASY: Row = {
    "reference": "C-1",
    "pseudonym": "p",
    "month": "2026-03",
    "km": 500.0,
    "hours": 10.0,
    "harsh_braking_per_100km": 0.0,
    "harsh_acceleration_per_100km": 0.0,
    "night_km_share": 0.0,
    "share_above_130": 0.0,
}
MONTH = st.fixed_dictionaries(
    {
        "km": st.floats(0, 9_000),
        "hours": st.floats(0.1, 300),
        "harsh_braking_per_100km": st.none() | st.floats(0, 500),
        "harsh_acceleration_per_100km": st.none() | st.floats(0, 500),
        "night_km_share": st.none() | st.floats(0, 1),
        "share_above_130": st.none() | st.floats(0, 1),
    }
)


def year(months: list[Row]) -> list[Row]:
    """Months of one contract, one after the other."""
    return [{**EASY, **drawn, "month": f"2026-{number:02}"} for number, drawn in enumerate(months, 1)]


def one(rows: list[Row], **more: Any) -> Premium:
    (found,) = premiums(rows, base_eur=BASE, **more)
    return found


@given(st.lists(MONTH, min_size=1, max_size=12))
def test_a_premium_is_never_above_the_base_nor_below_the_lowest(months: list[Row]) -> None:
    found = one(year(months))
    assert LOWEST <= found.factor <= 1
    assert BASE * LOWEST <= found.eur <= BASE
    assert (found.score is None) == (found.why is not None)
    assert found.why is None or found.eur == BASE
    assert found.score is None or 0 <= found.score <= 100


@given(st.lists(MONTH, min_size=3, max_size=6), st.sampled_from(RISKS[:-1]), st.floats(0, 50))
def test_more_risk_at_the_same_distance_never_pays_less(months: list[Row], risk: Any, more: float) -> None:
    rows = year(months)
    worse = [{**row, risk.column: (row[risk.column] or 0.0) + more} for row in rows]
    assert one(worse).eur >= one(rows).eur


@given(st.lists(MONTH, min_size=1, max_size=6), st.randoms())
def test_the_order_of_the_rows_does_not_matter(months: list[Row], chance: Any) -> None:
    rows = year(months)
    mixed = list(rows)
    chance.shuffle(mixed)
    assert one(mixed) == one(rows)


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({}, 0.0),
        ({"harsh_braking_per_100km": 10.0}, 15.0),
        ({"harsh_braking_per_100km": 20.0}, 30.0),
        ({"harsh_braking_per_100km": 900.0}, 30.0),
        ({"harsh_acceleration_per_100km": 30.0}, 15.0),
        ({"night_km_share": 0.15}, 7.5),
        ({"share_above_130": 0.05}, 10.0),
        ({"harsh_braking_per_100km": None, "night_km_share": None}, 0.0),
    ],
)
def test_the_score_is_the_weighted_sum(change: Row, lost: float) -> None:
    assert score([{**EASY, **change}]) == 95.0 - lost, "500 km a month cost 5 points"


def test_means_over_months_are_by_kilometres_and_hours() -> None:
    rows = year(
        [
            {"km": 300.0, "hours": 1.0, "harsh_braking_per_100km": 10.0, "share_above_130": 0.08},
            {"km": 100.0, "hours": 3.0, "harsh_braking_per_100km": 2.0, "share_above_130": 0.0},
        ]
    )
    assert score(rows) == 100 - 30 * 8.0 / 20 - 20 * 0.02 / 0.1 - 20 * 200 / 2_000


@pytest.mark.parametrize(("of", "left"), [(0.0, "1"), (50.0, "0.85"), (100.0, "0.7"), (62.2, "0.8134")])
def test_the_factor_only_reduces(of: float, left: str) -> None:
    assert factor(of) == Decimal(left)


@pytest.mark.parametrize(
    ("km", "months", "why"),
    [
        (100.0, 3, None),
        (99.9, 3, "fewer than 300 km"),
        (400.0, 2, "fewer than 3 months"),
        (10.0, 1, "fewer than 300 km"),
    ],
)
def test_too_little_to_go_by_pays_the_base(km: float, months: int, why: str | None) -> None:
    found = one(year([{"km": km}] * months))
    assert found.why == why
    assert (found.eur == BASE) == (why is not None)


def test_the_least_can_be_set() -> None:
    assert one(year([{"km": 20.0}]), least_km=20, least_months=1).why is None


def test_a_contract_of_which_nothing_came_pays_the_base() -> None:
    found = premiums(year([{}] * 3), base_eur=BASE, contracts=["C-0", "C-1"])
    assert found[0] == Premium("C-0", 0, 0.0, None, Decimal(1), Decimal("600.00"), NOTHING_CAME)
    assert [each.contract for each in found] == ["C-0", "C-1"]


def test_without_a_reference_the_pseudonym_names_the_contract() -> None:
    rows = [{name: value for name, value in row.items() if name != "reference"} for row in year([{}] * 3)]
    assert one(rows).contract == "p"


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf, "300"])
@pytest.mark.parametrize("column", ["km", "hours", "night_km_share"])
def test_a_figure_that_is_none_is_refused(column: str, wrong: object) -> None:
    with pytest.raises(ValueError, match=column):
        premiums([{**EASY, column: wrong}], base_eur=BASE)


@pytest.mark.parametrize("column", ["km", "hours"])
def test_how_far_and_how_long_is_always_said(column: str) -> None:
    without = {name: value for name, value in EASY.items() if name != column}
    for row in ({**EASY, column: None}, without):
        with pytest.raises(ValueError, match=column):
            premiums([row], base_eur=BASE)


def test_the_weights_are_those_of_the_score_that_a_data_plane_makes() -> None:
    ours = sorted((risk.weight, risk.reference) for risk in RISKS)
    assert ours == sorted(provider.WEIGHTS.values())
    assert provider.LEAST_KM == LEAST_KM
    assert sum(weight for weight, _ in ours) == 100


def test_features_are_read_and_premiums_written(tmp_path: Path) -> None:
    rows = year([{}] * 3)
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "features.parquet")
    assert read_features(tmp_path / "features.parquet") == rows
    write_premiums(tmp_path / "premiums.csv", premiums(rows, base_eur=BASE, contracts=["C-0"]))
    with (tmp_path / "premiums.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "contract": "C-0",
        "months": "0",
        "km": "0.0",
        "score": "",
        "factor": "1",
        "eur": "600.00",
        "why": NOTHING_CAME,
    }
    assert (second["contract"], second["score"], second["eur"], second["why"]) == ("C-1", "95.0", "429.00", "")
