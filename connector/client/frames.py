"""A file that came, as a table of the program's own: pandas, Polars or DuckDB. None of them is needed for the rest.

What a file is, is seen in its first bytes; what a provider calls it counts for nothing. May import the errors of this package.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final, Literal

from connector.protocol.errors import CarnetError

Form = Literal["parquet", "arrow", "ndjson", "csv"]
_MAGIC: Final[tuple[tuple[bytes, Form], ...]] = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"{", "ndjson"))
_LONGEST: Final = 8


class PackageMissing(CarnetError):
    """A package that this needs is not installed; the reason says how to install it."""

    status = 501


def form_of(file: Path) -> Form:
    """What a file is; CSV where nothing says that it is something else."""
    with file.open("rb") as opened:
        first = opened.read(_LONGEST)
    return next((form for magic, form in _MAGIC if first.startswith(magic)), "csv")


def as_pandas(file: Path) -> Any:
    """A ``pandas.DataFrame`` of the rows. Raises PackageMissing."""
    pandas = package("pandas")
    match form_of(file):
        case "parquet":
            return pandas.read_parquet(file)
        case "arrow":
            return pandas.read_feather(file)
        case "ndjson":
            return pandas.read_json(file, lines=True)
        case _:
            return pandas.read_csv(file)


def as_polars(file: Path) -> Any:
    """A ``polars.DataFrame`` of the rows. Raises PackageMissing."""
    polars = package("polars")
    match form_of(file):
        case "parquet":
            return polars.read_parquet(file)
        case "arrow":
            return polars.read_ipc(file)
        case "ndjson":
            return polars.read_ndjson(file)
        case _:
            return polars.read_csv(file, try_parse_dates=True)


def into_duckdb(file: Path, connection: Any, table: str) -> int:
    """The rows in a new table of a ``duckdb.DuckDBPyConnection``; how many they are. Raises PackageMissing, and what DuckDB
    raises where there is such a table."""
    package("duckdb")
    name = ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in table.split("."))
    match form_of(file):
        case "parquet":
            found = connection.read_parquet(str(file))
        case "arrow":
            found = connection.from_arrow(package("pyarrow.feather").read_table(str(file)))
        case "ndjson":
            found = connection.read_json(str(file), format="newline_delimited")
        case _:
            found = connection.read_csv(str(file))
    found.create(name)
    return int(connection.table(name).count("*").fetchall()[0][0])


def package(name: str) -> Any:
    """A package that is imported when it is needed. Raises PackageMissing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        top = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != top:
            raise
        raise PackageMissing("package-missing", f"{top} is not installed here; install it: pip install {top}") from error
