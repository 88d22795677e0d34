"""Every write of the control database, as a guarded statement. With ``control.py`` the only place with its SQL. No I/O."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter

import msgspec

from connector.protocol.record import Process
from connector.store.engine import Statement, Value
from connector.store.rows import Agreement, Happening, Judged, Outgoing, Timer

_encode = msgspec.json.Encoder().encode

PROCESS_COLUMNS = (
    "id, kind, role, state, awaiting, awaiting_id, version, counterparty, peer_pid, peer_address, correlation_id, "
    "subject, detail, last_digest, created_at, updated_at"
)
OUTGOING_COLUMNS = (
    "id, lane, channel, counterparty, process_id, message, url, body, correlation_id, created_at, deadline_at, due_at, "
    "attempts, conflict_since, missing_since, last_error, dead_at"
)


# dataclasses.astuple copies every value, which costs ten times as much.
_judged = attrgetter(*(field.name for field in fields(Judged)))
_agreement = attrgetter(*(field.name for field in fields(Agreement)))
_happening = attrgetter(*(field.name for field in fields(Happening)))
_timer = attrgetter(*(field.name for field in fields(Timer)))


def _slots(columns: int) -> str:
    return "(" + ", ".join("?" * columns) + ")"


_INSERT_PROCESS = f"INSERT INTO process ({PROCESS_COLUMNS}, origin, waits_since) VALUES {_slots(18)}"
_UPDATE_PROCESS = (
    "UPDATE process SET state = ?, awaiting = ?, awaiting_id = ?, version = version + 1, peer_pid = ?, detail = ?, "
    "last_digest = ?, updated_at = ?, waits_since = ? WHERE id = ? AND version = ?"
)
_INSERT_OUTGOING = f"INSERT INTO outbox ({OUTGOING_COLUMNS}, owner, lease_until) VALUES {_slots(19)}"


def insert_process(process: Process) -> Statement:
    """A new process; unique by id, and by the peer's process id where the peer began."""
    origin = "own" if process.peer_pid is None else "peer"
    values: tuple[Value, ...] = (
        process.id,
        process.kind.value,
        process.role.value,
        process.state.value,
        process.awaiting and process.awaiting.value,
        process.awaiting_id,
        process.version,
        process.counterparty,
        process.peer_pid,
        process.peer_address,
        process.correlation_id,
        process.subject,
        _encode(process.detail).decode(),
        process.last_digest,
        process.created_at,
        process.updated_at,
        origin,
        process.waits_since,
    )
    return Statement(_INSERT_PROCESS, values)


def update_process(process: Process) -> Statement:
    """The new record, if ``process.version`` is still the stored one; the stored version is then one more."""
    return Statement(
        _UPDATE_PROCESS,
        (
            process.state.value,
            process.awaiting and process.awaiting.value,
            process.awaiting_id,
            process.peer_pid,
            _encode(process.detail).decode(),
            process.last_digest,
            process.updated_at,
            process.waits_since,
            process.id,
            process.version,
        ),
    )


def insert_judged(judged: Judged) -> Statement:
    """Remember a judgement; a second one for the same message id loses the race."""
    return Statement(
        "INSERT INTO inbox (counterparty, message_id, process_id, digest, status, body, judged_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        _judged(judged),
    )


def insert_outgoing(message: Outgoing, owner: str | None = None, lease_until: int = 0) -> Statement:
    """Queue a message; with ``owner`` it is born leased to the worker that will deliver it at once."""
    return Statement(
        _INSERT_OUTGOING,
        (
            message.id,
            message.lane,
            message.channel,
            message.counterparty,
            message.process_id,
            message.message,
            message.url,
            message.body,
            message.correlation_id,
            message.created_at,
            message.deadline_at,
            message.due_at,
            message.attempts,
            message.conflict_since,
            message.missing_since,
            message.last_error,
            message.dead_at,
            owner,
            lease_until,
        ),
    )


def delete_outgoing(message_id: str, *, surely: bool = False) -> Statement:
    """Take a message out of the outbox; ``surely`` loses the race if it is not there any more."""
    return Statement("DELETE FROM outbox WHERE id = ?", (message_id,), expect=1 if surely else None)


def postpone_outgoing(message: Outgoing, lease_until: int = 0) -> Statement:
    """Store the outcome of a failed attempt: attempts, the next one, and since when it is refused."""
    return Statement(
        "UPDATE outbox SET due_at = ?, attempts = ?, conflict_since = ?, missing_since = ?, last_error = ?, owner = NULL, "
        "lease_until = ? WHERE id = ?",
        (
            message.due_at,
            message.attempts,
            message.conflict_since,
            message.missing_since,
            message.last_error,
            lease_until,
            message.id,
        ),
        expect=None,
    )


def bury_outgoing(message_id: str, why: str, now_ms: int) -> Statement:
    """Make it a dead letter, which leaves its lane and waits for a person."""
    return Statement(
        "UPDATE outbox SET dead_at = ?, last_error = ?, owner = NULL, lease_until = 0 WHERE id = ? AND dead_at IS NULL",
        (now_ms, why, message_id),
        expect=None,
    )


def revive_outgoing(message_id: str, now_ms: int, deadline_at: int) -> Statement:
    """Send a dead letter again, from now until a new deadline."""
    return Statement(
        "UPDATE outbox SET dead_at = NULL, due_at = ?, deadline_at = ?, conflict_since = NULL, missing_since = NULL "
        "WHERE id = ? AND dead_at IS NOT NULL",
        (now_ms, deadline_at, message_id),
    )


def insert_agreement(agreement: Agreement) -> Statement:
    """Store an agreement; unique by counterparty, role and id, and by negotiation."""
    return Statement(
        "INSERT INTO agreement (id, counterparty, role, negotiation_id, dataset, document, state, created_at, updated_at, "
        "delivery) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        _agreement(agreement),
    )


def settle_agreement(negotiation_id: str, state: str, now_ms: int) -> Statement:
    """A pending agreement becomes binding or void."""
    return Statement(
        "UPDATE agreement SET state = ?, updated_at = ? WHERE negotiation_id = ? AND state = 'pending'",
        (state, now_ms, negotiation_id),
        expect=None,
    )


def insert_event(happening: Happening) -> Statement:
    """Add a line to a process's timeline."""
    return Statement(
        "INSERT INTO event (process_id, at, what, message, message_id, state, awaiting, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        _happening(happening),
    )


def insert_retry(message: Outgoing, now_ms: int) -> Statement:
    """Add to the timeline of its process that a message was not answered as it should be, and will be sent again."""
    known = "coalesce((SELECT state FROM process WHERE id = ?), ''), (SELECT awaiting FROM process WHERE id = ?)"
    note = f"attempt {message.attempts}: {message.last_error or ''}"
    return Statement(
        "INSERT INTO event (process_id, at, what, message, message_id, state, awaiting, note) "
        f"VALUES (?, ?, 'will be sent again', ?, ?, {known}, ?)",
        (message.process_id, now_ms, message.message, message.id, message.process_id, message.process_id, note),
    )


def insert_timer(timer: Timer) -> Statement:
    """Set a timer."""
    return Statement("INSERT INTO timer (id, kind, process_id, due_at) VALUES (?, ?, ?, ?)", _timer(timer))


def delete_timer(timer_id: str) -> Statement:
    """Take a timer that is due; only one taker wins."""
    return Statement("DELETE FROM timer WHERE id = ?", (timer_id,))


def postpone_timer(timer_id: str, due_at: int) -> Statement:
    """Let a timer that could not be acted upon fire later."""
    return Statement("UPDATE timer SET due_at = ? WHERE id = ?", (due_at, timer_id), expect=None)


def delete_timers_of(process_id: str) -> Statement:
    """The process has ended: nothing is to be done later."""
    return Statement("DELETE FROM timer WHERE process_id = ?", (process_id,), expect=None)


def withdraw_dataset(dataset_id: str, now_ms: int) -> Statement:
    """Take a dataset off the catalogue; agreements about it go on."""
    return Statement("UPDATE dataset SET withdrawn_at = ? WHERE id = ? AND withdrawn_at IS NULL", (now_ms, dataset_id))


def keep_capability(counterparty: str, document: str, now_ms: int) -> Statement:
    """What a peer last said it can do."""
    return Statement(
        "INSERT INTO capability (counterparty, document, received_at) VALUES (?, ?, ?) ON CONFLICT (counterparty) "
        "DO UPDATE SET document = excluded.document, received_at = excluded.received_at",
        (counterparty, document, now_ms),
    )
