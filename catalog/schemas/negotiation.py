"""Negotiation messages (DSP 2025-1, section 7)."""

from __future__ import annotations

from typing import Any, Final

from catalog.schemas.parts import DATE_TIME, ERROR_MEMBERS, ID, PIDS, message, ref

STATES: Final = ("REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED")
EVENTS: Final = ("ACCEPTED", "FINALIZED")

_OPENING: Final[dict[str, Any]] = PIDS | {"callbackAddress": ID}


def _either(first: str, second: str) -> dict[str, Any]:
    return {"oneOf": [{"required": [first]}, {"required": [second]}]}


DEFINITIONS: Final[dict[str, dict[str, Any]]] = (
    message(
        "ContractRequestMessage",
        "consumerPid offer",
        _OPENING | {"offer": ref("MessageOffer")},
        **_either("callbackAddress", "providerPid"),
    )
    | message(
        "ContractOfferMessage",
        "providerPid offer",
        _OPENING | {"offer": ref("TargetedOffer")},
        **_either("callbackAddress", "consumerPid"),
    )
    | message(
        "ContractAgreementMessage",
        "providerPid consumerPid agreement",
        PIDS | {"agreement": ref("Agreement"), "timestamp": DATE_TIME},
    )
    | message("ContractAgreementVerificationMessage", "providerPid consumerPid", PIDS)
    | message(
        "ContractNegotiationEventMessage",
        "providerPid consumerPid eventType",
        PIDS | {"eventType": {"enum": list(EVENTS)}},
    )
    | message("ContractNegotiationTerminationMessage", "providerPid consumerPid", PIDS | ERROR_MEMBERS)
    | message("ContractNegotiation", "providerPid consumerPid state", PIDS | {"state": {"enum": list(STATES)}})
    # The published schema demands both pids; EDC sends none.
    | message("ContractNegotiationError", "", PIDS | ERROR_MEMBERS)
)
TYPES: Final = tuple(DEFINITIONS)
