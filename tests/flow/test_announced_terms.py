"""Terms that installed packages announce are registered when the connector starts, or it does not start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from types import ModuleType
from unittest.mock import patch

import pytest

from connector.terms import GROUP, TermsInvalid, load_terms
from policies.terms import registry
from policies.terms.term import Bucket, Term

OWN = Term("urn:own", "action", Bucket.LEGAL, {"en": "a", "de": "b", "fr": "c"}, legal_only=True)
PROFILE = "https://fleet.example/profile"


@pytest.fixture(autouse=True)
def package() -> Iterator[ModuleType]:
    made = ModuleType("fleet_terms")
    with patch.dict(sys.modules, {"fleet_terms": made}), patch.dict(registry._terms), patch.object(registry, "_profiles", set()):
        yield made


def announced(package: ModuleType, what: object, name: str = "fleet") -> EntryPoint:
    package.__dict__["TERMS"] = what
    return EntryPoint(name, "fleet_terms:TERMS", GROUP)


@pytest.mark.parametrize("what", [OWN, (OWN,), [OWN]])
def test_a_term_or_several_are_registered(package: ModuleType, what: object) -> None:
    assert load_terms([announced(package, what)]) == ("urn:own",)
    assert registry.term("urn:own") is OWN
    assert not registry.profile_known("fleet")


def test_an_entry_point_named_by_an_iri_names_a_profile(package: ModuleType) -> None:
    load_terms([announced(package, OWN, PROFILE)])
    assert registry.profile_known(PROFILE)


@pytest.mark.parametrize("what", ["urn:own", None, [OWN, OWN], ["urn:own"]])
def test_what_is_no_term_or_is_there_already_stops_the_start(package: ModuleType, what: object) -> None:
    with pytest.raises(TermsInvalid, match="fleet"):
        load_terms([announced(package, what)])


def test_without_packages_there_is_nothing_to_register() -> None:
    assert load_terms() == ()
