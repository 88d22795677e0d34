"""Exclusivity: no other contract overlaps in territory, field of use, period and data. Examined before there is an agreement.

The fact says whether the register of grants is free of an overlap. What does not claim exclusivity needs none.
"""

from __future__ import annotations

from typing import Final

from policies.model import CARNET, Operator
from policies.terms.given import recorded, said
from policies.terms.term import Bucket, Point, Scope, Term
from policies.terms.values import Values, read_as, truth

EXCLUSIVE: Final = f"{CARNET}exclusive"


def _free(given: Values, operator: Operator, right: Values) -> bool | None:
    free, claimed = (truth(values[0]) if values else None for values in (given, right))
    return None if free is None or claimed is None else free or not claimed


TERMS: Final = (
    Term(
        EXCLUSIVE,
        "operand",
        Bucket.GATE,
        said(
            "Exclusive use {operator} {value}.",
            "Ausschließliche Nutzung {operator} {value}.",
            "L'usage exclusif {operator} {value}.",
        ),
        operators=frozenset({Operator.EQ}),
        scopes=frozenset({Scope.NEGOTIATION}),
        points=(Point.PUBLICATION, Point.AGREEMENT),
        values=read_as(truth, "true or false"),
        compare=_free,
        given=recorded(EXCLUSIVE, "look the grant up in the register of exclusive contracts"),
        remedy="ask for another territory, use or period",
    ),
)
