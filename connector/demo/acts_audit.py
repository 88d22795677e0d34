"""The last act: an auditor verifies two logs and the evidence of a contract from copies, asks them, and sees a forgery."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from connector.audit.answering import OfVehicle, agreements_of_vehicle, delivered_after_termination
from connector.audit.asking import Scope
from connector.cli.audit_source import own_keys
from connector.demo import terms
from connector.demo.auditor import LOOK_S, Checked, Forged, Handed, documents, forge, hand_over, proven, settings_of, verify
from connector.demo.governed import Withdrawn
from connector.demo.products import FEATURES, FLOW
from connector.demo.stage import STEP_S, Stage, Stopwatch, Untrue, hold
from connector.demo.town import Member
from connector.log.folder import CHECKPOINT, LogFolder
from connector.log.layout import read_salt
from connector.log.leaf import contract_name, salted

FOLDER: Final = "auditor"
BUNDLE: Final = "evidence.zip"
MORE: Final = "evidence-again.zip"
FORGED: Final = "-forged"
NOT_HERE: Final = ("erasures", "queue")
"""Steps that only the owner of a log can make. That nothing waits was seen before the copies were made."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an auditor has: the seller's log, a buyer's, and the evidence of a contract of theirs; of the driver who withdrew the
    vehicle's pseudonym in the seller's log, if there was one."""

    buyer: Member
    dataset: str
    agreement: str
    seller_log: Handed
    buyer_log: Handed
    bundle: Path
    vehicle: str

    @property
    def logs(self) -> tuple[Handed, Handed]:
        """Both."""
        return self.seller_log, self.buyer_log

    @property
    def files(self) -> list[Path]:
        """Where it is."""
        return [self.bundle, *(each.log / CHECKPOINT for each in self.logs)]

    def commands(self, carnet: str, owner: str) -> list[str]:
        """What verifies and asks it again; ``owner`` is the seller's settings file."""
        seller = self.seller_log
        log, did, seen, bundle = (shlex.quote(str(path)) for path in (seller.log, seller.did, seller.seen, self.bundle))
        more = shlex.quote(str(self.bundle.with_name(MORE)))
        return [
            f"{carnet} audit verify {log} --did {did} --seen {seen}",
            f"{carnet} audit verify {log}{FORGED}",
            f"{carnet} audit verify {bundle} --did {did}",
            f"{carnet} audit verify --config {owner}",
            f"{carnet} audit query delivered-after-termination --config {owner}",
            f"{carnet} audit export {self.agreement} {more} --config {owner}",
        ]


async def hand_out(stage: Stage, folder: Path, agreed: Mapping[str, str], withdrawn: Withdrawn | None) -> Evidence:
    """While the connectors are up: what an auditor is given of them."""
    stage.act("The auditor: two logs and the evidence of a contract, verified offline")
    dataset = next(each for each in (FEATURES, FLOW, terms.TRIPS) if each in agreed)
    buyer, agreement = stage.members["insurer" if dataset == FEATURES else "city"], agreed[dataset]
    watch, into = Stopwatch(), folder / FOLDER
    into.mkdir(mode=0o700)
    for member, other in ((stage.oem, buyer), (buyer, stage.oem)):
        await _signed(member, agreement, other.name)
    dids = await documents(stage, into)
    sold = await hand_over(stage, stage.oem, buyer, dids, into / "oem-log")
    bought = await hand_over(stage, buyer, stage.oem, dids, into / f"{buyer.name}-log")
    bundle = into / BUNDLE
    with bundle.open("xb") as opened:
        await stage.oem.client.evidence(agreement, opened)
    vehicle = "" if withdrawn is None else str((await stage.oem.client.subject_name(withdrawn.vehicle))["pseudonym"])
    stage.tell("auditor", f"gets copies: the oem's log, the {buyer.name}'s, the evidence of their contract", watch.stop())
    return Evidence(buyer, dataset, agreement, sold, bought, bundle, vehicle)


async def _signed(member: Member, agreement: str, other: str) -> None:
    """Return when a side has the other's signature of an agreement."""
    try:
        async with asyncio.timeout(STEP_S):
            while True:
                if (await member.client.signatures(agreement))["signed"]["by"] == "both":
                    return
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise Untrue(f"the {member.name} has no signature of the {other} under {agreement}") from None


async def audit(stage: Stage, evidence: Evidence, *, stopped: bool) -> None:
    """What an auditor finds out alone. ``stopped``: the connectors are; else they are up, and nobody asks them."""
    who = "all four connectors are stopped" if stopped else "no connector is asked"
    stage.tell("", f"from here on {who}: what follows is found in the copies alone")
    seller = evidence.seller_log
    forged = await asyncio.to_thread(forge, seller, seller.log.with_name(seller.log.name + FORGED))
    watch = Stopwatch()
    sold, bought, bundle, refused = await asyncio.gather(
        *(verify(each.log, each.options) for each in evidence.logs),
        verify(evidence.bundle, ["--did", str(seller.did)]),
        verify(forged.log, seller.options),
    )
    watch.stop()
    _log(stage, seller, sold)
    _log(stage, evidence.buyer_log, bought)
    _bundle(stage, evidence, bundle)
    _forged(stage, forged, refused)
    stage.tell("", "four times `carnet audit verify`, each a process of its own", watch)
    stage.tell("asks", await asyncio.to_thread(_after_the_end, seller))
    if evidence.vehicle:
        stage.tell("", await asyncio.to_thread(_of_the_vehicle, stage, evidence))


def _log(stage: Stage, handed: Handed, found: Checked) -> None:
    passed = found.passed(*NOT_HERE)
    size, name = LogFolder(handed.log).size(), handed.owner.name
    hold(f"size {size}," in found.step("checkpoint")["said"], "another checkpoint was verified than was copied")
    hold(f"of {len(handed.cosigned)} witnesses" in found.step("cosignatures")["said"], "a cosignature was not checked")
    stage.tell(name, f"log: {passed} steps passed, none waits; lines in the tree that the {name} has signed: {size}")
    by = ", ".join(f"{who} {handed.cosigned[who]}" for who in stage.members if who in handed.cosigned)
    stage.tell("", f"nothing cosigned is cut or rewritten; by: {by}")


def _bundle(stage: Stage, evidence: Evidence, found: Checked) -> None:
    passed = found.passed()
    by = found.step("signatures")["said"]
    hold(all(each in by for each in (stage.oem.did, evidence.buyer.did)), f"the contract is {by}")
    with ZipFile(evidence.bundle) as opened:
        names = opened.namelist()
    lines, receipts = (sum(name.startswith(folder) for name in names) for folder in ("proofs/", "receipts/"))
    what = evidence.dataset.rpartition(":")[2]
    told = f"{passed} steps passed; {_many(receipts, 'receipt')}; lines of the log with proofs: {lines}"
    stage.tell("contract", f"{what}: signed by both; {told}")


def _forged(stage: Stage, forged: Forged, found: Checked) -> None:
    last = found.steps[-1]
    hold(found.code == 1 and last["result"] == "failed", f"the forged log was verified, with exit code {found.code}")
    place = last["place"]
    hold(place.get("index") == forged.line, f"line {forged.line} was forged, and {place} was named")
    stage.tell("forger", f"makes {forged.was} delivered bytes {forged.made}, one byte of a copy, in line {forged.line}")
    stage.tell(
        "", f"found: exit code {found.code}, step {last['step']}, {last['name']}, at {place['file']}, index {place['index']}"
    )


def _after_the_end(handed: Handed) -> str:
    found = delivered_after_termination(handed.asked(), Scope())
    hold(found.result == "no", f"whether anything was delivered after an end: {found.result}")
    hold(bool(found.deliveries), "no delivery under anything that has ended is in the log")
    proofs = proven(found.answer, found.lines, handed.keys)
    looked = f"{_many(len(found.ends), 'end')}, {_many(len(found.deliveries), 'delivery', 'deliveries')}"
    return f'"Was anything delivered after termination?" Nothing; {looked}, {_many(proofs, "proof")}'


def _of_the_vehicle(stage: Stage, evidence: Evidence) -> str:
    seller = evidence.seller_log
    settings = settings_of(stage.oem.house)
    with own_keys(settings, settings.log.folder) as vehicles:
        if vehicles is None:
            raise Untrue("the oem has no keys of vehicles")
        found = agreements_of_vehicle(seller.asked(), vehicles, evidence.vehicle)
    salt, buyer = read_salt(seller.log), evidence.buyer.name
    contract = contract_name(salt, "provider", evidence.buyer.did, evidence.agreement)
    hold(contract in found.contracts, f"of the driver's vehicle the log says: {found.result}")
    times = _deliveries(found, contract)
    hold(times == 1, f"the driver's vehicle is in {times} deliveries to the {buyer}")
    names = {salted(salt, "party", member.did): member.name for member in stage.members.values()}
    parties = {line.said["contract"]: names[line.said["party"]] for line in found.lines if "contract" in line.said}
    more = "".join(f", and that with the {who}" for each, who in parties.items() if each != contract)
    proofs = proven(found.answer, found.lines, seller.keys)
    return (
        f'"Which agreements exchanged data of vehicle {evidence.vehicle[:8]}…?" That with the {buyer}, once, before the driver '
        f"withdrew{more}; {_many(proofs, 'proof')}"
    )


def _deliveries(found: OfVehicle, contract: str) -> int:
    """In how many deliveries under an agreement the vehicle was."""
    lines = [line.said for line in found.lines if line.said.get("contract") == contract]
    return sum(said["type"] == "receipt" and said.get("state") == "left" for said in lines)


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or f'{one}s'}"
