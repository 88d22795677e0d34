"""The Merkle tree of RFC 6962: hashes, the right edge that a growing log keeps, and the two proofs.

A log never needs the whole tree to grow: the roots of the perfect subtrees of its leaves, one for each set bit of the size,
are enough (`Edge`). Proofs are checked here, with nothing but what the verifier holds; they are made in `proofs`.
Pure: no I/O, no clock. May import the errors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from connector.protocol.errors import InvariantBroken, PeerError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256().digest()
"""RFC 6962, 2.1: the hash of an empty list."""
MAX_SIZE: Final = 2**63 - 1
"""No tree is larger: the largest number that every implementation of the format reads."""
MAX_PATH: Final = 64
"""No inclusion path is longer; a consistency proof may have one hash more."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


class ProofWrong(PeerError):
    """A proof does not show what it is said to show."""


def leaf_hash(data: bytes) -> bytes:
    """RFC 6962, 2.1: of one entry."""
    return hashlib.sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962, 2.1: of two subtrees."""
    return hashlib.sha256(_NODE + left + right).digest()


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tree of ``size`` leaves: the roots of its perfect subtrees, the largest (leftmost) first."""

    size: int
    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE or len(self.hashes) != self.size.bit_count():
            raise InvariantBroken("log-edge", f"{len(self.hashes)} hashes are no edge of {self.size} leaves")

    @classmethod
    def empty(cls) -> Edge:
        """Of a tree without leaves."""
        return cls(0, ())

    def extended(self, leaf_hashes: Iterable[bytes]) -> Edge:
        """The edge after these leaves (their hashes, in order)."""
        sha256 = hashlib.sha256
        size = self.size
        edge = list(self.hashes)
        for latest in leaf_hashes:
            above, left = latest, size
            while left & 1:
                above = sha256(_NODE + edge.pop() + above).digest()
                left >>= 1
            edge.append(above)
            size += 1
        return Edge(size, tuple(edge))

    def root(self) -> bytes:
        """RFC 6962, 2.1: the hash of the tree."""
        return folded(self.hashes)


def folded(hashes: Sequence[bytes]) -> bytes:
    """The root over neighbouring perfect subtrees, the largest first, each smaller than the one before."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def check_inclusion(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """RFC 9162, 2.1.3.2: the leaf stands at ``index`` of the tree of ``size`` leaves with this root. Raises ProofWrong."""
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofWrong("proof-index", f"a tree of {size} leaves has no leaf {index}")
    _check_forms(path, root, leaf_hash)
    found = leaf_hash
    for step, left in _climbed(index, size - 1, path):
        found = node_hash(step, found) if left else node_hash(found, step)
    if found != root:
        raise ProofWrong("proof-root", "the path leads to another root")


def check_consistency(old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """RFC 9162, 2.1.4.2: the tree of ``size`` leaves begins with the tree of ``old_size`` leaves. Raises ProofWrong."""
    if not 0 <= old_size <= size <= MAX_SIZE:
        raise ProofWrong("proof-size", f"a tree of {size} leaves does not begin with one of {old_size}")
    _check_forms(path, old_root, root)
    if old_size in (0, size):
        if path:
            raise ProofWrong("proof-length", "between these sizes nothing is left to prove")
        if old_root != (root if old_size else EMPTY_ROOT) or (size == 0 and root != EMPTY_ROOT):
            raise ProofWrong("proof-root", "trees of the same size have different roots")
        return
    if not path:
        raise ProofWrong("proof-length", "there is no path")
    if old_size & (old_size - 1) == 0:
        path = [old_root, *path]
    node, last = old_size - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    then = now = path[0]
    for step, left in _climbed(node, last, path[1:]):
        if left:
            then, now = node_hash(step, then), node_hash(step, now)
        else:
            now = node_hash(now, step)
    if then != old_root:
        raise ProofWrong("proof-old-root", "the path does not begin with the older tree")
    if now != root:
        raise ProofWrong("proof-root", "the path leads to another root")


def _climbed(node: int, last: int, path: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each hash of a path from a node up to the root, and if it stands to the left. ``last`` is the last node of the level."""
    for step in path:
        if last == 0:
            raise ProofWrong("proof-length", "the path has more hashes than the tree has levels")
        left = bool(node & 1) or node == last
        if left:
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        yield step, left
        node, last = node >> 1, last >> 1
    if last != 0:
        raise ProofWrong("proof-length", "the path ends before the root")


def _check_forms(path: Sequence[bytes], *others: bytes) -> None:
    if len(path) > MAX_PATH + 1:
        raise ProofWrong("proof-length", f"a path has {MAX_PATH} hashes at most")
    if any(len(each) != HASH_BYTES for each in (*path, *others)):
        raise ProofWrong("proof-form", f"a hash has {HASH_BYTES} bytes")
