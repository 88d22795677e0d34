"""What must hold when everything has come to rest: nothing lost, nothing doubled, both sides of one mind."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from connector.identity.interface import Scope
from connector.identity.oauth import PROOF_LIFE_S
from tests.faults.ledger import REFUSED_NEW
from tests.faults.stories import FINAL, PATHS, Record
from tests.faults.visitor import visiting
from tests.faults.world import Side, World, until

DRAIN_S: Final = 45.0
_COLUMNS: Final = "id, kind, role, state, awaiting, counterparty, peer_pid, subject, detail"
_OPPOSITE: Final = {"consumer": "provider", "provider": "consumer"}


@dataclass(frozen=True, slots=True)
class Kept:
    """A process as its side's database has it."""

    id: str
    kind: str
    role: str
    state: str
    awaiting: str | None
    counterparty: str
    peer_pid: str | None
    subject: str
    detail: dict[str, Any]


async def kept(side: Side) -> dict[str, Kept]:
    """Every process of a side."""
    rows = await side.rows(f"SELECT {_COLUMNS} FROM process")  # noqa: S608 - a constant
    values: Any = rows
    return {row[0]: Kept(*[*row[:-1], json.loads(row[-1])]) for row in values}


async def drain(world: World, record: Record) -> None:
    """The wire is clean: end what nobody tends, then wait until nothing is to be sent on either side."""
    known = {process_id for _, _, process_id in record.acknowledged}
    for side in world.sides.values():
        for process in (await kept(side)).values():
            untended = process.id not in known and (process.peer_pid or "") not in known
            if untended and process.state not in FINAL:
                record.counts["untended processes ended"] += 1
                await side.ask("POST", f"/{PATHS[process.kind]}/{process.id}/terminate", {})

    async def at_rest() -> bool:
        for side in world.sides.values():
            if (await side.ask("GET", "/status")).body["outboxPending"]:
                return False
            if any(process.state not in FINAL or process.awaiting for process in (await kept(side)).values()):
                return False
        return True

    if not await until(at_rest, DRAIN_S):
        record.wrong.append(f"not at rest {DRAIN_S:.0f} s after the wire became clean")


async def judge(world: World, record: Record, source_sha256: str) -> list[str]:
    """Every divergence in a sentence, with both timelines where it is about a process. Asks the running connectors too."""
    alice, bob = world.sides.values()
    mine, theirs = await kept(alice), await kept(bob)
    wrong = list(record.wrong)
    for side, own, other_side, other in ((alice, mine, bob, theirs), (bob, theirs, alice, mine)):
        for process in own.values():
            for text in _diverging(process, other.get(process.peer_pid or "")):
                timelines = await _timelines(side, process.id, other_side, process.peer_pid)
                wrong.append(f"{side.name}: {process.kind} {process.id}: {text}\n{timelines}")
        wrong += await _told_differently(side, own, other_side)
        wrong += await _leftovers(side)
        wrong += await _strangers(side)
        missing = [process_id for name, _, process_id in record.acknowledged if name == side.name and process_id not in own]
        wrong += [f"{side.name}: the acknowledged {process_id} does not exist" for process_id in missing]
        for text, process in await asyncio.to_thread(_files, side, own, source_sha256):
            timelines = await _timelines(side, process.id, other_side, process.peer_pid)
            wrong.append(f"{side.name}: transfer {process.id}: {text}\n{timelines}")
    wrong += await _agreements(alice, mine, bob, theirs)
    return wrong


def _diverging(process: Kept, other: Kept | None) -> Iterator[str]:
    if process.state not in FINAL or process.awaiting:
        yield f"is {process.state}, awaiting {process.awaiting}: not at its end"
    if other is None:
        yield f"has no counterpart {process.peer_pid} at {process.counterparty}"
        return
    if other.peer_pid != process.id or other.kind != process.kind or other.role != _OPPOSITE[process.role]:
        yield f"is not the one that its counterpart {other.id} knows"
    if other.state != process.state:
        yield f"is {process.state} here and {other.state} there"


async def _told_differently(side: Side, own: dict[str, Kept], other: Side) -> list[str]:
    """GET of each process over DSP, by the counterparty; where replicas answer, none of them sends it away with its proof."""
    wrong: list[str] = []
    refused_before = side.ledger.counts[REFUSED_NEW]
    at_once = asyncio.Semaphore(8)
    async with visiting(other, side) as caller:

        async def ask(process: Kept) -> None:
            told: Any = 429
            while told == 429:
                url, scope = f"{side.dsp}/{PATHS[process.kind]}/{process.id}", Scope(process.kind)
                async with at_once:
                    answer = await caller.request("GET", side.id, url, scope, headers={})
                told = json.loads(answer.body)["state"] if answer.status == 200 else answer.status
                if told == 429:
                    await asyncio.sleep(0.2)
            if told != process.state:
                wrong.append(f"{side.name}: {process.kind} {process.id} is {process.state}, {other.name} is told {told}")

        await asyncio.gather(*(ask(process) for process in own.values()))
    refused = side.ledger.counts[REFUSED_NEW] - refused_before
    if refused and len(side.replicas) > 1:
        wrong.append(f"{side.name}: {refused} fresh proofs of reads were refused by replicas that share a database")
    return wrong


async def _leftovers(side: Side) -> list[str]:
    wrong = []
    for what, sql in (
        ("messages in the outbox", "SELECT count(*) FROM outbox WHERE dead_at IS NULL"),
        ("dead letters", "SELECT count(*) FROM outbox WHERE dead_at IS NOT NULL"),
        # A receipt whose signer's key could not be had is looked at again later, under a name of its own.
        ("timers of ended processes", "SELECT count(*) FROM timer JOIN process ON process.id = timer.process_id"),
        (
            "messages that acted twice",
            "SELECT count(*) FROM (SELECT message_id FROM event WHERE what = 'received' AND message_id IS NOT NULL "
            "GROUP BY message_id HAVING count(*) > 1) AS doubled",
        ),
        (
            "proofs and assertions that were used twice",
            "SELECT count(*) FROM (SELECT key FROM used_once GROUP BY key HAVING count(*) > 1) AS doubled",
        ),
        (
            "processes with somebody who was not recognised",
            "SELECT count(*) FROM process WHERE counterparty NOT IN (SELECT id FROM participant WHERE state = 'admitted' "
            "AND recognised IS NOT NULL)",
        ),
    ):
        number: Any = (await side.rows(sql))[0][0]
        if number:
            wrong.append(f"{side.name}: {number} {what}")
    return wrong


async def _strangers(side: Side) -> list[str]:
    """Whoever was answered had shown something, for the first time; and what was taken is kept, so that it stays the only time.

    Where replicas share a database that is so of reads as well; elsewhere a read is remembered by its process alone.
    """
    wrong = [f"{side.name}: {text}" for text in side.ledger.wrong()]
    kept = {row[0] for row in await side.rows("SELECT key FROM used_once")}
    since = int(time.time()) - PROOF_LIFE_S
    for taken in side.ledger.taken:
        if taken.made_at > since and (taken.changes or len(side.replicas) > 1) and taken.once not in kept:
            wrong.append(f"{side.name}: a proof of {taken.made_at} was taken and not used up")
    return wrong


async def _agreements(alice: Side, mine: dict[str, Kept], bob: Side, theirs: dict[str, Kept]) -> list[str]:
    """Exactly one binding agreement for each finalized negotiation, the same bytes on both sides; none for others."""
    wrong: list[str] = []
    sql = "SELECT negotiation_id, id, state, document FROM agreement"
    first: dict[Any, Any] = {row[0]: row[1:] for row in await alice.rows(sql)}
    second: dict[Any, Any] = {row[0]: row[1:] for row in await bob.rows(sql)}
    for side, own, agreements in ((alice, mine, first), (bob, theirs, second)):
        for process in own.values():
            held = agreements.get(process.id)
            if process.kind == "negotiation" and (process.state == "FINALIZED") != (held is not None and held[1] == "binding"):
                wrong.append(f"{side.name}: negotiation {process.id} is {process.state}, its agreement {held and held[1]}")
        ids = Counter(row[0] for row in agreements.values())
        wrong += [f"{side.name}: agreement {name} exists {number} times" for name, number in ids.items() if number > 1]
    for process in mine.values():
        if process.kind == "negotiation" and process.state == "FINALIZED":
            here, there = first.get(process.id), second.get(process.peer_pid)
            if here is None or there is None or (here[0], here[2]) != (there[0], there[2]):
                wrong.append(f"negotiation {process.id}: the agreements differ:\n  {here}\n  {there}")
    return wrong


def _files(side: Side, own: dict[str, Kept], source_sha256: str) -> list[tuple[str, Kept]]:
    """A completed transfer with a sink has the source's bytes, and nothing half remains. Reads the disk."""
    wrong = []
    for process in own.values():
        sink = process.detail.get("sink")
        if process.kind != "transfer" or sink is None or process.role != "consumer":
            continue
        path = side.received / sink
        found = sha256(path) if path.exists() else None
        told = process.detail.get("received", {}).get("sha256")
        if process.state == "COMPLETED" and (found != source_sha256 or told != source_sha256):
            wrong.append((f"COMPLETED, but the file has {found}, the record {told}", process))
        if process.state in FINAL and list(side.received.glob(f"{sink}*.part")) + list(side.received.glob(f".{sink}*")):
            wrong.append(("has ended and has left a part", process))
    return wrong


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


async def _timelines(side: Side, process_id: str, other: Side, peer_pid: str | None) -> str:
    lines = []
    for where, name in ((side, process_id), (other, peer_pid)):
        if name is None:
            continue
        sql = "SELECT at, what, message, message_id, state, awaiting, note FROM event WHERE process_id = '{}' ORDER BY seq"
        for row in await where.rows(sql.format(name)):
            values: Any = row
            at, what, message, message_id, state, awaiting, note = values
            end = str(message_id)[-6:]
            lines.append(f"    {at} {where.name:6} {what} {message or ''} ..{end} -> {state}/{awaiting} {note or ''}")
    return "\n".join(sorted(lines))
