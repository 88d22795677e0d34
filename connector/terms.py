"""Terms of a deployment's own: found once, when the connector starts, where installed packages announce them.

A package announces terms at the entry point group ``carnet.terms``; each entry is a ``policies.terms.term.Term``, or a collection
of them. The name of the entry point is the IRI of the profile that they belong to, where it is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from policies.terms.registry import register
from policies.terms.term import Term

GROUP: Final = "carnet.terms"


class TermsInvalid(Exception):
    """What a package announces are no terms, or terms that cannot be kept. The connector does not start."""


def load_terms(found: Iterable[EntryPoint] | None = None) -> tuple[str, ...]:
    """Registers all announced terms and gives their IRIs. Raises TermsInvalid, naming the entry point."""
    registered: list[str] = []
    for entry in entry_points(group=GROUP) if found is None else found:
        loaded = entry.load()
        terms = [loaded] if isinstance(loaded, Term) else loaded
        if not isinstance(terms, list | tuple) or not all(isinstance(one, Term) for one in terms):
            raise TermsInvalid(f"{GROUP}: {entry.name} announces {type(loaded).__name__}, which is no collection of terms")
        try:
            for one in terms:
                register(one, profile=entry.name if ":" in entry.name else None)
                registered.append(one.iri)
        except ValueError as wrong:
            raise TermsInvalid(f"{GROUP}: {entry.name}: {wrong}") from wrong
    return tuple(registered)
