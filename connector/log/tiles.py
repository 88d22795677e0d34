"""The files of a log (C2SP tlog-tiles): what they are called, which of them a growth writes, and what is in them.

A hash tile holds up to 256 hashes of one level of the tree, its levels being eight apart; an entry bundle holds the entries
of up to 256 leaves. A full one never changes; one of less is partial, and its width is part of its name.
Pure: no I/O, no clock. May import `leaf`, `merkle` and the errors.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from connector.log.leaf import MAX_LEAF_BYTES
from connector.log.merkle import HASH_BYTES, MAX_SIZE, node_hash
from connector.protocol.errors import CarnetError, InvariantBroken

WIDTH: Final = 256
HEIGHT: Final = 8
"""Levels of the tree in a tile: 2 ** 8 = 256."""
MAX_LEVEL: Final = 7
MAX_BUNDLE_BYTES: Final = WIDTH * (2 + MAX_LEAF_BYTES)

UNREADABLE: Final = "file-unreadable"
"""The code where a file is there and cannot be read: that may pass."""
_LENGTH: Final = struct.Struct(">H")


class LogDamaged(CarnetError):
    """What is stored of a log is not what was stored. ``place`` names the file, and the index in it where one is known."""

    def __init__(self, code: str, place: str, reason: str) -> None:
        super().__init__(code, f"{place}: {reason}")
        self.place = place


class Tile(NamedTuple):
    """A hash tile: ``width`` hashes of the level ``level * 8``, from the hash ``number * 256`` on."""

    level: int
    number: int
    width: int


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """Where a hash tile stands, relative to the log."""
    if not 0 <= level <= MAX_LEVEL:
        raise InvariantBroken("log-tile", f"there is no tile of level {level}")
    return f"tile/{level}/{_numbered(number, width)}"


def bundle_path(number: int, width: int = WIDTH) -> str:
    """Where an entry bundle stands, relative to the log."""
    return f"tile/entries/{_numbered(number, width)}"


def _numbered(number: int, width: int) -> str:
    """C2SP tlog-tiles, "Merkle Tree": three digits a folder, all but the last with an x before them."""
    if not 0 <= number <= MAX_SIZE // WIDTH or not 0 < width <= WIDTH:
        raise InvariantBroken("log-tile", f"there is no tile {number} of width {width}")
    name = f"{number % 1000:03}"
    while number := number // 1000:
        name = f"x{number % 1000:03}/{name}"
    return name if width == WIDTH else f"{name}.p/{width}"


def width_at(level: int, number: int, size: int) -> int:
    """How many hashes a tile has in a tree of ``size`` leaves; 0: there is no such tile. Level 0 is the bundle's width, too."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - number * WIDTH))


def tiles_of(size: int, level: int = 0) -> list[Tile]:
    """The tiles of one level in a tree of ``size`` leaves."""
    hashes = size >> HEIGHT * level
    return [Tile(level, number, width_at(level, number, size)) for number in range(-(-hashes // WIDTH))]


def grown(old_size: int, new_size: int) -> list[Tile]:
    """The hash tiles that a growth writes, lower levels first; those of level 0 are the numbers of the entry bundles, too."""
    if not 0 <= old_size <= new_size <= MAX_SIZE:
        raise InvariantBroken("log-size", f"a log does not grow from {old_size} to {new_size}")
    written = []
    for level in range(MAX_LEVEL + 1):
        before, after = old_size >> HEIGHT * level, new_size >> HEIGHT * level
        if before == after:
            break
        written += [
            Tile(level, number, width_at(level, number, new_size)) for number in range(before // WIDTH, -(-after // WIDTH))
        ]
    return written


def hashes_of(tile: bytes) -> list[bytes]:
    """The hashes in a tile. Its length must be a multiple of 32."""
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def subtree(hashes: Sequence[bytes]) -> bytes:
    """The root over 2 ** n neighbouring hashes of a level."""
    row = list(hashes)
    if not row or len(row) & (len(row) - 1):
        raise InvariantBroken("log-subtree", f"{len(row)} hashes are no perfect subtree")
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """C2SP tlog-tiles, "Log Entries": each entry after its length in two bytes."""
    if not 0 < len(entries) <= WIDTH:
        raise InvariantBroken("log-bundle", f"a bundle has 1 to {WIDTH} entries")
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_LEAF_BYTES:
            raise InvariantBroken("log-bundle", f"an entry has {MAX_LEAF_BYTES} bytes at most")
        parts += (_LENGTH.pack(len(entry)), entry)
    return b"".join(parts)


def decode_bundle(data: bytes, place: str = "entry bundle") -> list[bytes]:
    """The entries of a bundle: 1 to 256. Raises LogDamaged, with ``place`` and the index in the bundle."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        here = f"{place}, entry {len(entries)}"
        if len(entries) == WIDTH:
            raise LogDamaged("bundle-overfull", here, f"a bundle has {WIDTH} entries at most")
        start = at + _LENGTH.size
        if start > len(data):
            raise LogDamaged("bundle-torn", here, "the file ends within the length of the entry")
        end = start + _LENGTH.unpack_from(data, at)[0]
        if end > len(data):
            raise LogDamaged("bundle-torn", here, "the file ends within the entry")
        entries.append(data[start:end])
        at = end
    if not entries:
        raise LogDamaged("bundle-empty", place, "there is no entry in it")
    return entries
