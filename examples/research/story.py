"""Two laboratories study the same drives under names that they do not share, and delete them when they have to.

Read ``play`` first: it goes from top to bottom. The terms are those of ``OFFER``. It uses the public Python interface alone, and
a town of connectors that are started for the story; what a laboratory computes is in ``study.py``.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow
import pyarrow.csv

from connector.client import Agreement, Declined, Document, Duty, Refused, Waited
from connector.demo.fleet import KIT, Request, consents, write_parquet
from connector.demo.stage import Untrue, hold
from connector.demo.town import Member, acquaint, town
from examples.research.study import LAT, LON, SPEED, Meeting, meeting, names_by_day, studied

VDX: Final = "https://w3id.org/carnet/terms#"
DPV: Final = "https://w3id.org/dpv#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
DRIVES: Final = "urn:example:drives-for-research"
SCIENCE: Final = f"{DPV}ScientificResearch"
MARKETING: Final = f"{DPV}Marketing"
TEXT: Final = "I agree that this laboratory gets where and how I drive, without my name, for science."

FLEET: Final = replace(KIT, towns=2, spread_km=3.0, trip_km=(2.0, 3.0, 5.0, 8.0, 14.0))
VEHICLES, DAYS, SEED = 60, 2, 20267
SPARE_S: Final = 8
"""Laboratory B keeps the rows for so many seconds in place of ninety days, so that the story sees the end of it; and for three
times as long as laboratory A took to get them, so that a slow machine has the time."""
Say = Callable[[str], None]


def term(left: str, operator: str, right: str, kind: str | None = None) -> Document:
    """A constraint; ``kind`` is the datatype of its value, None for an IRI."""
    value = {"@value": right, "@type": XSD + kind} if kind else {"@id": right}
    return {"leftOperand": left, "operator": operator, "rightOperand": value}


OFFER: Final[Document] = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                term("odrl:purpose", "isA", SCIENCE),
                term(f"{VDX}consumerKind", "eq", f"{VDX}ResearchOrganisation"),
                term(f"{VDX}legalBasis", "eq", f"{DPV}Consent"),
                term(f"{VDX}releaseLevel", "eq", f"{VDX}L1"),
                term(f"{VDX}pseudonymEpoch", "eq", "P1D", "duration"),
                term(f"{VDX}tripEndCut", "gteq", "400", "decimal"),
                term(f"{VDX}offenceData", "eq", "false", "boolean"),
                {"leftOperand": f"{VDX}columns", "operator": "isAnyOf", "rightOperand": [LAT, LON, SPEED]},
            ],
            "duty": [
                {"action": "odrl:delete", "constraint": [term("odrl:elapsedTime", "lteq", "P90D", "duration")]},
                {"action": "odrl:delete", "constraint": [term("odrl:event", "lteq", "urn:example:study-ended")]},
            ],
        }
    ],
    "prohibition": [{"action": f"{VDX}reidentify"}, {"action": "odrl:sell"}, {"action": "odrl:distribute"}],
}
"""Rows under a pseudonym of a day, without the ends of trips, speed in bands; deleted after ninety days, or when the study has
ended if that is sooner."""


@dataclass(frozen=True, slots=True)
class Loan:
    """What one laboratory got, and where it lies until it is deleted. ``names``: how many pseudonyms it has on each day."""

    lab: Member
    agreement: Agreement
    transfer: str
    file: Path
    rows: int
    sha256: str
    names: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Deleted:
    """A duty to delete that was fulfilled, as the laboratory (``ours``) and the manufacturer (``theirs``) see it."""

    ours: Duty
    theirs: Duty


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of the story, and where its files are.

    ``refused``: the reason by what was tried. ``study``: what laboratory A found out, and keeps. ``until_ms``: when its ninety
    days would have been over. ``seconds``: what laboratory B asked for.
    """

    fleet: Path
    consents: Path
    study: Path
    raw_rows: int
    a: Loan
    b: Loan
    met: Meeting
    refused: dict[str, str]
    legal_only: str
    deleted_a: Deleted
    deleted_b: Deleted
    until_ms: int
    seconds: int


async def play(folder: Path, say: Say) -> Result:
    """Play the story in ``folder``, which is made; ``say`` is given each line of the account. Raises Untrue where it fails."""
    async with town(folder, "oem", "lab_a", "lab_b", "broker") as members:
        oem, lab_a, lab_b, broker = (members[name] for name in ("oem", "lab_a", "lab_b", "broker"))
        science = {"kind": "research", "country": "DE"}
        await acquaint(oem, {lab_a: science, lab_b: science, broker: {}})

        say("1. A manufacturer has drives, a row each second, and what people agreed to for each of two laboratories")
        fleet, decided, raw_rows = await stock(oem, (lab_a, lab_b), say)
        say("2. Laboratory A takes the offer as it is; laboratory B asks for a few seconds: less, so no person has to decide")
        began = time.monotonic()
        a = await borrowed(oem, lab_a)
        seconds = SPARE_S + 3 * math.ceil(time.monotonic() - began)
        b = await borrowed(oem, lab_b, seconds)
        owed_a, ends_a, owed_b = await duty(a, "pending"), await duty(a, "waiting"), await duty(b, "pending")
        for loan in (a, b):
            days = ", ".join(f"{count} pseudonyms on day {day}" for day, count in enumerate(loan.names, 1))
            say(f"   {loan.lab.name}: {loan.rows:,} rows, {days}: {loan.file}")
        say("3. The two lay side by side what they have")
        met = await asyncio.to_thread(meeting, a.file, b.file)
        tell(met, say)
        study = folder / "study.csv"
        hours = await asyncio.to_thread(studied, a.file, study)
        say(f"   lab_a writes down what it wanted to know, the share of speeds in each of {hours} hours of the day: {study}")
        say("4. What is refused, and what is a promise")
        refused = await refusals(oem, a, broker, say)
        legal = await promise(a, say)
        say("5. The study of laboratory A has ended, and it says so")
        await lab_a.carnet.happened(ends_a.id, oem.did)
        deleted_a = await deleted(oem, a, ends_a.id, say)
        refused["again"] = await denied(lab_a.carnet.fetch(a.agreement, "again.parquet"), say, "lab_a asks for them once more")
        until = owed_a.due_at or 0
        say(f"   without its word it would have had to by {moment(until)}")
        say(f"6. The {seconds} seconds of laboratory B run out; its connector deletes without being told")
        deleted_b = await deleted(oem, b, owed_b.id, say)
        return Result(fleet, decided, study, raw_rows, a, b, met, refused, legal, deleted_a, deleted_b, until, seconds)


async def stock(oem: Member, labs: tuple[Member, ...], say: Say) -> tuple[Path, Path, int]:
    """Drives and decisions of a made-up fleet, published on the terms of ``OFFER``: the two files, and how many rows."""
    fleet, decided = oem.folder / "fleet.parquet", oem.folder / "consents.csv"
    written = await asyncio.to_thread(write_parquet, fleet, FLEET, VEHICLES, DAYS, SEED)
    asked = [Request(lab.name, SCIENCE, ("location", "driving-behaviour"), texts=(TEXT,), agree=0.6) for lab in labs]
    ids = {lab.name: lab.did for lab in labs}  # people are asked about a name, so that they answer alike in every town
    table = consents(FLEET, VEHICLES, asked, SEED)
    recipients = pyarrow.array([ids[name] for name in table["recipient"].to_pylist()])
    pyarrow.csv.write_csv(table.set_column(table.column_names.index("recipient"), "recipient", recipients), decided)
    await oem.carnet.import_consents(decided)
    published = await oem.carnet.publish(DRIVES, fleet, title="Drives for research", offers=[OFFER], table=True)
    say(f"   {written.rows:,} rows of {written.vehicles} vehicles on {written.trips} trips. What it would let out:")
    for sentence in (line for release in published.releases for line in release.sentences):
        say(f"     {sentence}")
    return fleet, decided, written.rows


async def borrowed(oem: Member, lab: Member, seconds: int | None = None) -> Loan:
    """A contract for the drives, for so many ``seconds`` or as offered, and the rows of it."""
    offer = (await lab.carnet.offered(oem.did, DRIVES)).document
    agreement = await lab.carnet.contract(oem.did, DRIVES, offer=offer if seconds is None else shorter(offer, seconds))
    landed = await lab.carnet.fetch(agreement, "drives.parquet")
    file = lab.received / landed.name
    names = await asyncio.to_thread(names_by_day, file)
    return Loan(lab, agreement, landed.transfer, file, int(landed.received["rows"]), str(landed.received["sha256"]), names)


def shorter(offer: Document, seconds: int) -> Document:
    """The offer, but to be deleted after so many seconds: less than is offered, so that it needs nobody's decision."""
    asked = deepcopy(offer)
    timed = asked["permission"][0]["duty"][0]["constraint"][0]
    hold(str(timed["leftOperand"]).endswith("elapsedTime"), "the first duty of the offer is not the one with a time")
    timed["rightOperand"] = {"@value": f"PT{seconds}S", "@type": f"{XSD}duration"}
    return asked


def tell(met: Meeting, say: Say) -> None:
    """What two laboratories find out together, and what they do not."""
    hold(met.rows_by_pseudonym == met.rows_by_trip == 0, "the two have names in common")
    hold(met.on_two_days == 0, "a pseudonym is the same on two days")
    say(f"   rows of lab_a that lab_b has under the same pseudonym: {met.rows_by_pseudonym}; trips: {met.rows_by_trip}")
    say(f"   pseudonyms of either that are there on two days: {met.on_two_days}")
    say(f"   rows of lab_a that lab_b has for the same second and place: {met.rows_by_place:,}, of {met.paired} pseudonyms")
    say("   So other names do not hide that two files show the same drive. The contract forbids to pass rows on; where that is")
    say("   not enough, offer coarser places and times, or cells of several vehicles.")


async def refusals(oem: Member, a: Loan, broker: Member, say: Say) -> dict[str, str]:
    """What does not go, each with the reason that the manufacturer's connector gives."""
    fetching = a.lab.carnet.fetch(a.agreement, "marketing.parquet", purpose=MARKETING)
    marketing = await denied(fetching, say, "lab_a asks for rows under its contract, for marketing")
    seen = await a.lab.carnet.offered(oem.did, DRIVES)
    shown = await broker.carnet.browse(oem.did)
    hold(shown == [], "who is not verified as a research organisation sees the offer")
    say(f"   a broker whose kind nobody has verified sees {len(shown)} datasets")
    asking = broker.carnet.contract(oem.did, DRIVES, offer=seen)
    return {"marketing": marketing, "broker": await denied(asking, say, "it asks all the same, with a copy of the offer")}


async def denied(attempt: Awaitable[Any], say: Say, what: str) -> str:
    """Why something is refused. Raises Untrue where it is not."""
    try:
        await attempt
    except (Declined, Refused) as no:
        say(f"   {what}: {no}")
        return str(no)
    raise Untrue(f"{what}, and gets it")


async def promise(a: Loan, say: Say) -> str:
    """How the prohibition to re-identify is kept: it binds in law, and no connector can see to it."""
    told = await a.lab.carnet.explain(a.agreement)
    (kept,) = [line.sentence for line in told.delivery if line.path == "/prohibition/0"]
    hold(kept.endswith("legal only"), "a promise is said to be more than that")
    say(f'   "{kept}": no connector sees to that')
    return kept


async def duty(loan: Loan, stage: str) -> Duty:
    """The duty to delete of a contract that has a deadline (``pending``), or waits for its event (``waiting``)."""
    wanted = (loan.agreement.id, stage)
    found = [each async for each in loan.lab.carnet.duties() if (each.agreement, each.stage) == wanted]
    hold(len(found) == 1, f"{loan.lab.name} has {len(found)} duties that are {stage}")
    return found[0]


async def deleted(oem: Member, loan: Loan, duty_id: str, say: Say) -> Deleted:
    """A duty to delete once it is fulfilled: the file is gone, and both sides hold the same attestation."""
    theirs = await fulfilled(oem, duty_id, loan.lab.did)
    ours = await fulfilled(loan.lab, duty_id, oem.did)
    hold(not loan.file.exists(), f"{loan.file} is still there")
    hold(ours.attestation == theirs.attestation, "the two sides hold different attestations")
    hold(not theirs.late, "it was deleted too late")
    (gone,) = (theirs.outcome or {})["erased"]
    hold((gone["transfer"], gone["rows"]) == (loan.transfer, loan.rows), "something else was deleted")
    hold(loan.transfer not in str((theirs.outcome or {})["outside"]), "the rows were out of reach")
    say(f"   {gone['file']} with {gone['rows']:,} rows is gone, in time")
    key = (theirs.key_thumbprint or "")[:12]
    say(f"   attested and signed by {loan.lab.name}, verified by the manufacturer with the key {key}…")
    return Deleted(ours, theirs)


async def fulfilled(member: Member, duty_id: str, counterparty: str) -> Duty:
    """A duty once it is fulfilled. Raises Untrue where it is not."""
    wanted = (duty_id, counterparty, "fulfilled")

    async def found() -> list[Duty]:
        return [each async for each in member.carnet.duties() if (each.id, each.counterparty, each.stage) == wanted]

    try:
        return (await member.carnet.until(found, bool))[0]
    except Waited as error:
        raise Untrue(f"{member.name}: {duty_id} is not fulfilled: {error.sentence}") from None


def moment(at_ms: int) -> str:
    """A time, to the second, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
