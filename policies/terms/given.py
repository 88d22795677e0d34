"""What operands are now: read from claims, from recorded facts, or left to the data plane. For the modules of terms.

A fact is a value, a text, a number, a truth, or a collection of these; what cannot be read is as good as not recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policies.model import XSD, Lit, Ref
from policies.terms.term import Enforced, Given, Language, Request, Unknown, World
from policies.terms.values import Values

Read = Callable[[Request, World], Given]


def said(en: str, de: str, fr: str) -> dict[Language, str]:
    """A sentence in three languages."""
    return {"en": en, "de": de, "fr": fr}


def as_values(fact: Any) -> Values:
    """A fact as values, in the order in which it has them; nothing for what is none."""
    match fact:
        case Ref() | Lit():
            return (fact,)
        case bool():
            return (Lit("true" if fact else "false", f"{XSD}boolean"),)
        case int():
            return (Lit(str(fact), f"{XSD}integer"),)
        case str():
            return (Lit(fact),)
        case tuple() | list() | set() | frozenset():
            return tuple(value for item in fact for value in as_values(item))
        case _:
            return ()


def recorded(iri: str, remedy: str) -> Read:
    """What the facts say. An empty collection is an answer; a fact that is missing is not."""

    def read(request: Request, world: World) -> Given:
        return Unknown(remedy) if world.facts.get(iri) is None else as_values(world.facts[iri])

    return read


def by_data_plane(iri: str) -> Read:
    """A parameter of what a data plane does: satisfied where one declares that it keeps it."""
    missing = Unknown(f"declare <{iri}> at a data plane that enforces it")

    def read(request: Request, world: World) -> Given:
        return Enforced() if iri in world.enforced else missing

    return read


def recorded_or_by_data_plane(iri: str) -> Read:
    """What the facts say, else whether a data plane keeps it."""
    behind = by_data_plane(iri)

    def read(request: Request, world: World) -> Given:
        return behind(request, world) if world.facts.get(iri) is None else as_values(world.facts[iri])

    return read


def claimed(claim: str) -> Read:
    """A verified claim about the caller."""
    missing = Unknown(f"have the claim {claim!r} about you verified")

    def read(request: Request, world: World) -> Given:
        found = request.claims.get(claim)
        return missing if found is None else as_values(found)

    return read
