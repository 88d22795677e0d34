"""A bundle as a zip: written byte for byte the same from the same members, and read as if somebody had made it to harm us.

What is written is deflated in order of names, with one fixed time and mode. What is read is a plain zip with the members
that its directory lists, once each and one after the other; names that lead elsewhere, sizes that are not so, links and what is
beyond the bounds are refused before anything is unpacked into memory. Blocks: from an event loop, call it in a thread.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from connector.audit.files import regular
from connector.audit.unpacking import BROKEN_ZIP, directory_bytes

MAX_FILE_BYTES: Final = 268_435_456
MAX_MEMBERS: Final = 50_000
MAX_MEMBER_BYTES: Final = 67_108_864
MAX_TOTAL_BYTES: Final = 536_870_912
MAX_NAME_CHARS: Final = 120
PIECE_BYTES: Final = 65_536
_NAME: Final = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,79}/){0,2}[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can say: when it was made says the manifest."""
_MODE: Final = 0o100644 << 16
_LOCAL: Final = struct.Struct("<4sHHHHHLLLHH")
_SIGNATURE: Final = b"PK\x03\x04"
_UTF8: Final = 0x800
_ENTRY_BYTES: Final = 46
"""Of a member in the directory, beside its name."""


class ZipRefused(Exception):
    """The file is no bundle that we read: a stable ``code``, a sentence, and the member that it is about (empty: the whole)."""

    def __init__(self, code: str, reason: str, member: str = "") -> None:
        super().__init__(f"{member or 'zip'}: {reason} [{code}]")
        self.code = code
        self.reason = reason
        self.member = member


def write_zip(into: IO[bytes], members: Mapping[str, bytes]) -> None:
    """Write the members in order of their names. Raises ValueError for a name that `read_zip` would refuse."""
    with zipfile.ZipFile(into, "w") as archive:
        for name in sorted(members):
            if not named_well(name):
                raise ValueError(f"no member can be called {name!r:.80}")
            info = zipfile.ZipInfo(name, _MOMENT)
            info.create_system, info.external_attr = 3, _MODE
            archive.writestr(info, members[name], zipfile.ZIP_DEFLATED, 6)


def named_well(name: str) -> bool:
    """Whether a member may have this name: relative, in at most two folders, plain letters."""
    return len(name) <= MAX_NAME_CHARS and _NAME.fullmatch(name) is not None


def read_zip(path: Path) -> dict[str, bytes]:
    """The members by name. Raises ZipRefused, and OSError where the file cannot be read."""
    # 1. Size, before anything is believed.
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ZipRefused("zip-too-large", f"a bundle has at most {MAX_FILE_BYTES} bytes")
    try:
        with os.fdopen(regular(path), "rb") as opened:
            _check_end(opened)
            return _read(opened)
    except BROKEN_ZIP as error:
        raise ZipRefused("zip-damaged", "this is no zip, or a damaged one") from error


def _check_end(opened: IO[bytes]) -> None:
    # 2. How long the directory is said to be: zipfile has it all in memory before it can be counted.
    if directory_bytes(opened) > MAX_MEMBERS * (_ENTRY_BYTES + MAX_NAME_CHARS):
        raise ZipRefused("zip-too-many", f"a bundle has at most {MAX_MEMBERS} members")
    opened.seek(0)


def _read(opened: IO[bytes]) -> dict[str, bytes]:
    with zipfile.ZipFile(opened) as archive:
        infos = archive.infolist()
        _check_directory(infos)
        _check_layout(opened, infos, archive.start_dir, archive.comment)
        return {info.filename: _content(archive, info) for info in infos}


def _check_directory(infos: list[zipfile.ZipInfo]) -> None:
    # 3. Count, names, doubles, kinds and the sizes that are announced.
    if len(infos) > MAX_MEMBERS:
        raise ZipRefused("zip-too-many", f"a bundle has at most {MAX_MEMBERS} members")
    seen: set[str] = set()
    for info in infos:
        name = info.filename
        if not named_well(name) or info.orig_filename != name:
            raise ZipRefused("member-name", "a member has a name that could lead out of the bundle", name[:MAX_NAME_CHARS])
        if name.lower() in seen:
            raise ZipRefused("member-twice", "a member is there twice", name)
        seen.add(name.lower())
        if info.flag_bits & ~_UTF8 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ZipRefused("member-kind", "members are plain, stored or deflated, and not encrypted", name)
        if info.external_attr >> 28 not in (0, 0o10):
            raise ZipRefused("member-kind", "members are plain files, not links or folders", name)
        if info.file_size > MAX_MEMBER_BYTES:
            raise ZipRefused("member-too-large", f"a member has at most {MAX_MEMBER_BYTES} bytes", name)
    if sum(info.file_size for info in infos) > MAX_TOTAL_BYTES:
        raise ZipRefused("zip-too-large", f"the members have at most {MAX_TOTAL_BYTES} bytes together")


def _check_layout(opened: IO[bytes], infos: list[zipfile.ZipInfo], directory_at: int, comment: bytes) -> None:
    # 4. The members fill the file up to its directory, none over another, with nothing in between that another reader would find.
    if comment:
        raise ZipRefused("zip-layout", "a bundle has no comment")
    at = 0
    for info in sorted(infos, key=lambda each: each.header_offset):
        if info.header_offset != at:
            raise ZipRefused("zip-layout", "the members do not follow each other", info.filename)
        opened.seek(at)
        local = _LOCAL.unpack(opened.read(_LOCAL.size))
        name = opened.read(local[9])
        told = (local[0], local[6], local[7], local[8])
        same = told == (_SIGNATURE, info.CRC, info.compress_size, info.file_size)
        if not same or name != info.orig_filename.encode() or local[10]:
            raise ZipRefused("zip-layout", "the member stands otherwise in the file than its directory says", info.filename)
        at += _LOCAL.size + local[9] + info.compress_size
    if at != directory_at:
        raise ZipRefused("zip-layout", "there is something in the file that its directory does not list")


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    # 5. Not one byte more than was announced; zipfile itself compares the checksum at the end.
    found = bytearray()
    with archive.open(info) as member:
        while piece := member.read(PIECE_BYTES):
            found += piece
            if len(found) > info.file_size:
                raise ZipRefused("member-too-large", "the member is longer than it says", info.filename)
    if len(found) != info.file_size:
        raise ZipRefused("zip-damaged", "the member is shorter than it says", info.filename)
    return bytes(found)
