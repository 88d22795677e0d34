"""Sets of vehicles as bits, least significant first: in memory, in files, and read without loading them. Blocks on the disk.

Files are written once, flushed, and never changed. May import numpy and the form of ``Bits``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from connector.dataplane.query.job import Bits

Bytes = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.uint32]
MAX_ORDINAL: Final = 0xFFFF_FFFF
_EIGHT: Final = np.uint32(8)


class Ordinals:
    """An immutable set of ordinals: bits from a first byte on."""

    __slots__ = ("_bits", "_first")

    def __init__(self, bits: Bytes, first: int = 0) -> None:
        self._bits = bits
        self._first = first

    @classmethod
    def of(cls, ordinals: Iterable[int]) -> Ordinals:
        """The set of these."""
        chosen = np.unique(np.fromiter(ordinals, np.uint32))
        if not len(chosen):
            return cls(np.zeros(0, np.uint8))
        first = int(chosen[0]) // 8
        return cls(with_bits(np.zeros(0, np.uint8), chosen - np.uint32(first * 8)), first)

    def __contains__(self, ordinal: int) -> bool:
        at = ordinal // 8 - self._first
        return 0 <= at < len(self._bits) and bool(self._bits[at] >> (ordinal % 8) & 1)

    def __len__(self) -> int:
        return count(self._bits)

    def __iter__(self) -> Iterator[int]:
        filled = np.flatnonzero(self._bits)
        for at in filled:
            byte = int(self._bits[at])
            yield from ((int(at) + self._first) * 8 + bit for bit in range(8) if byte >> bit & 1)

    def among(self, ordinals: Whole) -> Whole:
        """Those of an array of ordinals, such as the index of a delivery, that are in the set; in their order."""
        at = (ordinals // _EIGHT).astype(np.int64) - self._first
        inside = (at >= 0) & (at < len(self._bits))
        found = ordinals[inside]
        chosen: Whole = found[(self._bits[at[inside]] >> (found % _EIGHT).astype(np.uint8)) & 1 == 1]
        return chosen


def count(bits: Bytes) -> int:
    """How many bits are set."""
    return int(np.bitwise_count(bits).sum(dtype=np.int64))


def with_bits(bits: Bytes, ordinals: Whole) -> Bytes:
    """A set with ``ordinals`` (ascending) added, longer where needed; the argument may be changed."""
    at, masks, longer = _masks(bits, ordinals)
    if len(at):
        longer[at] |= masks
    return longer


def without_bits(bits: Bytes, ordinals: Whole) -> Bytes:
    """A set with ``ordinals`` (ascending) taken away; the argument may be changed."""
    at, masks, longer = _masks(bits, ordinals)
    if len(at):
        longer[at] &= ~masks
    return longer


def _masks(bits: Bytes, ordinals: Whole) -> tuple[npt.NDArray[np.int64], Bytes, Bytes]:
    if not len(ordinals):
        return np.zeros(0, np.int64), np.zeros(0, np.uint8), bits
    at = (ordinals // _EIGHT).astype(np.int64)
    starts = np.flatnonzero(np.concatenate(([True], at[1:] != at[:-1])))
    masks = np.bitwise_or.reduceat(np.uint8(1) << (ordinals % _EIGHT).astype(np.uint8), starts)
    last = int(at[-1])
    if last >= len(bits):
        # Grown by more than is asked for, or a set that is filled from its beginning would be copied for each batch.
        bits = np.concatenate((bits, np.zeros(max(last + 1 - len(bits), len(bits) // 2), np.uint8)))
    return at[starts], masks, bits


def ascending(ordinals: Iterable[int]) -> Whole:
    """Ordinals as an array, each once."""
    return np.unique(np.fromiter(ordinals, np.uint32))


def load(bits: Bits) -> Bytes:
    """A whole set in memory."""
    base = np.zeros(0, np.uint8) if bits.file is None else np.fromfile(bits.file, np.uint8)
    return without_bits(with_bits(base, ascending(bits.added)), ascending(bits.taken))


def holds(bits: Bits, ordinals: Iterable[int]) -> set[int]:
    """Which of ``ordinals`` are in the set; reads only their bytes."""
    asked = set(ordinals)
    found = asked & set(bits.added)
    rest = sorted(asked - found - set(bits.taken))
    if bits.file is None or not rest:
        return found
    descriptor = os.open(bits.file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for ordinal in rest:
            byte = os.pread(descriptor, 1, ordinal // 8)
            if byte and byte[0] >> (ordinal % 8) & 1:
                found.add(ordinal)
    finally:
        os.close(descriptor)
    return found


def store(bits: Bytes, path: Path) -> int:
    """Write a new file, without the zero bytes at its end; gives the number of vehicles in it."""
    filled = np.flatnonzero(bits)
    kept = bits[: int(filled[-1]) + 1] if len(filled) else bits[:0]
    with path.open("xb") as opened:
        path.chmod(0o600)
        kept.tofile(opened)
        opened.flush()
        os.fsync(opened.fileno())
    return count(kept)


def settle_folder(folder: Path) -> None:
    """The names in a folder outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
