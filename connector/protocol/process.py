"""The core: ``decide(record, what happened) -> Decision``, pure, for both machines.

A :class:`~connector.protocol.record.Process` is what one side knows of a negotiation or a transfer. The five functions
below look up one row of ``states.py`` each and say what follows as data; the shell commits state, inbox, outbox and
agreement in one transaction and only then answers or sends. What is special to negotiations is in ``negotiation.py``, to
transfers in ``transfer.py``.

Nothing here awaits, reads a clock, makes an id, logs or touches a database: identifiers and times are passed in.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from connector.protocol import messages as dsp
from connector.protocol import negotiation, transfer
from connector.protocol.errors import BadMessage, Conflict, IllegalTransition, NotNow
from connector.protocol.messages import AnyMessage, Document
from connector.protocol.record import Decision, Detail, Effect, Ended, Flow, Process, Send, Withdraw
from connector.protocol.states import (
    ACK,
    BUSY,
    DEADLINE,
    REFUSED,
    Event,
    Kind,
    Message,
    Next,
    Role,
    adopt,
    allowed,
    recv,
    send,
    step,
)


def receive(process: Process, message: AnyMessage, digest: str, now_ms: int) -> Decision:
    """Judge a message of the counterparty that belongs to this process.

    ``digest`` identifies its content without the message id. Raises BadMessage if its process ids are not ours,
    IllegalTransition if the state does not allow it, NotNow if our own message in flight goes first.
    """
    _check_pids(process, message)
    if message.id is None and digest == process.last_digest:
        return Decision(process, repeat=True)
    what = dsp.meaning(message)
    following = _row(process, recv(what))
    judge = negotiation.received if process.kind is Kind.NEGOTIATION else transfer.received
    detail, effects = judge(process, following, message)
    moved = _move(process, following, now_ms, detail=detail, peer_pid=_peer_pid(process, message), last_digest=digest)
    return Decision(moved, _withdrawn(process, moved) + effects)


def want(process: Process, message: Message, content: Document, message_id: str, now_ms: int) -> Decision:
    """We want to send ``message`` with these further members. Raises Conflict if the state does not allow it now."""
    following = step(process.kind, process.role, process.state, process.awaiting, send(message))
    if not isinstance(following, Next):
        raise Conflict("not-possible-now", _why_not(process, message))
    prepare = negotiation.sending if process.kind is Kind.NEGOTIATION else transfer.sending
    detail, effects = prepare(process, message, content)
    if following.awaiting is not message:
        return Decision(_move(process, following, now_ms, detail=detail), effects)
    moved = _move(process, following, now_ms, detail=detail, awaiting_id=message_id, last_digest=None)
    return Decision(moved, (*_withdrawn(process, moved), _compose(moved, message, content, message_id), *effects))


def acknowledged(process: Process, message_id: str, peer_pid: str | None, next_id: str, now_ms: int) -> Decision | None:
    """Our message ``message_id`` was answered 2xx; None if nobody waits for that answer any more.

    ``peer_pid`` is what the answer says of the peer's process id, if anything; ``next_id`` the id of a message that may
    follow. Raises BadMessage if the answer names another process than the one that we know.
    """
    if process.awaiting_id != message_id:
        return None
    known = process.peer_pid or peer_pid
    if known is None:
        raise BadMessage("answer-without-pid", "the answer to the first message must name the peer's process id")
    following = _row(process, ACK)
    moved = _move(process, following, now_ms, peer_pid=known)
    return _settled(process, moved, next_id)


def refused(process: Process, message_id: str, peer_state: str | None, why: Ended, next_id: str, now_ms: int) -> Decision | None:
    """Our message was refused for good, and the peer says that its process is in ``peer_state`` (None: it does not say).

    Adopts the peer's state where that settles it, follows the REFUSED row where there is one, and else terminates. None
    if nobody waits for that answer any more.
    """
    if process.awaiting_id != message_id or process.awaiting is None:
        return None
    following = _after_refusal(process, process.awaiting, peer_state)
    same = following == Next(process.state, None)
    detail = negotiation.restored(process) if same else process.detail
    moved = _move(process, following, now_ms, detail=msgspec.structs.replace(detail, refusal=why))
    return _settled(process, moved, next_id)


def expired(process: Process, message_id: str, next_id: str, now_ms: int) -> Decision | None:
    """Our message was not answered before its deadline. None if nobody waits for it any more."""
    if process.awaiting_id != message_id:
        return None
    following = _row(process, DEADLINE)
    why = Ended(by=process.role, code="no-answer", reason=["the peer did not answer before the deadline"])
    moved = _move(
        process,
        following,
        now_ms,
        detail=msgspec.structs.replace(process.detail, ended=process.detail.ended or why),
    )
    return _settled(process, moved, next_id)


def _settled(before: Process, moved: Process, next_id: str) -> Decision:
    """Effects of an answer: the outbox row goes, a termination that has to follow is sent, the state's own effects happen."""
    entered = negotiation.entered if before.kind is Kind.NEGOTIATION else transfer.entered
    effects = entered(before, moved.state)
    if moved.awaiting is not Message.TERMINATION or before.awaiting is Message.TERMINATION:
        return Decision(moved, _withdrawn(before, moved) + effects)
    why = moved.detail.ended or moved.detail.refusal or Ended(by=before.role, code="ended")
    moved = replace(moved, awaiting_id=next_id, detail=msgspec.structs.replace(moved.detail, ended=why))
    content = {"code": why.code or "ended", "reason": why.reason or ["the process was ended"]}
    if before.kind is Kind.TRANSFER and moved.state is before.state:
        effects = (*effects, Flow("terminate"))
    return Decision(moved, (*_withdrawn(before, moved), _compose(moved, Message.TERMINATION, content, next_id), *effects))


def _after_refusal(process: Process, awaiting: Message, peer_state: str | None) -> Next:
    adopted = adopt(process.kind, process.role, process.state, awaiting, peer_state)
    if adopted is not None:
        return Next(adopted, None)
    following = step(process.kind, process.role, process.state, awaiting, REFUSED)
    return following if isinstance(following, Next) else Next(process.state, Message.TERMINATION)


def _row(process: Process, event: Event) -> Next:
    """The row for an event that comes from outside. Raises IllegalTransition or NotNow."""
    following = step(process.kind, process.role, process.state, process.awaiting, event)
    if isinstance(following, Next):
        return following
    if following is BUSY:
        # Who awaits nothing and is busy all the same owes the start message of a resumption.
        ours = process.awaiting or Message.START
        raise NotNow("not-now", f"our own {ours.value} is on its way to you; answer it first and send {event.message} again")
    may = ", ".join(allowed(process.kind, process.role, process.state, process.awaiting)) or "nothing"
    raise IllegalTransition(
        "illegal-transition",
        f"{event.message or event.what} is not allowed in state {process.state.on_wire}; allowed now: {may}",
    )


def _why_not(process: Process, message: Message) -> str:
    if process.state.final:
        return f"the {process.kind.value} is {process.state.on_wire}, which is final"
    if process.awaiting is not None:
        return f"our {process.awaiting.value} is not answered yet; {message.value} is possible after that"
    return f"{message.value} is not possible for the {process.role.value} in state {process.state.on_wire}"


def _move(
    process: Process,
    following: Next,
    now_ms: int,
    *,
    detail: Detail | None = None,
    peer_pid: str | None = None,
    awaiting_id: str | None = None,
    last_digest: str | None = None,
) -> Process:
    """The record after a row: who awaits nothing has no ``awaiting_id``; who goes on awaiting keeps it."""
    kept = awaiting_id or process.awaiting_id
    return replace(
        process,
        state=following.state,
        awaiting=following.awaiting,
        awaiting_id=kept if following.awaiting is not None else None,
        detail=process.detail if detail is None else detail,
        peer_pid=peer_pid or process.peer_pid,
        last_digest=last_digest,
        updated_at=now_ms,
    )


def _withdrawn(before: Process, after: Process) -> tuple[Effect, ...]:
    if before.awaiting_id is None or before.awaiting_id == after.awaiting_id:
        return ()
    return (Withdraw(before.awaiting_id),)


def _compose(process: Process, message: Message, content: Document, message_id: str) -> Send:
    make = negotiation.compose if process.kind is Kind.NEGOTIATION else transfer.compose
    return Send(message, message_id, dsp.document_of(make(process, message, content, message_id)))


def _check_pids(process: Process, message: AnyMessage) -> None:
    """The ids in the body must be those of the process that the path names (HTTPS binding)."""
    provider_pid, consumer_pid = getattr(message, "provider_pid", None), message.consumer_pid
    own, peer = (provider_pid, consumer_pid) if process.role is Role.PROVIDER else (consumer_pid, provider_pid)
    if own is not None and own != process.id:
        raise BadMessage("pid-mismatch", f"the {process.role.value}'s process id in the body is not the one in the path")
    if process.peer_pid is not None and peer != process.peer_pid:
        raise BadMessage("pid-mismatch", "the sender's process id in the body is not the one that this process has")


def _peer_pid(process: Process, message: AnyMessage) -> str | None:
    return message.consumer_pid if process.role is Role.PROVIDER else getattr(message, "provider_pid", None)
