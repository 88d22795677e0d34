"""Checkpoints in files: read with bounds, opened with the keys that are known, never believed for their name.

May import `connector.log.note` and the ceremony.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connector.audit.ceremony import Flaw, Place
from connector.audit.files import read_file
from connector.log.note import Checkpoint, NoteRefused, Verifier, opened

MAX_NOTE_BYTES: Final = 65_536
MAX_NOTES_IN_FOLDER: Final = 100_000
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Shown:
    """A checkpoint that was read from ``path``, called ``name`` in what is said of it. ``signers`` are those of the asked keys
    whose signature holds; ``times`` (s since the epoch) are of the cosignatures among them."""

    path: Path
    name: str
    text: str
    checkpoint: Checkpoint
    signers: tuple[Verifier, ...]
    times: tuple[int, ...]


def read_note(path: Path, name: str) -> str:
    """The text of a file with a checkpoint. Raises Flaw."""
    try:
        return read_file(path, name, MAX_NOTE_BYTES).decode()
    except FileNotFoundError:
        raise Flaw("checkpoint-missing", "the file is not there", Place(name)) from None
    except UnicodeDecodeError:
        raise Flaw("checkpoint-form", "a checkpoint is text in UTF-8", Place(name)) from None


def opened_note(path: Path, name: str, keys: Sequence[Verifier]) -> Shown:
    """The checkpoint in a file, signed by at least one of ``keys``. Raises Flaw."""
    text = read_note(path, name)
    try:
        found = opened(text, keys)
    except NoteRefused as error:
        raise Flaw(error.code, error.reason, Place(name)) from error
    times = tuple(each.time_s for each in found.verified if each.time_s is not None)
    return Shown(path, name, text, found.checkpoint, tuple(each.verifier for each in found.verified), times)


def opened_file(folder: Path, path: Path, keys: Sequence[Verifier]) -> Shown:
    """The same for a file below ``folder`` whose name begins with the size of its checkpoint. Raises Flaw."""
    name = path.relative_to(folder).as_posix()
    shown = opened_note(path, name, keys)
    if shown.checkpoint.size != size_of(path):
        raise Flaw("checkpoint-renamed", "the checkpoint has another size than the name of its file", Place(name, member="size"))
    return shown


def size_of(path: Path) -> int | None:
    """The size that a file's name begins with."""
    head = path.name.partition(".")[0]
    return int(head) if _SIZE.fullmatch(head) else None


def files_by_size(folder: Path, below: str) -> list[tuple[int, Path]]:
    """The files of a folder of checkpoints by the size in their names. Raises Flaw for a file that is named otherwise."""
    found: list[tuple[int, Path]] = []
    top = folder / below
    if not top.is_dir():
        return []
    for path in top.iterdir():
        size = size_of(path)
        if size is None or not path.is_file():
            if path.name.startswith("."):
                continue
            raise Flaw("file-unknown", "this is no checkpoint of the log", Place(f"{below}/{path.name}"))
        found.append((size, path))
        if len(found) > MAX_NOTES_IN_FOLDER:
            raise Flaw("folder-full", f"there are more than {MAX_NOTES_IN_FOLDER} files", Place(below))
    return sorted(found)
