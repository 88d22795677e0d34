"""The scenes about what a contract means: an offer by template, one that is refused, a buyer that is refused and then is not, and
a counter-offer with its redline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from connector.cli.explain import nested
from connector.client.local import Document, Refused
from connector.demo.houses import TRIPS_FILE
from connector.demo.stage import STEP_S, Stage, Stopwatch, hold
from policies import dsp
from policies.model import CARNET
from policies.narrowing import for_purpose

TRIPS: Final = "urn:example:trips"
MILEAGE: Final = "urn:example:mileage"
PLANNING: Final = f"{CARNET}MobilityPlanning"
ANSWERS: Final[Document] = {
    "title": "Trips of a test fleet",
    "price": "4900.00",
    "place": "http://publications.europa.eu/resource/authority/country/FRA",
    "publisher": "Example Motors",
    "contact": "Data desk",
    "email": "desk@oem.example",
    "columns": {
        "trip": "none",
        "vehicle": "identifying",
        "minute_of_day": "technical",
        "distance_km": "Vehicle.TraveledDistance",
        "duration_min": "technical",
        "energy_kwh": "technical",
        "from_zone": "location",
        "to_zone": "location",
    },
}
RESALE: Final[Document] = {"action": "odrl:sell"}
DELETE: Final[Document] = {
    "action": "odrl:delete",
    "constraint": [
        {
            "leftOperand": "odrl:elapsedTime",
            "operator": "lteq",
            "rightOperand": {"@value": "P2Y", "@type": "http://www.w3.org/2001/XMLSchema#duration"},
        }
    ],
}


async def refused_offer(stage: Stage) -> None:
    """Terms that nobody here keeps are not published: the provider is told which, where, and what to do."""
    stage.scene("The provider tries to offer mileage to insurers: with the driver's consent, and two requests a day at most")
    watch = Stopwatch()
    path = stage.provider_house.folder / TRIPS_FILE
    try:
        await stage.provider.publish(MILEAGE, str(path), template="payd", answers={**ANSWERS, "price": "3.00"})
    except Refused as refused:
        hold(refused.code == "policy-unenforceable", f"the offer was refused for another reason: {refused}")
        terms = [str(finding["term"]) for finding in refused.findings]
        hold(f"{CARNET}requestsPerVehicleDay" in terms, "the refusal does not name the term that nobody keeps")
        stage.say(f"   nothing is published: {refused.code}   {watch}")
        for finding in refused.findings:
            stage.say(f"     {finding['path']}: {finding['sentence']}")
            stage.say(f"       {finding['remedy']}")
        offered = [dataset["@id"] for dataset in await stage.provider.datasets()]
        hold(MILEAGE not in offered, "what was refused stands in the catalogue")
        return
    hold(False, "an offer was published that nobody here can keep")


async def refused_buyer(stage: Stage, offer: Document) -> None:
    """Who does not say what for is refused by the connector alone, with the reason and what would change it."""
    stage.scene("The consumer asks for a contract, but does not say what for")
    watch = Stopwatch()
    begun = await stage.consumer.negotiate(stage.provider_house.participant_id, TRIPS, offer)
    ended = await stage.reaches(stage.consumer, begun["id"], "TERMINATED")
    took, (reason,) = str(watch), ended["ended"]["reason"]
    hold(ended["ended"]["code"] == "policy-denied", f"it was refused for another reason: {reason}")
    hold("purpose" in reason, "the consumer does not read that it is about the purpose")
    stage.say(f'   refused without a person: "{reason}"   {took}')
    us = stage.consumer_house.participant_id
    (told,) = await stage.provider.simulate(offer["@id"], participant=us, purpose=PLANNING)
    hold(told["permitted"], "the provider's simulation says otherwise")
    stage.say("   the provider simulates it for mobility planning: it would get contract and data; how each term would be kept:")
    say_sentences(stage, told["delivery"])


async def permitted_buyer(stage: Stage, offer: Document) -> Document:
    """It narrows the offer to its purpose, which is the remedy, and gets a contract of which every term is kept."""
    stage.scene("It asks again, for mobility planning: a public body gets it for nothing")
    watch = Stopwatch()
    begun = await stage.consumer.negotiate(stage.provider_house.participant_id, TRIPS, narrowed(offer))
    process = await stage.reaches(stage.consumer, begun["id"], "FINALIZED")
    took = str(watch)
    await stage.reaches(stage.provider, process["providerPid"], "FINALIZED")
    agreement = process["agreement"]["@id"]
    held = [await client.agreement(agreement) for client in (stage.provider, stage.consumer)]
    hold(held[0]["canonical"] == held[1]["canonical"], "the two sides hold different agreements")
    hold([each["state"] for each in held] == ["binding", "binding"], "the agreement does not bind both sides")
    stage.say(f"   REQUESTED to FINALIZED without a person in between   {took}")
    told = await stage.provider.explain(agreement)
    hold(told["problems"] == [], "the agreement has terms that nobody keeps")
    stage.say(f"   agreement {agreement}, the same bytes on both sides")
    return process


async def counter_offer(stage: Stage, offer: Document) -> None:
    """More than was offered waits for a person, who answers with other terms; each side sees what has changed."""
    stage.scene("The consumer asks for more than was offered: to sell the trips on")
    asked = narrowed(offer)
    wider = {**asked, "permission": [*asked["permission"], RESALE]}
    watch = Stopwatch()
    begun = await stage.consumer.negotiate(stage.provider_house.participant_id, TRIPS, wider)
    requested = await stage.reaches(stage.consumer, begun["id"], "REQUESTED")
    waiting = await stage.provider.wait(requested["providerPid"], lambda now: bool(now.get("pending")), STEP_S)
    hold(waiting.get("pending") == "decide-counter-offer", "more than was offered did not wait for a person")
    stage.say(f"   the provider's connector decides nothing: pending {waiting['pending']}   {watch}")
    stage.say("   a person at the provider reads the redline:")
    _say_redline(stage, waiting)
    first, *others = asked["permission"]
    counter = {**asked, "permission": [{**first, "duty": [*first.get("duty", []), DELETE]}, *others]}
    watch = Stopwatch()
    await stage.provider.act(requested["providerPid"], "offer", offer=_bare(counter))
    offered = await stage.consumer.wait(begun["id"], lambda now: bool(now.get("pending")), STEP_S)
    hold(offered.get("pending") == "decide-offer", "a counter-offer did not wait for a person")
    stage.say(f"   and answers with a counter-offer; a person at the consumer reads its redline   {watch}")
    _say_redline(stage, offered)
    watch = Stopwatch()
    await stage.consumer.act(begun["id"], "approve", comment="two years are enough", version=offered["version"])
    done = await stage.reaches(stage.consumer, begun["id"], "FINALIZED")
    hold("P2Y" in str(done["agreement"]) and "sell" not in str(done["agreement"]["permission"]), "they agreed on something else")
    stage.say(f"   and approves: FINALIZED   {watch}")


def narrowed(offer: Document) -> Document:
    """The offer for mobility planning."""
    found = for_purpose(dsp.read(offer), PLANNING)
    hold(found is not None, "the offer permits nothing for mobility planning")
    return offer if found is None else {**offer, "permission": dsp.write(found)["permission"]}


def say_sentences(stage: Stage, told: Iterable[Document]) -> None:
    """What an offer or its delivery says."""
    for line in nested(told, 0):
        stage.say(f"     {line}")


def _bare(offer: Document) -> dict[str, Any]:
    return {name: offer[name] for name in ("profile", "permission", "prohibition", "obligation") if offer.get(name)}


def _say_redline(stage: Stage, process: Document) -> None:
    hold(bool(process.get("redline")), "the process has no redline")
    for change in process["redline"]:
        stage.say(f"     {change['sentence']}")
