"""A person decides: approve what is pending, or reject it, with a comment; and what follows when nobody does.

An approval does what the connector would have done by itself, and goes through the same checks: the terms say what is possible,
the person says whether it is wanted. It can be bound to the version that the person saw.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from connector.flow import acts
from connector.flow.context import Context, Note, retrying, save
from connector.protocol import process as core
from connector.protocol.errors import Conflict
from connector.protocol.messages import Document
from connector.protocol.record import Process, Remark
from connector.protocol.states import Message
from connector.store import writes
from connector.store.rows import Timer

COMMENT_CHARS: Final = 1000
"""Longest comment that is kept or sent (characters)."""
_PLAIN: Final = {
    "decide-finalization": Message.FINALIZED,
    "decide-offer": Message.ACCEPTED,
    "decide-verification": Message.VERIFICATION,
}
_AGREES: Final = frozenset({"decide-request", "decide-counter-offer", "decide-agreement"})


async def approve(context: Context, process_id: str, comment: str = "", *, seen: int | None = None) -> Process:
    """Do what waits for a person. ``comment`` stays here, in the timeline.

    Raises Conflict if nothing waits, if the process is not in version ``seen`` any more, or if the terms do not allow it.
    """
    process = await _waiting(context, process_id, seen)
    version, pending = process.version, process.detail.pending or ""
    said = comment[:COMMENT_CHARS]
    remarks = (Remark("approved", said, "approved", reasons=(said,) if said else ()),)
    if pending in _AGREES:
        return await acts.agree(context, process_id, seen=version, remarks=remarks)
    if pending in _PLAIN:
        return await acts.act(context, process_id, _PLAIN[pending], seen=version, remarks=remarks)
    return await acts.start(context, process_id, remarks=remarks)


async def reject(context: Context, process_id: str, comment: str = "", *, seen: int | None = None) -> Process:
    """End the process instead of what waits; the counterparty reads ``comment``. Raises Conflict as ``approve`` does."""
    process = await _waiting(context, process_id, seen)
    reason = comment[:COMMENT_CHARS] or "a person has decided against it"
    content: Document = {"code": "rejected", "reason": [reason]}
    remarks = (Remark("rejected", comment[:COMMENT_CHARS], "refused", "rejected", (reason,)),)
    return await acts.act(context, process_id, Message.TERMINATION, content, seen=process.version, remarks=remarks)


async def _waiting(context: Context, process_id: str, seen: int | None) -> Process:
    process = await acts.load_seen(context, process_id, seen)
    if process.detail.pending is None:
        raise Conflict("nothing-pending", f"nothing waits for a person here; the {process.kind.value} is {process.state.on_wire}")
    return process


async def decision_overdue(context: Context, timer: Timer) -> None:
    """Nobody has decided in time: the negotiation is refused, with that reason."""

    async def attempt() -> None:
        process = await context.store.process(timer.process_id)
        taken = writes.delete_timer(timer.id)
        now = context.now_ms()
        due_at = None if process is None or process.detail.pending is None else process.detail.decide_by
        if process is None or process.state.final or process.awaiting is not None or due_at is None or due_at > now:
            await context.store.commit([replace(taken, expect=None)])
            return
        reason = f"nobody decided before the deadline ({process.detail.pending})"
        content: Document = {"code": "decision-deadline", "reason": [reason]}
        message_id = context.new_id()
        decision = core.want(process, Message.TERMINATION, content, message_id, now)
        note = Note("nobody decided in time", Message.TERMINATION, message_id, process.detail.pending)
        context.hand_over(await save(context, process, decision, note, also=[taken]))

    await retrying(attempt)
