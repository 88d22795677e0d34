"""Proofs out of tiles, and the file that carries one (C2SP tlog-proof): an entry is in a signed log, shown without the log.

A proof needs no more than a tile of each level; whoever has the tiles (a folder, a peer over HTTP) is the `Reads` given in.
Pure over that: no I/O of its own, no clock. May import `merkle`, `tiles`, `note` and the errors.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from connector.log.merkle import HASH_BYTES, MAX_PATH, MAX_SIZE, Edge, ProofWrong, check_inclusion, folded, leaf_hash
from connector.log.note import MAX_NOTE_BYTES, Opened, Verifier, opened
from connector.log.tiles import HEIGHT, WIDTH, LogDamaged, hashes_of, subtree, tile_path, width_at
from connector.protocol.errors import InvariantBroken

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_EXTRA_BYTES: Final = 65_536
MAX_PROOF_CHARS: Final = MAX_NOTE_BYTES + 2 * MAX_EXTRA_BYTES

_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")


class Reads(Protocol):
    """Who has the hash tiles of a log."""

    def hash_tile(self, level: int, number: int, width: int) -> bytes:
        """The first ``width`` hashes (32 bytes each) of a tile. Raises LogDamaged where they are not there."""


class Tree:
    """A log as it was at a size, over its tiles, each of which is read once."""

    def __init__(self, reader: Reads, size: int) -> None:
        self._reader = reader
        self._tiles: dict[tuple[int, int], bytes] = {}
        self.size = size

    def root_of(self, start: int, stop: int) -> bytes:
        """RFC 6962, 2.1: the hash over the leaves from ``start`` to before ``stop``, where ``start`` is a multiple of the
        largest power of two that is not above their number: all that occurs in a proof."""
        return folded(self._perfect(start, stop))

    def edge(self) -> Edge:
        """The right edge of the tree."""
        return Edge(self.size, tuple(self._perfect(0, self.size)))

    def _perfect(self, start: int, stop: int) -> list[bytes]:
        """The roots of the perfect subtrees that fill a range, the largest first."""
        roots = []
        while start < stop:
            level = (stop - start).bit_length() - 1
            roots.append(self._node(level, start >> level))
            start += 1 << level
        return roots

    def _node(self, level: int, number: int) -> bytes:
        tile_level, above = divmod(level, HEIGHT)
        first = number << above
        number, first = divmod(first, WIDTH)
        found = self._tile(tile_level, number)[first * HASH_BYTES : (first + (1 << above)) * HASH_BYTES]
        return subtree(hashes_of(found))

    def _tile(self, level: int, number: int) -> bytes:
        found = self._tiles.get((level, number))
        if found is None:
            width = width_at(level, number, self.size)
            found = self._reader.hash_tile(level, number, width)
            if len(found) != width * HASH_BYTES:
                raise LogDamaged("tile-length", tile_path(level, number, width), "the tile has another length than its name")
            self._tiles[level, number] = found
        return found


def root_of(reader: Reads, size: int) -> bytes:
    """The root of the log at a size, as its tiles have it."""
    return Tree(reader, size).root_of(0, size)


def inclusion(reader: Reads, index: int, size: int) -> list[bytes]:
    """RFC 6962, 2.1.1: the path from the leaf at ``index`` to the root of the tree of ``size`` leaves, the sibling first."""
    if not 0 <= index < size <= MAX_SIZE:
        raise InvariantBroken("proof-index", f"a tree of {size} leaves has no leaf {index}")
    tree = Tree(reader, size)
    path = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _left(stop - start)
        if index < middle:
            path.append(tree.root_of(middle, stop))
            stop = middle
        else:
            path.append(tree.root_of(start, middle))
            start = middle
    return path[::-1]


def consistency(reader: Reads, old: int, new: int) -> list[bytes]:
    """RFC 6962, 2.1.2: that the tree of ``new`` leaves begins with that of ``old``; empty where either says it all."""
    if not 0 <= old <= new <= MAX_SIZE:
        raise InvariantBroken("proof-size", f"a tree of {new} leaves does not begin with one of {old}")
    if old in (0, new):
        return []
    tree = Tree(reader, new)
    path = []
    start, stop = 0, new
    while old != stop:
        middle = start + _left(stop - start)
        if old <= middle:
            path.append(tree.root_of(middle, stop))
            stop = middle
        else:
            path.append(tree.root_of(start, middle))
            start = middle
    if start:
        path.append(tree.root_of(start, stop))
    return path[::-1]


def _left(size: int) -> int:
    """The largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


@dataclass(frozen=True, slots=True)
class TlogProof:
    """What a .tlog-proof says; nothing of it is verified. ``extra`` is under no signature."""

    index: int
    path: tuple[bytes, ...]
    note: str
    extra: bytes = b""


def tlog_proof(index: int, path: Sequence[bytes], note: str, extra: bytes = b"") -> str:
    """The text of a .tlog-proof."""
    lines = [HEADER]
    if extra:
        lines.append(f"extra {base64.b64encode(extra).decode()}")
    lines.append(f"index {index}")
    lines += [base64.b64encode(each).decode() for each in path]
    return "\n".join((*lines, "", note))


def read_tlog_proof(text: str) -> TlogProof:
    """The parts of a .tlog-proof. Raises ProofWrong for what is none."""
    if len(text) > MAX_PROOF_CHARS:
        raise ProofWrong("proof-form", "the proof is too long")
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines.pop(0) != HEADER:
        raise ProofWrong("proof-form", f"the proof does not begin with {HEADER}")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = _decoded(lines.pop(0).removeprefix("extra "))
    found = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if found is None or int(found[1]) > MAX_SIZE or len(extra) > MAX_EXTRA_BYTES:
        raise ProofWrong("proof-form", "the proof has no line with the index where it should be")
    if len(lines) > MAX_PATH:
        raise ProofWrong("proof-length", f"a path has {MAX_PATH} hashes at most")
    path = tuple(map(_decoded, lines))
    if any(len(each) != HASH_BYTES for each in path):
        raise ProofWrong("proof-form", f"a hash has {HASH_BYTES} bytes")
    return TlogProof(int(found[1]), path, note, extra)


def check_tlog_proof(text: str, leaf: bytes, verifiers: Sequence[Verifier]) -> tuple[int, Opened]:
    """This leaf (its bytes) is in the log that the verifiers sign: gives its index and the checkpoint.

    Raises ProofWrong, or NoteRefused for the checkpoint. Who asks for a certain signature looks into the checkpoint's.
    """
    proof = read_tlog_proof(text)
    head = opened(proof.note, verifiers)
    check_inclusion(leaf_hash(leaf), proof.index, head.checkpoint.size, proof.path, head.checkpoint.root)
    return proof.index, head


def _decoded(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofWrong("proof-form", "the proof has a line that is no base64") from error
    if base64.b64encode(decoded).decode() != text:
        raise ProofWrong("proof-form", "base64 must be in its one canonical form")
    return decoded
