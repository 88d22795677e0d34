"""What the contract log is told in each story, on both sides: literal, leaf by leaf."""

from __future__ import annotations

from typing import Final

from connector.log.leaf import LeafType
from tests.flow.house import Street
from tests.flow.recording import lines

STORIES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "a contract and its transfer": {
        "consumer": (
            "message: out dsp ContractRequestMessage queued",
            "message: out dsp ContractRequestMessage acknowledged",
            "message: in dsp ContractAgreementMessage received",
            "agreement: made",
            "message: out dsp ContractAgreementVerificationMessage queued",
            "message: out dsp ContractAgreementVerificationMessage acknowledged",
            "message: in dsp ContractNegotiationEventMessage.FINALIZED received",
            "agreement: binding",
            "message: out dsp TransferRequestMessage queued",
            "message: out dsp TransferRequestMessage acknowledged",
            "message: in dsp TransferStartMessage received",
            "message: out dsp TransferSuspensionMessage queued",
            "message: out dsp TransferSuspensionMessage acknowledged",
            "message: out dsp TransferStartMessage queued",
            "message: out dsp TransferStartMessage acknowledged",
            "message: in dsp TransferStartMessage received",
            "message: in dsp TransferSuspensionMessage received",
            "message: in dsp TransferStartMessage received",
            "message: out dsp TransferCompletionMessage queued",
            "message: out dsp TransferCompletionMessage acknowledged",
        ),
        "provider": (
            "message: in dsp ContractRequestMessage received",
            "decision: permitted agreement",
            "agreement: made",
            "message: out dsp ContractAgreementMessage queued",
            "message: out dsp ContractAgreementMessage acknowledged",
            "message: in dsp ContractAgreementVerificationMessage received",
            "message: out dsp ContractNegotiationEventMessage.FINALIZED queued",
            "message: out dsp ContractNegotiationEventMessage.FINALIZED acknowledged",
            "agreement: binding",
            "message: in dsp TransferRequestMessage received",
            "decision: permitted transfer",
            "message: out dsp TransferStartMessage queued",
            "message: out dsp TransferStartMessage acknowledged",
            "message: in dsp TransferSuspensionMessage received",
            "message: in dsp TransferStartMessage received",
            "message: out dsp TransferStartMessage queued",
            "message: out dsp TransferStartMessage acknowledged",
            "message: out dsp TransferSuspensionMessage queued",
            "message: out dsp TransferSuspensionMessage acknowledged",
            "message: out dsp TransferStartMessage queued",
            "message: out dsp TransferStartMessage acknowledged",
            "message: in dsp TransferCompletionMessage received",
        ),
    },
    "a refusal by terms": {
        "consumer": (
            "message: out dsp ContractRequestMessage queued",
            "message: out dsp ContractRequestMessage acknowledged",
            "message: in dsp ContractNegotiationTerminationMessage received",
            "termination: negotiation them policy-denied",
        ),
        "provider": (
            "message: in dsp ContractRequestMessage received",
            "decision: refused agreement policy-denied",
            "message: out dsp ContractNegotiationTerminationMessage queued",
            "termination: negotiation us policy-denied",
            "message: out dsp ContractNegotiationTerminationMessage acknowledged",
        ),
    },
    "a person has approved it": {
        "consumer": (
            "message: out dsp ContractRequestMessage queued",
            "message: out dsp ContractRequestMessage acknowledged",
            "message: in dsp ContractAgreementMessage received",
            "agreement: made",
            "message: out dsp ContractAgreementVerificationMessage queued",
            "message: out dsp ContractAgreementVerificationMessage acknowledged",
            "message: in dsp ContractNegotiationEventMessage.FINALIZED received",
            "agreement: binding",
        ),
        "provider": (
            "message: in dsp ContractRequestMessage received",
            "decision: waiting decide-counter-offer",
            "decision: permitted agreement",
            "decision: approved decide-counter-offer",
            "agreement: made",
            "message: out dsp ContractAgreementMessage queued",
            "message: out dsp ContractAgreementMessage acknowledged",
            "message: in dsp ContractAgreementVerificationMessage received",
            "message: out dsp ContractNegotiationEventMessage.FINALIZED queued",
            "message: out dsp ContractNegotiationEventMessage.FINALIZED acknowledged",
            "agreement: binding",
        ),
    },
    "a person has rejected it": {
        "consumer": (
            "message: out dsp ContractRequestMessage queued",
            "message: out dsp ContractRequestMessage acknowledged",
            "message: in dsp ContractNegotiationTerminationMessage received",
            "termination: negotiation them rejected",
        ),
        "provider": (
            "message: in dsp ContractRequestMessage received",
            "decision: waiting decide-counter-offer",
            "decision: refused decide-counter-offer rejected",
            "message: out dsp ContractNegotiationTerminationMessage queued",
            "termination: negotiation us rejected",
            "message: out dsp ContractNegotiationTerminationMessage acknowledged",
        ),
    },
    "counter-offers": {
        "consumer": (
            "message: out dsp ContractRequestMessage queued",
            "message: out dsp ContractRequestMessage acknowledged",
            "message: in dsp ContractOfferMessage received",
            "decision: waiting decide-offer",
            "decision: countered offer",
            "message: out dsp ContractRequestMessage queued",
            "message: out dsp ContractRequestMessage acknowledged",
        ),
        "provider": (
            "message: in dsp ContractRequestMessage received",
            "decision: waiting decide-counter-offer",
            "decision: countered offer",
            "message: out dsp ContractOfferMessage queued",
            "message: out dsp ContractOfferMessage acknowledged",
            "message: in dsp ContractRequestMessage received",
            "decision: waiting decide-counter-offer",
        ),
    },
    "a contract that ends before it binds": {
        "consumer": (
            "message: out dsp ContractRequestMessage queued",
            "message: out dsp ContractRequestMessage acknowledged",
            "message: in dsp ContractAgreementMessage received",
            "decision: waiting decide-verification",
            "agreement: made",
            "message: out dsp ContractNegotiationTerminationMessage queued",
            "termination: negotiation us",
            "message: out dsp ContractNegotiationTerminationMessage acknowledged",
            "agreement: void",
        ),
        "provider": (
            "message: in dsp ContractRequestMessage received",
            "decision: permitted agreement",
            "agreement: made",
            "message: out dsp ContractAgreementMessage queued",
            "message: out dsp ContractAgreementMessage acknowledged",
            "message: in dsp ContractNegotiationTerminationMessage received",
            "agreement: void",
            "termination: negotiation them",
        ),
    },
    "a transfer is ended": {
        "consumer": (
            "message: in dsp TransferTerminationMessage received",
            "termination: transfer them terminated",
        ),
        "provider": (
            "message: out dsp TransferTerminationMessage queued",
            "termination: transfer us terminated",
            "message: out dsp TransferTerminationMessage acknowledged",
        ),
    },
    "a message that comes at the wrong time": {
        "consumer": (),
        "provider": ("message: in dsp ContractRequestMessage refused",),
    },
    "a message that is refused for good": {
        "consumer": (
            "message: out dsp ContractRequestMessage queued",
            "message: out dsp ContractRequestMessage refused",
            "termination: negotiation them",
        ),
        "provider": (),
    },
    "a message that is never answered": {
        "consumer": (
            "message: out dsp ContractRequestMessage queued",
            "message: out dsp ContractRequestMessage given-up",
            "termination: negotiation us no-answer",
        ),
        "provider": (),
    },
    "an agreement that is held": {
        "consumer": (),
        "provider": ("agreement: held",),
    },
    "a receipt that both sign": {
        "consumer": (
            "receipt: signed",
            "receipt: sent",
            "receipt: answered",
            "receipt: countersigned",
        ),
        "provider": (
            "receipt: received",
            "receipt: countersigned",
        ),
    },
    "a receipt that is disputed": {
        "consumer": (
            "receipt: signed",
            "receipt: sent",
            "receipt: answered",
            "receipt: disputed",
        ),
        "provider": (
            "receipt: received",
            "receipt: disputed",
        ),
    },
    "a receipt whose key is away": {
        "consumer": (
            "receipt: signed",
            "receipt: sent",
            "receipt: answered",
            "receipt: countersigned",
        ),
        "provider": (
            "receipt: received",
            "receipt: unverified",
            "receipt: countersigned",
        ),
    },
    "a receipt of another key": {
        "consumer": (),
        "provider": (
            "receipt: received",
            "receipt: invalid",
        ),
    },
    "a receipt for whom takes none": {
        "consumer": ("receipt: signed",),
        "provider": (),
    },
    "an erasure that is attested": {
        "consumer": (
            "receipt: signed",
            "receipt: sent",
            "receipt: answered",
            "receipt: countersigned",
            "erasure: received erase",
            "erasure: erased erase",
        ),
        "provider": (
            "receipt: received",
            "receipt: countersigned",
            "erasure: ordered erase",
            "erasure: told erase",
            "erasure: received erase",
            "erasure: attested erase",
        ),
    },
    "an erasure that is overdue": {
        "consumer": (
            "receipt: signed",
            "receipt: sent",
            "receipt: answered",
            "receipt: countersigned",
            "erasure: received erase",
        ),
        "provider": (
            "receipt: received",
            "receipt: countersigned",
            "erasure: ordered erase",
            "erasure: told erase",
            "erasure: told erase",
            "erasure: overdue erase",
            "erasure: told erase",
            "erasure: told erase",
        ),
    },
    "an erasure that is told later": {
        "consumer": (
            "erasure: received erase",
            "erasure: erased erase",
        ),
        "provider": (
            "erasure: ordered erase",
            "erasure: told erase",
            "erasure: received erase",
            "erasure: attested erase",
        ),
    },
    "a notice of another key": {
        "consumer": (
            "receipt: signed",
            "receipt: sent",
            "receipt: answered",
            "receipt: countersigned",
            "erasure: received erase",
            "erasure: refused erase",
        ),
        "provider": (
            "receipt: received",
            "receipt: countersigned",
        ),
    },
    "an attestation of another key": {
        "consumer": (
            "receipt: signed",
            "receipt: sent",
            "receipt: answered",
            "receipt: countersigned",
            "erasure: received erase",
        ),
        "provider": (
            "receipt: received",
            "receipt: countersigned",
            "erasure: ordered erase",
            "erasure: told erase",
            "erasure: received erase",
            "erasure: refused erase",
        ),
    },
    "a deletion that waited for its event": {
        "consumer": (
            "erasure: ordered delete",
            "erasure: erased delete",
        ),
        "provider": (
            "erasure: ordered delete",
            "erasure: received delete",
            "erasure: attested delete",
        ),
    },
    "a participant comes and goes": {
        "consumer": (),
        "provider": (
            "participant: unverified entered",
            "participant: admitted moved",
            "participant: admitted vouched",
            "participant: admitted profile",
            "participant: suspended moved",
            "participant: expelled moved",
            "participant: admitted moved",
        ),
    },
    "whom the settings name is entered once": {
        "consumer": (),
        "provider": (
            "participant: admitted entered",
            "participant: admitted profile",
        ),
    },
    "what is on offer": {
        "consumer": (),
        "provider": (
            "offer: changed",
            "offer: withdrawn",
            "offer: published",
            "offer: published",
        ),
    },
    "our keys are told once": {
        "consumer": (),
        "provider": (
            "key: made oauth",
            "key: made agreement",
            "key: made log",
            "key: made subjects",
            "key: made pseudonyms",
            "key: made oauth",
            "key: rotated oauth",
            "key: revoked oauth",
        ),
    },
    "a dead letter": {
        "consumer": (
            "message: out peer Hello queued",
            "message: out peer Hello given-up",
            "message: out peer Hello queued",
            "message: out peer Hello refused",
            "message: out peer Hello given-up",
        ),
        "provider": (),
    },
    "a transfer that is not permitted": {
        "consumer": (
            "message: out dsp TransferRequestMessage queued",
            "message: out dsp TransferRequestMessage refused",
            "termination: transfer them policy-denied",
        ),
        "provider": ("decision: refused transfer policy-denied",),
    },
    "a greeting": {
        "consumer": (
            "message: out peer Hello queued",
            "message: out peer Hello acknowledged",
            "message: in peer Capabilities received",
        ),
        "provider": (
            "message: in peer Hello received",
            "message: out peer Capabilities queued",
            "message: out peer Capabilities acknowledged",
        ),
    },
    "an offer that is accepted": {
        "consumer": (
            "message: out dsp ContractRequestMessage queued",
            "message: out dsp ContractRequestMessage acknowledged",
            "message: in dsp ContractOfferMessage received",
            "message: out dsp ContractNegotiationEventMessage.ACCEPTED queued",
            "message: out dsp ContractNegotiationEventMessage.ACCEPTED acknowledged",
        ),
        "provider": (
            "message: in dsp ContractRequestMessage received",
            "decision: waiting decide-request",
            "decision: countered offer",
            "message: out dsp ContractOfferMessage queued",
            "message: out dsp ContractOfferMessage acknowledged",
            "message: in dsp ContractNegotiationEventMessage.ACCEPTED received",
            "decision: waiting decide-agreement",
        ),
    },
}


async def check(street: Street, name: str, *types: LeafType) -> None:
    """Both logs have been told the story of that name; of these types of leaves alone, where some are given."""
    found = {role.value: tuple(await lines(house, *types)) for role, house in street.houses.items()}
    assert (name, found) == (name, STORIES[name])
