"""Requests of users, as values and as rows: that the data of their vehicle go to somebody of their choice (Data Act, article 5).

A request stands beside the consents of the ledger and shares its commits and their numbers, so that who is in a delivery can be
read at a number of both. What a commit wrote never changes but for the number that ended it. No vehicle is named in an error. May
import this package's values and the store's engine seam.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import msgspec

from connector.dataplane.consent.model import (
    AHEAD_MS,
    CATEGORIES,
    DECIDERS,
    MAX_PARTY,
    NAME,
    PARTY,
    REMEDIES,
    SHA256,
    iri,
    written,
)
from connector.dataplane.problems import Refusal
from connector.store.engine import Engine, Row, Statement, Value
from policies.purposes import PURPOSES, line

MOST_SHOWN: Final = 1_000
"""So many requests are listed, the newest."""
TELLING_CHARS: Final = 8
"""Names of vehicles that are as long are looked for in ids; a VIN has 17 characters."""
MOST_NAMED: Final = 4_096
"""So many ids may be asked for at once."""
URI: Final = rf"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20\x7f<>\"{{}}|\\^`]{{1,{MAX_PARTY - 40}}}"
_COLUMNS: Final = "id, ordinal, recipient, purpose, categories, decided_by, text_sha256, at, number, ended, ended_at"
_REMEDIES: Final = REMEDIES | {
    "id": "an IRI such as urn:request:42 that does not name the vehicle, since offers show it; or left out",
    "categories": f"some of {', '.join(CATEGORIES)}, each once",
    "text_sha256": "the SHA-256, in lower-case hex, of what the user signed, or left out",
}


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user asks for. ``categories``: of which data; empty: of all. ``id``: None, and one is made. ``at_ms``: when it was
    asked for, if that was not now."""

    vehicle: str
    recipient: str
    purpose: str
    categories: tuple[str, ...] = ()
    decided_by: str = "owner"
    id: str | None = None
    text_sha256: str | None = None
    at_ms: int | None = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request as it is on record. ``at``, ``ended_at``: ms since the epoch; None while it was not withdrawn."""

    id: str
    recipient: str
    purpose: str
    categories: tuple[str, ...]
    decided_by: str
    text_sha256: str | None
    at: int
    number: int
    ended: int | None
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A request that was on record at a number, and its vehicle."""

    ordinal: int
    categories: frozenset[str]


def checked_request(asked: Asked, now_ms: int) -> Asked:
    """The request with its purpose written out and its categories in order. Raises Refusal 400 naming the member."""
    whole = msgspec.structs.replace(asked, purpose=iri(asked.purpose), categories=asked.categories or CATEGORIES)
    tests = (
        ("id", asked.id is None or (written(URI, asked.id) and not _names(asked.id, asked.vehicle))),
        ("vehicle", written(NAME, asked.vehicle)),
        ("recipient", written(PARTY, asked.recipient)),
        ("purpose", whole.purpose in PURPOSES),
        ("categories", set(whole.categories) <= set(CATEGORIES) and len(set(whole.categories)) == len(whole.categories)),
        ("decided_by", asked.decided_by in DECIDERS),
        ("text_sha256", asked.text_sha256 is None or written(SHA256, asked.text_sha256)),
        ("at_ms", asked.at_ms is None or 0 <= asked.at_ms <= now_ms + AHEAD_MS),
    )
    wrong = next((member for member, holds in tests if not holds), None)
    if wrong is not None:
        raise Refusal(400, "request-invalid", f"{wrong} must be {_REMEDIES[wrong]}; nothing was written")
    return msgspec.structs.replace(whole, categories=tuple(sorted(whole.categories)))


def _names(request_id: str, vehicle: str) -> bool:
    """Whether an id gives away its vehicle. A short name such as 7 may be in any id by chance."""
    return len(vehicle) >= TELLING_CHARS and vehicle.casefold() in unquote(request_id).casefold()


class RequestRecords:
    """Reads over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.commit = engine.commit

    async def one(self, request_id: str) -> tuple[Recorded, int] | None:
        """A request and its vehicle's ordinal, or None."""
        if not written(URI, request_id):
            return None
        rows = await self._engine.fetch(f"SELECT {_COLUMNS} FROM user_request WHERE id = ?", (request_id,))
        return (_recorded(rows[0]), _int(rows[0][1])) if rows else None

    async def newest(self, ordinal: int | None = None) -> list[Recorded]:
        """The newest, of all vehicles or of one."""
        where, params = ("", ()) if ordinal is None else (" WHERE ordinal = ?", (ordinal,))
        query = f"SELECT {_COLUMNS} FROM user_request{where} ORDER BY number DESC LIMIT {MOST_SHOWN}"
        return [_recorded(row) for row in await self._engine.fetch(query, params)]

    async def held(self, ids: Collection[str], recipient: str, purpose: str | None) -> list[str]:
        """Those of ``ids`` that are on record now for this very recipient, and cover the purpose where one is given."""
        purposes = None if purpose is None else line(purpose)
        found = [row for row in await self._named(ids, recipient) if row[9] is None]
        return sorted(str(row[0]) for row in found if purposes is None or row[3] in purposes)

    async def standing(self, ids: Collection[str], recipient: str, purposes: Collection[str], number: int) -> list[Standing]:
        """What holds of ``ids`` as of a number, for a recipient and any of these purposes."""
        return [
            Standing(_int(row[1]), frozenset(str(row[4]).split()))
            for row in await self._named(ids, recipient)
            if row[3] in purposes and _int(row[8]) <= number and (row[9] is None or _int(row[9]) > number)
        ]

    async def ended_in(self, number: int) -> list[int]:
        """The vehicles (ordinals) whose requests a commit ended."""
        rows = await self._engine.fetch("SELECT DISTINCT ordinal FROM user_request WHERE ended = ? ORDER BY ordinal", (number,))
        return [_int(row[0]) for row in rows]

    async def _named(self, ids: Collection[str], recipient: str) -> list[Row]:
        # What could not be put on record is not, and a database need not be able to read it.
        asked, found = sorted({each for each in ids if written(URI, each)})[:MOST_NAMED], list[Row]()
        for at in range(0, len(asked), 100):
            some = asked[at : at + 100]
            marks = ", ".join("?" * len(some))
            query = f"SELECT {_COLUMNS} FROM user_request WHERE recipient = ? AND id IN ({marks}) ORDER BY id"
            found += await self._engine.fetch(query, (recipient, *some))
        return found


def insert_request(asked: Asked, request_id: str, ordinal: int, number: int, now_ms: int) -> Statement:
    """Of a checked request."""
    text = None if asked.text_sha256 is None else bytes.fromhex(asked.text_sha256)
    at = now_ms if asked.at_ms is None else asked.at_ms
    categories = " ".join(asked.categories)
    return Statement(
        "INSERT INTO user_request (id, ordinal, recipient, purpose, categories, decided_by, text_sha256, at, number)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (request_id, ordinal, asked.recipient, asked.purpose, categories, asked.decided_by, text, at, number),
    )


def end_request(request_id: str, number: int, now_ms: int) -> Statement:
    """From this commit on it is withdrawn."""
    return Statement(
        "UPDATE user_request SET ended = ?, ended_at = ? WHERE id = ? AND ended IS NULL", (number, now_ms, request_id)
    )


def covering(standing: Sequence[Standing], category: str) -> tuple[int, ...]:
    """The vehicles whose requests are about a category."""
    return tuple(sorted({each.ordinal for each in standing if category in each.categories}))


def _recorded(row: Row) -> Recorded:
    text = row[6]
    return Recorded(
        id=str(row[0]),
        recipient=str(row[2]),
        purpose=str(row[3]),
        categories=tuple(str(row[4]).split()),
        decided_by=str(row[5]),
        text_sha256=text.hex() if isinstance(text, bytes) else None,
        at=_int(row[7]),
        number=_int(row[8]),
        ended=None if row[9] is None else _int(row[9]),
        ended_at=None if row[10] is None else _int(row[10]),
    )


def _int(value: Value) -> int:
    return int(value or 0)
