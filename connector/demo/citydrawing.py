"""Where delivered cells go on a map: the geometry of cells, flat, and the round figures at which colours change. No I/O.

Of the connector it imports only what says how large a cell is, and the errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from connector.dataplane.plan.model import EDGES_M, METRES_PER_DEGREE
from connector.protocol.errors import CallerError

WIDTH: Final = 960.0
MARGIN: Final = 20.0
FOOT: Final = 32.0
"""Below the cells there is room for the scale."""
MOST_HEIGHT: Final = 640.0
MOST_EDGE: Final = 130.0
CLASSES: Final = 7
_STEPS: Final = (1, 2, 5, 10, 20, 50, 100)
_CELL: Final = re.compile(r"(1[0-5]|[0-9])/(-?[0-9]{1,9})/(-?[0-9]{1,9})")


class Figure(NamedTuple):
    """A cell of an hour: which place of the map, how many vehicles, km/h where enough of them measured it."""

    place: int
    vehicles: int
    speed: float | None


class Place(NamedTuple):
    """A cell as it is drawn: its name and its corner and size in units of the drawing."""

    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is on the map. ``hours``: the beginnings of the hours as text, with the figures of each in ``figures``. ``edges``:
    km/h at which the colours change. ``scale``: units of the drawing in a kilometre."""

    hours: tuple[str, ...]
    places: tuple[Place, ...]
    figures: tuple[tuple[Figure, ...], ...]
    edges: tuple[int, ...]
    height: float
    scale: float

    @property
    def cell_hours(self) -> int:
        """How many figures there are."""
        return sum(map(len, self.figures))


def drawn(rows: Iterable[tuple[str, datetime, int, float | None]]) -> Drawing:
    """Where everything goes: rows of a cell's name, the hour's beginning in UTC, vehicles, and km/h.

    Raises CallerError where a name is not that of a cell.
    """
    found = sorted(rows, key=lambda row: (row[1], row[0]))
    boxes = {name: _box(name) for name in sorted({row[0] for row in found})}
    places, height, scale = _placed(boxes)
    numbers = {place.name: number for number, place in enumerate(places)}
    hours: dict[str, list[Figure]] = {}
    for name, at, vehicles, speed in found:
        hours.setdefault(_said(at), []).append(Figure(numbers[name], vehicles, _figure(speed)))
    speeds = [figure.speed for figures in hours.values() for figure in figures if figure.speed is not None]
    return Drawing(tuple(hours), places, tuple(map(tuple, hours.values())), _edges(speeds), round(height, 1), scale)


def _figure(speed: float | None) -> float | None:
    return round(speed, 1) if speed is not None and math.isfinite(speed) else None


def _box(name: str) -> tuple[float, float, float, float]:
    """West, south, east and north of a cell in degrees."""
    found = _CELL.fullmatch(name)
    if found is None:
        raise CallerError("map-cell", f"{name[:60]!r} is not the name of a cell")
    level, row, col = map(int, found.groups())
    height = EDGES_M[level] / METRES_PER_DEGREE
    middle = (row + 0.5) * height
    width = height / max(math.cos(math.radians(middle)), 1e-6)
    if not -90 <= middle <= 90 or not -181 <= (col + 0.5) * width <= 181:
        raise CallerError("map-cell", f"{name[:60]!r} is not a cell on earth")
    return col * width, row * height, (col + 1) * width, (row + 1) * height


def _placed(boxes: dict[str, tuple[float, float, float, float]]) -> tuple[tuple[Place, ...], float, float]:
    """The cells in the drawing, its height, and its units in a kilometre: flat, and true to scale in the middle of the map."""
    if not boxes:
        return (), 120.0, 1.0
    west, south = min(box[0] for box in boxes.values()), min(box[1] for box in boxes.values())
    east, north = max(box[2] for box in boxes.values()), max(box[3] for box in boxes.values())
    squeeze = math.cos(math.radians((south + north) / 2))
    tallest = max(box[3] - box[1] for box in boxes.values())
    unit = min(
        (WIDTH - 2 * MARGIN) / ((east - west) * squeeze), (MOST_HEIGHT - MARGIN - FOOT) / (north - south), MOST_EDGE / tallest
    )
    left = (WIDTH - (east - west) * squeeze * unit) / 2
    places = tuple(
        Place(
            name,
            round(left + (box[0] - west) * squeeze * unit, 2),
            round(MARGIN + (north - box[3]) * unit, 2),
            round((box[2] - box[0]) * squeeze * unit, 2),
            round((box[3] - box[1]) * unit, 2),
        )
        for name, box in boxes.items()
    )
    return places, (north - south) * unit + MARGIN + FOOT, unit * 1000 / METRES_PER_DEGREE


def _edges(speeds: list[float]) -> tuple[int, ...]:
    """Where the colours change: round figures that part what there is into as many classes as there are colours, or fewer."""
    if not speeds:
        return ()
    for step in _STEPS:
        first = math.floor(min(speeds) / step) * step
        if max(speeds) < first + CLASSES * step or step == _STEPS[-1]:
            return tuple(first + number * step for number in range(1, CLASSES))
    return ()


def _said(at: datetime) -> str:
    return f"{at.replace(tzinfo=UTC):%Y-%m-%d, %H:%M} UTC"
