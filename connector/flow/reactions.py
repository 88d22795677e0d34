"""The decision point of the protocol: what is examined before a process begins, and what we do of our own accord after a message.

A reaction is decided in the transaction that accepts the message, so that an agreement is committed together with the request
it answers. Where a setting says ``manual``, or terms differ from what was offered, nothing is sent: the process waits with
a visible ``pending`` decision for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson

from connector.flow.context import Context, Note, save
from connector.identity.interface import Principal
from connector.protocol import messages as dsp
from connector.protocol import process as core
from connector.protocol.errors import BadMessage
from connector.protocol.messages import AnyMessage, Document
from connector.protocol.record import Decision, Detail, Flow, Process
from connector.protocol.states import Kind, Message, Role, State
from connector.store.rows import Agreement
from policies.compare import differences
from policies.document import evaluate_document
from policies.terms.actions import READ
from policies.terms.term import Request, Scope, World

PULL = "HttpData-PULL"
_TERMS = ("profile", "permission", "prohibition", "obligation")


async def examine(context: Context, principal: Principal, received: AnyMessage) -> tuple[str, Detail]:
    """The subject of a new process and what it carries. Raises BadMessage naming what is wrong with the first message."""
    if isinstance(received, dsp.TransferRequestMessage):
        return await _examine_transfer(context, principal, received)
    offer: Document = received.offer if isinstance(received, dsp.ContractRequestMessage | dsp.ContractOfferMessage) else {}
    target = offer.get("target")
    if isinstance(received, dsp.ContractOfferMessage):
        if not target:
            raise BadMessage("offer-target", "offer.target must name the dataset that is offered")
        return target, Detail()
    dataset_id = target or await context.store.dataset_of_offer(offer.get("@id", ""))
    dataset = None if dataset_id is None else await context.store.dataset(dataset_id)
    if dataset is None or not dataset.offered_to(admitted=principal.admitted):
        raise BadMessage("dataset-unknown", "offer.target names no dataset that is on offer here; read the catalogue again")
    if published_offer(orjson.loads(dataset.document), offer.get("@id", "")) is None:
        raise BadMessage("offer-unknown", "offer.@id is not an offer of this dataset; read the catalogue again")
    return dataset.id, Detail()


async def _examine_transfer(context: Context, principal: Principal, received: dsp.TransferRequestMessage) -> tuple[str, Detail]:
    agreement = await context.store.agreement(received.agreement_id, principal.participant_id, Role.PROVIDER)
    if agreement is None:
        raise BadMessage("agreement-unknown", "agreementId names no agreement between us in which you are the consumer")
    if agreement.state != "binding" and not await _finalized_by_use(context, agreement):
        raise BadMessage("agreement-not-binding", f"the agreement is {agreement.state}; finish the negotiation first")
    if received.format != PULL:
        raise BadMessage("format-unsupported", f"this dataset is delivered as {PULL} only")
    if received.data_address is not None:
        raise BadMessage("data-address-unexpected", "dataAddress is for push transfers; leave it out for a pull")
    request = Request(Scope.TRANSFER, READ, agreement.dataset, principal.participant_id, principal.claims)
    decision = evaluate_document(orjson.loads(agreement.document), request, World(context.now_ms()))
    if not decision.permitted:
        raise BadMessage("policy-denied", "; ".join(reason.sentence for reason in decision.reasons)[:500])
    return agreement.id, Detail(format=received.format, dataset=agreement.dataset)


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
    return _after_consumer(context, before, decision)


async def _after_provider(context: Context, decision: Decision, claims: Mapping[str, Any]) -> Decision:
    process, choices = decision.process, context.choices
    match process.state:
        case State.REQUESTED if not choices.decide:
            return _pending(decision, "decide-request")
        case State.ACCEPTED if not choices.decide:
            return _pending(decision, "decide-agreement")
        case State.VERIFIED if not choices.decide:
            return _pending(decision, "decide-finalization")
        case State.REQUESTED:
            return await _answer_request(context, decision, claims)
        case State.ACCEPTED:
            return _and(context, decision, Message.AGREEMENT, {"agreement": agreement_for(context, process)})
        case State.VERIFIED:
            return _and(context, decision, Message.FINALIZED, {})
        case _:
            return decision


async def _answer_request(context: Context, decision: Decision, claims: Mapping[str, Any]) -> Decision:
    """Agree to what was published if its policy permits; refuse with reasons; leave other terms to a person."""
    process = decision.process
    asked = process.detail.offer or {}
    dataset = await context.store.dataset(process.subject)
    published = None if dataset is None else published_offer(orjson.loads(dataset.document), asked.get("@id", ""))
    if published is None or differences({**published, "target": None}, {**asked, "target": None}):
        return _pending(decision, "decide-counter-offer")
    request = Request(Scope.NEGOTIATION, READ, process.subject, process.counterparty, claims)
    verdict = evaluate_document(published, request, World(process.updated_at))
    if not verdict.permitted:
        reasons: list[Any] = [reason.sentence for reason in verdict.reasons]
        return _and(context, decision, Message.TERMINATION, {"code": "policy-denied", "reason": reasons})
    return _and(context, decision, Message.AGREEMENT, {"agreement": agreement_for(context, process)})


def _after_consumer(context: Context, before: Process, decision: Decision) -> Decision:
    """Verify what was agreed; accept an offer by ourselves only if it says what we had asked for."""
    process, choices = decision.process, context.choices
    if process.state is State.AGREED:
        if not choices.verify:
            return _pending(decision, "decide-verification")
        return _and(context, decision, Message.VERIFICATION, {})
    if process.state is not State.OFFERED:
        return decision
    asked = before.detail.offer if before.detail.offer_from is Role.CONSUMER else None
    if not choices.accept or asked is None or differences(asked, process.detail.offer or {}):
        return _pending(decision, "decide-offer")
    return _and(context, decision, Message.ACCEPTED, {})


def _after_transfer(context: Context, decision: Decision) -> Decision:
    process = decision.process
    if process.role is Role.CONSUMER:
        return _complete_what_is_here(context, decision)
    if process.state is not State.REQUESTED:
        return decision
    if not context.choices.start:
        return _pending(decision, "decide-start")
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


def _pending(decision: Decision, what: str) -> Decision:
    detail = msgspec.structs.replace(decision.process.detail, pending=what)
    return replace(decision, process=replace(decision.process, detail=detail))


def agreement_for(context: Context, process: Process) -> Document:
    """The agreement on the last offer, with an id and time of now. It is stored before it is sent."""
    offer = process.detail.offer or {}
    moment = datetime.fromtimestamp(process.updated_at / 1000, UTC)
    return {
        "@id": context.new_id(),
        "@type": "Agreement",
        "target": process.subject,
        "assigner": context.participant_id,
        "assignee": process.counterparty,
        "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **{term: offer[term] for term in _TERMS if offer.get(term)},
    }
