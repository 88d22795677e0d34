"""The decision point of the protocol: what is examined before a process begins, and what we do of our own accord after a message.

A reaction is decided in the transaction that accepts the message, so that an agreement is committed together with the request
it answers. Where a setting says ``manual``, the offer asks for approval, or more is asked for than was offered, nothing is sent:
the process waits with a visible ``pending`` decision for people, and a negotiation that nobody decides about is refused when the
time for it is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import msgspec
import orjson

from connector.flow.agreeing import claims_of, judge_agreement, narrows, unlawful
from connector.flow.approvals import rule_for
from connector.flow.context import Context, Note, save
from connector.flow.halted import CODE, halted
from connector.flow.shelf import kept_from
from connector.flow.using import permitted_use
from connector.identity.interface import Principal
from connector.protocol import messages as dsp
from connector.protocol import process as core
from connector.protocol.errors import BadMessage
from connector.protocol.messages import PULL, AnyMessage, Document
from connector.protocol.record import Alarm, Decision, Detail, Effect, Flow, Process, Remark, Rule
from connector.protocol.redline import changes
from connector.protocol.states import Kind, Message, Role, State
from connector.store.rows import Agreement

DECISION_ALARM: Final = "decision-deadline"
_STEPS: Final = MappingProxyType(
    {State.REQUESTED: "decide-request", State.ACCEPTED: "decide-agreement", State.VERIFIED: "decide-finalization"}
)

# What is asked about the other side's offer where nothing else was.
_ASKED_OF: Final = MappingProxyType({Role.PROVIDER: "decide-request", Role.CONSUMER: "decide-offer"})


@dataclass(frozen=True, slots=True)
class Examined:
    """A first message that stands: the subject of its process, what that carries, and what is committed with it."""

    subject: str
    detail: Detail = field(default_factory=Detail)
    effects: tuple[Effect, ...] = ()


async def examine(context: Context, principal: Principal, received: AnyMessage) -> Examined:
    """What begins with a first message. Raises BadMessage naming what is wrong with it."""
    if isinstance(received, dsp.TransferRequestMessage):
        return await _examine_transfer(context, principal, received)
    offer: Document = received.offer if isinstance(received, dsp.ContractRequestMessage | dsp.ContractOfferMessage) else {}
    target = offer.get("target")
    if isinstance(received, dsp.ContractOfferMessage):
        if not target:
            raise BadMessage("offer-target", "offer.target must name the dataset that is offered")
        return Examined(target)
    dataset_id = target or await context.store.dataset_of_offer(offer.get("@id", ""))
    dataset = None if dataset_id is None else await context.store.dataset(dataset_id)
    if dataset is None or not dataset.offered_to(admitted=principal.admitted):
        raise BadMessage("dataset-unknown", "offer.target names no dataset that is on offer here; read the catalogue again")
    offer_id = offer.get("@id", "")
    hidden = await kept_from(context, principal, offer_id, dataset.id)
    if hidden or published_offer(orjson.loads(dataset.document), offer_id) is None:
        raise BadMessage("offer-unknown", "offer.@id is not an offer of this dataset; read the catalogue again")
    return Examined(dataset.id)


async def _examine_transfer(context: Context, principal: Principal, received: dsp.TransferRequestMessage) -> Examined:
    agreement = await context.store.agreement(received.agreement_id, principal.participant_id, Role.PROVIDER)
    if agreement is None:
        raise BadMessage("agreement-unknown", "agreementId names no agreement between us in which you are the consumer")
    if agreement.state != "binding" and not await _finalized_by_use(context, agreement):
        raise BadMessage("agreement-not-binding", f"the agreement is {agreement.state}; finish the negotiation first")
    if received.format != PULL:
        raise BadMessage("format-unsupported", f"this dataset is delivered as {PULL} only")
    if received.data_address is not None:
        raise BadMessage("data-address-unexpected", "dataAddress is for push transfers; leave it out for a pull")
    effects = await permitted_use(context, agreement, principal.claims)
    return Examined(agreement.id, Detail(format=received.format, dataset=agreement.dataset), effects)


async def _finalized_by_use(context: Context, agreement: Agreement) -> bool:
    """Who uses an agreement has got our FINALIZED, even if the answer to it was lost: this request acknowledges it."""
    negotiation = await context.store.process(agreement.negotiation_id)
    if negotiation is None or negotiation.awaiting is not Message.FINALIZED or negotiation.awaiting_id is None:
        return False
    decision = core.acknowledged(negotiation, negotiation.awaiting_id, None, context.new_id(), context.now_ms())
    if decision is None:
        return False
    await save(context, negotiation, decision, Note("acknowledged by use", Message.FINALIZED, negotiation.awaiting_id))
    return True


def published_offer(dataset: Document, offer_id: str) -> Document | None:
    """The offer of a published dataset by its id."""
    return next((offer for offer in dataset.get("hasPolicy", []) if offer.get("@id") == offer_id), None)


async def after(context: Context, before: Process, decision: Decision, claims: Mapping[str, Any]) -> Decision:
    """The decision with what we do about it at once, or with a note of who has to decide."""
    process = decision.process
    if process.awaiting is not None or process.state.final:
        return decision
    if process.kind is Kind.TRANSFER:
        return _after_transfer(context, decision)
    if process.role is Role.PROVIDER:
        return await _after_provider(context, decision, claims)
    return await _after_consumer(context, before, decision)


async def _after_provider(context: Context, decision: Decision, claims: Mapping[str, Any]) -> Decision:
    process, choices = decision.process, context.choices
    if not choices.decide and process.state in _STEPS:
        return _pending(context, decision, _STEPS[process.state], await rule_for(context, process))
    match process.state:
        case State.REQUESTED:
            return await _answer_request(context, decision, claims)
        case State.ACCEPTED:
            return await _answer_acceptance(context, decision, claims)
        case State.VERIFIED:
            return await _go_on(context, decision, Message.FINALIZED)
        case _:
            return decision


async def _answer_request(context: Context, decision: Decision, claims: Mapping[str, Any]) -> Decision:
    """Agree to what is published, or to less, unless its offer asks people before; refuse with reasons; leave other terms, and
    what was withdrawn, to a person."""
    process = decision.process
    asked = process.detail.offer or {}
    rule = await rule_for(context, process)
    redline, beyond = await _held_against(context, process)
    if beyond and not unlawful(asked):
        return _pending(context, _with_redline(decision, redline), "decide-counter-offer", rule)
    ask = rule if rule.origin == "offer" else None
    return await _agree(context, _with_redline(decision, redline), claims, "decide-request", ask)


async def _answer_acceptance(context: Context, decision: Decision, claims: Mapping[str, Any]) -> Decision:
    """Agree to what we have offered ourselves. Where people are to be asked, who has offered it was one of them at most."""
    process = decision.process
    rule = await rule_for(context, process)
    asks = rule.origin == "offer" or (rule.origin == "settings" and (await _held_against(context, process))[1])
    return await _agree(context, decision, claims, "decide-agreement", rule if asks else None)


async def published(context: Context, process: Process) -> Document | None:
    """The offer on the table as it is published: by its id, of a dataset that is on offer."""
    dataset = await context.store.dataset(process.subject)
    if dataset is None or dataset.withdrawn_at is not None:
        return None
    return published_offer(orjson.loads(dataset.document), (process.detail.offer or {}).get("@id", ""))


async def _held_against(context: Context, process: Process) -> tuple[list[Document], bool]:
    """What the offer on the table says otherwise than the published one, and whether that is more than what was offered."""
    asked, offered = process.detail.offer or {}, await published(context, process)
    if offered is None:
        return [], True
    redline = changes(about(process, offered), about(process, asked))
    return redline, bool(redline) and not narrows(offered, asked)


def about(process: Process, offer: Document) -> Document:
    """An offer as it stands in this negotiation: the one in a dataset names no target."""
    return {**offer, "target": process.subject}


async def _agree(context: Context, decision: Decision, claims: Mapping[str, Any], step: str, ask: Rule | None = None) -> Decision:
    """Agree to the offer on the table, once those whom ``ask`` names have approved ``step``; or end the negotiation with the
    reasons why not, of which nobody has to be asked."""
    known = claims or await claims_of(context, decision.process.counterparty)
    verdict = await judge_agreement(context, decision.process, known)
    if verdict.code is None and ask is not None:
        return _pending(context, decision, step, ask)
    if verdict.code is None:
        agreed = _and(context, decision, Message.AGREEMENT, {"agreement": verdict.agreement})
        return replace(agreed, effects=(*agreed.effects, *verdict.effects))
    ended = _and(context, decision, Message.TERMINATION, {"code": verdict.code, "reason": list(verdict.reasons)})
    text = f"refused, {verdict.code}: {'; '.join(verdict.reasons)}"
    said = Remark("decided", text, "refused", verdict.code, verdict.reasons)
    return replace(ended, effects=(*ended.effects, said))


def _with_redline(decision: Decision, redline: list[Document]) -> Decision:
    """The decision with what an offer says otherwise than the published one, unless it is held against an earlier one already."""
    detail = decision.process.detail
    if detail.redline or not redline:
        return decision
    return replace(decision, process=replace(decision.process, detail=msgspec.structs.replace(detail, redline=redline)))


async def _after_consumer(context: Context, before: Process, decision: Decision) -> Decision:
    """Verify what was agreed; accept an offer by ourselves only if it says what we had asked for."""
    process, choices = decision.process, context.choices
    if process.state is State.AGREED:
        if not choices.verify:
            return _pending(context, decision, "decide-verification", context.asks)
        return await _go_on(context, decision, Message.VERIFICATION)
    if process.state is not State.OFFERED:
        return decision
    asked = before.detail.offer if before.detail.offer_from is Role.CONSUMER else None
    if not choices.accept or asked is None or changes(asked, process.detail.offer or {}):
        return _pending(context, decision, "decide-offer", context.asks)
    return await _go_on(context, decision, Message.ACCEPTED)


async def after_refusal(context: Context, before: Process, decision: Decision) -> Decision:
    """The decision with what people have to decide anew: the other side does not take our offer, so that its own is on the table
    again."""
    countered, process = before.detail.countered, decision.process
    if countered is None or (process.state, process.awaiting) != (before.state, None):
        return decision
    asks = _ASKED_OF[process.role] if countered.step is None else countered.step
    return _pending(context, decision, asks, await rule_for(context, process))


async def _go_on(context: Context, decision: Decision, message: Message) -> Decision:
    """The decision with the next step to an agreement; with its end, where nothing new is agreed with the counterparty."""
    why = await halted(context, decision.process.counterparty)
    if why is None:
        return _and(context, decision, message, {})
    ended = _and(context, decision, Message.TERMINATION, {"code": CODE, "reason": [why]})
    return replace(ended, effects=(*ended.effects, Remark("decided", f"refused, {CODE}: {why}", "refused", CODE, (why,))))


def _after_transfer(context: Context, decision: Decision) -> Decision:
    process = decision.process
    if process.role is Role.CONSUMER:
        return _complete_what_is_here(context, decision)
    if process.state is not State.REQUESTED:
        return decision
    if not context.choices.start:
        return _pending(context, decision, "decide-start", context.asks)
    return replace(decision, effects=(*decision.effects, Flow("start")))


def _complete_what_is_here(context: Context, decision: Decision) -> Decision:
    """The last byte came just before a suspension: once the transfer runs again there is nothing to fetch, only to complete."""
    received = decision.process.detail.received
    if decision.process.state is not State.STARTED or not received or "error" in received:
        return decision
    kept = tuple(effect for effect in decision.effects if not (isinstance(effect, Flow) and effect.command == "started"))
    return _and(context, replace(decision, effects=kept), Message.COMPLETION, {})


def _and(context: Context, decision: Decision, message: Message, content: Document) -> Decision:
    """The decision, and a message of ours on top of it: one transaction."""
    more = core.want(decision.process, message, content, context.new_id(), decision.process.updated_at)
    return Decision(more.process, decision.effects + more.effects)


def _pending(context: Context, decision: Decision, what: str, rule: Rule) -> Decision:
    """The decision with a note of what people have to decide, and which; in a negotiation, not for ever."""
    process = decision.process
    waits = Remark("waits for a person", what, "waiting")
    detail = msgspec.structs.replace(process.detail, pending=what, waits_since=process.updated_at, asks=rule, approvals=[])
    if process.kind is Kind.TRANSFER:
        return replace(decision, process=replace(process, detail=detail), effects=(*decision.effects, waits))
    due_at = process.updated_at + (rule.deadline_s * 1000 if rule.deadline_s else context.deadlines.decision_ms)
    detail = msgspec.structs.replace(detail, decide_by=due_at)
    effects = (*decision.effects, waits, Alarm(DECISION_ALARM, due_at))
    return replace(decision, process=replace(process, detail=detail), effects=effects)
