"""The acts of the provider alone: what it has, what people agreed to, what it publishes of that, and what it may not publish."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from connector.cli.progress import beating, progress
from connector.client.local import Document, Refused
from connector.demo.given import Given
from connector.demo.houses import TRIPS_FILE, ZONES_FILE
from connector.demo.meeting import ZONES
from connector.demo.products import FAULTS, FEATURES, FLOW, FORBIDDEN, PRODUCTS, Product
from connector.demo.stage import Stage, Stopwatch, hold
from connector.demo.terms import TRIPS
from connector.demo.trips import trips_csv, zones_csv

BARRED: Final = "urn:example:barred"
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


async def have(stage: Stage, make: Callable[[], Given], doing: str) -> Given:
    """The raw table, which never leaves, and what the people of its vehicles decided. ``doing``: what ``make`` does."""
    stage.act("What the OEM has: one raw table of single vehicles, which itself never leaves")
    watch = Stopwatch()
    with progress(doing) as bar:
        given = await beating(bar, asyncio.to_thread(make))
    counted = given.counted
    stage.tell("oem", given.origin, watch.stop())
    stage.tell("", f"{counted.rows} rows of {counted.vehicles} vehicles on {counted.trips} trips, {counted.km:.0f} km")
    for note in _notes(given):
        stage.tell("", note)
    watch = Stopwatch()
    imported = await stage.oem.client.import_consents(str(given.consents_file))
    if given.contracts:
        await stage.oem.client.enrol(list(given.contracts))
    said = (
        "decisions of people, MADE UP for these vehicles"
        if given.survey is not None
        else "decisions of drivers, owners and renters"
    )
    stage.tell("", f"{imported['entries']} {said}; {len(given.contracts)} enrolled with the insurer", watch.stop())
    return given


def _notes(given: Given) -> tuple[str, ...]:
    """Of the user's own data: what became of each file, what each column means, and what the table cannot give."""
    looked = given.survey
    if looked is None:
        return ()
    how = "guessed from the headers" if looked.guessed else "as given"
    found = [*looked.files, f"columns, {how}, also in {looked.mapping_file}:", *(f"  {each}" for each in looked.columns)]
    if looked.ignored:
        found.append(f"not read: {', '.join(looked.ignored)}")
    return (*found, *given.lacking)


async def publish(stage: Stage, given: Given) -> tuple[list[str], Document]:
    """Two files as they are and three products of the table; what cannot be made of it is refused, and why.

    Gives the products that are now on offer, and the data plane's word on the file of trips: bytes and sha256.
    """
    stage.act("Published: two files as they are, and products of the table, and what each of them lets out")
    source = await _files(stage)
    published = [product.dataset for product in PRODUCTS if await _product(stage, given, product)]
    hold(given.survey is not None or len(published) == len(PRODUCTS), "not everything can be made of the simulated fleet")
    await _forbidden(stage, given)
    return published, source


async def _files(stage: Stage) -> Document:
    folder = stage.oem.folder
    for name, content in ((TRIPS_FILE, trips_csv()), (ZONES_FILE, zones_csv())):
        await asyncio.to_thread((folder / name).write_text, content)
    watch = Stopwatch()
    published = await stage.oem.client.publish(TRIPS, str(folder / TRIPS_FILE), template="city", answers=ANSWERS)
    watch.stop()
    source: Document = published["source"]
    told = await stage.oem.client.explain(published["dataset"]["hasPolicy"][0]["@id"])
    hold(told["problems"] == [], "an offer was published that cannot be kept")
    zones = {"title": "Zones of the grid", "media_type": "text/csv", "open_to": "all"}
    await stage.oem.client.publish(ZONES, str(folder / ZONES_FILE), **zones)
    stage.tell("zones", f"{ZONES_FILE}, for all that show who they are")
    stage.tell("trips", f"{TRIPS_FILE} of a made-up fleet, by template `city`, not by hand-written ODRL", watch)
    return source


async def _product(stage: Stage, given: Given, product: Product) -> bool:
    """Whether it is on offer now. What else the table cannot give is refused by the data plane."""
    able = {FLOW: given.placed, FEATURES: given.paced, FAULTS: given.faults}[product.dataset]
    if not able:
        stage.tell(product.name, f"left out, nothing for the {product.buyer}: this table cannot give it, as said above")
        return False
    watch = Stopwatch()
    try:
        offer = product.of(given.table.paths)
        published = await stage.oem.client.publish(
            product.dataset, str(given.table_path), title=product.title, offers=[offer], table=given.wish
        )
    except Refused as refused:
        hold(given.survey is not None, f"{product.name} cannot be published: {refused}")
        why = refused.findings[0]["sentence"] if refused.findings else refused.reason
        stage.tell(product.name, f"NOT from this table: {why}", watch.stop())
        return False
    hold(published["source"]["rows"] == given.counted.rows, "the data plane has counted other rows")
    stage.tell(product.name, f"for the {product.buyer}: {product.title}", watch.stop())
    stage.tell("", "| " + " ".join(dict.fromkeys(line for release in published["releases"] for line in release["sentences"])))
    return True


async def _forbidden(stage: Stage, given: Given) -> None:
    """Offers that the law would not bear are not published, whoever wishes it."""
    watch = Stopwatch()
    try:
        offers = [offer for _, _, offer in FORBIDDEN]
        await stage.oem.client.publish(BARRED, str(given.table_path), title="Barred", offers=offers, table=given.wish)
    except Refused as refused:
        hold(refused.code in ("policy-unenforceable", "plan-refused"), f"it was refused for another reason: {refused}")
        found = {finding["code"]: finding for finding in refused.findings}
        watch.stop()
        for what, code, _ in FORBIDDEN:
            hold(given.survey is not None or code in found, f"{what} was refused for another reason: {refused}")
            if code in found:
                stage.tell("refused", f"{what} ({code}): {found[code]['sentence']}", watch)
                stage.tell("", f"| instead: {found[code]['remedy']}")
        if not {code for _, code, _ in FORBIDDEN} & found.keys():
            stage.tell("refused", f"raw trips called anonymous: {refused.reason}", watch)
        hold(BARRED not in [each["@id"] for each in await stage.oem.client.datasets()], "what was refused is in the catalogue")
        return
    hold(False, "raw trips were published as anonymous")
