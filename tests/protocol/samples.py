"""Processes in any state and messages of any meaning, for the tests of the core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from connector.protocol import messages as dsp
from connector.protocol import process as core
from connector.protocol.messages import AnyMessage, Document
from connector.protocol.record import Decision, Detail, Ended, Process, Send
from connector.protocol.states import INITIAL, Kind, Message, Role, State

CONSUMER, PROVIDER = "did:web:consumer.example", "did:web:provider.example"
CONSUMER_PID, PROVIDER_PID = "urn:uuid:consumer-side", "urn:uuid:provider-side"
DATASET: Final = "urn:dataset:trips"
AGREEMENT_ID: Final = "urn:agreement:1"
FLIGHT: Final = "urn:message:in-flight"
WHY: Final = Ended(by=Role.PROVIDER, code="illegal-transition", reason=["not allowed in this state"])
NAMES: Final = {Role.CONSUMER: CONSUMER, Role.PROVIDER: PROVIDER}
OTHER: Final = {Role.CONSUMER: Role.PROVIDER, Role.PROVIDER: Role.CONSUMER}
NOW: Final = 1_700_000_000_000

OFFER: Final[Document] = {
    "@id": "urn:offer:1",
    "@type": "Offer",
    "target": DATASET,
    "permission": [{"action": "use"}],
}
AGREEMENT: Final[Document] = {
    "@id": AGREEMENT_ID,
    "@type": "Agreement",
    "target": DATASET,
    "assigner": PROVIDER,
    "assignee": CONSUMER,
    "timestamp": "2026-01-01T00:00:00.000Z",
    "permission": [{"action": "use"}],
}
ADDRESS: Final[Document] = {
    "@type": "DataAddress",
    "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
    "endpoint": "https://provider.example/data",
    "endpointProperties": [{"@type": "EndpointProperty", "name": "authorization", "value": "token"}],
}
MESSAGES: Final = {
    Kind.NEGOTIATION: (
        *(Message.REQUEST, Message.OFFER, Message.ACCEPTED, Message.AGREEMENT, Message.VERIFICATION, Message.FINALIZED),
        Message.TERMINATION,
    ),
    Kind.TRANSFER: (Message.REQUEST, Message.START, Message.SUSPENSION, Message.COMPLETION, Message.TERMINATION),
}
CONTENT: Final[Document] = {
    "offer": OFFER,
    "agreement": AGREEMENT,
    "code": "enough",
    "reason": ["we have what we need"],
    "data_address": ADDRESS,
    "callback_address": "https://own.example/dsp",
    "format": "HttpData-PULL",
}

_PIDS: Final[dict[str, Any]] = {"provider_pid": PROVIDER_PID, "consumer_pid": CONSUMER_PID}
_ENDED: Final[dict[str, Any]] = {**_PIDS, "code": "enough", "reason": ["we have what we need"]}
_BUILD: Final[dict[tuple[Kind, Message], Callable[[str | None], AnyMessage]]] = {
    (Kind.NEGOTIATION, Message.REQUEST): lambda i: dsp.ContractRequestMessage(id=i, **_PIDS, offer=OFFER),
    (Kind.NEGOTIATION, Message.OFFER): lambda i: dsp.ContractOfferMessage(id=i, **_PIDS, offer=OFFER),
    (Kind.NEGOTIATION, Message.ACCEPTED): lambda i: dsp.ContractNegotiationEventMessage(id=i, **_PIDS, event_type="ACCEPTED"),
    (Kind.NEGOTIATION, Message.AGREEMENT): lambda i: dsp.ContractAgreementMessage(id=i, **_PIDS, agreement=AGREEMENT),
    (Kind.NEGOTIATION, Message.VERIFICATION): lambda i: dsp.ContractAgreementVerificationMessage(id=i, **_PIDS),
    (Kind.NEGOTIATION, Message.FINALIZED): lambda i: dsp.ContractNegotiationEventMessage(id=i, **_PIDS, event_type="FINALIZED"),
    (Kind.NEGOTIATION, Message.TERMINATION): lambda i: dsp.ContractNegotiationTerminationMessage(id=i, **_ENDED),
    (Kind.TRANSFER, Message.REQUEST): lambda i: dsp.TransferRequestMessage(
        id=i,
        consumer_pid=CONSUMER_PID,
        agreement_id=AGREEMENT_ID,
        format="HttpData-PULL",
        callback_address="https://consumer.example/dsp",
    ),
    (Kind.TRANSFER, Message.START): lambda i: dsp.TransferStartMessage(id=i, **_PIDS, data_address=ADDRESS),
    (Kind.TRANSFER, Message.SUSPENSION): lambda i: dsp.TransferSuspensionMessage(id=i, **_ENDED),
    (Kind.TRANSFER, Message.COMPLETION): lambda i: dsp.TransferCompletionMessage(id=i, **_PIDS),
    (Kind.TRANSFER, Message.TERMINATION): lambda i: dsp.TransferTerminationMessage(id=i, **_ENDED),
}


def message(kind: Kind, what: Message, message_id: str | None = "urn:message:1") -> AnyMessage:
    """A message of the counterparty about the process of :func:`process`."""
    return _BUILD[kind, what](message_id)


def process(kind: Kind, role: Role, state: State, awaiting: Message | None = None, **changed: Any) -> Process:
    """One side's record as it is in (state, awaiting)."""
    own, peer = (PROVIDER_PID, CONSUMER_PID) if role is Role.PROVIDER else (CONSUMER_PID, PROVIDER_PID)
    negotiation = kind is Kind.NEGOTIATION
    agreed = state in (State.AGREED, State.VERIFIED, State.FINALIZED) or awaiting is Message.AGREEMENT
    fields: dict[str, Any] = {
        "id": own,
        "kind": kind,
        "role": role,
        "state": state,
        "awaiting": awaiting,
        "awaiting_id": FLIGHT if awaiting is not None else None,
        "counterparty": NAMES[OTHER[role]],
        "peer_address": "https://peer.example/dsp",
        "correlation_id": "urn:correlation:1",
        "subject": DATASET if negotiation else AGREEMENT_ID,
        "created_at": NOW,
        "updated_at": NOW,
        "peer_pid": None if state is INITIAL else peer,
        "detail": Detail(offer=OFFER, agreement=AGREEMENT if agreed else None) if negotiation else Detail(format="HttpData-PULL"),
    }
    return Process(**{**fields, **changed})


class Pair:
    """Two cores that talk to each other without a wire: each message is delivered and answered at once, unless held."""

    def __init__(self, kind: Kind, first: Role = Role.CONSUMER) -> None:
        self.kind = kind
        self.number = 0
        self.sides = {role: process(kind, role, State.INITIAL) for role in Role}
        if kind is Kind.NEGOTIATION:
            self.sides[first] = process(kind, first, State.INITIAL, detail=Detail())
            self.sides[OTHER[first]] = process(kind, OTHER[first], State.INITIAL, detail=Detail())

    def hold(self, role: Role, what: Message, **content: Any) -> Send:
        """``role`` decides to send; the message is on its way."""
        self.number += 1
        decision = core.want(self.sides[role], what, {**CONTENT, **content}, f"urn:message:{self.number}", NOW + self.number)
        self.sides[role] = decision.process
        return next(effect for effect in decision.effects if isinstance(effect, Send))

    def deliver(self, to: Role, held: Send) -> Decision:
        """The message arrives. Raises what the core raises."""
        received = dsp.message_of(self.kind, held.document)
        decision = core.receive(self.sides[to], received, held.message_id, NOW + self.number)
        self.sides[to] = decision.process
        return decision

    def answer(self, to: Role, held: Send) -> Decision | None:
        """The 2xx arrives at the sender ``to``."""
        decision = core.acknowledged(self.sides[to], held.message_id, self.sides[OTHER[to]].id, "urn:message:next", NOW)
        self.sides[to] = self.sides[to] if decision is None else decision.process
        return decision

    def refuse(self, to: Role, held: Send) -> Decision | None:
        """The refusal arrives at the sender ``to``, which asks the other side for its state."""
        peer_state = self.sides[OTHER[to]].state.on_wire
        self.number += 1
        next_id = f"urn:message:{self.number}"
        decision = core.refused(self.sides[to], held.message_id, peer_state, WHY, next_id, NOW)
        self.sides[to] = self.sides[to] if decision is None else decision.process
        return decision

    def say(self, role: Role, what: Message, **content: Any) -> None:
        """Send, deliver and answer."""
        held = self.hold(role, what, **content)
        self.deliver(OTHER[role], held)
        self.answer(role, held)

    def states(self) -> tuple[State, State]:
        """(consumer, provider)."""
        return self.sides[Role.CONSUMER].state, self.sides[Role.PROVIDER].state
