"""The index of a delivery: the ordinals of its vehicles, ascending, unsigned 32 bits, little-endian. Blocks on the disk.

Of deliveries whose rows name trips alone there is another file beside it: a record for each trip, the ordinal of its vehicle as
above and the 16 bytes of its pseudonym, ascending by ordinal.

May import numpy, the consent ledger's sets and the form of a population.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from connector.dataplane.consent import bits
from connector.dataplane.query.job import Population

Whole = npt.NDArray[np.uint32]
WIDTH_BYTES: Final = 4
TRIP_BYTES: Final = 20
"""Of one record of the trips of a delivery."""
FEW: Final = 256
"""So many vehicles are looked up one by one; of more, the whole index is read."""
_FORM: Final = np.dtype("<u4")


def read(path: str) -> Whole:
    """All of an index. Raises OSError."""
    return np.fromfile(path, _FORM).astype(np.uint32, copy=False)


def holds(path: str, ordinal: int) -> bool:
    """Whether a delivery held a vehicle; reads a few numbers only. A missing index held none. Raises OSError otherwise."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        low, high = 0, os.fstat(descriptor).st_size // WIDTH_BYTES
        while low < high:
            middle = (low + high) // 2
            found = int.from_bytes(os.pread(descriptor, WIDTH_BYTES, middle * WIDTH_BYTES), "little")
            if found == ordinal:
                return True
            low, high = (middle + 1, high) if found < ordinal else (low, middle)
        return False
    finally:
        os.close(descriptor)


def trips(path: str, ordinals: Iterable[int]) -> Iterator[str]:
    """The pseudonyms of the trips of some vehicles, in hex; reads little more than them. A missing file has none.

    Raises OSError otherwise.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        size = os.fstat(descriptor).st_size // TRIP_BYTES
        for ordinal in ordinals:
            place = _first(descriptor, size, ordinal)
            while place < size:
                record = os.pread(descriptor, TRIP_BYTES, place * TRIP_BYTES)
                if int.from_bytes(record[:WIDTH_BYTES], "little") != ordinal:
                    break
                yield record[WIDTH_BYTES:].hex()
                place += 1
    finally:
        os.close(descriptor)


def _first(descriptor: int, size: int, ordinal: int) -> int:
    """Where the first record stands that is not of a smaller ordinal."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        found = int.from_bytes(os.pread(descriptor, WIDTH_BYTES, middle * TRIP_BYTES), "little")
        low, high = (middle + 1, high) if found < ordinal else (low, middle)
    return low


def distinct(paths: Iterable[str]) -> int:
    """How many different vehicles several deliveries held."""
    union: Whole = np.zeros(0, np.uint32)
    for path in paths:
        union = np.union1d(union, read(path))
    return len(union)


def used_up(paths: Iterable[str], most: int) -> tuple[int, ...]:
    """The vehicles that are in at least ``most`` of these deliveries. Of no deliveries: nobody, also if none may be."""
    every = [read(path) for path in paths]
    if not every:
        return ()
    ordinals, times = np.unique(np.concatenate(every), return_counts=True)
    return tuple(ordinals[times >= most].tolist())


def among(path: str, ordinals: Collection[int]) -> tuple[int, ...]:
    """Those of ``ordinals`` that a delivery held; none if its index is gone. Raises OSError."""
    if len(ordinals) <= FEW:
        return tuple(ordinal for ordinal in ordinals if holds(path, ordinal))
    if not os.path.exists(path):
        return ()
    return tuple(np.intersect1d(read(path), np.fromiter(ordinals, np.uint32)).tolist())


def without(candidates: Iterable[int], population: Population, *, enrolled: bool) -> tuple[int, ...]:
    """Those vehicles that a population has no consent of, or no enrolment where that is needed. Raises OSError."""
    return _without(np.unique(np.fromiter(candidates, np.uint32)), population, enrolled=enrolled)


def gone(path: str, population: Population, *, enrolled: bool) -> tuple[int, ...]:
    """The same of all vehicles of a delivery. Raises OSError."""
    return _without(read(path), population, enrolled=enrolled)


def _without(ordinals: Whole, population: Population, *, enrolled: bool) -> tuple[int, ...]:
    kept = np.ones(len(ordinals), np.bool_)
    for category in population.granted or ():
        agreed = np.zeros(len(ordinals), np.bool_)
        for each in category:
            agreed |= np.isin(ordinals, bits.Ordinals(bits.load(each)).among(ordinals))
        kept &= agreed
    if enrolled:
        kept &= np.isin(ordinals, [ordinal for ordinal, _ in population.references or ()])
    return tuple(ordinals[~kept].tolist())
