"""Small worlds for the checkers: a raw table and files delivered from it, made by hand, good ones and ones with a leak."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tests.governed.opened import LAT, LON, SPEED, Opened, Raw, height, name_of

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
START = 1_767_268_800  # a full hour
VEHICLES = ("VIN-A", "VIN-B", "VIN-C", "VIN-D")
CONSENTED = ("VIN-A", "VIN-B", "VIN-C")
Row = dict[str, Any]
Change = Callable[[list[Row]], object]


def drives() -> list[Row]:
    """Each vehicle drives due north for 600 s, 20 m a second, side by side; D is the one that did not consent."""
    return [
        {
            "vin": vin,
            "drive": f"{vin}-1",
            "at": START + second,
            LAT: round(48 + second * 20 / 111_320, 7),
            LON: round(8 + n / 1000, 7),
            "kmh": 72.0,
        }
        for n, vin in enumerate(VEHICLES)
        for second in range(601)
    ]


def raw_in(folder: Path) -> Raw:
    pyarrow.parquet.write_table(pa.Table.from_pylist(drives()), folder / "raw.parquet")
    return Raw(folder / "raw.parquet", vehicle="vin", trip="drive", at='"at"', lat=f'"{LAT}"', lon=f'"{LON}"', speed="kmh")


def rows(*, key: bytes = KEY, cut_s: int = 60, trips_only: bool = False) -> list[Row]:
    """What an agreement on rows delivers: consented vehicles, 60 s and thereby 1,200 m cut off, bands of speed."""
    made = [
        {
            "pseudonym": name_of(key, row["vin"]),
            "trip": name_of(key, f"trip|{row['vin']}|{row['drive']}"),
            "time": row["at"],
            LAT: row[LAT],
            LON: row[LON],
            SPEED: "50-90",
        }
        for row in drives()
        if row["vin"] in CONSENTED and START + cut_s <= row["at"] <= START + 600 - cut_s
    ]
    return [{name: value for name, value in row.items() if name != "pseudonym"} for row in made] if trips_only else made


def cells(level: int = 6, least: int = 3) -> list[Row]:
    """What an agreement on aggregates delivers: counted cell by cell and hour by hour in plain Python."""
    high, there = height(level), dict[tuple[int, int], set[str]]()
    for row in drives():
        if row["vin"] in CONSENTED:
            there.setdefault(place(row[LAT], row[LON], high), set()).add(row["vin"])
    return [
        {"time": START, "latitude": centre(spot, high)[0], "longitude": centre(spot, high)[1], "vehicles": len(vins), SPEED: 72.0}
        for spot, vins in sorted(there.items())
        if len(vins) >= least
    ]


def place(lat: float, lon: float, high: float) -> tuple[int, int]:
    row = int(lat // high)
    return row, int(lon // wide(row, high))


def centre(spot: tuple[int, int], high: float) -> tuple[float, float]:
    return round((spot[0] + 0.5) * high, 5), round((spot[1] + 0.5) * wide(spot[0], high), 5)


def wide(row: int, high: float) -> float:
    return high / math.cos(math.radians((row + 0.5) * high))


def delivered(path: Path, given: list[Row]) -> Path:
    """The rows as a file of the format that the suffix names."""
    table = pa.Table.from_pylist(given)
    if "time" in table.column_names:
        instants = pa.array([row["time"] for row in given]).cast(pa.timestamp("s", "UTC"))
        table = table.set_column(table.column_names.index("time"), "time", instants)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    elif path.suffix == ".ndjson":
        path.write_text("".join(json.dumps({**row, "time": row["time"].isoformat()}) + "\n" for row in table.to_pylist()))
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return path


def opened(folder: Path, given: list[Row], suffix: str = ".parquet") -> Opened:
    return Opened(delivered(folder / f"out{suffix}", given), raw_in(folder))
