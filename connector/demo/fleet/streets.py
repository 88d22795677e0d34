"""Streets that repeat: a grid of roads, bent so that no map looks drawn with a ruler. Pure.

On the flat plan (metres) streets lie every ``STREET_M``, main roads every ``MAIN_M``, motorways every ``MOTORWAY_M`` metres. A
trip's way has five straight parts with a corner between each two. The bending shifts each road sideways along its whole length,
so that crossings stay crossings and all trips over a road share the same curve; it makes ways longer by less than 3 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from connector.demo.fleet.chance import Array

STREET_M: Final = 160.0
MAIN_M: Final = 1_600.0
MOTORWAY_M: Final = 8_000.0
LOCAL, MAIN, MOTORWAY = 0, 1, 2
PARTS: Final = 5

_KINDS: Final = np.array(
    [[LOCAL, LOCAL, LOCAL, LOCAL, LOCAL], [LOCAL, MAIN, MAIN, MAIN, LOCAL], [LOCAL, MAIN, MOTORWAY, MAIN, LOCAL]]
)
_SPACING: Final = np.array([[STREET_M, STREET_M], [MAIN_M, MAIN_M], [MAIN_M, MOTORWAY_M]])
_SHORT_M: Final = 2_500.0
_METRES_PER_DEGREE: Final = 111_320.0
# The bends: amplitude and wavelength in metres.
_BENDS: Final = ((210.0, 9_700.0), (38.0, 2_300.0))


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways from home to a place. ``x``, ``y``: the corners in metres, (n, PARTS + 1). ``road``: the kind of each part."""

    x: Array
    y: Array
    road: Array

    @property
    def parts_m(self) -> Array:
        """Length of each part, (n, PARTS)."""
        lengths: Array = np.abs(np.diff(self.x, axis=1)) + np.abs(np.diff(self.y, axis=1))
        return lengths


def snapped(y: Array) -> Array:
    """The nearest street that runs west to east."""
    streets: Array = np.rint(y / STREET_M) * STREET_M
    return streets


def ways(home_x: Array, home_y: Array, length_m: Array, motorway_m: float, east: Array, north: Array, chance: Array) -> Ways:
    """Ways of about ``length_m`` from homes on streets: over motorways if it is longer than ``motorway_m``.

    ``east``, ``north``: +1 or -1, where it goes. ``chance``: in [0, 1), how far it goes north or south at its end.
    """
    kind = np.where(length_m < _SHORT_M, 0, np.where(length_m < motorway_m, 1, 2))
    spacing_x, spacing_y = _SPACING[kind, 0], _SPACING[kind, 1]
    turn_x = _next(home_x, east, spacing_x)
    turn_y = _next(home_y, north, spacing_y)
    left = np.maximum(length_m - np.abs(turn_x - home_x) - np.abs(turn_y - home_y), 0.0)
    rise = np.floor(chance * np.minimum(0.35 * left, spacing_y) / STREET_M) * STREET_M
    across = np.floor((left - rise) / spacing_x) * spacing_x
    rest = np.maximum(left - rise - across, 0.0)
    x = np.stack(
        [home_x, turn_x, turn_x, turn_x + east * across, turn_x + east * across, turn_x + east * (across + rest)], axis=1
    )
    y = np.stack([home_y, home_y, turn_y, turn_y, turn_y + north * rise, turn_y + north * rise], axis=1)
    return _cut(Ways(x, y, _KINDS[kind]), length_m)


def _next(at: Array, direction: Array, spacing: Array) -> Array:
    """The next road of a spacing in a direction."""
    found: Array = direction * np.ceil(direction * at / spacing) * spacing
    return found


def _cut(made: Ways, length_m: Array) -> Ways:
    """The same ways, none longer than it should be: a short trip ends before it reaches a large road."""
    parts = made.parts_m
    done = np.concatenate([np.zeros((len(parts), 1)), np.cumsum(parts, axis=1)], axis=1)
    share = np.clip((length_m[:, None] - done[:, :-1]) / np.maximum(parts, 1e-9), 0.0, 1.0)
    x, y = made.x.copy(), made.y.copy()
    for part in range(PARTS):
        x[:, part + 1] = x[:, part] + share[:, part] * (made.x[:, part + 1] - made.x[:, part])
        y[:, part + 1] = y[:, part] + share[:, part] * (made.y[:, part + 1] - made.y[:, part])
    return Ways(x, y, made.road)


def shift(along: Array, phase: float) -> Array:
    """How far a road is bent aside, in metres, at a place along it."""
    (high, long), (low, short) = _BENDS
    bent: Array = high * np.sin(along * (2 * np.pi / long) + phase) + low * np.sin(along * (2 * np.pi / short) + 2 * phase)
    return bent


def slope(along: Array, phase: float) -> Array:
    """The slope of that bend: the tangent of the angle between road and plan. Only the long bend counts here."""
    high, long = _BENDS[0]
    tangent: Array = (high * 2 * np.pi / long) * np.cos(along * (2 * np.pi / long) + phase)
    return tangent


EAST_PHASE: Final = 0.4
"""Bends of the roads that run west to east ..."""
NORTH_PHASE: Final = 2.9
"""... and of those that run south to north."""


@dataclass(frozen=True, slots=True)
class Region:
    """Where the plan lies on the earth: its middle in degrees (WGS 84)."""

    lat: float
    lon: float

    def latitude(self, y: Array) -> Array:
        """Degrees of a northing in metres."""
        degrees: Array = self.lat + y.astype(np.float64) / _METRES_PER_DEGREE
        return degrees

    def longitude(self, x: Array) -> Array:
        """Degrees of an easting in metres."""
        degrees: Array = self.lon + x.astype(np.float64) / (_METRES_PER_DEGREE * np.cos(np.radians(self.lat)))
        return degrees
