"""The scenes in which the two sides learn who the other is: met by DID alone, then admitted by a person of each side."""

from __future__ import annotations

from typing import Final

from connector.client.local import Document
from connector.demo.badge import Badge, badge
from connector.demo.houses import TRIPS_FILE, ZONES_FILE, House
from connector.demo.stage import Stage, Stopwatch, hold
from connector.demo.terms import ANSWERS, TRIPS, say_sentences

ZONES: Final = "urn:example:zones"
WHAT_THE_OEM_KNOWS: Final = {"kind": "public-body", "country": "FR"}
WHAT_THE_CITY_KNOWS: Final = {"kind": "company", "country": "DE"}
WHO_SAYS_SO: Final = "A. Person, by telephone"
_SHORT: Final = 12


async def publish(stage: Stage) -> Document:
    """The provider offers two files; gives the data plane's word on the trips: bytes and sha256."""
    stage.scene("The provider publishes two files")
    watch, folder = Stopwatch(), stage.provider_house.folder
    published = await stage.provider.publish(TRIPS, str(folder / TRIPS_FILE), template="city", answers=ANSWERS)
    zones = {"title": "Zones of the grid", "media_type": "text/csv", "open_to": "all"}
    await stage.provider.publish(ZONES, str(folder / ZONES_FILE), **zones)
    source: Document = published["source"]
    stage.say(f"   {ZONES_FILE}: for all that show who they are")
    stage.say(f"   {TRIPS_FILE}: {source['bytes']} bytes, SHA-256 {source['sha256'][:16]}…, for admitted participants, by the")
    stage.say(f"     template `city`, so that nobody writes ODRL by hand. It says:   {watch}")
    told = await stage.provider.explain(published["dataset"]["hasPolicy"][0]["@id"])
    hold(told["problems"] == [], "an offer was published that cannot be kept")
    say_sentences(stage, [each for each in told["sentences"] if each["path"].startswith(("/permission", "/prohibition"))])
    return source


async def meet(stage: Stage) -> None:
    """The consumer greets the provider, of which it knows a DID, and is greeted back: each has recognised the other."""
    watch = Stopwatch()
    stage.scene("The consumer greets the provider: neither has heard of the other, there is only the DID")
    said = await stage.consumer.hello(stage.provider_house.participant_id)
    hold(said is not None, "the provider did not greet back")
    took = str(watch)
    for host, guest in ((stage.provider_house, stage.consumer_house), (stage.consumer_house, stage.provider_house)):
        async with badge(guest, host) as shown:
            await _recognised(stage, host, guest, shown)
    stage.say(f"   discovery, tokens and greetings in both directions   {took}")
    watch = Stopwatch()
    seen = await _seen(stage)
    hold(seen == [ZONES], f"an unverified participant sees {seen}")
    stage.say(f"   the catalogue shows the unverified consumer: {', '.join(seen)}   {watch}")


async def _recognised(stage: Stage, host: House, guest: House, shown: Badge) -> None:
    """What ``host`` wrote down about ``guest``, beside a token that the authorization server of ``host`` gives to ``guest``."""
    entry = await stage.client(host).peer(guest.participant_id)
    how, token = entry["recognised"], await shown.token()
    hold(entry["state"] == "unverified", f"a stranger is {entry['state']} at the {host.name}")
    hold(how["assurance"] == "oauth-did", f"the {host.name} recognised the {guest.name} by {how['assurance']}")
    hold(how["key"] == shown.key == token.bound_to, "the token is not bound to the key by which its owner was recognised")
    hold(token.participant_id == guest.participant_id, f"the {host.name} gave the {guest.name} a token of somebody else")
    hold(token.issuer == host.origin, f"the token for the {host.name} is issued by {token.issuer}")
    stage.say(f"   {host.name} notes {guest.participant_id}: {entry['state']}; {how['assurance']}, key {how['key'][:_SHORT]}…")
    stage.say(f"     and gives it a token of {token.issuer}, bound to that key (DPoP), good for {token.life_s} s")


async def admit(stage: Stage) -> Document:
    """Each side's operator admits the other and says what is verified about it; gives the offer that is now to be seen."""
    watch = Stopwatch()
    await stage.provider.admit_peer(stage.consumer_house.participant_id, WHO_SAYS_SO, claims=WHAT_THE_OEM_KNOWS)
    await stage.consumer.admit_peer(stage.provider_house.participant_id, WHO_SAYS_SO, claims=WHAT_THE_CITY_KNOWS)
    stage.scene("A person on each side admits the other")
    for host, guest in ((stage.provider_house, stage.consumer_house), (stage.consumer_house, stage.provider_house)):
        entry = await stage.client(host).peer(guest.participant_id)
        hold(entry["state"] == "admitted", f"the {guest.name} is {entry['state']} at the {host.name}")
        claims = ", ".join(f"{name} {value}" for name, value in entry["claims"].items())
        stage.say(f"   {host.name} notes: {guest.name} {entry['state']}; {claims}; vouched for by {entry['vouchedBy']}")
    datasets = await stage.consumer.catalog(stage.provider_house.participant_id)
    found = {dataset["@id"]: dataset for dataset in datasets}
    hold(sorted(found) == [TRIPS, ZONES], "the catalogue does not hold exactly what was published")
    stage.say(f"   the catalogue shows the admitted consumer: {', '.join(sorted(found))}   {watch}")
    offer: Document = found[TRIPS]["hasPolicy"][0]
    return offer


async def _seen(stage: Stage) -> list[str]:
    return [dataset["@id"] for dataset in await stage.consumer.catalog(stage.provider_house.participant_id)]
