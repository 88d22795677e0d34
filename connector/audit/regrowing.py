"""The tree made again from the entries alone, and compared with the tiles, stored nodes and roots that the log shows.

RFC 6962, 2.1, and C2SP tlog-tiles: a tile of level L holds 256 roots of full tiles of level L-1. Independent of what wrote the
log: hashing and the names of tiles are all that is shared with it. Memory: one tile a level. May import `connector.log`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from connector.audit.ceremony import Flaw, Place
from connector.log.merkle import EMPTY_ROOT, leaf_hash, node_hash
from connector.log.tiles import WIDTH, tile_path

HASH_BYTES: Final = 32


class HashTiles(Protocol):
    """Where stored tiles are read from."""

    def hash_tile(self, level: int, number: int, width: int) -> bytes:
        """``width`` hashes."""


class Regrown:
    """A tree that grows by leaves in order. ``wanted`` are sizes at which its root is kept."""

    def __init__(self, stored: HashTiles, wanted: Iterable[int] = ()) -> None:
        self.size = 0
        self.roots: dict[int, bytes] = {}
        self._stored = stored
        self._wanted = set(wanted)
        self._levels: list[list[bytes]] = []
        self._numbers: list[int] = []
        self._keep_root()

    def take(self, leaves: Sequence[bytes]) -> None:
        """The next leaves. Raises Flaw where a stored tile is another than theirs, LogDamaged where it cannot be read."""
        for raw in leaves:
            self._push(0, leaf_hash(raw))
            self.size += 1
            self._keep_root()

    def end(self) -> bytes:
        """After the last leaf: compare the tiles that are not full, and give the root."""
        for level, hashes in enumerate(self._levels):
            if hashes:
                self._compare(level, self._numbers[level], hashes)
        return self.root()

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        root: bytes | None = None
        for hashes in self._levels:
            for peak in reversed(_peaks(hashes)):
                root = peak if root is None else node_hash(peak, root)
        return EMPTY_ROOT if root is None else root

    def _keep_root(self) -> None:
        if self.size in self._wanted:
            self.roots[self.size] = self.root()

    def _push(self, level: int, made: bytes) -> None:
        if level == len(self._levels):
            self._levels.append([])
            self._numbers.append(0)
        hashes = self._levels[level]
        hashes.append(made)
        if len(hashes) == WIDTH:
            self._compare(level, self._numbers[level], hashes)
            self._levels[level] = []
            self._numbers[level] += 1
            self._push(level + 1, _folded(hashes))

    def _compare(self, level: int, number: int, hashes: list[bytes]) -> None:
        stored = self._stored.hash_tile(level, number, len(hashes))
        if stored == b"".join(hashes):
            return
        file = tile_path(level, number, len(hashes))
        for at, made in enumerate(hashes):
            if stored[at * HASH_BYTES : (at + 1) * HASH_BYTES] != made:
                what = "entry and stored hash differ" if level == 0 else "a stored node is not that of the nodes below it"
                raise Flaw("tile-mismatch", what, Place(file, number * WIDTH + at, f"node of level {level}"))
        raise Flaw("tile-mismatch", "the tile has another length than its name says", Place(file))


def _folded(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def _peaks(hashes: Sequence[bytes]) -> list[bytes]:
    """Roots of the full subtrees over some hashes, from left to right, the largest first."""
    found: list[bytes] = []
    start = 0
    while start < len(hashes):
        width = 1 << ((len(hashes) - start).bit_length() - 1)
        found.append(_folded(hashes[start : start + width]))
        start += width
    return found
