"""People of a connector who decide, and offers that ask them."""

from __future__ import annotations

from typing import Any

from connector.access.caller import OWNER, Caller, Role, scopes_of
from connector.flow import begin, publish
from connector.flow.approvals import ApprovalRequest
from connector.protocol.messages import Document
from connector.protocol.record import Process
from tests.flow.house import DATASET, OFFER, Street
from tests.flow.test_acceptance import negotiation, rest


def person(name: str, *roles: Role) -> Caller:
    """Somebody with an API key."""
    return Caller(f"key:{name}", frozenset(roles), scopes_of(roles))


ANNA = person("anna", Role.COMMERCIAL)
BERT = person("bert", Role.COMMERCIAL, Role.OPERATOR)
CARO = person("caro", Role.PROTECTION)
DORA = person("dora", Role.OPERATOR)
AUDITOR = person("audit", Role.AUDITOR)
DRIVER = person("driver", Role.DRIVER)


async def published(street: Street, terms: Document | None = None, **rule: Any) -> Document:
    """An offer of the provider about which people are asked by this rule."""
    offer = {**OFFER, **(terms or {})}
    asks = ApprovalRequest(**rule).rule if rule else None
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[offer], approval=asks)
    return offer


async def asked(street: Street, offer: Document, by: Caller = OWNER) -> Process:
    """The provider's negotiation about an offer, once nothing is on its way."""
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=offer, by=by)
    await rest(street)
    return await negotiation(street.provider)
