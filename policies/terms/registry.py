"""All terms by IRI, and the table of them for people.

The terms of a deployment's own come by ``register`` once, when it starts; the connector finds them, this module loads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, get_args

from policies.model import PROFILE
from policies.terms import (
    actions,
    catenax,
    consent,
    duties,
    exclusivity,
    foreign,
    metering,
    party,
    place,
    price,
    privacy,
    purpose,
    time,
)
from policies.terms.term import Bucket, Language, Point, Term

FAMILIES: Final[Mapping[str, tuple[Term, ...]]] = MappingProxyType(
    {
        "party": party.TERMS,
        "purpose": purpose.TERMS,
        "time": time.TERMS,
        "metering": metering.TERMS,
        "place": place.TERMS,
        "privacy": privacy.TERMS,
        "consent": consent.TERMS,
        "price": price.TERMS,
        "exclusivity": exclusivity.TERMS,
        "duties": duties.TERMS,
        "actions": actions.TERMS,
        "foreign": foreign.TERMS,
        "catenax": catenax.TERMS,
    }
)
"""The terms that come with the product, by module."""

SHOWN: Final[Mapping[Point, str]] = MappingProxyType(
    {
        Point.CATALOGUE: "test_enforcement.py::test_an_offer_is_not_shown",
        Point.NEGOTIATION: "test_enforcement.py::test_a_negotiation_is_refused",
        Point.PUBLICATION: "test_enforcement.py::test_a_publication_is_refused",
        Point.AGREEMENT: "test_enforcement.py::test_an_agreement_is_refused",
        Point.TRANSFER: "test_enforcement.py::test_a_transfer_is_refused",
        Point.CLOCK: "test_enforcement.py::test_a_running_transfer_is_ended",
        Point.DATA_REQUEST: "test_enforcement_on_requests.py::test_a_request_is_refused",
        Point.QUERY: "test_enforcement_on_data.py::test_what_is_delivered_is_as_agreed",
        Point.METER: "test_enforcement_on_requests.py::test_no_more_leaves_than_the_limit_allows",
    }
)
"""By point: the test, run for every term that is enforced there, which fails without the term and without its enforcement."""

_terms: Final[dict[str, Term]] = {found.iri: found for terms in FAMILIES.values() for found in terms}
REGISTRY: Final[Mapping[str, Term]] = MappingProxyType(_terms)

_profiles: Final = {PROFILE, catenax.CX, "http://www.w3.org/ns/odrl/2/core"}


def term(iri: str) -> Term | None:
    """The term of this IRI, or None where nobody here knows it."""
    return _terms.get(iri)


def profile_known(iri: str) -> bool:
    """Whether we know what a profile adds to ODRL (ODRL 2.2, section 3.2: who does not must stop)."""
    return iri in _profiles


def register(found: Term, *, profile: str | None = None) -> None:
    """Adds a term of a deployment's own, and the profile that it belongs to.

    Raises ValueError where the IRI is taken, or where ``defect`` finds something.
    """
    if found.iri in _terms:
        raise ValueError(f"the term {found.iri} is registered already")
    if (wrong := defect(found)) is not None:
        raise ValueError(f"the term {found.iri} cannot be registered: {wrong}")
    _terms[found.iri] = found
    if profile is not None:
        _profiles.add(profile)


def defect(found: Term) -> str | None:
    """What keeps a term from being one: it says in exactly one way how it is kept, and can be decided where it claims to be."""
    if [bool(found.points), found.evidence is not None, found.legal_only].count(True) != 1:
        return "say exactly one of points, evidence and legal_only"
    if found.legal_only != (found.bucket is Bucket.LEGAL):
        return "legal_only and the bucket 'legal only' go together"
    if set(found.sentence) != set(get_args(Language)):
        return "say it in every language"
    if found.kind != "operand":
        return None
    if not found.operators or found.values is None:
        return "an operand has operators and checks its values"
    if bool(found.scopes) != (found.given is not None):
        return "an operand that is decided somewhere says what it is there, and no other does"
    return None


def kept(found: Term) -> str:
    """How a term is kept, in English."""
    if found.points:
        return "enforced at " + ", ".join(point.value for point in found.points)
    return "legal only" if found.evidence is None else f"evidenced by {found.evidence}"


def table() -> str:
    """The terms that come with the product, as a table in Markdown: what each is, how it is kept, and the test that shows it.

    Below it, by point: the test that fails where a term is not enforced there any more.
    """
    lines = ["| term | kind | kept | compiles to | test |", "| --- | --- | --- | --- | --- |"]
    for family, terms in FAMILIES.items():
        test = f"`tests/policies/test_terms.py::test_{family}`"
        lines += [f"| `{found.iri}` | {found.kind} | {kept(found)} | {found.bucket.value} | {test} |" for found in terms]
    lines += ["", "| enforced at | test |", "| --- | --- |"]
    lines += [f"| {point.value} | `tests/acceptance/{test}` |" for point, test in SHOWN.items()]
    return "\n".join(lines)
