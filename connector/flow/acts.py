"""Use cases that move an existing process: offer, accept, agree, verify, finalize, start, suspend, resume, complete, terminate.

Each loads, asks the core, and commits; interfaces (owner's channel, management, automation) call these and nothing below.
Raises NotFound for an unknown process, Conflict where the state does not allow it now, CallerError for missing content.

``by`` is the caller of ours who acts. What waits for people nobody does past them (`flow/approvals.py`): PolicyDenied for who has
not the role or has proposed it himself. ``decided``: they have said yes, and nobody is asked again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from connector.access.caller import OWNER, Caller
from connector.flow import approvals
from connector.flow.agreeing import claims_of, judge_agreement
from connector.flow.context import Context, Note, flow_lane, retrying, save
from connector.flow.halted import check_act
from connector.protocol import process as core
from connector.protocol.errors import CallerError, Conflict, NotFound
from connector.protocol.messages import Document
from connector.protocol.record import Decision, Effect, Flow, Process
from connector.protocol.states import Kind, Message, Role, State
from policies import dsp
from policies.errors import PolicyInvalid


async def load(context: Context, process_id: str) -> Process:
    """A process by our id. Raises NotFound."""
    process = await context.store.process(process_id)
    if process is None:
        raise NotFound("process-unknown", f"there is no negotiation or transfer {process_id:.80} here")
    return process


async def act(
    context: Context,
    process_id: str,
    message: Message,
    content: Document | None = None,
    *,
    seen: int | None = None,
    remarks: tuple[Effect, ...] = (),
    by: Caller = OWNER,
    decided: bool = False,
) -> Process:
    """Send ``message`` in a process; only in its version ``seen``, where one is given."""

    async def attempt() -> Process:
        process = await load_seen(context, process_id, seen)
        if not decided:
            approvals.check_act(context, process, message, by)
        return await _commit(context, process, message, content or {}, remarks, by)

    return await retrying(attempt)


async def load_seen(context: Context, process_id: str, version: int | None) -> Process:
    """A process as somebody saw it. Raises NotFound, or Conflict if it has changed since."""
    process = await load(context, process_id)
    if version is not None and process.version != version:
        raise Conflict("changed-meanwhile", "the process has changed since it was looked at; look again, then decide")
    return process


async def _commit(
    context: Context,
    process: Process,
    message: Message,
    content: Document,
    effects: tuple[Effect, ...] = (),
    by: Caller = OWNER,
) -> Process:
    await check_act(context, process, message)
    message_id = context.new_id()
    if message in (Message.OFFER, Message.REQUEST):
        detail = msgspec.structs.replace(process.detail, proposed_by=by.id, proposed_person=by.behind)
        process = replace(process, detail=detail)
    decision = core.want(process, message, content, message_id, context.now_ms())
    decision = replace(decision, effects=(*decision.effects, *effects))
    context.hand_over(await save(context, process, decision, Note("sent", message, message_id)))
    return replace(decision.process, version=process.version + 1)


async def offer(
    context: Context,
    process_id: str,
    terms: Document,
    *,
    seen: int | None = None,
    remarks: tuple[Effect, ...] = (),
    by: Caller = OWNER,
) -> Process:
    """A counter-offer: as provider an offer, as consumer another request, about the same dataset."""
    process = await load(context, process_id)
    message = Message.OFFER if process.role is Role.PROVIDER else Message.REQUEST
    content: Document = {"offer": _offer(context, process, terms)}
    return await act(context, process_id, message, content, seen=seen, remarks=remarks, by=by)


def _offer(context: Context, process: Process, terms: Document) -> Document:
    if not terms.get("permission") and not terms.get("prohibition"):
        raise CallerError("offer-empty", "an offer needs at least one permission or prohibition")
    provider = context.participant_id if process.role is Role.PROVIDER else process.counterparty
    consumer = process.counterparty if process.role is Role.PROVIDER else context.participant_id
    named = {"@id": context.new_id(), **terms, "@type": "Offer", "target": process.subject}
    whole = {**named, "assigner": provider, "assignee": consumer}
    return _in_wire_words(whole) if process.role is Role.PROVIDER else whole


def _in_wire_words(offer: Document) -> Document:
    """Our offer as the other side will read it, whichever words it was written in: the agreement is made of it on both sides,
    and must be the same bytes. Raises CallerError for what is no policy."""
    try:
        return dsp.write(dsp.read(offer))
    except PolicyInvalid as invalid:
        raise CallerError("policy-unreadable", f"{invalid.path or '/'}: {invalid.reason}") from invalid


async def accept(context: Context, process_id: str, *, by: Caller = OWNER) -> Process:
    """Consumer: accept the provider's last offer."""
    return await act(context, process_id, Message.ACCEPTED, by=by)


async def agree(
    context: Context,
    process_id: str,
    *,
    seen: int | None = None,
    remarks: tuple[Effect, ...] = (),
    by: Caller = OWNER,
    decided: bool = False,
) -> Process:
    """Provider: agree to the last offer on the table. Raises Conflict with the reasons if its terms do not allow that."""

    async def attempt() -> Process:
        process = await load_seen(context, process_id, seen)
        if process.kind is not Kind.NEGOTIATION or process.role is not Role.PROVIDER or process.detail.offer is None:
            raise Conflict("not-possible-now", "only the provider of a negotiation with an offer can agree")
        if not decided:
            approvals.check_act(context, process, Message.AGREEMENT, by)
        claims = await claims_of(context, process.counterparty)
        verdict = await judge_agreement(context, replace(process, updated_at=context.now_ms()), claims)
        if verdict.code is not None:
            raise Conflict(verdict.code, f"the terms do not allow it: {'; '.join(verdict.reasons)}")
        effects = (*verdict.effects, *remarks)
        return await _commit(context, process, Message.AGREEMENT, {"agreement": verdict.agreement}, effects, by)

    return await retrying(attempt)


async def verify(context: Context, process_id: str, *, by: Caller = OWNER) -> Process:
    """Consumer: confirm the agreement."""
    return await act(context, process_id, Message.VERIFICATION, by=by)


async def finalize(context: Context, process_id: str, *, by: Caller = OWNER) -> Process:
    """Provider: finalize the negotiation."""
    return await act(context, process_id, Message.FINALIZED, by=by)


async def terminate(
    context: Context, process_id: str, code: str = "terminated", reason: list[Any] | None = None, *, by: Caller = OWNER
) -> Process:
    """End a negotiation or transfer, with a reason that the counterparty sees."""
    content: Document = {"code": code, "reason": reason or ["ended by the operator"]}
    return await act(context, process_id, Message.TERMINATION, content, by=by)


async def suspend(
    context: Context, process_id: str, code: str = "suspended", reason: list[Any] | None = None, *, by: Caller = OWNER
) -> Process:
    """Pause a transfer: data stop at once, the counterparty is told."""
    content: Document = {"code": code, "reason": reason or ["paused by the operator"]}
    return await act(context, process_id, Message.SUSPENSION, content, by=by)


async def complete(context: Context, process_id: str, *, by: Caller = OWNER) -> Process:
    """Say that a transfer is complete."""
    return await act(context, process_id, Message.COMPLETION, by=by)


async def start(
    context: Context,
    process_id: str,
    *,
    seen: int | None = None,
    remarks: tuple[Effect, ...] = (),
    by: Caller = OWNER,
    decided: bool = False,
) -> Process:
    """Provider: start a requested transfer, or resume a suspended one; consumer: resume.

    A provider's start message needs the data plane's address: the data plane is told here, and the message follows when it
    has answered.
    """

    async def attempt() -> Process:
        process = await load_seen(context, process_id, seen)
        if process.kind is not Kind.TRANSFER:
            raise Conflict("not-possible-now", "only a transfer can be started")
        if not decided:
            approvals.check_act(context, process, Message.START, by)
        if process.role is Role.CONSUMER:
            return await _commit(context, process, Message.START, {})
        if process.awaiting is not None or process.state not in (State.REQUESTED, State.SUSPENDED):
            raise Conflict("not-possible-now", f"a transfer cannot be started in state {process.state.on_wire}")
        if {"start", "resume"} & set(await context.store.waiting_in(flow_lane(process.id))):
            raise Conflict("not-possible-now", "the data plane is being asked to start it already")
        command = "start" if process.state is State.REQUESTED else "resume"
        now = context.now_ms()
        decision = Decision(replace(process, updated_at=now, detail=process.detail.decided()), (Flow(command), *remarks))
        context.hand_over(await save(context, process, decision, Note(f"asked the data plane to {command}")))
        return decision.process

    return await retrying(attempt)
