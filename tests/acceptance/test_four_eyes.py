"""Between real connectors: an offer that asks for four eyes, people with keys of their own, a counter-offer of one of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from connector.client import Refused
from connector.client.local import Document
from tests.acceptance.market import SELLER, STEP_S, open_market

DATASET = "urn:asset:approved"
OFFER: Document = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                {"leftOperand": "purpose", "operator": "isA", "rightOperand": "https://w3id.org/dpv#ResearchAndDevelopment"}
            ],
        }
    ]
}
MORE: Document = {"permission": [{"action": "use"}]}


async def refused(doing: object) -> str:
    """The code of a refusal."""
    try:
        await doing  # type: ignore[misc]  # a coroutine
    except Refused as no:
        return no.code
    raise AssertionError("it was not refused")


async def test_two_people_approve_what_a_third_has_offered(tmp_path: Path) -> None:
    async with open_market(tmp_path) as market:
        rule = {"roles": ["commercial", "operator"], "eyes": 2, "deadline_s": 3600}
        await market.publish(DATASET, offers=[OFFER], approval=rule)
        (offer,) = await market.offered(market.city, DATASET)
        asked = await market.asked(market.city, DATASET, {**offer, **MORE})
        waiting = await market.waits(asked)
        people = (("Anna", "commercial"), ("Bert", "commercial"), ("Caro", "operator"))
        anna, bert, caro = [await market.seller.person(name, role) for name, role in people]
        async with anna, bert, caro, asyncio.timeout(4 * STEP_S), market.city.owner() as city:
            (row,) = [each async for each in anna.approvals()]
            assert (row.id, row.step, row.rule.eyes, row.may.approve) == (waiting["id"], "decide-counter-offer", 2, True)
            seen = await anna.review(row.id)
            assert (seen.against, [change.kind for change in seen.redline]) == ("published", ["removed"])
            assert seen.risk.releases
            await anna.counter(row.id, OFFER, "only for research", version=row.version)
            theirs = await market.city.reaches(asked, "OFFERED")
            assert theirs["pending"] == "decide-offer"
            await city.act(asked, "approve")
            await market.waits(asked)
            assert await refused(anna.approve(row.id)) == "approval-own"
            first = await bert.approve(row.id, "as agreed")
            assert await refused(bert.approve(row.id)) == "approval-given"
            (row,) = [each async for each in caro.approvals()]
            assert (first.state, row.step, [each.role for each in row.approvals]) == (
                "ACCEPTED",
                "decide-agreement",
                ["commercial"],
            )
            await caro.approve(row.id)
            done = await market.city.reaches(asked, "FINALIZED", "TERMINATED")
            assert (done["state"], done["agreement"]["assigner"]) == ("FINALIZED", SELLER)
            said = (await caro.review(row.id)).said
            assert [(each.verdict, each.comment) for each in said] == [
                ("countered", "only for research"),
                ("approved", "as agreed"),
                ("approved", ""),
            ]
            assert len({each.caller for each in said}) == 3
