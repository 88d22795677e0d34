"""The registry of terms, how facts are read, and the words of sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

import pytest

from policies.model import CARNET, ODRL, PROFILE, XSD, Constraint, Lit, Operator, Ref
from policies.terms import registry
from policies.terms.actions import USE
from policies.terms.duties import COMPENSATE
from policies.terms.examine import Understood, included, understand
from policies.terms.foreign import EDC, offset_ms
from policies.terms.given import as_values
from policies.terms.place import box
from policies.terms.price import EURO
from policies.terms.registry import REGISTRY, profile_known, register, term
from policies.terms.term import Bucket, Point, Scope, Term
from policies.terms.time import DATE_TIME
from policies.terms.wording import sentence

OWN: Final = Term("urn:own", "action", Bucket.LEGAL, {"en": "a", "de": "b", "fr": "c"}, legal_only=True)


def test_a_deployment_registers_terms_and_a_profile_of_its_own() -> None:
    with patch.dict(registry._terms), patch.object(registry, "_profiles", {PROFILE}):
        register(OWN, profile="urn:profile")
        assert term("urn:own") is OWN
        assert profile_known("urn:profile")
        register(replace(OWN, iri="urn:own:2"))
        with pytest.raises(ValueError, match="registered already"):
            register(OWN)
    assert term("urn:own") is None


OPERAND: Final = replace(OWN, kind="operand", operators=frozenset({Operator.EQ}), values=lambda values: None)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (replace(OWN, legal_only=False), "exactly one"),
        (replace(OWN, evidence="a letter"), "exactly one"),
        (replace(OWN, points=(Point.CLOCK,), legal_only=False), "go together"),
        (replace(OWN, sentence={"en": "a"}), "every language"),
        (replace(OPERAND, operators=frozenset()), "has operators"),
        (replace(OPERAND, values=None), "has operators"),
        (replace(OPERAND, scopes=frozenset(Scope)), "decided somewhere"),
    ],
)
def test_a_term_that_cannot_be_kept_is_not_registered(wrong: Term, why: str) -> None:
    with patch.dict(registry._terms), pytest.raises(ValueError, match=why):
        register(wrong)


def test_inclusion_comes_to_an_end() -> None:
    ring = {"urn:a": replace(OWN, iri="urn:a", included_in="urn:b"), "urn:b": replace(OWN, iri="urn:b", included_in="urn:a")}
    with patch.dict(registry._terms, ring):
        assert included("urn:a", "urn:b")
        assert not included("urn:a", USE)
    assert not included("urn:nobody", "urn:nobody")
    assert not included(DATE_TIME, DATE_TIME)


# --- parts -----------------------------------------------------------------------------------------------------------


def test_units_and_several_values_are_those_of_the_term() -> None:
    price = Constraint(f"{ODRL}payAmount", f"{ODRL}eq", (Lit("3.00", f"{XSD}decimal"),))
    assert isinstance(understand(replace(price, unit=EURO)), Understood)
    assert not isinstance(understand(replace(price, unit="urn:shell")), Understood)
    columns = Constraint(f"{CARNET}columns", f"{ODRL}isAnyOf", tuple(Lit(str(one)) for one in range(257)))
    assert not isinstance(understand(columns), Understood)
    assert isinstance(understand(replace(columns, right=columns.right[1:])), Understood)


def test_facts_are_read_as_values() -> None:
    assert as_values(True) == (Lit("true", f"{XSD}boolean"),)
    assert as_values(False) == (Lit("false", f"{XSD}boolean"),)
    assert as_values([1, "a", (Ref("urn:x"), None)]) == (Lit("1", f"{XSD}integer"), Lit("a"), Ref("urn:x"))


def test_no_comparison_fails_for_what_it_did_not_expect() -> None:
    for found in REGISTRY.values():
        if found.compare is not None:
            for operator in found.operators & {Operator.EQ, Operator.LT, Operator.GT}:
                assert found.compare((), operator, ()) in (None, True, False)
                assert found.compare((Lit("x"), Lit("y")), operator, (Lit("z"),)) in (None, True, False)
    force = REGISTRY[f"{EDC}inForceDate"].compare
    assert force is not None
    assert force((Lit("x"), Lit("y")), Operator.LT, (Lit("contractAgreement+1d"),)) is None
    assert force((), Operator.LT, ()) is None


def test_a_box_is_in_the_world() -> None:
    assert box(Lit("-180,-90,180,90")) is not None
    assert box(Lit("-181,-90,180,90")) is None
    assert box(Lit("0,10,1,10")) is None


def test_offsets_have_a_sign_and_a_unit() -> None:
    assert [offset_ms(Lit(f"contractAgreement{form}")) for form in ("+1s", "-1m", "+1h", "+1d", "1d", "+1w")] == [
        1_000, -60_000, 3_600_000, 86_400_000, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("iri", "operator", "language", "said"),
    [
        (f"{ODRL}count", Operator.LT, "en", "The number of requests is less than 1."),
        (DATE_TIME, Operator.LT, "en", "The time is before 1."),
        (DATE_TIME, Operator.GTEQ, "de", "Die Zeit liegt nicht vor 1."),
        (DATE_TIME, Operator.EQ, "fr", "La date est 1."),
    ],
)
def test_moments_are_before_and_sizes_are_less(iri: str, operator: Operator, language: Any, said: str) -> None:
    assert sentence(REGISTRY[iri], operator, (Lit("1"),), language) == said


def test_a_long_list_is_counted() -> None:
    values = tuple(Lit(str(one)) for one in range(10))
    assert sentence(REGISTRY[f"{CARNET}columns"], Operator.IS_ANY_OF, values, "en").endswith("6, 7 (+2).")


def test_a_term_is_found_by_its_iri() -> None:
    assert term(COMPENSATE) is REGISTRY[COMPENSATE]
