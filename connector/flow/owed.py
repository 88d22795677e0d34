"""What an agreement says has to be deleted, and until when: its duties to delete, as rows with their timers. No I/O.

Both sides make the same rows: the consumer erases when the time has come, the provider expects the attestation. A duty whose
conditions name no moment (an event, or nothing) waits until somebody says that it has happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import orjson

from catalog.canonical import digest
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Role
from connector.store.evidence import Duty
from connector.store.rows import Timer
from policies import dsp
from policies.errors import PolicyInvalid
from policies.model import Duty as Term
from policies.model import Lit, Policy
from policies.terms.duties import DELETE
from policies.terms.time import DATE_TIME, DELAY_PERIOD, ELAPSED_TIME
from policies.terms.values import duration, instant
from policies.walk import atoms, conditions, duties, rules

CHECK_ALARM: Final = "duty-check"
OVERDUE_ALARM: Final = "duty-overdue"
LEAD_MS: Final = 3_600_000
"""How long before the moment that the agreement names the consumer begins to erase (ms), but at most a tenth of the period."""


def timer_key(counterparty: str, role: str, duty_id: str) -> str:
    """The name of a duty's timers."""
    return orjson.dumps([counterparty, role, duty_id]).decode()


def owed(process: Process, new_id: Callable[[], str]) -> Iterator[tuple[Duty, Timer | None]]:
    """The duties to delete of the agreement that a negotiation has brought, each with the timer that it needs."""
    agreement = process.detail.agreement or {}
    now = process.updated_at
    for path, due_at in deletions(agreement):
        duty = Duty(
            counterparty=process.counterparty,
            role=process.role.value,
            id=f"{agreement['@id']}#{path}",
            kind="delete",
            agreement=agreement["@id"],
            state="waiting" if due_at is None else "pending",
            digest=digest({"agreementId": agreement["@id"], "path": path}),
            content="{}",
            due_at=due_at,
            created_at=now,
            updated_at=now,
        )
        yield duty, None if due_at is None else _timer(duty, due_at, now, new_id())


def _timer(duty: Duty, due_at: int, now: int, timer_id: str) -> Timer:
    key = timer_key(duty.counterparty, duty.role, duty.id)
    if duty.role == Role.PROVIDER.value:
        return Timer(timer_id, OVERDUE_ALARM, key, due_at + 1)
    lead = min(LEAD_MS, max(0, due_at - now) // 10)
    return Timer(timer_id, CHECK_ALARM, key, due_at - lead)


def deletions(agreement: Document) -> Iterator[tuple[str, int | None]]:
    """The path of each duty to delete, and when the data must be gone (ms since the epoch): the first moment that it names,
    counted from the agreement where it is a period; None where it names none."""
    try:
        policy = dsp.read(agreement)
    except PolicyInvalid:
        return
    made = instant(Lit(str(agreement.get("timestamp"))))
    for path, term in _duties(policy):
        if term.action.iri != DELETE:
            continue
        yield path, min(_moments(path, term, made), default=None)


def _duties(policy: Policy) -> Iterator[tuple[str, Term]]:
    for placed in rules(policy):
        if isinstance(placed.rule, Term):
            yield placed.path, placed.rule
        elif placed.member == "permission":
            yield from duties(placed.path, placed.rule)


def _moments(path: str, term: Term, made: int | None) -> Iterator[int]:
    for at, condition in conditions(path, term):
        for _, constraint in atoms(at, condition):
            for value in constraint.right:
                length, moment = duration(value), instant(value)
                if constraint.left == DATE_TIME and moment is not None:
                    yield moment
                elif constraint.left in (ELAPSED_TIME, DELAY_PERIOD) and length is not None and made is not None:
                    yield length.after(made)
