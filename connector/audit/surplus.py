"""The files of a log that its checkpoint does not need: older partial tiles, and what is there beyond the signed size.

A partial file that a larger one has replaced may stay, and must then be the beginning of it. What lies beyond the checkpoint is
signed by nobody: lines that wait are there for the moment between tiles and checkpoint, and in the queue all that time. May
import `connector.log`; reads the folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from connector.audit.ceremony import Flaw, Place
from connector.audit.files import read_file
from connector.audit.lines import ENTRIES
from connector.log.tiles import MAX_BUNDLE_BYTES, WIDTH, LogDamaged, bundle_path, decode_bundle, tile_path, width_at

_TILE: Final = re.compile(
    r"tile/(?P<level>[0-7]|entries)/(?P<number>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)
_HASH: Final = 32


class Stored(NamedTuple):
    """A file below `tile/`. ``level`` is None for a bundle of entries."""

    name: str
    level: int | None
    number: int
    width: int


@dataclass(slots=True)
class Surplus:
    """What was found. ``beyond``: the entries past the signed size, as (index, bytes); ``tile``: the name of a tile that has
    nodes past it; ``older``: partial files that stayed."""

    beyond: list[tuple[int, bytes]]
    tile: str
    older: int

    @property
    def place(self) -> Place | None:
        """Where the first unsigned entry or node stands."""
        return Place(ENTRIES, self.beyond[0][0]) if self.beyond else Place(self.tile) if self.tile else None


def look(folder: Path, size: int, most_beyond: int) -> Surplus:
    """Look at every file below `tile/`. Raises Flaw; ``most_beyond`` entries past the signed size at most are kept."""
    beyond: dict[int, bytes] = {}
    older, tile = 0, ""
    for stored in _files(folder):
        signed = width_at(stored.level or 0, stored.number, size)
        if stored.width == signed:
            continue
        content = _read(folder, stored)
        if stored.width < signed:
            older += 1
        if signed:
            whole = _stored(folder, stored.level, stored.number, signed)
            common = min(stored.width, signed)
            if _parts(stored, content)[:common] != whole[:common]:
                raise Flaw("partial-mismatch", "the partial file is not the beginning of the larger one", Place(stored.name))
        if stored.level is None:
            for at, entry in enumerate(_parts(stored, content)):
                index = stored.number * WIDTH + at
                if index >= size and len(beyond) < most_beyond:
                    beyond[index] = entry
        elif stored.width > signed:
            tile = tile or stored.name
    return Surplus(sorted(beyond.items()), tile, older)


def _files(folder: Path) -> Iterator[Stored]:
    for top, _, names in os.walk(folder / "tile"):
        for file in names:
            name = (Path(top) / file).relative_to(folder).as_posix()
            found = _TILE.fullmatch(name)
            width = int(found["width"] or WIDTH) if found else 0
            if found is None or width > WIDTH:
                if file.startswith("."):
                    continue
                raise Flaw("file-unknown", "this is no file of a log", Place(name))
            number = int(re.sub(r"[x/]", "", found["number"]))
            level = None if found["level"] == "entries" else int(found["level"])
            if name != (bundle_path(number, width) if level is None else tile_path(level, number, width)):
                raise Flaw("file-unknown", "no file of a log is spelled like this", Place(name))
            yield Stored(name, level, number, width)


def _read(folder: Path, stored: Stored) -> bytes:
    most = MAX_BUNDLE_BYTES if stored.level is None else WIDTH * _HASH
    try:
        return read_file(folder / stored.name, stored.name, most)
    except FileNotFoundError as error:
        raise Flaw("file-unreadable", "it is gone", Place(stored.name)) from error


def _parts(stored: Stored, content: bytes) -> list[bytes]:
    """The hashes or entries of a file. Raises Flaw if they are not as many as its name says."""
    if stored.level is not None:
        parts = [content[at : at + _HASH] for at in range(0, len(content), _HASH)]
    else:
        try:
            parts = decode_bundle(content, stored.name)
        except LogDamaged as error:
            raise Flaw(error.code, error.reason, Place(stored.name)) from error
    if len(parts) != stored.width or len(parts[-1]) != (_HASH if stored.level is not None else len(parts[-1])):
        raise Flaw("partial-length", "the file has another width than its name says", Place(stored.name))
    return parts


def _stored(folder: Path, level: int | None, number: int, width: int) -> list[bytes]:
    """What the checkpoint needs of a tile or bundle, from the file of exactly that width or the smallest larger one."""
    name = bundle_path if level is None else lambda number, width: tile_path(level, number, width)
    for each in range(width, WIDTH + 1):
        if (folder / name(number, each)).is_file():
            found = Stored(name(number, each), level, number, each)
            return _parts(found, _read(folder, found))[:width]
    raise Flaw("tile-missing", "the file is not there", Place(name(number, width)))
