"""What a lying provider sends as rows: our reader of received files bears it, within its memory, and nothing else happens."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from connector.dataplane.landing import disk

MIB: Final = 1024 * 1024


def worker(work: dict[str, Any]) -> dict[str, Any]:
    """The answer of a process that does one piece of work; empty if it died of it."""
    done = subprocess.run(
        [sys.executable, "-m", "connector.dataplane.landing.worker"],
        input=json.dumps(work).encode(),
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode == 0) == bool(done.stdout)
    return json.loads(done.stdout) if done.stdout else {}


def bomb(path: Path) -> Path:
    """A few kilobytes that are a gigabyte and a half, once the rows of one group are together."""
    text = pa.array(["x" * (64 * MIB)])
    table = pa.table({"pseudonym": pa.chunked_array([text] * 24)})
    pq.write_table(
        table, path, compression="zstd", use_dictionary=False, write_statistics=False, data_page_size=MIB, write_batch_size=1
    )
    assert path.stat().st_size < MIB
    return path


def arrow_bomb(path: Path) -> Path:
    """One batch of a gigabyte and a half, compressed."""
    text = pa.array(["x" * (64 * MIB)])
    batch = pa.record_batch([text] * 24, names=["pseudonym", *(f"c{number}" for number in range(23))])
    with pyarrow.ipc.new_file(str(path), batch.schema, options=pyarrow.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch)
    assert path.stat().st_size < MIB
    return path


def wide(path: Path) -> Path:
    names = [f"c{number}" for number in range(20_000)]
    pq.write_table(pa.table([pa.array([1.0])] * len(names), names=names), path)
    return path


def lying_footer(path: Path) -> Path:
    """The footer says more of itself than the file has."""
    pq.write_table(pa.table({"pseudonym": ["a"]}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1")
    return path


def deep(path: Path) -> Path:
    path.write_text('{"pseudonym":' + "[" * 200_000 + "]" * 200_000 + "}\n")
    return path


def one_line(path: Path) -> Path:
    """A line that does not end."""
    with path.open("wb") as file:
        file.write(b"pseudonym,")
        for _ in range(64):
            file.write(b"x" * MIB)
    return path


def zipped(path: Path) -> Path:
    """Looks like CSV by its name, and is what an engine would unpack by itself."""
    path.write_bytes(gzip.compress(b"pseudonym\n" + b"x" * (64 * MIB)))
    return path


CRAFTED: Final = {
    "bomb": ("parquet", bomb),
    "arrow-bomb": ("arrow", arrow_bomb),
    "wide": ("parquet", wide),
    "lying-footer": ("parquet", lying_footer),
    "deep": ("ndjson", deep),
    "one-line": ("csv", one_line),
    "zipped": ("csv", zipped),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_breaks_nothing_but_its_reader(name: str, tmp_path: Path) -> None:
    form, make = CRAFTED[name]
    file = make(tmp_path / f"received.{form}")
    base: dict[str, Any] = {"file": str(file), "format": form}
    database = {"database": str(tmp_path / "bought.duckdb"), "table": "trips", "transfer": "f"}
    for work in (
        {**base, "do": "check"},
        {**base, "do": "insert", **database},
        {**base, "do": "erase", "named": {"pseudonym": ["x"]}, "whole": False},
    ):
        answer = worker(work)
        assert "xx" not in answer.get("reason", "")
        if name.endswith("bomb") and (form, work["do"]) != ("parquet", "check"):
            # A check reads texts once each, as they stand in the dictionary.
            assert answer.get("code", "died") in ("died", "file-unreadable"), "its memory has no limit"
        assert not list(tmp_path.glob("*.erasing"))


def test_rows_cannot_pass_for_those_of_another_transfer(tmp_path: Path) -> None:
    """A received column of the name that tells transfers apart, in any spelling, is not taken for ours."""
    database = tmp_path / "bought.duckdb"
    good = tmp_path / "good.parquet"
    pq.write_table(pa.table({"pseudonym": ["a"], "km": [1.0]}), good)
    assert disk.insert(good, "parquet", database, "trips", "mine") == 1
    for number, name in enumerate(("carnet_transfer", "CARNET_TRANSFER")):
        for columns in ({"pseudonym": ["b"], "km": [2.0], name: ["mine"]}, {name: ["mine"], "pseudonym": ["b"], "km": [2.0]}):
            lie = tmp_path / "lie.parquet"
            pq.write_table(pa.table(columns), lie)
            with pytest.raises((disk.Unusable, *disk.UNREADABLE)):
                disk.insert(lie, "parquet", database, "trips", f"theirs{number}")
            with pytest.raises((disk.Unusable, *disk.UNREADABLE)):
                disk.insert(lie, "parquet", database, f"fresh{number}", f"theirs{number}")
    with duckdb.connect(str(database)) as connection:
        assert connection.execute("SELECT pseudonym, carnet_transfer FROM trips").fetchall() == [("a", "mine")]


def test_values_are_no_orders_and_names_no_paths(tmp_path: Path) -> None:
    """Formulas, quotes and names of files are values and names: they land as they are, and open nothing."""
    database, secret = tmp_path / "bought.duckdb", tmp_path / "secret.csv"
    secret.write_text("a\nplanted\n")
    value = "=cmd|'/c calc'!A1"
    table = pa.table(
        {
            f"read_csv('{secret}')": [value],
            '"; DROP TABLE trips; --': ["@SUM(1)"],
            "pseudonym": [f"'); COPY (SELECT 1) TO '{tmp_path}/written"],
        }
    )
    for form in ("parquet", "csv", "ndjson", "arrow"):
        file = tmp_path / f"received.{form}"
        if form == "parquet":
            pq.write_table(table, file)
        elif form == "arrow":
            with pyarrow.ipc.new_file(str(file), table.schema) as writer:
                writer.write_table(table)
        elif form == "csv":
            out = io.BytesIO()
            pa.csv.write_csv(table, out)
            file.write_bytes(out.getvalue())
        else:
            file.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
        assert disk.insert(file, form, database, f"t_{form}", "f") == 1
        with duckdb.connect(str(database)) as connection:
            landed = connection.table(f"t_{form}").select(duckdb.StarExpression(exclude=["carnet_transfer"])).fetchall()
        assert landed == [tuple(table.to_pylist()[0].values())]
    assert not (tmp_path / "written").exists()
    answer = worker({"do": "check", "file": str(tmp_path / "received.csv"), "format": "csv"})
    assert answer["rows"] == 1


def test_orders_to_erase_name_values_not_conditions(tmp_path: Path) -> None:
    database, file = tmp_path / "bought.duckdb", tmp_path / "rows.parquet"
    pq.write_table(pa.table({"pseudonym": ["a", "b"], "km": [1.0, 2.0]}), file)
    disk.insert(file, "parquet", database, "trips", "f")
    hostile = ["' OR 1=1 --", "%", "a' UNION SELECT 'b", "*"]
    assert disk.erase_in_table(database, "trips", "f", {"pseudonym": hostile, "km": ["1"]}, whole=False) == 0
    assert disk.erase_in_table(database, "trips", "' OR ''='", {}, whole=True) == 0
    assert disk.erase_rows(file, "parquet", {"pseudonym": hostile})[0] == 0
    with duckdb.connect(str(database)) as connection:
        assert connection.execute("SELECT count(*) FROM trips").fetchall() == [(2,)]
