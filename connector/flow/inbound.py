"""A protocol message of a peer: judged by the core, committed with what follows from it, then answered.

The numbered life of a message (ARCHITECTURE.md): (1) it passed the door and its sender is known; (2) was it judged before?
then the same answer; (3) whose process is it? another's looks like none; (4) the table judges; (5) state, judgement and all that
follows are committed; (6) only then it is answered; (7) only then what follows is sent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import orjson

from connector.flow import reactions
from connector.flow.context import Context, Note, happening, retrying, save
from connector.flow.leaves import of_note, use_refused
from connector.flow.recent import hopeful
from connector.flow.using import UseRefused
from connector.identity.interface import Principal
from connector.protocol import messages as dsp
from connector.protocol import process as core
from connector.protocol.errors import BadMessage, IllegalTransition, NotFound
from connector.protocol.messages import AnyMessage, Document
from connector.protocol.record import Decision, Process
from connector.protocol.states import Kind, Role, State
from connector.store import writes
from connector.store.engine import Statement
from connector.store.rows import Judged, Outgoing
from connector.telemetry import correlation_id

MAX_REMEMBERED_REFUSALS = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What the peer gets: a status, a JSON document as text or nothing, and what we send after that."""

    status: int
    body: str | None
    leaving: list[Outgoing] = field(default_factory=list)
    outcome: str = "accepted"


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A message as it came, as it is read, and the digest of its content."""

    document: Document
    read: AnyMessage
    digest: str

    @property
    def note(self) -> Note:
        """What the timeline says of it."""
        return Note("received", dsp.meaning(self.read), self.read.id, document=self.document)


def _arrived(kind: Kind, document: Document) -> _Arrived:
    """Raises BadMessage."""
    check_texts(document)
    return _Arrived(document, dsp.message_of(kind, document), digest_of(document))


def digest_of(document: Document) -> str:
    """Identifies the content of a message whatever its ``@id``; internal, never signed."""
    content = {key: value for key, value in document.items() if key not in ("@id", "@context")}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def check_texts(document: Document) -> None:
    """PostgreSQL keeps no text with a NUL in it, so what is stored or quoted as it stands has none. Raises BadMessage."""
    open_parts: list[tuple[str, Any]] = [*document.items()]
    while open_parts:
        name, value = open_parts.pop()
        if "\0" in name or (isinstance(value, str) and "\0" in value):
            said = name.replace("\0", "")
            raise BadMessage("text-invalid", f"{said:.80} has the character U+0000 in it; leave it out")
        if isinstance(value, dict) and name != "reason":
            open_parts += value.items()
        elif isinstance(value, list) and name != "reason":
            open_parts += ((name, item) for item in value)


def acknowledgement(process: Process) -> str:
    """ContractNegotiation or TransferProcess with the state of now."""
    provider_pid, consumer_pid = process.pids
    return orjson.dumps(dsp.acknowledgement(process.kind, provider_pid, consumer_pid, process.state.on_wire)).decode()


async def show(context: Context, kind: Kind, principal: Principal, process_id: str) -> str:
    """GET of a process by its counterparty. Raises NotFound, also for a process of somebody else."""
    process = await context.store.process(process_id)
    if process is None or process.kind is not kind or process.counterparty != principal.participant_id:
        raise _unknown(kind)
    return acknowledgement(process)


async def message(context: Context, kind: Kind, principal: Principal, process_id: str, document: Document) -> Answer:
    """A message to a process that exists. Raises NotFound, BadMessage, IllegalTransition or NotNow."""
    arrived = _arrived(kind, document)

    async def attempt() -> Answer:
        process, judged = await context.store.process_for(process_id, principal.participant_id, arrived.read.id)
        if process is None or process.kind is not kind or process.counterparty != principal.participant_id:
            raise _unknown(kind)
        if judged is not None:
            return _again(judged, process, arrived.digest)
        return await judge(process)

    async def judge(process: Process, *, sure: bool = True) -> Answer:
        return await _judge(context, process, arrived, principal, sure=sure)

    hint = context.recent.take(process_id)
    if hint is None or hint.kind is not kind or hint.counterparty != principal.participant_id:
        return await retrying(attempt, lambda: context.door.explain(principal))
    # A message that was judged before, or an agreement id that was used before, loses the race against its own row.
    return await hopeful(lambda: judge(hint, sure=False), lambda: retrying(attempt, lambda: context.door.explain(principal)))


async def first_message(context: Context, kind: Kind, principal: Principal, document: Document) -> Answer:
    """A message that begins a process: a request, or an offer of a provider. Raises as ``message`` does."""
    arrived = _arrived(kind, document)
    received = arrived.read
    role, peer_pid = Role.PROVIDER, received.consumer_pid
    if isinstance(received, dsp.ContractOfferMessage):
        role, peer_pid = Role.CONSUMER, received.provider_pid
    if not peer_pid:
        raise BadMessage("pid-missing", "a first message must carry the sender's process id")

    async def attempt() -> Answer:
        known = await context.store.process_of_peer(kind, role, principal.participant_id, peer_pid)
        if known is not None:
            if known.detail.first_digest != arrived.digest:
                raise BadMessage("pid-reused", "this process id already belongs to another request of yours; use a new one")
            return Answer(201, acknowledgement(known), outcome="repeated")
        if received.id is not None and await context.store.judged(principal.participant_id, received.id) is not None:
            raise BadMessage("message-id-reused", "this @id belongs to an earlier message of yours; use a new one")
        return await begin()

    async def begin() -> Answer:
        return await _begin(context, kind, role, peer_pid, principal, arrived)

    try:
        # A process or message id that was used before loses the race against its own row.
        return await hopeful(begin, lambda: retrying(attempt, lambda: context.door.explain(principal)))
    except UseRefused as refused:
        # No process begins, and still it is a decision.
        await context.commit([], [use_refused(refused.agreement, refused.code, refused.reasons, context.now_ms())])
        raise


async def _judge(context: Context, process: Process, arrived: _Arrived, principal: Principal, *, sure: bool) -> Answer:
    try:
        decision = core.receive(process, arrived.read, arrived.digest, context.now_ms())
    except IllegalTransition as refusal:
        await _remember_refusal(context, process, arrived, refusal, principal)
        raise
    if decision.repeat:
        return Answer(200, None, outcome="repeated")
    await _check_agreement(context, process, arrived.read, sure=sure)
    decision = await reactions.after(context, process, decision, principal.claims)
    judged = _judged(context, process, arrived, 200, None)
    return Answer(200, None, await _commit(context, principal, process, decision, arrived, judged))


async def _commit(
    context: Context, principal: Principal, before: Process | None, decision: Decision, arrived: _Arrived, judged: Judged | None
) -> list[Outgoing]:
    """Save, if the sender is as welcome as when it was recognised and what it showed is used for the first time."""
    leaving = await save(context, before, decision, arrived.note, judged=judged, also=context.door.statement(principal))
    principal.spend()
    return leaving


async def _check_agreement(context: Context, process: Process, received: AnyMessage, *, sure: bool) -> None:
    """It must be with us, and two agreements of one provider must not share an id, or a transfer would not say which it is
    under. Raises BadMessage; unless ``sure``, an id that was used before is left to the guard of the agreement's row."""
    if not isinstance(received, dsp.ContractAgreementMessage):
        return
    if received.agreement.get("assignee") != context.participant_id:
        raise BadMessage("agreement-party", "agreement.assignee must be our participant id (the consumer's)")
    if not sure:
        return
    known = await context.store.agreement(received.agreement["@id"], process.counterparty, process.role)
    if known is not None and known.negotiation_id != process.id:
        raise BadMessage("agreement-id-reused", "agreement.@id belongs to an earlier agreement of yours; use a new one")


async def _begin(context: Context, kind: Kind, role: Role, peer_pid: str, principal: Principal, arrived: _Arrived) -> Answer:
    """A new process, if its content stands; what the decision point says of it is part of the same transaction."""
    now, received = context.now_ms(), arrived.read
    address = getattr(received, "callback_address", None)
    if not address or not await context.directory.owns(principal.participant_id, address):
        raise BadMessage("callback-foreign", "callbackAddress must stand below an address registered for your participant id")
    examined = await reactions.examine(context, principal, received)
    process = Process(
        id=context.new_id(),
        kind=kind,
        role=role,
        state=State.INITIAL,
        counterparty=principal.participant_id,
        peer_address=address.rstrip("/"),
        correlation_id=correlation_id() or context.new_id(),
        subject=examined.subject,
        created_at=now,
        updated_at=now,
        detail=msgspec.structs.replace(examined.detail, first_digest=arrived.digest),
        peer_pid=peer_pid,
    )
    accepted = core.receive(process, received, arrived.digest, now)
    accepted = replace(accepted, effects=(*accepted.effects, *examined.effects))
    body = acknowledgement(accepted.process)
    decision = await reactions.after(context, process, accepted, principal.claims)
    judged = _judged(context, process, arrived, 201, body)
    return Answer(201, body, await _commit(context, principal, None, decision, arrived, judged))


async def _remember_refusal(
    context: Context, process: Process, arrived: _Arrived, refusal: IllegalTransition, principal: Principal
) -> None:
    """What was refused stays refused: a late copy must not act in a later state. Bounded for each process."""
    if arrived.read.id is None or await context.store.refusals_of(process.id) >= MAX_REMEMBERED_REFUSALS:
        return
    judged = _judged(context, process, arrived, refusal.status, f"{refusal.code}: {refusal.reason}")
    note = replace(arrived.note, what="refused", text=refusal.reason)
    process = replace(process, updated_at=context.now_ms())
    statements: list[Statement] = [writes.update_process(process)]
    if judged is not None:
        statements.append(writes.insert_judged(judged))
    statements.append(writes.insert_event(happening(process, note)))
    await context.commit([*statements, *context.door.statement(principal)], [of_note(process, note)])
    principal.spend()


def _judged(context: Context, process: Process, arrived: _Arrived, status: int, body: str | None) -> Judged | None:
    if arrived.read.id is None:
        return None
    return Judged(process.counterparty, arrived.read.id, process.id, arrived.digest, status, body, context.now_ms())


def _again(judged: Judged, process: Process, digest: str) -> Answer:
    """The stored answer. Another content under the same id is a lie or a mistake."""
    if judged.process_id != process.id or judged.digest != digest:
        raise BadMessage("message-id-reused", "this @id belongs to an earlier message of yours; use a new one")
    if judged.status >= 400:
        code, _, reason = (judged.body or "illegal-transition: refused before").partition(": ")
        raise IllegalTransition(code, reason)
    return Answer(judged.status, judged.body, outcome="repeated")


def _unknown(kind: Kind) -> NotFound:
    return NotFound(f"{kind.value}-unknown", f"you have no {kind.value} with this id here")
