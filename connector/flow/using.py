"""Use under an agreement: whether a transfer may begin, when one that runs has to be looked at again, and what ends it.

A transfer of ours as provider is looked at at every moment at which a term of its agreement can turn, and when what was
delivered has to be deleted; what does not permit any more ends with the reason. A clock term that names no moment (an event) is
looked at again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from connector.flow.agreeing import claims_of, reasons_of
from connector.flow.context import Context, Note, retrying, save
from connector.flow.ended import CODE, ended, last_moments
from connector.flow.user_requests import on_record
from connector.protocol import process as core
from connector.protocol.errors import BadMessage, Unavailable
from connector.protocol.messages import Document
from connector.protocol.record import Alarm, CountTransfer, Effect, Process, Remark
from connector.protocol.states import Kind, Message, Role
from connector.store import writes
from connector.store.grounds import transfers_under
from connector.store.rows import Agreement, Timer
from connector.telemetry import logger
from policies import dsp
from policies.decision import Activation, Decision
from policies.document import evaluate_document
from policies.errors import PolicyInvalid
from policies.model import Constraint, Lit, Policy, Value
from policies.terms.actions import READ
from policies.terms.foreign import offset_ms
from policies.terms.metering import COUNT
from policies.terms.registry import term
from policies.terms.term import Bucket, Request, Scope, World
from policies.terms.values import LAST_MS, duration, instant, number
from policies.walk import atoms, conditions, rules, shared

TERMS_ALARM: Final = "terms"
LOOK_AGAIN_MS: Final = 3_600_000
"""How often a clock term that names no moment is looked at (ms)."""
AWAY_MS: Final = 60_000
"""After so long the data plane is asked again that did not answer (ms)."""
HOLDING: Final = (Activation.ACTIVE, Activation.WAITS)
_DAY_MS: Final = 86_400_000
_REASON_CHARS: Final = 2000
_ENDING: Final = frozenset({Message.TERMINATION, Message.REQUEST_THEN_TERMINATION, Message.OFFER_THEN_TERMINATION})
log = logger("using")


class UseRefused(BadMessage):
    """The agreement does not permit a transfer that was asked for: ``reasons`` say why, fit for the counterparty."""

    def __init__(self, code: str, agreement: Agreement, reasons: tuple[str, ...]) -> None:
        super().__init__(code, "; ".join(reasons)[:_REASON_CHARS])
        self.agreement = agreement
        self.reasons = reasons


def next_turn(agreement: Document, now_ms: int) -> int | None:
    """The first moment after ``now_ms`` at which a clock term of an agreement can turn; None: none ever does."""
    try:
        policy = dsp.read(agreement)
    except PolicyInvalid:
        return None
    made = instant(Lit(str(agreement.get("timestamp"))))
    turns: set[int] = set()
    for constraint in _clocks(policy):
        found = [moment for value in constraint.right for moment in _moments(value, made)]
        # What holds up to and including a moment turns right after it.
        turns.update(turn for moment in found for turn in (moment, moment + 1) if turn > now_ms)
        if not found:
            turns.add(now_ms + LOOK_AGAIN_MS)
    turns.update(last + 1 for last in last_moments(agreement) if last >= now_ms)
    return min((turn for turn in turns if turn <= LAST_MS), default=None)


def _clocks(policy: Policy) -> Iterator[Constraint]:
    stated = [condition for placed in rules(policy) for condition in conditions(placed.path, placed.rule)]
    for path, condition in (*shared(policy), *stated):
        for _, constraint in atoms(path, condition):
            known = term(constraint.left)
            if known is not None and known.bucket is Bucket.CLOCK:
                yield constraint


def _moments(value: Value, made: int | None) -> Iterator[int]:
    """The moments that a value may mean: one of the calendar, or so long after the contract was made."""
    moment = instant(value)
    if moment is not None:
        yield moment
    if made is None:
        return
    offset, length, days = offset_ms(value), duration(value), number(value)
    if offset is not None:
        yield made + offset
    if length is not None:
        yield length.after(made)
    if days is not None:
        yield made + int(days) * _DAY_MS


def holding(decision: Decision) -> tuple[int, ...]:
    """The permissions, by index, that hold as far as can be said now."""
    return tuple(index for index, report in enumerate(decision.report.permissions) if report.activation in HOLDING)


def counts(agreement: Document) -> bool:
    """Whether an agreement says how often it may be used."""
    try:
        policy = dsp.read(agreement)
    except PolicyInvalid:
        return False
    stated = [condition for placed in rules(policy) for condition in conditions(placed.path, placed.rule)]
    return any(constraint.left == COUNT for path, condition in stated for _, constraint in atoms(path, condition))


async def terms_turned(context: Context, timer: Timer) -> None:
    """A term may have turned: end the transfer if it is not permitted any more, else look again at the next turn."""

    async def attempt() -> None:
        process = await context.store.process(timer.process_id)
        agreement = None if process is None else await _agreement(context, process)
        if process is None or agreement is None or process.state.final or process.awaiting in _ENDING:
            await context.store.commit([replace(writes.delete_timer(timer.id), expect=None)])
            return
        now = context.now_ms()
        document: Document = orjson.loads(agreement.document)
        try:
            reasons = await _against(context, process, agreement, document, now)
        except Unavailable:
            # Nothing leaves while the data plane is away, so that it can be asked later.
            await _look_again(context, timer, now + AWAY_MS)
            return
        if not reasons:
            await _look_again(context, timer, next_turn(document, now))
            return
        message_id = context.new_id()
        content: Document = {"code": "terms-ended", "reason": list(reasons)}
        decision = core.want(process, Message.TERMINATION, content, message_id, now)
        note = Note("terms ended", Message.TERMINATION, message_id, "; ".join(reasons))
        context.hand_over(await save(context, process, decision, note, also=[writes.delete_timer(timer.id)]))

    await retrying(attempt)


async def _agreement(context: Context, process: Process) -> Agreement | None:
    if process.kind is not Kind.TRANSFER or process.role is not Role.PROVIDER:
        return None
    return await context.store.agreement(process.subject, process.counterparty, Role.PROVIDER)


async def _against(context: Context, process: Process, agreement: Agreement, document: Document, now: int) -> tuple[str, ...]:
    """Why a transfer may not go on; nothing if it may."""
    claims = await claims_of(context, process.counterparty)
    request = Request(Scope.ONGOING, READ, process.detail.dataset or "", process.counterparty, claims)
    facts = dict(await on_record(context, document, process.counterparty))
    if counts(document):
        facts[COUNT] = await transfers_under(context.store.engine, process.counterparty, process.subject)
    able = await context.able(process.detail.dataset or "")
    decision = evaluate_document(document, request, World(now, facts, able.terms))
    if not decision.permitted:
        return reasons_of(decision, process.counterparty, claims)
    over = await ended(context, agreement, document, now)
    return () if over.left(holding(decision)) else over.why()


async def _look_again(context: Context, timer: Timer, due_at: int | None) -> None:
    if due_at is None:
        await context.store.commit([replace(writes.delete_timer(timer.id), expect=None)])
        return
    await context.store.commit([writes.postpone_timer(timer.id, due_at)])
    context.timer_set(due_at)


async def permitted_use(context: Context, agreement: Agreement, claims: Mapping[str, Any]) -> tuple[Effect, ...]:
    """What is committed with a transfer that begins now: how it was decided, its count, its timer. Raises UseRefused if the
    agreement does not permit it."""
    now = context.now_ms()
    document: Document = orjson.loads(agreement.document)
    before, counted = 0, counts(document)
    if counted:
        before = await transfers_under(context.store.engine, agreement.counterparty, agreement.id)
    request = Request(Scope.TRANSFER, READ, agreement.dataset, agreement.counterparty, claims)
    able = await context.able(agreement.dataset)
    facts = {**await on_record(context, document, agreement.counterparty), **({COUNT: before} if counted else {})}
    decision = evaluate_document(document, request, World(now, facts, able.terms))
    if not decision.permitted:
        reasons = reasons_of(decision, agreement.counterparty, claims)
        log.info("transfer refused", agreement=agreement.id, codes=[reason.code for reason in decision.reasons])
        raise UseRefused("policy-denied", agreement, reasons)
    over = await ended(context, agreement, document, now)
    if not over.left(holding(decision)):
        log.info("transfer refused", agreement=agreement.id, codes=[CODE])
        raise UseRefused(CODE, agreement, over.why())
    due_at = next_turn(document, now)
    return (
        Remark("decided", "permitted", "permitted"),
        *((CountTransfer(before),) if counted else ()),
        *((Alarm(TERMS_ALARM, due_at),) if due_at is not None else ()),
    )
