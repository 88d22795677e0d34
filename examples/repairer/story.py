"""A repair at the owner's request: who names a garage to the manufacturer has the car's faults sent there, and nowhere else.

Read ``play`` first: it goes from top to bottom, a function for each scene. The terms are in ``terms.py``, what the garage makes
of the rows in ``worklist.py``. It uses the public Python interface alone, and a town of connectors started for the story.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from connector.client import Agreement, Declined, Duty, Receipt, Refused, Statement
from connector.demo.fleet import ENVIROCAR, vins, write_parquet
from connector.demo.stage import Untrue, hold
from connector.demo.town import Member, acquaint, town
from examples.repairer.terms import AGREED, CATEGORIES, LATITUDE, MARKETING, ORDER, exclusive, for_one, offer
from examples.repairer.worklist import Job, jobs, write

FLEET: Final = replace(ENVIROCAR, towns=2, trip_km=(1.0, 2.0, 4.0, 7.0, 12.0), faulty=0.7)
"""Cars that need a garage more often than most."""
VEHICLES, DAYS, SEED = 12, 14, 35
FAULTS: Final = "urn:example:faults-and-mileage"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused: its code, and the reason that came with it."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """What the story came to, and where its files are.

    ``vehicles``: by the id of a request the vehicle (VIN) that it is about, as the manufacturer alone knows. ``agreements`` and
    ``landed``: by request, the contract of whoever it names, and the file that came. ``jobs``: the garage's list of work.
    ``withdrawn``: the request that its owner took back; ``left``: how many rows of it the garage has after that. ``statements``:
    what is owed, by request.
    """

    raw: Path
    vehicles: Mapping[str, str]
    agreements: Mapping[str, Agreement]
    landed: Mapping[str, Path]
    rows: Mapping[str, int]
    jobs: list[Job]
    worklist: Path
    refused: Mapping[str, Refusal]
    withdrawn: str
    erasure: Duty
    statements: Mapping[str, Statement]
    receipts: tuple[list[Receipt], list[Receipt]]


async def play(folder: Path, say: Say) -> Result:
    """Play the story in ``folder``; ``say`` is given each line of the account. Raises Untrue where it does not hold."""
    async with town(folder, "oem", "garage", "chain", "other") as members:
        oem, garage, chain, other = (members[name] for name in ("oem", "garage", "chain", "other"))
        await acquaint(oem, {garage: {"kind": "sme"}, chain: {"kind": "company"}, other: {"kind": "sme"}})
        raw = await drive(oem, say)
        vehicles = await ask(oem, garage, chain, say)
        refused = await publish(oem, raw, list(vehicles), say)
        mine, theirs = list(vehicles)[:2], list(vehicles)[2]
        agreements = {request: await agree(garage, oem, request) for request in mine}
        agreements[theirs] = await agree(chain, oem, theirs)
        refused |= await ask_for_more(oem, garage, chain, other, list(vehicles), say)
        landed, rows = {}, {}
        for request, agreement in agreements.items():
            buyer = chain if request == theirs else garage
            landed[request], rows[request] = await receive(buyer, agreement, request)
        say("What came, under each request and nothing else:")
        for request, count in rows.items():
            say(f"  {request}: {count:,} rows of one vehicle, at the {'chain' if request == theirs else 'garage'}")
        found, worklist = await work(garage, {request: landed[request] for request in mine}, say)
        refused |= await fetch_more(garage, agreements[mine[0]], say)
        statements = {request: await settled(oem, agreement) for request, agreement in agreements.items()}
        say_owed(statements, say)
        ours, yours = [[each async for each in side.carnet.receipts(agreements[mine[0]])] for side in (oem, garage)]
        erasure = await withdraw(oem, garage, agreements[mine[0]], mine[0], say)
        refused |= await ask_again(garage, oem, agreements[mine[0]], mine[0], say)
    return Result(
        raw, vehicles, agreements, landed, rows, found, worklist, refused, mine[0], erasure, statements, (ours, yours)
    )  # fmt: skip


async def drive(oem: Member, say: Say) -> Path:
    """The manufacturer has a row for every five seconds of two weeks. It stays where it is."""
    raw = oem.folder / "drives.parquet"
    driven = await asyncio.to_thread(write_parquet, raw, FLEET, VEHICLES, DAYS, SEED)
    say(f"The manufacturer has {driven.rows:,} rows of {driven.vehicles} vehicles, with fault codes and kilometres among them")
    return raw


async def ask(oem: Member, garage: Member, chain: Member, say: Say) -> dict[str, str]:
    """Three owners ask the manufacturer to share: two name the garage, one the chain. What they signed is kept as a hash."""
    cars = vins(FLEET, VEHICLES, SEED).to_pylist()
    asked = {
        "urn:request:2026-0001": (cars[0], garage),
        "urn:request:2026-0002": (cars[1], garage),
        "urn:request:2026-0003": (cars[2], chain),
    }
    text = hashlib.sha256(ORDER.encode()).hexdigest()
    for request, (car, recipient) in asked.items():
        more = {"id": request, "categories": CATEGORIES, "decided_by": "owner", "text_sha256": text}
        await oem.carnet.request_share(car, recipient.did, AGREED, **more)
    on_record = await oem.carnet.user_requests()
    hold({each["id"] for each in on_record} == set(asked), "not every request stands on record")
    say(f"{len(asked)} owners ask it to share faults and mileage: two name the garage, one names the chain")
    return {request: car for request, (car, _) in asked.items()}


async def publish(oem: Member, raw: Path, requests: list[str], say: Say) -> dict[str, Refusal]:
    """One offer for whoever was named. With exclusivity it is not published: what a user shares is not the manufacturer's to
    promise."""
    title = "Faults and mileage at the owner's request"
    tried = oem.carnet.publish(FAULTS, raw, title=title, offers=[exclusive(offer(requests))], table=True)
    found = {"an offer with exclusivity": await refusal(tried)}
    say_refused("The manufacturer cannot publish", found, say)
    table = await oem.carnet.publish(FAULTS, raw, title=title, offers=[offer(requests)], table=True)
    say("It offers the rows of exactly these vehicles. What would leave:")
    for sentence in table.releases[0].sentences:
        say(f"  {sentence}")
    return found


async def agree(buyer: Member, oem: Member, request: str) -> Agreement:
    """A contract about one request."""
    terms = (await buyer.carnet.offered(oem.did, FAULTS)).document
    return await buyer.carnet.contract(oem.did, FAULTS, offer=for_one(terms, request))


async def ask_for_more(
    oem: Member, garage: Member, chain: Member, other: Member, requests: list[str], say: Say
) -> dict[str, Refusal]:
    """Nobody gets a contract about a vehicle whose owner named somebody else; and nobody has one alone."""
    terms = (await chain.carnet.offered(oem.did, FAULTS)).document
    alone = exclusive(for_one(terms, requests[2]))
    found = {
        "the other garage, whom nobody named": await refusal(agree(other, oem, requests[0])),
        "the chain, about the garage's customer": await refusal(agree(chain, oem, requests[0])),
        "the garage, about a request that nobody made": await refusal(contract_on(garage, oem, "urn:request:2026-9999")),
        "the chain, with exclusivity": await refusal(chain.carnet.contract(oem.did, FAULTS, offer=alone)),
    }
    say_refused("There is no contract for", found, say)
    hold(found["the other garage, whom nobody named"].code == "policy-denied", "whom nobody named is refused for another reason")
    return found


async def contract_on(buyer: Member, oem: Member, request: str) -> str:
    """A contract that names a request which the offer does not name: more than is offered, which a person has to decide."""
    terms = for_one((await buyer.carnet.offered(oem.did, FAULTS)).document, request)
    begun = await buyer.carnet.negotiate(oem.did, FAULTS, terms)
    sent = await buyer.carnet.wait(begun, lambda now: now.provider_pid is not None)
    asked = await oem.carnet.wait(sent.provider_pid or "", lambda now: now.pending is not None)
    # The person says yes, and cannot make it so.
    await oem.carnet.approve(asked)
    return begun.id


async def receive(buyer: Member, agreement: Agreement, request: str) -> tuple[Path, int]:
    """The rows of one request, in a file."""
    landed = await buyer.carnet.fetch(agreement, f"{request.rpartition(':')[2]}.parquet")
    return buyer.received / landed.name, int(landed.received["rows"])


async def work(garage: Member, landed: Mapping[str, Path], say: Say) -> tuple[list[Job], Path]:
    """The garage makes its list of work. It knows its customers by their requests; who they are it knows from them."""
    found, worklist = jobs(landed), garage.folder / "worklist.csv"
    await asyncio.to_thread(write, worklist, found)
    say("The garage's list of work:")
    for job in found:
        fault = f"{job.code} from {job.since} to {job.last}" if job.code else "no fault"
        say(f"  {job.request}: {fault}, {job.km:.1f} km on the clock")
    return found, worklist


async def fetch_more(garage: Member, agreement: Agreement, say: Say) -> dict[str, Refusal]:
    """With its contract, the garage asks for what the owner did not ask for."""
    found = {
        "positions": await refusal(garage.carnet.fetch(agreement, "positions.parquet", columns=LATITUDE)),
        "data for marketing": await refusal(garage.carnet.fetch(agreement, "marketing.parquet", purpose=MARKETING)),
    }
    say_refused("With its contract, the garage gets no", found, say)
    return found


async def withdraw(oem: Member, garage: Member, agreement: Agreement, request: str, say: Say) -> Duty:
    """The owner takes it back: the garage's connector erases what it has, and attests it."""
    await oem.carnet.withdraw_request(request)
    duty = await erased(oem, agreement)
    rows = sum(each["rows"] for each in (duty.outcome or {})["erased"])
    say(f"The owner of {request} takes it back; the garage's connector attests that {rows:,} rows are erased")
    return duty


async def ask_again(garage: Member, oem: Member, agreement: Agreement, request: str, say: Say) -> dict[str, Refusal]:
    """After that, neither the old contract gives anything, nor is there a new one."""
    found = {
        "rows under the contract": await refusal(garage.carnet.fetch(agreement, "later.parquet")),
        "a new contract": await refusal(agree(garage, oem, request)),
    }
    say_refused("After that, the garage gets no", found, say)
    return found


async def erased(oem: Member, agreement: Agreement) -> Duty:
    """The duty to erase under an agreement, once the attestation has come."""

    async def fulfilled() -> list[Duty]:
        mine = [each async for each in oem.carnet.duties() if (each.kind, each.agreement) == ("erase", agreement.id)]
        return [each for each in mine if each.fulfilled_at is not None]

    return (await oem.carnet.until(fulfilled, bool))[0]


async def settled(oem: Member, agreement: Agreement) -> Statement:
    """What is owed under an agreement, once both sides have signed for what was delivered."""
    return await oem.carnet.until(lambda: oem.carnet.statement(agreement), lambda told: not told.unsettled)


async def refusal(tried: Awaitable[object]) -> Refusal:
    """How something is refused that must be."""
    try:
        await tried
    except Refused as error:
        if not error.findings:
            return Refusal(error.code, error.reason)
        found = error.findings[0]
        return Refusal(str(found["code"]), f"{found['sentence']}; {found['remedy']}")
    except Declined as error:
        return Refusal(error.code, error.reason)
    raise Untrue("something was given that the terms forbid")


def say_owed(statements: Mapping[str, Statement], say: Say) -> None:
    """What each contract costs."""
    say("Owed, at cost by a small or medium enterprise, at list price by others:")
    for request, told in statements.items():
        for line in told.lines:
            owed = f"{line.quantity} vehicle x {line.price} {line.currency} = {line.amount} {line.currency}"
            say(f"  {request}: {owed}")


def say_refused(what: str, found: Mapping[str, Refusal], say: Say) -> None:
    """Each with its code; a reason that several have is said once."""
    say(f"{what}:")
    before = ""
    for tried, one in found.items():
        say(f"  {tried}: {one.code}" + (", the same" if one.reason == before else ""))
        if one.reason != before:
            say(f"    {one.reason}")
        before = one.reason
