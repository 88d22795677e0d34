"""What stands beside the log against what its lines say of it: payloads, indexes of vehicles, erased keys.

Reads SQLite files read-only and writes none. May import `connector.log` and the lines of an audit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from connector.audit.ceremony import Flaw, NotDone, Place, Remarks
from connector.audit.lines import Line, place_of
from connector.audit.opening import Keys, open_payload
from connector.log import payloads as payload_file
from connector.log import subjects as subject_file
from connector.log.payloads import MAX_ROW_BYTES, Payloads, check_beside
from connector.protocol.errors import CarnetError

MAX_MISSING: Final = 1000
"""Payloads that are not there and may have been erased; for each of them all keys are tried."""
MAX_ERASED: Final = 1_000_000


class Beside:
    """Every payload and index that a line names is there, unchanged, and opens with the key that the line commits to.

    ``partial``: a view, in which payloads out of its scope are not there. A payload that is not there counts as erased only if
    a line attests an erasure and no key that is left opens it; else it is damage.
    """

    def __init__(self, payloads: Payloads | None, keys: Keys, *, partial: bool = False) -> None:
        self._payloads = payloads
        self._keys = keys
        self._partial = partial
        self._erasures = 0
        self._counts = {"payloads": 0, "indexes": 0, "opened": 0, "closed": 0, "elsewhere": 0}
        self._missing: list[Place] = []

    def take(self, lines: Sequence[Line]) -> None:
        for line in lines:
            said = line.said
            if said.get("type") == "subject":
                self._erasures += 1
            if isinstance(payload := said.get("payload"), dict):
                self._counts["payloads"] += 1
                self._look(line, str(payload.get("sha256")), "payload.sha256")
            if isinstance(index := said.get("index"), str):
                self._counts["indexes"] += 1
                self._look(line, index, "index")

    def end(self, remarks: Remarks) -> str:
        counts = self._counts
        total = counts["payloads"] + counts["indexes"]
        if self._payloads is None and total and not self._partial:
            raise Flaw(
                "payloads-missing", f"{total} payloads are named, and the file of them is not there", Place(payload_file.FILE)
            )
        if self._missing and not self._erasures:
            raise Flaw("payload-missing", "the payload of this line is not there, and no key was erased", self._missing[0])
        if self._missing:
            remarks.add(f"{len(self._missing)} payloads are not there, and no key that is left would open them: erased")
        if counts["closed"]:
            remarks.add(f"{counts['closed']} payloads are as the log says, and no key to open them was given or is left")
        if counts["elsewhere"]:
            remarks.add(f"{counts['elsewhere']} payloads are out of the scope of this view")
        whole = total - len(self._missing) - counts["elsewhere"]
        return f"{whole} of {total} payloads and indexes are as their lines say; {counts['opened']} opened"

    def _look(self, line: Line, digest: str, member: str) -> None:
        if self._payloads is None:
            self._absent(line, member)
            return
        try:
            found = self._payloads.get(digest)
        except (CarnetError, ValueError) as error:
            raise Flaw("payloads-unusable", "the file of payloads cannot be read", Place(payload_file.FILE)) from error
        if found is None:
            self._absent(line, member)
            return
        if sha256(found).hexdigest() != digest:
            reason = "the row is not what the line has the digest of"
            raise Flaw("payload-changed", reason, Place(payload_file.FILE, line.number, member))
        if member != "index":
            opened = open_payload(line, self._payloads, self._keys)
            self._counts["closed" if opened is None else "opened"] += 1

    def _absent(self, line: Line, member: str) -> None:
        if self._payloads is None and not self._partial:
            reason = "the line names a payload, and the file of payloads is not there"
            raise Flaw("payloads-missing", reason, Place(payload_file.FILE))
        has_key = member != "index" and self._keys.key_of(line, thorough=True) is not None
        if self._partial and not has_key:
            self._counts["elsewhere"] += 1
            return
        place = Place(payload_file.FILE, line.number, member)
        if not has_key and member != "index" and not self._keys.complete:
            reason = "the payload of this line is not there, and without the subjects' keys nobody can tell that it was erased"
            raise Flaw("payload-missing", reason, place)
        if has_key or member == "index" or len(self._missing) >= MAX_MISSING:
            raise Flaw("payload-missing", "the payload of this line is not there", place)
        self._missing.append(place)


class Erased:
    """A key that a line calls erased is not among the subjects' keys any more, and none is gone of which no line says so."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / subject_file.FILE
        self._said: dict[str, int] = {}

    def take(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if line.said.get("type") == "subject" and isinstance(key := line.said.get("key"), str):
                self._said[key] = line.number
                if len(self._said) > MAX_ERASED:
                    raise Flaw("erasures-many", f"more than {MAX_ERASED} keys were erased", place_of(line))

    def end(self, remarks: Remarks) -> str:
        if not self._path.is_file():
            raise NotDone("the subjects' keys are not here, as it should be outside of the connector")
        unsaid = 0
        for key_id, kept in _subjects(self._path):
            if kept and key_id in self._said:
                reason = "the log says that this key was erased, and it is still there"
                raise Flaw("subject-kept", reason, Place(subject_file.FILE, self._said[key_id], "key"))
            unsaid += not kept and key_id not in self._said
        if unsaid:
            remarks.add(f"{unsaid} keys were erased whose lines are not in the log yet")
        return f"{len(self._said)} keys were erased, and none of them is left"


def _subjects(path: Path) -> Iterator[tuple[str, bool]]:
    with reading(path, "subject") as connection:
        for key_id, kept in connection.execute("SELECT key_id, key IS NOT NULL FROM subject"):
            if not isinstance(key_id, bytes):
                raise sqlite3.DatabaseError("a key has no id")
            yield key_id.hex(), bool(kept)


@contextmanager
def reading(path: Path, table: str) -> Iterator[sqlite3.Connection]:
    """A connection that can write nothing, to read this table. Raises Flaw, also for what goes wrong inside."""
    try:
        check_beside(path)
    except OSError as error:
        raise Flaw("database-unreadable", str(error.strerror), Place(path.name)) from error
    # Without a write-ahead log beside it nobody writes, and SQLite needs no shared memory, which it would have to make.
    alone = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{alone}", uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ROW_BYTES)
            row = connection.execute("SELECT type, sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
            # The file may come from anybody: a view could make SQLite reckon for ever.
            if row is None or row[0] != "table" or not str(row[1]).upper().startswith("CREATE TABLE "):
                raise sqlite3.DatabaseError("there is no such table in it")
            yield connection
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise Flaw("database-unreadable", "the file is no database that can be read", Place(path.name)) from error
