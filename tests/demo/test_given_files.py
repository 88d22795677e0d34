"""A folder as somebody gives it: what is taken, what is left out and why, and mappings that are guessed, given and wrong."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.dataplane.tables.look import look
from connector.dataplane.tables.model import Mapping
from connector.demo import given_files
from connector.demo.fleet import KIT, write_ved
from connector.demo.given_counts import whole
from connector.demo.given_files import Survey, survey
from connector.demo.given_mapping import NotTaken

NEAR = replace(KIT, towns=1, spread_km=2.0, trip_km=(1.0, 2.0, 3.0))


def envirocar(folder: Path) -> None:
    lines = [f"t{n // 20},v{n // 40},2020-03-05T13:{n // 20:02}:{n % 20 * 2:02}Z,53.1,{9 + n / 9000},{n % 50}" for n in range(80)]
    header = "track_id,vehicle_id,time,lat,lon,speed_obd_kmh"
    (folder / "points.csv").write_text("\n".join([header, *lines]) + "\n")


def kit(folder: Path) -> None:
    begin = datetime(2017, 8, 7, 7, 30)  # noqa: DTZ001  # as the file has it: by the clock on the wall
    rows = [
        {"trip_id": f"t{n // 30}", "ts": begin + timedelta(seconds=n), "speed_kmh": float(n % 40), "coolant_temp_c": 80.0,
         "accel_pedal_d_pct": 14.1}
        for n in range(90)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "drives.parquet")


def ved(folder: Path) -> None:
    write_ved(folder, NEAR, 2, 1, seed=3)


MAKERS: list[Callable[[Path], None]] = [envirocar, kit, ved]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def renamed(folder: Path) -> dict[str, str]:
    """Every header of every file in a folder is another: new by old."""
    names: dict[str, str] = {}
    for file in folder.iterdir():
        if file.suffix == ".parquet":
            table = pq.read_table(file)
            names |= {name: f"k{number}" for number, name in enumerate(table.column_names)}
            pq.write_table(table.rename_columns([names[name] for name in table.column_names]), file)
            continue
        head, _, rest = file.read_text().partition("\n")
        names |= {name: f"k{number}" for number, name in enumerate(next(csv.reader([head])))}
        file.write_text(",".join(names.values()) + "\n" + rest)
    return names


def translated(found: Any, names: dict[str, str]) -> Any:
    """A mapping with other headers."""
    if isinstance(found, dict):
        return {
            name: names.get(value, value) if name in ("header", "vehicle", "trip", "ms_header") else translated(value, names)
            for name, value in found.items()
        }
    return [translated(each, names) for each in found] if isinstance(found, list) else found


def refused(path: Path, mapping: Path | None, place: Path) -> NotTaken:
    with pytest.raises(NotTaken) as caught:
        survey(path, mapping, place)
    return caught.value


def account(found: Survey) -> tuple[Any, ...]:
    counted, vehicles = whole(found.table, 100)
    return (*msgspec.structs.astuple(found.table.mapping.time)[1:4], replace(counted, km=round(counted.km, 6)), vehicles)


@pytest.mark.parametrize("make", MAKERS)
def test_the_mapping_that_was_guessed_can_be_given(make: Callable[[Path], None], data: Path, place: Path, tmp_path: Path) -> None:
    make(data)
    guessed = survey(data, None, place)
    assert guessed.guessed
    assert guessed.mapping_file == place / "mapping.json"
    form = json.loads(guessed.mapping_file.read_text())
    assert msgspec.convert(form, Mapping) == guessed.table.mapping
    assert guessed.mapping == form
    second = survey(data, guessed.mapping_file, tmp_path)
    assert not second.guessed
    assert second.table == guessed.table
    assert second.mapping_file.read_bytes() == guessed.mapping_file.read_bytes()
    assert look(second.path, msgspec.convert(form, Mapping)).mapping == guessed.table.mapping


@pytest.mark.parametrize("make", MAKERS)
def test_with_other_headers_the_guess_fails_and_a_mapping_helps(
    make: Callable[[Path], None], data: Path, place: Path, tmp_path: Path
) -> None:
    make(data)
    before = survey(data, None, tmp_path)
    expected = account(before)
    names = renamed(data)
    error = refused(data, None, place)
    assert error.code == "column-missing"
    assert "vehicle, trip, time" in error.reason
    assert str(place / "mapping-to-finish.json") in error.remedy[0]
    given = place / "given.json"
    given.write_text(json.dumps(translated(before.mapping, names)))
    assert account(survey(data, given, place)) == expected


def test_what_is_begun_can_be_finished(data: Path, place: Path, tmp_path: Path) -> None:
    envirocar(data)
    expected = account(survey(data, None, tmp_path))
    names = renamed(data)
    refused(data, None, place)
    begun = json.loads((place / "mapping-to-finish.json").read_text())
    assert {column["header"] for column in begun["columns"]} == set(names.values())
    error = refused(data, place / "mapping-to-finish.json", place)
    assert error.code == "mapping-unfinished"
    assert "vehicle, trip, time.header, time.zone, columns[0].path and elsewhere" in error.reason
    begun |= {"vehicle": names["vehicle_id"], "trip": names["track_id"]}
    begun["time"] = {"header": names["time"], "clock": "instant", "zone": "UTC"}
    begun["columns"] = [
        {"header": names["lat"], "path": "Vehicle.CurrentLocation.Latitude"},
        {"header": names["lon"], "path": "Vehicle.CurrentLocation.Longitude"},
        {"header": names["speed_obd_kmh"], "path": "Vehicle.Speed"},
    ]
    finished = place / "finished.json"
    finished.write_text(json.dumps(begun))
    found = survey(data, finished, place)
    assert account(found) == expected
    assert {column.category for column in found.table.mapping.columns} == {"location", "driving-behaviour"}


def test_what_can_be_guessed_stands_in_what_is_begun(data: Path, place: Path) -> None:
    (data / "a.csv").write_text("vin,trip,moment,speed_mph,x\nA,1,2020-01-01T00:00:00Z,50,1\n")
    error = refused(data, None, place)
    assert error.reason == "a.csv: not recognised, for want of: time"
    begun = json.loads((place / "mapping-to-finish.json").read_text())
    assert (begun["vehicle"], begun["trip"], begun["time"]["header"]) == ("vin", "trip", "?")
    assert [(column["header"], column["path"]) for column in begun["columns"]] == [
        ("speed_mph", "Vehicle.Speed"), ("moment", "?"), ("x", "?"),
    ]  # fmt: skip


def test_every_file_of_a_folder_is_spoken_of(data: Path, place: Path) -> None:
    envirocar(data)
    (data / "trips.csv").write_text("track_id,vehicle_id,length_km\nt0,v0,3.1\nt1,v0,2.2\n")
    (data / "grid.csv").write_text("gridId,hour,mean\na,1,30\n")
    (data / "fewer.csv").write_text("vehicle,trip,utc,lat,lon\nv,t,2020-03-05T13:00:00Z,53,9\nv,t,2020-03-05T13:00:01Z,53,9\n")
    (data / "other.csv").write_text("vehicle,trip,note\nv,t,x\nv,t,y\n")
    (data / "broken.parquet").write_bytes(b"PAR1 and no more")
    (data / "empty.csv").write_text("")
    (data / "README.md").write_text("about")
    (data / ".hidden.csv").write_text("a,b\n")
    (data / "more").mkdir()
    (data / "link.csv").symlink_to(data / "points.csv")
    said = dict(line.split(": ", 1) for line in survey(data, None, place).files)
    assert {name: reason.split(":")[0].split(",")[0] for name, reason in said.items()} == {
        "points.csv": "taken",
        **dict.fromkeys(
            ["trips.csv", "grid.csv", "fewer.csv", "other.csv", "broken.parquet", "empty.csv", "README.md"], "left out"
        ),
        **dict.fromkeys([".hidden.csv", "more", "link.csv"], "left out"),
    }
    assert said["fewer.csv"] == "left out: rows too, but fewer (2); to take them, name the file"
    assert "one row a trip" in said["trips.csv"]
    assert "neither vehicle nor trip" in said["grid.csv"]
    assert said["other.csv"] == "left out: not recognised, for want of: time, a signal"
    assert "(file-unreadable)" in said["broken.parquet"]
    assert said["link.csv"] == "left out: a link"


def test_a_table_of_several_files_among_others_is_copied(data: Path, place: Path) -> None:
    write_ved(data, NEAR, 2, 3, seed=3)
    alone = survey(data, None, place)
    assert alone.path == data
    assert alone.roots == (data,)
    (data / "grid.csv").write_text("gridId,hour,mean\na,1,30\n")
    among = survey(data, None, place)
    assert among.path == place / "given"
    assert sorted(file.name for file in among.path.iterdir()) == sorted(each.name for each in data.glob("VED*"))
    assert account(among) == account(alone)


def test_no_copy_is_made_where_the_disk_is_too_full(data: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ved(data, NEAR, 2, 3, seed=3)
    (data / "grid.csv").write_text("gridId,hour,mean\na,1,30\n")
    monkeypatch.setattr(given_files, "MARGIN_BYTES", 2**62)
    assert refused(data, None, place).code == "disk-full"
    assert list(place.iterdir()) == []


def test_one_file_can_be_named(data: Path, place: Path) -> None:
    envirocar(data)
    (data / "grid.csv").write_text("gridId,hour,mean\na,1,30\n")
    found = survey(data / "points.csv", None, place)
    assert found.path == data / "points.csv"
    assert found.files == ("points.csv: taken: 80 rows",)


@pytest.mark.parametrize(
    ("content", "code", "about"),
    [
        ("{", "mapping-unreadable", "no JSON"),
        ("[" * 100_000, "mapping-unreadable", "no JSON"),
        ("[]", "mapping-invalid", "Expected `object`, got `array`"),
        ('{"origin": "given", "columns": []}', "mapping-invalid", "missing required field `time`"),
        ('{"origin": "mine", "columns": [], "time": {"header": "time"}}', "mapping-invalid", "`$.origin`"),
        (
            '{"origin": "given", "vehicle": "nobody", "trip": "track_id", "time": {"header": "time"},'
            ' "columns": [{"header": "lat", "path": "Vehicle.CurrentLocation.Latitude"}]}',
            "column-missing",
            "the table has no column 'nobody'",
        ),
        (
            '{"origin": "given", "vehicle": "vehicle_id", "trip": "track_id", "time": {"header": "time", "zone": "Mars"},'
            ' "columns": [{"header": "speed_obd_kmh", "path": "Vehicle.Speed"}]}',
            "time-zone",
            "zone",
        ),
        (
            '{"origin": "given", "vehicle": "vehicle_id", "trip": "track_id", "time": {"header": "time"},'
            ' "columns": [{"header": "speed_obd_kmh", "path": "speed"}]}',
            "column-path",
            "'speed' is not a path",
        ),
    ],
)
def test_wrong_mappings_are_refused_by_their_code(content: str, code: str, about: str, data: Path, place: Path) -> None:
    envirocar(data)
    given = place / "given.json"
    given.write_text(content)
    error = refused(data, given, place)
    assert error.code == code
    assert about in error.reason
    assert error.remedy
    assert [file.name for file in place.iterdir()] == ["given.json"]


def test_without_data_or_mapping_it_says_so(data: Path, place: Path) -> None:
    assert refused(data / "none", None, place).code == "data-missing"
    assert refused(data, None, place).code == "table-empty"
    envirocar(data)
    error = refused(data, place / "none.json", place)
    assert error.code == "mapping-unreadable"
    assert "No such file" in error.reason


def test_a_file_that_is_no_table_is_refused_with_its_code(data: Path, place: Path) -> None:
    (data / "a.csv").write_text("vehicle,trip,utc,lat\nv,t,2020-01-01T00:00:00Z,1\nv,t,x\n")
    assert refused(data / "a.csv", None, place).code == "file-unreadable"
