"""Logs for tests: made leaves with a key, in a folder or in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from catalog.canonical import canonical_bytes
from connector.log.folder import LogFolder
from connector.log.merkle import Edge, leaf_hash
from connector.log.note import Checkpoint, NoteSigner, origin_of, signed
from connector.log.tiles import WIDTH, subtree

PARTICIPANT = "did:web:fleet.example"


def a_leaf(number: int) -> bytes:
    """A leaf in its form: about 250 bytes, another for each number."""
    said = {
        "v": 1,
        "id": f"urn:uuid:00000000-0000-4000-8000-{number:012x}",
        "type": "message",
        "time": "2026-01-01T00:00:00.000Z",
        "process": f"urn:uuid:00000000-0000-4000-9000-{number // 10:012x}",
        "direction": "in",
        "channel": "dsp",
        "message": "ContractRequestMessage",
        "event": "received",
        "state": "REQUESTED",
        "role": "provider",
    }
    return canonical_bytes(said)


def a_signer(seed: int = 1, name: str = "") -> NoteSigner:
    """A key, the same for the same seed, of the test participant's log unless named."""
    return NoteSigner(name or origin_of(PARTICIPANT), Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


@dataclass
class GrownLog:
    """A log in a folder that a test grows."""

    folder: LogFolder
    signer: NoteSigner
    edge: Edge

    @property
    def vkey(self) -> str:
        """As it stands in `log.vkey`."""
        return self.signer.verifier.vkey

    def grow(self, leaves: int, leaf: Callable[[int], bytes] = a_leaf, batch: int = 10_000) -> str:
        """So many leaves more, appended in batches and published once; gives the note."""
        stop = self.edge.size + leaves
        while self.edge.size < stop:
            until = min(stop, self.edge.size + batch)
            self.edge = self.folder.append(self.edge, (leaf(number) for number in range(self.edge.size, until)))
        return self.publish()

    def publish(self) -> str:
        """The checkpoint of what was appended."""
        note = signed(Checkpoint(self.signer.name, self.edge.size, self.edge.root()), [self.signer])
        self.folder.publish(note)
        return note


def grown_log(path: Path, leaves: int, leaf: Callable[[int], bytes] = a_leaf, signer: NoteSigner | None = None) -> GrownLog:
    """A published log of so many made leaves in a folder, with `log.vkey` beside it."""
    made = GrownLog(LogFolder(path), signer or a_signer(), Edge.empty())
    made.grow(leaves, leaf)
    (path / "log.vkey").write_text(made.vkey + "\n")
    return made


class InMemory:
    """The hash tiles of a log of these entries."""

    def __init__(self, entries: list[bytes]) -> None:
        self.rows = [[leaf_hash(entry) for entry in entries]]
        self.read: list[tuple[int, int, int]] = []
        while len(self.rows[-1]) >= WIDTH:
            self.rows.append([subtree(chunk) for chunk in _full(self.rows[-1])])

    def hash_tile(self, level: int, number: int, width: int) -> bytes:
        """Keeps what was asked for in ``read``."""
        self.read.append((level, number, width))
        return b"".join(self.rows[level][number * WIDTH :][:width])


def _full(row: list[bytes]) -> Iterator[list[bytes]]:
    return (row[at : at + WIDTH] for at in range(0, len(row) // WIDTH * WIDTH, WIDTH))
