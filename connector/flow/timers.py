"""What a timer that is due means: the one place where the kinds of timers are told apart."""

from __future__ import annotations

from connector.flow.answers import deadline_reached
from connector.flow.context import Context
from connector.flow.deciding import decision_overdue
from connector.flow.reactions import DECISION_ALARM
from connector.flow.using import TERMS_ALARM, terms_turned
from connector.store.rows import Timer


async def reached(context: Context, timer: Timer) -> None:
    """Do what is due. Harmless when another worker has done it."""
    if timer.kind == DECISION_ALARM:
        await decision_overdue(context, timer)
    elif timer.kind == TERMS_ALARM:
        await terms_turned(context, timer)
    else:
        await deadline_reached(context, timer.id, timer.process_id)
