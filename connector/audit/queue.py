"""The lines that wait in a control database to be put into the log. Read-only; a PostgreSQL server is not asked.

May import `connector.audit.beside` for reading and the ceremony.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from connector.audit.beside import reading
from connector.audit.ceremony import Flaw, NotDone
from connector.audit.files import regular
from connector.log.layout import LOCK

_UNREADABLE = "the control database cannot be read now: whether lines wait cannot be told"


class Queue:
    """The queue in the control database at ``database``; None: there is none at hand."""

    def __init__(self, database: Path | None) -> None:
        self._database = database

    def waiting(self) -> int:
        """How many lines wait. Raises NotDone where that cannot be told."""
        if self._database is None or not self._database.is_file():
            raise NotDone("there is no control database here: whether lines wait to be put into the log cannot be told")
        try:
            with reading(self._database, "leaf") as connection:
                return int(connection.execute("SELECT count(*) FROM leaf").fetchone()[0])
        except Flaw as error:
            raise NotDone(_UNREADABLE) from error

    def holds(self, entries: Sequence[bytes]) -> bool:
        """Whether all of these wait. False where that cannot be told, or there are none."""
        if self._database is None or not self._database.is_file() or not entries:
            return False
        try:
            with reading(self._database, "leaf") as connection:
                found = (connection.execute("SELECT 1 FROM leaf WHERE leaf = ?", (_text(each),)).fetchone() for each in entries)
                return all(row is not None for row in found)
        except Flaw:
            return False


def is_written(folder: Path) -> bool:
    """Whether a sequencer has the lock of the folder just now."""
    try:
        descriptor = regular(folder / LOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _text(entry: bytes) -> str:
    return entry.decode("utf-8", "replace")
