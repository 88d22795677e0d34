"""The repairer's story, played once: every figure made again from the raw table, by SQL and Python of its own."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from examples.repairer.story import Result, play
from tests.examples.playing import Played, played, quotes_hold

pytestmark = pytest.mark.timeout(600)
ONE, TWO, THREE = (f"urn:request:2026-000{number}" for number in range(1, 4))
VIN: Final = '"Vehicle.VehicleIdentification.VIN"'
COUNT, CODES, METRES = '"Vehicle.Diagnostics.DTCCount"', '"Vehicle.Diagnostics.DTCList"', '"Vehicle.TraveledDistance"'
NOBODY_ASKED: Final = "no request of a user is on record for you"
PRICES: Final = {ONE: Decimal("0.40"), TWO: Decimal("0.40"), THREE: Decimal("1.50")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repairer") / "town"


@pytest.fixture(scope="module")
def story(folder: Path) -> Played[Result]:
    return played(play, folder)


@pytest.fixture(scope="module")
def result(story: Played[Result]) -> Result:
    return story.result


@pytest.fixture
def base() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def told(base: duckdb.DuckDBPyConnection, file: Path, vehicle: str | None = None) -> list[tuple[Any, ...]]:
    """The rows of a file as text and numbers, in order; of one vehicle where it names vehicles."""
    where, params = ("", [str(file)]) if vehicle is None else (f"WHERE {VIN} = ?", [str(file), vehicle])
    query = f"SELECT epoch_ms(time) // 1000, {METRES}::DOUBLE, {COUNT}::INT, {CODES} FROM read_parquet(?) {where} ORDER BY ALL"  # noqa: S608 - names of our own
    return base.execute(query, params).fetchall()


def moment(second: int) -> str:
    """A second as the list of work writes it."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_what_was_published_is_what_is_there(story: Played[Result], result: Result, base: duckdb.DuckDBPyConnection) -> None:
    query = f"SELECT count(*), count(DISTINCT {VIN}) FROM read_parquet(?)"  # noqa: S608 - names of our own
    [(rows, vehicles)] = base.execute(query, [str(result.raw)]).fetchall()
    assert (
        story.said[0] == f"The manufacturer has {rows:,} rows of {vehicles} vehicles, with fault codes and kilometres among them"
    )
    assert len(set(result.vehicles.values())) == len(PRICES) == len(result.vehicles)


@pytest.mark.parametrize("request_id", [TWO, THREE])
def test_exactly_the_rows_of_the_vehicle_came(result: Result, base: duckdb.DuckDBPyConnection, request_id: str) -> None:
    expected = told(base, result.raw, result.vehicles[request_id])
    assert told(base, result.landed[request_id]) == expected
    assert len(expected) == result.rows[request_id] > 1000
    columns = [
        row[0] for row in base.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(result.landed[request_id])]).fetchall()
    ]
    assert columns == ["pseudonym", "trip", "time", *(name.strip('"') for name in (METRES, COUNT, CODES))]


def test_who_took_it_back_is_gone_from_the_file_and_from_no_other(result: Result, base: duckdb.DuckDBPyConnection) -> None:
    assert result.withdrawn == ONE
    before = told(base, result.raw, result.vehicles[ONE])
    assert result.rows[ONE] == len(before) > 1000
    assert told(base, result.landed[ONE]) == []
    assert result.erasure.outcome is not None
    (file,) = result.erasure.outcome["erased"]
    assert (file["file"], file["rows"]) == (result.landed[ONE].name, len(before))
    assert (result.erasure.stage, result.erasure.document["pseudonyms"]) == ("fulfilled", 1)
    assert result.erasure.key_thumbprint, "the attestation was not verified"


@pytest.mark.parametrize("request_id", [ONE, TWO])
def test_the_list_of_work_says_which_fault_since_when_and_at_how_many_kilometres(
    result: Result, base: duckdb.DuckDBPyConnection, request_id: str
) -> None:
    rows = told(base, result.raw, result.vehicles[request_id])
    codes = {code for *_, text in rows for code in (text or "").split()}
    expected = set()
    for code in codes:
        seen = [second for second, _, _, text in rows if code in (text or "").split()]
        assert all(count >= 1 for second, _, count, _ in rows if second in set(seen))
        expected.add((code, moment(min(seen)), moment(max(seen))))
    jobs = [job for job in result.jobs if job.request == request_id]
    assert {(job.code, job.since, job.last) for job in jobs} == expected
    assert expected, "the car of the story has no fault"
    assert {job.km for job in jobs} == {round(rows[-1][1] / 1000, 1)}


def test_the_list_of_work_stands_in_a_file(result: Result) -> None:
    with result.worklist.open(encoding="utf-8") as opened:
        rows = [dict(row) for row in csv.DictReader(opened)]
    assert [(row["request"], row["code"], float(row["km"])) for row in rows] == [
        (job.request, job.code, job.km) for job in result.jobs
    ]


@pytest.mark.parametrize(
    ("tried", "code", "reason"),
    [
        ("an offer with exclusivity", "exclusive-user-request", "Data Act"),
        ("the other garage, whom nobody named", "policy-denied", NOBODY_ASKED),
        ("the chain, about the garage's customer", "policy-denied", NOBODY_ASKED),
        ("the garage, about a request that nobody made", "policy-denied", NOBODY_ASKED),
        ("the chain, with exclusivity", "policy-unenforceable", "Data Act"),
        ("positions", "ask-outside", "Vehicle.CurrentLocation.Latitude is none of them"),
        ("data for marketing", "policy-denied", "purpose"),
        ("rows under the contract", "policy-denied", NOBODY_ASKED),
        ("a new contract", "policy-denied", NOBODY_ASKED),
    ],
)
def test_what_is_refused_is_refused_with_its_reason(
    story: Played[Result], result: Result, tried: str, code: str, reason: str
) -> None:
    assert result.refused[tried].code == code
    assert reason in result.refused[tried].reason
    assert any(line.startswith(f"  {tried}: {code}") for line in story.said)


def test_nothing_else_was_refused(result: Result) -> None:
    assert len(result.refused) == 9


def test_the_answer_does_not_tell_a_withdrawn_request_from_one_of_somebody_else(result: Result) -> None:
    whom = ("the other garage, whom nobody named", "the chain, about the garage's customer", "a new contract")
    assert len({result.refused[tried].reason for tried in whom}) == 1


def test_a_small_enterprise_pays_what_it_costs(result: Result) -> None:
    for request_id, told_of in result.statements.items():
        (line,) = told_of.lines
        assert Decimal(line.quantity) == 1
        assert line.currency == "EUR"
        assert Decimal(line.price or 0) == Decimal(line.amount or 0) == PRICES[request_id]


def test_both_sides_hold_the_same_receipt(result: Result) -> None:
    (ours,), (theirs,) = result.receipts
    assert ours.content == theirs.content
    assert ours.state == theirs.state == "countersigned"
    assert ours.content["rows"] == result.rows[ONE]


def test_no_vehicle_is_named_where_none_may_be(folder: Path, result: Result) -> None:
    """Not in the control plane's database, not in a log, and nowhere at a buyer's."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    may = {result.raw, *(path for path in files if path.parent == folder / "oem" and path.name.startswith("data.db"))}
    may |= {path for path in files if (folder / "oem" / "consents") in path.parents or (folder / "oem" / "spool") in path.parents}
    assert (folder / "oem" / "control.db") in set(files) - may
    for path in set(files) - may:
        content = path.read_bytes()
        assert not any(vehicle.encode() in content for vehicle in result.vehicles.values()), path


def test_the_page_says_what_was_seen(story: Played[Result]) -> None:
    quotes_hold("repairer", story.said)
    assert all(len(line) < 400 for line in story.said)
