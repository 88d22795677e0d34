"""What the resources of our own interfaces are, in one line each: for the description of the interface. A literal table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from connector.access.caller import Resource

TAGS: Final[Mapping[Resource, str]] = MappingProxyType(
    {
        "status": "The connector itself.",
        "offers": "Our datasets on offer, and the offers of each.",
        "catalog": "What peers offer us.",
        "terms": "What terms say, what they would let through, and templates to write them.",
        "negotiations": "Contracts in the making, as provider and as consumer.",
        "approvals": "What waits for people to decide.",
        "agreements": "What was agreed, and who has signed it.",
        "transfers": "Data on their way under an agreement.",
        "edrs": "Where, and with which token, data can be fetched.",
        "receipts": "What was delivered and used, what is owed for it, and what has to be erased.",
        "evidence": "Bundles that prove a contract without this connector.",
        "events": "Everything that happens, as it happens.",
        "participants": "Whom we know, and who vouches for them.",
        "consents": "What drivers and owners agree to, and what users ask for.",
        "own-consents": "What one's own vehicle agrees to.",
        "subjects": "What is known of a vehicle, and its erasure.",
        "letters": "Messages that were given up.",
        "keys": "Keys of the connector.",
        "access": "Keys of callers.",
        "assets": "Assets of the management interface.",
        "policies": "Policies of the management interface.",
        "definitions": "Contract definitions of the management interface.",
        "secrets": "Secrets for sources of data; their values never leave.",
        "dataplanes": "Data planes.",
    }
)
