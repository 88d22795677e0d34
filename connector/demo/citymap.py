"""A map of delivered cells as one page that needs nothing else: no network, no tiles, no fonts.

It reads the file that a buyer was given (`cell`, `time`, `vehicles`, `Vehicle.Speed`), and draws what is in it and nothing more.
Imports of the connector only what says how large a cell is.
"""

from __future__ import annotations

import html
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet


def write_map(
    cells: Path, page: Path, *, title: str, note: str = "", least: int | None = None, suppressed: int | None = None
) -> int:
    """Write the page of a file of cells (Parquet, or CSV by its name); how many cell-hours are on it.

    ``title`` and ``note`` are text, whatever is in them. ``least``: the fewest vehicles that a cell may have by contract;
    ``suppressed``: how many cell-hours were held back (``received["suppressed"]`` of the transfer); None leaves either unsaid.
    """
    table = pyarrow.csv.read_csv(cells) if cells.suffix == ".csv" else pyarrow.parquet.read_table(cells)
    told = [note, f"{table.num_rows} cells of an hour"]
    if least is not None:
        told.append(f"at least {least} vehicles in each")
    if suppressed is not None:
        told.append(f"{suppressed} held back")
    body = "".join(f"<p>{html.escape(line)}</p>" for line in told if line)
    page.write_text(f"<!doctype html><title>{html.escape(title)}</title><h1>{html.escape(title)}</h1>{body}\n", encoding="utf-8")
    return int(table.num_rows)
