"""Files that came as tables of the program's own; and what is said where a package is missing."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from connector.client import PackageMissing, frames
from tests.requirement import missing

ROWS = {"trip": ["a", "b"], "speed": [1.5, 2.5]}
TABLE = pyarrow.table(ROWS)


def ndjson(path: Path) -> None:
    path.write_text('{"trip": "a", "speed": 1.5}\n{"trip": "b", "speed": 2.5}\n')


WRITTEN: dict[str, Callable[[Path], Any]] = {
    "parquet": lambda path: pyarrow.parquet.write_table(TABLE, path),
    "arrow": lambda path: pyarrow.feather.write_feather(TABLE, path, compression="uncompressed"),
    "csv": lambda path: pyarrow.csv.write_csv(TABLE, path),
    "ndjson": ndjson,
}


@pytest.fixture(params=sorted(WRITTEN))
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file without an ending: what it is, it says itself."""
    path = tmp_path / "data"
    WRITTEN[request.param](path)
    assert frames.form_of(path) == request.param
    return path


def test_duckdb_gets_a_table(file: Path) -> None:
    with duckdb.connect() as connection:
        assert frames.into_duckdb(file, connection, 'odd "name"') == 2
        assert connection.execute('SELECT trip, speed FROM "odd ""name""" ORDER BY trip').fetchall() == [("a", 1.5), ("b", 2.5)]
        with pytest.raises(duckdb.CatalogException):
            frames.into_duckdb(file, connection, 'odd "name"')


@pytest.mark.parametrize(("package", "read"), [("pandas", frames.as_pandas), ("polars", frames.as_polars)])
def test_each_library_is_asked_for_what_the_file_is(
    package: str, read: Callable[[Path], Any], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the library, which need not be installed."""
    asked: list[str] = []
    library = types.ModuleType(package)

    def reader(name: str) -> Callable[..., Path]:
        def read(path: Path, **_: object) -> Path:
            asked.append(name)
            return path

        return read

    for name in ("parquet", "feather", "ipc", "json", "ndjson", "csv"):
        setattr(library, f"read_{name}", reader(name))
    monkeypatch.setitem(sys.modules, package, library)
    assert read(file) == file
    names = {"arrow": {"pandas": "feather", "polars": "ipc"}, "ndjson": {"pandas": "json", "polars": "ndjson"}}
    form = frames.form_of(file)
    assert asked == [names.get(form, {}).get(package, form)]


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_a_library_that_is_there_reads_the_rows(package: str, file: Path) -> None:
    if importlib.util.find_spec(package) is None:
        missing(f"{package} is not installed here")
    found = frames.as_pandas(file) if package == "pandas" else frames.as_polars(file)
    assert {name: list(found[name]) for name in ROWS} == ROWS


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def none(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", none)
    with pytest.raises(PackageMissing, match="polars is not installed here; install it: pip install polars"):
        frames.as_polars(tmp_path / "never-read")


def test_a_package_that_is_broken_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> Any:
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="numpy"):
        frames.package("pandas")
