"""The act about contracts: one approved by a person, one refused by the connector alone, one counter-offered, one at once."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Collection
from typing import Any, Final

from connector.client.deals import contract, narrowed, offered
from connector.client.local import Document
from connector.demo.products import FAULTS, FEATURES, FLOW, INSURANCE, MARKETING, PLANNING, REPAIR, bound_to, delete_within, term
from connector.demo.products import typed as literal
from connector.demo.stage import Stage, Stopwatch, hold
from connector.demo.town import Member
from policies.model import CARNET

TRIPS: Final = "urn:example:trips"
LEAST_AGREED: Final = 8
_SHOWN: Final = frozenset({"added", "removed", "widened", "narrowed"})


async def negotiate(stage: Stage, published: Collection[str]) -> dict[str, str]:
    """Contracts for what is published, and refusals; gives the agreement's id by dataset."""
    stage.act("Negotiate: a person decides on more than was offered, the connector on all else")
    agreed = {TRIPS: await _file(stage)}
    if FEATURES in published:
        agreed[FEATURES] = await _approved(stage)
        await _refused(stage)
    if FLOW in published:
        agreed[FLOW] = await _countered(stage)
    if FAULTS in published:
        agreed[FAULTS] = await _at_once(stage)
        await _exclusive(stage)
    return agreed


async def _file(stage: Stage) -> str:
    """A contract for a file, and what both sides noted of it."""
    city = stage.members["city"]
    watch = Stopwatch()
    agreement = await contract(city.client, stage.oem.did, TRIPS, purpose=PLANNING)
    watch.stop()
    (ours,) = [each for each in await city.client.processes("negotiation") if each["subject"] == TRIPS]
    theirs = await stage.reaches(stage.oem.client, ours["providerPid"], "FINALIZED")
    hold(theirs["correlationId"] == ours["correlationId"], "the two sides do not share a correlation id")
    noted = [len(await who.timeline(one["id"])) for who, one in ((stage.oem.client, theirs), (city.client, ours))]
    hold(all(noted), "a side has noted nothing")
    stage.tell("city", f"trips as offered: FINALIZED, no person; {await _same(stage, city, agreement)}", watch)
    stage.tell("", f"noted by the oem in {noted[0]} lines and by the city in {noted[1]}, under one correlation id")
    return agreement


async def _approved(stage: Stage) -> str:
    """More than was offered waits for a person, who reads the redline and approves."""
    insurer = stage.members["insurer"]
    asked = copy.deepcopy(narrowed(await offered(insurer.client, stage.oem.did, FEATURES), INSURANCE))
    (permission,) = asked["permission"]
    permission["duty"] = [each for each in permission["duty"] if "delete" not in each["action"]] + [delete_within("P1Y")]
    begun, waiting, watch = await _asked(stage, insurer, FEATURES, asked)
    stage.tell("insurer", "features, but kept for a year. That waits for a person at the oem, who reads:", watch)
    _redline(stage, waiting)
    watch = Stopwatch()
    await stage.oem.client.act(waiting["id"], "approve", comment="a year it is", version=waiting["version"])
    agreement = await _final(stage, insurer, begun, "P1Y")
    stage.tell("", f"APPROVED by the person: FINALIZED; {await _same(stage, insurer, agreement)}", watch.stop())
    return agreement


async def _refused(stage: Stage) -> None:
    """For another purpose it is refused without a person, with the reason and what would change it."""
    insurer = stage.members["insurer"]
    asked = copy.deepcopy(await offered(insurer.client, stage.oem.did, FEATURES))
    for permission in asked["permission"]:
        permission["constraint"].append(bound_to(MARKETING))
    watch = Stopwatch()
    begun = await insurer.client.negotiate(stage.oem.did, FEATURES, asked)
    ended = await stage.reaches(insurer.client, begun["id"], "TERMINATED")
    watch.stop()
    (reason,) = ended["ended"]["reason"]
    hold(ended["ended"]["code"] == "policy-denied", f"it was refused for another reason: {reason}")
    hold("purpose" in reason and "To change that" in reason, "the insurer does not read that it is about the purpose")
    stage.tell("insurer", "features for marketing. REFUSED without a person, policy-denied:", watch)
    stage.tell("", f'"{reason}"')


async def _countered(stage: Stage) -> str:
    """A person answers with other terms; each side sees what has changed."""
    city = stage.members["city"]
    plain = narrowed(await offered(city.client, stage.oem.did, FLOW), PLANNING)
    begun, waiting, watch = await _asked(stage, city, FLOW, _of_groups(plain, 5))
    stage.tell("city", "flow, but of smaller groups. A person at the oem reads:", watch)
    _redline(stage, waiting)
    counter = _of_groups(plain, LEAST_AGREED)
    for permission in counter["permission"]:
        permission["duty"] = [*permission["duty"], delete_within("P2Y")]
    watch = Stopwatch()
    await stage.oem.client.act(waiting["id"], "offer", offer=_bare(counter))
    answer = await stage.waits(city.client, begun["id"], "decide-offer")
    stage.tell("", "and answers with a COUNTER-OFFER. A person at the city reads:", watch.stop())
    _redline(stage, answer)
    watch = Stopwatch()
    await city.client.act(begun["id"], "approve", comment="eight will do", version=answer["version"])
    agreement = await _final(stage, city, begun, "P2Y", f"'{LEAST_AGREED}'")
    stage.tell("", f"ACCEPTED by the person: FINALIZED; {await _same(stage, city, agreement)}", watch.stop())
    return agreement


async def _at_once(stage: Stage) -> str:
    """As offered, so nobody is asked."""
    repairer = stage.members["repairer"]
    watch = Stopwatch()
    agreement = await contract(repairer.client, stage.oem.did, FAULTS, purpose=REPAIR)
    watch.stop()
    stage.tell("repairer", f"faults as offered: FINALIZED, no person; {await _same(stage, repairer, agreement)}", watch)
    return agreement


async def _exclusive(stage: Stage) -> None:
    """Nobody gets what is for every repairer for itself alone."""
    repairer = stage.members["repairer"]
    asked = copy.deepcopy(narrowed(await offered(repairer.client, stage.oem.did, FAULTS), REPAIR))
    for permission in asked["permission"]:
        permission["constraint"].append(term(f"{CARNET}exclusive", "eq", literal("true", "boolean")))
    begun, waiting, watch = await _asked(stage, repairer, FAULTS, asked)
    hold("xclusive" in str(waiting["redline"]), "the person does not read that it would be exclusive")
    why = "repair is open to every repairer"
    await stage.oem.client.act(waiting["id"], "reject", comment=why)
    ended = await stage.reaches(repairer.client, begun["id"], "TERMINATED")
    hold(ended["ended"]["code"] == "rejected" and why in str(ended["ended"]["reason"]), "it was ended for another reason")
    stage.tell("repairer", f'faults, exclusively. REFUSED by a person: "{why}"', watch)


async def _asked(stage: Stage, buyer: Member, dataset: str, offer: Document) -> tuple[Document, Document, Stopwatch]:
    """Our negotiation, the provider's where it waits for a person, and how long that took."""
    watch = Stopwatch()
    begun = await buyer.client.negotiate(stage.oem.did, dataset, offer)
    requested = await stage.reaches(buyer.client, begun["id"], "REQUESTED")
    waiting = await stage.waits(stage.oem.client, requested["providerPid"], "decide-counter-offer")
    return begun, waiting, watch.stop()


async def _final(stage: Stage, buyer: Member, begun: Document, *says: str) -> str:
    done = await stage.reaches(buyer.client, begun["id"], "FINALIZED")
    hold(all(each in str(done["agreement"]) for each in says), "they agreed on something else")
    return str(done["agreement"]["@id"])


async def _same(stage: Stage, buyer: Member, agreement: str) -> str:
    """Both sides hold the same bytes, both are bound, and every term is kept by somebody."""
    async with asyncio.timeout(10):
        while True:
            held = [await member.client.agreement(agreement) for member in (stage.oem, buyer)]
            if [each["state"] for each in held] == ["binding", "binding"]:
                break
            await asyncio.sleep(0.01)
    hold(held[0]["canonical"] == held[1]["canonical"], "the two sides hold different agreements")
    told = await stage.oem.client.explain(agreement)
    hold(told["problems"] == [], "the agreement has terms that nobody keeps")
    return "the same bytes on both sides"


def _of_groups(offer: Document, least: int) -> Document:
    """The offer with another number of vehicles behind a figure."""
    found = copy.deepcopy(offer)
    for permission in found["permission"]:
        for each in permission["constraint"]:
            if each["leftOperand"] == f"{CARNET}minGroupSize":
                each["rightOperand"] = literal(str(least), "integer")
    return found


def _bare(offer: Document) -> dict[str, Any]:
    return {name: offer[name] for name in ("profile", "permission", "prohibition", "obligation") if offer.get(name)}


def _redline(stage: Stage, process: Document) -> None:
    """What has changed against the other side's last word; that a purpose was chosen among those offered is no news."""
    hold(bool(process.get("redline")), "the process has no redline")
    for sentence in dict.fromkeys(each["sentence"] for each in process["redline"] if each["kind"] in _SHOWN):
        stage.tell("", f"| {sentence}")
