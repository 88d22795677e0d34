"""What a timer that is due means: the one place where the kinds of timers are told apart.

Evidence needs keys and the data plane, which may be slow: it is done aside, so that no timer waits for it. Until it is done its
timer is put off, so that it fires again if we die meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from connector.flow import erasing, erasure, owed, peer, receipts, showing, signatures, witnessing
from connector.flow.answers import deadline_reached
from connector.flow.context import Context
from connector.flow.deciding import decision_overdue
from connector.flow.ensuing import ENSUING_ALARM
from connector.flow.envelope import WAITING_ALARM
from connector.flow.following import begin_ensuing
from connector.flow.reactions import DECISION_ALARM
from connector.flow.seals import SIGNATURE_ALARM
from connector.flow.using import TERMS_ALARM, terms_turned
from connector.store.rows import Timer
from connector.store.witness import CHECK_ALARM, SHOW_ALARM, put_off

ASIDE_MS: Final = 120_000
"""How long evidence may take before its timer fires again (ms)."""
_EVIDENCE: Final[Mapping[str, Callable[[Context, Timer], Awaitable[None]]]] = MappingProxyType(
    {
        receipts.CHECK_ALARM: receipts.check,
        owed.CHECK_ALARM: erasure.check,
        owed.OVERDUE_ALARM: erasing.overdue,
        SIGNATURE_ALARM: signatures.check,
        WAITING_ALARM: peer.send_waiting,
        SHOW_ALARM: showing.show,
        CHECK_ALARM: witnessing.check,
    }
)


async def reached(context: Context, timer: Timer) -> None:
    """Do what is due. Harmless when another worker has done it."""
    if timer.kind == DECISION_ALARM:
        await decision_overdue(context, timer)
    elif timer.kind == TERMS_ALARM:
        await terms_turned(context, timer)
    elif timer.kind == ENSUING_ALARM:
        await begin_ensuing(context, timer)
    elif timer.kind in _EVIDENCE:
        work = _EVIDENCE[timer.kind]
        # Whoever sets it to another time meanwhile wins: what it has to tell may be newer than what is done now.
        later = replace(timer, due_at=context.now_ms() + ASIDE_MS)
        await context.store.commit([put_off(timer.id, timer.due_at, later.due_at)])

        async def act() -> None:
            await work(context, later)

        await context.seals.aside(act())
    else:
        await deadline_reached(context, timer.id, timer.process_id)
