"""Sets of files as one zip, made the same each time, and read with bounds from who may wish us ill.

Imports the standard library and the ceremony.
"""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

from connector.audit.ceremony import Flaw, Place

MAX_FILES: Final = 200_000
MAX_UNPACKED_BYTES: Final = 17_179_869_184
MAX_NAME_CHARS: Final = 300
_NAME: Final = re.compile(r"[A-Za-z0-9._@+-]+(?:/[A-Za-z0-9._@+-]+)*")
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)


def packed(folder: Path, into: Path) -> Path:
    """A zip of the files below a folder, in the order of their names and without a time. Gives its path."""
    with zipfile.ZipFile(into, "x", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _MOMENT)
            entry.external_attr = (stat.S_IFREG | 0o600) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
    return into


def names(path: Path, name: str) -> bool:
    """Whether this is a zip with a file of that name."""
    try:
        with zipfile.ZipFile(path) as archive:
            return name in archive.NameToInfo
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def unpacked(path: Path, folder: Path) -> None:
    """Unpack a zip below a folder of nobody else's. Raises Flaw for what is none, is too large or names what it should not."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check(path, entries)
            for entry in entries:
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("xb") as into:
                    shutil.copyfileobj(source, into)
    except FileExistsError as error:
        raise Flaw("zip-twice", "a name is in it twice", Place(path.name)) from error
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError) as error:
        raise Flaw("zip-unreadable", "this is no zip that can be read", Place(path.name)) from error


def _check(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise Flaw("zip-too-large", f"it has more than {MAX_FILES} files or {MAX_UNPACKED_BYTES} bytes", Place(path.name))
    for number, entry in enumerate(entries):
        name = entry.filename
        parts = PurePosixPath(name).parts
        if len(name) > MAX_NAME_CHARS or _NAME.fullmatch(name) is None or ".." in parts:
            raise Flaw("zip-name", "a name in it leads out of it, or is none of ours", Place(path.name, number))
