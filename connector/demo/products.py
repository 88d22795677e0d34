"""What the demo's provider makes of one raw table: two products and a third that the same buyer may not have beside them.

A simulated fleet, what its people agreed to, and the terms of each product as its owner writes them. Writes files, nothing else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow.csv

from connector.client.local import Document
from connector.demo.fleet import KIT, Request, consents, enrolments, write_parquet
from connector.demo.fleet.writing import Written
from policies.model import CARNET, DPV, ODRL, XSD

FLEET_FILE: Final = "fleet.parquet"
CONSENTS_FILE: Final = "consents.csv"
FLOW: Final = "urn:example:flow"
FEATURES: Final = "urn:example:driving-features"
DRIVES: Final = "urn:example:drives"
INSURANCE: Final = f"{CARNET}PayAsYouDrive"
PLANNING: Final = f"{CARNET}MobilityPlanning"
RESEARCH: Final = f"{DPV}ScientificResearch"
LEAST: Final = 10
LEVEL: Final = 7
VEHICLES: Final = 250
DAYS: Final = 2
SEED: Final = 20261
TOWN: Final = replace(KIT, towns=2, spread_km=4.0, trip_km=(2.0, 3.0, 5.0, 8.0, 14.0, 30.0))
TEXT: Final = "I agree that my insurer gets figures about how I drive, but not where."


@dataclass(frozen=True, slots=True)
class Product:
    """One dataset made of the raw table: for which purpose, and its constraints as (operand, operator, value)."""

    dataset: str
    title: str
    purpose: str
    terms: tuple[tuple[str, str, Any], ...]
    duties: tuple[Document, ...] = ()

    def offer(self) -> Document:
        """The offer as its owner hands it in."""
        stated = (("purpose", "isA", self.purpose), *self.terms)
        constraints = [{"leftOperand": left, "operator": how, "rightOperand": value} for left, how, value in stated]
        permission: Document = {"action": "use", "constraint": constraints}
        return {"permission": [permission | ({"duty": list(self.duties)} if self.duties else {})]}


def _typed(value: str, kind: str) -> Document:
    return {"@value": value, "@type": f"{XSD}{kind}"}


PRODUCTS: Final = (
    Product(
        FLOW,
        "How fast traffic flows, by cell and hour",
        PLANNING,
        (
            (f"{CARNET}minGroupSize", "gteq", _typed(str(LEAST), "integer")),
            (f"{CARNET}spatialResolution", "lteq", _typed(str(LEVEL), "integer")),
            (f"{CARNET}temporalResolution", "gteq", _typed("PT1H", "duration")),
            (f"{CARNET}columns", "eq", "Vehicle.Speed"),
        ),
    ),
    Product(
        FEATURES,
        "How people drive, for their own insurer, with their consent",
        INSURANCE,
        (
            (f"{CARNET}detail", "eq", {"@id": f"{CARNET}FeaturesOnly"}),
            (f"{CARNET}legalBasis", "eq", {"@id": f"{DPV}Consent"}),
            (f"{CARNET}enrolment", "eq", _typed("true", "boolean")),
            (f"{CARNET}samplingInterval", "lteq", _typed("PT1S", "duration")),
        ),
    ),
    Product(
        DRIVES,
        "Drives under pseudonyms, without their ends",
        RESEARCH,
        (
            (f"{CARNET}releaseLevel", "eq", {"@id": f"{CARNET}L1"}),
            (f"{CARNET}tripEndCut", "gteq", _typed("400", "decimal")),
            (f"{CARNET}pseudonymEpoch", "eq", _typed("P1M", "duration")),
            (f"{CARNET}offenceData", "eq", _typed("false", "boolean")),
        ),
    ),
)
PRICE: Final[Document] = {
    "action": "compensate",
    "constraint": [
        {
            "leftOperand": f"{ODRL}payAmount",
            "operator": "eq",
            "rightOperand": _typed("1.50", "decimal"),
            "unit": "https://www.wikidata.org/entity/Q4916",
        },
        {"leftOperand": f"{ODRL}unitOfCount", "operator": "eq", "rightOperand": {"@id": f"{CARNET}Vehicle"}},
    ],
}


def write_fleet(folder: Path) -> Written:
    """The raw table of the provider: it never leaves."""
    return write_parquet(folder / FLEET_FILE, TOWN, VEHICLES, DAYS, SEED)


def write_consents(folder: Path, buyer: str) -> tuple[Path, list[Document]]:
    """What the people of the fleet decided about a buyer, as a file; and who is enrolled with it under which contract."""
    insurer = Request(buyer, INSURANCE, ("driving-behaviour", "mileage"), texts=(TEXT,), agree=0.7, withdrawn=0.0, enrol=0.5)
    research = Request(buyer, RESEARCH, ("location", "driving-behaviour", "diagnostics", "mileage", "energy", "environment"))
    path = folder / CONSENTS_FILE
    pyarrow.csv.write_csv(consents(TOWN, VEHICLES, [insurer, research], SEED), path)
    shown = hashlib.sha256(TEXT.encode()).hexdigest()
    contracts = [
        {**row, "decided_by": "driver", "text_sha256": shown} for row in enrolments(TOWN, VEHICLES, [insurer], SEED).to_pylist()
    ]
    return path, contracts
