"""Where in the folder of a connector marks stand: in every file, in SQLite's files byte by byte and table by table.

The few places where a mark may stand are literal lists, each with its reason; what is not listed may hold none.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from tests.privacy.marks import Search

EXCLUDED: Final[Mapping[str, str]] = {
    "drives.csv": "the source data",
    "wrong.csv": "a file of consents that somebody wrote, which is source data, too",
    "received/*": "delivered files",
    "spool/made/*": "files on their way to a buyer, as they are delivered",
    "consents/*": "the ledger of consents: its sets and imports",
}
"""Files that are not looked at, below the folder of a connector."""
DATABASES: Final = ("data.db", "control.db")
"""Looked at table by table, and then as bytes."""
LEDGER: Final = (
    "consent_decision",
    "consent_enrolment",
    "consent_vehicle",
    "user_request",
    "consent_bitmap",
    "consent_file",
    "consent_commit",
    "consent_key",
)
"""The tables of the ledger of consents, which stand in the database of the data plane."""
SAID: Final[Mapping[str, str]] = {
    "process.detail": "why a negotiation or transfer was ended, as it is shown to both sides",
    "event.note": "the same in its timeline",
    "inbox.body": "the answer to a message that is repeated, with the state of its process",
    "outbox.body": "a message that has not been taken yet",
    "participant.reason": "why a participant was suspended",
}
"""Columns of the control database with what people have said to each other or noted about a participant. Vehicles, positions and
the persons behind vehicles may stand in none of them."""


def places(folder: Path, search: Search) -> dict[str, set[tuple[str, str]]]:
    """The places below a folder, files or columns, where marks stand, each with what was found there."""
    found: dict[str, set[tuple[str, str]]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        listed = any(fnmatch(name, pattern) for pattern in EXCLUDED) or _beside(name) in DATABASES
        if listed or not path.is_file():
            continue
        if here := search.found(path.read_bytes()) | search.found(name.encode()):
            found[name] = here
    for database in DATABASES:
        if (folder / database).exists():
            found |= dict(_database(folder / database, search))
    return found


def _beside(name: str) -> str:
    for end in ("-wal", "-shm", "-journal"):
        name = name.removesuffix(end)
    return name


def _database(path: Path, search: Search) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    """The columns where marks stand; then, with these and the ledger emptied, what is left in the bytes of the files."""
    copy = path.parent.parent / f"copy-of-{path.parent.name}-{path.name}"
    for end in ("", "-wal"):
        beside = path.with_name(path.name + end)
        if beside.exists():
            shutil.copyfile(beside, copy.with_name(copy.name + end))
    with closing(sqlite3.connect(copy, isolation_level=None)) as opened:
        opened.execute("PRAGMA secure_delete = ON")
        tables = [str(row[0]) for row in opened.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            if table not in LEDGER and not table.startswith("sqlite_"):
                yield from _columns(opened, table, search)
        for table in LEDGER:
            if table in tables:
                opened.execute(f"DROP TABLE {table}")
        for place in SAID:
            table, _, column = place.partition(".")
            if table in tables:
                opened.execute(f"UPDATE {table} SET {column} = ''")  # noqa: S608 - literal names
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if here := search.found(copy.read_bytes()):
        yield f"{path.name}, left in its bytes", here
    copy.unlink()


def _columns(opened: sqlite3.Connection, table: str, search: Search) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    cursor = opened.execute(f"SELECT * FROM {table}")  # noqa: S608 - a name of the schema
    names = [column[0] for column in cursor.description]
    here: dict[str, set[tuple[str, str]]] = {name: set() for name in names}
    for row in cursor:
        for name, value in zip(names, row, strict=True):
            if isinstance(value, str | bytes):
                here[name] |= search.found(value.encode() if isinstance(value, str) else value)
    yield from ((f"{table}.{name}", marks) for name, marks in here.items() if marks)


def marks_in(found: Iterable[set[tuple[str, str]]]) -> set[str]:
    """The marks alone."""
    return {mark for each in found for mark, _ in each}
