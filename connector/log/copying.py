"""Copies of a log's folder: of one that is written meanwhile, and back to its place.

The checkpoint is read first, and what it covers only ever gets more; so a copy is a whole log. A copy never takes the place of a
log that is longer: that would be an older state of it. Blocks. May import `connector.log`, the store's backup and the errors.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from connector.log import layout, payloads, subjects
from connector.log.folder import CHECKPOINT, LogFolder
from connector.store.backup import BackupError, backup_sqlite

IN_BACKUP: Final = "log"
_DATABASES: Final = (payloads.FILE, subjects.FILE)


def copy_log(folder: Path, target: Path) -> int | None:
    """Copy the log to the new folder ``target``; how many leaves it has, or None where there is none. Raises BackupError."""
    if not (folder / layout.SALT).exists():
        return None
    try:
        target.mkdir(mode=0o700, parents=True)
        # The keys before the checkpoint: one that takes over in between is found by the checkpoint, a list that is ahead of it
        # would be damage.
        if (folder / layout.VKEYS).exists():
            _copy(folder / layout.VKEYS, target / layout.VKEYS)
        size, note = LogFolder(folder).size(), LogFolder(folder).checkpoint()
        # A partial tile goes when the full one is there: what the first round misses by that, the second finds.
        for _ in range(2):
            for name in _files(folder):
                _copy(folder / name, target / name)
        for database in _DATABASES:
            if (folder / database).exists():
                backup_sqlite(folder / database, target / database)
        if note is not None:
            layout.replace_file(target / CHECKPOINT, note.encode())
    except OSError as error:
        raise BackupError(f"cannot copy the contract log to {target}: {error.strerror}") from error
    return size


def restore_log(source: Path, folder: Path) -> bool:
    """Put a copy in the place of the log, which is kept as ``<folder>.replaced``; False where the log is as long, and stays.

    No connector may be using it. Raises BackupError.
    """
    if folder.exists() and LogFolder(folder).size() >= LogFolder(source).size():
        return False
    try:
        if folder.exists():
            replaced = folder.with_name(f"{folder.name}.replaced")
            shutil.rmtree(replaced, ignore_errors=True)
            folder.rename(replaced)
        copy_log(source, folder)
    except OSError as error:
        raise BackupError(f"cannot put the contract log to {folder}: {error.strerror}") from error
    return True


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        shutil.copy2(source, target)


def _files(folder: Path) -> Iterator[Path]:
    """What is copied as it is."""
    for place, _, names in os.walk(folder):
        here = Path(place).relative_to(folder)
        for name in names:
            if here == Path() and (name in (CHECKPOINT, layout.LOCK) or name.startswith((".", *_DATABASES))):
                continue
            yield here / name
