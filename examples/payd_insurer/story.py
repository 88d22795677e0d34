"""Pay as you drive: drivers enrol, figures about their driving leave the car maker, an insurer makes premiums of them, and a
driver withdraws.

Read ``play`` first: it goes from top to bottom, a function for each scene. The terms are in ``terms.py``, what a premium is in
``connector/demo/premium.py``. It uses the public Python interface alone, and a town of connectors started for the story.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from connector.client import Agreement, Declined, Document, Duty, Receipt, Refused, Statement
from connector.client.deals import declined
from connector.demo.fleet import ENVIROCAR, KIT, vins, write_parquet
from connector.demo.premium import Premium, premiums, read_features, write_premiums
from connector.demo.stage import Untrue, hold
from connector.demo.town import Member, acquaint, town
from examples.payd_insurer.terms import (
    CATEGORIES,
    LATITUDE,
    MARKETING,
    OFFER,
    PAYD,
    SPEED_WITH_PLACE,
    TEXT,
    for_marketing,
    of_raw_trips,
)

Row = dict[str, Any]
FLEET: Final = replace(KIT, towns=2, trip_km=(1.0, 2.0, 3.0, 4.0, 7.0, 12.0, 20.0, 45.0), commutes=0.2, errands=0.15, nights=0.04)
"""People who drive little: for them it pays to be insured by distance."""
VEHICLES, SEED = 12, 5
DAYS: Final = 122
"""From 2 March to the end of June 2026."""
QUARTER: Final[Row] = {"from_": "2026-03-01T00:00:00Z", "to": "2026-06-01T00:00:00Z"}
JUNE: Final[Row] = {"from_": "2026-06-01T00:00:00Z", "to": "2026-07-01T00:00:00Z"}
DRIVING: Final = "urn:example:driving"
BASE_EUR: Final = Decimal(600)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused: its code, and the reason that came with it."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rated:
    """A delivery and what the insurer made of all that it had: the rows that came, premiums, and their files."""

    rows: list[Row]
    premiums: list[Premium]
    came: Path
    priced: Path


@dataclass(frozen=True, slots=True)
class Result:
    """What the story came to, and where its files are.

    ``insured``, ``asking``: the references of the insurer and of its rival, by vehicle (VIN). ``refused``: by what was tried.
    ``rival``: the quarter as the rival got it. ``gone``: the vehicle whose driver withdrew; ``left``: the rows of the quarter
    that the insurer has after that.
    """

    raw: Path
    agreement: str
    insured: Mapping[str, str]
    asking: Mapping[str, str]
    refused: Mapping[str, Refusal]
    quarter: Rated
    rival: list[Row]
    gone: str
    erasure: Duty
    left: list[Row]
    june: Rated
    statement: Statement
    receipts: tuple[list[Receipt], list[Receipt]]


async def play(folder: Path, say: Say) -> Result:
    """Play the story in ``folder``; ``say`` is given each line of the account. Raises Untrue where it does not hold."""
    async with town(folder, "oem", "insurer", "rival") as members:
        oem, insurer, rival = (members[name] for name in ("oem", "insurer", "rival"))
        await acquaint(oem, {insurer: {"kind": "company"}, rival: {"kind": "company"}})
        raw = await drive(oem, say)
        cars = vins(FLEET, VEHICLES, SEED).to_pylist()
        insured = {car: f"POLICY-{4711 + number}" for number, car in enumerate(cars[:8])}
        asking = {car: f"QUOTE-{number}" for number, car in enumerate(cars[6:9], 1)}
        await enrol(oem, insurer, insured)
        await enrol(oem, rival, asking)
        say(f"{len(insured)} drivers signed the insurer's text (SHA-256 {digest(TEXT)[:16]}…) and gave their contract numbers;")
        say(f"{len(asking)}, two of them among these, want a quote from a rival; the others never signed")
        refused = await publish(oem, raw, say)
        refused |= await ask_for_more(oem, insurer, say)
        agreement = await insurer.carnet.contract(oem.did, DRIVING)
        say("The insurer takes the offer as it is: a contract, without a person in between")
        refused |= await fetch_more(insurer, agreement, say)
        quarter = await rate(insurer, agreement, "quarter", QUARTER, insured, say)
        say_row(min(quarter.rows, key=lambda row: (row["reference"], row["month"])), say)
        say(f"Premiums, of a base of {BASE_EUR} EUR and less for who drives well:")
        say_premiums(quarter.premiums, say)
        others = await compare(oem, rival, quarter.rows, say)
        gone = cars[1]
        erasure = await withdraw(oem, insurer, agreement, gone, insured[gone], say)
        left = read_features(quarter.came)
        june = await rate(insurer, agreement, "june", JUNE, insured, say, left)
        say("Who pays the base now, and why:")
        say_premiums([one for one in june.premiums if one.why], say)
        statement, receipts = await account(oem, insurer, agreement, say)
    hold({row["reference"] for row in june.rows} <= set(insured.values()) - {insured[gone]}, "June has the driver who withdrew")
    return Result(
        raw, agreement.id, insured, asking, refused, quarter, others, gone, erasure, left, june, statement, receipts
    )  # fmt: skip


async def drive(oem: Member, say: Say) -> Path:
    """The car maker has a row for each second of four months. It stays where it is."""
    raw = oem.folder / "driving.parquet"
    driven = await asyncio.to_thread(write_parquet, raw, FLEET, VEHICLES, DAYS, SEED)
    amount = f"{driven.rows:,} rows, one a second: {driven.vehicles} cars, {driven.trips:,} trips, {driven.km:,.0f} km"
    say(f"The car maker has {amount}")
    return raw


async def enrol(oem: Member, insurer: Member, references: Mapping[str, str]) -> None:
    """Each driver agrees to the insurer's text, and says under which number the insurer knows the car."""
    signed = {"recipient": insurer.did, "decided_by": "driver", "text_sha256": digest(TEXT)}
    consents = [
        {**signed, "vehicle": car, "purpose": PAYD, "category": category, "given": True}
        for car in references
        for category in CATEGORIES
    ]
    await oem.carnet.decide_consents(consents)
    await oem.carnet.enrol([{**signed, "vehicle": car, "reference": reference} for car, reference in references.items()])
    for car in references:
        written = (await oem.carnet.consents(car))["entries"]
        shown = {each["textSha256"] for each in written if each["recipient"] == insurer.did}
        hold(shown == {digest(TEXT)}, f"the ledger does not say which text the driver of {car} was shown")


async def publish(oem: Member, raw: Path, say: Say) -> dict[str, Refusal]:
    """The offer is published, once its terms are such that they can be kept. Two that cannot are refused."""
    table = await oem.carnet.publish(DRIVING, raw, title="How people drive, by month", offers=[OFFER], table=True)
    say("It offers insurers figures by car and month. What would leave:")
    for sentence in (line for release in table.releases for line in release.sentences):
        say(f"  {sentence}")
    # A small table with a row every five seconds is enough to see both refused.
    coarse = oem.folder / "coarse.parquet"
    await asyncio.to_thread(write_parquet, coarse, ENVIROCAR, 2, 1, SEED)

    async def refused(offer: Document) -> Refusal:
        return await refusal(oem.carnet.publish("urn:example:other", coarse, title="Other", offers=[offer], table=True))

    found = {"speed with position": await refused(SPEED_WITH_PLACE), "a row every 5 s": await refused(OFFER)}
    say_refused("The car maker cannot publish", found, say)
    return found


async def ask_for_more(oem: Member, insurer: Member, say: Say) -> dict[str, Refusal]:
    """The insurer asks for contracts on other terms: one is refused at once, for the other a person is asked, who says no."""
    offer = (await insurer.carnet.offered(oem.did, DRIVING)).document
    wanted = insurer.carnet.contract(oem.did, DRIVING, offer=for_marketing(offer))
    found = {"marketing": await refusal(wanted)}
    begun = await insurer.carnet.negotiate(oem.did, DRIVING, of_raw_trips(offer))
    sent = await insurer.carnet.wait(begun, lambda now: now.provider_pid is not None)
    asked = await oem.carnet.wait(sent.provider_pid or "", lambda now: now.pending is not None)
    hold(asked.pending == "decide-counter-offer", "raw trips did not wait for a person")
    await oem.carnet.reject(asked, "raw trips are not for insurers: take the figures, or leave it")
    ended = declined((await insurer.carnet.wait(begun, lambda now: now.over)).document)
    found["raw trips"] = Refusal(ended.code, ended.reason)
    say_refused("The insurer gets no contract for", found, say)
    return found


async def fetch_more(insurer: Member, agreement: Agreement, say: Say) -> dict[str, Refusal]:
    """With the contract, it asks for data that are not in it."""
    found = {
        "positions": await refusal(insurer.carnet.fetch(agreement, "positions.parquet", columns=LATITUDE)),
        "data for marketing": await refusal(insurer.carnet.fetch(agreement, "marketing.parquet", purpose=MARKETING)),
    }
    say_refused("With the contract, the insurer gets no", found, say)
    return found


async def rate(
    insurer: Member,
    agreement: Agreement,
    name: str,
    period: Row,
    insured: Mapping[str, str],
    say: Say,
    before: list[Row] | None = None,
) -> Rated:
    """The insurer fetches a period, and makes a premium for each of its contracts of that and what it had ``before``."""
    landed = await insurer.carnet.fetch(agreement, f"{name}.parquet", **period)
    came, priced = insurer.received / landed.name, insurer.folder / f"premiums-{name}.csv"
    rows = read_features(came)
    found = premiums([*(before or []), *rows], base_eur=BASE_EUR, contracts=insured.values())
    write_premiums(priced, found)
    came_of = len({row["reference"] for row in rows})
    say(f"{name}: {len(rows)} rows came, a month of a car each, of {came_of} contracts")
    return Rated(rows, found, came, priced)


async def compare(oem: Member, rival: Member, ours: list[Row], say: Say) -> list[Row]:
    """A rival takes the same offer. Two of its drivers are the insurer's too; nothing in the two files says which."""
    agreement = await rival.carnet.contract(oem.did, DRIVING)
    landed = await rival.carnet.fetch(agreement, "quarter.parquet", **QUARTER)
    theirs = read_features(rival.received / landed.name)
    for name in ("pseudonym", "reference"):
        shared = {row[name] for row in ours} & {row[name] for row in theirs}
        hold(not shared, f"the two insurers share a {name}")
    cars = len({row["pseudonym"] for row in theirs})
    say(f"rival: {len(theirs)} rows came, of {cars} cars; no pseudonym and no reference is in both insurers' files")
    return theirs


async def withdraw(oem: Member, insurer: Member, agreement: Agreement, car: str, reference: str, say: Say) -> Duty:
    """A driver takes it back: the insurer's connector erases what it has, and attests it."""
    await oem.carnet.withdraw_consents(car, recipient=insurer.did)
    duty = await erased(oem, agreement)
    (file,) = (duty.outcome or {})["erased"]
    erased_rows = f"{file['rows']} rows of {file['file']}"
    say(f"The driver of {reference} withdraws: {erased_rows} are erased at the insurer, and its connector attests it")
    return duty


async def erased(oem: Member, agreement: Agreement) -> Duty:
    """The duty to erase under an agreement, once the attestation has come."""

    async def fulfilled() -> list[Duty]:
        mine = [each async for each in oem.carnet.duties() if (each.kind, each.agreement) == ("erase", agreement.id)]
        return [each for each in mine if each.fulfilled_at is not None]

    return (await oem.carnet.until(fulfilled, bool))[0]


async def account(
    oem: Member, insurer: Member, agreement: Agreement, say: Say
) -> tuple[Statement, tuple[list[Receipt], list[Receipt]]]:
    """What is owed, once both sides have signed for both deliveries."""
    told = await oem.carnet.until(lambda: oem.carnet.statement(agreement), lambda now: not now.unsettled)
    mine, yours = [[each async for each in side.carnet.receipts(agreement)] for side in (oem, insurer)]
    receipts = (mine, yours)
    ours, theirs = ([each.content for each in side] for side in receipts)
    hold(ours == theirs, "the two sides hold different receipts")
    (line,) = told.lines
    price, amount = (f"{each} {line.currency}" for each in (line.price, line.amount))
    say(f"Owed: {line.quantity} cars x {price} = {amount}, for a month of the contract")
    say(f"{len(ours)} receipts, the same on both sides, countersigned")
    return told, receipts


async def refusal(tried: Awaitable[object]) -> Refusal:
    """How something is refused that must be."""
    try:
        await tried
    except Refused as error:
        found = error.findings[0]
        return Refusal(str(found["code"]), f"{found['sentence']}; {found['remedy']}")
    except Declined as error:
        return Refusal(error.code, error.reason)
    raise Untrue("something was given that the terms forbid")


def say_row(row: Row, say: Say) -> None:
    """One row of features, of which there is all that leaves."""
    bands = ", ".join(f"{100 * row[name]:.0f} %" for name in ("share_below_50", "share_50_90", "share_90_130", "share_above_130"))
    braking = row["harsh_braking_per_100km"]
    say(f"  {row['reference']} {row['month']}: {row['km']:.1f} km, {braking:.1f} harsh brakings per 100 km,")
    say(f"    {100 * row['night_km_share']:.0f} % by night; time below 50, to 90, to 130 and above 130 km/h: {bands}")


def say_premiums(found: Iterable[Premium], say: Say) -> None:
    """What each contract pays, and why."""
    for one in found:
        rated = f"score {one.score:.1f}" if one.why is None else one.why
        say(f"  {one.contract} {one.km:8.1f} km in {one.months} months, {rated}: {one.eur} EUR")


def say_refused(what: str, found: Mapping[str, Refusal], say: Say) -> None:
    """What was refused, with code and reason."""
    for tried, refused in found.items():
        say(f"{what} {tried} ({refused.code}):")
        say(f"  {refused.reason}")


def digest(text: str) -> str:
    """As consents and enrolments name the text that was shown."""
    return hashlib.sha256(text.encode()).hexdigest()
