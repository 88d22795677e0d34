"""The story of pay as you drive, played once: every figure is made again here from the raw rows, without the data plane."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from connector.demo.premium import Premium
from examples.payd_insurer.__main__ import main
from examples.payd_insurer.story import Result, Row, play
from tests.examples.playing import Played, played, quotes_hold

pytestmark = pytest.mark.timeout(300)
QUARTER: Final = ("2026-03", "2026-04", "2026-05")
RAW: Final = """
    SELECT "Vehicle.VehicleIdentification.VIN" AS car, trip, epoch("time")::BIGINT AS at_s, "Vehicle.Speed"::DOUBLE AS kmh,
           strftime("time"::TIMESTAMP, '%Y-%m') AS month, strftime("time"::TIMESTAMP, '%Y-%m-%d') AS day,
           extract('hour' FROM "time"::TIMESTAMP) AS hour
    FROM read_parquet(?) ORDER BY car, trip, at_s"""
SHARES: Final = ("share_below_50", "share_50_90", "share_90_130", "share_above_130")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Played[Result]:
    return played(play, tmp_path_factory.mktemp("payd"))


@pytest.fixture(scope="module")
def told(story: Played[Result]) -> Result:
    return story.result


@pytest.fixture(scope="module")
def driven(told: Result) -> dict[tuple[str, str], Row]:
    """What each car did in each month, added up row by row."""
    with duckdb.connect() as base:
        base.execute("SET TimeZone = 'UTC'")
        rows = base.execute(RAW, [str(told.raw)]).fetchall()
    assert len(rows) > 900_000
    months: dict[tuple[str, str], Row] = defaultdict(lambda: {"trips": set(), "days": set(), **dict.fromkeys(SUMS, 0.0)})
    last: Any = ("", "", 0, 0.0)
    braking = gaining = False
    for car, trip, at, kmh, month, day, hour in rows:
        sums = months[car, month]
        sums["trips"].add(trip)
        sums["days"].add(day)
        together = (car, trip) == last[:2]
        seconds = at - last[2] if together else 0
        assert not together or seconds == 1, "these rows are one a second"
        km = (kmh + last[3]) / 2 * seconds / 3600
        sums["km"] += km
        sums["night"] += km if hour in (22, 23, 0, 1, 2, 3, 4) else 0.0
        sums["seconds"] += seconds
        sums[SHARES[(kmh >= 50) + (kmh >= 90) + (kmh > 130)]] += seconds
        was_braking, was_gaining = braking and together, gaining and together
        braking = together and (last[3] - kmh) / 3.6 >= 3.0
        gaining = together and (kmh - last[3]) / 3.6 >= 2.5
        sums["brakings"] += braking and not was_braking
        sums["gains"] += gaining and not was_gaining
        last = (car, trip, at, kmh)
    return dict(months)


SUMS: Final = ("km", "night", "seconds", "brakings", "gains", *SHARES)


def figures(sums: Row) -> Row:
    """The columns of a delivered row that are about driving."""
    km, seconds = sums["km"], sums["seconds"]
    return {
        "km": pytest.approx(km, abs=6e-4),
        "hours": pytest.approx(seconds / 3600, abs=6e-5),
        "trips": len(sums["trips"]),
        "days": len(sums["days"]),
        "harsh_brakings": sums["brakings"],
        "harsh_braking_per_100km": pytest.approx(100 * sums["brakings"] / km, abs=6e-4),
        "harsh_acceleration_per_100km": pytest.approx(100 * sums["gains"] / km, abs=6e-4),
        "night_km_share": pytest.approx(sums["night"] / km, abs=6e-6),
        **{name: pytest.approx(sums[name] / seconds, abs=6e-6) for name in SHARES},
    }


def score(months: list[Row]) -> float:
    """100, less what each part costs."""
    whole = {name: sum(sums[name] for sums in months) for name in SUMS}
    lost = 30 * min(1, whole["brakings"] / whole["km"] * 100 / 20)
    lost += 15 * min(1, whole["gains"] / whole["km"] * 100 / 30)
    lost += 15 * min(1, whole["night"] / whole["km"] / 0.3)
    lost += 20 * min(1, whole["share_above_130"] / whole["seconds"] / 0.1)
    return float(100 - lost - 20 * min(1, whole["km"] / len(months) / 2000))


def cars_of(references: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {reference: car for car, reference in references}


def check_rows(rows: list[Row], cars: dict[str, str], months: Iterable[str], driven: dict[tuple[str, str], Row]) -> None:
    """Exactly the months that these cars drove in came, with the figures of the raw rows."""
    wanted = {(reference, month) for reference, car in cars.items() for month in months if (car, month) in driven}
    assert sorted((row["reference"], row["month"]) for row in rows) == sorted(wanted)
    for row in rows:
        found = {name: value for name, value in row.items() if name not in ("pseudonym", "reference", "month")}
        assert found == figures(driven[cars[row["reference"]], row["month"]])


def test_the_rows_of_the_quarter_are_those_of_the_drivers_who_enrolled(told: Result, driven: dict[tuple[str, str], Row]) -> None:
    others = {car for car, month in driven if month in QUARTER} - set(told.insured)
    assert len(others) == 4, "cars whose drivers did not sign drove too"
    assert (len(told.insured), len(told.quarter.rows)) == (8, 24)
    check_rows(told.quarter.rows, cars_of(told.insured.items()), QUARTER, driven)


def test_june_is_without_the_driver_who_withdrew(told: Result, driven: dict[tuple[str, str], Row]) -> None:
    still = {car: reference for car, reference in told.insured.items() if car != told.gone}
    assert (told.gone, "2026-06") in driven, "the car was driven in June"
    check_rows(told.june.rows, cars_of(still.items()), ("2026-06",), driven)
    assert pyarrow.parquet.read_table(told.june.came).to_pylist() == told.june.rows


def test_what_had_come_is_erased_and_attested(told: Result) -> None:
    reference = told.insured[told.gone]
    assert told.left == [row for row in told.quarter.rows if row["reference"] != reference]
    assert pyarrow.parquet.read_table(told.quarter.came).to_pylist() == told.left
    assert told.erasure.outcome is not None
    (file,) = told.erasure.outcome["erased"]
    assert (file["file"], file["rows"]) == ("quarter.parquet", 3)
    assert file["sha256After"] == hashlib.sha256(told.quarter.came.read_bytes()).hexdigest()
    assert (told.erasure.stage, told.erasure.late) == ("fulfilled", False)
    assert told.erasure.key_thumbprint


def check_premiums(found: list[Premium], told: Result, months: Iterable[str], driven: dict[tuple[str, str], Row]) -> None:
    cars = cars_of(told.insured.items())
    assert [each.contract for each in found] == sorted(cars)
    for one in found:
        mine = [driven[cars[one.contract], month] for month in months if (cars[one.contract], month) in driven]
        if one.months == 0:
            mine = []
        assert one.months == len(mine)
        assert one.km == pytest.approx(sum(sums["km"] for sums in mine), abs=3e-3)
        priced = len(mine) >= 3 and one.km >= 300
        assert (one.score is not None) == priced == (one.why is None)
        if one.score is not None:
            assert one.score == pytest.approx(score(mine), abs=0.06)
            assert one.eur == (600 - Decimal("1.8") * Decimal(str(one.score))).quantize(Decimal("0.01"))
        else:
            assert one.eur == 600


def test_premiums_are_those_of_the_raw_rows(told: Result, driven: dict[tuple[str, str], Row]) -> None:
    check_premiums(told.quarter.premiums, told, QUARTER, driven)
    check_premiums(told.june.premiums, told, (*QUARTER, "2026-06"), driven)
    assert {one.contract: one.why for one in told.quarter.premiums if one.why} == {"POLICY-4715": "fewer than 300 km"}
    gone = told.insured[told.gone]
    assert [one.contract for one in told.june.premiums if not one.months] == [gone]


def test_premiums_are_written(told: Result) -> None:
    for rated in (told.quarter, told.june):
        with rated.priced.open(newline="") as file:
            lines = list(csv.DictReader(file))
        assert [(line["contract"], line["eur"]) for line in lines] == [(one.contract, str(one.eur)) for one in rated.premiums]


@pytest.mark.parametrize(
    ("tried", "code", "words"),
    [
        ("speed with position", "speed-with-place", "data on offences"),
        ("a row every 5 s", "sampling-too-coarse", "measured every 5000 ms"),
        ("marketing", "policy-denied", "ask for a purpose that the offer allows"),
        ("raw trips", "rejected", "raw trips are not for insurers"),
        ("positions", "ask-outside", "the agreed columns are those of features"),
        ("data for marketing", "policy-denied", "ask for a purpose that the offer allows"),
    ],
)
def test_what_is_not_in_the_terms_is_refused(told: Result, tried: str, code: str, words: str) -> None:
    assert told.refused[tried].code == code
    assert words in told.refused[tried].reason


def test_nothing_else_was_tried_or_came(told: Result) -> None:
    assert len(told.refused) == 6
    files = [path.name for path in told.quarter.came.parent.iterdir() if path.suffix == ".parquet"]
    assert sorted(files) == ["june.parquet", "quarter.parquet"]


def test_no_column_says_where_or_who(told: Result) -> None:
    names = set(pyarrow.parquet.read_schema(told.june.came).names)
    assert not [name for name in names if name.startswith("Vehicle") or "lat" in name.lower() or "lon" in name.lower()]
    bytes_of_all = told.quarter.came.read_bytes() + told.june.came.read_bytes()
    assert not [car for car in told.insured if car.encode() in bytes_of_all]


def test_two_insurers_cannot_join_their_files(told: Result, driven: dict[tuple[str, str], Row]) -> None:
    both = set(told.insured) & set(told.asking)
    assert len(both) == 2
    check_rows(told.rival, cars_of(told.asking.items()), QUARTER, driven)
    for name in ("pseudonym", "reference"):
        assert not {row[name] for row in told.quarter.rows} & {row[name] for row in told.rival}


def test_what_is_owed_is_cars_times_the_price(told: Result) -> None:
    cars = len({row["reference"] for row in [*told.quarter.rows, *told.june.rows]})
    (line,) = told.statement.lines
    assert (line.quantity, line.price, line.currency) == (str(cars), "1.50", "EUR")
    assert Decimal(line.amount or 0) == cars * Decimal("1.50") == Decimal(told.statement.totals["EUR"])
    assert line.receipts == {"countersigned": 2, "disputed": 0, "unverified": 0, "missing": 0}


def test_both_sides_hold_the_same_receipts(told: Result) -> None:
    ours, theirs = told.receipts
    assert [each.content for each in ours] == [each.content for each in theirs]
    assert {each.state for each in ours} == {"countersigned"}
    assert [each.content["rows"] for each in ours] == [len(told.quarter.rows), len(told.june.rows)]
    assert ours[1].content["sha256"] == hashlib.sha256(told.june.came.read_bytes()).hexdigest()


def test_the_page_quotes_what_was_said(story: Played[Result]) -> None:
    quotes_hold("payd_insurer", story.said)
    assert len(story.said) <= 42
    assert not [line for line in story.said if str(Path.home()) in line]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--folder", str(tmp_path)])
    assert (done.exit_code, "name another folder" in done.output) == (1, True)
    assert list(tmp_path.iterdir()) == []
