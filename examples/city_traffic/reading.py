"""What the city reads in the cells that it got: plain SQL over its own file. Knows nothing of the connector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

_TOTALS: Final = "SELECT count(*), count(DISTINCT cell), min(vehicles), max(vehicles) FROM read_parquet(?)"
_HOURS: Final = """
    SELECT strftime("time", '%H:%M'), count(*), sum("Vehicle.Speed" * vehicles) / sum(vehicles)
    FROM read_parquet(?) GROUP BY "time" ORDER BY "time\""""
_DIFFERENT: Final = """
    SELECT count(*) FROM read_parquet(?) AS a
    FULL JOIN read_csv(?) AS b ON a.cell = b.cell AND a."time" = b."time"
    WHERE (a.vehicles = b.vehicles AND a."Vehicle.Speed" = b."Vehicle.Speed") IS NOT TRUE"""


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the day: when it begins, how many cells it has, and the mean speed in km/h, a cell counting by its vehicles."""

    begins: str
    cells: int
    speed: float


@dataclass(frozen=True, slots=True)
class Flow:
    """What a file of cells says. ``fewest``, ``most``: vehicles in a cell of an hour."""

    cell_hours: int
    places: int
    fewest: int
    most: int
    hours: tuple[Hour, ...]

    @property
    def busiest(self) -> Hour:
        """The hour with most cells, the first of several."""
        return max(self.hours, key=lambda hour: hour.cells)

    @property
    def slowest(self) -> Hour:
        """The hour in which traffic flows slowest."""
        return min(self.hours, key=lambda hour: hour.speed)


def read(file: Path) -> Flow:
    """What a Parquet file of cells says. It must have some."""
    cell_hours, places, fewest, most = _asked(_TOTALS, [str(file)])[0]
    return Flow(cell_hours, places, fewest, most, tuple(Hour(*row) for row in _asked(_HOURS, [str(file)])))


def same(one: Path, other: Path) -> bool:
    """Whether a Parquet file and a CSV file have the same cells with the same figures."""
    return bool(_asked(_DIFFERENT, [str(one), str(other)])[0][0] == 0)


def _asked(sql: str, values: list[str]) -> list[Any]:
    with duckdb.connect() as opened:
        return opened.execute(sql, values).fetchall()
