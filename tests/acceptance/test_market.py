"""The seven offers between real connectors: published, seen, agreed to over DSP or refused with reasons; one to the data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final, get_args

import pytest
import pytest_asyncio

from connector.client.local import Document
from policies import dsp, odrl
from policies.compare import differences
from policies.model import DPV
from policies.narrowing import for_purpose
from policies.terms.term import Language
from tests.acceptance.market import SELLER, House, Market, open_market
from tests.acceptance.seven import OFFERS, Offered, full

pytestmark = pytest.mark.asyncio(loop_scope="module")
BY_NUMBER: Final = {offered.number: offered for offered in OFFERS}
MARKETING: Final = f"{DPV}Marketing"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Market]:
    """All seven are published by a seller whose data plane says that it keeps their terms."""
    async with open_market(tmp_path_factory.mktemp("market")) as opened:
        for offered in OFFERS:
            await opened.publish(offered.target, offers=[offered.document])
        yield opened


async def seen(market: Market, buyer: House, number: str) -> Document:
    """The one offer that a buyer sees of a dataset."""
    (offer,) = await market.offered(buyer, BY_NUMBER[number].target)
    return offer


def narrowed(offer: Document, purpose: str) -> Document:
    found = for_purpose(dsp.read(offer), full(purpose))
    assert found is not None
    return {**offer, "permission": dsp.write(found)["permission"]}


def for_marketing(offer: Document) -> Document:
    """The offer as somebody would like it who wants the data for something else."""
    asked = [{"leftOperand": "purpose", "operator": "eq", "rightOperand": MARKETING}]
    return {**offer, "permission": [{**rule, "constraint": asked} for rule in offer["permission"]]}


def terms(document: Document) -> Document:
    return {name: document[name] for name in ("permission", "prohibition", "profile") if name in document}


@pytest.mark.parametrize("offered", OFFERS, ids=lambda offered: offered.number)
async def test_an_offer_is_seen_with_the_terms_that_were_published(market: Market, offered: Offered) -> None:
    offer = await seen(market, market.city, offered.number)
    assert offer["assigner"] == SELLER
    assert "target" not in offer
    # The assigner of the file stands for whoever publishes it, and is called as the seller is here.
    assert dsp.read(offer) == replace(dsp.normal(offered.policy), target=None)


@pytest.mark.parametrize(
    ("number", "who", "purpose"),
    [
        ("1", "insurer", ""),
        ("2", "city", ""),
        ("3", "city", ""),
        ("4", "city", "vdx:MobilityPlanning"),
        ("5", "insurer", "vdx:PayAsYouDrive"),
        ("6", "insurer", ""),
    ],
)
async def test_who_is_meant_gets_the_contract_and_it_says_what_was_offered(
    market: Market, number: str, who: str, purpose: str
) -> None:
    buyer: House = getattr(market, who)
    offer = await seen(market, buyer, number)
    asked = narrowed(offer, purpose) if purpose else offer
    ours = await market.negotiated(buyer, BY_NUMBER[number].target, asked)
    assert ours["state"] == "FINALIZED", ours
    agreement = ours["agreement"]
    assert differences(terms(asked), terms(agreement)) == []
    assert (agreement["assigner"], agreement["assignee"]) == (SELLER, buyer.id)
    theirs = await market.seller.reaches(ours["providerPid"], "FINALIZED")
    assert theirs["agreement"] == agreement
    async with market.seller.owner() as owner:
        kept = await owner.explain(agreement["@id"])
        assert kept["problems"] == []
        for language in get_args(Language):
            told = await owner.explain(agreement["@id"], language=language)
            assert len(told["sentences"]) == len(kept["sentences"])


@pytest.mark.parametrize("number", ["1", "2", "5", "6"])
async def test_who_wants_it_for_something_else_waits_for_a_person_who_says_no(market: Market, number: str) -> None:
    offer = await seen(market, market.city, number)
    pid = await market.asked(market.city, BY_NUMBER[number].target, for_marketing(offer))
    theirs = await market.waits(pid)
    assert theirs["pending"] == "decide-counter-offer"
    assert any("marketing" in change["sentence"] for change in theirs["redline"])
    async with market.seller.owner() as owner:
        await owner.act(theirs["id"], "reject", comment="not for marketing")
    ended = await market.city.reaches(pid, "TERMINATED")
    assert "not for marketing" in str(ended["ended"])


async def test_what_is_exclusive_is_had_by_one(market: Market) -> None:
    offer = await seen(market, market.insurer, "3")
    ours = await market.negotiated(market.insurer, BY_NUMBER["3"].target, offer)
    refused(ours, "exclusivity-conflict", "exclusive")


@pytest.mark.parametrize("attempt", range(3))
async def test_of_two_who_ask_at_once_one_gets_what_is_exclusive(market: Market, attempt: int) -> None:
    dataset, (exclusive,) = f"urn:asset:race:{attempt}", BY_NUMBER["3"].policy.permissions
    policy = replace(BY_NUMBER["3"].policy, uid=f"urn:offer:race:{attempt}", prohibitions=())
    await market.publish(dataset, offers=[odrl.write(replace(policy, permissions=(replace(exclusive, target=None),)))])
    (offer,) = await market.offered(market.city, dataset)
    both = await asyncio.gather(*(market.negotiated(buyer, dataset, offer) for buyer in (market.city, market.insurer)))
    lost, won = sorted(both, key=lambda process: str(process["state"]), reverse=True)
    assert won["state"] == "FINALIZED"
    refused(lost, "exclusivity-conflict", "exclusive")


async def test_who_leaves_the_purpose_open_is_told_to_narrow_it(market: Market) -> None:
    offer = await seen(market, market.city, "4")
    refused(await market.negotiated(market.city, BY_NUMBER["4"].target, offer), "policy-denied", "narrow the purpose")


async def test_what_nobody_asked_for_is_had_by_nobody_and_by_no_gatekeeper(market: Market) -> None:
    offer = await seen(market, market.city, "7")
    refused(await market.negotiated(market.city, BY_NUMBER["7"].target, offer), "policy-denied", "request of the user")
    assert await market.offered(market.insurer, BY_NUMBER["7"].target) == []
    hidden = await market.negotiated(market.insurer, BY_NUMBER["7"].target, offer)
    assert hidden["state"] == "TERMINATED", hidden
    assert "gatekeeper" not in str(hidden["ended"]).lower()
    async with market.seller.owner() as owner:
        (why,) = await owner.simulate(BY_NUMBER["7"].target, participant=market.insurer.id)
    assert not why["permitted"]
    assert "/permission/0/constraint/1" in {reason["path"] for found in why["decisions"] for reason in found["reasons"]}


async def test_the_data_come_under_the_contract(market: Market) -> None:
    offer = narrowed(await seen(market, market.city, "4"), "dpv:ScientificResearch")
    ours = await market.negotiated(market.city, BY_NUMBER["4"].target, offer)
    async with market.city.owner() as owner:
        moved = await owner.transfer(ours["agreement"]["@id"], sink="flow.csv")
    await market.city.reaches(moved["id"], "COMPLETED")
    assert (market.city.folder / "received" / "flow.csv").read_bytes() == (market.seller.folder / "data.csv").read_bytes()


def refused(process: Document, code: str, words: str) -> None:
    assert process["state"] == "TERMINATED", process
    assert process["ended"]["code"] == code
    assert words in str(process["ended"]["reason"])
