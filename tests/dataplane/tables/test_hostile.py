"""Files that somebody made to break what reads them: refused by a code, or read as the text that they are."""

from __future__ import annotations

import csv
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ibis
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.dataplane.tables.files import MAX_COLUMNS, MAX_HEAD_BYTES, MAX_ROWS_PER_BYTE
from connector.dataplane.tables.look import look
from connector.dataplane.tables.model import Column, Mapping, Table, TimeColumn
from connector.dataplane.tables.read import canonical, verify
from connector.dataplane.tables.refused import SchemaChanged, TableRefused

SPEED = "Vehicle.Speed"
HEAD = "vin,trip,time,speed_kmh"
GOOD = f"{HEAD}\nA,1,2026-01-01T00:00:00Z,50\nA,1,2026-01-01T00:00:01Z,51\n"


def rows(table: Table) -> list[dict[str, Any]]:
    connection = ibis.duckdb.connect()
    try:
        found: list[dict[str, Any]] = canonical(connection, table).order_by("at").to_pyarrow().to_pylist()
        return found
    finally:
        connection.disconnect()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "header-unreadable"),
        (f"{HEAD}\n".encode(), "table-empty"),
        (GOOD.encode() + b"A,1\n", "file-unreadable"),
        (GOOD.encode() + b"A,1,2026-01-01T00:00:02Z,5,6,7\n", "file-unreadable"),
        (GOOD.encode() + b"A\0,1,2026-01-01T00:00:02Z,5\n", "file-unreadable"),
        (GOOD.encode("utf-16"), "encoding-unknown"),
        (b'vin,"trip\n",time,speed_kmh\n', "header-unreadable"),
        (b"vin,trip\x1b[2J,time,speed_kmh\nA,1,2026-01-01T00:00:02Z,5\n", "header-unreadable"),
        (b"vin,trip,time,VIN,speed_kmh\nA,1,2026-01-01T00:00:02Z,5,5\n", "header-double"),
        (b"vin,trip,time," + b"x" * 300 + b"\n", "header-unreadable"),
        (b"x" * (MAX_HEAD_BYTES + 1), "header-unreadable"),
        (",".join(f"c{n}" for n in range(MAX_COLUMNS + 1)).encode(), "too-many-columns"),
        (b"," * 100_000, "too-many-columns"),
        (b"vin,time,speed_kmh\nA,2026-01-01T00:00:00Z,5\n", "column-missing"),
        (b"vin,trip,time,speed_kmh\nA,1,2026-01-01 00:00:00,5\n", "column-missing"),
        (b"vin,trip,time,speed\nA,1,2026-01-01T00:00:00Z,5\n", "column-missing"),
        (b"vin,trip,time,speed_kmh\n,1,2026-01-01T00:00:00Z,5\n", "vehicle-unreadable"),
    ],
)
def test_csv_is_refused_by_a_code(tmp_path: Path, content: bytes, code: str) -> None:
    (file := tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TableRefused) as refused:
        look(file)
    assert refused.value.code == code
    assert "A,1" not in str(refused.value)


def parquet(path: Path, count: int = 1000, **options: Any) -> None:
    columns = {
        "vin": ["A"] * count,
        "trip": ["1"] * count,
        "time": pa.array([1_767_225_600_000_000 + n * 1_000_000 for n in range(count)], pa.timestamp("us", tz="UTC")),
        "speed_kmh": [float(n) for n in range(count)],
    }
    pq.write_table(pa.table(columns), path, **options)


def test_parquet_cut_off_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    for content in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], b"x" * 500, b"PAR1" + b"\xff" * 4 + b"PAR1"):
        (file := tmp_path / "t.parquet").write_bytes(content)
        with pytest.raises(TableRefused) as refused:
            look(file)
        assert refused.value.code == "file-unreadable"
    (file := tmp_path / "t.parquet").write_bytes(b"PAR1" + b"\0" * (9 << 20) + struct.pack("<I", 9 << 20) + b"PAR1")
    with pytest.raises(TableRefused, match="too-many-columns"):
        look(file)


class Apart:
    """Looks at files in a process of its own, as the data plane does: what breaks a reader ends that process and no other."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def look(self, file: Path) -> str:
        """``read``, ``refused``, or ``died``."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", LOOKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{file}\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline().strip()
        if said:
            return said
        assert self._process.wait(30) < 0, "the process ended with an exception, not with a signal"
        self._process.stdout.close()
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process = None
        return "died"

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=30)


LOOKING = """
import resource, sys
from pathlib import Path
from connector.dataplane.tables.look import look
from connector.dataplane.tables.refused import TableRefused
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for line in sys.stdin:
    try:
        look(Path(line[:-1]))
    except TableRefused:
        print("refused", flush=True)
    else:
        print("read", flush=True)
"""


@pytest.fixture
def apart() -> Iterator[Apart]:
    process = Apart()
    yield process
    process.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_parquet_is_refused_or_read_or_ends_its_reader(tmp_path: Path, apart: Apart, data: st.DataObject) -> None:
    parquet(tmp_path / "whole.parquet", 50, compression="none")
    content = bytearray((tmp_path / "whole.parquet").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 9))] = data.draw(st.integers(0, 255))
    (file := tmp_path / "t.parquet").write_bytes(content)
    assert apart.look(file) in ("read", "refused", "died")


def test_parquet_that_announces_too_much_is_refused(tmp_path: Path) -> None:
    count = 30_000_000

    one = pa.nulls(count, pa.int8())
    pq.write_table(pa.table({"vin": one}), file := tmp_path / "t.parquet", row_group_size=count)
    assert file.stat().st_size * MAX_ROWS_PER_BYTE < count
    with pytest.raises(TableRefused) as refused:
        look(file)
    assert refused.value.code == "table-too-large"


def test_a_parquet_table_of_too_many_columns_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({f"c{n}": [1] for n in range(MAX_COLUMNS + 1)}), file := tmp_path / "t.parquet")
    with pytest.raises(TableRefused, match="too-many-columns"):
        look(file)


def test_names_of_files_are_no_patterns_and_links_are_not_followed(tmp_path: Path) -> None:
    (star := tmp_path / "a*.csv").write_text(GOOD)
    with pytest.raises(TableRefused, match="file-name"):
        look(star)
    folder = tmp_path / "vin=secret"
    folder.mkdir()
    (folder / "it's; DROP TABLE x; --.csv").write_text(GOOD)
    (folder / "notes.txt").write_text("x")
    os.symlink(star, folder / "link.csv")
    table = look(folder)
    assert (len(table.files), table.rows) == (1, 2)
    assert rows(table)[0]["vehicle"] == "A"
    (folder / "other.parquet").write_bytes(b"")
    with pytest.raises(TableRefused, match="table-formats-differ"):
        look(folder)
    (folder / "other.parquet").unlink()
    (folder / "z.csv").write_text(GOOD.replace("speed_kmh", "speed_mph"))
    with pytest.raises(TableRefused, match="table-headers-differ"):
        look(folder)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20) | st.sampled_from(
    ['"', "'; DROP TABLE x; --", "a\"b", "$1", "?", "{0}", "\\", "file0", "file", "c0", "filename", "c1", "vehicle", "at", "*"]
)  # fmt: skip
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=20) | st.sampled_from(
    ["'; DROP TABLE x; --", '"', "1e999", "-inf", "infinity", "NaN", "0x10", "99999999999999999999", "5", "-0.5", " 7 "]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(NAMES, min_size=5, max_size=5, unique_by=str.lower),
    values=st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=5),
    kind=st.sampled_from(["csv", "parquet"]),
)
def test_headers_and_values_are_only_text(
    tmp_path: Path, names: list[str], values: list[tuple[str, str, str]], kind: str
) -> None:
    vehicle, trip, time, speed, code = names
    mapping = Mapping(
        origin="given",
        vehicle=vehicle,
        trip=trip,
        time=TimeColumn(time, "epoch-s"),
        columns=(
            Column(speed, SPEED, "number", "km/h", "driving-behaviour"),
            Column(code, "Vehicle.Diagnostics.DTCList", "text"),
        ),
    )
    lines = [[owner, "t", str(1_700_000_000 + at), number, text] for at, (owner, number, text) in enumerate(values)]
    lines.append(["V", "t", "1700000100", "1", "x"])
    lines += [lines[-1]] * len(lines)
    file = tmp_path / f"t.{kind}"
    if kind == "csv":
        with file.open("w", newline="", encoding="utf-8") as opened:
            csv.writer(opened, quoting=csv.QUOTE_ALL).writerows([names, *lines])
    else:
        pq.write_table(pa.table([list(column) for column in zip(*lines, strict=True)], names=names), file)
    try:
        table = look(file, mapping)
    except TableRefused as refused:
        assert refused.code in ("header-double", "column-missing", "header-unreadable")  # noqa: PT017  # or it is read
        return
    empty = {"", "NaN", "nan"} if kind == "csv" else {""}
    said = [line for line in lines if line[0] not in empty]
    found = rows(table)
    assert sorted(row["vehicle"] for row in found) == sorted(line[0] for line in said)
    texts = [line[4] for line in said if line[4] not in empty]
    assert sorted(row["Vehicle.Diagnostics.DTCList"] for row in found if row["Vehicle.Diagnostics.DTCList"]) == sorted(texts)
    assert all(row[SPEED] is None or abs(row[SPEED]) < float("inf") for row in found)
    assert verify(table) == table.snapshot


def test_a_changed_schema_names_its_column_and_late_rows_are_a_new_snapshot(tmp_path: Path) -> None:
    (file := tmp_path / "t.csv").write_text(GOOD)
    table = look(file)
    file.write_text(GOOD + "A,1,2026-01-01T00:00:09Z,52\n")
    assert verify(table) != table.snapshot
    assert len(rows(table)) == 3
    for head, column in (
        ("vin,trip,time", "speed_kmh"),
        ("vin,trip,time,speed_mph", "speed_kmh"),
        (HEAD + ",extra", "extra"),
        ("trip,vin,time,speed_kmh", "vin"),
    ):
        file.write_text(head + "\n")
        with pytest.raises(SchemaChanged) as changed:
            verify(table)
        assert changed.value.column == column
    file.unlink()
    with pytest.raises(SchemaChanged) as changed:
        verify(table)
    assert changed.value.column is None


def test_a_retyped_column_is_a_changed_schema(tmp_path: Path) -> None:
    parquet(file := tmp_path / "t.parquet", 3)
    table = look(file)
    found = pq.read_table(file)
    pq.write_table(found.set_column(3, "speed_kmh", found["speed_kmh"].cast(pa.float32())), file)
    with pytest.raises(SchemaChanged, match="was double and is float") as changed:
        verify(table)
    assert changed.value.column == "speed_kmh"


def given_mapping(**changed: Any) -> Mapping:
    column = {"header": "speed_kmh", "path": SPEED, "unit": "km/h", "category": "driving-behaviour"}
    asked = {"origin": "given", "vehicle": "vin", "trip": "trip", "time": {"header": "time"}, "columns": [column]}
    return msgspec.convert({**asked, **changed}, Mapping)


def column(**changed: Any) -> list[dict[str, Any]]:
    return [{"header": "speed_kmh", "path": SPEED, "unit": "km/h", "category": "driving-behaviour", **changed}]


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        (given_mapping(vehicle="car"), "column-missing"),
        (given_mapping(vehicle=None), "vehicle-unreadable"),
        (given_mapping(one_vehicle="x"), "vehicle-unreadable"),
        (given_mapping(trip="vin"), "column-double"),
        (given_mapping(columns=[]), "column-missing"),
        (given_mapping(columns=column(header="vin")), "column-double"),
        (given_mapping(columns=column(path="speed")), "column-path"),
        (given_mapping(columns=column(path='Vehicle."x')), "column-path"),
        (given_mapping(columns=column(path="Vehicle.VehicleIdentification.VIN", category="identity")), "column-path"),
        (given_mapping(columns=column(path="Vehicle.StartTime")), "column-path"),
        (given_mapping(columns=column(category="diagnostics")), "column-path"),
        (given_mapping(columns=column(unit="m/s")), "column-unit"),
        (given_mapping(columns=column(type="text")), "column-type"),
        (given_mapping(columns=column() + column()), "column-double"),
        (given_mapping(time={"header": "time", "zone": "../../etc/passwd"}), "time-zone"),
        (given_mapping(time={"header": "time", "zone": "Mars/Base"}), "time-zone"),
        (given_mapping(time={"header": "time", "clock": "epoch-s"}), "time-unreadable"),
        (given_mapping(time={"header": "time", "clock": "day-and-ms"}), "time-unreadable"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(tmp_path: Path, mapping: Mapping, code: str) -> None:
    (file := tmp_path / "t.csv").write_text(GOOD)
    with pytest.raises(TableRefused) as refused:
        look(file, mapping)
    assert refused.value.code == code
