"""The scenes in which the two sides do business, one function each: what happens, what must hold, and what is said of it."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any, Final

from connector.cli.channel import moment
from connector.client.local import Document
from connector.demo.houses import TRIPS_FILE
from connector.demo.stage import Stage, Stopwatch, hold

PAUSE: Final = "maintenance of the archive"
RECALL: Final = "the contract was called back"


async def transfer(stage: Stage, agreement: str, source: Document) -> Path:
    """The file goes from data plane to data plane and is the same."""
    watch = Stopwatch()
    begun = await stage.consumer.transfer(agreement, sink=TRIPS_FILE)
    done = await stage.reaches(stage.consumer, begun["id"], "COMPLETED")
    took = str(watch)
    await stage.reaches(stage.provider, done["providerPid"], "COMPLETED")
    received = stage.consumer_house.folder / "received" / TRIPS_FILE
    sums = [await asyncio.to_thread(_sha256, path) for path in (stage.provider_house.folder / TRIPS_FILE, received)]
    hold(sums[0] == sums[1] == source["sha256"] == done["received"]["sha256"], "the file that came is not the one that left")
    stage.scene("The consumer transfers the file; the two data planes move it")
    stage.say(f"   {done['received']['bytes']} bytes, SHA-256 {sums[1][:16]}… on both sides   {took}")
    return received


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


async def pause(stage: Stage, agreement: str, source: Document) -> None:
    """Suspended and resumed in the middle: the old token is dead, the new one gives the rest."""
    begun, first = await started(stage, agreement)
    middle, last = source["bytes"] // 2, source["bytes"] - 1
    status, head = await stage.fetch(first, 0, middle - 1)
    hold(status == 206, f"the first half was answered with HTTP {status}")
    watch = Stopwatch()
    await stage.provider.act(begun["providerPid"], "suspend", reason=[PAUSE])
    refused = await stage.dies(first)
    hold(refused == 403, f"the token of a suspended transfer was answered with HTTP {refused}")
    took = str(watch)
    await stage.reaches(stage.consumer, begun["id"], "SUSPENDED")
    await stage.reaches(stage.provider, begun["providerPid"], "SUSPENDED")
    stage.scene("The provider suspends a second transfer half-way and resumes it")
    stage.say(f"   suspended: the consumer's token is refused with HTTP {refused}   {took}")
    watch = Stopwatch()
    await stage.provider.act(begun["providerPid"], "resume")
    await stage.reaches(stage.consumer, begun["id"], "STARTED")
    second = await stage.consumer.data_address(begun["id"])
    status, tail = await stage.fetch(second, middle, last)
    hold(status == 206, f"the second half was answered with HTTP {status}")
    hold(hashlib.sha256(head + tail).hexdigest() == source["sha256"], "the two halves do not make the file")
    stage.say(f"   resumed: a new token gives the other half, SHA-256 as before   {watch}")
    refused = await stage.dies(first)
    stage.say(f"   the old token stays dead: HTTP {refused}")
    await stage.consumer.act(begun["id"], "complete")
    await stage.reaches(stage.consumer, begun["id"], "COMPLETED")


async def terminate(stage: Stage, agreement: str) -> None:
    """A transfer that is ended gives nothing more."""
    begun, address = await started(stage, agreement)
    status, _ = await stage.fetch(address, 0, 63)
    hold(status == 206, f"the token of a started transfer was answered with HTTP {status}")
    watch = Stopwatch()
    await stage.provider.act(begun["providerPid"], "terminate", reason=[RECALL])
    refused = await stage.dies(address)
    hold(refused in (403, 410), f"the token of an ended transfer was answered with HTTP {refused}")
    took = str(watch)
    ended = await stage.reaches(stage.consumer, begun["id"], "TERMINATED")
    hold(ended["ended"]["reason"] == [RECALL], "the consumer does not see why the transfer was ended")
    stage.scene("The provider terminates a third transfer")
    stage.say(f"   its token, good a moment ago, is refused with HTTP {refused}   {took}")


async def started(stage: Stage, agreement: str) -> tuple[Document, Document]:
    """A transfer without a sink: the consumer itself fetches with the address that it is given."""
    begun = await stage.consumer.transfer(agreement)
    process = await stage.reaches(stage.consumer, begun["id"], "STARTED")
    await stage.reaches(stage.provider, process["providerPid"], "STARTED")
    return process, await stage.consumer.data_address(process["id"])


async def timeline(stage: Stage, negotiation: Document) -> None:
    """What both sides wrote down of the first negotiation, under one correlation id."""
    other = await stage.reaches(stage.provider, negotiation["providerPid"], "FINALIZED")
    hold(other["correlationId"] == negotiation["correlationId"], "the two sides do not share a correlation id")
    lines = [("provider", line) for line in await stage.provider.timeline(other["id"])]
    lines += [("consumer", line) for line in await stage.consumer.timeline(negotiation["id"])]
    stage.scene(f"What both sides noted of the contract; correlation id {negotiation['correlationId']}")
    for side, line in sorted(lines, key=lambda each: int(each[1]["at"])):
        stage.say(f"   {moment(line['at'])[11:]}  {side}  {_noted(line)}")


def _noted(line: dict[str, Any]) -> str:
    return f"{line['what'] + ' ' + (line['message'] or ''):28} {line['state']}"
