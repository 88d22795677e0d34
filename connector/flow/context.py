"""What every use case needs, put together once in ``app.py``: who we are, the store, the clock, ids, and the way out.

Also the one place where a decision of the core becomes a transaction: :func:`save` writes the record, the inbox, the outbox,
the agreement, the timeline, the timers and the leaves of the contract log together, or nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeVar

import msgspec
import orjson

from catalog.canonical import canonical_bytes
from connector.access.acting import carried
from connector.flow import leaves
from connector.flow.ensuing import ensuing_timer
from connector.flow.logs import Witnessing
from connector.flow.owed import owed
from connector.flow.recent import Recent
from connector.flow.seals import Seals, signature_timer
from connector.flow.sight import Sight
from connector.identity.directory import Directory
from connector.identity.door import OpenDoor
from connector.identity.registry import Registry
from connector.log.journal import Journal, NoJournal
from connector.log.leaf import Draft
from connector.log.persons import NoPersons, Persons
from connector.protocol.errors import Unavailable
from connector.protocol.messages import Document, path_of
from connector.protocol.record import (
    PLAIN,
    Alarm,
    CountTransfer,
    Decision,
    Detail,
    Effect,
    Flow,
    KeepAgreement,
    KeepGround,
    Process,
    Remark,
    Rule,
    Send,
    SettleAgreement,
    Voice,
    Withdraw,
)
from connector.protocol.states import Kind, Message, Role, State
from connector.store import approvals, evidence, grounds, witness, writes
from connector.store.control import ControlStore
from connector.store.engine import LostRace, Statement
from connector.store.rows import Agreement, Happening, Judged, Outgoing, Timer
from policies import dsp
from policies.compile import compile_agreement
from policies.delivery import Capabilities
from policies.errors import PolicyInvalid

MAX_RACES = 50
REMARK_CHARS = 4000
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long things may take, in milliseconds."""

    message_ms: int
    termination_ms: int
    negotiation_ms: int
    transfer_ms: int
    decision_ms: int = 259_200_000


@dataclass(frozen=True, slots=True)
class Choices:
    """Which steps are taken without a person."""

    decide: bool = True
    accept: bool = True
    verify: bool = True
    start: bool = True


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of a use case.

    ``hand_over`` takes messages that were just committed and are leased to us; ``forget`` those that need not be sent any more.
    ``sight`` remembers who sees which offers.
    ``declared``: IRIs of the terms that a data plane may enforce; what holds for a dataset says ``able``. ``renews``: whether a
    participant has a key to renew the token of a transfer with. ``asks`` is who decides what waits for people, where the offer
    does not say so. ``journal`` keeps the contract log, ``witnessing`` shows it,
    ``persons`` the keys of those whom it is about.
    """

    participant_id: str
    callback_address: str
    store: ControlStore
    registry: Registry
    directory: Directory
    deadlines: Deadlines
    choices: Choices
    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    owner: str
    lease_ms: int
    hand_over: Callable[[Sequence[Outgoing]], None]
    entered: Callable[[Process], None]
    timer_set: Callable[[int], None]
    wake: Callable[[], None]
    forget: Callable[[str], None] = lambda _: None
    callback_for: Callable[[str], str | None] = lambda _: None
    recent: Recent = field(default_factory=Recent)
    door: OpenDoor = field(default_factory=OpenDoor)
    sight: Sight = field(default_factory=Sight)
    declared: frozenset[str] = frozenset()
    seals: Seals = field(default_factory=Seals)
    renews: Callable[[str], bool] = lambda _: True
    journal: Journal = field(default_factory=NoJournal)
    witnessing: Witnessing = field(default_factory=Witnessing)
    persons: Persons = field(default_factory=NoPersons)
    asks: Rule = PLAIN

    async def able(self, dataset_id: str) -> Capabilities:
        """What our data plane said when the dataset was published that it can do with it; nothing, if it never said so."""
        known = await self.store.able(dataset_id)
        return msgspec.json.decode(known, type=Capabilities) if known else Capabilities()

    def callback(self, counterparty: str) -> str:
        """The base address at which ``counterparty`` calls us: the one whose way to identify it uses."""
        return self.callback_for(counterparty) or self.callback_address

    @property
    def logs(self) -> bool:
        """Whether a contract log is kept."""
        return not isinstance(self.journal, NoJournal)

    async def leaves(self, drafts: Iterable[Draft]) -> list[Statement]:
        """The writes that tell the contract log; where there is none, ``drafts`` are not even made."""
        if not self.logs:
            return []
        made = [draft for draft in drafts if leaves.is_told(draft)]
        return await self.journal.leaves(made) if made else []

    async def commit(self, statements: Sequence[Statement], told: Iterable[Draft] = (), *, wakes: bool = False) -> None:
        """``ControlStore.commit``, with what the contract log is told of it, and of who does it: all of that or nothing."""
        with carried() as act:
            told_too = await self.leaves(chain(told, act))
            await self.store.commit([*statements, *told_too] if told_too else statements, wakes=wakes)
        if told_too:
            self.journal.queued()


@dataclass(frozen=True, slots=True)
class Note:
    """What the timeline says of a transaction: what happened, to which message. ``document`` is the message as it came, for the
    contract log alone."""

    what: str
    message: Message | None = None
    message_id: str | None = None
    text: str | None = None
    document: Document | None = None


@dataclass(slots=True)
class Batch:
    """The writes of one transaction, and what has to leave once it is committed."""

    statements: list[Statement]
    leaving: list[Outgoing] = field(default_factory=list)
    timers: list[int] = field(default_factory=list)
    remarks: list[Statement] = field(default_factory=list)


async def save(
    context: Context,
    before: Process | None,
    decision: Decision,
    note: Note,
    *,
    judged: Judged | None = None,
    also: Sequence[Statement] = (),
    told: Iterable[Draft] = (),
) -> list[Outgoing]:
    """Commit a decision; ``before`` is None for a new process. The contract log is told of it, and what else is ``told``.

    Returns the messages to hand over. Raises LostRace.
    """
    process = decision.process
    first = writes.insert_process(process) if before is None else writes.update_process(process)
    batch = Batch([first])
    for effect in decision.effects:
        _apply(context, process, effect, batch)
    if judged is not None:
        batch.statements.append(writes.insert_judged(judged))
    batch.statements += [writes.insert_event(happening(process, note)), *batch.remarks]
    if context.witnessing.on and _to_be_witnessed(before, decision):
        _show_soon(context, process, batch)
    if process.state.final:
        batch.statements.append(writes.delete_timers_of(process.id))
    elif before is None:
        _set_deadline(context, process, batch)
    wakes = any(message.channel != "dsp" for message in batch.leaving)
    everything = chain(leaves.of_decision(before, decision, note), told)
    await context.commit([*batch.statements, *also], everything, wakes=wakes)
    context.recent.keep(process if before is None else replace(process, version=process.version + 1))
    for effect in decision.effects:
        if isinstance(effect, Withdraw):
            context.forget(effect.message_id)
    for due_at in batch.timers:
        context.timer_set(due_at)
    if before is None or note.what == "received" or before.state is not process.state:
        context.entered(process)
    return batch.leaving


def _to_be_witnessed(before: Process | None, decision: Decision) -> bool:
    """Whether our log is to be shown to the counterparty: an agreement binds, or one or a transfer under it was ended."""
    if any(isinstance(effect, SettleAgreement) and effect.binding for effect in decision.effects):
        return True
    process = decision.process
    ended = process.state is State.TERMINATED and before is not None and before.state is not State.TERMINATED
    return ended and (process.kind is Kind.TRANSFER or process.detail.agreement is not None)


def _show_soon(context: Context, process: Process, batch: Batch) -> None:
    due_at = process.updated_at + context.witnessing.settle_ms
    batch.statements.append(witness.wake(witness.SHOW_ALARM, process.counterparty, due_at))
    batch.timers.append(due_at)


def happening(process: Process, note: Note) -> Happening:
    """A line of the timeline."""
    return Happening(
        process_id=process.id,
        at=process.updated_at,
        what=note.what,
        message=note.message and note.message.value,
        message_id=note.message_id,
        state=process.state.value,
        awaiting=process.awaiting and process.awaiting.value,
        note=note.text,
    )


async def retrying(decide_and_save: Callable[[], Awaitable[Result]], lost: Callable[[], Awaitable[None]] | None = None) -> Result:
    """Load and decide again while somebody else was faster. Raises Unavailable if that does not end, and what ``lost`` raises,
    which is asked after each lost race."""
    for _ in range(MAX_RACES):
        try:
            return await decide_and_save()
        except LostRace:
            if lost is not None:
                await lost()
    raise Unavailable("contended", "this process is being changed by too many at once; try again")


def _apply(context: Context, process: Process, effect: Effect, batch: Batch) -> None:
    match effect:
        case Send():
            message = outgoing(context, process, effect)
            batch.leaving.append(message)
            batch.statements.append(writes.insert_outgoing(message, context.owner, message.due_at + context.lease_ms))
        case Withdraw(message_id):
            batch.statements.append(writes.delete_outgoing(message_id))
        case KeepAgreement(document):
            batch.statements.append(writes.insert_agreement(_agreement(context, process, document)))
        case SettleAgreement(binding):
            _bind(context, process, batch, binding=binding)
        case KeepGround(exclusive, version, held):
            agreement = _agreement(context, process, process.detail.agreement or {})
            batch.statements += grounds.keep_ground(agreement, exclusive=exclusive, version=version, held=held)
        case CountTransfer(before):
            batch.statements.append(grounds.count_transfer(process.counterparty, process.subject, before))
        case Remark(what, text):
            batch.remarks.append(writes.insert_event(happening(process, Note(what, text=text[:REMARK_CHARS]))))
        case Voice():
            batch.statements.append(approvals.keep_voice(process, effect))
        case Alarm(kind, due_at):
            batch.statements.append(writes.insert_timer(Timer(context.new_id(), kind, process.id, due_at)))
            batch.timers.append(due_at)
        case Flow():
            command = flow_message(context, process, effect)
            if command is not None:
                batch.leaving.append(command)
                batch.statements.append(writes.insert_outgoing(command))


def _bind(context: Context, process: Process, batch: Batch, *, binding: bool) -> None:
    """The agreement binds, is to be signed, and has what has to be deleted under it, with the timers of that; or it is void."""
    batch.statements.append(writes.settle_agreement(process.id, "binding" if binding else "void", process.updated_at))
    if not binding:
        if process.role is Role.PROVIDER and process.detail.agreement is not None:
            batch.statements.append(grounds.leave_ground(process.counterparty, process.detail.agreement["@id"]))
        return
    if process.role is Role.CONSUMER and process.detail.ensuing is not None:
        ensuing = ensuing_timer(context.new_id(), process.id, process.updated_at)
        batch.statements.append(writes.insert_timer(ensuing))
        batch.timers.append(ensuing.due_at)
    for duty, timer in owed(process, context.new_id):
        batch.statements.append(evidence.keep_duty(duty))
        if timer is not None:
            batch.statements.append(writes.insert_timer(timer))
            batch.timers.append(timer.due_at)
    if process.detail.agreement is not None and context.seals.signs_agreements:
        agreement, now = process.detail.agreement["@id"], process.updated_at
        timer = signature_timer(context.new_id(), process.counterparty, process.role.value, agreement, now)
        batch.statements.append(writes.insert_timer(timer))
        batch.timers.append(timer.due_at)


def _set_deadline(context: Context, process: Process, batch: Batch) -> None:
    allowed = context.deadlines.negotiation_ms if process.kind is Kind.NEGOTIATION else context.deadlines.transfer_ms
    timer = Timer(context.new_id(), f"{process.kind.value}-deadline", process.id, process.created_at + allowed)
    batch.statements.append(writes.insert_timer(timer))
    batch.timers.append(timer.due_at)


def _agreement(context: Context, process: Process, document: Document) -> Agreement:
    return Agreement(
        id=document["@id"],
        counterparty=process.counterparty,
        role=process.role.value,
        negotiation_id=process.id,
        dataset=process.subject,
        document=canonical_bytes(document).decode(),
        state="pending",
        created_at=process.updated_at,
        updated_at=process.updated_at,
        delivery=terms_of_delivery(document, context.declared),
    )


def terms_of_delivery(agreement: Document, declared: frozenset[str]) -> str:
    """What an agreement comes to, as JSON; of one that cannot be read, why not."""
    try:
        delivery = compile_agreement(dsp.read(agreement), Capabilities(terms=declared))
    except PolicyInvalid as invalid:
        return orjson.dumps({"unread": {"code": invalid.code, "path": invalid.path, "reason": invalid.reason}}).decode()
    return msgspec.json.encode(delivery).decode()


def outgoing(context: Context, process: Process, effect: Send) -> Outgoing:
    """The outbox row of a protocol message: its id is the message's ``@id``, its lane the process."""
    now = process.updated_at
    ends = effect.message in (Message.TERMINATION, Message.FINALIZED, Message.COMPLETION)
    allowed = context.deadlines.termination_ms if ends else context.deadlines.message_ms
    return Outgoing(
        id=effect.message_id,
        lane=process.id,
        channel="dsp",
        counterparty=process.counterparty,
        process_id=process.id,
        message=effect.message.value,
        url=process.peer_address + path_of(process.kind, effect.message, process.peer_pid),
        body=orjson.dumps(effect.document).decode(),
        correlation_id=process.correlation_id,
        created_at=now,
        deadline_at=now + allowed,
        due_at=now,
    )


def flow_lane(process_id: str) -> str:
    """The lane of what the data plane is told of a transfer."""
    return f"flow:{process_id}"


def _landing(detail: Detail) -> Document:
    """What a consumer's data plane is to ask for, and where it is to put what comes."""
    found = {"sink": detail.sink, "ask": detail.ask, "into": detail.into}
    return {name: value for name, value in found.items() if value}


def _tokens(context: Context, process: Process) -> Document:
    """How a provider's data plane is to give tokens: who cannot renew one gets one for as long as the transfer runs."""
    return {} if context.renews(process.counterparty) else {"tokens": "transfer"}


def flow_message(context: Context, process: Process, effect: Flow) -> Outgoing | None:
    """A Data Plane Signaling message, in the flow's own lane. None for a consumer that fetches by itself."""
    if process.role is Role.CONSUMER and process.detail.sink is None:
        return None
    now, message_id = process.updated_at, context.new_id()
    body: Document = {"messageId": message_id}
    path = f"/dataflows/{process.id}/{effect.command}"
    if effect.command in ("start", "prepare"):
        path = f"/dataflows/{effect.command}"
        body |= {
            "participantId": context.participant_id,
            "counterPartyId": process.counterparty,
            "dataspaceContext": "default",
            "processId": process.id,
            "agreementId": process.subject,
            "datasetId": process.detail.dataset or "",
            "profile": "https://w3id.org/dspace-sig/profile/http-pull",
            "claims": {},
            "metadata": _landing(process.detail) if process.role is Role.CONSUMER else _tokens(context, process),
        }
    elif effect.data_address is not None:
        body["dataAddress"] = effect.data_address
    return Outgoing(
        id=message_id,
        lane=flow_lane(process.id),
        channel="flow",
        counterparty="data-plane",
        process_id=process.id,
        message=effect.command,
        url=path,
        body=orjson.dumps(body).decode(),
        correlation_id=process.correlation_id,
        created_at=now,
        deadline_at=now + context.deadlines.message_ms,
        due_at=now,
    )
