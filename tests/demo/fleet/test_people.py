"""Who decides, and what they decided."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any, get_args

import pytest

from connector.dataplane.tables import model
from connector.demo.fleet import KIT, Request, consents, enrolments, ownership, rentals, vins
from connector.demo.fleet.people import CATEGORIES

INSURER = Request(
    "did:web:insurer.example",
    "https://purposes.example/insurance",
    ("mileage", "driving-behaviour"),
    texts=("first wording", "second wording"),
    agree=0.7,
    withdrawn=0.1,
    enrol=0.6,
)
CITY = Request("did:web:city.example", "https://purposes.example/planning", ("location",), agree=0.5, withdrawn=0.0)
COLUMNS = ["vehicle", "category", "purpose", "recipient", "basis", "decided_by", "text_sha256", "at_ms", "given"]
START_MS = KIT.start_s * 1_000


@pytest.fixture(scope="module")
def decided() -> Any:
    return consents(KIT, 2_000, [INSURER, CITY], 5)


def latest(table: Any) -> dict[tuple[str, str, str], bool]:
    return {(row["vehicle"], row["category"], row["recipient"]): row["given"] for row in table.to_pylist()}


def test_categories_are_those_of_tables() -> None:
    assert get_args(model.Category) == CATEGORIES


def test_a_record_says_who_to_what_and_when(decided: Any) -> None:
    assert decided.column_names == COLUMNS
    assert all(column.null_count == 0 for column in decided.columns)
    rows = decided.to_pylist()
    assert {(row["purpose"], row["recipient"]) for row in rows} == {(each.purpose, each.recipient) for each in (INSURER, CITY)}
    texts = {hashlib.sha256(text.encode()).hexdigest() for text in (*INSURER.texts, *CITY.texts)}
    assert {row["text_sha256"] for row in rows} == texts
    assert [row["at_ms"] for row in rows] == sorted(row["at_ms"] for row in rows)
    assert {row["vehicle"] for row in rows} <= set(vins(KIT, 2_000, 5).to_pylist())


def test_shares_are_those_asked_for(decided: Any) -> None:
    held = [given for (_, category, _), given in latest(decided).items() if category == "mileage"]
    assert sum(held) / 2_000 == pytest.approx(0.7 * 0.9, abs=0.04)
    assert held.count(False) / 2_000 == pytest.approx(0.7 * 0.1 + 0.3 * 0.1, abs=0.03)


def test_a_yes_comes_before_the_fleet_and_a_withdrawal_after_it(decided: Any) -> None:
    yes: set[tuple[str, str]] = set()
    taken_back = 0
    for row in decided.to_pylist():
        key = (row["vehicle"], row["category"])
        assert (row["at_ms"] < START_MS) or not row["given"]
        if row["given"]:
            yes.add(key)
        elif row["at_ms"] >= START_MS:
            assert key in yes
            taken_back += 1
    assert taken_back > 100


def test_one_answer_is_for_all_categories_of_a_request(decided: Any) -> None:
    held = latest(decided)
    for (vehicle, category, recipient), given in held.items():
        if category == "mileage":
            assert held[vehicle, "driving-behaviour", recipient] == given


def test_the_one_who_decides_is_the_one_who_may(decided: Any) -> None:
    owned = {row["vehicle"]: row for row in ownership(KIT, 2_000, 5).to_pylist()}
    assert {row["decides"] for row in owned.values()} == {"owner", "driver", "renter"}
    assert all(row["decided_by"] == owned[row["vehicle"]]["decides"] for row in decided.to_pylist())
    for row in owned.values():
        assert (row["owner"] == row["driver"]) == (row["kind"] == "private")
    rented = [row for row in owned.values() if row["kind"] == "rental"]
    assert len(rented) / 2_000 == pytest.approx(KIT.rented, abs=0.03)


def test_rentals_follow_each_other() -> None:
    rented = {row["vehicle"] for row in ownership(KIT, 300, 5).to_pylist() if row["kind"] == "rental"}
    rows = rentals(KIT, 300, 14, 5).to_pylist()
    assert {row["vehicle"] for row in rows} == rented
    for vehicle in rented:
        own = [row for row in rows if row["vehicle"] == vehicle]
        assert own[0]["from_ms"] == START_MS
        assert own[-1]["until_ms"] == START_MS + 14 * 86_400_000
        assert all(one["until_ms"] == other["from_ms"] for one, other in pairwise(own))
        assert all(row["from_ms"] < row["until_ms"] for row in own)


def test_enrolled_are_vehicles_that_agreed_each_with_a_reference_of_its_own(decided: Any) -> None:
    rows = enrolments(KIT, 2_000, [INSURER], 5).to_pylist()
    agreed = {row["vehicle"] for row in decided.to_pylist() if row["given"] and row["recipient"] == INSURER.recipient}
    assert {row["vehicle"] for row in rows} < agreed
    assert len(rows) / 2_000 == pytest.approx(0.7 * 0.6, abs=0.04)
    assert len({row["reference"] for row in rows}) == len(rows)
    assert {row["recipient"] for row in rows} == {INSURER.recipient}


def test_same_seed_same_decisions(decided: Any) -> None:
    assert decided.equals(consents(KIT, 2_000, [INSURER, CITY], 5))
    assert not decided.equals(consents(KIT, 2_000, [INSURER, CITY], 6))


def test_nobody_asked_nobody_answers() -> None:
    assert consents(KIT, 10, [], 1).num_rows == 0
    assert enrolments(KIT, 10, [], 1).num_rows == 0
