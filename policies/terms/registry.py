"""All terms by IRI, and the judgement whether a constraint says something that somebody here can keep.

The terms of a deployment's own come by ``register`` once, when it starts; the connector finds them, this module loads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from policies.terms import actions, duties, purpose, time
from policies.terms.term import Term

_FAMILIES: Final = (actions, duties, purpose, time)
_terms: Final[dict[str, Term]] = {found.iri: found for family in _FAMILIES for found in family.TERMS}
REGISTRY: Final[Mapping[str, Term]] = MappingProxyType(_terms)


def term(iri: str) -> Term | None:
    """The term of this IRI, or None where nobody here knows it."""
    return _terms.get(iri)


def register(found: Term) -> None:
    """Adds a term. Raises ValueError where its IRI is taken, or it does not say in exactly one way how it is kept."""
    if found.iri in _terms:
        raise ValueError(f"the term {found.iri} is registered already")
    _terms[found.iri] = found
