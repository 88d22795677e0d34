"""A map of delivered cells as one page that needs nothing else: no network, no tiles, no fonts.

It reads the file that a buyer was given (`cell`, `time`, `vehicles`, `Vehicle.Speed`) and shows what is in it and nothing more.
Where things go is worked out in `citydrawing.py`; the page is put together in `citypage.py`, with its style and its script,
which are the two files beside it.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from connector.demo.citydrawing import drawn
from connector.demo.citypage import written
from connector.protocol.errors import CallerError

MAX_CELL_HOURS: Final = 50_000
"""More are not drawn; a page of so many has at most ``MAX_PAGE_BYTES``."""
MAX_PAGE_BYTES: Final = 8_000_000
COLUMNS: Final = {"cell": pa.string(), "time": pa.timestamp("s"), "vehicles": pa.int64(), "Vehicle.Speed": pa.float64()}


def write_map(
    cells: Path, page: Path, *, title: str, note: str = "", least: int | None = None, suppressed: int | None = None
) -> int:
    """Write the page of a file of cells (Parquet, or CSV by its name); how many cell-hours are on it.

    ``title`` and ``note`` are text, whatever is in them. ``least``: the fewest vehicles that a cell may have by contract;
    ``suppressed``: how many cell-hours were held back (``received["suppressed"]`` of the transfer); None leaves either unsaid.
    Raises CallerError for a file that has no cells of hours, or more than ``MAX_CELL_HOURS``.
    """
    drawing = drawn(_read(cells))
    page.write_text(written(drawing, title=title, note=note, least=least, suppressed=suppressed), encoding="utf-8")
    return drawing.cell_hours


def _read(cells: Path) -> list[tuple[str, datetime, int, float | None]]:
    try:
        table = _table(cells).select(list(COLUMNS)).cast(pa.schema(COLUMNS))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
        raise CallerError("map-columns", f"a map needs the columns {', '.join(COLUMNS)}: {error}") from None
    if table.num_rows > MAX_CELL_HOURS:
        raise CallerError("map-too-large", f"a map shows {MAX_CELL_HOURS} cell-hours at most, and these are {table.num_rows}")
    try:
        columns: list[list[Any]] = [column.to_pylist() for column in table.columns]
    except (OverflowError, ValueError):
        raise CallerError("map-columns", "a time is outside of what a calendar has") from None
    found = list(zip(*columns, strict=True))
    if any(None in row[:3] or row[2] < 1 for row in found):
        raise CallerError("map-columns", "a row has no cell, no time or no number of vehicles")
    twice = [key for key, number in Counter((row[0], row[1]) for row in found).items() if number > 1]
    if twice:
        raise CallerError("map-twice", f"{len(twice)} cells come more than once in an hour")
    return found


def _table(cells: Path) -> Any:
    if cells.suffix != ".csv":
        return pyarrow.parquet.read_table(cells)
    options = pyarrow.csv.ConvertOptions(column_types={**COLUMNS, "time": pa.timestamp("s", "UTC")})
    return pyarrow.csv.read_csv(cells, convert_options=options)
