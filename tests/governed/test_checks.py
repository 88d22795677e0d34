"""Each checker passes a good file and fails on a planted leak, for the reason it is there for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.governed import checks
from tests.governed.opened import LAT, LON, SPEED, Opened, name_of
from tests.governed.worlds import (
    CONSENTED,
    KEY,
    OTHER_KEY,
    START,
    Change,
    Row,
    cells,
    drives,
    opened,
    rows,
)

LEVEL = 6


def consent(opened: Opened) -> None:
    checks.no_vehicle_without_consent(opened, CONSENTED, key=KEY, least=1_000)


def cut(opened: Opened) -> None:
    checks.nothing_within_the_cut(opened, key=KEY, cut_m=1_000, cut_s=60, least=1_000)


def speed(opened: Opened) -> None:
    checks.no_precise_speed(opened, least=1_000)


def columns(opened: Opened) -> None:
    checks.no_column_outside(opened, ("pseudonym", "trip", "time", LAT, LON, SPEED), least=1_000)


def slice_of_it(opened: Opened) -> None:
    checks.no_row_outside(
        opened, after_s=START + 60, before_s=START + 541, areas=[[(7.9, 47.9, 8.1, 48.2), (0, 0, 1, 1)]], least=1_000
    )


def identifiers(opened: Opened) -> None:
    checks.no_identifier_of_a_vehicle(opened, least=1_000)


def places(opened: Opened) -> None:
    checks.nothing_near_sensitive_places(opened, [(48.0, 8.0, 1_000), (49.0, 8.0, 100)], least=1_000)


def minimum(opened: Opened) -> None:
    checks.no_cell_under(opened, 3, cell_level=LEVEL, step_s=3600, consented=CONSENTED, least=2)


def whole_cells(opened: Opened) -> None:
    checks.cells_are_whole(opened, LEVEL, least=2)


def whole_time(opened: Opened) -> None:
    checks.time_is_whole(opened, 3600, least=2)


def of_d(**changed: object) -> Change:
    """A row of the vehicle that did not consent."""
    row = next(row for row in drives() if row["vin"] == "VIN-D" and row["at"] == START + 300)
    leaked = {
        "pseudonym": name_of(KEY, "VIN-D"),
        "trip": name_of(KEY, "trip|VIN-D|VIN-D-1"),
        "time": row["at"],
        LAT: row[LAT],
        LON: row[LON],
        SPEED: "50-90",
    }
    return lambda given: given.append({**leaked, **changed})


def every(**changed: object) -> Change:
    return lambda given: [row.update(changed) for row in given]


def first(**changed: object) -> Change:
    return lambda given: given[0].update(changed)


def moved(**by: float) -> Change:
    return lambda given: given[0].update({name: given[0][name] + delta for name, delta in by.items()})


A = name_of(KEY, "VIN-A")
ROW_LEAKS: dict[str, tuple[Callable[[Opened], None], Change, str]] = {
    "a vehicle that did not consent": (consent, of_d(), "without consent"),
    "its trip under another's name": (consent, of_d(pseudonym=A), r"without consent \(by their trip\)"),
    "its name on another's trip": (consent, of_d(trip=name_of(KEY, "trip|VIN-A|VIN-A-1")), "without consent"),
    "a name that nobody has": (consent, first(pseudonym="0" * 32), "none of the table's vehicles"),
    "the plain identifier": (consent, first(pseudonym="VIN-A"), "none of the table's vehicles"),
    "no name": (consent, first(pseudonym=None), "none of the table's vehicles"),
    "a time without a drive": (consent, first(time=START + 9_999), "did not drive"),
    "an identifier in a column": (identifiers, first(**{SPEED: "vin-b at 72"}), "identifier of a vehicle"),
    "a row just before the cut": (cut, first(time=START + 30, **{LAT: round(48 + 600 / 111_320, 7)}), "of an end"),
    "a row of the end": (cut, first(time=START + 600, **{LAT: round(48 + 12_000 / 111_320, 7)}), "of an end"),
    "a row from nowhere": (cut, first(**{LAT: 50.0}), "no row of the raw table"),
    "a speed": (speed, every(**{SPEED: 72.5}), "no bands"),
    "a speed in words": (speed, first(**{SPEED: "72"}), "no bands"),
    "a column": (columns, every(odometer=1), "odometer"),
    "a row before the period": (slice_of_it, first(time=START + 59), "outside the period"),
    "a row at the end of the period": (slice_of_it, first(time=START + 541), "outside the period"),
    "a row without a time": (slice_of_it, first(time=None), "outside the period"),
    "a row beside the area": (slice_of_it, first(**{LON: 8.1}), "outside the area"),
    "a row without a place": (slice_of_it, first(**{LON: None}), "outside the area"),
    "a row at a sensitive place": (places, first(**{LAT: 48.001, LON: 8.001}), "sensitive place"),
}
CELL_LEAKS: dict[str, tuple[Callable[[Opened], None], Change, str]] = {
    "a cell without vehicles": (minimum, moved(longitude=0.5), "fewer than 3"),
    "a count with those who did not consent": (minimum, first(vehicles=4), "another number"),
    "a cell of another hour": (minimum, first(time=START + 3600), "fewer than 3"),
    "a cell twice": (minimum, lambda given: given.append(dict(given[0])), "twice"),
    "a position as it was": (whole_cells, moved(latitude=0.001), "not centres"),
    "a position that is none": (whole_cells, first(latitude=None), "not centres"),
    "a second": (whole_time, moved(time=1), "finer than"),
    "a minute": (whole_time, moved(time=60), "finer than"),
}


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".ndjson", ".csv"])
@pytest.mark.parametrize("check", [consent, cut, speed, columns, slice_of_it, identifiers, places])
def test_good_rows_pass(check: Callable[[Opened], None], suffix: str, tmp_path: Path) -> None:
    with opened(tmp_path, rows(), suffix) as good:
        check(good)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("check", [minimum, whole_cells, whole_time])
def test_good_cells_pass(check: Callable[[Opened], None], suffix: str, tmp_path: Path) -> None:
    with opened(tmp_path, cells(), suffix) as good:
        check(good)


@pytest.mark.parametrize("leak", ROW_LEAKS)
def test_a_planted_leak_in_rows_is_found(leak: str, tmp_path: Path) -> None:
    check, plant, sentence = ROW_LEAKS[leak]
    given: list[Row] = rows()
    plant(given)
    with opened(tmp_path, given) as bad, pytest.raises(AssertionError, match=sentence):
        check(bad)


@pytest.mark.parametrize("leak", CELL_LEAKS)
def test_a_planted_leak_in_cells_is_found(leak: str, tmp_path: Path) -> None:
    check, plant, sentence = CELL_LEAKS[leak]
    given: list[Row] = cells()
    plant(given)
    with opened(tmp_path, given) as bad, pytest.raises(AssertionError, match=sentence):
        check(bad)


def test_a_cell_with_fewer_than_k_is_found_where_all_say_the_truth(tmp_path: Path) -> None:
    with opened(tmp_path, cells()) as good, pytest.raises(AssertionError, match="fewer than 4 vehicles; one has 3"):
        checks.no_cell_under(good, 4, cell_level=LEVEL, step_s=3600, consented=CONSENTED, least=2)


@pytest.mark.parametrize("check", [consent, cut, speed, columns, slice_of_it, identifiers, places])
def test_no_check_is_content_with_too_few_rows(check: Callable[[Opened], None], tmp_path: Path) -> None:
    with opened(tmp_path, rows()[:10]) as short, pytest.raises(AssertionError, match="expected at least 1000"):
        check(short)


@pytest.mark.parametrize("check", [minimum, whole_cells, whole_time])
def test_no_check_is_content_with_too_few_cells(check: Callable[[Opened], None], tmp_path: Path) -> None:
    with opened(tmp_path, cells()[:1]) as short, pytest.raises(AssertionError, match="expected at least 2"):
        check(short)


def test_trips_alone_are_traced(tmp_path: Path) -> None:
    given = rows(trips_only=True)
    with opened(tmp_path, given) as good:
        consent(good)
        cut(good)
    of_d()(given)
    with opened(tmp_path, given) as bad, pytest.raises(AssertionError, match="without consent"):
        consent(bad)


def test_speed_may_be_exact_where_the_place_is_coarse_and_only_there(tmp_path: Path) -> None:
    with opened(tmp_path, cells()) as good:
        checks.no_precise_speed(good, cell_level=LEVEL, least=2)
    given = cells()
    moved(latitude=0.001)(given)
    with opened(tmp_path, given) as bad, pytest.raises(AssertionError, match="no bands"):
        checks.no_precise_speed(bad, cell_level=LEVEL, least=2)


def test_references_are_those_of_consented_vehicles(tmp_path: Path) -> None:
    references = {"VIN-A": "c-1", "VIN-B": "c-2", "VIN-D": "c-4"}
    given = [{"pseudonym": name_of(KEY, vin), "reference": references[vin], "month": "2026-01"} for vin in ("VIN-A", "VIN-B")]
    with opened(tmp_path, given) as good:
        checks.no_reference_without_consent(good, references, CONSENTED, least=2)
        consented = ("VIN-A", "VIN-B")
        checks.no_vehicle_without_consent(good, consented, key=KEY, least=2)
    for leak in ({"reference": "c-4"}, {"reference": "c-9"}, {"reference": None}):
        with opened(tmp_path, [*given, {**given[0], **leak}]) as bad, pytest.raises(AssertionError, match="without consent or"):
            checks.no_reference_without_consent(bad, references, CONSENTED, least=2)
    with opened(tmp_path, [*given, {**given[0], "reference": "c-2"}]) as torn, pytest.raises(AssertionError, match="several"):
        checks.no_reference_without_consent(torn, references, CONSENTED, least=2)


def test_pseudonyms_of_two_buyers_are_disjoint(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    mine, theirs = opened(tmp_path, rows()), opened(tmp_path / "other", rows(key=OTHER_KEY))
    with mine, theirs:
        checks.no_pseudonym_in_common(mine, theirs, least=3)
        with pytest.raises(AssertionError, match="fewer than 4"):
            checks.no_pseudonym_in_common(mine, theirs, least=4)
        with pytest.raises(AssertionError, match="3 names of a pseudonym are the same"):
            checks.no_pseudonym_in_common(mine, mine, least=3)
    leak = [{**row, "trip": name_of(KEY, "trip|VIN-A|VIN-A-1")} for row in rows(key=OTHER_KEY)[:9]]
    leaky = opened(tmp_path / "other", leak + rows(key=OTHER_KEY))
    mine = opened(tmp_path, rows())
    with mine, leaky, pytest.raises(AssertionError, match="1 names of a trip are the same"):
        checks.no_pseudonym_in_common(mine, leaky, least=3)


def test_pseudonyms_of_an_epoch_are_recomputed(tmp_path: Path) -> None:
    given = [{**row, "pseudonym": name_of(KEY, f"2026-01|{vin}")} for vin in CONSENTED for row in rows()[:1]]
    given = [{**row, "trip": name_of(KEY, f"trip|{vin}|{vin}-1")} for row, vin in zip(given, CONSENTED, strict=True)]
    with opened(tmp_path, given) as good:
        checks.no_vehicle_without_consent(good, CONSENTED, key=KEY, least=3, epoch="month")
    with opened(tmp_path, given) as other, pytest.raises(AssertionError, match="none of the table's vehicles"):
        checks.no_vehicle_without_consent(other, CONSENTED, key=KEY, least=3, epoch="day")
