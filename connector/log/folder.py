"""The log on disk: tiles, entry bundles and the checkpoint, written so that a power cut at any moment leaves a whole log.

What a checkpoint covers is on disk before the checkpoint is; what no checkpoint covers yet may be written again. There is one
writer (who holds the lock of the folder) and any number of readers, here and over HTTP. Nothing that is read is trusted:
a reader gets what the files say, in their form, and checks it against a root; a form that is wrong is LogDamaged.
Blocking disk I/O: call it in a thread. May import `merkle`, `tiles`, `note`, `proofs` and the errors.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from connector.log.merkle import HASH_BYTES, Edge, leaf_hash
from connector.log.note import MAX_NOTE_BYTES, Checkpoint, NoteRefused, body_of
from connector.log.proofs import Tree
from connector.log.tiles import (
    HEIGHT,
    MAX_BUNDLE_BYTES,
    MAX_LEVEL,
    UNREADABLE,
    WIDTH,
    LogDamaged,
    bundle_path,
    decode_bundle,
    encode_bundle,
    grown,
    hashes_of,
    subtree,
    tile_path,
)
from connector.protocol.errors import InvariantBroken

__all__ = ["CHECKPOINT", "LogDamaged", "LogFolder"]

CHECKPOINT: Final = "checkpoint"
_NEW: Final = ".new"
"""What is being written; it gets its name when it is whole."""


class LogFolder:
    """A log in a folder, which is made (mode 0700) with the first write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Whose own entry is known to be on disk.
        self._durable: set[Path] = set()

    def checkpoint(self) -> str | None:
        """The newest signed checkpoint, not verified; None: there is none. Raises LogDamaged."""
        found = self._read(CHECKPOINT, MAX_NOTE_BYTES)
        try:
            return None if found is None else found.decode()
        except UnicodeDecodeError as error:
            raise LogDamaged("checkpoint-form", CHECKPOINT, "the checkpoint is no UTF-8") from error

    def size(self) -> int:
        """The size that the newest checkpoint says, not verified; 0: there is none. Raises LogDamaged."""
        head = self._head()
        return head.size if head else 0

    def hash_tile(self, level: int, number: int, width: int) -> bytes:
        """The first ``width`` hashes (32 bytes each) of a tile, out of a larger one where there is none of that width.
        Raises LogDamaged."""
        for there in range(width, WIDTH + 1):
            place = tile_path(level, number, there)
            found = self._read(place, WIDTH * HASH_BYTES)
            if found is None:
                continue
            if len(found) != there * HASH_BYTES:
                raise LogDamaged("tile-length", place, f"the tile should have {there} hashes of {HASH_BYTES} bytes")
            return found[: width * HASH_BYTES]
        raise LogDamaged("tile-missing", tile_path(level, number, width), "the tile is not there, nor a larger one")

    def bundle(self, number: int, width: int) -> list[bytes]:
        """The first ``width`` entries of a bundle, out of a larger one where there is none of that width. Raises LogDamaged."""
        for there in range(width, WIDTH + 1):
            place = bundle_path(number, there)
            found = self._read(place, MAX_BUNDLE_BYTES)
            if found is None:
                continue
            entries = decode_bundle(found, place)
            if len(entries) != there:
                raise LogDamaged("bundle-length", place, f"there are {len(entries)} entries in it, and not {there}")
            return entries[:width]
        raise LogDamaged("bundle-missing", bundle_path(number, width), "the bundle is not there, nor a larger one")

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """The entries from ``start`` to before ``stop``, a bundle at a time in memory. Raises LogDamaged."""
        for number in range(start // WIDTH, -(-stop // WIDTH)) if start < stop else ():
            first = number * WIDTH
            yield from self.bundle(number, min(WIDTH, stop - first))[max(0, start - first) :]

    def edge(self, size: int) -> Edge:
        """The right edge of the log at a size, as the tiles have it. Raises LogDamaged."""
        return Tree(self, size).edge()

    def append(self, edge: Edge, entries: Iterable[bytes]) -> Edge:
        """Put these entries behind the leaves of ``edge``: bundles and tiles, durable on return. No checkpoint covers them yet.

        What an append left behind that never got its checkpoint is written over. Raises LogDamaged where the tiles have another
        edge than this, InvariantBroken where the published log is longer than it.
        """
        added = list(entries)
        head = self._head()
        if head is not None and edge.size < head.size:
            raise InvariantBroken("log-fork", f"leaf {edge.size} is published already: the log has {head.size}")
        if self.edge(edge.size) != edge:
            raise LogDamaged("edge-wrong", "tile", f"the tiles are not those of the first {edge.size} leaves")
        if not added:
            return edge
        hashes = [leaf_hash(entry) for entry in added]
        after = edge.extended(hashes)
        for size in (edge.size, after.size):
            self._clear_after(size)
        folders: set[Path] = set()
        self._write_bundles(edge.size, added, folders)
        self._write_tiles(edge.size, hashes, folders)
        for folder in folders:
            _sync(folder)
        self._durable |= folders
        return after

    def publish(self, note: str) -> None:
        """Make this checkpoint (verified by the caller) the newest one, at once and durably. Partial tiles whose full ones it
        covers are deleted, as the format allows.

        Raises InvariantBroken for a smaller log, another root at the same size, another origin, or what the tiles do not have.
        """
        new, old = Checkpoint.parse(body_of(note)), self._head()
        if old is not None:
            if new.origin != old.origin or new.size < old.size:
                raise InvariantBroken("log-fork", f"the published log has {old.size} leaves: it never gets shorter, nor another")
            if new.size == old.size and new.root != old.root:
                raise InvariantBroken("log-fork", f"the published log of {old.size} leaves has another root")
        if self.edge(new.size).root() != new.root:
            raise InvariantBroken("log-checkpoint", f"the tiles of {new.size} leaves have another root than the checkpoint")
        self._write(CHECKPOINT, note.encode(), set())
        _sync(self.path)
        self._drop_partial(old.size if old else 0, new.size)

    def _head(self) -> Checkpoint | None:
        note = self.checkpoint()
        try:
            return None if note is None else Checkpoint.parse(body_of(note))
        except NoteRefused as error:
            raise LogDamaged("checkpoint-form", CHECKPOINT, error.reason) from error

    def _write_bundles(self, size: int, added: Sequence[bytes], folders: set[Path]) -> None:
        number, there = divmod(size, WIDTH)
        row = [*self.bundle(number, there), *added] if there else added
        for at in range(0, len(row), WIDTH):
            chunk = row[at : at + WIDTH]
            self._write(bundle_path(number + at // WIDTH, len(chunk)), encode_bundle(chunk), folders)

    def _write_tiles(self, size: int, row: list[bytes], folders: set[Path]) -> None:
        for level in range(MAX_LEVEL + 1):
            if not row:
                break
            number, there = divmod(size >> HEIGHT * level, WIDTH)
            if there:
                row = hashes_of(self.hash_tile(level, number, there)) + row
            above = []
            for at in range(0, len(row), WIDTH):
                chunk = row[at : at + WIDTH]
                self._write(tile_path(level, number + at // WIDTH, len(chunk)), b"".join(chunk), folders)
                if len(chunk) == WIDTH:
                    above.append(subtree(chunk))
            row = above

    def _clear_after(self, size: int) -> None:
        """What the tiles that are at their edge at this size have of more than it, an append left that got no checkpoint; a
        reader that looks for a larger tile must not find it."""
        for level in range(MAX_LEVEL + 1):
            number, there = divmod(size >> HEIGHT * level, WIDTH)
            for name in (tile_path(level, number), bundle_path(number)) if level == 0 else (tile_path(level, number),):
                full = self.path / name
                full.unlink(missing_ok=True)
                for partial in _partial(full):
                    if int(partial.name) > there:
                        partial.unlink()

    def _drop_partial(self, old_size: int, new_size: int) -> None:
        for level, number, width in grown(old_size, new_size):
            if width < WIDTH:
                continue
            for name in (tile_path(level, number), bundle_path(number)) if level == 0 else (tile_path(level, number),):
                for partial in _partial(self.path / name):
                    partial.unlink()
                if (folder := _partials(self.path / name)).is_dir():
                    folder.rmdir()
                    self._durable.discard(folder)

    def _read(self, name: str, limit: int) -> bytes | None:
        """A file of at most ``limit`` bytes, or None where it is not there."""
        try:
            with open(self.path / name, "rb", opener=_without_waiting) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise LogDamaged(UNREADABLE, name, "this is no file")
                found = file.read(limit + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LogDamaged(UNREADABLE, name, f"the file cannot be read: {error.strerror}") from error
        if len(found) > limit:
            raise LogDamaged("file-size", name, f"the file is longer than {limit} bytes")
        return found

    def _write(self, name: str, data: bytes, folders: set[Path]) -> None:
        """``folders`` gets those that must be synced for the file to be found after a power cut."""
        target = self.path / name
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        new = self.path / _NEW
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
        folders.add(target.parent)
        for part in Path(name).parents:
            if self.path / part not in self._durable:
                folders |= {self.path / part, (self.path / part).parent}


def _without_waiting(path: str, flags: int) -> int:
    """What was put where a file should be could be a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _partials(full: Path) -> Path:
    return full.with_name(f"{full.name}.p")


def _partial(full: Path) -> list[Path]:
    """The partial ones of a tile or bundle."""
    folder = _partials(full)
    return [each for each in folder.iterdir() if each.name.isdecimal()] if folder.is_dir() else []


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
