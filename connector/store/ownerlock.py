"""One process per SQLite file: an advisory lock on ``<database>.lock``, gone when its holder dies.

The lock file stays behind on purpose: unlinking it would let two processes hold locks on two different
inodes. Blocking, so for threads only. May import nothing of the connector but the engine's errors.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from connector.store.engine import StoreUnavailable


class OwnerLock:
    """The exclusive right to open one database file, held until :meth:`release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, database: Path) -> Self:
        """Take the lock at once or raise StoreUnavailable; never waits."""
        path = database.with_name(database.name + ".lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"cannot create the owner lock {path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise StoreUnavailable(
                    f"another carnet process uses this database ({database}); stop it or point [store] elsewhere"
                ) from error
            raise StoreUnavailable(f"cannot lock {path}: {error.strerror}") from error
        return cls(descriptor)

    def release(self) -> None:
        """Give the right back. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
