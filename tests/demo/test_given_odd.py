"""Data as the world has them: ids that no ledger takes, wrong clocks, names that are no text. None of it stops the demo."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from connector.demo.given import Given, taken
from connector.demo.given_files import survey
from connector.demo.given_mapping import NotTaken, mapping_lines
from connector.demo.given_people import Buyers

BUYERS = Buyers(insurer="did:web:insurer.example", repairer="did:web:repairer.example")
HEADER = ["vehicle_id", "trip_id", "time", "speed_kmh", "lat", "lon"]
ROWS = 40


def write(file: Path, vehicles: list[str], day: str = "2026-01-05") -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        lines = csv.writer(opened)
        lines.writerow(HEADER)
        for vehicle in vehicles:
            lines.writerows([vehicle, "t1", f"{day}T10:00:{second:02}Z", 30, 48.1, 11.5] for second in range(ROWS))


def given(folder: Path, vehicles: list[str], day: str = "2026-01-05") -> Given:
    (folder / "data").mkdir()
    (folder / "place").mkdir()
    write(folder / "data" / "a.csv", vehicles, day)
    return taken(survey(folder / "data", None, folder / "place"), folder / "place", BUYERS)


def decided(found: Given) -> list[dict[str, str]]:
    with found.consents_file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_vehicles_that_no_ledger_takes_are_not_asked_and_counted(tmp_path: Path) -> None:
    odd = ["esc\x1b[2J", "two\nlines", "long" * 100]
    found = given(tmp_path, [*odd, "v1", "v2", "v3"])
    assert found.counted.vehicles == 6
    assert found.unasked == len(odd)
    assert {row["vehicle"] for row in decided(found)} <= {"v1", "v2", "v3"}
    assert {contract["vehicle"] for contract in found.contracts} <= {"v1", "v2", "v3"}
    assert found.contracts
    assert found.lacking[0] == "3 vehicles count as not agreeing: an id has 1 to 128 characters without control characters"


def test_where_no_vehicle_can_be_asked_nobody_has_agreed(tmp_path: Path) -> None:
    found = given(tmp_path, ["\x1b1", "\x1b2"])
    assert (found.unasked, decided(found), found.contracts, dict(found.agreed)) == (2, [], (), {})


@pytest.mark.parametrize("day", ["1971-01-02", "2035-01-01"])
def test_decisions_are_of_a_time_that_a_ledger_takes(day: str, tmp_path: Path) -> None:
    found = given(tmp_path, ["v1", "v2"], day)
    times = {int(row["at_ms"]) for row in decided(found)}
    assert times
    assert all(0 <= at_ms <= os.stat(found.consents_file).st_mtime_ns // 1_000_000 for at_ms in times)


def gone(file: Path) -> None:
    file.unlink()


def other_headers(file: Path) -> None:
    file.write_text("a,b\n1,2\n")


def other_lines(file: Path) -> None:
    file.write_text(file.read_text() + '"\n')


@pytest.mark.parametrize("change", [gone, other_headers, other_lines])
def test_files_that_change_after_the_look_end_it_with_what_to_do(change: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / "a.csv", ["v1", "v2"])
    looked = survey(tmp_path / "a.csv", None, tmp_path)
    change(tmp_path / "a.csv")
    with pytest.raises(NotTaken) as refused:
        taken(looked, tmp_path, BUYERS)
    assert refused.value.code == "table-changed"
    assert refused.value.remedy == ("let nothing write to the files while the demo runs, then begin again",)


@pytest.mark.parametrize("name", [b"\xff.csv", b"\xff"])
def test_a_name_that_is_no_text_is_refused(name: bytes, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    at = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    if name.endswith(b".csv"):
        write(at, ["v1"])
    else:
        at.mkdir()
        write(at / "a.csv", ["v1"])
    with pytest.raises(NotTaken) as refused:
        survey(at, None, place)
    assert "not UTF-8 (file-name)" in " ".join(refused.value.remedy)
    assert not any("\udc80" <= sign <= "\udcff" for line in refused.value.remedy for sign in line)


def test_the_id_of_the_one_vehicle_is_not_printed(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", ["v1"])
    mapping = tmp_path / "mapping.json"
    mapping.write_text(
        '{"origin": "given", "one_vehicle": "WVWZZZ1JZXW000001", "trip": "trip_id", "time": {"header": "time"},'
        ' "columns": [{"header": "speed_kmh", "path": "Vehicle.Speed"}]}'
    )
    found = survey(tmp_path / "a.csv", mapping, tmp_path)
    assert found.table.mapping.one_vehicle == "WVWZZZ1JZXW000001"
    assert not any("WVWZZZ" in line for line in mapping_lines(found.table.mapping))
