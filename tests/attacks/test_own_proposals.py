"""Nobody approves his own proposal, however the other side gives it back to him: verbatim, in other words, or hardly less."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from connector.flow import acts, deciding
from connector.flow.context import Choices
from connector.protocol.errors import PolicyDenied
from connector.protocol.messages import Document
from connector.protocol.record import Process, Rule
from connector.protocol.redline import TERMS_MOST, covers
from connector.protocol.states import State
from tests.flow.deciders import ANNA, BERT, asked, published
from tests.flow.house import Fuse, Street
from tests.flow.test_acceptance import negotiation, rest
from tests.flow.test_by_terms import ACADEMIC, RESEARCH, allows, when

LONG_FROM_NOW = when("odrl:dateTime", "lt", {"@value": "2999-01-01T00:00:00Z", "@type": "xsd:dateTime"})
OWN = allows(ACADEMIC)
RETURNED = {
    "verbatim": OWN,
    "twice": {"permission": OWN["permission"] * 2},
    "wrapped": allows({"and": [ACADEMIC]}),
    "hardly less": allows(ACADEMIC, LONG_FROM_NOW),
}


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    """Two connectors."""
    street = Street(Fuse())
    await street.open(tmp_path, "street")
    yield street
    await street.close()


async def answered(street: Street, terms: Document, *, published_id: bool) -> Process:
    """The provider's negotiation, in which Anna has made an offer and the other side answers with these terms."""
    offer = await published(street, allows(RESEARCH), roles=("commercial",))
    ours = await asked(street, {**offer, **allows()})
    await deciding.counter(street.provider.context, ours.id, OWN, by=ANNA)
    await rest(street)
    theirs = await negotiation(street.consumer)
    named = {"@id": offer["@id"]} if published_id else {}
    await acts.offer(street.consumer.context, theirs.id, {**terms, **named})
    await rest(street)
    return await negotiation(street.provider)


@pytest.mark.parametrize("published_id", [False, True], ids=["a new offer", "under the published id"])
@pytest.mark.parametrize("how", RETURNED)
async def test_a_proposal_that_comes_back_is_still_ones_own(street: Street, how: str, published_id: bool) -> None:
    ours = await answered(street, RETURNED[how], published_id=published_id)
    assert (ours.state, ours.detail.pending is None) == (State.REQUESTED, False)
    with pytest.raises(PolicyDenied) as refusal:
        await deciding.approve(street.provider.context, ours.id, by=ANNA)
    assert refusal.value.code == "approval-own"
    with pytest.raises(PolicyDenied) as refusal:
        await acts.agree(street.provider.context, ours.id, by=ANNA)
    assert refusal.value.code == "approval-own"
    await deciding.approve(street.provider.context, ours.id, by=BERT)
    await rest(street)
    assert (await negotiation(street.consumer)).state is State.FINALIZED


async def test_what_the_other_side_proposes_itself_may_be_approved(street: Street) -> None:
    ours = await answered(street, allows(), published_id=False)
    await deciding.approve(street.provider.context, ours.id, by=ANNA)
    await rest(street)
    assert (await negotiation(street.consumer)).state is State.FINALIZED


def test_what_nobody_can_compare_may_mean_the_same() -> None:
    many = [
        {"action": "use", "constraint": [{**LONG_FROM_NOW, "rightOperand": f"{3000 + year}-01-01T00:00:00Z"}]}
        for year in range(TERMS_MOST)
    ]
    offer = {"@id": "urn:o", "@type": "Offer", "target": "t", "permission": many}
    assert covers(offer, {**offer, "permission": [{"action": "use", "constraint": [ACADEMIC]}, *many]})
    assert not covers({**offer, "permission": many[:1]}, {**offer, "permission": "nonsense"})


async def test_an_offer_of_no_less_than_was_asked_for_is_what_was_asked_for(street: Street) -> None:
    house = street.consumer
    house.context = replace(
        house.context, choices=Choices(accept=False), asks=Rule(roles=("operator", "commercial"), origin="settings")
    )
    street.provider.context = replace(street.provider.context, choices=Choices(decide=False))
    ours = await asked(street, {**await published(street), **allows(ACADEMIC)}, by=ANNA)
    await acts.offer(street.provider.context, ours.id, allows())
    await rest(street)
    theirs = await negotiation(house)
    assert (theirs.detail.pending, theirs.detail.redline == []) == ("decide-offer", False)
    with pytest.raises(PolicyDenied) as refusal:
        await deciding.approve(house.context, theirs.id, by=ANNA)
    assert refusal.value.code == "approval-own"
    await deciding.approve(house.context, theirs.id, by=BERT)
