"""`carnet doctor` on the contract log: how long it is, how old its checkpoint is, with which key, and how much waits for it.

Reads the folder and, where it is a file, the database; changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

from connector.cli.findings import Finding
from connector.log.folder import CHECKPOINT, LogFolder
from connector.log.layout import read_vkeys
from connector.log.note import opened
from connector.protocol.errors import CarnetError
from connector.settings import Settings

QUEUED_TOO_LONG_MS: Final = 60_000
_ABOUT: Final = "contract log"
_RESTORE: Final = "put the folder back from a copy that is newer than the database; never from an older one"


def contract_log(settings: Settings, now_ms: int) -> Iterator[Finding]:
    """The state of the log, and of its queue."""
    folder = LogFolder(settings.log.folder)
    queue = _queue(settings.control_database)
    try:
        note = folder.checkpoint()
        size, key = 0, ""
        if note is not None:
            found = opened(note, read_vkeys(folder.path))
            size, key = found.checkpoint.size, found.verified[-1].verifier.key_id.hex()
    except (CarnetError, OSError) as error:
        yield Finding("problem", _ABOUT, f"{folder.path} cannot be read: {error}", _RESTORE)
        return
    if queue is not None and size < queue[0]:
        what = f"{folder.path} has {size} leaves, and the database has given it {queue[0]}"
        yield Finding("problem", _ABOUT, what, _RESTORE)
    elif note is None:
        yield Finding("fine", _ABOUT, f"{folder.path} will be made at the first start")
    else:
        age = timedelta(seconds=max(0, now_ms // 1000 - int((folder.path / CHECKPOINT).stat().st_mtime)))
        yield Finding("fine", _ABOUT, f"{size} leaves, the last checkpoint {age} ago, signed with the key {key}")
    if queue is not None and queue[1] and now_ms - queue[2] > QUEUED_TOO_LONG_MS:
        what = f"leaves that wait: {queue[1]}, the first for {timedelta(milliseconds=now_ms - queue[2])}"
        yield Finding("warning", _ABOUT, what, "start the connector, or see in its log why the contract log is held up")


def _queue(database: Path | None) -> tuple[int, int, int] | None:
    """How many leaves the database has given to the log, how many wait, and since when the first does (ms)."""
    if database is None or not database.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (size,) = connection.execute("SELECT size FROM log_state").fetchone()
            count, first = connection.execute("SELECT count(*), coalesce(min(queued_at), 0) FROM leaf").fetchone()
    except sqlite3.Error:
        return None  # not there before the schema is: another line says that
    return int(size), int(count), int(first)
