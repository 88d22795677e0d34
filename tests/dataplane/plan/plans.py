"""Tables and short ways to terms for the tests of plans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from connector.dataplane.plan.declared import every
from connector.dataplane.plan.make import Who, make
from connector.dataplane.plan.model import Ask, Circle, Plan
from connector.dataplane.plan.places import Places
from connector.dataplane.tables.model import ACCELERATION, LATITUDE, LONGITUDE, SPEED, Column, Mapping, Table, TimeColumn
from policies.compile import compile_agreement
from policies.delivery import Capabilities, Delivery
from policies.model import CARNET, DPV, ODRL, Action, Constraint, Duty, Lit, Permission, Policy, Ref
from policies.odrl import read

OFFERS: Final = Path(__file__).parents[2] / "policies" / "offers"
NOW_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
AMBIENT: Final = "Vehicle.Exterior.AirTemperature"
VIN: Final = "Vehicle.VehicleIdentification.VIN"
COLUMNS: Final = (
    Column("speed", SPEED, unit="km/h", category="driving-behaviour"),
    Column("lat", LATITUDE, unit="degrees", category="location"),
    Column("lon", LONGITUDE, unit="degrees", category="location"),
    Column("acc", ACCELERATION, unit="m/s^2", category="driving-behaviour"),
    Column("temp", AMBIENT, unit="celsius", category="environment"),
    Column("vin", VIN, type="text", category="identity"),
    Column("dtc", "Vehicle.Diagnostics.DTCList", type="text", category="diagnostics"),
)
TABLE: Final = Table(
    id="raw",
    files=("rows.parquet",),
    format="parquet",
    headers=tuple((column.header, "DOUBLE") for column in COLUMNS),
    mapping=Mapping(origin="vss", columns=COLUMNS, time=TimeColumn("at"), vehicle="vin", trip="trip"),
    rows=1_000,
    vehicles=20,
    sampling_ms=1_000,
    first_s=1_600_000_000,
    last_s=1_700_000_000,
    snapshot="one",
    sensitive=(Circle(48.0, 11.0, 200),),
)
BLIND: Final = msgspec.structs.replace(
    TABLE, mapping=msgspec.structs.replace(TABLE.mapping, columns=tuple(one for one in COLUMNS if one.category != "location"))
)
SLOW: Final = msgspec.structs.replace(TABLE, sampling_ms=5_000)
INSURANCE: Final = f"{CARNET}UsageBasedInsurance"
WHO: Final = Who("urn:asset:x", "urn:agreement:1", "did:web:buyer.example", INSURANCE)
PLACES: Final = Places.of()
MONTPELLIER: Final = "http://publications.europa.eu/resource/authority/place/FRA_MPL"


def term(left: str, operator: str, *right: str | int) -> Constraint:
    """A constraint by short names: of our own terms, or ``odrl:``; values with a prefix are concepts."""
    iri = left.replace("odrl:", ODRL) if ":" in left else CARNET + left

    def value(one: str | int) -> Ref | Lit:
        text = str(one).replace("vdx:", CARNET).replace("dpv:", DPV)
        return Ref(text) if text.startswith(("http", "urn:")) else Lit(text)

    return Constraint(iri, ODRL + operator, tuple(value(one) for one in right))


CONSENT: Final = Duty(Action(f"{ODRL}obtainConsent"))
ROUND: Final = term("spatialResolution", "lteq", 7)
"""What lets rows of the table leave at all: speed and a precise position may not leave together."""


def permission(*constraints: Constraint, duties: tuple[Duty, ...] = ()) -> Permission:
    return Permission(Action(f"{ODRL}read"), constraints, duties)


def delivery(*permissions: Permission, **more: Any) -> Delivery:
    """Compiled by who keeps all terms and knows no columns: what is refused is refused by the plan."""
    return compile_agreement(Policy("Agreement", "urn:a", permissions, **more), Capabilities(every(), unicity=(2_000, 0.01)))


def offer(number: int) -> Delivery:
    """One of the seven offers, compiled."""
    (path,) = OFFERS.glob(f"{number}-*.jsonld")
    return compile_agreement(read(msgspec.json.decode(path.read_bytes())), Capabilities(every()))


def planned(*constraints: Constraint, **more: Any) -> Plan:
    """The plan of one permission: of ``table``, for ``ask``, for ``purpose``, with ``duties``."""
    found = delivery(permission(*constraints, duties=more.get("duties", ())))
    who = replace(WHO, purpose=more.get("purpose", INSURANCE))
    ask: Ask = more.get("ask", Ask())
    return make(found, more.get("table", TABLE), ask, who, more.get("now_ms", NOW_MS), more.get("places", PLACES))
