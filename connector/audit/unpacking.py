"""Sets of files as one zip, made the same each time, and read with bounds from who may wish us ill.

Imports the standard library and the ceremony.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final

from connector.audit.ceremony import Flaw, Place
from connector.audit.files import regular

MAX_FILES: Final = 200_000
MAX_UNPACKED_BYTES: Final = 17_179_869_184
MAX_NAME_CHARS: Final = 300
MAX_DIRECTORY_BYTES: Final = MAX_FILES * (46 + MAX_NAME_CHARS)
_TAIL_BYTES: Final = 65_535 + 22 + 20 + 56
"""In which the end of a zip is found: the longest comment, and the records that close the directory."""
BROKEN_ZIP: Final = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, RuntimeError, NotImplementedError, ValueError)
"""What zipfile raises of a zip that is damaged."""
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
        with _archive(path) as archive:
            return name in archive.NameToInfo
    except (OSError, Flaw, *BROKEN_ZIP):
        return False


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip with its directory read: no longer one than that of as many files as we read. Raises Flaw."""
    with os.fdopen(regular(path), "rb") as opened:
        # zipfile reads the whole directory into memory before anybody can count what is in it.
        if directory_bytes(opened) > MAX_DIRECTORY_BYTES:
            raise Flaw("zip-too-large", f"its directory has more than {MAX_DIRECTORY_BYTES} bytes", Place(path.name))
        with zipfile.ZipFile(opened) as archive:
            yield archive


def directory_bytes(opened: IO[bytes]) -> int:
    """The largest length of a zip's directory that a reader could take it to have; 0: none is found."""
    end = opened.seek(0, os.SEEK_END)
    opened.seek(max(0, end - _TAIL_BYTES))
    tail = opened.read(_TAIL_BYTES)
    longest = 0
    for mark, at, form in ((b"PK\x05\x06", 12, "<L"), (b"PK\x06\x06", 40, "<Q")):
        place = tail.find(mark)
        while place >= 0:
            field = tail[place + at : place + at + struct.calcsize(form)]
            if len(field) == struct.calcsize(form):
                (length,) = struct.unpack(form, field)
                # What says that it is longer than the file leads nowhere, in the one form 0xffffffff to the other.
                longest = max(longest, length if length <= end else 0)
            place = tail.find(mark, place + 1)
    return longest


def unpacked(path: Path, folder: Path) -> None:
    """Unpack a zip below a folder of nobody else's. Raises Flaw for what is none, is too large or names what it should not."""
    try:
        with _archive(path) as archive:
            entries = archive.infolist()
            _check(path, entries)
            for entry in entries:
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("xb") as into:
                    shutil.copyfileobj(source, into)
    except FileExistsError as error:
        raise Flaw("zip-twice", "a name is in it twice", Place(path.name)) from error
    except (OSError, *BROKEN_ZIP) as error:
        raise Flaw("zip-unreadable", "this is no zip that can be read", Place(path.name)) from error


def _check(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise Flaw("zip-too-large", f"it has more than {MAX_FILES} files or {MAX_UNPACKED_BYTES} bytes", Place(path.name))
    for number, entry in enumerate(entries):
        name = entry.filename
        parts = PurePosixPath(name).parts
        if len(name) > MAX_NAME_CHARS or _NAME.fullmatch(name) is None or ".." in parts:
            raise Flaw("zip-name", "a name in it leads out of it, or is none of ours", Place(path.name, number))
