"""People decide: approve what is pending, reject it, or answer it with another offer; and what follows when nobody does.

An approval does what the connector would have done by itself, and goes through the same checks: the terms say what is possible,
people say whether it is wanted. It can be bound to the version that they saw. Where a rule asks for two, the first approval is
kept and the process waits on; an offer that comes meanwhile is another one, which nobody has approved.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from connector.access.caller import OWNER, Caller
from connector.flow import acts, approvals
from connector.flow.approvals import COMMENT_CHARS, MESSAGES, NO_REASON, asked, effects_of, step_of
from connector.flow.context import Context, Note, retrying, save
from connector.protocol import process as core
from connector.protocol.errors import Conflict
from connector.protocol.messages import Document
from connector.protocol.record import Decision, Effect, Given, Process
from connector.protocol.states import Message
from connector.store import writes
from connector.store.rows import Timer


async def approve(
    context: Context, process_id: str, comment: str = "", *, seen: int | None = None, by: Caller = OWNER
) -> Process:
    """Say yes to what waits; it is done when enough people have. ``comment`` stays here, in the timeline.

    Raises Conflict if nothing waits, if the deadline has passed, if the process is not in version ``seen`` any more, if whoever
    is behind the caller has approved it already, or if the terms do not allow it; PolicyDenied if the caller has none of the
    roles that decide or not the scope, or if whoever is behind him has proposed it.
    """

    async def attempt() -> Process:
        process = await _waiting(context, process_id, seen)
        rule = asked(context, process)
        approvals.check_time(context, process)
        approvals.check_approval(rule, process, by)
        said = effects_of(process, rule, by, "approved", comment)
        if not approvals.enough(rule, process):
            role, now = approvals.acting_as(rule, by), context.now_ms()
            return await _wait_on(context, process, Given(caller=by.id, role=role, at=now, person=by.behind), said)
        return await _do(context, process, said)

    return await retrying(attempt)


async def _do(context: Context, process: Process, said: tuple[Effect, ...]) -> Process:
    """What waited, in the version that was approved."""
    message = MESSAGES[step_of(process) or ""]
    if message is Message.AGREEMENT:
        return await acts.agree(context, process.id, seen=process.version, remarks=said, decided=True)
    if message is Message.START:
        return await acts.start(context, process.id, seen=process.version, remarks=said, decided=True)
    return await acts.act(context, process.id, message, seen=process.version, remarks=said, decided=True)


async def _wait_on(context: Context, process: Process, given: Given, said: tuple[Effect, ...]) -> Process:
    """One approval of several: kept, and everything else stays as it is."""
    detail = msgspec.structs.replace(
        process.detail,
        approvals=[*process.detail.approvals, given],
        pending=step_of(process),
        waits_since=process.detail.waits_since or given.at,
    )
    decision = Decision(replace(process, updated_at=given.at, detail=detail), said)
    context.hand_over(await save(context, process, decision, Note("waits for another person")))
    return replace(decision.process, version=process.version + 1)


async def reject(context: Context, process_id: str, comment: str = "", *, seen: int | None = None, by: Caller = OWNER) -> Process:
    """End the process instead of what waits; the counterparty reads ``comment``.

    Raises Conflict as ``approve`` does, PolicyDenied if the caller has none of the roles that decide.
    """
    process = await _waiting(context, process_id, seen)
    rule = asked(context, process)
    approvals.check_role(rule, by)
    reason = comment[:COMMENT_CHARS] or NO_REASON
    content: Document = {"code": "rejected", "reason": [reason]}
    said = effects_of(process, rule, by, "rejected", comment)
    return await acts.act(context, process_id, Message.TERMINATION, content, seen=process.version, remarks=said)


async def counter(
    context: Context, process_id: str, terms: Document, comment: str = "", *, seen: int | None = None, by: Caller = OWNER
) -> Process:
    """Answer what waits with another offer about the same dataset. ``comment`` stays here, in the timeline.

    Raises as ``reject`` does, CallerError for terms that are no offer, and Conflict where the other side cannot be offered
    anything any more.
    """
    process = await _waiting(context, process_id, seen)
    said = effects_of(process, asked(context, process), by, "countered", comment)
    return await acts.offer(context, process_id, terms, by=by, seen=process.version, remarks=said)


async def _waiting(context: Context, process_id: str, seen: int | None) -> Process:
    process = await acts.load_seen(context, process_id, seen)
    if step_of(process) is None:
        raise Conflict("nothing-pending", f"nothing waits for a person here; the {process.kind.value} is {process.state.on_wire}")
    return process


async def decision_overdue(context: Context, timer: Timer) -> None:
    """Nobody has decided in time, or not enough people have: the negotiation is refused, with that reason."""

    async def attempt() -> None:
        process = await context.store.process(timer.process_id)
        taken = writes.delete_timer(timer.id)
        now = context.now_ms()
        due_at = None if process is None or process.detail.pending is None else process.detail.decide_by
        if process is None or process.state.final or process.awaiting is not None or due_at is None or due_at > now:
            await context.store.commit([replace(taken, expect=None)])
            return
        who = "not enough people" if process.detail.approvals else "nobody"
        reason = f"{who} decided before the deadline ({process.detail.pending})"
        content: Document = {"code": "decision-deadline", "reason": [reason]}
        message_id = context.new_id()
        decision = core.want(process, Message.TERMINATION, content, message_id, now)
        note = Note("nobody decided in time", Message.TERMINATION, message_id, process.detail.pending)
        context.hand_over(await save(context, process, decision, note, also=[taken]))

    await retrying(attempt)
