"""Transfer messages and data addresses (DSP 2025-1, section 8)."""

from __future__ import annotations

from typing import Any, Final

from catalog.schemas.parts import ERROR_MEMBERS, ID, PIDS, TEXT, message, node, ref, some

STATES: Final = ("REQUESTED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED")

_MESSAGES: Final[dict[str, dict[str, Any]]] = (
    message(
        "TransferRequestMessage",
        "consumerPid agreementId format callbackAddress",
        {
            "consumerPid": ID,
            "agreementId": ID,
            "format": ID,
            "callbackAddress": ID,
            "dataAddress": ref("DataAddress"),
        },
    )
    | message("TransferStartMessage", "providerPid consumerPid", PIDS | {"dataAddress": ref("DataAddress")})
    | message("TransferCompletionMessage", "providerPid consumerPid", PIDS)
    | message("TransferSuspensionMessage", "providerPid consumerPid", PIDS | ERROR_MEMBERS)
    | message("TransferTerminationMessage", "providerPid consumerPid", PIDS | ERROR_MEMBERS)
    | message("TransferProcess", "providerPid consumerPid state", PIDS | {"state": {"enum": list(STATES)}})
    # As for ContractNegotiationError: the pids may be missing.
    | message("TransferError", "", PIDS | ERROR_MEMBERS)
)
DEFINITIONS: Final[dict[str, dict[str, Any]]] = _MESSAGES | {
    "DataAddress": node(
        "@type endpointType",
        {"endpointType": ID, "endpoint": ID, "endpointProperties": some(ref("EndpointProperty"))},
        type_name="DataAddress",
    ),
    # Names are any string: EDC sends full IRIs where the specification's examples have short names.
    "EndpointProperty": node("@type name value", {"name": ID, "value": TEXT}, type_name="EndpointProperty"),
}
TYPES: Final = tuple(_MESSAGES)
