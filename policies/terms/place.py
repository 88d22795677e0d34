"""Place: which rows leave. A place is an IRI (of the EU's place authority, of NUTS) or a box of coordinates."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from policies.model import CARNET, ODRL, Lit, Operator, Value
from policies.terms.given import by_data_plane, said
from policies.terms.term import Bucket, Point, Scope, Term
from policies.terms.values import PARTS, name, number, read_as, text

SPATIAL: Final = f"{ODRL}spatial"
BOUNDING_BOX: Final = f"{CARNET}boundingBox"
PLACES: Final = ("http://publications.europa.eu/resource/authority/", "http://data.europa.eu/nuts/")
"""How the IRIs of places begin that we know how to read."""
_MOST_EAST: Final = 180
_MOST_NORTH: Final = 90


def place(value: Value) -> str | None:
    """The IRI of a place."""
    found = text(value)
    return found if found is not None and found.startswith(PLACES) else None


def box(value: Value) -> tuple[Decimal, Decimal, Decimal, Decimal] | None:
    """``west,south,east,north`` in degrees (WGS 84); a box does not cross the antimeridian."""
    parts = [number(Lit(part.strip())) for part in name(value)[:200].split(",")]
    if len(parts) != 4:
        return None
    west, south, east, north = parts
    if west is None or south is None or east is None or north is None:
        return None
    inside = -_MOST_EAST <= west < east <= _MOST_EAST and -_MOST_NORTH <= south < north <= _MOST_NORTH
    return (west, south, east, north) if inside else None


TERMS: Final = (
    Term(
        SPATIAL,
        "operand",
        Bucket.SHAPE,
        said("The place {operator} {value}.", "Der Ort {operator} {value}.", "Le lieu {operator} {value}."),
        operators=PARTS,
        scopes=frozenset(Scope),
        points=(Point.QUERY,),
        values=read_as(place, "the IRI of a place"),
        given=by_data_plane(SPATIAL),
    ),
    Term(
        BOUNDING_BOX,
        "operand",
        Bucket.SHAPE,
        said("The area {operator} {value}.", "Das Gebiet {operator} {value}.", "La zone {operator} {value}."),
        operators=frozenset({Operator.EQ, Operator.IS_PART_OF}),
        scopes=frozenset(Scope),
        points=(Point.QUERY,),
        values=read_as(box, "west,south,east,north in degrees"),
        given=by_data_plane(BOUNDING_BOX),
    ),
)
