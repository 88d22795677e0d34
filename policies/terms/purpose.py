"""The purpose: a concept of the tree in ``policies/purposes.py``, to which the buyer narrows an offer."""

from __future__ import annotations

from typing import Final

from policies.model import Ref
from policies.purposes import PURPOSE, PURPOSES, line
from policies.terms.given import said
from policies.terms.term import Bucket, Given, Point, Request, Scope, Term, Unknown, World
from policies.terms.values import CONCEPTS, by_name, one_of

_MISSING: Final = Unknown("narrow the purpose of the offer to one concept")

_NOT_PUBLISHED: Final = Unknown("name a purpose of the published tree")
_REFS: Final = {iri: tuple(Ref(broader) for broader in line(iri)) for iri in PURPOSES}


def _given(request: Request, world: World) -> Given:
    if request.purpose is None:
        return _MISSING
    return _REFS.get(request.purpose, _NOT_PUBLISHED)


TERMS: Final = (
    Term(
        PURPOSE,
        "operand",
        Bucket.GATE,
        said("The purpose {operator} {value}.", "Der Zweck {operator} {value}.", "La finalité {operator} {value}."),
        operators=CONCEPTS,
        scopes=frozenset({Scope.NEGOTIATION, Scope.TRANSFER, Scope.ONGOING}),
        points=(Point.NEGOTIATION, Point.TRANSFER, Point.DATA_REQUEST),
        values=one_of(frozenset(PURPOSES), "a purpose of the published tree"),
        compare=by_name,
        given=_given,
        remedy="ask for a purpose that the offer allows",
    ),
)
