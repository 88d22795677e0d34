"""Things of the services, fixed for the golden files of the management interface."""

from __future__ import annotations

import orjson

from connector.flow.references import Reference
from connector.management.model import EDC, Asset, ContractDefinition, PolicyDefinition, SecretEntry
from connector.management.odrl_forms import read_policy
from connector.management.queryspec import criteria
from connector.protocol.messages import Document
from connector.protocol.record import Detail, Ended, Process
from connector.protocol.states import Kind, Message, Role, State
from connector.store.queries import Reference as Entry
from connector.store.rows import Agreement

NOW = 1_767_225_600_000
PROVIDER, CONSUMER = "did:web:oem.example", "did:web:city.example"
AGREEMENT: Document = {
    "@id": "urn:uuid:00000000-0000-4000-8000-000000000003",
    "@type": "Agreement",
    "assigner": PROVIDER,
    "assignee": CONSUMER,
    "target": "trips",
    "timestamp": "2026-01-01T00:00:00Z",
    "permission": [{"action": "use"}],
}


def asset() -> Asset:
    """An API of ours, with properties of EDC's and of others."""
    return Asset(
        "trips",
        {f"{EDC}name": "Trips", f"{EDC}keywords": ["mobility"], "http://purl.org/dc/terms/title": "Trips of a day"},
        {f"{EDC}desk": "7"},
        {
            f"{EDC}type": "HttpData",
            f"{EDC}baseUrl": "https://api.oem.example/trips",
            f"{EDC}proxyPath": "true",
            f"{EDC}authKey": "x-api-key",
            f"{EDC}header:Accept": "application/json",
        },
        NOW,
        2,
    )


def policy() -> PolicyDefinition:
    """A policy with each kind of rule."""
    constraint = {"leftOperand": "odrl:dateTime", "operator": "lteq", "rightOperand": "2027-01-01T00:00:00Z"}
    purpose = {"leftOperand": "odrl:purpose", "operator": "isAnyOf", "rightOperand": ["https://example.org/traffic", "planning"]}
    value = {
        "@type": "Set",
        "permission": [{"action": "use", "constraint": [{"and": [constraint, purpose]}], "duty": [{"action": "odrl:delete"}]}],
        "prohibition": [{"action": "odrl:distribute"}],
        "obligation": [{"action": "odrl:inform"}],
    }
    return PolicyDefinition("until-2027", read_policy(value, "until-2027"), {f"{EDC}desk": "7"}, NOW)


def empty_policy() -> PolicyDefinition:
    """A policy that says nothing: everything may be done."""
    return PolicyDefinition("open", read_policy({"@type": "Set"}, "open"), {}, NOW)


def definition() -> ContractDefinition:
    """A contract definition with criteria of both forms."""
    chosen = [
        {"operandLeft": f"{EDC}id", "operator": "in", "operandRight": ["trips", "zones"]},
        {"operandLeft": "'http://purl.org/dc/terms/type'.'@id'", "operator": "=", "operandRight": "https://example.org/Trip"},
    ]
    return ContractDefinition("all", "open", "until-2027", criteria(chosen, "assetsSelector"), {}, NOW)


def secret() -> SecretEntry:
    """A secret."""
    return SecretEntry("api-key", NOW, NOW + 1)


def negotiation(state: State = State.FINALIZED, awaiting: Message | None = None) -> Process:
    """A negotiation of ours as consumer."""
    agreed = state in (State.FINALIZED, State.VERIFIED, State.AGREED)
    ended = Ended(by=Role.PROVIDER, code="policy", reason=["not for you"]) if state is State.TERMINATED else None
    return Process(
        id="urn:uuid:00000000-0000-4000-8000-000000000001",
        kind=Kind.NEGOTIATION,
        role=Role.CONSUMER,
        state=state,
        awaiting=awaiting,
        counterparty=PROVIDER,
        peer_address="https://oem.example/dsp/2025-1",
        correlation_id="urn:uuid:00000000-0000-4000-8000-000000000009",
        subject="trips",
        created_at=NOW,
        updated_at=NOW + 5,
        detail=Detail(agreement=AGREEMENT if agreed else None, ended=ended),
        peer_pid="urn:uuid:00000000-0000-4000-8000-000000000002",
    )


def transfer() -> Process:
    """A transfer to us, which runs."""
    return Process(
        id="urn:uuid:00000000-0000-4000-8000-000000000004",
        kind=Kind.TRANSFER,
        role=Role.CONSUMER,
        state=State.STARTED,
        counterparty=PROVIDER,
        peer_address="https://oem.example/dsp/2025-1",
        correlation_id="urn:uuid:00000000-0000-4000-8000-000000000009",
        subject=AGREEMENT["@id"],
        created_at=NOW,
        updated_at=NOW + 5,
        detail=Detail(format="HttpData-PULL", dataset="trips"),
        peer_pid="urn:uuid:00000000-0000-4000-8000-000000000005",
    )


def agreement() -> Agreement:
    """The agreement of the negotiation."""
    text = orjson.dumps(AGREEMENT).decode()
    return Agreement(AGREEMENT["@id"], PROVIDER, "consumer", negotiation().id, "trips", text, "binding", NOW + 1500, NOW + 1500)


def entry() -> Entry:
    """The data reference of the transfer."""
    return Entry(transfer(), AGREEMENT["@id"], negotiation().id, "trips")


def reference() -> Reference:
    """What it refers to."""
    return Reference("https://oem.example/public", "a-token", "bearer", "https://w3id.org/idsa/v4.1/HTTP", 300, renewable=True)
