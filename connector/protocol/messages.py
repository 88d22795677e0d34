"""Every message, acknowledgement and error of DSP 2025-1 as a frozen struct.

Structs are made of the normalised JSON that ``catalog/jsonld.py`` lets in, and turned back into it; the schema has been
checked there, so that conversion cannot fail for a document which passed the door. Members that we do not know stay in
the stored document and take no part in a decision. Policies are kept as plain JSON objects here; what they mean is decided in
``policies/``. Section 4.2 of the protocol's schemas lists the members. No I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from connector.protocol.states import Kind, Message, Role

DSP_CONTEXT: Final = "https://w3id.org/dspace/2025/1/context.jsonld"
PULL: Final = "HttpData-PULL"
"""The one transfer format that is served: the consumer fetches over HTTP."""

Document = dict[str, Any]
"""A JSON object in the normalised form."""


class _Dsp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", tag_field="@type"):
    """What all messages share: an id of the message (not of the process), which stays the same over retries."""

    id: str | None = msgspec.field(name="@id", default=None)


class ContractRequestMessage(_Dsp, frozen=True, tag="ContractRequestMessage"):
    """The consumer asks for a contract, or answers an offer by another one (then with ``providerPid``)."""

    consumer_pid: str
    offer: Document
    provider_pid: str | None = None
    callback_address: str | None = None


class ContractOfferMessage(_Dsp, frozen=True, tag="ContractOfferMessage"):
    """The provider makes an offer, as its first message (with ``callbackAddress``) or as an answer."""

    provider_pid: str
    offer: Document
    consumer_pid: str | None = None
    callback_address: str | None = None


class ContractAgreementMessage(_Dsp, frozen=True, tag="ContractAgreementMessage"):
    """The provider states the agreement."""

    provider_pid: str
    consumer_pid: str
    agreement: Document


class ContractAgreementVerificationMessage(_Dsp, frozen=True, tag="ContractAgreementVerificationMessage"):
    """The consumer confirms the agreement."""

    provider_pid: str
    consumer_pid: str


class ContractNegotiationEventMessage(_Dsp, frozen=True, tag="ContractNegotiationEventMessage"):
    """ACCEPTED (by the consumer) or FINALIZED (by the provider)."""

    provider_pid: str
    consumer_pid: str
    event_type: str


class ContractNegotiationTerminationMessage(_Dsp, frozen=True, tag="ContractNegotiationTerminationMessage"):
    """Either side ends the negotiation. ``reason`` items are of any form."""

    provider_pid: str
    consumer_pid: str
    code: str | None = None
    reason: list[Any] = []


class TransferRequestMessage(_Dsp, frozen=True, tag="TransferRequestMessage"):
    """The consumer asks for data under an agreement; ``dataAddress`` only where the provider is to push."""

    consumer_pid: str
    agreement_id: str
    format: str
    callback_address: str
    data_address: Document | None = None


class TransferStartMessage(_Dsp, frozen=True, tag="TransferStartMessage"):
    """The provider starts or resumes (with the data address for pull), or the consumer resumes."""

    provider_pid: str
    consumer_pid: str
    data_address: Document | None = None


class TransferCompletionMessage(_Dsp, frozen=True, tag="TransferCompletionMessage"):
    """Either side says that the transfer is complete."""

    provider_pid: str
    consumer_pid: str


class TransferSuspensionMessage(_Dsp, frozen=True, tag="TransferSuspensionMessage"):
    """Either side pauses the transfer."""

    provider_pid: str
    consumer_pid: str
    code: str | None = None
    reason: list[Any] = []


class TransferTerminationMessage(_Dsp, frozen=True, tag="TransferTerminationMessage"):
    """Either side ends the transfer."""

    provider_pid: str
    consumer_pid: str
    code: str | None = None
    reason: list[Any] = []


class ContractNegotiation(_Dsp, frozen=True, tag="ContractNegotiation"):
    """Acknowledgement and state of a negotiation."""

    provider_pid: str
    consumer_pid: str
    state: str


class TransferProcess(_Dsp, frozen=True, tag="TransferProcess"):
    """Acknowledgement and state of a transfer."""

    provider_pid: str
    consumer_pid: str
    state: str


NegotiationMessage = (
    ContractRequestMessage
    | ContractOfferMessage
    | ContractAgreementMessage
    | ContractAgreementVerificationMessage
    | ContractNegotiationEventMessage
    | ContractNegotiationTerminationMessage
)
TransferMessage = (
    TransferRequestMessage
    | TransferStartMessage
    | TransferCompletionMessage
    | TransferSuspensionMessage
    | TransferTerminationMessage
)
AnyMessage = NegotiationMessage | TransferMessage

_FIXED: Final[Mapping[type[_Dsp], Message]] = {
    ContractRequestMessage: Message.REQUEST,
    ContractOfferMessage: Message.OFFER,
    ContractAgreementMessage: Message.AGREEMENT,
    ContractAgreementVerificationMessage: Message.VERIFICATION,
    ContractNegotiationTerminationMessage: Message.TERMINATION,
    TransferRequestMessage: Message.REQUEST,
    TransferStartMessage: Message.START,
    TransferCompletionMessage: Message.COMPLETION,
    TransferSuspensionMessage: Message.SUSPENSION,
    TransferTerminationMessage: Message.TERMINATION,
}
_EVENTS: Final = {"ACCEPTED": Message.ACCEPTED, "FINALIZED": Message.FINALIZED}

# HTTPS binding, section 2 and 3: what is appended to the peer's base address and its process id.
PATHS: Final[Mapping[tuple[Kind, Message], str]] = {
    (Kind.NEGOTIATION, Message.REQUEST): "request",
    (Kind.NEGOTIATION, Message.OFFER): "offers",
    (Kind.NEGOTIATION, Message.ACCEPTED): "events",
    (Kind.NEGOTIATION, Message.FINALIZED): "events",
    (Kind.NEGOTIATION, Message.AGREEMENT): "agreement",
    (Kind.NEGOTIATION, Message.VERIFICATION): "agreement/verification",
    (Kind.NEGOTIATION, Message.TERMINATION): "termination",
    (Kind.TRANSFER, Message.REQUEST): "request",
    (Kind.TRANSFER, Message.START): "start",
    (Kind.TRANSFER, Message.COMPLETION): "completion",
    (Kind.TRANSFER, Message.SUSPENSION): "suspension",
    (Kind.TRANSFER, Message.TERMINATION): "termination",
}
COLLECTION_PATH: Final[Mapping[Kind, str]] = {Kind.NEGOTIATION: "/negotiations", Kind.TRANSFER: "/transfers"}


def message_of(kind: Kind, document: Document) -> AnyMessage:
    """The struct of a normalised document of ``kind``. Raises msgspec.ValidationError if it never passed the door."""
    union: Any = NegotiationMessage if kind is Kind.NEGOTIATION else TransferMessage
    message: AnyMessage = msgspec.convert(document, type=union)
    return message


def meaning(message: AnyMessage) -> Message:
    """What the message is in the state tables."""
    if isinstance(message, ContractNegotiationEventMessage):
        return _EVENTS[message.event_type]
    return _FIXED[type(message)]


def document_of(message: msgspec.Struct) -> Document:
    """The normalised document of a struct, ready to be sent: with ``@context`` as an array of strings."""
    document: Document = {"@context": [DSP_CONTEXT], **msgspec.to_builtins(message)}
    return document


def path_of(kind: Kind, message: Message, peer_pid: str | None) -> str:
    """The path below the peer's base address (HTTPS binding)."""
    process = COLLECTION_PATH[kind] if peer_pid is None else process_path(kind, peer_pid)
    return f"{process}/{PATHS[kind, message]}"


def process_path(kind: Kind, peer_pid: str) -> str:
    """The path of the peer's process. Its id is the peer's own choice, so that nothing in it may act as a URL."""
    return f"{COLLECTION_PATH[kind]}/{quote(peer_pid, safe=':')}"


def acknowledgement(kind: Kind, provider_pid: str, consumer_pid: str, state: str) -> Document:
    """ContractNegotiation or TransferProcess, as answer to a first request and to GET."""
    make = ContractNegotiation if kind is Kind.NEGOTIATION else TransferProcess
    return document_of(make(provider_pid=provider_pid, consumer_pid=consumer_pid, state=state))


def pids(role: Role, own: str, peer: str | None) -> tuple[str, str]:
    """(providerPid, consumerPid) as seen from ``role``; an unknown pid of the peer is the empty string."""
    return (own, peer or "") if role is Role.PROVIDER else (peer or "", own)


def error_document(
    name: str, code: str, reason: str, provider_pid: str | None = None, consumer_pid: str | None = None
) -> Document:
    """CatalogError, ContractNegotiationError or TransferError (DSP 2025-1: code is a string, reason an array)."""
    document: Document = {"@context": [DSP_CONTEXT], "@type": name, "code": code, "reason": [reason]}
    if name != "CatalogError":
        document["providerPid"] = provider_pid or "urn:carnet:unknown"
        document["consumerPid"] = consumer_pid or "urn:carnet:unknown"
    return document
