"""Acts in which the sides learn who the others are: met by DID alone, admitted by a person of each side, shown around."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from connector.demo.badge import Badge, badge
from connector.demo.houses import ZONES_FILE, House
from connector.demo.products import FAULTS, FEATURES, FLOW, INSURER_LICENCE, PLANNING, REPAIR_LICENCE
from connector.demo.stage import Stage, Stopwatch, hold
from connector.demo.terms import TRIPS
from connector.demo.town import VOUCHED, Member

ZONES: Final = "urn:example:zones"
CLAIMS: Final[dict[str, dict[str, Any]]] = {
    "insurer": {"kind": "company", "country": "DE", "membership": [INSURER_LICENCE]},
    "city": {"kind": "public-body", "country": "FR"},
    "repairer": {"kind": "sme", "country": "FR", "membership": [REPAIR_LICENCE]},
}
"""What the provider has verified about each of its guests."""
WHAT_GUESTS_KNOW: Final = {"kind": "company", "country": "DE"}
_SHORT: Final = 8


async def arrive(stage: Stage, started: Stopwatch) -> None:
    """Each guest greets the provider, of which it knows a DID, and is greeted back: both have recognised the other."""
    stage.act("Four strangers: each has a connector of its own, with its own keys and databases")
    for name, member in stage.members.items():
        stage.tell(name, f"{member.did:<28} {member.house.address}")
    stage.tell("", "all four made from nothing, started and ready", started)
    for guest in stage.guests:
        watch = Stopwatch()
        said = await guest.client.hello(stage.oem.did)
        hold(said is not None, "the provider did not greet back")
        watch.stop()
        keys = []
        for host, other in ((stage.oem, guest), (guest, stage.oem)):
            async with badge(other.house, host.house) as shown:
                keys.append(await _recognised(host, other.house, shown))
        stage.tell(guest.name, f"and oem greet: both unverified, by oauth-did, keys {' and '.join(keys)}", watch)
    stage.tell("", "each has given each a token bound to the other's key (DPoP), good for 300 s")
    for guest in stage.guests:
        seen = await _seen(stage, guest)
        hold(not seen, f"an unverified participant sees {seen}")


async def _recognised(host: Member, guest: House, shown: Badge) -> str:
    """What ``host`` wrote down about ``guest``, beside a token that the authorization server of ``host`` gives to ``guest``."""
    entry = await host.client.peer(guest.participant_id)
    how, token = entry["recognised"], await shown.token()
    hold(entry["state"] == "unverified", f"a stranger is {entry['state']} at the {host.name}")
    hold(how["assurance"] == "oauth-did", f"the {host.name} recognised the {guest.name} by {how['assurance']}")
    hold(how["key"] == shown.key == token.bound_to, "the token is not bound to the key by which its owner was recognised")
    hold(token.participant_id == guest.participant_id, f"the {host.name} gave the {guest.name} a token of somebody else")
    hold(token.issuer == host.house.origin, f"the token for the {host.name} is issued by {token.issuer}")
    hold(token.life_s == 300, f"the token lives {token.life_s} s")
    return f"{how['key'][:_SHORT]}…"


async def browse(stage: Stage, published: Collection[str]) -> None:
    """Before and after a person admits them: who sees what."""
    stage.act(f"Browse: what is open to all, until a person ({VOUCHED}) admits each guest")
    watch = Stopwatch()
    for guest in stage.guests:
        seen = await _seen(stage, guest)
        hold(seen == [ZONES], f"an unverified participant sees {seen}")
    stage.tell("all", f"unverified, each sees: {ZONES_FILE}", watch.stop())
    for guest in stage.guests:
        claims = CLAIMS[guest.name]
        watch = Stopwatch()
        await stage.oem.client.admit_peer(guest.did, VOUCHED, claims=claims)
        await guest.client.admit_peer(stage.oem.did, VOUCHED, claims=WHAT_GUESTS_KNOW)
        entry = await stage.oem.client.peer(guest.did)
        hold((entry["state"], entry["claims"]) == ("admitted", claims), f"the {guest.name} is {entry['state']}")
        seen = await _seen(stage, guest)
        expected = sorted(may_see(guest.name, published))
        hold(seen == expected, f"the {guest.name} sees {seen} and not {expected}")
        said = ", ".join([str(claims["kind"]), str(claims["country"]), *claims.get("membership", [])])
        names = ", ".join(dataset.rpartition(":")[2] for dataset in seen)
        hold(entry["vouchedBy"] == VOUCHED, f"the {guest.name} is vouched for by {entry['vouchedBy']}")
        stage.tell(guest.name, f"{entry['state']}: {said}; sees {names}", watch.stop())
    if FLOW in published:
        await _two_prices(stage)


def may_see(name: str, published: Collection[str]) -> set[str]:
    """The datasets of the demo that a guest may see once it is admitted."""
    licensed = {FEATURES: "insurer", FAULTS: "repairer"}
    return {TRIPS, ZONES, *(each for each in published if licensed.get(each, name) == name)}


async def _two_prices(stage: Stage) -> None:
    """The same dataset is free for one and priced for another, by what is verified about them."""
    owed = {}
    for guest in stage.guests:
        (told,) = await stage.oem.client.simulate(FLOW, participant=guest.did, purpose=PLANNING)
        hold(told["permitted"], f"the provider's simulation refuses the {guest.name}")
        owed[guest.name] = any("pay" in line["sentence"] for each in told["decisions"] for line in each["sentences"])
    hold(owed == {"insurer": True, "city": False, "repairer": True}, f"who would pay: {owed}")
    stage.tell("oem", "simulates flow: free for the city, a public body; 4900.00 EUR a year for the others")


async def _seen(stage: Stage, guest: Member) -> list[str]:
    return sorted(dataset["@id"] for dataset in await guest.client.catalog(stage.oem.did))
