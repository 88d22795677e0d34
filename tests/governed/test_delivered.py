"""What the data plane delivers passes the checkers, in every format; and what it would deliver without its steps does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connector.dataplane.query.job import Made
from connector.dataplane.query.run import run
from tests.governed import checks
from tests.governed.drawn import BELT, NOTE, RPM, Drawn, job_of
from tests.governed.opened import LAT, LON, SPEED, Opened, Raw
from tests.governed.reference import Agreed, People
from tests.governed.worlds import CONSENTED, KEY, OTHER_KEY, START, VEHICLES, drives

FORMATS = ("parquet", "arrow", "ndjson", "csv")
RAW = {"vehicle": "car", "at": '"when"', "trip": "drive", "lat": "lat", "lon": "lon", "speed": "kmh"}
REFERENCES = {"VIN-A": "contract-1", "VIN-B": "contract-2", "VIN-D": "contract-4"}


def delivered(folder: Path, kind: str, *, key: bytes = KEY, consented: tuple[str, ...] = CONSENTED, **agreed: Any) -> Opened:
    folder.mkdir(exist_ok=True)
    rows = [
        {"vehicle": row["vin"], "trip": row["drive"], "at": row["at"], "local": row["at"], LAT: row[LAT], LON: row[LON]}
        | {SPEED: row["kmh"], RPM: 1_000.0, NOTE: "n", BELT: True}
        for row in drives()
    ]
    ordinals = {vehicle: n for n, vehicle in enumerate(VEHICLES)}
    people = People(key, ((frozenset(consented),),), references=REFERENCES)
    job = job_of(Drawn(rows, Agreed(**agreed), people, ordinals, "UTC", kind), folder)
    made = run(job)
    assert isinstance(made, Made), made
    return Opened(Path(job.output), Raw(folder / "raw.parquet", **RAW))


ROWS: dict[str, Any] = {"form": "rows", "level": "L1", "columns": (LAT, LON, SPEED), "cut_m": 1_000, "cut_s": 60, "bands": True}
SLICE: dict[str, Any] = {"after_s": START + 100, "before_s": START + 400, "areas": (((7.9, 47.9, 8.0015, 48.2),),)}
CELLS: dict[str, Any] = {"form": "cells", "level": "L3", "columns": (SPEED,), "cell_level": 6, "step_s": 3_600, "least": 3}


@pytest.mark.parametrize("kind", FORMATS)
def test_rows_pass_every_check(kind: str, tmp_path: Path) -> None:
    with delivered(tmp_path, kind, **ROWS, **SLICE) as opened:
        checks.no_vehicle_without_consent(opened, CONSENTED, key=KEY, least=500)
        checks.nothing_within_the_cut(opened, key=KEY, cut_m=1_000, cut_s=60, least=500)
        checks.no_precise_speed(opened, least=500)
        checks.no_column_outside(opened, ("pseudonym", "trip", "time", LAT, LON, SPEED), least=500)
        checks.no_row_outside(opened, **SLICE, least=500)
        checks.no_identifier_of_a_vehicle(opened, least=500)


@pytest.mark.parametrize("kind", FORMATS)
def test_coarse_rows_without_a_name_pass_every_check(kind: str, tmp_path: Path) -> None:
    agreed = {**ROWS, "level": "L2", "cell_level": 8, "step_s": 60, "sensitive": "removed", "places": ((48.05, 8.0, 500),)}
    with delivered(tmp_path, kind, **agreed) as opened:
        assert "pseudonym" not in opened.columns
        checks.no_vehicle_without_consent(opened, CONSENTED, key=KEY, step_s=60, least=500)
        checks.nothing_within_the_cut(opened, key=KEY, cut_m=1_000, cut_s=60, step_s=60, exact=False, least=500)
        checks.time_is_whole(opened, 60, least=500)
        checks.cells_are_whole(opened, 8, least=500)
        checks.nothing_near_sensitive_places(opened, [(48.05, 8.0, 30)], least=500)


@pytest.mark.parametrize("kind", FORMATS)
def test_cells_pass_every_check(kind: str, tmp_path: Path) -> None:
    with delivered(tmp_path, kind, **CELLS, cut_m=1_000) as opened:
        checks.no_cell_under(opened, 3, cell_level=6, step_s=3_600, consented=CONSENTED, cut_m=1_000, least=2)
        checks.cells_are_whole(opened, 6, least=2)
        checks.time_is_whole(opened, 3_600, least=2)
        checks.no_identifier_of_a_vehicle(opened, least=2)


@pytest.mark.parametrize("kind", FORMATS)
def test_features_are_of_consented_and_enrolled_vehicles(kind: str, tmp_path: Path) -> None:
    with delivered(tmp_path, kind, form="features", level="L1", enrolled=True) as opened:
        checks.no_vehicle_without_consent(opened, ("VIN-A", "VIN-B"), key=KEY, least=2)
        checks.no_reference_without_consent(opened, REFERENCES, CONSENTED, least=2)
        checks.no_identifier_of_a_vehicle(opened, least=2)
        assert not {LAT, LON, SPEED} & set(opened.columns)


def test_two_buyers_have_no_pseudonym_in_common(tmp_path: Path) -> None:
    with (
        delivered(tmp_path / "one", "parquet", **ROWS) as one,
        delivered(tmp_path / "other", "parquet", **ROWS, key=OTHER_KEY) as other,
    ):
        checks.no_pseudonym_in_common(one, other, least=3)


def test_a_plan_without_its_steps_is_caught(tmp_path: Path) -> None:
    """The checks see more than the files they were written with: each step of the plan left out is found on what leaves."""
    bare: dict[str, Any] = {"form": "rows", "level": "L1", "columns": (LAT, LON, SPEED, RPM)}
    with delivered(tmp_path / "rows", "parquet", **bare, consented=VEHICLES) as opened:
        with pytest.raises(AssertionError, match="without consent"):
            checks.no_vehicle_without_consent(opened, CONSENTED, key=KEY, least=500)
        with pytest.raises(AssertionError, match="of an end"):
            checks.nothing_within_the_cut(opened, key=KEY, cut_m=1_000, least=500)
        with pytest.raises(AssertionError, match="of an end"):
            checks.nothing_within_the_cut(opened, key=KEY, cut_s=60, least=500)
        with pytest.raises(AssertionError, match="no bands"):
            checks.no_precise_speed(opened, least=500)
        with pytest.raises(AssertionError, match="outside the list"):
            checks.no_column_outside(opened, ("pseudonym", "trip", "time", LAT, LON, SPEED), least=500)
        with pytest.raises(AssertionError, match="outside the period"):
            checks.no_row_outside(opened, after_s=START + 100, least=500)
        with pytest.raises(AssertionError, match="outside the area"):
            checks.no_row_outside(opened, areas=SLICE["areas"], least=500)
    with (
        delivered(tmp_path / "cells", "parquet", **{**CELLS, "least": 1}, consented=VEHICLES[:2]) as opened,
        pytest.raises(AssertionError, match="fewer than 3"),
    ):
        checks.no_cell_under(opened, 3, cell_level=6, step_s=3_600, consented=VEHICLES[:2], least=2)
