"""Raw trips read the slow way, to check the demo's figures against: the csv module, one row at a time, no engine and no import of
what is checked."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

DETROIT = ZoneInfo("America/Detroit")


@dataclass(frozen=True)
class Row:
    vehicle: str
    trip: str
    at_s: int
    speed: float | None
    lat: float
    lon: float

    @property
    def hour_s(self) -> int:
        return self.at_s - self.at_s % 3_600

    @property
    def cell(self) -> str:
        """Of level 7."""
        height = 1221 / 111_320
        north = math.floor(self.lat / height)
        return f"7/{north}/{math.floor(self.lon / (height / math.cos(math.radians((north + 0.5) * height))))}"

    @property
    def month(self) -> str:
        return datetime.fromtimestamp(self.at_s, DETROIT).strftime("%Y-%m")


def ved(folder: Path) -> list[Row]:
    found = []
    for file in sorted(folder.glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as lines:
            for line in csv.DictReader(lines):
                shown = datetime(2017, 11, 1) + timedelta(days=float(line["DayNum"]) - 1)  # noqa: DTZ001  # a zone comes next
                begin = shown.replace(tzinfo=DETROIT).astimezone(UTC)
                # A tenth of a millisecond is what ten digits of a day leave open.
                at = begin + timedelta(milliseconds=float(line["Timestamp(ms)"])) + timedelta(microseconds=50)
                speed = float(line["Vehicle Speed[km/h]"])
                found.append(Row(line["VehId"], line["Trip"], math.floor(at.timestamp()), None if math.isnan(speed) else speed,
                                 float(line["Latitude[deg]"]), float(line["Longitude[deg]"])))  # fmt: skip
    return found


def envirocar(file: Path) -> list[Row]:
    with file.open(encoding="utf-8", newline="") as lines:
        return [
            Row(line["vehicle_id"], line["track_id"], round(datetime.fromisoformat(line["time"]).timestamp()),
                float(line["speed_obd_kmh"]) if line["speed_obd_kmh"] else None, float(line["lat"]), float(line["lon"]))
            for line in csv.DictReader(lines)
        ]  # fmt: skip


def km(rows: Iterable[Row], longest_s: float, counts: Callable[[Row], bool] = lambda _: True) -> float:
    """By speed and time, of the rows that count: each brings what was driven since the one before it in its trip."""
    trips: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.speed is not None:
            trips[row.vehicle, row.trip].append(row)
    return math.fsum(step for trip in trips.values() for step in _steps(trip, longest_s, counts))


def _steps(trip: list[Row], longest_s: float, counts: Callable[[Row], bool]) -> Iterator[float]:
    trip.sort(key=lambda row: (row.at_s, row.speed or 0.0))
    for before, row in pairwise(trip):
        seconds = row.at_s - before.at_s
        if seconds <= longest_s and counts(row):
            yield ((row.speed or 0.0) + (before.speed or 0.0)) / 2 * seconds / 3_600
