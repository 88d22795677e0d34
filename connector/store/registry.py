"""The registry of participants in the control database, and what may be used a single time: reads and guarded writes.

The only place with the SQL of the tables ``participant`` and ``used_once``. A change of an entry is guarded by its revision;
how a participant was last recognised is no change of it and leaves the revision alone. Imports the entries and the engine's
seam only.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from connector.identity.interface import Standing
from connector.identity.participants import Admission, Claims, Participant, Profile, Recognised
from connector.store.engine import Engine, Row, Statement

MAX_FORGOTTEN: Final = 1000
_encode = msgspec.json.Encoder().encode
_profile = msgspec.json.Decoder(Profile).decode
_claims = msgspec.json.Decoder(Claims).decode
_recognised = msgspec.json.Decoder(Recognised).decode

# On PostgreSQL a change of the entry waits for the transactions that have checked it, which do not wait for each other.
# On SQLite there is one writer, so that nothing can come between.
_USE_IF_WELCOME: Final = (
    "INSERT INTO used_once (key, expires_at) SELECT ?, ? FROM participant "
    "WHERE id = ? AND revision = ? AND state IN ('unverified', 'admitted')"
)
_USE_IF_WELCOME_SHARED: Final = (
    "INSERT INTO used_once (key, expires_at) SELECT ?, ? FROM participant "
    "WHERE id = ? AND revision = ? AND state IN ('unverified', 'admitted') FOR SHARE"
)
_IF_WELCOME: Final = (
    "UPDATE participant SET revision = revision WHERE id = ? AND revision = ? AND state IN ('unverified', 'admitted')"
)
_IF_WELCOME_SHARED: Final = (
    "SELECT revision FROM participant WHERE id = ? AND revision = ? AND state IN ('unverified', 'admitted') FOR SHARE"
)


def _participant(row: Row) -> Participant:
    fields: list[Any] = list(row)
    return Participant(
        id=fields[0],
        state=Admission(fields[1]),
        revision=fields[2],
        profile=_profile(fields[3]),
        claims=_claims(fields[4]),
        vouched_by=fields[5],
        vouched_at=fields[6],
        reason=fields[7],
        recognised=None if fields[8] is None else _recognised(fields[8]),
        created_at=fields[9],
        updated_at=fields[10],
    )


class RegistryStore:
    """Typed access to the registry over either engine. Raises StoreUnavailable where the engine does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.shared = getattr(engine, "dialect", "") == "postgresql"

    async def participant(self, participant_id: str) -> Participant | None:
        """The entry of a participant."""
        rows = await self.engine.fetch(
            "SELECT id, state, revision, profile, claims, vouched_by, vouched_at, reason, recognised, created_at, updated_at "
            "FROM participant WHERE id = ?",
            (participant_id,),
        )
        return _participant(rows[0]) if rows else None

    async def participants(self, *, after: str = "", limit: int = 100, state: Admission | None = None) -> list[Participant]:
        """A page of the entries in order of their ids; ``after`` is the last id seen."""
        chosen = "" if state is None else state.value
        rows = await self.engine.fetch(
            "SELECT id, state, revision, profile, claims, vouched_by, vouched_at, reason, recognised, created_at, updated_at "
            "FROM participant WHERE id > ? AND (? = '' OR state = ?) ORDER BY id LIMIT ?",
            (after, chosen, chosen, limit),
        )
        return [_participant(row) for row in rows]

    async def count(self, state: Admission) -> int:
        """How many participants stand there."""
        rows = await self.engine.fetch("SELECT count(*) FROM participant WHERE state = ?", (state.value,))
        return int(cast("int", rows[0][0]))

    async def used(self, key: str) -> bool:
        """Whether this key was used before, as far as that is remembered."""
        return bool(await self.engine.fetch("SELECT 1 FROM used_once WHERE key = ?", (key,)))

    async def forget_used(self, now_ms: int) -> None:
        """Forget every key whose time is over, some in each transaction."""
        while await self.engine.fetch("SELECT 1 FROM used_once WHERE expires_at < ? LIMIT 1", (now_ms,)):
            await self.engine.commit([forget_used(now_ms)])


def insert_participant(participant: Participant) -> Statement:
    """A new entry; loses the race if there is one of this id."""
    recognised = participant.recognised
    return Statement(
        "INSERT INTO participant (id, state, revision, profile, claims, vouched_by, vouched_at, reason, recognised, created_at, "
        "updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            participant.id,
            participant.state.value,
            participant.revision,
            _encode(participant.profile).decode(),
            _encode(participant.claims).decode(),
            participant.vouched_by,
            participant.vouched_at,
            participant.reason,
            None if recognised is None else _encode(recognised).decode(),
            participant.created_at,
            participant.updated_at,
        ),
    )


def update_participant(participant: Participant) -> Statement:
    """The changed entry, if ``participant.revision`` is still the stored one; the stored one is then one more.

    ``recognised`` and ``created_at`` stay as they are stored.
    """
    return Statement(
        "UPDATE participant SET state = ?, revision = revision + 1, profile = ?, claims = ?, vouched_by = ?, vouched_at = ?, "
        "reason = ?, updated_at = ? WHERE id = ? AND revision = ?",
        (
            participant.state.value,
            _encode(participant.profile).decode(),
            _encode(participant.claims).decode(),
            participant.vouched_by,
            participant.vouched_at,
            participant.reason,
            participant.updated_at,
            participant.id,
            participant.revision,
        ),
    )


def note_recognised(participant_id: str, recognised: Recognised) -> Statement:
    """How a participant was last recognised; loses the race if there is no entry."""
    return Statement(
        "UPDATE participant SET recognised = ? WHERE id = ?",
        (_encode(recognised).decode(), participant_id),
    )


def use_once(key: str, expires_at: int) -> Statement:
    """Use ``key``; loses the race if it was used before. It is remembered until ``expires_at`` (ms) at least."""
    return Statement("INSERT INTO used_once (key, expires_at) VALUES (?, ?)", (key, expires_at))


def forget_used(now_ms: int) -> Statement:
    """Forget keys whose time is over, at most ``MAX_FORGOTTEN`` of them, the oldest first."""
    return Statement(
        "DELETE FROM used_once WHERE key IN (SELECT key FROM used_once WHERE expires_at < ? ORDER BY expires_at LIMIT ?)",
        (now_ms, MAX_FORGOTTEN),
        expect=None,
    )


def recheck(participant_id: str, standing: Standing, *, shared: bool) -> Statement:
    """Loses the race unless the participant is still welcome, its entry has not changed, and ``standing.once`` is not used yet.

    What ``standing.once`` names is used thereby. ``shared``: the database is PostgreSQL (``RegistryStore.shared``). One of the
    guards has failed for good when the entry or the key says so; to decide again does not help then.
    """
    if standing.once is None:
        return Statement(_IF_WELCOME_SHARED if shared else _IF_WELCOME, (participant_id, standing.revision))
    sql = _USE_IF_WELCOME_SHARED if shared else _USE_IF_WELCOME
    return Statement(sql, (standing.once, standing.expires_at, participant_id, standing.revision))


def forget_oldest_newcomer() -> Statement:
    """Remove the unverified participant that came first, if it came by itself and never began anything; loses the race if there
    is none. It comes back with its next token."""
    return Statement(
        "DELETE FROM participant WHERE id = (SELECT p.id FROM participant p WHERE p.state = 'unverified' "
        """AND p.vouched_by IS NULL AND p.profile NOT LIKE '%"addresses"%' AND p.profile NOT LIKE '%"keys"%' """
        """AND p.profile NOT LIKE '%"issuer"%' """
        "AND NOT EXISTS (SELECT 1 FROM process o WHERE o.counterparty = p.id) ORDER BY p.created_at, p.id LIMIT 1)"
    )


def shut_out(participant_id: str) -> Statement:
    """Loses the race unless the participant is known and not welcome."""
    return Statement(
        "UPDATE participant SET revision = revision WHERE id = ? AND state IN ('suspended', 'expelled')", (participant_id,)
    )


def withdraw_extras(changed_at: int) -> Statement:
    """Drop what waits, beside the messages of processes, for those who were shut out at ``changed_at`` in this transaction.

    That is peer messages and dead letters. Gives their ids, as the last statement of ``commit_returning``.
    """
    return Statement(
        "DELETE FROM outbox WHERE counterparty IN (SELECT id FROM participant WHERE state IN ('suspended', 'expelled') "
        "AND updated_at = ?) AND (channel = 'peer' OR dead_at IS NOT NULL) RETURNING id",
        (changed_at,),
        expect=None,
    )
