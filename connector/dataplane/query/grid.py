"""Cells and distances as expressions. Pure: what ``plan/model.py`` says of cells, and nothing else."""

from __future__ import annotations

import math
from typing import Any, Final

import ibis

from connector.dataplane.plan.model import EDGES_M, METRES_PER_DEGREE, Box, Circle

ARC_M: Final = 111_194.9
"""Metres in a degree of the sphere: less than ``METRES_PER_DEGREE``, so that what is near is never taken for far."""
MARGIN: Final = 1.005
"""Distances that must be kept are kept a little better: flat geometry, spheres and ellipsoids differ by less than this."""
CENTRE_DIGITS: Final = 5


def height_of(level: int) -> float:
    """The height in degrees of cells of a level."""
    return EDGES_M[level] / METRES_PER_DEGREE


def row_of(lat: Any, level: int) -> Any:
    """The row of a latitude, an integer."""
    return (lat / height_of(level)).floor().cast("int64")


def middle_of(number: Any) -> Any:
    """The middle of a row or column, counted in rows or columns, as a double: an integer and a fraction would be a decimal of 38
    digits, whose arithmetic takes the engine ten times as long."""
    return number.cast("float64") + 0.5


def width_of(row: Any, level: int) -> Any:
    """The width in degrees of the cells of a row."""
    return height_of(level) / (middle_of(row) * height_of(level)).radians().cos()


def column_of(lon: Any, row: Any, level: int) -> Any:
    """The column of a longitude within a row, an integer."""
    return (lon / width_of(row, level)).floor().cast("int64")


def centre_lat(row: Any, level: int) -> Any:
    """The latitude of the middle of a row, in degrees, rounded."""
    return (middle_of(row) * height_of(level)).round(CENTRE_DIGITS)


def centre_lon(row: Any, col: Any, level: int) -> Any:
    """The longitude of the middle of a cell, in degrees, rounded."""
    return (middle_of(col) * width_of(row, level)).round(CENTRE_DIGITS)


def placed(lat: Any, lon: Any) -> Any:
    """Whether it is a position at all: tables have none but those on earth."""
    return lat.notnull() & lon.notnull()


def within(lat: Any, lon: Any, boxes: tuple[Box, ...]) -> Any:
    """Whether a position lies in one of the boxes; of no box, nothing does."""
    return any_of([(lon >= b.west) & (lon < b.east) & (lat >= b.south) & (lat < b.north) for b in boxes])


def any_of(conditions: list[Any]) -> Any:
    """One of the conditions, as a tree that is no deeper than it must be."""
    if not conditions:
        return ibis.literal(False)
    while len(conditions) > 1:
        pairs = zip(conditions[::2], conditions[1::2], strict=False)
        rest = conditions[-1:] if len(conditions) % 2 else []
        conditions = [a | b for a, b in pairs] + rest
    return conditions[0]


def apart(lat: Any, lon: Any, at_lat: Any, at_lon: Any, cos: Any, metres: float) -> Any:
    """Whether a position is at least so many metres from a point, in a straight line; null where either is unknown.

    ``cos`` is the cosine of the point's latitude.
    """
    step = (lon - at_lon).abs()
    east = ibis.least(step, 360 - step) * cos
    north = lat - at_lat
    reach = metres * MARGIN / ARC_M
    return (east * east + north * north) >= reach * reach


def near(lat: Any, lon: Any, place: Circle) -> Any:
    """Whether a position lies within a sensitive place."""
    reach = place.radius_m * MARGIN / ARC_M
    cos = max(math.cos(math.radians(min(90.0, abs(place.lat) + reach))), 1e-6)
    box = lat.between(place.lat - reach, place.lat + reach)
    if reach / cos < 180 - abs(place.lon):
        box &= lon.between(place.lon - reach / cos, place.lon + reach / cos)
    own = math.cos(math.radians(place.lat))
    return box & ~apart(lat, lon, ibis.literal(place.lat), ibis.literal(place.lon), ibis.literal(own), place.radius_m)
