"""Published files: which may be published, what they were at publication, and opening them again unchanged.

The functions block (disk) and are called on a thread. May import the problems only.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from connector.dataplane.problems import Refusal
from connector.dataplane.tables.model import Table


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was published, a table (file or folder), or an HTTP API, whose ``path`` is its address and whose size and
    digest nobody knows. ``identity`` changes whenever the file does.

    ``declares``: IRIs of the terms that are kept of it. ``changed`` says why nothing is delivered until it is published again.
    ``unicity``: the worst that was measured of its offers, as ``policies.delivery.Capabilities`` has it.
    """

    dataset_id: str
    path: str
    bytes: int
    sha256: str
    identity: str
    kind: Literal["file", "table", "http"] = "file"
    declares: tuple[str, ...] = ()
    table: Table | None = None
    changed: str | None = None
    changed_column: str | None = None
    unicity: tuple[int, float] | None = None


class SourceChanged(Exception):
    """The file is gone or is not the one that was published; the text names it and is for the operator only."""


def identity_of(found: os.stat_result) -> str:
    """What tells one state of a file from another without reading it."""
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


def locate(path: str, roots: Sequence[Path]) -> Path:
    """The real path of a file or folder inside one of ``roots``, links resolved. Raises Refusal 400, 403 or 404."""
    asked = Path(path)
    if not asked.is_absolute() or "\0" in path:
        raise Refusal(400, "source_path", "the path of a file must be absolute, as the connector's machine has it")
    try:
        real = asked.resolve(strict=True)
    except (OSError, RuntimeError):
        raise Refusal(404, "source_missing", "no such file") from None
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        raise Refusal(403, "source_outside", "the file is not inside a folder that may be published from (data.source_roots)")
    return real


def open_file(real: Path) -> int:
    """A descriptor of exactly this regular file: neither a link nor anything a race put in its place."""
    descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode) or os.readlink(f"/proc/self/fd/{descriptor}") != str(real):
        os.close(descriptor)
        raise OSError("not a regular file at this very path")
    return descriptor


def read_source(dataset_id: str, path: str, roots: Sequence[Path], known: Source | None) -> Source:
    """Measure and hash a file, or give ``known`` back when nothing changed. Raises Refusal."""
    real = locate(path, roots)
    try:
        descriptor = open_file(real)
    except OSError:
        raise Refusal(400, "source_path", "not a readable regular file") from None
    with os.fdopen(descriptor, "rb") as opened:
        before = identity_of(os.fstat(descriptor))
        if known is not None and (known.path, known.identity) == (str(real), before):
            return known
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        after = os.fstat(descriptor)
    if identity_of(after) != before:
        raise Refusal(409, "source_changing", "the file changed while it was read; publish it when it is complete")
    return Source(dataset_id, str(real), after.st_size, digest, before)


def open_source(source: Source) -> int:
    """A descriptor of the published file. Raises SourceChanged."""
    try:
        descriptor = open_file(Path(source.path))
    except OSError as error:
        raise SourceChanged(f"{source.path} cannot be opened any more: {error.strerror or error}") from None
    if identity_of(os.fstat(descriptor)) != source.identity:
        os.close(descriptor)
        raise SourceChanged(f"{source.path} is not the file that was published; publish it again")
    return descriptor


def open_file_of(path: str) -> int:
    """A descriptor of a file of our own. Raises OSError."""
    return open_file(Path(path))


def read_piece(descriptor: int, source: Source, offset: int, length: int) -> bytes:
    """Bytes of the published file; raises SourceChanged when it is being written to."""
    piece = os.pread(descriptor, length, offset)
    if not piece or identity_of(os.fstat(descriptor)) != source.identity:
        raise SourceChanged(f"{source.path} changed while it was delivered; publish it again")
    return piece
