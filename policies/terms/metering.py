"""Counts and rates: kept by durable meters in the data plane.

A fact says how much was used so far. A request for more counts itself, so that what is used up refuses the next one; what goes
on was counted when it began.
"""

from __future__ import annotations

from typing import Final

from policies.model import CARNET, ODRL, XSD, Lit
from policies.terms.given import Read, by_data_plane, said
from policies.terms.term import Bucket, Given, Point, Request, Scope, Term, World
from policies.terms.time import RUNNING
from policies.terms.values import ORDER, by_order, number, read_as, whole

COUNT: Final = f"{ODRL}count"
REQUESTS_PER_VEHICLE_DAY: Final = f"{CARNET}requestsPerVehicleDay"
ROWS: Final = f"{CARNET}rows"
BYTES: Final = f"{CARNET}bytes"


def _counted(iri: str) -> Read:
    behind = by_data_plane(iri)

    def read(request: Request, world: World) -> Given:
        used = world.facts.get(iri)
        if not isinstance(used, int) or isinstance(used, bool):
            return behind(request, world)
        return (Lit(str(used + (request.scope is Scope.TRANSFER)), f"{XSD}integer"),)

    return read


_ROWS: Final = (
    (COUNT, "The number of requests", "Die Zahl der Abrufe", "Le nombre de requêtes"),
    (ROWS, "The number of rows", "Die Zahl der Zeilen", "Le nombre de lignes"),
    (BYTES, "The number of bytes", "Die Zahl der Bytes", "Le nombre d'octets"),
)

TERMS: Final = (
    *(
        Term(
            iri,
            "operand",
            Bucket.METER,
            said(f"{en} {{operator}} {{value}}.", f"{de} {{operator}} {{value}}.", f"{fr} {{operator}} {{value}}."),
            operators=ORDER,
            scopes=RUNNING,
            points=(Point.METER,),
            values=read_as(whole, "a whole number that is not negative"),
            compare=by_order(number),
            given=_counted(iri),
            remedy="make a new contract once it is used up",
        )
        for iri, en, de, fr in _ROWS
    ),
    Term(
        REQUESTS_PER_VEHICLE_DAY,
        "operand",
        Bucket.METER,
        said(
            "The number of requests for a vehicle in a day {operator} {value}.",
            "Die Zahl der Abrufe je Fahrzeug und Tag {operator} {value}.",
            "Le nombre de requêtes par véhicule et par jour {operator} {value}.",
        ),
        operators=ORDER,
        scopes=frozenset(Scope),
        points=(Point.METER,),
        values=read_as(whole, "a whole number that is not negative"),
        given=by_data_plane(REQUESTS_PER_VEHICLE_DAY),
    ),
)
