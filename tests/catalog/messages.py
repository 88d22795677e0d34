"""Messages of every type, our own: one of each by hand, and any number by chance; with other spellings of the same."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from catalog import contexts
from catalog.compaction import PREFIXES, TERMS, WORDS, Kind
from catalog.contexts import dsp
from catalog.contexts.peer import TYPES as PEER_TYPES
from catalog.schemas import negotiation, policy, transfer

Json = dict[str, Any]
PROVIDER, CONSUMER = "6f0c5a4e-provider-pid", "urn:uuid:90b1e0e4-5a0c-4b56-8b2e-consumer"
PIDS: Final = {"providerPid": PROVIDER, "consumerPid": CONSUMER}
EDC_NS: Final = "https://w3id.org/edc/v0.0.1/ns/"

RULES: Final[Json] = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                {
                    "and": [
                        {
                            "leftOperand": "dateTime",
                            "operator": "gteq",
                            "rightOperand": {"@value": "2026-01-01T00:00:00Z", "@type": "xsd:dateTime"},
                        },
                        {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01T00:00:00Z"},
                    ]
                },
                {"leftOperand": "odrl:purpose", "operator": "isAnyOf", "rightOperand": ["urn:p:safety", "urn:p:road"]},
            ],
            "duty": [{"action": "odrl:delete"}],
        }
    ],
    "prohibition": [{"action": "odrl:distribute"}],
    "obligation": [{"action": "https://example.org/terms#attribute"}],
}
OFFER: Final[Json] = {"@id": "offer:7", "@type": "Offer", "assigner": "did:web:fleet.example"} | RULES
SERVICE: Final[Json] = {
    "@id": "service-1",
    "@type": "DataService",
    "endpointURL": "https://fleet.example/dsp/2025-1",
    "endpointDescription": "dspace:connector",
}
DISTRIBUTIONS: Final[list[Json]] = [
    {"@type": "Distribution", "format": "HttpData-PULL", "accessService": "service-1"},
    {"@type": "Distribution", "format": "HttpData-PUSH", "accessService": SERVICE},
]
DATASET: Final[Json] = {
    "@id": "trips-2026",
    "@type": "Dataset",
    "hasPolicy": [OFFER, {"@id": "offer:8", "@type": "Offer", "permission": [{"action": "use"}]}],
    "distribution": DISTRIBUTIONS,
}
ADDRESS: Final[Json] = {
    "@type": "DataAddress",
    "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
    "endpoint": "https://fleet.example/public",
    "endpointProperties": [
        {"@type": "EndpointProperty", "name": f"{EDC_NS}authorization", "value": "made-up"},
        {"@type": "EndpointProperty", "name": "authType", "value": "bearer"},
    ],
}
ERROR: Final[Json] = {"code": "409", "reason": ["the negotiation", "is over"]}
CALLBACK: Final = {"callbackAddress": "https://insurer.example/callback"}

_BODIES: Final[dict[str, Json]] = {
    "CatalogRequestMessage": {},
    "DatasetRequestMessage": {"dataset": "trips-2026"},
    "Catalog": {
        "@id": "catalogue-1",
        "participantId": "did:web:fleet.example",
        "dataset": [DATASET],
        "service": [SERVICE],
        "catalog": [{"@id": "inner", "@type": "Catalog", "dataset": [DATASET]}],
    },
    "Dataset": {name: value for name, value in DATASET.items() if name != "@type"},
    "CatalogError": ERROR,
    "ContractRequestMessage": {"consumerPid": CONSUMER, "offer": OFFER | {"target": "trips-2026"}} | CALLBACK,
    "ContractOfferMessage": PIDS | {"offer": OFFER | {"target": "trips-2026"}},
    "ContractAgreementMessage": PIDS
    | {
        "agreement": OFFER
        | {"@type": "Agreement", "target": "trips-2026", "assignee": "did:web:insurer.example"}
        | {"timestamp": "2026-03-01T09:30:00.123456789Z", "profile": ["https://example.org/a", "https://example.org/b"]}
    },
    "ContractAgreementVerificationMessage": PIDS,
    "ContractNegotiationEventMessage": PIDS | {"eventType": "FINALIZED"},
    "ContractNegotiationTerminationMessage": PIDS | ERROR,
    "ContractNegotiation": PIDS | {"state": "AGREED"},
    "ContractNegotiationError": PIDS | ERROR,
    "TransferRequestMessage": CALLBACK
    | {"consumerPid": CONSUMER, "agreementId": "agreement-3", "format": "HttpData-PUSH", "dataAddress": ADDRESS},
    "TransferStartMessage": PIDS | {"dataAddress": ADDRESS},
    "TransferCompletionMessage": PIDS,
    "TransferSuspensionMessage": PIDS | ERROR,
    "TransferTerminationMessage": PIDS | ERROR,
    "TransferProcess": PIDS | {"state": "SUSPENDED"},
    "TransferError": PIDS | ERROR,
}
_GREETING: Final = {
    "messageId": "urn:uuid:5e1f",
    "participantId": "did:web:fleet.example",
    "protocol": "carnet-peer/1",
    "issuedAt": "2026-03-01T09:30:00Z",
    "software": "carnet/0.1",
    "features": ["receipts"],
    "signed": "eyJ0.eyJh.c2ln",
}
_SEEN: Final = {name: value for name, value in _GREETING.items() if name not in ("features", "signed")}
_PEER: Final[dict[str, Json]] = {
    "CheckpointShown": {"note": "fleet.example/log\n7\nAA==\n", "oldSize": 3, "oldRoot": f"{'A' * 43}=", "proof": f"{'A' * 43}="},
    "CheckpointCosigned": {"size": 7, "cosignature": "fleet.example/log/witness AA=="},
    "CheckpointRefused": {"size": 3, "step": "old-size", "why": "the proof must begin at 3"},
}


def rooted(name: str, body: Json) -> Json:
    """The message `name` as it goes over the wire: its own context alone."""
    context = contexts.PEER if name in PEER_TYPES else contexts.DSP
    return {"@type": name} | body | {"@context": [context]}


EXAMPLES: Final[dict[str, Json]] = {name: rooted(name, {"@id": "message-1"} | body) for name, body in _BODIES.items()} | {
    name: rooted(name, _SEEN | _PEER[name] if name in _PEER else _GREETING) for name in PEER_TYPES
}

# --- by chance -------------------------------------------------------------------------------------------------------

ids = st.one_of(
    st.uuids().map(str),
    st.text(min_size=1, max_size=12),
    st.text("abc:/#?.@_-%[]{}~ \u00e9\U0001f697", min_size=1, max_size=12),
    st.sampled_from(["urn:x", "dspace:x", "use", "use:x", "@id", "@x", "_:b0", "", "../a", "//h/p", "a b", "odrl:use"])
    | st.sampled_from([*PREFIXES.values()]).map(lambda namespace: f"{namespace}thing"),
).filter(bool)
words = st.one_of(
    st.sampled_from(["use", "odrl:use", "odrl:distribute", "dateTime", "HttpData-PULL", "code", "Offer", "dcat:Catalog"]),
    st.sampled_from([*WORDS]),
    ids,
)
texts = st.text(max_size=12)
operands = st.one_of(
    texts,
    st.lists(texts, max_size=3),
    st.fixed_dictionaries({"@value": texts, "@type": st.sampled_from(["xsd:date", "xsd:integer", "http://x.y/z"])}),
)
atoms = st.fixed_dictionaries({"leftOperand": words, "operator": st.sampled_from(dsp.OPERATORS), "rightOperand": operands})
constraints = st.one_of(
    atoms,
    st.builds(lambda name, inner: {name: inner}, st.sampled_from(policy.LOGICAL), st.lists(atoms, min_size=1, max_size=3)),
)
_constrained = {"constraint": st.lists(constraints, min_size=1, max_size=2)}
duties = st.fixed_dictionaries({"action": words}, optional=_constrained)
permissions = st.fixed_dictionaries({"action": words}, optional=_constrained | {"duty": st.lists(duties, min_size=1, max_size=2)})


def _policies(kind: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {"@id": ids, "@type": st.just(kind), "permission": st.lists(permissions, min_size=1, max_size=2)} | more,
        optional={
            "prohibition": st.lists(duties, min_size=1, max_size=2),
            "obligation": st.lists(duties, min_size=1, max_size=2),
            "profile": ids | st.lists(ids, min_size=1, max_size=3),
            **({} if "assigner" in more else {"assigner": ids, "assignee": ids}),
        },
    )


_pids: Final = {"providerPid": ids, "consumerPid": ids}
_error: Final = {"code": texts, "reason": st.lists(texts, max_size=3)}
_addresses = st.fixed_dictionaries(
    {"@type": st.just("DataAddress"), "endpointType": words},
    optional={
        "endpoint": ids,
        "endpointProperties": st.lists(
            st.fixed_dictionaries({"@type": st.just("EndpointProperty"), "name": ids, "value": texts}), min_size=1, max_size=2
        ),
    },
)
_services = st.fixed_dictionaries(
    {"@id": ids, "@type": st.just("DataService"), "endpointURL": ids}, optional={"endpointDescription": texts}
)
_distributions = st.fixed_dictionaries({"@type": st.just("Distribution"), "format": words, "accessService": ids | _services})
_dataset: Final = {
    "@id": ids,
    "hasPolicy": st.lists(_policies("Offer"), min_size=1, max_size=2),
    "distribution": st.lists(_distributions, min_size=1, max_size=2),
}
_sets: Final = {
    "dataset": st.lists(st.fixed_dictionaries({"@type": st.just("Dataset"), **_dataset}), min_size=1, max_size=2),
    "service": st.lists(_services, min_size=1, max_size=2),
}
_FIELDS: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "CatalogRequestMessage": ({}, {"filter": st.lists(texts, max_size=2)}),
    "DatasetRequestMessage": ({"dataset": ids}, {}),
    "Catalog": ({"@id": ids, "participantId": ids}, _sets),
    "Dataset": (_dataset, {}),
    "CatalogError": ({}, _error),
    "ContractRequestMessage": ({"consumerPid": ids, "callbackAddress": ids, "offer": _policies("Offer", target=ids)}, {}),
    "ContractOfferMessage": (_pids | {"offer": _policies("Offer", target=ids)}, {}),
    "ContractAgreementMessage": (
        _pids | {"agreement": _policies("Agreement", target=ids, assigner=ids, assignee=ids)},
        {},
    ),
    "ContractAgreementVerificationMessage": (_pids, {}),
    "ContractNegotiationEventMessage": (_pids | {"eventType": st.sampled_from(negotiation.EVENTS)}, {}),
    "ContractNegotiationTerminationMessage": (_pids, _error),
    "ContractNegotiation": (_pids | {"state": st.sampled_from(negotiation.STATES)}, {}),
    "ContractNegotiationError": ({}, _pids | _error),
    "TransferRequestMessage": (
        {"consumerPid": ids, "agreementId": ids, "format": words, "callbackAddress": ids},
        {"dataAddress": _addresses},
    ),
    "TransferStartMessage": (_pids, {"dataAddress": _addresses}),
    "TransferCompletionMessage": (_pids, {}),
    "TransferSuspensionMessage": (_pids, _error),
    "TransferTerminationMessage": (_pids, _error),
    "TransferProcess": (_pids | {"state": st.sampled_from(transfer.STATES)}, {}),
    "TransferError": ({}, _pids | _error),
}


@st.composite
def messages(draw: st.DrawFn) -> Json:
    """A message of any DSP type with odd ids, words and texts, right by its schema."""
    name = draw(st.sampled_from(sorted(_FIELDS)))
    required, optional = _FIELDS[name]
    body: Json = draw(st.fixed_dictionaries({"@id": ids} | required, optional=optional))
    return rooted(name, body)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9) | texts | ids,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            ids | st.sampled_from(["@id", "@type", "@value", "@list", "@set", "offer", "@context"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)

# --- other spellings -------------------------------------------------------------------------------------------------

_IRIS: Final = {term.name: (iri, term.kind) for iri, term in TERMS.items()}
_WORD_IRIS: Final = {name: iri for iri, name in WORDS.items()}


def _compact(iri: str) -> str:
    prefix = next(prefix for prefix, namespace in PREFIXES.items() if iri.startswith(namespace))
    return f"{prefix}:{iri.removeprefix(PREFIXES[prefix])}"


def _respelled(value: Any, overrides: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_respelled(item, overrides) for item in value]
    if not isinstance(value, dict):
        return value
    out: Json = {}
    for name, member in value.items():
        iri, kind = _IRIS.get(name, (name, Kind.ANY))
        iri = overrides.get(name, iri)
        if name == "@type" or kind is Kind.WORD:
            out[name if name == "@type" else _compact(iri)] = _compact(_WORD_IRIS[member]) if member in _WORD_IRIS else member
        else:
            out[name if name.startswith("@") else _compact(iri)] = _respelled(member, overrides)
    return out


def prefixed(message: Json) -> Json:
    """The same message with a prefix before every member, class and word, its prefixes defined inline."""
    space = "carnet" if message["@type"] in PEER_TYPES else "dspace"
    overrides = {"participantId": f"{PREFIXES[space]}participantId"}
    if message["@type"] == "DatasetRequestMessage":
        overrides["dataset"] = f"{PREFIXES['dspace']}dataset"
    body = {name: value for name, value in message.items() if name != "@context"}
    overrides.setdefault("dataset", f"{PREFIXES['dcat']}dataset")
    spelled: Json = _respelled(body, overrides)
    return spelled | {"@context": dict(PREFIXES)}
