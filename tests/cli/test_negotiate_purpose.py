"""The purpose on the command line narrows the offer that is asked for."""

from __future__ import annotations

import click
import pytest

from connector.cli.negotiate import changed, narrowed
from policies.model import CARNET

OFFER = {
    "@id": "urn:offer",
    "@type": "Offer",
    "permission": [
        {
            "action": "use",
            "constraint": [{"leftOperand": "odrl:purpose", "operator": "isA", "rightOperand": f"{CARNET}PublicInterest"}],
        }
    ],
    "prohibition": [{"action": "odrl:sell"}],
}


def test_the_offer_is_asked_for_with_one_purpose() -> None:
    found = narrowed(OFFER, f"{CARNET}RoadSafety")
    assert {name: found[name] for name in ("@id", "prohibition")} == {name: OFFER[name] for name in ("@id", "prohibition")}
    assert found["permission"][0]["constraint"] == [
        {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": f"{CARNET}RoadSafety"}
    ]


@pytest.mark.parametrize(
    ("offer", "answer"),
    [(OFFER, "permits nothing for the purpose"), ({"permission": []}, "cannot be narrowed: member-missing")],
)
def test_what_is_not_offered_for_it_is_said(offer: dict[str, object], answer: str) -> None:
    with pytest.raises(click.ClickException, match=answer):
        narrowed(offer, f"{CARNET}Insurance")


def test_empty_lists_leave_something_out() -> None:
    assert changed(OFFER, {"prohibition": [], "obligation": [1]}) == {
        "@id": "urn:offer",
        "@type": "Offer",
        "permission": OFFER["permission"],
        "obligation": [1],
    }
