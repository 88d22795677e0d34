"""The terms of the demo's provider: three products of one raw table, and two offers that must not be published.

Each offer is written as its owner hands it in. Pure: words and constants, nothing runs.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from connector.client.local import Document
from policies.model import CARNET, DPV

FLOW: Final = "urn:example:flow"
FEATURES: Final = "urn:example:features"
FAULTS: Final = "urn:example:faults"
INSURANCE: Final = f"{CARNET}PayAsYouDrive"
PLANNING: Final = f"{CARNET}MobilityPlanning"
REPAIR: Final = f"{DPV}RepairImpairments"
MARKETING: Final = f"{DPV}Marketing"
COLUMNS: Final = f"{CARNET}columns"
LEAST: Final = 10
LEVEL: Final = 7
INSURER_LICENCE: Final = "licensed insurers"
REPAIR_LICENCE: Final = "licensed repairers"
_EURO: Final = "https://www.wikidata.org/entity/Q4916"


@dataclass(frozen=True, slots=True)
class Product:
    """One dataset of the raw table: its name on screen, whom it is for, what for (an IRI), and its offer."""

    dataset: str
    name: str
    title: str
    buyer: str
    purpose: str
    offer: Document

    def of(self, paths: Collection[str]) -> Document:
        """The offer for a table that has these columns: none is offered that it has not."""
        found = copy.deepcopy(self.offer)
        for permission in found["permission"]:
            for each in permission["constraint"]:
                if each["leftOperand"] == COLUMNS and isinstance(each["rightOperand"], list):
                    each["rightOperand"] = [column for column in each["rightOperand"] if column in paths]
        return found


def typed(value: str, kind: str) -> Document:
    """A literal of a datatype of XML Schema; `xsd:` and `odrl:` are prefixes of the context of DSP."""
    return {"@value": value, "@type": f"xsd:{kind}"}


def term(left: str, operator: str, right: Any) -> Document:
    """A constraint: its operand by IRI."""
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def bound_to(purpose: str) -> Document:
    """The constraint that a permission is for exactly this purpose."""
    return term("odrl:purpose", "eq", {"@id": purpose})


def delete_within(time: str) -> Document:
    """The duty to delete within a time after the contract (ISO 8601)."""
    return {"action": "delete", "constraint": [term("odrl:elapsedTime", "lteq", typed(time, "duration"))]}


def _price(amount: str, unit: str, every: str) -> Document:
    return {
        "action": "compensate",
        "constraint": [
            {**term("odrl:payAmount", "eq", typed(amount, "decimal")), "unit": _EURO},
            term("odrl:unitOfCount", "eq", {"@id": f"{CARNET}{unit}"}),
            term("odrl:timeInterval", "eq", typed(every, "duration")),
        ],
    }


def _for(purpose: str) -> Document:
    return term("odrl:purpose", "isA", {"@id": purpose})


def _use(*terms: Document, duties: tuple[Document, ...] = ()) -> Document:
    return {"action": "use", "constraint": list(terms), **({"duty": list(duties)} if duties else {})}


_NEVER: Final = [{"action": "sell"}, {"action": f"{CARNET}reidentify"}]
_KIND: Final = f"{CARNET}consumerKind"
_BODY: Final = {"@id": f"{CARNET}PublicBody"}
_CELLS: Final = (
    _for(PLANNING),
    term(f"{CARNET}minGroupSize", "gteq", typed(str(LEAST), "integer")),
    term(f"{CARNET}spatialResolution", "lteq", typed(str(LEVEL), "integer")),
    term(f"{CARNET}temporalResolution", "gteq", typed("PT1H", "duration")),
    term(COLUMNS, "eq", "Vehicle.Speed"),
)
_SOURCE: Final[Document] = {"action": "attribute"}
_ROWS: Final = term(f"{CARNET}releaseLevel", "eq", {"@id": f"{CARNET}L1"})
_CONSENT: Final = term(f"{CARNET}legalBasis", "eq", {"@id": f"{DPV}Consent"})
_POSITIONED: Final = ["Vehicle.Speed", "Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"]
DIAGNOSTICS: Final = ("Vehicle.Diagnostics.DTCCount", "Vehicle.Diagnostics.DTCList", "Vehicle.TraveledDistance")

PRODUCTS: Final = (
    Product(
        FEATURES,
        "features",
        "how they drive, by vehicle and month; 1.50 EUR each",
        "insurer",
        INSURANCE,
        {
            "permission": [
                _use(
                    term(f"{CARNET}membership", "isAnyOf", [INSURER_LICENCE]),
                    _for(INSURANCE),
                    term(f"{CARNET}detail", "eq", {"@id": f"{CARNET}FeaturesOnly"}),
                    _CONSENT,
                    term(f"{CARNET}enrolment", "eq", typed("true", "boolean")),
                    term(f"{CARNET}samplingInterval", "lteq", typed("PT1S", "duration")),
                    duties=(_price("1.50", "Vehicle", "P1M"), delete_within("P90D")),
                )
            ],
            "prohibition": _NEVER,
        },
    ),
    Product(
        FLOW,
        "flow",
        "speeds by cell and hour; free for public bodies",
        "city",
        PLANNING,
        {
            "permission": [
                _use(term(_KIND, "isA", _BODY), *_CELLS, duties=(_SOURCE,)),
                _use(term(_KIND, "neq", _BODY), *_CELLS, duties=(_price("4900.00", "Agreement", "P1Y"), _SOURCE)),
            ],
            "prohibition": _NEVER,
        },
    ),
    Product(
        FAULTS,
        "faults",
        "fault codes and mileage; 0.40 EUR a vehicle and month",
        "repairer",
        REPAIR,
        {
            "permission": [
                _use(
                    term(f"{CARNET}membership", "isAnyOf", [REPAIR_LICENCE]),
                    _for(REPAIR),
                    _ROWS,
                    _CONSENT,
                    term(COLUMNS, "isAnyOf", list(DIAGNOSTICS)),
                    term(f"{CARNET}samplingInterval", "gteq", typed("PT1H", "duration")),
                    term(f"{CARNET}pseudonymEpoch", "eq", typed("P1M", "duration")),
                    duties=(_price("0.40", "Vehicle", "P1M"),),
                )
            ],
            "prohibition": _NEVER,
        },
    ),
)

FORBIDDEN: Final = (
    (
        "raw trips called anonymous",
        "anonymous-rows",
        {"permission": [_use(_for(PLANNING), term(f"{CARNET}releaseLevel", "eq", {"@id": f"{CARNET}Anonymous"}))]},
    ),
    (
        "speed with precise places",
        "speed-with-place",
        {
            "permission": [
                _use(
                    _for(INSURANCE),
                    _ROWS,
                    _CONSENT,
                    term(COLUMNS, "isAnyOf", _POSITIONED),
                    term(f"{CARNET}offenceData", "eq", typed("true", "boolean")),
                )
            ]
        },
    ),
)
"""What must not be published: what it is, the code by which it is refused, and the offer."""
