"""Begins the transfer that ensues from a negotiation which was finalized (see ``ensuing.py``): once, whoever does it.

What cannot be done now is tried again; what never can be is said in the timeline of the negotiation. May import the use cases
that begin processes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from connector.access.caller import Caller
from connector.flow import begin
from connector.flow.context import Context, Note, happening
from connector.flow.ensuing import negotiation_of
from connector.protocol.errors import CarnetError, NotFound, TooMany, Unavailable
from connector.protocol.record import Process
from connector.store import writes
from connector.store.engine import LostRace
from connector.store.rows import Timer

AGAIN_MS: Final = 15_000
"""How long after an attempt that failed the next one is made (ms)."""
TRIED_MS: Final = 3_600_000
"""How long after its negotiation a transfer is tried to be begun (ms)."""


async def begin_ensuing(context: Context, timer: Timer) -> None:
    """Begin the transfer. Harmless when another worker has begun it."""
    negotiation = await context.store.process(negotiation_of(timer))
    agreement = None if negotiation is None else await context.store.agreement_of(negotiation.id)
    detail = None if negotiation is None else negotiation.detail
    ensuing = None if detail is None else detail.ensuing
    if negotiation is None or detail is None or ensuing is None or agreement is None or agreement.state != "binding":
        await context.store.commit([replace(writes.delete_timer(timer.id), expect=None)])
        return
    try:
        await begin.request_transfer(
            context,
            agreement_id=agreement.id,
            counterparty=agreement.counterparty,
            transfer_format=ensuing,
            address=negotiation.peer_address,
            by=Caller(detail.proposed_by, frozenset(), frozenset(), person=detail.proposed_person),
            also=[writes.delete_timer(timer.id)],
        )
    except (NotFound, TooMany, Unavailable) as error:
        await _later(context, timer, negotiation, error)
    except CarnetError as error:
        await _never(context, timer, negotiation, error)


async def _later(context: Context, timer: Timer, negotiation: Process, error: CarnetError) -> None:
    now = context.now_ms()
    if now > negotiation.updated_at + TRIED_MS:
        await _never(context, timer, negotiation, error)
        return
    await context.store.commit([writes.postpone_timer(timer.id, now + AGAIN_MS)])


async def _never(context: Context, timer: Timer, negotiation: Process, error: CarnetError) -> None:
    said = Note("the transfer that was to follow could not begin", text=f"{error.code}: {error.reason}")
    line = writes.insert_event(happening(replace(negotiation, updated_at=context.now_ms()), said))
    with suppress(LostRace):
        # Another worker has begun it, or given it up.
        await context.store.commit([writes.delete_timer(timer.id), line])
