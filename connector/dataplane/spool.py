"""The folder of files that are made for buyers: where each stands, and what belongs to nothing. Blocks on the disk.

``made`` are artifacts, ``index`` the vehicles of each, ``kept`` cells that stay what they were, ``scratch`` what workers spill.
Names are digests: nothing of a buyer or a transfer shows in them. May import the standard library only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDERS: Final = ("made", "index", "kept", "scratch")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files of one artifact stand."""

    file: str
    index: str
    keep: str
    scratch: str

    @property
    def trips(self) -> str:
        """Beside the index, for deliveries whose rows name trips alone."""
        return trips_beside(self.index)


def trips_beside(index: str) -> str:
    """Where the trips stand of the vehicles of an index."""
    return f"{index}.trips"


class Spool:
    """One folder, readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Make the folders. Raises OSError."""
        for name in FOLDERS:
            (self._folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    def places(self, flow_id: str, generation: int) -> Places:
        """Where an artifact goes."""
        name = f"{hashlib.sha256(flow_id.encode('utf-8', 'surrogateescape')).hexdigest()[:40]}-{generation}"
        return Places(*(str(self._folder / folder / name) for folder in FOLDERS))

    def begin(self, places: Places) -> None:
        """An empty scratch folder, and nothing of an earlier attempt. Raises OSError."""
        self.drop(places.file, places.index, places.trips, places.keep)
        shutil.rmtree(places.scratch, ignore_errors=True)
        Path(places.scratch).mkdir(mode=0o700)

    def end(self, places: Places) -> None:
        """What was spilled is gone."""
        shutil.rmtree(places.scratch, ignore_errors=True)

    def drop(self, *files: str | None) -> None:
        """Delete files, if they are there."""
        for file in files:
            if file is not None:
                Path(file).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """What is free on the disk for us. Raises OSError."""
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def sweep(self, known: Collection[str]) -> int:
        """Delete everything that is not known, and all that was spilled; how many files were."""
        swept = 0
        for name in FOLDERS:
            for path in (self._folder / name).iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                elif str(path) not in known:
                    path.unlink(missing_ok=True)
                    swept += 1
        return swept
