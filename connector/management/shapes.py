"""Flat documents to what the services know, and back to documents with the plain names of EDC's management interface.

What is made here has neither context nor the spelling of a version; policies in it are in DSP's form. Pure. Imports the model,
the flat form, policies' forms, and the rows that are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from connector.flow.references import Reference
from connector.management.addresses import is_sealed
from connector.management.business import Counterparty, TransferWish, check_protocol
from connector.management.documents import Flat, inner, invalid, named, needed, plain, several, text
from connector.management.model import EDC, Asset, ContractDefinition, PolicyDefinition, QuerySpec, SecretEntry
from connector.management.odrl_forms import OfferedTerms, read_offer, read_policy, shown_policy
from connector.management.queryspec import MAX_LIMIT, criteria, document_of, parse
from connector.management.states import edc_state
from connector.protocol.messages import PULL, Document
from connector.protocol.record import Process
from connector.protocol.states import Role
from connector.store.queries import PROTOCOL
from connector.store.queries import Reference as Entry
from connector.store.rows import Agreement
from policies.names import DSPACE

SINK: Final = "CarnetFile"
"""The type of a data destination that lets our own data plane fetch: its ``path`` is a file name, or folder/name."""
_METADATA: Final = f"{EDC}dataplaneMetadata"
_PULL_DESTINATIONS: Final = frozenset({"HttpProxy", "HttpData"})
"""What older clients name as the destination of a pull, where it says nothing."""


# -- read -----------------------------------------------------------------------------------------------------------------


def query_of(document: Flat, given: Mapping[str, str] | None = None) -> QuerySpec:
    """A QuerySpec; ``given`` are ``offset`` and ``limit`` of the query string, which win. Raises Invalid."""
    wanted = plain(document)
    wanted.pop("@context", None)
    for name in ("offset", "limit"):
        said = (given or {}).get(name)
        if said is not None:
            if not (said.isascii() and said.isdigit() and len(said) < 10):
                raise invalid(f"{name} is a whole number", name, said)
            wanted[name] = int(said)
    return parse(_capped(wanted))


def _capped(wanted: Document) -> Document:
    """Clients write a number that is large enough for everything: what is beyond a page, they find behind its Link."""
    limit = wanted.get("limit")
    if isinstance(limit, int) and not isinstance(limit, bool):
        return {**wanted, "limit": min(limit, MAX_LIMIT)}
    return wanted


def asset_of(document: Flat) -> Asset:
    """An asset. Raises Invalid."""
    properties = {name: each for name, each in inner(document, "properties").items() if name != "@id"}
    private = {name: each for name, each in inner(document, "privateProperties").items() if name != "@id"}
    asset_id = _id(document)
    named = properties.pop(f"{EDC}id", None)
    if named is not None and not (isinstance(named, str) and named and asset_id in ("", named)):
        raise invalid("properties.id is a text, and the same as @id: leave it out", "properties.id", named)
    asset_id = asset_id or named or ""
    if document.get("@type") == "CatalogAsset":
        properties[f"{EDC}isCatalog"] = True
    address = inner(document, "dataAddress")
    metadata = plain(inner(document, "dataplaneMetadata"))
    if metadata:
        described = metadata.get("properties")
        private[_METADATA] = metadata
        if isinstance(described, dict):
            # What opens the source is for the data plane alone: it goes on in the address and is not kept here.
            shown = {name: each for name, each in described.items() if not is_sealed(name)}
            private[_METADATA] = {**metadata, "properties": shown}
        if not address and isinstance(described, dict) and "type" in described:
            # A body of version 4 says to the data plane what older ones said in the data address.
            address = {
                name if ":" in name and not name.startswith("header:") else EDC + name: each for name, each in described.items()
            }
    return Asset(asset_id, properties, private, {name: each for name, each in address.items() if name != "@id"} or None)


def policy_of(document: Flat, policy_id: str | None = None) -> PolicyDefinition:
    """A policy definition; ``policy_id`` is that of the path. Raises Invalid."""
    wanted = policy_id or _id(document)
    if policy_id and _id(document) not in ("", policy_id):
        raise invalid("the @id is not the one in the path", "@id", _id(document))
    value = document.get(f"{EDC}policy")
    if value is None:
        raise invalid("policy is missing", "policy")
    return PolicyDefinition(wanted, read_policy(value, wanted or None), inner(document, "privateProperties"))


def definition_of(document: Flat) -> ContractDefinition:
    """A contract definition. Raises Invalid."""
    selector = [plain(each) for each in several(document, "assetsSelector")]
    return ContractDefinition(
        id=_id(document),
        access_policy=needed(document, "accessPolicyId"),
        contract_policy=needed(document, "contractPolicyId"),
        selector=criteria([each for each in selector if each != {}], "assetsSelector"),
        private_properties=inner(document, "privateProperties"),
    )


def secret_of(document: Flat) -> tuple[str, str]:
    """Id and value of a secret. Raises Invalid, which never repeats the value."""
    value = document.get(f"{EDC}value")
    if not isinstance(value, str) or not value:
        raise invalid("value is a text", "value")
    return _id(document), value


def counterparty_of(document: Flat, otherwise: str | None = None) -> Counterparty:
    """Who is asked: ``otherwise`` where the document does not say its id. Raises Invalid, and CallerError for a protocol that is
    not spoken here."""
    check_protocol(text(document, "protocol") or text(document, "profile"))
    named = text(document, "counterPartyId") or text(document, "connectorId") or otherwise
    if named is None:
        raise invalid("counterPartyId is missing", "counterPartyId")
    return Counterparty(named, text(document, "counterPartyAddress"))


def dataset_id_of(document: Flat) -> str:
    """The id of the dataset that is asked for. Raises Invalid."""
    if not _id(document):
        raise invalid("@id is missing: the dataset's id", "@id")
    return _id(document)


def catalog_query_of(document: Flat) -> QuerySpec:
    """What a catalogue is narrowed to. Raises Invalid."""
    value = document.get(f"{EDC}querySpec")
    wanted = plain(value if isinstance(value, dict) else {})
    return parse(_capped(wanted))


def contract_request_of(document: Flat) -> tuple[Counterparty, OfferedTerms]:
    """A request for a contract. Raises Invalid."""
    _no_callbacks(document)
    value = document.get(f"{EDC}policy")
    if value is None:
        raise invalid("policy is missing: the offer, with its @id", "policy")
    offer = read_offer(value)
    return counterparty_of(document, offer.assigner), offer


def transfer_request_of(document: Flat) -> TransferWish:
    """A request for a transfer. Raises Invalid."""
    _no_callbacks(document)
    check_protocol(text(document, "protocol") or text(document, "profile"))
    destination = plain(inner(document, "dataDestination"))
    kind = destination.get("type")
    sink = destination.get("path") if kind == SINK else None
    if kind is not None and kind not in _PULL_DESTINATIONS | {SINK}:
        raise invalid(f"a destination is left out, or of the type {SINK} with a path", "dataDestination.type", kind)
    if kind == SINK and not isinstance(sink, str):
        raise invalid("path is missing: the name of the file", "dataDestination.path")
    return TransferWish(
        contract=needed(document, "contractId"),
        format=text(document, "transferType") or PULL,
        counterparty=text(document, "counterPartyId"),
        address=text(document, "counterPartyAddress"),
        sink=sink,
        private={name: each for name, each in inner(document, "privateProperties").items() if name != "@id"},
    )


def reason_of(document: Flat) -> str | None:
    """Why something ends or pauses."""
    return text(document, "reason")


def _no_callbacks(document: Flat) -> None:
    if several(document, "callbackAddresses"):
        raise invalid("callbacks are not called from here; follow the events at /carnet/v1/events", "callbackAddresses")


def _id(document: Flat) -> str:
    value = document.get("@id", "")
    if not isinstance(value, str):
        raise invalid("@id is a text", "@id", value)
    return value


# -- shown ----------------------------------------------------------------------------------------------------------------


def created(thing_id: str, created_at: int) -> Document:
    """That something was made."""
    return {"@type": "IdResponse", "@id": thing_id, "createdAt": created_at}


def asset_shown(asset: Asset) -> Document:
    """An asset. What opens its source is not in its data address any more."""
    shown: Document = {
        "@type": "CatalogAsset" if asset.properties.get(f"{EDC}isCatalog") is True else "Asset",
        "@id": asset.id,
        "properties": {"id": asset.id, **named(asset.properties)},
    }
    private = {name: each for name, each in asset.private_properties.items() if name != _METADATA}
    if private:
        shown["privateProperties"] = named(private)
    if asset.data_address:
        address = {name.removeprefix(EDC): plain(each) for name, each in asset.data_address.items()}
        shown["dataAddress"] = {"@type": "DataAddress", **address}
    metadata = asset.private_properties.get(_METADATA)
    if isinstance(metadata, dict):
        shown["dataplaneMetadata"] = {"@type": "DataplaneMetadata", **metadata}
    shown["createdAt"] = asset.created_at
    return shown


def policy_shown(definition: PolicyDefinition) -> Document:
    """A policy definition."""
    private = named(definition.private_properties)
    return {
        "@type": "PolicyDefinition",
        "@id": definition.id,
        "policy": shown_policy(definition.policy),
        **({"privateProperties": private} if private else {}),
        "createdAt": definition.created_at,
    }


def definition_shown(definition: ContractDefinition) -> Document:
    """A contract definition."""
    private = named(definition.private_properties)
    return {
        "@type": "ContractDefinition",
        "@id": definition.id,
        "accessPolicyId": definition.access_policy,
        "contractPolicyId": definition.contract_policy,
        "assetsSelector": [{"@type": "Criterion", **document_of(each)} for each in definition.selector],
        **({"privateProperties": private} if private else {}),
        "createdAt": definition.created_at,
    }


def secret_shown(entry: SecretEntry) -> Document:
    """That a secret is there. Its value is never shown."""
    return {"@type": "Secret", "@id": entry.id, "createdAt": entry.created_at, "updatedAt": entry.updated_at}


def negotiation_shown(process: Process) -> Document:
    """A negotiation."""
    agreed = process.detail.agreement
    return {
        "@type": "ContractNegotiation",
        "@id": process.id,
        "type": _side(process),
        "protocol": PROTOCOL,
        "state": edc_state(process.state, process.awaiting),
        "stateTimestamp": process.updated_at,
        "counterPartyId": process.counterparty,
        "counterPartyAddress": process.peer_address,
        **({} if agreed is None else {"contractAgreementId": agreed["@id"]}),
        "assetId": process.subject,
        **_correlation(process),
        **_failure(process),
        "callbackAddresses": [],
        "createdAt": process.created_at,
    }


def transfer_shown(process: Process) -> Document:
    """A transfer."""
    sink = process.detail.sink
    return {
        "@type": "TransferProcess",
        "@id": process.id,
        "type": _side(process),
        "protocol": PROTOCOL,
        "state": edc_state(process.state, process.awaiting),
        "stateTimestamp": process.updated_at,
        "counterPartyId": process.counterparty,
        "counterPartyAddress": process.peer_address,
        "assetId": process.detail.dataset,
        "contractId": process.subject,
        "transferType": process.detail.format or PULL,
        **_correlation(process),
        **({} if sink is None else {"dataDestination": {"@type": "DataAddress", "type": SINK, "path": sink}}),
        **({"privateProperties": named(process.detail.private)} if process.detail.private else {}),
        **_failure(process),
        "callbackAddresses": [],
        "createdAt": process.created_at,
    }


def state_shown(process: Process, kind: str) -> Document:
    """The state alone."""
    return {"@type": kind, "state": edc_state(process.state, process.awaiting)}


def agreement_shown(row: Agreement, us: str) -> Document:
    """An agreement. The time of its signing is in seconds."""
    provider = us if row.role == Role.PROVIDER.value else row.counterparty
    consumer = row.counterparty if provider == us else us
    # The contexts of these answers have no name for the time of an agreement.
    policy = {f"{DSPACE}timestamp" if name == "timestamp" else name: each for name, each in orjson.loads(row.document).items()}
    return {
        "@type": "ContractAgreement",
        "@id": row.id,
        "agreementId": row.id,
        "assetId": row.dataset,
        "providerId": provider,
        "consumerId": consumer,
        "contractSigningDate": row.created_at // 1000,
        "policy": policy,
    }


def reference_entry_shown(entry: Entry) -> Document:
    """That a transfer's data can be fetched."""
    return {
        "@type": "EndpointDataReferenceEntry",
        "@id": entry.transfer.id,
        "transferProcessId": entry.transfer.id,
        "agreementId": entry.agreement,
        **({"contractNegotiationId": entry.negotiation} if entry.negotiation else {}),
        "assetId": entry.dataset,
        "providerId": entry.transfer.counterparty,
        "createdAt": entry.transfer.created_at,
    }


def reference_shown(reference: Reference) -> Document:
    """Where data are fetched, with the token. What renews it stays here."""
    life = {} if reference.life_s is None else {"expiresIn": str(reference.life_s)}
    return {
        "@type": "DataAddress",
        "type": reference.endpoint_type,
        "endpointType": reference.endpoint_type,
        "endpoint": reference.endpoint,
        "authType": reference.auth_type,
        "authorization": reference.authorization,
        **life,
    }


def _side(process: Process) -> str:
    return process.role.value.upper()


def _correlation(process: Process) -> Document:
    """EDC's correlation id: the other side's id of the process."""
    return {} if process.peer_pid is None else {"correlationId": process.peer_pid}


def _failure(process: Process) -> Document:
    why = process.detail.ended or process.detail.refusal
    if why is None:
        return {}
    said = "; ".join(each if isinstance(each, str) else orjson.dumps(each).decode() for each in why.reason)
    return {"errorDetail": f"{why.code}: {said}" if said else str(why.code)}
