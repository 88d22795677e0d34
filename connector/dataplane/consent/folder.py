"""The ledger's folder: where its files stand, what is left over from a death, and who may clear that. Blocks; for threads.

Every file that counts is named in the database. Imports write theirs before that, so only one who is alone may clear: each
ledger holds a shared lock on the folder while it is open.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

_LOCK: Final = "lock"
_SCRATCH: Final = "scratch"


class LedgerFolder:
    """The files of one ledger."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scratch = path / _SCRATCH
        self._lock: int | None = None

    def file(self, name: str) -> Path:
        """Where a file stands."""
        return self.path / name

    def files(self, names: Sequence[str]) -> list[Path]:
        """Where several stand."""
        return [self.path / name for name in names]

    def prepare(self) -> bool:
        """Make the folder and take its lock; gives whether nobody else has it, so that ``clear`` may follow."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.scratch.mkdir(mode=0o700, exist_ok=True)
        if self._lock is None:
            self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            return False
        return True

    def clear(self, counting: Collection[str]) -> int:
        """Delete what is not in ``counting`` and let others in; gives how many files that were."""
        assert self._lock is not None, "prepare() comes first"  # noqa: S101  # our own mistake
        left_over = [path for path in self.path.iterdir() if path.is_file() and path.name not in {*counting, _LOCK}]
        for path in left_over:
            path.unlink()
        shutil.rmtree(self.scratch)
        self.scratch.mkdir(mode=0o700)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        return len(left_over)

    def missing(self, counting: Collection[str]) -> int:
        """How many files that count are not there."""
        return sum(not (self.path / name).is_file() for name in counting)

    def close(self) -> None:
        """Let go of the lock. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def new_scratch(self) -> Path:
        """An empty folder for one piece of work."""
        path = self.scratch / secrets.token_hex(8)
        path.mkdir(mode=0o700)
        return path

    def new_stem(self, number: int) -> str:
        """The beginning of the names of new files; no two are equal."""
        return f"{number}-{secrets.token_hex(6)}"

    def discard(self, stem: str) -> None:
        """Delete what was written under a stem that was not committed."""
        for path in self.path.glob(f"{stem}.*"):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def drop(path: Path) -> None:
    """Delete a scratch folder; what cannot be deleted goes at the next start."""
    shutil.rmtree(path, ignore_errors=True)
