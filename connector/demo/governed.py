"""The scenes about rows: products of one raw table, delivered as agreed, opened and checked on what landed; and a withdrawal.

What is said of a file is recounted here from the raw table, in plain SQL that knows nothing of the connector.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from connector.client.local import Document
from connector.demo import products
from connector.demo.products import FEATURES, FLOW, LEAST, PRODUCTS
from connector.demo.stage import STEP_S, Stage, Stopwatch, Untrue, hold

VIN: Final = "Vehicle.VehicleIdentification.VIN"
_OVER: Final = ("COMPLETED", "TERMINATED")
_SHOWN: Final = 3
_CELLS: Final = (
    'SELECT * REPLACE (strftime("time", \'%Y-%m-%dT%H:%MZ\') AS "time") FROM read_parquet(?) ORDER BY vehicles DESC, cell, "time"'
)
_EDGE: Final = 1221 / 111320
"""Height of a cell of level 7, in degrees."""
_RECOUNT: Final = f"""
    WITH raw AS (
        SELECT "{VIN}" AS vin, date_trunc('hour', "time") AS hour, "Vehicle.CurrentLocation.Longitude" AS lon,
               CAST(floor("Vehicle.CurrentLocation.Latitude" / {_EDGE}) AS BIGINT) AS row
        FROM read_parquet(?)),
    counted AS (
        SELECT '7/' || row || '/' || CAST(floor(lon / {_EDGE} * cos(radians((row + 0.5) * {_EDGE}))) AS BIGINT) AS cell, hour,
               count(DISTINCT vin) AS vehicles
        FROM raw GROUP BY ALL)
    SELECT min(counted.vehicles), count(*) FROM read_parquet(?) AS came
    JOIN counted ON counted.cell = came.cell AND counted.hour = came."time" AND counted.vehicles = came.vehicles"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Landed:
    """A product that has come: under which agreement, by which transfer, and where its file is."""

    agreement: str
    transfer: Document
    file: Path


async def stock(stage: Stage) -> list[Document]:
    """The provider simulates a fleet, imports what its people agreed to, and publishes three products of the one raw table.

    Gives the contracts under which the buyer knows the vehicles.
    """
    stage.scene("The provider makes three products of one raw table of a simulated fleet; the table itself never leaves")
    watch, folder = Stopwatch(), stage.provider_house.folder
    written = await asyncio.to_thread(products.write_fleet, folder)
    buyer = stage.consumer_house.participant_id
    file, contracts = await asyncio.to_thread(products.write_consents, folder, buyer)
    stage.say(f"   {written.rows} rows, one a second, of {written.vehicles} vehicles on {written.trips} trips   {watch}")
    watch = Stopwatch()
    imported = await stage.provider.import_consents(str(file))
    await stage.provider.enrol(contracts)
    stage.say(f"   {imported['entries']} decisions of drivers, owners and renters; {len(contracts)} are enrolled   {watch}")
    for product in PRODUCTS:
        offer = product.offer()
        if product.dataset == FEATURES:
            offer["permission"][0]["duty"] = [products.PRICE]
        published = await stage.provider.publish(
            product.dataset, str(folder / products.FLEET_FILE), title=product.title, offers=[offer], table={}
        )
        hold(published["source"]["rows"] == written.rows, "the data plane has counted other rows")
        stage.say(f"   {product.title}. What it would let out:")
        for sentence in (line for release in published["releases"] for line in release["sentences"]):
            stage.say(f"     {sentence}")
    return contracts


async def flow(stage: Stage) -> Landed:
    """Aggregates: every cell is recounted from the raw table."""
    stage.scene("For the city's planners: cells of an hour with at least ten vehicles each, and nothing about any one of them")
    landed = await _bought(stage, FLOW, "flow.parquet")
    raw = stage.provider_house.folder / products.FLEET_FILE
    with duckdb.connect() as opened:
        fewest, cells = opened.execute(_RECOUNT, [str(raw), str(landed.file)]).fetchall()[0]
        rows = opened.execute(_CELLS, [str(landed.file)]).fetchall()
        names = [column[0] for column in opened.description or []]
    received = landed.transfer["received"]
    hold(cells == len(rows) == received["rows"] > 0, "the file has other cells than were announced")
    hold(fewest >= LEAST, f"a cell was delivered with {fewest} vehicles behind it")
    hold("pseudonym" not in names and VIN not in names, "an aggregate names vehicles")
    stage.say(f"   {cells} cells came, {received['suppressed']} were held back for having fewer than {LEAST} vehicles")
    stage.say(f"   recounted from the raw table: the smallest of them has {fewest} vehicles")
    _say_rows(stage, names, rows)
    return landed


async def features(stage: Stage, contracts: list[Document]) -> Landed:
    """Features by vehicle and month, of drivers who agreed, under the insurer's own contract numbers."""
    stage.scene("For an insurer: how its own customers drive, by month, if they agreed; no place, no speed, no vehicle id")
    landed = await _bought(stage, FEATURES, "features.parquet")
    with duckdb.connect() as opened:
        rows = opened.execute("SELECT * FROM read_parquet(?) ORDER BY reference", [str(landed.file)]).fetchall()
        names = [column[0] for column in opened.description or []]
    known = {contract["reference"] for contract in contracts}
    references = {row[names.index("reference")] for row in rows}
    hold(bool(references) and references <= known, "the file has contracts that nobody enrolled")
    hold(not any("Location" in name or name == VIN for name in names), "the file says where or who")
    stage.say(f"   {len(rows)} of {len(known)} enrolled vehicles came; who does not agree, or did not drive, is not in it")
    _say_rows(stage, names, rows)
    return landed


async def withdraw(stage: Stage, landed: Landed, contracts: list[Document]) -> None:
    """A driver withdraws: the buyer's connector erases the rows and attests it, and the next delivery is without them."""
    before = _references(landed.file)
    contract = next(each for each in contracts if each["reference"] in before)
    stage.scene(f"The driver under contract {contract['reference']} withdraws what was agreed to")
    watch = Stopwatch()
    wanted = {"vehicle": contract["vehicle"], "recipient": stage.consumer_house.participant_id}
    await stage.provider.withdraw_consents(wanted)
    stage.say(f"   nothing more leaves from here on   {watch}")
    watch = Stopwatch()
    duty = await _fulfilled(stage)
    hold(_references(landed.file) == before - {contract["reference"]}, "the buyer's file still has the driver's row")
    stage.say(f"   told by a peer message, the buyer's connector erased the rows and attested it: {duty['stage']}   {watch}")
    watch = Stopwatch()
    again = await _fetched(stage, landed.agreement, "features-later.parquet")
    hold(_references(again.file) == before - {contract["reference"]}, "the next delivery has the driver in it")
    stage.say(f"   and the next delivery has {len(before) - 1} contracts   {watch}")


async def beside(stage: Stage) -> None:
    """Rows that would undo the aggregates are not given to who has those."""
    stage.scene(
        "The same buyer asks for drives of the same days beside the cells: subtracting one from the other would show people"
    )
    product = PRODUCTS[2]
    agreement = await _agreed(stage, product.dataset)
    begun = await stage.consumer.transfer(agreement, sink="drives.parquet", ask={"purpose": product.purpose})
    done = await stage.consumer.wait(begun["id"], lambda now: bool(_failed(now)) or now["state"] in _OVER, STEP_S)
    why = _failed(done)
    hold("cells-held" in why, f"rows beside aggregates were not refused as such: {why or done['state']}")
    stage.say(f"   {why}")
    await stage.consumer.act(begun["id"], "terminate", reason=["not to be had beside what we have"])


async def account(stage: Stage, landed: Landed) -> None:
    """Receipts of both sides, and what is owed."""
    stage.scene("Both sides hold receipts of what came, signed by each, and the provider adds up what is owed")
    async with asyncio.timeout(STEP_S):
        while True:
            sides = [await client.receipts(landed.agreement) for client in (stage.provider, stage.consumer)]
            states = [[receipt["state"] for receipt in side] for side in sides]
            if all(states) and {state for side in states for state in side} == {"countersigned"}:
                break
            await asyncio.sleep(0.05)
    hold(
        [each["content"] for each in sides[0]] == [each["content"] for each in sides[1]],
        "the two sides hold different receipts",
    )
    stage.say(f"   {len(sides[0])} receipts, the same bytes on both sides, countersigned")
    told = await stage.provider.statement(landed.agreement)
    for line in told["lines"]:
        stage.say(
            f"   {line['quantity']} x {line['price']} {line['currency']} = {line['amount']} {line['currency']}, by {line['unit']}"
        )
    hold(bool(told["lines"]), "nothing is owed for what was delivered")


async def _bought(stage: Stage, dataset: str, name: str) -> Landed:
    return await _fetched(stage, await _agreed(stage, dataset), name)


async def _agreed(stage: Stage, dataset: str) -> str:
    offers = {found["@id"]: found["hasPolicy"] for found in await stage.consumer.catalog(stage.provider_house.participant_id)}
    begun = await stage.consumer.negotiate(stage.provider_house.participant_id, dataset, offers[dataset][0])
    done = await stage.reaches(stage.consumer, begun["id"], "FINALIZED")
    return str(done["agreement"]["@id"])


async def _fetched(stage: Stage, agreement: str, name: str) -> Landed:
    watch = Stopwatch()
    begun = await stage.consumer.transfer(agreement, sink=name)
    done = await stage.consumer.wait(begun["id"], lambda now: bool(_failed(now)) or now["state"] in _OVER, STEP_S)
    hold(done["state"] == "COMPLETED", f"nothing came: {_failed(done) or done.get('ended')}")
    stage.say(f"   made, delivered, verified: {done['received']['bytes']} bytes   {watch}")
    return Landed(agreement, done, stage.consumer_house.folder / "received" / name)


async def _fulfilled(stage: Stage) -> Document:
    try:
        async with asyncio.timeout(STEP_S):
            while True:
                for duty in await stage.provider.duties():
                    if duty["kind"] == "erase" and duty["fulfilledAt"] is not None:
                        return duty
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise Untrue(f"no attestation came within {STEP_S:.0f} s") from None


def _references(file: Path) -> set[str]:
    with duckdb.connect() as opened:
        return {row[0] for row in opened.execute("SELECT reference FROM read_parquet(?)", [str(file)]).fetchall()}


def _failed(process: Document) -> str:
    return str((process.get("received") or {}).get("error") or "")


def _say_rows(stage: Stage, names: list[str], rows: list[Any]) -> None:
    for row in rows[:_SHOWN]:
        stage.say("     " + ", ".join(f"{name} {_short(value)}" for name, value in zip(names, row, strict=True)))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:25]
