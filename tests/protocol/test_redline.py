"""What an offer says otherwise than the one before: term by term, whatever the words."""

from __future__ import annotations

from typing import Any

import pytest

from connector.flow.agreeing import narrows
from connector.protocol.messages import Document
from connector.protocol.redline import CHANGES_MOST, TERMS_MOST, changes

ODRL = "http://www.w3.org/ns/odrl/2/"
PURPOSE = {"leftOperand": "odrl:purpose", "operator": "isA", "rightOperand": "https://w3id.org/dpv#ResearchAndDevelopment"}
NARROWER = {**PURPOSE, "rightOperand": "https://w3id.org/dpv#ScientificResearch"}


def offer(*constraints: Document, **more: Any) -> Document:
    rule = {"action": "use", **({"constraint": list(constraints)} if constraints else {})}
    return {"@id": "urn:offer", "@type": "Offer", "target": "urn:dataset", "permission": [rule], **more}


@pytest.mark.parametrize(
    "after",
    [
        offer(PURPOSE, **{"@id": "urn:other", "assigner": "did:web:us", "timestamp": "2026-01-01T00:00:00Z"}),
        offer({**PURPOSE, "leftOperand": f"{ODRL}purpose"}),
        offer({**PURPOSE, "rightOperand": {"@id": PURPOSE["rightOperand"]}}),
        {**offer(), "permission": {"action": {"@id": f"{ODRL}use"}, "constraint": PURPOSE}},
    ],
    ids=["other names", "full names", "a reference", "single objects"],
)
def test_the_same_terms_are_no_change(after: Document) -> None:
    assert changes(offer(PURPOSE), after) == []


@pytest.mark.parametrize(
    ("after", "kind", "term"),
    [
        (offer(NARROWER), "narrowed", f"{ODRL}purpose"),
        (offer(), "removed", f"{ODRL}purpose"),
        (offer(PURPOSE, prohibition=[{"action": "odrl:sell"}]), "added", f"{ODRL}sell"),
        (offer(PURPOSE, target="urn:other"), "changed", f"{ODRL}target"),
        (offer(PURPOSE, profile="https://w3id.org/carnet/terms/profile/1"), "added", f"{ODRL}profile"),
        (offer(PURPOSE, conflict="perm"), "added", f"{ODRL}conflict"),
    ],
)
def test_a_change_has_its_kind_its_term_its_place_and_a_sentence(after: Document, kind: str, term: str) -> None:
    (change,) = changes(offer(PURPOSE), after)
    assert (change["kind"], change["term"]) == (kind, term)
    assert change["path"].startswith("/")
    assert ": " in change["sentence"]


def test_what_cannot_be_read_differs() -> None:
    found = changes(offer(PURPOSE), offer({"leftOperand": "odrl:purpose"}))
    assert [change["term"] for change in found] == ["permission", "member-missing"]
    assert changes(offer(**{"x:y": 1}), offer(**{"x:y": 2}))
    assert changes(offer(), offer(**{"x:y": 2}))


def test_a_rule_that_is_called_what_it_is_not_is_a_change_if_only_one_side_does() -> None:
    plain, named, garbled = (
        {**offer(), "permission": [{"action": "use", **said}]}
        for said in ({}, {"@id": "urn:rule:1", "@type": "Permission"}, {"@type": "Prohibition"})
    )
    assert changes(plain, named) == []
    assert [change["term"] for change in changes(plain, garbled)] == ["type-unexpected"]
    assert changes(garbled, named) == []


def test_a_redline_has_an_end() -> None:
    many = offer()
    many["prohibition"] = [{"action": f"https://x.example/{number}"} for number in range(CHANGES_MOST + 5)]
    assert len(changes(offer(), many)) == CHANGES_MOST


@pytest.mark.parametrize("number", [TERMS_MOST - 1, TERMS_MOST])
def test_who_writes_very_many_terms_is_not_compared_term_by_term(number: int) -> None:
    many = offer(*({**PURPOSE, "rightOperand": f"urn:purpose:{index}"} for index in range(number)))
    compared = number < TERMS_MOST
    assert (changes(offer(), many)[-1]["term"] == "terms-too-many") is not compared
    assert narrows(offer(), many) is compared
