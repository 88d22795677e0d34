"""How hard vehicles brake and speed up: gently as a rule, and harshly at the rate of their driver. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from connector.demo.fleet.chance import Array

GENTLE_BRAKE: Final = (0.9, 2.2)
"""Usual brakings, in m/s²: below what a speed in whole km/h could show as 3 m/s² ..."""
HARSH_BRAKE: Final = (3.5, 5.5)
"""... and harsh ones, well above."""
GENTLE_GAIN: Final = (0.9, 1.9)
HARSH_GAIN: Final = (2.9, 3.8)
"""Speeding up at 2.5 m/s² and more."""
_LEAST_CHANGE: Final = 30.0 / 3.6
"""Harsh is only what changes the speed by at least so many m/s: rows a second apart must see it."""
_MOST: Final = 0.8


def harshness(
    wanted: Array,
    trip: Array,
    change: Array,
    gentle: tuple[float, float],
    harsh: tuple[float, float],
    chance: np.random.Generator,
) -> Array:
    """How strongly the speed changes on each stretch, in m/s².

    ``wanted``: how many harsh changes each trip should have, on average. ``trip``, ``change``: of each stretch, its trip and by
    how much the speed should change (m/s). Those that can be harsh are so with a chance that makes up the number, if there are
    enough.
    """
    able = change >= _LEAST_CHANGE
    ways = np.bincount(trip[able], minlength=len(wanted))
    likely = np.minimum(wanted / np.maximum(ways, 1), _MOST)[trip]
    hard = able & (chance.random(len(trip)) < likely)
    usual = chance.uniform(*gentle, len(trip))
    return np.where(hard, harsh[0] + (harsh[1] - harsh[0]) * chance.random(len(trip)) ** 3, usual)
