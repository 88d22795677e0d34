"""Terms of the Dataspace Protocol 2025-1 (section 5, "JSON-LD context") and of its ODRL profile.

DSP scopes every property to the type of its message, so the table below is: type -> members. Imports nothing.
"""

from __future__ import annotations

from typing import Any, Final

URL: Final = "https://w3id.org/dspace/2025/1/context.jsonld"
ODRL_URL: Final = "https://w3id.org/dspace/2025/1/odrl-profile.jsonld"

PREFIXES: Final = {
    "dspace": "https://w3id.org/dspace/2025/1/",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
EVENTS_AND_STATES: Final = (
    *("REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED"),
    *("STARTED", "SUSPENDED", "COMPLETED"),
)
OPERATORS: Final = (
    *("eq", "neq", "gt", "gteq", "lt", "lteq"),
    *("isA", "hasPart", "isPartOf", "isAllOf", "isAnyOf", "isNoneOf"),
)
LOGICAL: Final = ("and", "andSequence", "or", "xone")
ODRL_CLASSES: Final = (
    *("Policy", "Set", "Offer", "Agreement", "Assertion", "Asset", "Rule", "Permission", "Prohibition", "Duty"),
    *("Action", "Constraint", "LeftOperand", "Operator", "RightOperand"),
)


def _ref(iri: str) -> dict[str, str]:
    return {"@id": iri, "@type": "@id"}


def _word(iri: str) -> dict[str, str]:
    return {"@id": iri, "@type": "@vocab"}


def _set(iri: str) -> dict[str, str]:
    return {"@id": iri, "@container": "@set"}


def _rules(*names: str) -> dict[str, Any]:
    return {name: {"@id": f"odrl:{name}", "@type": "@id", "@container": "@set"} for name in names}


ODRL_CONTEXT: Final[dict[str, Any]] = (
    {"odrl": PREFIXES["odrl"]}
    | {name: f"odrl:{name}" for name in (*ODRL_CLASSES, *OPERATORS, *LOGICAL, "use", "prohibit", "rightOperand")}
    | {name: _ref(f"odrl:{name}") for name in ("profile", "hasPolicy", "target", "assigner", "assignee")}
    | {name: _word(f"odrl:{name}") for name in ("action", "operator", "leftOperand")}
    | _rules("permission", "prohibition", "obligation", "duty", "constraint")
)

_PIDS: Final = {name: _ref(f"dspace:{name}") for name in ("providerPid", "consumerPid")}
_ERROR: Final = {"code": "dspace:code", "reason": _set("dspace:reason")}
_CALLBACK: Final = {"callbackAddress": "dspace:callbackAddress"}
_DATA_ADDRESS: Final = {"dataAddress": "dspace:dataAddress"}
_STATE: Final = {"state": _word("dspace:state")}
_FORMAT: Final = {"format": _word("dct:format")}
_OFFER: Final = {"offer": _ref("dspace:offer")}
# The published context says `@import` of the profile. Written out it means the same, and pyld (3.3) spoils what it
# keeps of an imported context for the next use.
WITH_POLICY: Final[dict[str, Any]] = ODRL_CONTEXT | {"@propagate": True}

_TYPES: Final[dict[str, dict[str, Any]]] = {
    "dspace:CatalogRequestMessage": {"filter": _set("dspace:filter")},
    "dspace:DatasetRequestMessage": {"dataset": "dspace:dataset"},
    "dspace:CatalogError": _ERROR,
    "dspace:VersionsError": _ERROR,
    "dcat:Catalog": {name: _set(f"dcat:{name}") for name in ("service", "catalog", "dataset", "distribution")}
    | {"participantId": _ref("dspace:participantId")},
    "dcat:Dataset": WITH_POLICY | {"distribution": _set("dcat:distribution"), "hasPolicy": _set("odrl:hasPolicy")},
    "dcat:Distribution": _FORMAT | {"accessService": {"@id": "dcat:accessService"}},
    "dcat:DataService": {name: f"dcat:{name}" for name in ("endpointURL", "endpointDescription")},
    "dspace:ContractRequestMessage": WITH_POLICY | _PIDS | _CALLBACK | _OFFER,
    "dspace:ContractOfferMessage": WITH_POLICY | _PIDS | _CALLBACK | _OFFER,
    "dspace:ContractAgreementMessage": WITH_POLICY
    | _PIDS
    | {"agreement": _ref("dspace:agreement"), "timestamp": "dspace:timestamp"},
    "dspace:ContractAgreementVerificationMessage": _PIDS,
    "dspace:ContractNegotiationEventMessage": _PIDS | {"eventType": _word("dspace:eventType")},
    "dspace:ContractNegotiationTerminationMessage": _PIDS | _ERROR,
    "dspace:ContractNegotiation": _PIDS | _STATE,
    "dspace:ContractNegotiationError": _PIDS | _ERROR,
    "dspace:TransferRequestMessage": _CALLBACK
    | _DATA_ADDRESS
    | _FORMAT
    | {"consumerPid": _PIDS["consumerPid"], "agreementId": _ref("dspace:agreementId")},
    "dspace:TransferStartMessage": _PIDS | _DATA_ADDRESS,
    "dspace:TransferCompletionMessage": _PIDS,
    "dspace:TransferSuspensionMessage": _PIDS | _ERROR,
    "dspace:TransferTerminationMessage": _PIDS | _ERROR,
    "dspace:TransferProcess": _PIDS | _STATE,
    # The published context does not make references of the pids of a TransferError, alone of all; nor may this one.
    "dspace:TransferError": _ERROR | {"providerPid": "dspace:providerPid", "consumerPid": "dspace:consumerPid"},
    "dspace:DataAddress": {
        "endpoint": "dspace:endpoint",
        "endpointType": _word("dspace:endpointType"),
        "endpointProperties": _set("dspace:endpointProperties"),
    },
    "dspace:EndpointProperty": {"name": "dspace:name", "value": "dspace:value"},
}

CONTEXT: Final[dict[str, Any]] = (
    {"@version": 1.1, "@protected": True}
    | PREFIXES
    | {
        iri.split(":")[1]: {"@id": iri, "@context": {"@version": 1.1, "@protected": True} | members}
        for iri, members in _TYPES.items()
    }
    | {name: f"dspace:{name}" for name in EVENTS_AND_STATES}
)

CLASSES: Final = {iri.split(":")[1]: iri for iri in _TYPES} | {name: f"odrl:{name}" for name in ODRL_CLASSES}
"""Short name of each class -> its compact IRI."""
