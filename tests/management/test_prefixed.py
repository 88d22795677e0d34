"""A catalogue in the spelling of older clients: the same catalogue, and what is taken from it can be sent back."""

from __future__ import annotations

from typing import Any

from catalog.expansion import expand
from connector.management import documents, shapes
from connector.management.model import EDC
from connector.management.odrl_forms import OfferedTerms, read_offer
from connector.management.prefixed import with_prefixes

CATALOG: dict[str, Any] = {
    "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
    "@id": "urn:catalog",
    "@type": "Catalog",
    "participantId": "did:web:p",
    "dataset": [
        {
            "@id": "trips",
            "@type": "Dataset",
            "dct:title": "Trips",
            "https://example.org/extra": [{"@id": "urn:x"}],
            "hasPolicy": [
                {
                    "@id": "o",
                    "@type": "Offer",
                    "permission": [
                        {
                            "action": "use",
                            "constraint": [{"leftOperand": "odrl:dateTime", "operator": "lteq", "rightOperand": "2027-01-01"}],
                        }
                    ],
                }
            ],
            "distribution": [
                {
                    "@type": "Distribution",
                    "format": "HttpData-PULL",
                    "accessService": {"@id": "urn:s", "@type": "DataService", "endpointURL": "https://p/dsp"},
                }
            ],
        }
    ],
}


def test_its_members_have_prefixes() -> None:
    (dataset,) = with_prefixes(CATALOG)["dcat:dataset"]
    (offer,) = dataset["odrl:hasPolicy"]
    assert (dataset["@type"], offer["@type"]) == ("dcat:Dataset", "odrl:Offer")
    assert dataset["dcat:distribution"][0]["dct:format"] == {"@id": "HttpData-PULL"}
    assert offer["odrl:permission"][0]["odrl:action"] == {"@id": "odrl:use"}
    assert not [name for name in dataset if ":" not in name and not name.startswith("@")]


def test_it_says_the_same() -> None:
    (ours,), (theirs,) = expand(CATALOG, trusted=True), expand(with_prefixes(CATALOG), trusted=True)
    offer = theirs["http://www.w3.org/ns/dcat#dataset"][0]["http://www.w3.org/ns/odrl/2/hasPolicy"][0]
    for empty in ("prohibition", "obligation"):
        assert offer.pop(f"http://www.w3.org/ns/odrl/2/{empty}") == []
    assert _unordered(theirs) == _unordered(ours)


def test_an_offer_of_it_is_read_as_the_offer() -> None:
    (dataset,) = with_prefixes(CATALOG)["dcat:dataset"]
    (offer,) = dataset["odrl:hasPolicy"]
    assert read_offer(offer).rules == {"permission": CATALOG["dataset"][0]["hasPolicy"][0]["permission"]}


def _unordered(value: Any) -> Any:
    if isinstance(value, list):
        return sorted((_unordered(each) for each in value), key=repr)
    return {name: _unordered(each) for name, each in sorted(value.items())} if isinstance(value, dict) else value


async def test_an_offer_of_it_is_sent_back_with_the_contexts_of_another_data_space() -> None:
    """As clients of Catena-X do: what was in the catalogue, and beside it whose it is and what it is about."""
    (dataset,) = with_prefixes(CATALOG)["dcat:dataset"]
    (offer,) = dataset["odrl:hasPolicy"]
    document = {
        "@context": ["https://w3id.org/tractusx/policy/v1.0.0", "http://www.w3.org/ns/odrl.jsonld", {"@vocab": EDC}],
        "@type": "ContractRequest",
        "counterPartyAddress": "https://p/dsp",
        "protocol": "dataspace-protocol-http",
        "policy": {"target": "trips", "assigner": "did:web:p", **offer},
        "callbackAddresses": [],
    }
    of, terms = shapes.contract_request_of(await documents.flat(document))
    assert (of.id, of.address) == ("did:web:p", "https://p/dsp")
    assert terms == OfferedTerms("o", "did:web:p", "trips", {"permission": CATALOG["dataset"][0]["hasPolicy"][0]["permission"]})
    asked = {"@context": {"edc": EDC, "dct": "https://purl.org/dc/terms/"}, "@type": "edc:CatalogRequest"}
    asked |= {"counterPartyId": "did:web:p", "counterPartyAddress": "https://p/dsp", "querySpec": {"limit": 20_000}}
    found = await documents.flat(asked)
    assert shapes.counterparty_of(found).id == "did:web:p"
    assert shapes.catalog_query_of(found).limit == 10_000
