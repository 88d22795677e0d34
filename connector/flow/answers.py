"""What the dispatcher learned of a message of ours: answered, refused, or never answered. And what the data plane said.

Every function loads, asks the core, commits (the outbox row goes in the same transaction) and is harmless when repeated: an
answer nobody waits for changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec

from connector.flow import erasure, reactions, receipts
from connector.flow.context import Context, Note, retrying, save
from connector.flow.envelope import Letters
from connector.flow.letters import buried
from connector.flow.recent import hopeful
from connector.protocol import process as core
from connector.protocol.errors import Conflict
from connector.protocol.messages import Document
from connector.protocol.record import Decision, Ended, Flow, Process, Withdraw
from connector.protocol.states import Kind, Message, Role, State
from connector.store import writes
from connector.store.rows import Outgoing

NO_ANSWER = "no answer before the deadline"
REPORTED = ("bytes", "sha256", "error", "rows", "rowsDigest", "planDigest", "ledger", "suppressed", "format", "into")
"""What is kept of a report of the data plane."""
# A termination is on its way, or follows as soon as the first message is answered.
_ENDING = frozenset({Message.TERMINATION, Message.REQUEST_THEN_TERMINATION, Message.OFFER_THEN_TERMINATION})
_OTHER = {Role.CONSUMER: Role.PROVIDER, Role.PROVIDER: Role.CONSUMER}


async def answered(context: Context, message: Outgoing, answer: Document | None) -> None:
    """A protocol message was answered 2xx; ``answer`` is the normalised body, if there was one."""

    async def attempt() -> None:
        process = await context.store.process(message.process_id)
        if process is None:
            await _drop(context, message)
            return
        await _settle(context, process, message, answer)

    hint = context.recent.take(message.process_id)
    if hint is None or hint.awaiting_id != message.id:
        await retrying(attempt)
    else:
        await hopeful(lambda: _settle(context, hint, message, answer), lambda: retrying(attempt))


async def _settle(context: Context, process: Process, message: Outgoing, answer: Document | None) -> None:
    """Commit what the answer means for the process; nothing, if it does not wait for it any more."""
    peer_pid = _peer_pid_in(process, answer)
    decision = core.acknowledged(process, message.id, peer_pid, context.new_id(), context.now_ms())
    if decision is None:
        await _drop(context, message)
        return
    decision = await reactions.after(context, process, decision, {})
    note = Note("acknowledged", Message(message.message), message.id)
    context.hand_over(await save(context, process, decision, note))


async def refused(
    context: Context,
    message: Outgoing,
    why: Ended,
    ask_state: Callable[[Process], Awaitable[str | None]],
) -> None:
    """A protocol message was refused for good. ``ask_state`` gets the peer's own state of the process, if it tells."""

    async def attempt() -> None:
        process = await context.store.process(message.process_id)
        if process is None or process.awaiting_id != message.id:
            await _drop(context, message)
            return
        peer_state = None if process.peer_pid is None else await ask_state(process)
        by_peer = msgspec.structs.replace(why, by=_OTHER[process.role])
        decision = core.refused(process, message.id, peer_state, by_peer, context.new_id(), context.now_ms())
        if decision is None:
            await _drop(context, message)
            return
        decision = await reactions.after_refusal(context, process, decision)
        text = f"{why.code}: {'; '.join(str(item) for item in why.reason)}"[:2000]
        note = Note("was refused", Message(message.message), message.id, text)
        context.hand_over(await save(context, process, decision, note))

    await retrying(attempt)


async def expired(context: Context, message: Outgoing) -> None:
    """A protocol message was not answered before its deadline. A termination becomes a dead letter."""

    async def attempt() -> None:
        process = await context.store.process(message.process_id)
        now = context.now_ms()
        decision = None if process is None else core.expired(process, message.id, context.new_id(), now)
        if process is not None and decision is None and message.message == Message.TERMINATION.value:
            # A dead letter that a person has sent again: it stays one.
            await buried(context, message, "given-up", message.last_error or NO_ANSWER)
            return
        if process is None or decision is None:
            await _drop(context, message)
            return
        note = Note("was not answered", Message(message.message), message.id)
        effects = decision.effects
        also = []
        if message.message == Message.TERMINATION.value:
            effects = tuple(effect for effect in effects if effect != Withdraw(message.id))
            also.append(writes.bury_outgoing(message.id, message.last_error or NO_ANSWER, now))
        context.hand_over(await save(context, process, replace(decision, effects=effects), note, also=also))

    await retrying(attempt)


async def _drop(context: Context, message: Outgoing) -> None:
    await context.store.commit([writes.delete_outgoing(message.id)])


def _peer_pid_in(process: Process, answer: Document | None) -> str | None:
    if answer is None:
        return None
    ours, theirs = ("providerPid", "consumerPid") if process.role is Role.PROVIDER else ("consumerPid", "providerPid")
    if answer.get(ours) not in (None, process.id):
        return None
    found = answer.get(theirs)
    # PostgreSQL keeps no text with a NUL in it: to us, such an id is none.
    return found if isinstance(found, str) and found and "\0" not in found else None


# -- the data plane ---------------------------------------------------------------------------------------------------


async def flow_answered(context: Context, message: Outgoing, answer: Document | None) -> None:
    """The data plane did what it was told. A provider's start message follows with the address that it gave, an attestation what
    it has erased."""
    if message.message == erasure.ERASE:
        await erasure.erased(context, message, answer)
        return

    async def attempt() -> None:
        process = await context.store.process(message.process_id)
        address = None if answer is None else answer.get("dataAddress")
        starts = message.message in ("start", "resume") and isinstance(address, dict)
        if process is None or process.role is Role.CONSUMER or not starts:
            await _drop(context, message)
            return
        if await context.store.waiting_in(message.lane, message.seq):
            # A later command waits: a suspension makes this address worthless, another start brings its own.
            await _drop(context, message)
            return
        done = writes.delete_outgoing(message.id, surely=True)
        wire_address = {"@type": "DataAddress", **(address or {})}
        for entry in wire_address.get("endpointProperties", []):
            entry["@type"] = "EndpointProperty"
        try:
            message_id = context.new_id()
            decision = core.want(process, Message.START, {"data_address": wire_address}, message_id, context.now_ms())
        except Conflict:
            decision = Decision(replace(process, updated_at=context.now_ms()), _stop_again(process))
            message_id = None
        note = Note("data plane started", Message.START, message_id)
        context.hand_over(await save(context, process, decision, note, also=[done]))

    await retrying(attempt)


def _stop_again(process: Process) -> tuple[Flow, ...]:
    """The transfer has moved on while the data plane started: what must not run is stopped."""
    if process.state.final:
        return (Flow("completed" if process.state is State.COMPLETED else "terminate"),)
    return (Flow("suspend"),) if process.state is State.SUSPENDED else ()


async def flow_refused(context: Context, message: Outgoing, why: Ended) -> None:
    """The data plane refused for good: a transfer that cannot run is ended, with the reason on both sides."""
    if message.message == erasure.ERASE:
        await erasure.refused(context, message, why)
        return

    async def attempt() -> None:
        process = await context.store.process(message.process_id)
        harmless = message.message not in ("start", "resume", "prepare", "started")
        done = writes.delete_outgoing(message.id)
        if process is None or process.state.final or harmless or process.awaiting in _ENDING:
            await context.store.commit([done])
            return
        content: Document = {"code": "data-plane-refused", "reason": why.reason}
        message_id = context.new_id()
        decision = core.want(process, Message.TERMINATION, content, message_id, context.now_ms())
        note = Note("data plane refused", Message.TERMINATION, message_id, str(why.code))
        context.hand_over(await save(context, process, decision, note, also=[done]))

    await retrying(attempt)


async def flow_reported(context: Context, process_id: str, event: str, report: Document) -> None:
    """The data plane says that the bytes are complete, or that they cannot be had.

    Completed: the consumer records size and digest, signs the receipt and sends both, receipt and completion. Errored changes no
    state (Data Plane Signaling): it is recorded and visible.
    """

    async def attempt() -> None:
        process = await context.store.process(process_id)
        if process is None or process.kind is not Kind.TRANSFER:
            return
        now = context.now_ms()
        facts: dict[str, Any] = {key: report[key] for key in REPORTED if report.get(key) is not None}
        if process.detail.received == facts:
            return
        noted = replace(process, detail=msgspec.structs.replace(process.detail, received=facts), updated_at=now)
        decision = Decision(noted)
        note, letters = Note(f"data plane reported {event}"), Letters()
        if event == "completed" and process.role is Role.CONSUMER:
            await receipts.made(context, noted, report, letters)
            if not process.state.final:
                decision, note = _complete(context, noted, now, note)
        context.hand_over(await save(context, process, decision, note, also=letters.statements, told=letters.told()))
        letters.committed(context)

    await retrying(attempt)


def _complete(context: Context, process: Process, now: int, note: Note) -> tuple[Decision, Note]:
    message_id = context.new_id()
    try:
        decision = core.want(process, Message.COMPLETION, {}, message_id, now)
    except Conflict:
        return Decision(process), note
    return decision, Note(note.what, Message.COMPLETION, message_id)


async def deadline_reached(context: Context, timer_id: str, process_id: str) -> None:
    """A process did not get where it should in time: it is ended. Whoever takes the timer first does it."""

    async def attempt() -> None:
        process = await context.store.process(process_id)
        taken = writes.delete_timer(timer_id)
        running = process is not None and process.kind is Kind.TRANSFER and process.state is not State.REQUESTED
        if process is None or process.state.final or process.awaiting in _ENDING or running:
            await context.store.commit([replace(taken, expect=None)])
            return
        content: Document = {"code": "deadline", "reason": [f"the {process.kind.value} did not move before its deadline"]}
        message_id = context.new_id()
        decision = core.want(process, Message.TERMINATION, content, message_id, context.now_ms())
        note = Note("deadline reached", Message.TERMINATION, message_id)
        context.hand_over(await save(context, process, decision, note, also=[taken]))

    await retrying(attempt)
