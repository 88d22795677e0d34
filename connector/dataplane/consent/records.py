"""All SQL of the ledger of consents: rows in, values out; writes are statements for one guarded commit.

What is read at a number never changes afterwards, so that several reads at one number belong together. May import the store's
engine seam and this package's values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from connector.dataplane.consent.model import MAX_KEYS, Enrolment, Key, Noted
from connector.store.engine import Engine, Row, Statement, Value

PAGE: Final = 10_000
NO_LIMIT: Final = (1 << 31) - 1
ROWS_AT_ONCE: Final = 100
"""So many rows one statement writes or asks for."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """The last commit, and how many ordinals are given out."""

    number: int
    vehicles: int


@dataclass(frozen=True, slots=True)
class Decision:
    """One entry as it is written: ``number`` is that of its commit."""

    key_id: int
    ordinal: int
    given: bool
    decided_by: str
    text_sha256: str | None
    at: int


@dataclass(frozen=True, slots=True)
class Bitmap:
    """The set of a key as of a number: a file's name and how many vehicles are in it."""

    key_id: int
    number: int
    name: str
    vehicles: int


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An enrolment that holds."""

    recipient: str
    ordinal: int
    number: int


class ConsentRecords:
    """Reads over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.commit = engine.commit

    async def head(self) -> Head:
        rows = await self._engine.fetch("SELECT number, vehicles FROM consent_commit ORDER BY number DESC LIMIT 1")
        return Head(_int(rows[0][0]), _int(rows[0][1])) if rows else Head(0, 0)

    async def keys(self) -> dict[Key, int]:
        rows = await self._engine.fetch("SELECT category, purpose, recipient, basis, id FROM consent_key", limit=MAX_KEYS)
        return {Key(*map(str, row[:4])): _int(row[4]) for row in rows}

    async def vehicles_known(self) -> tuple[list[str], list[tuple[str, int]]]:
        """The files of vehicles and the vehicles in none: one statement, so that none is in both and none in neither."""
        found = await self._all(
            "SELECT ordinal, vehicle, 0 FROM consent_vehicle UNION ALL"
            " SELECT -1, name, 1 FROM consent_file WHERE kind = 'vehicles' ORDER BY 1, 2"
        )
        return [str(row[1]) for row in found if row[2]], [(str(row[1]), _int(row[0])) for row in found if not row[2]]

    async def ordinals(self, vehicles: Sequence[str]) -> dict[str, int]:
        """Of those that are in no file."""
        found: dict[str, int] = {}
        for some in _some(vehicles):
            marks = ", ".join("?" * len(some))
            rows = await self._engine.fetch(f"SELECT vehicle, ordinal FROM consent_vehicle WHERE vehicle IN ({marks})", some)
            found |= {str(row[0]): _int(row[1]) for row in rows}
        return found

    async def files(self, kind: str) -> list[str]:
        rows = await self._all("SELECT name FROM consent_file WHERE kind = ? ORDER BY number, name", kind)
        return [str(row[0]) for row in rows]

    async def file_names(self) -> set[str]:
        """Every file that counts."""
        rows = await self._all("SELECT name FROM consent_file UNION ALL SELECT name FROM consent_bitmap")
        return {str(row[0]) for row in rows}

    async def bitmap(self, key_id: int, number: int) -> Bitmap | None:
        """The newest set of a key as of a number."""
        rows = await self._engine.fetch(
            "SELECT key_id, number, name, vehicles FROM consent_bitmap WHERE key_id = ? AND number <= ?"
            " ORDER BY number DESC LIMIT 1",
            (key_id, number),
        )
        return _bitmap(rows[0]) if rows else None

    async def bitmaps_of(self, number: int) -> list[Bitmap]:
        """Those written by a commit."""
        rows = await self._all(
            "SELECT key_id, number, name, vehicles FROM consent_bitmap WHERE number = ? ORDER BY key_id", number
        )
        return [_bitmap(row) for row in rows]

    async def newest_bitmaps(self, number: int) -> dict[int, Bitmap]:
        """Of every key the newest as of a number."""
        rows = await self._all(
            "SELECT key_id, number, name, vehicles FROM consent_bitmap AS b WHERE number = (SELECT max(number)"
            " FROM consent_bitmap AS other WHERE other.key_id = b.key_id AND other.number <= ?) ORDER BY key_id",
            number,
        )
        return {bitmap.key_id: bitmap for bitmap in map(_bitmap, rows)}

    async def tail(self, key_id: int, after: int, number: int) -> dict[int, bool]:
        """What was decided last of each ordinal, after a number up to another."""
        found: dict[int, bool] = {}
        place = (after, 1 << 40)
        while True:
            rows = await self._engine.fetch(
                "SELECT number, ordinal, given FROM consent_decision WHERE key_id = ? AND number <= ?"
                f" AND (number > ? OR (number = ? AND ordinal > ?)) ORDER BY number, ordinal LIMIT {PAGE}",
                (key_id, number, place[0], place[0], place[1]),
                limit=PAGE,
            )
            found |= {_int(row[1]): bool(row[2]) for row in rows}
            if len(rows) < PAGE:
                return found
            place = (_int(rows[-1][0]), _int(rows[-1][1]))

    async def tail_length(self, key_id: int, after: int) -> int:
        """How many decisions there are after a number."""
        rows = await self._engine.fetch("SELECT count(*) FROM consent_decision WHERE key_id = ? AND number > ?", (key_id, after))
        return _int(rows[0][0])

    async def recent(self) -> int:
        """How many vehicles stand in no file."""
        return _int((await self._engine.fetch("SELECT count(*) FROM consent_vehicle"))[0][0])

    async def latest(self, ordinal: int, number: int) -> dict[int, tuple[int, bool]]:
        """Of a vehicle: the number and the answer of its last decision on each key, as of a number. Imports are not in it."""
        rows = await self._all(
            "SELECT key_id, number, given FROM consent_decision WHERE ordinal = ? AND number <= ? ORDER BY number, key_id",
            ordinal,
            number,
        )
        return {_int(row[0]): (_int(row[1]), bool(row[2])) for row in rows}

    async def decisions_of(self, ordinal: int, limit: int) -> list[Noted]:
        """The newest entries of a vehicle; imports are not in it."""
        rows = await self._engine.fetch(
            "SELECT d.number, k.category, k.purpose, k.recipient, k.basis, d.given, d.decided_by, d.text_sha256, d.at"
            " FROM consent_decision AS d JOIN consent_key AS k ON k.id = d.key_id WHERE d.ordinal = ?"
            " ORDER BY d.number DESC, d.key_id",
            (ordinal,),
            limit=limit,
        )
        return [_noted(row) for row in rows]

    async def decisions_in(self, number: int) -> list[tuple[int, int]]:
        """Key and ordinal of what a commit withdrew one by one."""
        rows = await self._all(
            "SELECT key_id, ordinal FROM consent_decision WHERE number = ? AND given = 0 ORDER BY key_id, ordinal", number
        )
        return [(_int(row[0]), _int(row[1])) for row in rows]

    async def withdrawals(self, ordinals: Sequence[int]) -> dict[tuple[int, int], int]:
        """When each key (id) was last withdrawn for each of these, one by one."""
        found: dict[tuple[int, int], int] = {}
        for some in _some(ordinals):
            marks = ", ".join("?" * len(some))
            rows = await self._engine.fetch(
                "SELECT key_id, ordinal, max(at) FROM consent_decision WHERE given = 0"
                f" AND ordinal IN ({marks}) GROUP BY key_id, ordinal",
                some,
                limit=ROWS_AT_ONCE * MAX_KEYS,
            )
            found |= {(_int(row[0]), _int(row[1])): _int(row[2]) for row in rows}
        return found

    async def withdrawal_page(self, key_ids: Sequence[int], after: tuple[int, int, int]) -> list[tuple[int, int, int, int]]:
        """Number, key, ordinal and time of what was withdrawn one by one, in order, from a place on."""
        marks = ", ".join("?" * len(key_ids))
        rows = await self._engine.fetch(
            f"SELECT number, key_id, ordinal, at FROM consent_decision WHERE given = 0 AND key_id IN ({marks}) AND (number > ?"
            " OR (number = ? AND key_id > ?) OR (number = ? AND key_id = ? AND ordinal > ?))"
            f" ORDER BY number, key_id, ordinal LIMIT {PAGE}",
            (*key_ids, after[0], after[0], after[1], after[0], after[1], after[2]),
            limit=PAGE,
        )
        return [(_int(row[0]), _int(row[1]), _int(row[2]), _int(row[3])) for row in rows]

    async def withdrawing(self, after: int) -> list[tuple[int, str]]:
        """Number and kind of the commits after a number that withdrew something, oldest first."""
        rows = await self._all(
            "SELECT number, kind FROM consent_commit WHERE withdrawn = 1 AND number > ? ORDER BY number", after
        )
        return [(_int(row[0]), str(row[1])) for row in rows]

    async def enrolled(self, recipient: str) -> list[Enrolled]:
        """The enrolments of a buyer that hold now."""
        rows = await self._all(
            "SELECT recipient, ordinal, number FROM consent_enrolment WHERE recipient = ? AND ended IS NULL ORDER BY ordinal",
            recipient,
        )
        return [_enrolled(row) for row in rows]

    async def enrolments_of(self, ordinal: int) -> list[Enrolled]:
        """The enrolments of a vehicle that hold now."""
        rows = await self._engine.fetch(
            "SELECT recipient, ordinal, number FROM consent_enrolment WHERE ordinal = ? AND ended IS NULL", (ordinal,)
        )
        return [_enrolled(row) for row in rows]

    async def ended_in(self, number: int) -> list[int]:
        """The vehicles (ordinals) whose enrolments a commit ended."""
        rows = await self._all("SELECT DISTINCT ordinal FROM consent_enrolment WHERE ended = ? ORDER BY ordinal", number)
        return [_int(row[0]) for row in rows]

    async def enrolled_as(self, ordinal: int) -> list[Row]:
        """Recipient, reference, who decided, time and number, and the number that ended it, of a vehicle's enrolments."""
        return await self._all(
            "SELECT recipient, reference, decided_by, at, number, ended FROM consent_enrolment WHERE ordinal = ? ORDER BY number",
            ordinal,
        )

    async def concerned(self, number: int) -> list[int]:
        """The vehicles (ordinals) that a commit is about; those of an import are not in it."""
        rows = await self._all(
            "SELECT ordinal FROM consent_decision WHERE number = ? UNION"
            " SELECT ordinal FROM consent_enrolment WHERE number = ? OR ended = ? UNION"
            " SELECT ordinal FROM user_request WHERE number = ? OR ended = ? ORDER BY 1",
            *[number] * 5,
        )
        return [_int(row[0]) for row in rows]

    async def imported(self, number: int) -> list[str]:
        """The files of what a commit imported."""
        rows = await self._all("SELECT name FROM consent_file WHERE kind = 'import' AND number = ?", number)
        return [str(row[0]) for row in rows]

    async def references(self, recipient: str, number: int) -> list[tuple[int, str]]:
        rows = await self._all(
            "SELECT ordinal, reference FROM consent_enrolment WHERE recipient = ? AND number <= ?"
            " AND (ended IS NULL OR ended > ?) ORDER BY ordinal",
            recipient,
            number,
            number,
        )
        return [(_int(row[0]), str(row[1])) for row in rows]

    async def pseudonym_key(self, recipient: str, agreement: str) -> tuple[bytes | None] | None:
        """The key of a buyer's agreement: (None,) if it was destroyed, None if there was none."""
        rows = await self._engine.fetch(
            "SELECT secret FROM pseudonym_key WHERE recipient = ? AND agreement = ?", (recipient, agreement)
        )
        if not rows:
            return None
        found = rows[0][0]
        return (None if found is None else bytes(found),)  # type: ignore[arg-type]  # STRICT: a BLOB

    async def _all(self, sql: str, *params: Value) -> list[Row]:
        """Every row of one statement: what the bounds of this package leave of it fits in memory."""
        return await self._engine.fetch(sql, params, limit=NO_LIMIT)


def insert_commit(number: int, kind: str, *, entries: int, withdrawn: bool, vehicles: int, at: int) -> Statement:
    """The guard of every commit: who comes second with a number loses."""
    return Statement(
        "INSERT INTO consent_commit (number, kind, entries, withdrawn, vehicles, at) VALUES (?, ?, ?, ?, ?, ?)",
        (number, kind, entries, int(withdrawn), vehicles, at),
    )


def insert_keys(keys: Iterable[tuple[int, Key]]) -> list[Statement]:
    columns = "consent_key (id, category, purpose, recipient, basis)"
    return _inserts(columns, [(key_id, key.category, key.purpose, key.recipient, key.basis) for key_id, key in keys])


def insert_vehicles(vehicles: Iterable[tuple[int, str]]) -> list[Statement]:
    return _inserts("consent_vehicle (ordinal, vehicle)", list(vehicles))


def insert_decisions(number: int, decisions: Iterable[Decision]) -> list[Statement]:
    columns = "consent_decision (number, key_id, ordinal, given, decided_by, text_sha256, at)"
    rows = [
        (number, each.key_id, each.ordinal, int(each.given), each.decided_by, _blob(each.text_sha256), each.at)
        for each in decisions
    ]
    return _inserts(columns, rows)


def insert_file(name: str, kind: str, number: int, entries: int) -> Statement:
    return Statement("INSERT INTO consent_file (name, kind, number, entries) VALUES (?, ?, ?, ?)", (name, kind, number, entries))


def insert_bitmap(bitmap: Bitmap) -> Statement:
    return Statement(
        "INSERT INTO consent_bitmap (key_id, number, name, vehicles) VALUES (?, ?, ?, ?)",
        (bitmap.key_id, bitmap.number, bitmap.name, bitmap.vehicles),
    )


def fold_vehicles(name: str, number: int, ordinals: tuple[int, int], entries: int) -> list[Statement]:
    """The vehicles from one ordinal to another stand in a file now."""
    return [
        insert_file(name, "vehicles", number, entries),
        Statement("DELETE FROM consent_vehicle WHERE ordinal BETWEEN ? AND ?", ordinals, expect=entries),
    ]


def merge_files(name: str, number: int, entries: int, merged: Sequence[str]) -> list[Statement]:
    """One file of vehicles stands for several."""
    gone = [Statement("DELETE FROM consent_file WHERE name = ? AND kind = 'vehicles'", (old,)) for old in merged]
    return [*gone, insert_file(name, "vehicles", number, entries)]


def end_enrolment(enrolled: Enrolled, number: int) -> Statement:
    return Statement(
        "UPDATE consent_enrolment SET ended = ? WHERE recipient = ? AND ordinal = ? AND number = ? AND ended IS NULL",
        (number, enrolled.recipient, enrolled.ordinal, enrolled.number),
    )


def insert_enrolments(number: int, enrolments: Iterable[tuple[int, Enrolment]], at: int) -> list[Statement]:
    columns = "consent_enrolment (number, ordinal, recipient, reference, decided_by, text_sha256, at)"
    rows = [
        (number, ordinal, each.recipient, each.reference, each.decided_by, _blob(each.text_sha256), at)
        for ordinal, each in enrolments
    ]
    return _inserts(columns, rows)


def insert_pseudonym_key(recipient: str, agreement: str, secret: bytes) -> Statement:
    return Statement(
        "INSERT INTO pseudonym_key (recipient, agreement, secret) VALUES (?, ?, ?) ON CONFLICT (recipient, agreement) DO NOTHING",
        (recipient, agreement, secret),
        expect=None,
    )


def forget_pseudonym_key(recipient: str, agreement: str) -> Statement:
    """Also of one that was never made: it will not be."""
    return Statement(
        "INSERT INTO pseudonym_key (recipient, agreement, secret) VALUES (?, ?, NULL)"
        " ON CONFLICT (recipient, agreement) DO UPDATE SET secret = NULL",
        (recipient, agreement),
    )


def _inserts(columns: str, rows: Sequence[tuple[Value, ...]]) -> list[Statement]:
    made = []
    for some in _some(rows):
        row = "(" + ", ".join("?" * len(some[0])) + ")"
        values = ", ".join([row] * len(some))
        params = tuple(value for each in some for value in each)
        made.append(Statement(f"INSERT INTO {columns} VALUES {values}", params, len(some)))
    return made


def _some(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[at : at + ROWS_AT_ONCE] for at in range(0, len(values), ROWS_AT_ONCE))


def _bitmap(row: Row) -> Bitmap:
    return Bitmap(_int(row[0]), _int(row[1]), str(row[2]), _int(row[3]))


def _enrolled(row: Row) -> Enrolled:
    return Enrolled(str(row[0]), _int(row[1]), _int(row[2]))


def _noted(row: Row) -> Noted:
    text = row[7]
    return Noted(
        number=_int(row[0]),
        category=str(row[1]),
        purpose=str(row[2]),
        recipient=str(row[3]),
        basis=str(row[4]),
        given=bool(row[5]),
        decided_by=str(row[6]),
        text_sha256=text.hex() if isinstance(text, bytes) else None,
        at=_int(row[8]),
    )


def _blob(digest: str | None) -> bytes | None:
    return None if digest is None else bytes.fromhex(digest)


def _int(value: Value) -> int:
    return int(value or 0)
