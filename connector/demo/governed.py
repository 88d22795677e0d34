"""The acts in which governed data go over: cells become a map, features premiums, faults a work list; and one driver withdraws.

Each file is opened and held against the contract; what is behind it in the raw table is counted by SQL of the demo's own, which
knows nothing of the data plane's.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from connector.client.deals import fetch
from connector.client.local import Document
from connector.demo.citymap import write_map
from connector.demo.given import Given
from connector.demo.given_counts import Counted, behind_cells, behind_features, behind_rows
from connector.demo.premium import LEAST_KM, LEAST_MONTHS, Premium, premiums, read_features, write_premiums
from connector.demo.products import DIAGNOSTICS, FAULTS, FEATURES, FLOW
from connector.demo.stage import STEP_S, Stage, Stopwatch, Untrue, hold
from connector.demo.terms import LEAST_AGREED
from connector.demo.town import Member

VIN: Final = "Vehicle.VehicleIdentification.VIN"
BASE_EUR: Final = Decimal(600)
LOWERED_KM: Final = 10.0
LOWERED_MONTHS: Final = 1
"""A day of driving is too little by the insurer's own rule: where nobody could be priced, the demo lowers it, and says so."""
MAP_FILE: Final = "flow.html"
PREMIUMS_FILE: Final = "premiums.csv"
LATER_FILE: Final = "premiums-later.csv"
WORK_FILE: Final = "work-list.csv"
_EMPTY: Final = Counted(0, 0, 0, 0.0, None, None, "nothing")
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
class Delivered:
    """A product that has come: to whom, under which agreement, its file, what both sides' receipts say, what was made of it, and
    what of the raw table is behind it."""

    to: Member
    what: str
    agreement: str
    file: Path
    received: Document
    made: tuple[Path, ...]
    behind: Counted


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A driver has withdrawn: of which vehicle, and what was delivered without it."""

    vehicle: str
    later: Delivered


async def deliver(stage: Stage, given: Given, agreed: Mapping[str, str]) -> dict[str, Delivered]:
    """What was agreed is made, delivered, opened and used; by dataset."""
    stage.act("Transfer and compute: each buyer's file, and what the buyer makes of it")
    done = {}
    for dataset, way in ((FLOW, _flow), (FEATURES, _features), (FAULTS, _faults)):
        if dataset in agreed:
            done[dataset] = await way(stage, given, agreed[dataset])
        else:
            stage.tell("", f"{dataset.rpartition(':')[2]}: left out, this table cannot give it")
    return done


async def _flow(stage: Stage, given: Given, agreement: str) -> Delivered:
    """Aggregates: the raw table is counted again in the cells that came."""
    city = stage.members["city"]
    file, received = await _came(stage, city, agreement, "flow.parquet", "flow")
    rows = await asyncio.to_thread(read_features, file)
    hold(len(rows) == received["rows"], "the file has other cells than were announced")
    hold(not any({"pseudonym", VIN} & set(row) for row in rows), "an aggregate names vehicles")
    fewest = min((row["vehicles"] for row in rows), default=None)
    hold(fewest is None or fewest >= LEAST_AGREED, f"a cell was delivered with {fewest} vehicles behind it")
    behind = await asyncio.to_thread(behind_cells, given, file) if rows else _EMPTY
    held_back = f"{received['suppressed']} were held back, of fewer than {LEAST_AGREED} vehicles"
    stage.tell("", f"{len(rows)} cells of an hour came; {held_back}")
    if given.survey is None:
        recounted = await asyncio.to_thread(_recounted, given.table_path, file)
        hold(recounted == (fewest, len(rows)), f"counted again in the raw table it is {recounted}")
        stage.tell("", f"counted again in the raw table: the same vehicles in each cell; the smallest has {fewest}")
    page, watch = city.folder / MAP_FILE, Stopwatch()
    title = "How fast traffic flows, by cell and hour"
    note = "From the connector's demo: the rows of the delivered file and nothing more."
    drawn = await asyncio.to_thread(
        lambda: write_map(file, page, title=title, note=note, least=LEAST_AGREED, suppressed=received["suppressed"])
    )
    hold(drawn == len(rows), "the map has other cells than the file")
    stage.tell("", f"drawn as a map of {drawn} cell-hours in one page that needs no network", watch.stop())
    return Delivered(city, "cells of an hour, anonymous", agreement, file, received, (page,), behind)


async def _features(stage: Stage, given: Given, agreement: str) -> Delivered:
    """Features by vehicle and month, of drivers who agreed, under the insurer's own contract numbers."""
    insurer = stage.members["insurer"]
    file, received = await _came(stage, insurer, agreement, "features.parquet", "features")
    rows = await asyncio.to_thread(read_features, file)
    known = {contract["reference"] for contract in given.contracts}
    hold(len(rows) == received["rows"], "the file has other rows than were announced")
    hold({row["reference"] for row in rows} <= known, "the file has contracts that nobody enrolled")
    hold(not any("Location" in name or name == VIN for row in rows for name in row), "the file says where or who")
    behind = await asyncio.to_thread(behind_features, given, file) if rows else _EMPTY
    came = len({row["reference"] for row in rows})
    hold(behind.vehicles == came, "the raw table has other vehicles behind the features")
    stage.tell("", f"{came} of {len(known)} enrolled vehicles came: no place, no speed, no vehicle id in it")
    if rows:
        km, braked = sum(row["km"] for row in rows), sum(row["harsh_brakings"] for row in rows)
        hold(abs(km - behind.km) <= max(0.02 * behind.km, 1), f"{km:.0f} km came and {behind.km:.0f} km were driven")
        again = f"{km:.0f} km, counted again in the raw table: {behind.km:.0f}"
        stage.tell("", f"{again}; {braked} harsh brakings, {100 * braked / km:.1f} in 100 km")
    made = insurer.folder / PREMIUMS_FILE
    _priced(stage, await asyncio.to_thread(_premiums, rows, known, made))
    return Delivered(insurer, "features by vehicle and month", agreement, file, received, (made,), behind)


async def _faults(stage: Stage, given: Given, agreement: str) -> Delivered:
    """Which vehicles say what is wrong with them."""
    repairer = stage.members["repairer"]
    file, received = await _came(stage, repairer, agreement, "faults.parquet", "faults")
    rows = await asyncio.to_thread(read_features, file)
    hold(len(rows) == received["rows"], "the file has other rows than were announced")
    names = {name for row in rows for name in row if name.startswith("Vehicle.")}
    hold(names <= set(DIAGNOSTICS), f"the file has {sorted(names)}")
    behind = await asyncio.to_thread(behind_rows, given, file, repairer.did) if rows else _EMPTY
    made = repairer.folder / WORK_FILE
    vehicles, broken = await asyncio.to_thread(_work_list, rows, made)
    hold(behind.vehicles == vehicles, "the file has other vehicles than were counted")
    stage.tell("", f"{vehicles} vehicles under pseudonyms, a row an hour; {broken} of them report a fault")
    return Delivered(repairer, "fault codes and mileage", agreement, file, received, (made,), behind)


async def withdraw(stage: Stage, given: Given, first: Delivered | None) -> Withdrawn | None:
    """A driver withdraws: the buyer's connector erases the rows and attests it, and the next delivery is without them."""
    stage.act("A driver withdraws what was agreed to")
    before = _references(first.file) if first is not None else set()
    if first is None or not before:
        stage.tell("", "left out: no driver's features were delivered")
        return None
    insurer = stage.members["insurer"]
    contract = next(each for each in given.contracts if each["reference"] in before)
    left, watch = before - {contract["reference"]}, Stopwatch()
    await stage.oem.client.withdraw_consents({"vehicle": contract["vehicle"], "recipient": insurer.did})
    stage.tell("driver", f"of contract {contract['reference']} withdraws: nothing more leaves from here on", watch.stop())
    watch = Stopwatch()
    duty = await _fulfilled(stage)
    hold(_references(first.file) == left, "the buyer's file still has the driver's row")
    stage.tell("insurer", f"is told, erases the rows in {first.file.name} and attests it: {duty['stage']}", watch.stop())
    file, received = await _came(stage, insurer, first.agreement, "features-later.parquet", "again")
    hold(_references(file) == left, "the next delivery has the driver in it")
    rows = await asyncio.to_thread(read_features, file)
    made = insurer.folder / LATER_FILE
    later = await asyncio.to_thread(_premiums, rows, {str(row["reference"]) for row in rows}, made)
    hold(contract["reference"] not in made.read_text(encoding="utf-8"), "the next premiums have the driver in them")
    hold({each.contract for each in later} == left, "the next premiums are of other contracts")
    stage.tell("", f"the next delivery and the next premiums have {len(left)} contracts, and had {len(before)}")
    behind = await asyncio.to_thread(behind_features, given, file) if rows else _EMPTY
    again = Delivered(insurer, "the same, after the withdrawal", first.agreement, file, received, (made,), behind)
    return Withdrawn(contract["vehicle"], again)


async def _came(stage: Stage, buyer: Member, agreement: str, name: str, what: str) -> tuple[Path, Document]:
    watch = Stopwatch()
    landed = await fetch(buyer.client, agreement, name)
    file = buyer.received / landed.name
    received = landed.received
    hold(file.stat().st_size == received["bytes"], "the file that came is not as long as was announced")
    stage.tell(
        buyer.name, f"{what}: made, delivered and verified: {received['rows']} rows, {received['bytes']} bytes", watch.stop()
    )
    return file, received


def _premiums(rows: list[dict[str, Any]], contracts: set[str], path: Path) -> list[Premium]:
    found = premiums(rows, base_eur=BASE_EUR, contracts=contracts)
    if not any(each.score is not None for each in found):
        found = premiums(rows, base_eur=BASE_EUR, least_km=LOWERED_KM, least_months=LOWERED_MONTHS, contracts=contracts)
    write_premiums(path, found)
    with path.open(encoding="utf-8", newline="") as file:
        hold(len(list(csv.DictReader(file))) == len(found), "the list of premiums is not complete")
    return found


def _priced(stage: Stage, found: list[Premium]) -> None:
    scored = sorted(each.eur for each in found if each.score is not None)
    if not scored:
        stage.tell("", "no contract has enough behind it for a premium")
        return
    hold(BASE_EUR * Decimal("0.7") <= scored[0] and scored[-1] <= BASE_EUR, "a premium is out of bounds")
    median = scored[len(scored) // 2]
    prices = f"{scored[0]} to {scored[-1]} EUR a year, median {median}; base {BASE_EUR}"
    stage.tell("", f"{len(scored)} of {len(found)} contracts priced: {prices}")
    rule = f"{LEAST_KM} km in {LEAST_MONTHS} months"
    lowered = any(each.score is not None and (each.km < LEAST_KM or each.months < LEAST_MONTHS) for each in found)
    stage.tell("", f"(the rule is {rule}{f', lowered for this demo to {LOWERED_KM:g} km in 1 month' if lowered else ''})")


def _work_list(rows: list[dict[str, Any]], path: Path) -> tuple[int, int]:
    """Writes who needs a look: the latest row of each vehicle; gives how many there are, and how many with a fault."""
    latest = {row["pseudonym"]: row for row in sorted(rows, key=lambda row: str(row["time"]))}
    count, codes, metres = DIAGNOSTICS
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["vehicle", "faults", "codes", "km"])
        for name, row in sorted(latest.items(), key=lambda each: -(each[1].get(count) or 0)):
            km = "" if row.get(metres) is None else f"{row[metres] / 1000:.0f}"
            lines.writerow([name, row.get(count) or 0, row.get(codes) or "", km])
    return len(latest), sum(1 for row in latest.values() if row.get(count) or row.get(codes))


async def _fulfilled(stage: Stage) -> Document:
    try:
        async with asyncio.timeout(STEP_S):
            while True:
                for duty in await stage.oem.client.duties():
                    if duty["kind"] == "erase" and duty["fulfilledAt"] is not None:
                        return duty
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise Untrue(f"no attestation came within {STEP_S:.0f} s") from None


def _recounted(raw: Path, file: Path) -> tuple[int, int]:
    """Of the cells that came, as the simulated fleet drove: fewest vehicles, and how many there are."""
    with duckdb.connect() as opened:
        fewest, cells = opened.execute(_RECOUNT, [str(raw), str(file)]).fetchall()[0]
        return fewest, cells


def _references(file: Path) -> set[str]:
    return {str(row["reference"]) for row in read_features(file)}
