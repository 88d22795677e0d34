"""The terms of the story: what drivers sign, what the car maker offers, and what others ask for in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from connector.client import Document

VDX: Final = "https://w3id.org/carnet/terms#"
DPV: Final = "https://w3id.org/dpv#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
EURO: Final = "https://www.wikidata.org/entity/Q4916"
PAYD: Final = f"{VDX}PayAsYouDrive"
MARKETING: Final = f"{DPV}Marketing"
LATITUDE: Final = "Vehicle.CurrentLocation.Latitude"
TEXT: Final = (
    "I agree that the maker of my car sends my insurer figures of each month about how I drive: kilometres, harsh braking and "
    "acceleration, the share by night and by bands of speed. Not where, and no single speed. I may take this back at any time."
)
CATEGORIES: Final = ("driving-behaviour", "mileage")
"""What a driver agrees to with it."""


def term(left: str, operator: str, right: str, kind: str | None = None) -> Document:
    """A constraint; ``kind`` is the datatype of its value, None for an IRI."""
    value = {"@value": right, "@type": XSD + kind} if kind else {"@id": right}
    return {"leftOperand": left, "operator": operator, "rightOperand": value}


OFFER: Final[Document] = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                term("odrl:purpose", "isA", PAYD),
                term(f"{VDX}detail", "eq", f"{VDX}FeaturesOnly"),
                term(f"{VDX}legalBasis", "eq", f"{DPV}Consent"),
                term(f"{VDX}enrolment", "eq", "true", "boolean"),
                term(f"{VDX}samplingInterval", "lteq", "PT1S", "duration"),
            ],
            "duty": [
                {
                    "action": "odrl:compensate",
                    "constraint": [
                        {**term("odrl:payAmount", "eq", "1.50", "decimal"), "unit": EURO},
                        term("odrl:unitOfCount", "eq", f"{VDX}Vehicle"),
                        term("odrl:timeInterval", "eq", "P1M", "duration"),
                    ],
                },
                {"action": "odrl:delete", "constraint": [term("odrl:elapsedTime", "lteq", "P2Y", "duration")]},
            ],
        }
    ],
    "prohibition": [{"action": "odrl:sell"}, {"action": f"{VDX}reidentify"}],
}

SPEED_WITH_PLACE: Final[Document] = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                term("odrl:purpose", "isA", PAYD),
                term(f"{VDX}legalBasis", "eq", f"{DPV}Consent"),
                {
                    "leftOperand": f"{VDX}columns",
                    "operator": "isAnyOf",
                    "rightOperand": ["Vehicle.Speed", LATITUDE, "Vehicle.CurrentLocation.Longitude"],
                },
            ],
        }
    ]
}
"""How fast somebody drove at which place: data on offences."""


def for_marketing(offer: Document) -> Document:
    """The offer as the insurer gets it, narrowed to another purpose: what a buyer asks for that says what for."""
    return _with(offer, lambda found: [*found, term("odrl:purpose", "eq", MARKETING)])


def of_raw_trips(offer: Document) -> Document:
    """The offer as the insurer gets it, without the term that features alone leave."""
    return _with(offer, lambda found: [each for each in found if each["leftOperand"] != f"{VDX}detail"])


def _with(offer: Document, changed: Callable[[list[Document]], list[Document]]) -> Document:
    (permission,) = offer["permission"]
    return {**offer, "permission": [{**permission, "constraint": changed(permission["constraint"])}]}
