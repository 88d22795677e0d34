"""A job becomes a file: what leaves, under which names, what is kept, and what is refused."""

from __future__ import annotations

import hashlib
import hmac
import math
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.dataplane import indexes
from connector.dataplane.plan.model import EDGES_M, METRES_PER_DEGREE, Box, Circle
from connector.dataplane.query import engine
from connector.dataplane.query import run as query
from connector.dataplane.query.job import NOT_ANONYMOUS, TOO_LARGE, Bits, Failed, Job, Limits, Made, Released
from connector.dataplane.query.run import run
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED
from tests.dataplane.query.small import KEY, NOTE, START, TEMPERATURE, drive, job_of, people, row, table_of

CELLS: dict[str, Any] = {"level": "L3", "form": "cells", "cell_level": 7, "step_s": 3600, "least": 2, "columns": (SPEED,)}


def made(job: Job) -> tuple[Made, list[dict[str, Any]]]:
    found = run(job)
    assert isinstance(found, Made), found
    assert not any(Path(job.scratch).iterdir())
    return found, pq.read_table(job.output).to_pylist()


def failed(job: Job) -> Failed:
    found = run(job)
    assert isinstance(found, Failed), found
    assert not any(Path(path).exists() for path in (job.output, job.index, job.keep) if path)
    assert not any(Path(job.scratch).iterdir())
    return found


def secret(message: str) -> str:
    return hmac.new(bytes.fromhex(KEY), message.encode(), hashlib.sha256).hexdigest()[:32]


def test_rows_leave_under_names_that_the_key_makes(tmp_path: Path) -> None:
    table = table_of(tmp_path, [row("v0"), row("v1")])
    job = job_of(tmp_path, table, people(tmp_path, ["v0", "v1"]), epoch="month")
    found, rows = made(job)
    assert {one["pseudonym"] for one in rows} == {secret("2026-03|v0"), secret("2026-03|v1")}
    assert {one["trip"] for one in rows} == {secret("trip|v0|t"), secret("trip|v1|t")}
    assert found.columns == ("pseudonym", "trip", "time", SPEED)
    assert found.vehicles == 2
    assert Path(job.index).read_bytes() == bytes([0, 0, 0, 0, 1, 0, 0, 0])
    assert "v0" not in Path(job.output).read_bytes().decode("latin-1")


@pytest.mark.parametrize(("epoch", "names"), [("day", ["2026-03-01", "2026-03-02"]), ("month", ["2026-03"]), ("year", ["2026"])])
def test_a_pseudonym_ends_with_its_epoch(epoch: str, names: list[str], tmp_path: Path) -> None:
    table = table_of(tmp_path, [row(at=START + 86_399), row(at=START + 86_400)])
    _, rows = made(job_of(tmp_path, table, people(tmp_path, ["v0"]), epoch=epoch))
    assert sorted(one["pseudonym"] for one in rows) == sorted(secret(f"{name}|v0") for name in (names * 2)[:2])


def test_only_vehicles_with_each_consent_that_was_not_withdrawn_leave(tmp_path: Path) -> None:
    table = table_of(tmp_path, [row(f"v{n}") for n in range(6)])
    bits = tmp_path / "bits"
    bits.write_bytes(bytes([0b00011111]))
    first, second = (Bits(file=str(bits), taken=(3,)),), (Bits(added=(0, 1)), Bits(added=(3, 4)))
    who = people(tmp_path, ["v0", "v1", "v2", "v3", "v4"], granted=(first, second), left_out=(1,))
    found, rows = made(job_of(tmp_path, table, who))
    assert {one["pseudonym"] for one in rows} == {secret("v0"), secret("v4")}
    assert found.vehicles == 2


def test_a_plan_that_needs_consents_does_not_run_without_them(tmp_path: Path) -> None:
    table = table_of(tmp_path, [row()])
    assert failed(job_of(tmp_path, table, people(tmp_path, ["v0"], granted=None))).code == "plan-impossible"
    assert failed(job_of(tmp_path, table, people(tmp_path, ["v0"], key=""), "other")).code == "plan-impossible"


def test_on_another_basis_all_leave_but_those_left_out(tmp_path: Path) -> None:
    table = table_of(tmp_path, [row("known"), row("unknown"), row("spent")])
    who = people(tmp_path, ["known", "spent"], granted=None, left_out=(1,))
    found, rows = made(job_of(tmp_path, table, who, consent=None))
    assert {one["pseudonym"] for one in rows} == {secret("known"), secret("unknown")}
    assert found.vehicles == 2


def test_the_buyers_own_reference_stands_for_enrolled_vehicles(tmp_path: Path) -> None:
    table = table_of(tmp_path, [row("v0"), row("v1")])
    who = people(tmp_path, ["v0", "v1"], references=((1, "contract 7"),))
    _, rows = made(job_of(tmp_path, table, who, enrolled=True))
    assert [one["reference"] for one in rows] == ["contract 7"]


def test_the_ends_of_trips_are_those_of_the_whole_trip(tmp_path: Path) -> None:
    table = table_of(tmp_path, drive(seconds=100))
    who = people(tmp_path, ["v0"])
    _, rows = made(job_of(tmp_path, table, who, cut_m=500, columns=(LATITUDE,), after_s=START + 20))
    metres = [one[LATITUDE] for one in rows]
    assert min(metres) - 50 >= 500 / 111_195
    assert 50.0198 - max(metres) >= 500 / 111_195
    assert len(rows) == 100 - 2 * 23
    _, rows = made(job_of(tmp_path, table, who, "timed", cut_s=10, after_s=START + 20))
    assert len(rows) == 70


def test_areas_and_sensitive_places(tmp_path: Path) -> None:
    table = table_of(tmp_path, drive(seconds=100), sensitive=(Circle(50.0, 8.0, 500.0),))
    who = people(tmp_path, ["v0"])
    wide, narrow = Box(7.0, 49.0, 9.0, 51.0), Box(7.0, 50.0039, 9.0, 50.0101)
    shape: dict[str, Any] = {"columns": (LATITUDE, LONGITUDE), "areas": ((wide,), (narrow,))}
    _, rows = made(job_of(tmp_path, table, who, **shape))
    assert len(rows) == 31
    _, rows = made(job_of(tmp_path, table, who, "removed", sensitive="removed", **shape))
    assert len(rows) == 28
    _, rows = made(job_of(tmp_path, table, who, "coarse", sensitive="coarsened", **shape))
    assert len({one[LATITUDE] for one in rows}) == 29


def test_what_is_rounded_is_rounded(tmp_path: Path) -> None:
    speeds = [49.99, 50.0, 90.0, 130.0, 130.1, None]
    table = table_of(tmp_path, [row(at=START + 61 + n, speed=speed, note="a\r\n\x1b[2Jb") for n, speed in enumerate(speeds)])
    shape: dict[str, Any] = {"columns": (LONGITUDE, SPEED, NOTE), "bands": True, "step_s": 60, "cell_level": 8}
    _, rows = made(job_of(tmp_path, table, people(tmp_path, ["v0"]), level="L2", **shape))
    assert list(rows[0]) == ["trip", "time", LONGITUDE, SPEED, NOTE, "cell"]
    assert {one["time"].timestamp() for one in rows} == {START + 60}
    assert sorted(str(one[SPEED]) for one in rows) == ["50-90", "90-130", "90-130", "<50", ">130", "None"]
    high = EDGES_M[8] / METRES_PER_DEGREE
    line = math.floor(50.0 / high)
    wide = high / math.cos(math.radians((line + 0.5) * high))
    assert {one["cell"] for one in rows} == {f"8/{line}/{math.floor(8.0 / wide)}"}
    assert {one[LONGITUDE] for one in rows} == {round((math.floor(8.0 / wide) + 0.5) * wide, 5)}
    assert {one[NOTE] for one in rows} == {"a[2Jb"}


def test_of_each_slot_the_first_row_stays_whole(tmp_path: Path) -> None:
    rows = drive(seconds=20)
    rows[5]["speed"], rows[5]["note"] = None, "first"
    rows += [row(at=START + 5, speed=1.0, lat=51.0, note="again")]
    table = table_of(tmp_path, rows)
    _, found = made(job_of(tmp_path, table, people(tmp_path, ["v0"]), sample_s=5, columns=(SPEED, NOTE)))
    assert sorted(one["time"].timestamp() - START for one in found) == [0, 5, 10, 15]
    assert [(one[SPEED], one[NOTE]) for one in found if one[NOTE]] in ([(None, "first")], [(1.0, "again")])


def test_nulls_of_sampled_rows_stay_nulls(tmp_path: Path) -> None:
    rows = [row("v0", speed=None, temperature=None), row("v0", at=START + 1), row("v0", at=START + 60, temperature=None)]
    table = table_of(tmp_path, rows)
    _, found = made(job_of(tmp_path, table, people(tmp_path, ["v0"]), sample_s=60, columns=(SPEED, TEMPERATURE)))
    assert sorted((str(one[SPEED]), one[TEMPERATURE]) for one in found) == [("60.0", None), ("None", None)]
    _, cells = made(job_of(tmp_path, table, name="cells", sample_s=60, **(CELLS | {"least": 1, "columns": (SPEED, TEMPERATURE)})))
    assert [(one[SPEED], one[TEMPERATURE]) for one in cells] == [(60.0, None)]


def test_an_empty_result_is_a_file(tmp_path: Path) -> None:
    found, rows = made(job_of(tmp_path, table_of(tmp_path, [row()]), people(tmp_path, [])))
    assert (found.rows, rows, found.vehicles) == (0, [], 0)


def test_cells_have_so_many_vehicles_and_each_counts_once(tmp_path: Path) -> None:
    rows = [row("v0", speed=10.0), row("v0", speed=20.0), row("v0", speed=30.0), row("v1", speed=40.0), row("v2", lon=9.0)]
    job = job_of(tmp_path, table_of(tmp_path, rows), **CELLS)
    found, cells = made(job)
    assert [(one["vehicles"], one[SPEED]) for one in cells] == [(2, 30.0)]
    assert list(cells[0]) == ["cell", "latitude", "longitude", "time", "vehicles", SPEED]
    assert (found.cells, found.suppressed, found.vehicles, found.covers) == (1, 1, 2, (START, START + 3600))
    kept = pq.read_table(str(job.keep)).to_pylist()
    assert sorted((one["vehicles"] or 0, one[SPEED], one[TEMPERATURE]) for one in kept) == [(0, None, None), (2, 30.0, 1.5)]
    assert Path(job.index).read_bytes() == b""


def test_bands_of_a_cell_are_shares_of_time(tmp_path: Path) -> None:
    rows = [row("v0", speed=10.0), row("v0", speed=100.0), row("v1", speed=40.0)]
    _, cells = made(job_of(tmp_path, table_of(tmp_path, rows), **(CELLS | {"bands": True})))
    assert [cells[0][f"share {band}"] for band in ("<50", "50-90", "90-130", ">130")] == [0.75, 0, 0.25, 0]
    assert SPEED not in cells[0]


def test_what_a_buyer_has_stays_as_it_was(tmp_path: Path) -> None:
    """One cell that was released, one that was suppressed, one of which nothing was known, and a later hour."""
    before = [row("v0", speed=10.0), row("v1", speed=20.0), row("v2", lon=9.0)]
    first = job_of(tmp_path, table_of(tmp_path, before), **CELLS, before_s=START + 3600)
    made(first)
    assert first.keep is not None
    after = [*before, row("v3", speed=99.0), row("v4", lon=9.0), row("v5", lon=10.0), row("v6", lon=10.0)]
    after += [row("v0", at=START + 3600, speed=50.0), row("v1", at=START + 3600, speed=70.0)]
    had = Released(first.keep, START, START + 3600)
    second = msgspec.structs.replace(job_of(tmp_path, table_of(tmp_path, after), name="later", **CELLS), released=(had,))
    found, cells = made(second)
    assert sorted((one["time"].timestamp() - START, one["vehicles"], one[SPEED]) for one in cells) == [
        (0, 2, 15.0),
        (3600, 2, 60.0),
    ]
    assert (found.cells, found.suppressed) == (2, 1)
    elsewhere = msgspec.structs.replace(had, areas=((Box(7.0, 49.0, 8.5, 51.0),),))
    third = msgspec.structs.replace(job_of(tmp_path, second.table, name="elsewhere", **CELLS), released=(elsewhere,))
    assert sorted(one["longitude"] > 8.5 for one in made(third)[1]) == [False, False, True, True]


def test_cells_are_whole_or_absent(tmp_path: Path) -> None:
    table = table_of(tmp_path, [row("v0"), row("v1")])
    assert failed(job_of(tmp_path, table, **CELLS, after_s=START + 1)).code == "plan-impossible"
    _, cells = made(job_of(tmp_path, table, name="whole", **CELLS))
    lat, lon = cells[0]["latitude"], cells[0]["longitude"]
    outside = Box(lon + 0.0001, lat - 1, lon + 1, lat + 1)
    assert made(job_of(tmp_path, table, name="outside", **CELLS, areas=((outside,),)))[0].cells == 0
    inside = Box(lon - 0.0001, lat - 0.0001, lon + 0.0001, lat + 0.0001)
    assert made(job_of(tmp_path, table, name="inside", **CELLS, areas=((inside,),)))[0].cells == 1


places = st.tuples(st.floats(-85, 85, allow_subnormal=False), st.floats(-180, 180, allow_subnormal=False))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(places, min_size=1, max_size=40), st.integers(0, 15))
def test_cells_are_where_slow_arithmetic_says(
    tmp_path_factory: pytest.TempPathFactory, where: list[tuple[float, float]], level: int
) -> None:
    folder = tmp_path_factory.mktemp("cells")
    table = table_of(folder, [row(lat=lat, lon=lon) for lat, lon in where])
    _, cells = made(job_of(folder, table, **(CELLS | {"cell_level": level, "least": 1})))
    high = EDGES_M[level] / METRES_PER_DEGREE
    expected = set()
    for lat, lon in where:
        line = math.floor(lat / high)
        wide = high / math.cos(math.radians((line + 0.5) * high))
        expected.add(f"{level}/{line}/{math.floor(lon / wide)}")
    assert {one["cell"] for one in cells} == expected


def test_hostile_headers_are_headers(tmp_path: Path) -> None:
    headers = {"speed": "x\" FROM read_csv('/etc/passwd'); --", "vehicle": "'; DROP TABLE pads; --", "note": "{}%s\\"}
    table = table_of(tmp_path, [row("v'0\"; --", note="'); --")], headers=headers)
    _, rows = made(job_of(tmp_path, table, people(tmp_path, ["v'0\"; --"]), columns=(SPEED, NOTE)))
    assert [(one["pseudonym"], one[SPEED], one[NOTE]) for one in rows] == [(secret("v'0\"; --"), 60.0, "'); --")]


def test_a_changed_source_names_its_column(tmp_path: Path) -> None:
    table = table_of(tmp_path, [row()])
    table_of(tmp_path, [row()], headers={"speed": "velocity"})
    found = failed(job_of(tmp_path, table, people(tmp_path, ["v0"])))
    assert (found.code, found.column) == ("source-changed", "speed")


def test_the_index_and_the_trips_are_of_what_is_in_the_file(tmp_path: Path) -> None:
    """Not of all members: a vehicle whose rows all lie within a cut is in neither."""
    rows = [row("v2", trip, START + n) for trip in ("a", "b") for n in range(100)] + [
        row("v0", "short", START + n) for n in range(5)
    ]
    rows += drive("v1", "z") + drive("unknown")
    table = table_of(tmp_path, rows)
    who = people(tmp_path, ["v0", "v1", "v2"], granted=None)
    for kind in ("parquet", "arrow", "csv", "ndjson"):
        job = job_of(tmp_path, table, who, kind, level="L2", consent=None, cut_s=10, format=kind)
        job = msgspec.structs.replace(job, trips=f"{job.index}.trips")
        done = run(job)
        assert isinstance(done, Made)
        assert (done.vehicles, indexes.read(job.index).tolist()) == (3, [1, 2])
        assert job.trips is not None
        assert list(indexes.trips(job.trips, [0, 1])) == [secret("trip|v1|z")]
        assert set(indexes.trips(job.trips, [2, 3])) == {secret("trip|v2|a"), secret("trip|v2|b")}
        assert Path(job.trips).stat().st_size == 3 * indexes.TRIP_BYTES
    assert list(indexes.trips(str(tmp_path / "gone"), [1])) == []


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_file_that_becomes_too_large_is_broken_off(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WATCH_S", 0.001)
    job = job_of(tmp_path, table_of(tmp_path, drive(seconds=2_000)), people(tmp_path, ["v0"]), format=form)
    assert failed(msgspec.structs.replace(job, limits=Limits(output_bytes=1_000))) == TOO_LARGE


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_rows_that_are_called_anonymous_leave_only_if_they_are(form: str, tmp_path: Path) -> None:
    """Of 1,000 vehicles in one place and hour nobody is unique; of 999, or of those each in a place of its own, they are."""
    plan: dict[str, Any] = {"level": "L2", "anonymous": True, "step_s": 3600, "cell_level": 5, "consent": None, "format": form}
    plan["columns"] = (LATITUDE, LONGITUDE)
    names = [f"v{number}" for number in range(1_000)]
    who = people(tmp_path, names, granted=None)
    alike = [row(name) for name in names]
    assert isinstance(run(job_of(tmp_path, table_of(tmp_path, alike), who, "alike", **plan)), Made)
    assert failed(job_of(tmp_path, table_of(tmp_path, alike[1:]), who, "few", **plan)) == NOT_ANONYMOUS
    apart = [row(name, lat=-60 + number / 10) for number, name in enumerate(names)]
    assert failed(job_of(tmp_path, table_of(tmp_path, apart), who, "apart", **plan)).code == "not-anonymous"


def test_a_query_short_of_memory_is_tried_with_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    make = query._run

    def hungry(job: Job) -> Made:
        tried.append(job.limits.threads)
        if job.limits.threads > 1:
            raise MemoryError
        return make(job)

    monkeypatch.setattr(query, "_run", hungry)
    found, _ = made(job_of(tmp_path, table_of(tmp_path, [row()]), people(tmp_path, ["v0"])))
    assert (tried, found.rows) == ([2, 1], 1)


def test_a_full_disk_is_said_and_nothing_stays(tmp_path: Path) -> None:
    job = job_of(tmp_path, table_of(tmp_path, [row()]), people(tmp_path, ["v0"]))
    job = msgspec.structs.replace(job, limits=Limits(free_bytes=2**60))
    assert failed(job).code == "disk-full"


def test_what_is_not_there_is_not_planned_around(tmp_path: Path) -> None:
    table = table_of(tmp_path, [row()])
    assert failed(job_of(tmp_path, table, people(tmp_path, ["v0"]), columns=("Vehicle.Absent",))).code == "plan-impossible"
    assert failed(job_of(tmp_path, table, name="cells", **(CELLS | {"least": 0}))).code == "plan-impossible"
