"""What is done with received files: rows into a table, and rows that have to go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.dataplane.landing import disk

FORMATS = ("parquet", "arrow", "csv", "ndjson")
ROWS = [("aa", 50.5), ("bb", 60.0), ("aa", 70.0), ("cc", 80.25)]


def write(folder: Path, form: str, rows: Sequence[tuple[str | None, float]] = ROWS, name: str = "pseudonym") -> Path:
    file = folder / f"data.{form}"
    table = pa.table({name: pa.array([who for who, _ in rows], pa.string()), "Vehicle.Speed": [speed for _, speed in rows]})
    if form == "parquet":
        pq.write_table(table, file)
    elif form == "arrow":
        with pa.ipc.new_file(str(file), table.schema) as writer:
            writer.write_table(table)
    elif form == "csv":
        file.write_text("".join(f"{who},{speed}\n" for who, speed in [(name, "Vehicle.Speed"), *rows]))
    else:
        file.write_text("".join(json.dumps({name: who, "Vehicle.Speed": speed}) + "\n" for who, speed in rows))
    return file


def read(file: Path, form: str) -> list[tuple[Any, ...]]:
    if form == "parquet":
        return [tuple(row.values()) for row in pq.read_table(file).to_pylist()]
    if form == "arrow":
        return [tuple(row.values()) for row in pa.ipc.open_file(str(file)).read_all().to_pylist()]
    if form == "csv":
        return [(who, float(speed)) for who, speed in (line.split(",") for line in file.read_text().splitlines()[1:])]
    return [tuple(json.loads(line).values()) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["pseudonym", "reference", "trip"])
def test_rows_of_a_vehicle_are_erased_and_all_others_stay(tmp_path: Path, form: str, name: str) -> None:
    file = write(tmp_path, form, name=name)
    before = disk.sha256_of(file)
    gone = disk.erase_rows(file, form, {"pseudonym": [], "reference": [], "trip": [], name: ["aa"]})
    assert gone == (2, before, disk.sha256_of(file))
    assert read(file, form) == [("bb", 60.0), ("cc", 80.25)]
    assert b"aa" not in file.read_bytes() or form in ("parquet", "arrow")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["who", "trip"])
def test_a_file_that_tells_no_vehicles_apart_stays_as_it_is(tmp_path: Path, form: str, name: str) -> None:
    """Names of trips tell vehicles apart only where trips are named."""
    file = write(tmp_path, form, name=name)
    before = file.read_bytes()
    with pytest.raises(disk.Unusable) as refused:
        disk.erase_rows(file, form, {"pseudonym": ["aa"]})
    assert refused.value.code == "column-gone"
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_file_that_is_gone_or_of_no_known_format_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(disk.Unusable, match="not where it landed"):
        disk.erase_rows(tmp_path / "gone.csv", "csv", {"pseudonym": ["aa"]})
    file = write(tmp_path, "csv")
    with pytest.raises(disk.Unusable, match="which format"):
        disk.erase_rows(file, "", {"pseudonym": ["aa"]})


@pytest.mark.parametrize("form", FORMATS)
def test_rows_go_into_a_table_once_however_often(tmp_path: Path, form: str) -> None:
    file, database = write(tmp_path, form), tmp_path / "bought.duckdb"
    assert disk.insert(file, form, database, "trips", "t1") == 4
    assert disk.insert(file, form, database, "trips", "t1") == 4
    assert disk.insert(file, form, database, "trips", "t2") == 4
    assert rows_of(database) == sorted((who, speed, t) for who, speed in ROWS for t in ("t1", "t2"))


def test_rows_with_other_columns_are_refused_and_the_table_is_as_before(tmp_path: Path) -> None:
    database = tmp_path / "bought.duckdb"
    disk.insert(write(tmp_path, "parquet"), "parquet", database, "trips", "t1")
    with pytest.raises(disk.Unusable) as refused:
        disk.insert(write(tmp_path, "csv", name="who"), "csv", database, "trips", "t2")
    assert refused.value.code == "columns-differ"
    assert len(rows_of(database)) == 4


def test_erasing_in_a_table_leaves_no_trace_in_its_file(tmp_path: Path) -> None:
    secret = "f00dfeed" * 4
    file, database = write(tmp_path, "parquet", [(secret, 1.0), ("bb", 2.0)]), tmp_path / "bought.duckdb"
    for transfer in ("t1", "t2"):
        disk.insert(file, "parquet", database, "trips", transfer)
    assert disk.erase_in_table(database, "trips", "t1", {"pseudonym": [secret]}, whole=False) == 1
    assert rows_of(database) == [("bb", 2.0, "t1"), ("bb", 2.0, "t2"), (secret, 1.0, "t2")]
    assert disk.erase_in_table(database, "trips", "t2", {}, whole=True) == 2
    assert rows_of(database) == [("bb", 2.0, "t1")]
    assert secret.encode() not in database.read_bytes()
    with pytest.raises(disk.Unusable, match="not where"):
        disk.erase_in_table(tmp_path / "gone.duckdb", "trips", "t1", {}, whole=True)


def test_trips_are_erased_in_a_table(tmp_path: Path) -> None:
    database = tmp_path / "bought.duckdb"
    disk.insert(write(tmp_path, "parquet", name="trip"), "parquet", database, "trips", "t1")
    assert disk.erase_in_table(database, "trips", "t1", {"pseudonym": [], "trip": ["aa", "bb"]}, whole=False) == 3
    assert rows_of(database) == [("cc", 80.25, "t1")]
    with pytest.raises(disk.Unusable, match="tells vehicles apart"):
        disk.erase_in_table(database, "trips", "t1", {"pseudonym": ["cc"]}, whole=False)


def rows_of(database: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database)) as connection:
        return sorted(connection.execute("FROM trips").fetchall())


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(["aa", "bb", "cc", None]), st.floats(0, 250)), max_size=20),
    gone=st.sets(st.sampled_from(["aa", "bb", "dd"]), min_size=1),
    form=st.sampled_from(["parquet", "arrow", "ndjson"]),
)
def test_what_stays_is_what_was_not_to_go(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str | None, float]], gone: set[str], form: str
) -> None:
    file = write(tmp_path_factory.mktemp("landed"), form, rows)
    if form == "ndjson" and not rows:
        return
    count, _, _ = disk.erase_rows(file, form, {"pseudonym": gone})
    kept = [row for row in rows if row[0] not in gone]
    assert (count, read(file, form)) == (len(rows) - len(kept), kept)
