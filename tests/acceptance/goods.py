"""What stands behind the seven offers: one fleet in Montpellier, and of its rows what each offer is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow.csv

from connector.demo.fleet.people import Request, consents, enrolments
from connector.demo.fleet.profiles import KIT, Profile
from connector.demo.fleet.streets import Region
from connector.demo.fleet.writing import write_parquet
from policies.model import DPV

TRIPS: Final = "trips.parquet"
FILE: Final = "data.csv"
VEHICLES, DAYS, SEED = 120, 2, 7
TOWN: Final[Profile] = replace(
    KIT, region=Region(43.61, 3.89), towns=1, spread_km=2.0, trip_km=(2.0, 3.0, 4.0, 6.0, 9.0), motorway_km=50.0
)
CATEGORIES: Final = ("location", "driving-behaviour", "mileage", "diagnostics", "environment")
"""What the people of the fleet were asked for, one by one."""
_PLACE: Final = (
    ("Vehicle.CurrentLocation.Latitude", "degrees", "location"),
    ("Vehicle.CurrentLocation.Longitude", "degrees", "location"),
)
_WEATHER: Final = (("Vehicle.Exterior.AirTemperature", "Celsius", "environment"),)
_DRIVING: Final = (
    ("Vehicle.Speed", "km/h", "driving-behaviour"),
    ("Vehicle.Acceleration.Longitudinal", "m/s^2", "driving-behaviour"),
)
_MILEAGE: Final = (("Vehicle.TraveledDistance", "m", "mileage"),)
_FAULTS: Final = (("Vehicle.Diagnostics.DTCCount", None, "diagnostics"),)
_GOODS: Final = {
    "urn:asset:mileage": _MILEAGE,
    "urn:asset:dtc": _FAULTS,
    "urn:asset:traffic-insight": _PLACE + _WEATHER,
    "urn:asset:driving-score": _DRIVING + _MILEAGE,
    "urn:asset:mobility-insight": _PLACE + _DRIVING,
    "urn:asset:my-car-raw": _DRIVING + _MILEAGE + _FAULTS,
}


def source_of(dataset: str) -> tuple[str, dict[str, Any] | None]:
    """The file behind a dataset, and what its owner says of it as a table; one of them is a plain file."""
    if dataset == "urn:asset:flow-h3":
        return FILE, None
    columns = [
        {"header": path, "path": path, "unit": unit, "category": category}
        for path, unit, category in _GOODS.get(dataset, _MILEAGE + _PLACE)
    ]
    mapping = {
        "origin": "given",
        "columns": columns,
        "time": {"header": "time"},
        "vehicle": "Vehicle.VehicleIdentification.VIN",
        "trip": "trip",
    }
    return TRIPS, {"mapping": mapping}


def stock(folder: Path) -> None:
    """The seller's files."""
    write_parquet(folder / TRIPS, TOWN, VEHICLES, DAYS, SEED)
    (folder / FILE).write_text("cell,hour,flow\n8/1/2,2026-03-02T07:00:00Z,311\n", encoding="utf-8")


def people(folder: Path, recipient: str, *purposes: str) -> tuple[Path, Any]:
    """A file with what the people of the fleet decided about a recipient and purposes (IRIs), and the same as a table."""
    requests = [Request(recipient, purpose, CATEGORIES, agree=0.6, withdrawn=0.2, basis=f"{DPV}Consent") for purpose in purposes]
    decided = consents(TOWN, VEHICLES, requests, SEED)
    file = folder / f"consents-{abs(hash((recipient, purposes)))}.csv"
    pyarrow.csv.write_csv(decided, file)
    return file, decided


def references(recipient: str) -> Any:
    """Under which reference a recipient knows which vehicle."""
    return enrolments(TOWN, VEHICLES, [Request(recipient, "", CATEGORIES)], SEED)
