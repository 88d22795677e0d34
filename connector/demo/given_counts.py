"""How many rows, vehicles, trips and kilometres a table has, and how many of them are behind a file that was delivered.

The kilometres of a row are those since the row before it in its trip: by the odometer where the table has one, else by speed and
time, else straight from position to position. Steps longer than five sampling intervals, and than ``STEP_S``, count for nothing,
except by the odometer. This is the only place that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.demo.given import Given


@dataclass(frozen=True, slots=True)
class Counted:
    """Of a table or a part of it. ``first_s``, ``last_s``: epoch seconds; ``method``: how the kilometres were counted, a word."""

    rows: int
    vehicles: int
    trips: int
    km: float
    first_s: int | None
    last_s: int | None
    method: str


def behind_cells(given: Given, file: Path) -> Counted:
    """What of the raw table is behind delivered cells of an hour: its rows in those cells and hours, whosever they are."""
    raise NotImplementedError


def behind_features(given: Given, file: Path) -> Counted:
    """What of the raw table is behind delivered features: the rows of their vehicles, by the enrolled reference, and months."""
    raise NotImplementedError


def behind_rows(given: Given, file: Path) -> Counted:
    """What is in delivered rows, by their pseudonyms and trips; kilometres are counted of the file, by its own columns."""
    raise NotImplementedError
