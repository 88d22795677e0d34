"""Every format says the same, and its digest can be made again of the file alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.dataplane.plan.model import Format
from connector.dataplane.query.job import Made
from connector.dataplane.query.output import digest_of_file, sha256_of
from connector.dataplane.query.run import run
from connector.dataplane.tables.model import LATITUDE, SPEED
from tests.dataplane.query.small import NOTE, START, drive, job_of, people, row, table_of

FORMATS: tuple[Format, ...] = ("parquet", "arrow", "ndjson", "csv")
ROWS = [
    *drive(seconds=30),
    row(speed=None, note='=1+1, "quoted"\nbroken'),
    row(speed=1e-7, note="1e5"),
    row(speed=-0.0, note=""),
    row(speed=1e22, note="null", at=START + 86_400),
    row(lat=None, lon=None, note="Ünïcode,é"),
]


def made(folder: Path, kind: Format, name: str, *, level: str = "L1", rows: list[dict[str, object]] = ROWS) -> tuple[Made, Path]:
    shape = {"columns": (LATITUDE, SPEED, NOTE), "format": kind, "epoch": "day" if level == "L1" else None, "level": level}
    job = job_of(folder, table_of(folder, rows), people(folder, ["v0"]), name, **shape)
    found = run(job)
    assert isinstance(found, Made), found
    return found, Path(job.output)


def test_formats_and_orders_have_one_digest(tmp_path: Path) -> None:
    digests = set()
    for kind in FORMATS:
        found, path = made(tmp_path, kind, f"in-{kind}")
        assert (found.rows, found.bytes, found.sha256) == (len(ROWS), path.stat().st_size, sha256_of(str(path)))
        assert digest_of_file(path, kind) == (found.rows, found.rows_digest)
        assert found.columns == ("pseudonym", "trip", "time", LATITUDE, SPEED, NOTE)
        assert found.vehicles == 1
        digests.add(found.rows_digest)
    digests.add(made(tmp_path, "parquet", "backwards", rows=ROWS[::-1])[0].rows_digest)
    assert len(digests) == 1


@pytest.mark.parametrize("change", ["a row less", "a row twice", "a value", "a null", "names", "order of columns"])
def test_another_content_has_another_digest(change: str, tmp_path: Path) -> None:
    found, path = made(tmp_path, "parquet", "one")
    table = pq.read_table(path)
    rows = table.to_pylist()
    if change == "a row less":
        rows = rows[1:]
    elif change == "a row twice":
        rows.append(rows[0])
    elif change == "a value":
        rows[0][SPEED] = 60.000001
    elif change == "a null":
        rows[0][SPEED] = None
    table = pa.Table.from_pylist(rows, schema=table.schema)
    if change == "names":
        table = table.rename_columns(["pseudonym", "trip", "time", "a", "b", "c"])
    elif change == "order of columns":
        table = table.select(["trip", "pseudonym", "time", LATITUDE, SPEED, NOTE])
    pq.write_table(table, path)
    assert digest_of_file(path, "parquet")[1] != found.rows_digest


def test_no_rows_have_one_digest_in_each_format(tmp_path: Path) -> None:
    nothing = [row("stranger")]
    found = [made(tmp_path, kind, f"in-{kind}", rows=nothing) for kind in FORMATS]
    assert {(one.rows, one.rows_digest) for one, _ in found} == {(0, found[0][0].rows_digest)}
    assert {digest_of_file(path, kind) for (_, path), kind in zip(found, FORMATS, strict=True)} == {(0, found[0][0].rows_digest)}


def test_times_are_instants_in_the_formats_own_way(tmp_path: Path) -> None:
    assert pq.read_schema(made(tmp_path, "parquet", "p")[1]).field("time").type == pa.timestamp("us", "UTC")
    assert pa.ipc.open_file(made(tmp_path, "arrow", "a")[1]).schema.field("time").type == pa.timestamp("us", "UTC")
    lines = made(tmp_path, "ndjson", "n")[1].read_text().splitlines()
    assert "2026-03-01T00:00:00Z" in {json.loads(line)["time"] for line in lines}
    text = made(tmp_path, "csv", "c", level="L2")[1].read_text()
    assert text.splitlines()[0] == f"trip,time,{LATITUDE},{SPEED},{NOTE}"
    assert "2026-03-02T00:00:00Z" in text
    assert "quoted" in text
    assert '"=1+1, ""quoted""broken"' in text


MEASURED = """
import sys
import pyarrow as pa
from connector.dataplane.query.output import digest_of_file
rows, _ = digest_of_file(sys.argv[1], "parquet")
print(rows, pa.default_memory_pool().max_memory())
"""


def test_a_digest_needs_no_more_memory_for_more_row_groups(tmp_path: Path) -> None:
    """Names that are all different, without a dictionary in the file, as pseudonyms of a large fleet are."""
    most: list[int] = []
    for groups in (2, 12):
        path = tmp_path / f"{groups}.parquet"
        names = [f"{number:032x}" for number in range(groups * 30_000)]
        pq.write_table(pa.table({"pseudonym": names}), path, row_group_size=30_000, use_dictionary=False)
        said = subprocess.run([sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True).stdout
        rows, peak = map(int, said.split())
        assert rows == len(names)
        most.append(peak)
    assert most[1] < 1.5 * most[0], most


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    _, path = made(tmp_path, "parquet", "whole")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises((pa.ArrowInvalid, OSError, duckdb.Error)):
        digest_of_file(path, "parquet")


def test_answers_travel_as_json(tmp_path: Path) -> None:
    found, _ = made(tmp_path, "csv", "one")
    assert msgspec.json.decode(msgspec.json.encode(found), type=Made) == found
