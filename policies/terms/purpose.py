"""The purpose: a concept of the tree in ``policies/purposes.py``, to which the buyer narrows an offer."""

from __future__ import annotations

from typing import Final

from policies.model import Operator, Ref
from policies.purposes import PURPOSE, PURPOSES, is_a, line
from policies.terms.given import said
from policies.terms.term import Bucket, Given, Point, Request, Scope, Term, Unknown, World
from policies.terms.values import CONCEPTS, Values, by_name, name, one_of

_MISSING: Final = Unknown("narrow the purpose of the offer to one concept")

_NOT_PUBLISHED: Final = Unknown("name a purpose of the published tree")
_NEGATIVE: Final = frozenset({Operator.NEQ, Operator.IS_NONE_OF})
_REFS: Final = {iri: tuple(Ref(broader) for broader in line(iri)) for iri in PURPOSES}


def _given(request: Request, world: World) -> Given:
    if request.purpose is None:
        return _MISSING
    return _REFS.get(request.purpose, _NOT_PUBLISHED)


def by_purpose(given: Values, operator: Operator, right: Values) -> bool | None:
    """Compares a purpose and all broader ones, nearest first, as ``by_name`` does.

    None where it is broader than what is asked about and may or may not be that: a vague purpose escapes no prohibition.
    """
    verdict = by_name(given, operator, right)
    if not given or verdict is not (operator in _NEGATIVE):
        return verdict
    nearest, held = name(given[0]), set(map(name, given))
    below = [name(one) for one in right if name(one) not in held and is_a(name(one), nearest)]
    others = [name(one) for one in right if name(one) not in held and name(one) not in below]
    return None if below and not (operator is Operator.IS_ALL_OF and others) else verdict


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
        compare=by_purpose,
        given=_given,
        remedy="ask for a purpose that the offer allows",
    ),
)
