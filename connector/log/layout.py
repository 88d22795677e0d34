"""What stands in the folder of a log beside its tiles, and how it is written: whole or not at all, and on disk.

The salt opens the salted names; `log.vkey` lists the keys that the log is signed with, oldest first; `handover/<size>` is the
checkpoint that announces the next one. Everything blocks: from an event loop, call it in a thread. May import `connector.log`
and the errors.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from connector.log.note import NoteRefused, Verifier
from connector.log.tiles import LogDamaged

LOCK: Final = "lock"
SALT: Final = "salt"
VKEYS: Final = "log.vkey"
HANDOVER: Final = "handover"
SALT_BYTES: Final = 32
MAX_FILE_BYTES: Final = 1_048_576
_SALT_FORM: Final = re.compile(r"[0-9a-f]{64}\n?")


def make_folder(folder: Path) -> None:
    """The folder of a log, the owner's alone, if it is not there. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def read_salt(folder: Path) -> bytes:
    """The salt (32 bytes) of a log. Raises LogDamaged where it is not there."""
    try:
        text = _read(folder / SALT)
    except FileNotFoundError:
        raise LogDamaged("salt-missing", SALT, "the file is missing; restore it from a copy") from None
    if _SALT_FORM.fullmatch(text) is None:
        raise LogDamaged("salt-damaged", SALT, "these are not 64 hex digits; restore the file from a copy")
    return bytes.fromhex(text.strip())


def ensure_salt(folder: Path) -> bytes:
    """The salt of a log, made where it is not there; who is faster makes it for all. Raises LogDamaged and OSError."""
    with suppress(FileExistsError):
        if not (folder / SALT).exists():
            written = _written(folder, SALT, f"{secrets.token_hex(SALT_BYTES)}\n".encode())
            try:
                # Unlike a rename, a link never replaces what another has made meanwhile.
                os.link(written, folder / SALT)
                _sync(folder)
            finally:
                written.unlink()
    return read_salt(folder)


def folder_name(salt: bytes) -> str:
    """What a database remembers of the folder that its leaves went to."""
    return sha256(b"carnet log folder" + salt).hexdigest()


def read_vkeys(folder: Path) -> list[Verifier]:
    """The keys that the log was signed with, oldest first; none if it has not begun. Raises LogDamaged."""
    try:
        lines = _read(folder / VKEYS).split()
    except FileNotFoundError:
        return []
    try:
        return [Verifier.parse(line) for line in lines]
    except NoteRefused as error:
        raise LogDamaged("key-damaged", VKEYS, f"{error.reason}; restore the file from a copy") from None


def write_vkeys(folder: Path, verifiers: Sequence[Verifier]) -> None:
    """Replace the list of keys. Raises OSError."""
    replace_file(folder / VKEYS, "".join(f"{each.vkey}\n" for each in verifiers).encode())


def write_handover(folder: Path, size: int, note: str) -> None:
    """Keep the checkpoint of this size that the old and the new key have signed. Raises OSError."""
    (folder / HANDOVER).mkdir(mode=0o700, exist_ok=True)
    replace_file(folder / HANDOVER / str(size), note.encode())


def replace_file(path: Path, content: bytes) -> None:
    """The whole content or what was there before, on disk when this returns. Raises OSError."""
    written = _written(path.parent, path.name, content)
    try:
        written.replace(path)
    except OSError:
        written.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _read(path: Path) -> str:
    # Of a pipe in the place of the file nothing is read; to open it the usual way would wait for its writer.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as opened:
        content = opened.read(MAX_FILE_BYTES + 1) or b""
    if len(content) > MAX_FILE_BYTES:
        raise LogDamaged("file-long", path.name, f"it has more than {MAX_FILE_BYTES} bytes")
    return content.decode("ascii", "replace")


def _written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / f".{name}.{secrets.token_hex(4)}.new"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
