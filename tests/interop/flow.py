"""PyPI's `edc-client` against two connectors: its one-call composite over version 3, and its generated calls of version 4.

A program of its own, which runs where the client is installed and knows nothing of ours. Reads one JSON document from standard
input, writes one JSON document for each step.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

# Installed apart from everything of ours.
import edc_client  # type: ignore[import-not-found]
from edc_client import models
from edc_client.connector import Connector, Counterparty  # type: ignore[import-not-found]
from edc_client.rest import ApiException  # type: ignore[import-not-found]

CONTEXT = ["https://w3id.org/edc/connector/management/v2"]
NS = "https://w3id.org/edc/v0.0.1/ns/"
PROTOCOL = "dataspace-protocol-http:2025-1"
WAIT_S = 30.0


def said(step: str, value: Any = None) -> None:
    """Write what a step came to."""
    sys.stdout.write(json.dumps({"step": step, "value": value}) + "\n")


def status_of(work: Callable[[], Any]) -> int:
    """The status with which something is refused; 200 if it is not."""
    try:
        work()
    except ApiException as refused:
        return int(refused.status)
    return 200


def reached(read: Callable[[], Any], state: str) -> str:
    """The state, once it is this one."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = str(read().state)
        if found in (state, "TERMINATED"):
            return found
        time.sleep(0.2)
    return "not in time"


def version_3(told: dict[str, Any]) -> None:
    """Publish, find, negotiate, transfer and fetch with the composites of the client."""
    provider, consumer = told["provider"], told["consumer"]
    selling = Connector("samples", provider["management"], provider["id"], provider["address"], provider["key"])
    buying = Connector("samples", consumer["management"], consumer["id"], consumer["address"], consumer["key"])
    said("asset", selling.create_asset("py-trips", f"{told['source']}/all")["@id"])
    said("policy", selling.create_policy("py-open")["@id"])
    # The client's types of version 3 want objects where the interface has texts: as JSON-LD writes them, they are the same.
    selector = [{"operandLeft": {"@value": f"{NS}id"}, "operator": "=", "operandRight": {"@value": "py-trips"}}]
    said("definition", selling.create_contract_definition("py-offers", "py-open", "py-open", assets_selector=selector)["@id"])
    said("assets", [each["@id"] for each in selling.list_assets()])
    answer = buying.negotiate_and_transfer(Counterparty(provider["id"], provider["address"]), "py-trips", poll_interval=0.2)
    said("download", {"status": answer.status, "body": json.loads(answer.data)})
    said("asset in use", status_of(lambda: selling.remove_asset("py-trips")))
    said("push", status_of(lambda: buying.start_push(selling, "no-such-agreement", "http://localhost/in")))


def version_4(told: dict[str, Any]) -> None:
    """The same with the calls and the types that were generated from the OpenAPI document of version 4."""
    selling, buying = (_client(told[name]) for name in ("provider", "consumer"))
    _publish(selling, told)
    party = {"counterPartyAddress": told["provider"]["address"], "counterPartyId": told["provider"]["id"], "protocol": PROTOCOL}
    request = models.CatalogRequestSchema.from_dict({"@context": CONTEXT, "@type": "CatalogRequest", **party})
    catalog = json.loads(edc_client.CatalogV4Api(buying).request_catalog_v4_with_http_info(request).raw_data)
    said("v4 catalog", "py4-trips" in [each["@id"] for each in catalog["dataset"]])
    one = models.CatalogRequestSchema.from_dict({"@context": CONTEXT, "@type": "CatalogRequest", "@id": "py4-trips", **party})
    dataset = json.loads(edc_client.CatalogV4Api(buying).get_dataset_v4_with_http_info(one).raw_data)
    said("v4 dataset", dataset["@id"])
    _agree(buying, told, dataset["hasPolicy"][0])


def _client(house: dict[str, Any]) -> edc_client.ApiClient:
    configuration = edc_client.Configuration(host=house["management"])
    return edc_client.ApiClient(configuration, header_name="x-api-key", header_value=house["key"])


def _publish(selling: edc_client.ApiClient, told: dict[str, Any]) -> None:
    """An asset whose address the data plane is told in its metadata, a policy, a contract definition."""
    described = {"type": "HttpData", "baseUrl": f"{told['source']}/four", "proxyPath": "true"}
    asset = {
        "@context": CONTEXT,
        "@type": "Asset",
        "@id": "py4-trips",
        "properties": {"name": "Trips"},
        "dataplaneMetadata": {"@context": CONTEXT, "@type": "DataplaneMetadata", "labels": ["http"], "properties": described},
    }
    assets = edc_client.AssetV4Api(selling)
    said("v4 asset", assets.create_asset_v4(models.AssetSchema.from_dict(asset)).id)
    said("v4 asset read", assets.get_asset_v4("py4-trips").id)
    query = {
        "@context": CONTEXT,
        "@type": "QuerySpec",
        "filterExpression": [{"@type": "Criterion", "operandLeft": "id", "operator": "=", "operandRight": "py4-trips"}],
    }
    said("v4 assets", [each.id for each in assets.request_assets_v4(models.QuerySpecSchema.from_dict(query))])
    policy = {
        "@context": CONTEXT,
        "@type": "PolicyDefinition",
        "@id": "py4-use",
        "policy": {"@type": "Set", "permission": [{"action": "use"}]},
    }
    policies = edc_client.PolicyDefinitionV4Api(selling)
    said("v4 policy", policies.create_policy_definition_v4(models.PolicyDefinitionSchema.from_dict(policy)).id)
    said("v4 policy valid", policies.validate_policy_definition_v4("py4-use").is_valid)
    definition = {
        "@context": CONTEXT,
        "@type": "ContractDefinition",
        "@id": "py4-offers",
        "accessPolicyId": "py4-use",
        "contractPolicyId": "py4-use",
        "assetsSelector": query["filterExpression"],
    }
    definitions = edc_client.ContractDefinitionV4Api(selling)
    made = definitions.create_contract_definition_v4(models.ContractDefinitionSchema.from_dict(definition))
    said("v4 definition", made.id)
    said(
        "v4 definition twice",
        status_of(lambda: definitions.create_contract_definition_v4(models.ContractDefinitionSchema.from_dict(definition))),
    )


def _agree(buying: edc_client.ApiClient, told: dict[str, Any], offer: dict[str, Any]) -> None:
    """Negotiate, transfer, look at both, fetch, suspend, go on, end."""
    provider = told["provider"]
    policy = {**offer, "@type": "Offer", "assigner": provider["id"], "target": "py4-trips"}
    request = {
        "@context": CONTEXT,
        "@type": "ContractRequest",
        "counterPartyAddress": provider["address"],
        "protocol": PROTOCOL,
        "policy": policy,
    }
    negotiations = edc_client.ContractNegotiationV4Api(buying)
    begun = negotiations.initiate_contract_negotiation_v4(models.ContractRequestSchema.from_dict(request))
    said("v4 negotiation", reached(lambda: negotiations.get_negotiation_state_v4(begun.id), "FINALIZED"))
    agreement = json.loads(negotiations.get_agreement_for_negotiation_v4_with_http_info(begun.id).raw_data)
    # The client's own types of these two have `type` twice and read no answer; their JSON is what it is.
    negotiation = json.loads(negotiations.get_negotiation_v4_without_preload_content(begun.id).data)
    said("v4 agreement", negotiation["contractAgreementId"] == agreement["@id"])
    asked = {
        "@context": CONTEXT,
        "@type": "TransferRequest",
        "counterPartyAddress": provider["address"],
        "protocol": PROTOCOL,
        "contractId": agreement["@id"],
        "transferType": "HttpData-PULL",
    }
    transfers = edc_client.TransferProcessV4Api(buying)
    transfer = transfers.initiate_transfer_process_v4(models.TransferRequestSchema.from_dict(asked)).id
    said("v4 transfer", reached(lambda: transfers.get_transfer_process_state_v4(transfer), "STARTED"))
    found = json.loads(transfers.get_transfer_process_v4_without_preload_content(transfer).data)
    said("v4 transfer read", found["contractId"] == agreement["@id"])
    # Version 4 has no data references of its own any more; clients take them from version 3.
    references = edc_client.EDRCacheV3Api(buying)
    connector = Connector("samples", told["consumer"]["management"], "", "", told["consumer"]["key"])
    endpoint, authorization = connector.edr_endpoint_auth(references.get_edr_entry_data_address_v3(transfer))
    fetched = connector.pull_data(f"{endpoint}/zones", authorization)
    said("v4 download", {"status": fetched.status, "body": json.loads(fetched.data)})
    why = {"@context": CONTEXT, "reason": "enough"}
    pause = models.TransferSuspendSchema.from_dict({**why, "@type": "SuspendTransfer"})
    transfers.suspend_transfer_process_v4(transfer, pause)
    said("v4 suspended", reached(lambda: transfers.get_transfer_process_state_v4(transfer), "SUSPENDED"))
    transfers.resume_transfer_process_v4(transfer)
    said("v4 resumed", reached(lambda: transfers.get_transfer_process_state_v4(transfer), "STARTED"))
    end = models.TransferTerminateSchema.from_dict({**why, "@type": "TerminateTransfer"})
    transfers.terminate_transfer_process_v4(transfer, end)
    said("v4 ended", reached(lambda: transfers.get_transfer_process_state_v4(transfer), "TERMINATED"))


if __name__ == "__main__":
    everything = json.load(sys.stdin)
    version_3(everything)
    version_4(everything)
