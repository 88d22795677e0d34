"""Terms of the two contexts that Eclipse EDC puts into its messages and its management documents.

Our own tables: type -> members, in the namespace of EDC unless said otherwise. Imports nothing of the project but
the ODRL profile.
"""

from __future__ import annotations

from typing import Any, Final

from catalog.contexts.dsp import WITH_POLICY

DSPACE_URL: Final = "https://w3id.org/edc/dspace/v0.0.1"
MANAGEMENT_URL: Final = "https://w3id.org/edc/connector/management/v2"
NAMESPACE: Final = "https://w3id.org/edc/v0.0.1/ns/"

_PREFIXES: Final[dict[str, Any]] = {
    "@version": 1.1,
    "edc": NAMESPACE,
    "dct": "http://purl.org/dc/terms/",
    "dcat": "http://www.w3.org/ns/dcat#",
}
_REFERENCES: Final = {
    "conformsTo": {"@id": "dct:conformsTo", "@type": "@id"},
    "endpointURL": {"@id": "dcat:endpointURL", "@type": "@id"},
    "format": {"@id": "dct:format", "@type": "@id"},
}


def _plain(names: str) -> dict[str, Any]:
    return {name: f"edc:{name}" for name in names.split()}


def _sets(names: str) -> dict[str, Any]:
    return {name: {"@id": f"edc:{name}", "@container": "@set"} for name in names.split()}


def _json(names: str) -> dict[str, Any]:
    return {name: {"@id": f"edc:{name}", "@type": "@json"} for name in names.split()}


def _open(name: str, **terms: Any) -> dict[str, Any]:
    """A member whose own members are any words of EDC's namespace."""
    return {name: {"@id": f"edc:{name}", "@context": {"@vocab": NAMESPACE, **terms}}}


def _inner(name: str, members: dict[str, Any], **more: str) -> dict[str, Any]:
    return {name: {"@id": f"edc:{name}", **more, "@context": members}}


_PRIVATE: Final = _open("privateProperties")
_POLICY: Final = WITH_POLICY | {"policy": {"@id": "edc:policy"}}
_QUERY: Final = _plain("limit offset sortOrder sortField") | _sets("filterExpression")
_CRITERION: Final = _plain("operandLeft operator operandRight")
_COUNTERPARTY: Final = _plain("counterPartyAddress counterPartyId protocol profile")
_RULE_STEP: Final = _sets("constraintSteps filteringReasons") | _plain("isFiltered")


def _typed(types: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: {"@id": f"edc:{name}", "@context": members} for name, members in types.items()}


DSPACE_CONTEXT: Final[dict[str, Any]] = (
    _PREFIXES
    | _typed({"QuerySpec": _QUERY, "Criterion": _CRITERION})
    | _plain("inForceDate id description isCatalog")
    | _REFERENCES
)

_ASSETS: Final[dict[str, dict[str, Any]]] = {
    "Asset": _open("properties", conformsTo=_REFERENCES["conformsTo"])
    | _PRIVATE
    | _open("dataAddress")
    | {"dataplaneMetadata": {"@id": "edc:dataplaneMetadata"}},
    "DataplaneMetadata": _sets("labels profiles") | _json("properties"),
    "CatalogAsset": _open("properties", endpointURL=_REFERENCES["endpointURL"], format=_REFERENCES["format"])
    | _PRIVATE
    | _open("dataAddress")
    | _plain("isCatalog"),
    "DataAddress": {"type": "edc:type", "@vocab": NAMESPACE},
    "PolicyDefinition": _POLICY | _plain("createdAt") | _PRIVATE,
    "ContractDefinition": _PRIVATE | _plain("accessPolicyId contractPolicyId") | _sets("assetsSelector"),
    "Criterion": _CRITERION,
    "QuerySpec": _QUERY,
    "Secret": _plain("value"),
}
_PROCESSES: Final[dict[str, dict[str, Any]]] = {
    "DatasetRequest": _COUNTERPARTY,
    "ContractRequest": _POLICY | _plain("counterPartyAddress protocol profile") | _sets("callbackAddresses"),
    "ContractNegotiation": _plain("type state errorDetail contractAgreementId createdAt assetId correlationId")
    | _COUNTERPARTY
    | _sets("callbackAddresses"),
    "CallbackAddress": _plain("uri transactional") | _sets("events"),
    "NegotiationState": _plain("state"),
    "TerminateNegotiation": _plain("reason"),
    "ContractAgreement": _POLICY | _plain("providerId consumerId assetId agreementId contractSigningDate claims"),
    "TransferRequest": _PRIVATE
    | _plain("counterPartyAddress transferType dataDestination contractId protocol profile dataplaneMetadata")
    | _sets("callbackAddresses"),
    "TransferState": _plain("state"),
    "TransferProcess": _plain("type assetId contractId stateTimestamp transferType dataDestination correlationId")
    | _plain("errorDetail state dataplaneMetadata")
    | _sets("callbackAddresses"),
    "TerminateTransfer": _plain("reason"),
    "SuspendTransfer": _plain("reason"),
    "EndpointDataReferenceEntry": _plain("providerId assetId transferProcessId contractNegotiationId agreementId createdAt"),
}
_EVALUATION: Final[dict[str, dict[str, Any]]] = {
    "PolicyValidationResult": _plain("isValid") | _sets("errors"),
    "PolicyEvaluationPlanRequest": _plain("policyScope"),
    "PolicyEvaluationPlan": _sets("preValidators postValidators permissionSteps prohibitionSteps obligationSteps"),
    "PermissionStep": _RULE_STEP | _sets("dutySteps"),
    "ProhibitionStep": _RULE_STEP,
    "DutyStep": _RULE_STEP,
    "OrConstraintStep": _sets("constraintSteps"),
    "AndConstraintStep": _sets("constraintSteps"),
    "XoneConstraintStep": _sets("constraintSteps"),
    "AtomicConstraintStep": _sets("filteringReasons functionParams") | _plain("isFiltered functionName"),
    "CelExpression": _plain("leftOperand expression description") | _sets("scopes actions"),
    "CelExpressionTestRequest": _plain("expression leftOperand operator rightOperand") | _json("params"),
    "CelExpressionTestResponse": _plain("evaluationResult error"),
}
_OPERATIONS: Final[dict[str, dict[str, Any]]] = {
    "DataPlaneInstance": _plain("state url stateTimestamp lastActive")
    | _sets("allowedSourceTypes allowedTransferTypes destinationProvisionTypes")
    | _open("properties"),
    "IdResponse": _plain("createdAt"),
    "ParticipantContext": _json("properties")
    | _plain("identity CREATED ACTIVATED DEACTIVATED")
    | {"state": {"@id": "edc:state", "@type": "@vocab"}},
    "ParticipantContextConfig": _json("entries privateEntries"),
    "TrustedIssuer": _sets("supportedTypes"),
    "DataspaceProfile": _plain("name")
    | _inner("protocol", _plain("path binding version namespace"))
    | _sets("jsonLdContextsUrl")
    | _inner("trustedIssuers", _sets("supportedTypes"), **{"@container": "@set"}),
    "AssociateDataspaceProfile": _sets("profiles"),
    "DiscoveryRequest": _plain("counterPartyId counterPartyAddress"),
    "DiscoveryResponse": _plain("profile version binding") | _inner("counterParty", _plain("path dataServiceEndpoint")),
    "DcpScope": _plain("type value profile prefixMapping"),
    "CachedDocument": _plain("url documentType pullStrategy updatedAt") | _json("content"),
    "SchemaValidatorRegistration": _plain("version validatedType schema updatedAt") | _sets("profiles"),
}

MANAGEMENT_CONTEXT: Final[dict[str, Any]] = (
    _PREFIXES
    | _typed(_ASSETS | _PROCESSES | _EVALUATION | _OPERATIONS)
    # A catalogue request is, in EDC, a dataset request with a query.
    | {
        "CatalogRequest": {
            "@id": "edc:DatasetRequest",
            "@context": _COUNTERPARTY | _sets("additionalScopes") | _plain("querySpec"),
        }
    }
    | _plain("inForceDate")
    | _sets("ruleFunctions")
)
