"""What the contract log is told of a process and of messages: drafts of leaves, made of the decision that is committed with them.

Pure: no I/O, no clock. Everything here is a generator or makes one draft, so that a connector without a log does not even make
them. What a peer or a person has written goes into payloads only; of codes, those that are ours get into a leaf. May import the
records and the form of a leaf.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import orjson

from connector.log.leaf import Draft
from connector.protocol.messages import Document
from connector.protocol.record import Decision, KeepAgreement, Process, Remark, Send, SettleAgreement
from connector.protocol.states import Kind, Message, State
from connector.store.rows import Agreement, Outgoing

if TYPE_CHECKING:
    from connector.flow.context import Note

CODES: Final = frozenset(
    [
        "data-plane-refused",
        "deadline",
        "decision-deadline",
        "ended",
        "exclusivity-conflict",
        "log-split-view",
        "log-split-view",
        "no-answer",
        "participant-expelled",
        "participant-suspended",
        "policy-denied",
        "policy-unenforceable",
        "policy-unreadable",
        "rejected",
        "terminated",
        "terms-ended",
        "use-ended",
    ]
)
"""Codes that a leaf may say: those that the connector gives by itself. Another is what somebody has written."""
WITNESSING: Final = frozenset({"CheckpointShown", "CheckpointCosigned", "CheckpointRefused"})
"""Peer messages by which logs are witnessed."""
NAMES: Final[Mapping[tuple[Kind, Message], str]] = MappingProxyType(
    {
        (Kind.NEGOTIATION, Message.REQUEST): "ContractRequestMessage",
        (Kind.NEGOTIATION, Message.OFFER): "ContractOfferMessage",
        (Kind.NEGOTIATION, Message.ACCEPTED): "ContractNegotiationEventMessage.ACCEPTED",
        (Kind.NEGOTIATION, Message.AGREEMENT): "ContractAgreementMessage",
        (Kind.NEGOTIATION, Message.VERIFICATION): "ContractAgreementVerificationMessage",
        (Kind.NEGOTIATION, Message.FINALIZED): "ContractNegotiationEventMessage.FINALIZED",
        (Kind.NEGOTIATION, Message.TERMINATION): "ContractNegotiationTerminationMessage",
        (Kind.TRANSFER, Message.REQUEST): "TransferRequestMessage",
        (Kind.TRANSFER, Message.START): "TransferStartMessage",
        (Kind.TRANSFER, Message.SUSPENSION): "TransferSuspensionMessage",
        (Kind.TRANSFER, Message.COMPLETION): "TransferCompletionMessage",
        (Kind.TRANSFER, Message.TERMINATION): "TransferTerminationMessage",
    }
)
"""How a leaf names a protocol message: by its type, and an event message by its event, too."""
# A line of the timeline that is about a message: which way that went, and what became of it.
_EVENTS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "received": ("in", "received"),
        "refused": ("in", "refused"),
        "acknowledged": ("out", "acknowledged"),
        "acknowledged by use": ("out", "acknowledged"),
        "was refused": ("out", "refused"),
        "was not answered": ("out", "given-up"),
    }
)
_ORDER: Final[Mapping[type, int]] = MappingProxyType({KeepAgreement: 1, SettleAgreement: 1, Send: 2})
_ENDING: Final = frozenset({Message.TERMINATION, Message.REQUEST_THEN_TERMINATION, Message.OFFER_THEN_TERMINATION})
_NAMING: Final = frozenset({"ErasureNotice", "ErasureAttestation"})
"""Peer messages whose signed content may name vehicles."""


def of_decision(before: Process | None, decision: Decision, note: Note) -> Iterator[Draft]:
    """Everything that a decision makes true, in the order in which it came about."""
    process = decision.process
    if note.message is not None and note.what in _EVENTS:
        yield of_note(process, note)
    # What was decided comes before what follows from it.
    for effect in sorted(decision.effects, key=lambda effect: _ORDER.get(type(effect), 0)):
        match effect:
            case Remark() if effect.outcome:
                yield _decided(before, process, effect)
            case KeepAgreement(agreement):
                yield _made(process, agreement)
            case SettleAgreement(binding):
                members = {"state": "binding" if binding else "void", "role": process.role.value}
                yield replace(_about(process), type="agreement", members=members)
            case Send():
                if before is not None and effect.message in (Message.REQUEST, Message.OFFER):
                    yield _countered(process)
                yield _queued(process, effect)
    if _ends(process) and (before is None or not _ends(before)):
        yield _terminated(process, note)


def _about(process: Process) -> Draft:
    """What every leaf about a process names: to be completed."""
    negotiation = process.kind is Kind.NEGOTIATION
    agreement = (process.detail.agreement or {}).get("@id", "") if negotiation else process.subject
    return Draft(
        "message",
        process=process.id,
        party=process.counterparty,
        agreement=agreement,
        role=process.role.value,
        asset=process.subject if negotiation else process.detail.dataset or "",
        at=process.updated_at,
    )


# -- messages ---------------------------------------------------------------------------------------------------------


def of_note(process: Process, note: Note) -> Draft:
    """What became of one protocol message. What was sent stood in its first leaf already: an acknowledgement repeats nothing."""
    direction, event = _EVENTS[note.what]
    members = _members(process, note.message or Message.REQUEST, direction, event)
    if event == "acknowledged":
        return replace(_about(process), members=members)
    said = {"counterparty": process.counterparty, "messageId": note.message_id, "document": note.document, "note": note.text}
    return replace(_about(process), members=members, payload=_payload(said))


def _queued(process: Process, send: Send) -> Draft:
    said = {"counterparty": process.counterparty, "messageId": send.message_id, "document": send.document}
    return replace(_about(process), members=_members(process, send.message, "out", "queued"), payload=_payload(said))


def _members(process: Process, message: Message, direction: str, event: str) -> dict[str, str | int]:
    return {
        "direction": direction,
        "channel": "dsp",
        "message": NAMES[process.kind, message],
        "event": event,
        "state": process.state.value,
        "role": process.role.value,
    }


def _payload(said: Document) -> Document:
    """What is there of it, without what would open data or name vehicles: that was removed from the document, and it says so."""
    kept = {name: value for name, value in said.items() if value is not None}
    if "document" in kept:
        kept["document"], removed = _cleaned(kept["document"])
        kept |= removed
    return kept


def _cleaned(document: Document) -> tuple[Document, Document]:
    """A document that may be kept, and what is said of what was taken out of it."""
    if "dataAddress" in document:
        return {name: value for name, value in document.items() if name != "dataAddress"}, {"removed": ["dataAddress"]}
    if document.get("@type") in _NAMING and isinstance(document.get("signed"), str):
        digest = sha256(document["signed"].encode()).hexdigest()
        rest = {name: value for name, value in document.items() if name != "signed"}
        return rest, {"removed": ["signed"], "signedSha256": digest}
    return document, {}


def letter_queued(message: Outgoing) -> Draft:
    """A peer message of ours was put into the outbox."""
    return _letter(message, "queued", {"document": orjson.loads(message.body)})


def letter_ended(message: Outgoing, event: str, at_ms: int, note: str | None = None) -> Draft:
    """What became of a message of ours that belongs to no state: a peer message, or a dead letter."""
    return replace(_letter(message, event, {"note": note}), at=at_ms)


def _letter(message: Outgoing, event: str, more: Document) -> Draft:
    name = message.message if message.channel == "peer" else orjson.loads(message.body)["@type"]
    members = {"direction": "out", "channel": message.channel, "message": name, "event": event}
    said = {"counterparty": message.counterparty, "messageId": message.id, **more}
    return Draft(
        "message",
        members,
        process=message.process_id,
        party=message.counterparty,
        payload=_payload(said),
        at=message.created_at,
    )


def is_told(draft: Draft) -> bool:
    """Whether a draft becomes a leaf: of witnessing nothing does, or two logs would make each other grow for ever."""
    return draft.members.get("message") not in WITNESSING


def letter_received(sender: str, document: Document, at_ms: int) -> Draft:
    """A peer message was taken."""
    members = {"direction": "in", "channel": "peer", "message": document["@type"], "event": "received"}
    said = {"counterparty": sender, "messageId": document["messageId"], "document": document}
    return Draft("message", members, party=sender, payload=_payload(said), at=at_ms)


# -- decisions --------------------------------------------------------------------------------------------------------


def _decided(before: Process | None, process: Process, remark: Remark) -> Draft:
    members: dict[str, str | int] = {
        "outcome": remark.outcome,
        "step": _step(before, process, remark),
        "role": process.role.value,
    }
    if remark.code in CODES:
        members["code"] = remark.code
    said: Document = {"counterparty": process.counterparty, "code": remark.code or None, "reasons": list(remark.reasons)}
    said["redline"] = process.detail.redline if process.kind is Kind.NEGOTIATION else None
    said["by"] = None if remark.by is None else {"caller": remark.by[0], "role": remark.by[1]}
    return replace(_about(process), type="decision", members=members, payload=_payload(said))


def _step(before: Process | None, process: Process, remark: Remark) -> str:
    """What was decided: what the terms were asked about, or what waits, or waited, for a person."""
    if remark.what == "decided":
        return "agreement" if process.kind is Kind.NEGOTIATION else "transfer"
    return process.detail.pending or (before and before.detail.pending) or "none"


def use_refused(agreement: Agreement, code: str, reasons: Sequence[str], at_ms: int) -> Draft:
    """A transfer that was asked for under an agreement is not permitted by it."""
    members = {"outcome": "refused", "step": "transfer", "role": agreement.role} | ({"code": code} if code in CODES else {})
    said = {"counterparty": agreement.counterparty, "code": code, "reasons": [*reasons]}
    return Draft(
        "decision",
        members,
        party=agreement.counterparty,
        agreement=agreement.id,
        role=agreement.role,
        asset=agreement.dataset,
        payload=said,
        at=at_ms,
    )


def _countered(process: Process) -> Draft:
    said: Document = {"counterparty": process.counterparty, "redline": process.detail.redline}
    if process.detail.proposed_by:
        said["by"] = {"caller": process.detail.proposed_by}
    members = {"outcome": "countered", "step": "offer", "role": process.role.value}
    return replace(_about(process), type="decision", members=members, payload=said)


# -- agreements and ends ----------------------------------------------------------------------------------------------


def _made(process: Process, agreement: Document) -> Draft:
    said = {
        "counterparty": process.counterparty,
        "dataset": process.subject,
        "negotiation": process.id,
        "peerPid": process.peer_pid,
        "agreement": agreement,
    }
    members = {"state": "made", "role": process.role.value}
    return replace(_about(process), type="agreement", members=members, payload=_payload(said), agreement=agreement["@id"])


def held(agreement: Agreement) -> Draft:
    """An agreement that is held from the start, without a negotiation."""
    said = {
        "counterparty": agreement.counterparty,
        "dataset": agreement.dataset,
        "agreement": orjson.loads(agreement.document),
    }
    return Draft(
        "agreement",
        {"state": "held", "role": agreement.role},
        party=agreement.counterparty,
        agreement=agreement.id,
        role=agreement.role,
        asset=agreement.dataset,
        payload=said,
        at=agreement.created_at,
    )


def _ends(process: Process) -> bool:
    """Terminated, or about to be: from when on nothing is delivered any more."""
    return process.state is State.TERMINATED or process.awaiting in _ENDING


def _terminated(process: Process, note: Note) -> Draft:
    """Its end, once: when we say so or hear it, not when the other side has answered to that."""
    adopted = note.what == "was refused" and process.awaiting is None
    why = process.detail.refusal if adopted else process.detail.ended
    ours = process.awaiting in _ENDING or (why is not None and not adopted and why.by is process.role)
    members: dict[str, str | int] = {"kind": process.kind.value, "by": "us" if ours else "them", "role": process.role.value}
    if why is not None and why.code in CODES:
        members["code"] = why.code
    said = {"counterparty": process.counterparty}
    if why is not None:
        said |= {"code": why.code, "reason": why.reason}  # type: ignore[dict-item]  # of any form, as the other side wrote it
    return replace(_about(process), type="termination", members=members, payload=_payload(said))
