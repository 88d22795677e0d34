"""Logs that are grown by hand: a folder, keys, and whatever a liar may want to sign with them."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.log.folder import LogFolder
from connector.log.merkle import Edge
from connector.log.note import Checkpoint, NoteSigner, signed
from connector.log.witness import Shown, timed
from connector.log.witnessed import WitnessedLog

SALT = b"\x07" * 32


class Ledger:
    """A log under an origin. ``key`` may be changed at any time."""

    def __init__(self, path: Path, origin: str) -> None:
        self.origin = origin
        self.path = path
        self.key = Ed25519PrivateKey.generate()
        self.begin_again(path)

    def begin_again(self, path: Path) -> None:
        """Another history in another folder, with the same keys."""
        self.folder, self.edge = LogFolder(path), Edge.empty()
        self.witnessed = WitnessedLog(self.folder, lambda: SALT)

    @property
    def signer(self) -> NoteSigner:
        return NoteSigner(self.origin, self.key)

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.origin, self.edge.size, self.edge.root())

    def grow(self, *entries: bytes) -> None:
        """Put entries into it and publish its checkpoint."""
        self.edge = self.folder.append(self.edge, entries)
        self.folder.publish(signed(self.checkpoint, [self.signer]))

    def fill(self, count: int, say: bytes = b"leaf") -> None:
        """As many entries that differ."""
        self.grow(*(say + str(self.edge.size + number).encode() for number in range(count)))

    def shown(self, old_size: int, time_s: int) -> Shown:
        """The newest checkpoint as it is shown to who has seen ``old_size`` leaves."""
        note = self.folder.checkpoint()
        assert note is not None
        root, proof = self.witnessed.since(old_size, self.edge.size)
        return Shown(timed(note, self.signer, time_s), old_size, root, tuple(proof))
