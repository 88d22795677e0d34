"""What becomes of letters: messages that belong to no state, and dead ones, which nobody took before their deadline.

A person sends a dead letter again or gives it up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from connector.flow.context import Context
from connector.flow.leaves import WITNESSING, letter_ended
from connector.protocol.errors import NotFound
from connector.store import writes
from connector.store.engine import LostRace
from connector.store.rows import Outgoing
from connector.telemetry import logger

AGAIN = "sent again by a person"
GIVEN_UP = "given up by a person"
log = logger("letters")


async def delivered(context: Context, message: Outgoing) -> None:
    """A peer message was taken. Harmless when repeated."""
    told = letter_ended(message, "acknowledged", context.now_ms())
    try:
        await context.commit([writes.delete_outgoing(message.id, surely=True)], [told])
    except LostRace:
        # Another worker, whose lease it was before, has heard it first.
        return


async def buried(context: Context, message: Outgoing, event: Literal["refused", "given-up"], why: str) -> None:
    """A message becomes a dead letter. Harmless when repeated.

    One of witnessing does not: a newer one, which says all that it says, comes by itself.
    """
    now = context.now_ms()
    buries = replace(writes.bury_outgoing(message.id, why, now), expect=1)
    if message.message in WITNESSING:
        log.warning("a message of witnessing was not taken", counterparty=message.counterparty, message=message.message, why=why)
        buries = writes.delete_outgoing(message.id, surely=True)
    try:
        await context.commit([buries], [letter_ended(message, event, now, why)])
    except LostRace:
        return


async def retry(context: Context, message_id: str) -> None:
    """Send a dead letter again, with a new deadline. Raises NotFound."""
    letter = await _dead(context, message_id)
    now = context.now_ms()
    revives = writes.revive_outgoing(letter.id, now, now + context.deadlines.termination_ms)
    try:
        await context.commit([revives], [letter_ended(letter, "queued", now, AGAIN)], wakes=True)
    except LostRace as error:
        raise _none(message_id) from error
    context.wake()


async def give_up(context: Context, message_id: str) -> None:
    """Forget a dead letter; the process keeps its line in the timeline. Raises NotFound."""
    letter = await _dead(context, message_id)
    told = letter_ended(letter, "given-up", context.now_ms(), GIVEN_UP)
    try:
        await context.commit([writes.delete_outgoing(letter.id, surely=True)], [told])
    except LostRace as error:
        raise _none(message_id) from error


async def _dead(context: Context, message_id: str) -> Outgoing:
    letter = await context.store.outgoing(message_id)
    if letter is None or letter.dead_at is None:
        raise _none(message_id)
    return letter


def _none(message_id: str) -> NotFound:
    return NotFound("letter-unknown", f"there is no dead letter {message_id:.80}")
