"""Where chance comes from: streams of numbers that a seed and a subject fix, so that no part disturbs another's.

Arrays here and in the whole package are plain numpy arrays; their shapes and units stand with the fields that hold them.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def stream(seed: int, subject: str, number: int = 0) -> np.random.Generator:
    """The chance of one subject ("homes", "trips", ...) and number (a block of vehicles): the same for the same seed."""
    return np.random.Generator(np.random.SFC64([seed, zlib.crc32(subject.encode()), number]))


def mixed(numbers: Array, seed: int, subject: str) -> Array:
    """64 well-mixed bits for each number, without a state: what must be known of one vehicle without making the others."""
    salt = (zlib.crc32(subject.encode()) << 32) ^ (seed & 0xFFFFFFFF)
    bits = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed_bits: Array = bits ^ (bits >> np.uint64(31))
    return mixed_bits


def shares(numbers: Array, seed: int, subject: str) -> Array:
    """A number in [0, 1) for each number, uniform and stateless."""
    parts: Array = (mixed(numbers, seed, subject) >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return parts
