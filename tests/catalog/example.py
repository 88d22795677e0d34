"""The catalogue of `examples/catalogue.jsonld`: two datasets as the templates make them, in the view for data portals.

To write the file anew: `python -m tests.catalog.example`.
"""

from __future__ import annotations

import json
from pathlib import Path

from catalog.dcat import vocabulary as voc
from catalog.dcat.model import Agent, Catalog, CatalogRecord, Contact, Dataset, Period, Place, Quality, Text
from catalog.dcat.write import full_catalog
from catalog.templates import Answers, fill

FILE = Path(__file__).parents[2] / "examples" / "catalogue.jsonld"

_FRANCE = f"{voc.AUTHORITY}country/FRA"
_YEAR = Period(1_735_689_600_000, 1_767_225_599_999)
_PUBLISHER = Agent("did:web:motors.example", (Text("Example Motors", "en"),), "https://motors.example/", "data@motors.example")
_CONTACT = Contact("Data desk", "data@motors.example")
_ENDPOINT = "https://connector.motors.example/dsp/2025-1"

MILEAGE = Answers(
    dataset="https://motors.example/datasets/mileage",
    title="Mileage of connected cars in France",
    file="mileage.parquet",
    columns={"vehicle": "identifying", "read_at": "Vehicle.CurrentLocation.Timestamp", "odometer": "Vehicle.TraveledDistance"},
    price="3.00",
    place=_FRANCE,
    publisher=_PUBLISHER,
    contact=_CONTACT,
    endpoint=_ENDPOINT,
    quality=Quality(rows=7_300_000, vehicles=20_000, period=_YEAR, sampling_interval_ms=86_400_000),
)
TRAFFIC = Answers(
    dataset="https://motors.example/datasets/traffic",
    title="Traffic by cell and hour",
    file="traffic.csv",
    columns={"cell": "none", "hour": "none", "vehicles": "none"},
    price="4900.00",
    place=f"{voc.NUTS}/code/FRJ1",
    publisher=_PUBLISHER,
    contact=_CONTACT,
    endpoint=_ENDPOINT,
    quality=Quality(rows=1_240_000, period=_YEAR),
)


def datasets() -> tuple[Dataset, ...]:
    return fill("payd", MILEAGE).record, fill("city", TRAFFIC).record


def catalogue() -> Catalog:
    """The example."""
    records = (
        CatalogRecord(f"{dataset.iri}#record", dataset, 1_767_225_600_000, None, (voc.LANGUAGES["en"],)) for dataset in datasets()
    )
    return Catalog(
        iri="https://motors.example/catalogue",
        titles=(Text("Data of Example Motors", "en"), Text("Daten von Example Motors", "de")),
        descriptions=(Text("What connected cars tell, and on what terms.", "en"),),
        homepage="https://motors.example/",
        publisher=_PUBLISHER,
        spatial=(Place(_FRANCE, (Text("France", "en"),)),),
        languages=(voc.LANGUAGES["en"],),
        records=tuple(records),
        service=datasets()[0].distributions[0].service,
    )


def text() -> str:
    return json.dumps(full_catalog(catalogue()), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
