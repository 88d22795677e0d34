"""The words for operators, and the sentence of an operand filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policies.model import Operator
from policies.terms.term import Language, Term
from policies.terms.values import Values, name

SHOWN_MOST: Final = 8
"""Values that a sentence names; more are counted."""
_LENGTH_MOST: Final = 120

# A colon where German and French would have to inflect what follows, which is the name of a concept.
OPERATORS: Final[Mapping[Operator, Mapping[Language, str]]] = {
    Operator.EQ: {"en": "is", "de": "ist", "fr": "est"},
    Operator.NEQ: {"en": "is not", "de": "ist nicht", "fr": "n'est pas"},
    Operator.LT: {"en": "is less than", "de": "ist kleiner als", "fr": "est inférieur à"},
    Operator.LTEQ: {"en": "is at most", "de": "ist höchstens", "fr": "est au plus"},
    Operator.GT: {"en": "is more than", "de": "ist größer als", "fr": "est supérieur à"},
    Operator.GTEQ: {"en": "is at least", "de": "ist mindestens", "fr": "est au moins"},
    Operator.IS_A: {"en": "is a kind of", "de": "fällt unter:", "fr": "relève de :"},
    Operator.IS_ANY_OF: {"en": "is one of", "de": "ist eines von:", "fr": "est parmi :"},
    Operator.IS_ALL_OF: {"en": "is all of", "de": "ist alles von:", "fr": "est à la fois :"},
    Operator.IS_NONE_OF: {"en": "is none of", "de": "ist keines von:", "fr": "n'est aucun de :"},
    Operator.IS_PART_OF: {"en": "is part of", "de": "ist Teil von:", "fr": "fait partie de :"},
    Operator.HAS_PART: {"en": "includes", "de": "umfasst", "fr": "comprend"},
}

MOMENTS: Final[Mapping[Operator, Mapping[Language, str]]] = {
    Operator.LT: {"en": "is before", "de": "liegt vor", "fr": "est avant"},
    Operator.LTEQ: {"en": "is not after", "de": "liegt nicht nach", "fr": "n'est pas après"},
    Operator.GT: {"en": "is after", "de": "liegt nach", "fr": "est après"},
    Operator.GTEQ: {"en": "is not before", "de": "liegt nicht vor", "fr": "n'est pas avant"},
}
"""Other words for what is compared with a moment."""


def words(term: Term, operator: Operator, language: Language) -> str:
    """How an operator is said of a term."""
    return ((MOMENTS.get(operator) if term.moment else None) or OPERATORS[operator])[language]


def sentence(term: Term, operator: Operator, values: Values, language: Language) -> str:
    """The sentence of an operand about these values, which are named by the ends of their IRIs."""
    return term.sentence[language].format(operator=words(term, operator, language), value=_listed(values))


def _listed(values: Values) -> str:
    shown = ", ".join(_short(name(value)) for value in values[:SHOWN_MOST])
    return shown if len(values) <= SHOWN_MOST else f"{shown} (+{len(values) - SHOWN_MOST})"


def _short(iri: str) -> str:
    return (iri.rpartition("#")[2] or iri)[:_LENGTH_MOST]
