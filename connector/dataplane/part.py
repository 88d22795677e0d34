"""The unfinished file of one download: ``<name>.part``, its size and running SHA-256. Blocks; called on a thread.

Imports the standard library only.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

HASH_CHUNK_BYTES = 1024 * 1024


class Part:
    """Open for appending from construction to ``close``."""

    def __init__(self, final: Path, *, keep: bool) -> None:
        """Open ``<final>.part``; with ``keep`` what is there already is hashed and continued, else it is dropped."""
        self.final = final
        self.path = part_path(final)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self.path, flags, 0o600), "r+b")
        self._hash = hashlib.sha256()
        self.size = 0
        if not keep:
            self._file.truncate(0)
        while chunk := self._file.read(HASH_CHUNK_BYTES):
            self._hash.update(chunk)
            self.size += len(chunk)

    def truncate(self) -> None:
        """Begin again."""
        self._file.seek(0)
        self._file.truncate(0)
        self._hash = hashlib.sha256()
        self.size = 0

    def append(self, data: bytes) -> None:
        """Write and count ``data``; a killed process leaves no more than what was appended."""
        self._file.write(data)
        self._file.flush()
        self._hash.update(data)
        self.size += len(data)

    def sync(self) -> None:
        """Return when the bytes are on disk."""
        os.fsync(self._file.fileno())

    def hexdigest(self) -> str:
        """SHA-256 of everything appended."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """Give the descriptor back; the file stays."""
        self._file.close()


def part_path(final: Path) -> Path:
    """Where the bytes are before they are complete and verified."""
    return final.with_name(final.name + ".part")


def place(final: Path) -> bool:
    """Rename the verified part to its final name, durably. True also when an earlier attempt had done it."""
    part = part_path(final)
    if part.exists():
        part.replace(final)
        folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return final.exists()


def received_bytes(final: Path) -> int:
    """Size of the part or, when there is none, of the final file; 0 when there is neither."""
    for path in (part_path(final), final):
        if path.exists():
            return path.stat().st_size
    return 0
