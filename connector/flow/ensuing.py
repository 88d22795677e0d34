"""The transfer that ensues: what a negotiation was begun for begins by itself once it is finalized.

The wish stands in the negotiation's record, and the timer that carries it out is written in the transaction that makes the
agreement binding; so a power cut delays it and loses nothing. Names alone; ``following.py`` acts. May import rows only.
"""

from __future__ import annotations

from typing import Final

from connector.store.rows import Timer

ENSUING_ALARM: Final = "ensuing-transfer"
_PREFIX: Final = "ensuing:"
"""Before the negotiation in the name of its timer: the timers of a negotiation go when it is over, this one stays."""


def ensuing_timer(timer_id: str, negotiation_id: str, due_at: int) -> Timer:
    """When the transfer that ensues from a negotiation is to begin."""
    return Timer(timer_id, ENSUING_ALARM, _PREFIX + negotiation_id, due_at)


def negotiation_of(timer: Timer) -> str:
    """The negotiation of such a timer."""
    return timer.process_id.removeprefix(_PREFIX)
