"""What counterparties have seen of our log and we of theirs, in the control database: reads and guarded writes.

The only place with their SQL. A change of a row is guarded by its version. Imports the engine's seam only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final, Literal

from connector.store.engine import Engine, Statement

SHOW_ALARM: Final = "witness-show"
CHECK_ALARM: Final = "witness-check"
SHOWING: Final = f"{SHOW_ALARM}:"
"""Before a counterparty in the id of the one timer at which our log is shown to it."""
CHECKING: Final = f"{CHECK_ALARM}:"
"""Before a counterparty in the id of the one timer at which what came of it is verified."""
Kind = Literal["shown", "answer"]


@dataclass(frozen=True, slots=True)
class Witness:
    """One counterparty. Times that end in ``_at`` are ms since the epoch, ``shown_time`` and ``seen_time`` seconds.

    Of our log: ``told_size`` is how far it has it, as it last said; ``shown_*`` what it was shown last, and in which message;
    ``cosigned_*`` the last checkpoint that it cosigned, with its line; ``refused`` why it last refused. Of its log: ``seen_*`` is
    the last checkpoint that we cosigned (``seen_root`` in hex), ``handed`` a key (hex) that an older key of the log announced,
    ``refusal`` why we last refused. ``split_code`` is set from the moment at which its log contradicted itself until the operator
    accepts it (``accepted_*``). ``asked_at`` is when we last asked what it can do, ``retries`` how often we showed again since it
    last cosigned.
    """

    counterparty: str
    told_size: int = 0
    shown_size: int = 0
    shown_note: str = ""
    shown_time: int = 0
    shown_message: str = ""
    cosigned_size: int = 0
    cosigned_note: str = ""
    cosigned_at: int = 0
    refused: str = ""
    retries: int = 0
    asked_at: int = 0
    seen_size: int = 0
    seen_root: str = ""
    seen_note: str = ""
    seen_time: int = 0
    seen_at: int = 0
    handed: str = ""
    refusal: str = ""
    split_code: str = ""
    split_note: str = ""
    split_at: int = 0
    accepted_at: int = 0
    accepted_reason: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Come:
    """A message of a counterparty that is still to be verified. ``document`` is its JSON."""

    counterparty: str
    kind: Kind
    message_id: str
    document: str
    tries: int = 0
    received_at: int = 0


_FIELDS = tuple(field.name for field in fields(Witness))
_COLUMNS = ", ".join(_FIELDS)
_CHANGED = tuple(name for name in _FIELDS if name not in ("counterparty", "version"))
_values = attrgetter(*_FIELDS)
_changed = attrgetter(*_CHANGED)
_COME = ", ".join(field.name for field in fields(Come))


def save_witness(row: Witness) -> Statement:
    """The new row, if ``row.version`` is still the stored one (0: there is none yet); the stored version is then one more."""
    if row.version == 0:
        slots = ", ".join("?" * len(_FIELDS))
        return Statement(f"INSERT INTO witness ({_COLUMNS}) VALUES ({slots})", (*_values(row)[:-1], 1))
    sets = ", ".join(f"{name} = ?" for name in _CHANGED)
    sql = f"UPDATE witness SET {sets}, version = version + 1 WHERE counterparty = ? AND version = ?"
    return Statement(sql, (*_changed(row), row.counterparty, row.version))


def keep_come(come: Come) -> Statement:
    """A message to be verified, in the place of an earlier one of its kind."""
    return Statement(
        f"INSERT INTO witness_inbox ({_COME}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (counterparty, kind) DO UPDATE SET "
        "message_id = excluded.message_id, document = excluded.document, tries = excluded.tries, "
        "received_at = excluded.received_at",
        (come.counterparty, come.kind, come.message_id, come.document, come.tries, come.received_at),
    )


def tried(come: Come) -> Statement:
    """It was looked at once more, in vain; nothing where a later message has come."""
    return Statement(
        "UPDATE witness_inbox SET tries = tries + 1 WHERE counterparty = ? AND kind = ? AND message_id = ?",
        (come.counterparty, come.kind, come.message_id),
        expect=None,
    )


def done(come: Come) -> Statement:
    """It was verified; the guard of what comes of it: a later message in its place loses the race."""
    return Statement(
        "DELETE FROM witness_inbox WHERE counterparty = ? AND kind = ? AND message_id = ?",
        (come.counterparty, come.kind, come.message_id),
    )


def wake(kind: str, counterparty: str, due_at: int) -> Statement:
    """The one timer of this kind for a counterparty is due then, or earlier if it was."""
    return Statement(
        "INSERT INTO timer (id, kind, process_id, due_at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "due_at = CASE WHEN excluded.due_at < timer.due_at THEN excluded.due_at ELSE timer.due_at END",
        (f"{kind}:{counterparty}", kind, counterparty, due_at),
    )


def hurry(timer_id: str, due_at: int) -> Statement:
    """A timer that is set for later is due then; nothing where there is none."""
    return Statement("UPDATE timer SET due_at = ? WHERE id = ? AND due_at > ?", (due_at, timer_id, due_at), expect=None)


def put_off(timer_id: str, was_due_at: int, due_at: int) -> Statement:
    """A timer that was acted upon fires again then, unless somebody has set it meanwhile."""
    sql = "UPDATE timer SET due_at = ? WHERE id = ? AND due_at = ?"
    return Statement(sql, (due_at, timer_id, was_due_at), expect=None)


def taken(timer_id: str, was_due_at: int) -> Statement:
    """A timer that was acted upon is gone, unless somebody has set it meanwhile."""
    return Statement("DELETE FROM timer WHERE id = ? AND due_at = ?", (timer_id, was_due_at), expect=None)


def begin_all(due_at: int, latest: int) -> Statement:
    """Every counterparty that we have an agreement with is shown our log: those of earlier releases have no timer yet. One that
    is set for after ``latest`` was set while the clock was ahead."""
    return Statement(
        f"INSERT INTO timer (id, kind, process_id, due_at) SELECT DISTINCT '{SHOWING}' || counterparty, '{SHOW_ALARM}', "
        "counterparty, CAST(? AS BIGINT) FROM agreement WHERE state = 'binding' ON CONFLICT (id) DO UPDATE SET "
        "due_at = excluded.due_at WHERE timer.due_at > ?",
        (due_at, latest),
        expect=None,
    )


class WitnessStore:
    """Typed reads over either engine. Raises StoreUnavailable where the engine does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def row(self, counterparty: str) -> Witness:
        """What stands of a counterparty; an empty row with version 0 where nothing does."""
        found = await self.engine.fetch(f"SELECT {_COLUMNS} FROM witness WHERE counterparty = ?", (counterparty,))
        return Witness(*_any(found[0])) if found else Witness(counterparty)

    async def rows(self, counterparties: Sequence[str]) -> dict[str, Witness]:
        """What stands of some counterparties, by id; at most a page of them."""
        if not counterparties:
            return {}
        slots = ", ".join("?" * len(counterparties))
        found = await self.engine.fetch(f"SELECT {_COLUMNS} FROM witness WHERE counterparty IN ({slots})", tuple(counterparties))
        return {row.counterparty: row for row in (Witness(*_any(each)) for each in found)}

    async def split(self, counterparty: str) -> tuple[str, int] | None:
        """How and when (ms) the log of a counterparty contradicted itself, if nobody has accepted that."""
        found = await self.engine.fetch(
            "SELECT split_code, split_at FROM witness WHERE counterparty = ? AND split_code <> ''", (counterparty,)
        )
        return _any((str(found[0][0]), found[0][1])) if found else None

    async def come(self, counterparty: str) -> list[Come]:
        """What came of a counterparty and is still to be verified."""
        found = await self.engine.fetch(
            f"SELECT {_COME} FROM witness_inbox WHERE counterparty = ? ORDER BY kind", (counterparty,)
        )
        return [Come(*_any(each)) for each in found]

    async def waiting(self, lane: str, message_type: str) -> list[str]:
        """Ids of messages of a type that wait in a lane of the outbox; dead letters left out."""
        found = await self.engine.fetch(
            "SELECT id FROM outbox WHERE lane = ? AND message = ? AND dead_at IS NULL ORDER BY seq", (lane, message_type)
        )
        return [str(each[0]) for each in found]

    async def agreements_of(self, counterparty: str, limit: int) -> list[str]:
        """The newest negotiations whose agreement with a counterparty binds."""
        found = await self.engine.fetch(
            "SELECT negotiation_id FROM agreement WHERE counterparty = ? AND state = 'binding' ORDER BY created_at DESC LIMIT ?",
            (counterparty, limit),
        )
        return [str(each[0]) for each in found]


def _any(row: Any) -> Any:
    return row
