"""A city gets how fast its traffic flows, by cell and hour and for nothing; a company pays for the same; nobody gets a vehicle.

Read ``play`` first: it goes from top to bottom. The terms are those of ``OFFER``. It uses the public Python interface alone, and
a town of connectors that are started for the story; what the city reads in its file is in ``reading.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from connector.client import Agreement, Declined, Document, Landed, Receipt, Refused, Waited, Waiting
from connector.demo.citymap import write_map
from connector.demo.fleet import ENVIROCAR, write_parquet
from connector.demo.fleet.writing import Written
from connector.demo.stage import Untrue, hold
from connector.demo.town import VOUCHED, Member, acquaint, town
from examples.city_traffic.reading import Flow, read, same

VDX: Final = "https://w3id.org/carnet/terms#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
FLOW: Final = "urn:example:traffic-flow"
DISTRICTS: Final = "urn:example:traffic-by-district"
PLANNING: Final = f"{VDX}MobilityPlanning"
MARKETING: Final = "https://w3id.org/dpv#Marketing"
EURO: Final = "https://www.wikidata.org/entity/Q4916"
LEAST: Final = 10
FINE, COARSE, TOO_FINE = 8, 7, 9
"""Levels of cells: edges of 462 m, 1,221 m and 175 m."""

FLEET: Final = replace(ENVIROCAR, towns=1, spread_km=4.0, trip_km=(2.0, 3.0, 5.0, 8.0, 14.0))
VEHICLES, DAYS, SEED = 400, 1, 7
Say = Callable[[str], None]


def term(left: str, operator: str, right: str, kind: str | None = None) -> Document:
    """A constraint; ``kind`` is the datatype of its value, None for an IRI."""
    value = {"@value": right, "@type": XSD + kind} if kind else {"@id": right}
    return {"leftOperand": left, "operator": operator, "rightOperand": value}


def cells(level: int) -> list[Document]:
    """What may leave: the mean speed in cells of a level, by the hour, of at least ``LEAST`` vehicles each."""
    return [
        term(f"{VDX}minGroupSize", "gteq", str(LEAST), "integer"),
        term(f"{VDX}spatialResolution", "lteq", str(level), "integer"),
        term(f"{VDX}temporalResolution", "gteq", "PT1H", "duration"),
        {"leftOperand": f"{VDX}columns", "operator": "eq", "rightOperand": "Vehicle.Speed"},
    ]


PRICE: Final[Document] = {
    "action": "compensate",
    "constraint": [
        term("odrl:payAmount", "eq", "4900.00", "decimal") | {"unit": EURO},
        term("odrl:unitOfCount", "eq", f"{VDX}Agreement"),
        term("odrl:timeInterval", "eq", "P1Y", "duration"),
    ],
}
"""4,900 euros for the contract and each year of it."""

OFFER: Final[Document] = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                term(f"{VDX}consumerKind", "isA", f"{VDX}PublicBody"),
                term("odrl:purpose", "isA", PLANNING),
                *cells(FINE),
            ],
        },
        {
            "action": "use",
            "constraint": [
                term(f"{VDX}consumerKind", "eq", f"{VDX}Company"),
                term("odrl:purpose", "isA", PLANNING),
                *cells(FINE),
            ],
            "duty": [PRICE],
        },
    ],
    "prohibition": [{"action": f"{VDX}reidentify"}, {"action": "odrl:sell"}],
}
"""Free for a public body, priced for a company; the same cells for both, and for planning only."""

BY_DISTRICT: Final[Document] = {
    "permission": [{"action": "use", "constraint": [term("odrl:purpose", "isA", PLANNING), *cells(COARSE)]}]
}
"""Larger cells of the same table, as the manufacturer offers them to anybody else."""


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of the story, and where its files are.

    ``cells``: the city's file, ``bought``: the company's, ``page``: the map. ``flow``: what the city reads in its file.
    ``suppressed``: cells of an hour that were held back. ``owed``: what each buyer owes, by currency. ``receipts``: of each
    buyer, signed by both. ``refused``: the reason by what was tried, and under ``redline`` what a person saw of one of them.
    """

    fleet: Path
    written: Written
    cells: Path
    bought: Path
    page: Path
    flow: Flow
    suppressed: int
    owed: dict[str, dict[str, str]]
    receipts: dict[str, list[Receipt]]
    refused: dict[str, str]


async def play(folder: Path, say: Say) -> Result:
    """Play the story in ``folder``, which is made; ``say`` is given each line of the account. Raises Untrue where it fails."""
    async with town(folder, "oem", "city", "company") as members:
        oem, city, company = (members[name] for name in ("oem", "city", "company"))
        await acquaint(oem, {city: {"kind": "public-body", "country": "DE"}})
        say("1. A manufacturer has a row of each vehicle every five seconds, and offers what they say together")
        fleet, written = await stock(oem, say)
        say("2. The city plans its streets; it is a public body, and gets the cells for nothing")
        free = await city.carnet.contract(oem.did, FLOW, purpose=PLANNING)
        landed = await city.carnet.fetch(free, "flow.parquet")
        file, page = city.received / landed.name, city.folder / "flow.html"
        flow = await asyncio.to_thread(read, file)
        tell(flow, landed, say)
        draw(file, page, flow, landed, say)

        say("3. A company whom nobody has verified; then somebody has, and it takes the same cells, for the price of them")
        refused = await unknown(oem, city, company, say)
        await oem.carnet.admit(company.did, VOUCHED, claims={"kind": "company", "country": "DE"})
        paid = await company.carnet.contract(oem.did, FLOW, purpose=PLANNING)
        bought = company.received / (await company.carnet.fetch(paid, "flow.csv", format="csv")).name
        hold(await asyncio.to_thread(same, file, bought), "the company has other cells than the city")
        say(f"   {bought}: the same {flow.cell_hours} cells")
        deals = {city: free, company: paid}
        receipts = {buyer.name: await settled(oem, buyer, agreement) for buyer, agreement in deals.items()}
        owed = {buyer.name: await owing(oem, buyer, agreement, say) for buyer, agreement in deals.items()}
        hold(owed == {"city": {}, "company": {"EUR": "4900.00"}}, f"what is owed is {owed}")

        say("4. What the city cannot have")
        refused |= await beyond(oem, city, free, say)
        suppressed = int(landed.received["suppressed"])
        return Result(fleet, written, file, bought, page, flow, suppressed, owed, receipts, refused)


async def stock(oem: Member, say: Say) -> tuple[Path, Written]:
    """A day of a made-up fleet, published twice: in the cells of ``OFFER``, and in larger ones."""
    fleet = oem.folder / "fleet.parquet"
    written = await asyncio.to_thread(write_parquet, fleet, FLEET, VEHICLES, DAYS, SEED)
    published = await oem.carnet.publish(FLOW, fleet, title="How fast traffic flows", offers=[OFFER], table=True)
    await oem.carnet.publish(DISTRICTS, fleet, title="Traffic by district", offers=[BY_DISTRICT], table=True)
    say(f"   {written.rows:,} rows of {written.vehicles} vehicles on {written.trips:,} trips. What it would let out:")
    for sentence in published.releases[0].sentences:
        say(f"     {sentence}")
    return fleet, written


def tell(flow: Flow, landed: Landed, say: Say) -> None:
    """What came, and what did not."""
    hold(flow.cell_hours == landed.received["rows"] > 0, "the file has other cells than were announced")
    hold(flow.fewest >= LEAST, f"a cell was delivered with {flow.fewest} vehicles behind it")
    say(f"   {flow.cell_hours} cells of an hour in {flow.places} places came, the least with {flow.fewest} vehicles")
    say(f"   {landed.received['suppressed']:,} were held back, for having fewer than {LEAST}")
    for name, hour in (("busiest", flow.busiest), ("slowest", flow.slowest)):
        say(f"   the {name} hour begins at {hour.begins} UTC: {hour.cells} cells, {hour.speed:.1f} km/h on average")


def draw(file: Path, page: Path, flow: Flow, landed: Landed, say: Say) -> None:
    """The map of the city's planners: one page, which loads nothing."""
    note = "Mean speed of vehicles in cells of 462 m, hour by hour; the fleet and the city are made up."
    suppressed = int(landed.received["suppressed"])
    number = write_map(file, page, title="How fast traffic flows", note=note, least=LEAST, suppressed=suppressed)
    hold(number == flow.cell_hours, "the map shows other cells than the file has")
    say(f"   a map of them, to open in any browser: {page}")


async def settled(oem: Member, buyer: Member, agreement: Agreement) -> list[Receipt]:
    """The receipts of an agreement, once both sides hold the same and have signed them."""
    ours, theirs = [await countersigned(member, agreement) for member in (oem, buyer)]
    hold([each.content for each in ours] == [each.content for each in theirs], "the two sides hold different receipts")
    return ours


async def countersigned(member: Member, agreement: Agreement) -> list[Receipt]:
    """The receipts of an agreement, once both sides have signed each."""

    async def receipts() -> list[Receipt]:
        return [each async for each in member.carnet.receipts(agreement)]

    try:
        return await member.carnet.until(receipts, lambda found: {each.state for each in found} == {"countersigned"})
    except Waited as error:
        raise Untrue(f"the receipts of the {member.name} are not countersigned: {error.sentence}") from None


async def owing(oem: Member, buyer: Member, agreement: Agreement, say: Say) -> dict[str, str]:
    """What is owed under an agreement, by currency: both sides reckon it for themselves, and come to the same."""
    ours, theirs = [await member.carnet.statement(agreement) for member in (oem, buyer)]
    hold(ours.totals == theirs.totals, "the two sides reckon differently")
    sums = ", ".join(f"{float(amount):,.2f} {currency}" for currency, amount in ours.totals.items()) or "nothing"
    say(f"   the {buyer.name} owes {sums}; both sides reckon so, from a receipt that both have signed")
    return ours.totals


async def unknown(oem: Member, city: Member, company: Member, say: Say) -> dict[str, str]:
    """Who is a connector like others, and nobody whom the manufacturer has verified."""
    await company.carnet.hello(oem.did)
    await company.carnet.admit(oem.did, VOUCHED, claims={"kind": "company"})
    shown = [each.id for each in await company.carnet.browse(oem.did)]
    hold(FLOW not in shown, "who is not verified sees the offer")
    seen = await city.carnet.offered(oem.did, FLOW)
    asking = company.carnet.contract(oem.did, FLOW, offer=seen)
    return {"unverified": await denied(asking, say, "it is not shown the offer, and asks with a copy of it")}


async def beyond(oem: Member, city: Member, agreement: Agreement, say: Say) -> dict[str, str]:
    """Another purpose, smaller cells, and cells of another grid beside those that the city has."""
    marketing = city.carnet.fetch(agreement, "marketing.parquet", purpose=MARKETING)
    refused = {"marketing": await denied(marketing, say, "the cells for marketing")}
    wish = smaller((await city.carnet.offered(oem.did, FLOW)).document)
    asking = denied(city.carnet.contract(oem.did, FLOW, offer=wish), say, "cells of 175 m: who asks for more waits for a person")
    refused["finer"], refused["redline"] = await asyncio.gather(asking, decided(oem))
    say(f"     what the person saw: {refused['redline']}")
    beside = await city.carnet.contract(oem.did, DISTRICTS, purpose=PLANNING)
    districts = city.carnet.fetch(beside, "districts.parquet")
    refused["beside"] = await denied(districts, say, "larger cells beside those that it has, under a contract for these")
    return refused


async def decided(oem: Member) -> str:
    """A person at the manufacturer rejects the one wish that waits for a decision; what that person was shown of it."""

    async def waiting() -> list[Waiting]:
        return [each async for each in oem.carnet.approvals()]

    try:
        wish, *_ = await oem.carnet.until(waiting, bool)
    except Waited as error:
        raise Untrue(f"no wish waits for a decision: {error.sentence}") from None
    seen = await oem.carnet.review(wish)
    await oem.carnet.reject(wish, "everybody gets the same grid")
    return seen.redline[0].sentence


def smaller(offer: Document) -> Document:
    """The offer, but with cells that are one level finer."""
    wish = deepcopy(offer)
    for permission in wish["permission"]:
        for each in permission["constraint"]:
            if str(each["leftOperand"]).endswith("spatialResolution"):
                each["rightOperand"] = {"@value": str(TOO_FINE), "@type": f"{XSD}integer"}
    return wish


async def denied(attempt: Awaitable[Any], say: Say, what: str) -> str:
    """Why something is refused. Raises Untrue where it is not."""
    try:
        await attempt
    except (Declined, Refused) as no:
        say(f"   {what}")
        say(f"     {no}")
        return str(no)
    raise Untrue(f"{what}, and gets it")
