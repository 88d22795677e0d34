"""The terms of the repairer's story, as their owner writes them: words and constants, nothing runs."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

from connector.client import Document

VDX: Final = "https://w3id.org/carnet/terms#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
EURO: Final = "https://www.wikidata.org/entity/Q4916"
AGREED: Final = f"{VDX}AgreedWithUser"
MARKETING: Final = "https://w3id.org/dpv#Marketing"
FAULT_COUNT: Final = "Vehicle.Diagnostics.DTCCount"
FAULTS: Final = "Vehicle.Diagnostics.DTCList"
ODOMETER: Final = "Vehicle.TraveledDistance"
LATITUDE: Final = "Vehicle.CurrentLocation.Latitude"
CATEGORIES: Final = ("diagnostics", "mileage")
"""Of which data the owners ask for a share."""
ORDER: Final = "I ask the maker of my car to give its fault codes and its mileage to the garage that I name, for the repair."


def term(left: str, operator: str, right: Any) -> Document:
    """A constraint."""
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def typed(value: str, kind: str) -> Document:
    """A literal of a datatype of XML Schema."""
    return {"@value": value, "@type": XSD + kind}


def price(amount: str, basis: str) -> Document:
    """The duty to pay so much for each vehicle."""
    return {
        "action": "odrl:compensate",
        "constraint": [
            {**term("odrl:payAmount", "eq", typed(amount, "decimal")), "unit": EURO},
            term("odrl:unitOfCount", "eq", {"@id": f"{VDX}Vehicle"}),
            term(f"{VDX}priceBasis", "eq", {"@id": f"{VDX}{basis}"}),
        ],
    }


def share(requests: Sequence[str], kind: str, *duties: Document) -> Document:
    """The permission that requests of users are the ground of, for one kind of consumer."""
    return {
        "action": "use",
        "constraint": [
            term(f"{VDX}userRequest", "isAnyOf", [{"@id": each} for each in requests]),
            term(f"{VDX}consumerKind", "eq", {"@id": f"{VDX}{kind}"}),
            term(f"{VDX}consumerKind", "isNoneOf", [{"@id": f"{VDX}DmaGatekeeper"}]),
            term("odrl:purpose", "isA", {"@id": AGREED}),
            term(f"{VDX}columns", "isAnyOf", [FAULT_COUNT, FAULTS, ODOMETER]),
        ],
        "duty": [*duties, {"action": "odrl:delete", "constraint": [term("odrl:elapsedTime", "lteq", typed("P90D", "duration"))]}],
    }


def offer(requests: Sequence[str]) -> Document:
    """What the manufacturer offers to whom an owner has named: at cost to a small or medium enterprise, else at list price."""
    return {
        "permission": [
            share(requests, "SmallOrMediumEnterprise", price("0.40", "CostOnlyForSme")),
            share(requests, "Company", price("1.50", "List")),
        ],
        "prohibition": [
            {
                "action": "odrl:derive",
                "constraint": [term("odrl:purpose", "isA", {"@id": f"{VDX}CompetingConnectedProduct"})],
            },
            {"action": "odrl:distribute", "constraint": [term("odrl:recipient", "isA", {"@id": f"{VDX}DmaGatekeeper"})]},
        ],
    }


def for_one(found: Document, request: str) -> Document:
    """An offer narrowed to one request: a contract on it is about one vehicle."""
    return _with(found, lambda left: left == f"{VDX}userRequest", term(f"{VDX}userRequest", "eq", {"@id": request}))


def exclusive(found: Document) -> Document:
    """An offer with the claim to have the data alone."""
    return _with(found, lambda _: False, term(f"{VDX}exclusive", "eq", typed("true", "boolean")))


def _with(found: Document, drops: Any, added: Document) -> Document:
    """The offer with other constraints in each permission."""
    asked = deepcopy(found)
    for permission in asked["permission"]:
        permission["constraint"] = [each for each in permission["constraint"] if not drops(each["leftOperand"])] + [added]
    return asked
