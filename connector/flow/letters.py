"""Dead letters: messages that nobody took before their deadline. A person sends them again or gives them up."""

from __future__ import annotations

from connector.flow.context import Context
from connector.protocol.errors import NotFound
from connector.store import writes
from connector.store.engine import LostRace
from connector.store.rows import Outgoing


async def retry(context: Context, message_id: str) -> None:
    """Send a dead letter again, with a new deadline. Raises NotFound."""
    letter = await _dead(context, message_id)
    now = context.now_ms()
    try:
        await context.store.commit([writes.revive_outgoing(letter.id, now, now + context.deadlines.termination_ms)], wakes=True)
    except LostRace as error:
        raise _none(message_id) from error
    context.wake()


async def give_up(context: Context, message_id: str) -> None:
    """Forget a dead letter; the process keeps its line in the timeline. Raises NotFound."""
    letter = await _dead(context, message_id)
    await context.store.commit([writes.delete_outgoing(letter.id)])


async def _dead(context: Context, message_id: str) -> Outgoing:
    letter = await context.store.outgoing(message_id)
    if letter is None or letter.dead_at is None:
        raise _none(message_id)
    return letter


def _none(message_id: str) -> NotFound:
    return NotFound("letter-unknown", f"there is no dead letter {message_id:.80}")
