"""The act about ends: a file goes over, is suspended and resumed half-way, terminated; what must hold, and what is said of it."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Final

from connector.client.deals import fetch
from connector.client.local import Document
from connector.demo.houses import TRIPS_FILE
from connector.demo.stage import Stage, Stopwatch, hold
from connector.demo.town import Member

PAUSE: Final = "maintenance of the archive"
RECALL: Final = "the contract was called back"


async def transfer(stage: Stage, agreement: str, source: Document) -> Path:
    """The file goes from data plane to data plane and is the same."""
    city, watch = stage.members["city"], Stopwatch()
    landed = await fetch(city.client, agreement, TRIPS_FILE)
    watch.stop()
    received = city.received / landed.name
    sums = [await asyncio.to_thread(_sha256, path) for path in (stage.oem.folder / TRIPS_FILE, received)]
    hold(sums[0] == sums[1] == source["sha256"] == landed.received["sha256"], "the file that came is not the one that left")
    stage.tell("city", f"trips: {source['bytes']} bytes, SHA-256 {sums[1][:16]}… on both sides", watch)
    return received


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


async def pause(stage: Stage, agreement: str, source: Document) -> None:
    """Suspended and resumed in the middle: the old token is dead, the new one gives the rest."""
    city, oem = stage.members["city"].client, stage.oem.client
    begun, first = await started(stage, stage.members["city"], agreement)
    middle, last = source["bytes"] // 2, source["bytes"] - 1
    status, head = await stage.fetch(first, 0, middle - 1)
    hold(status == 206, f"the first half was answered with HTTP {status}")
    watch = Stopwatch()
    await oem.act(begun["providerPid"], "suspend", reason=[PAUSE])
    refused = await stage.dies(first)
    hold(refused == 403, f"the token of a suspended transfer was answered with HTTP {refused}")
    await stage.reaches(city, begun["id"], "SUSPENDED")
    await stage.reaches(oem, begun["providerPid"], "SUSPENDED")
    await oem.act(begun["providerPid"], "resume")
    await stage.reaches(city, begun["id"], "STARTED")
    second = await city.data_address(begun["id"])
    status, tail = await stage.fetch(second, middle, last)
    hold(status == 206, f"the second half was answered with HTTP {status}")
    hold(hashlib.sha256(head + tail).hexdigest() == source["sha256"], "the two halves do not make the file")
    hold(await stage.dies(first) == 403, "the token of before the pause works again")
    watch.stop()
    stage.tell("oem", f"suspends a transfer half-way: HTTP {refused}; resumed, a new token gives the rest", watch)
    await city.act(begun["id"], "complete")
    await stage.reaches(city, begun["id"], "COMPLETED")


async def terminate(stage: Stage, agreement: str) -> None:
    """A transfer that is ended gives nothing more."""
    city = stage.members["city"]
    begun, address = await started(stage, city, agreement)
    status, _ = await stage.fetch(address, 0, 63)
    hold(status == 206, f"the token of a started transfer was answered with HTTP {status}")
    watch = Stopwatch()
    await stage.oem.client.act(begun["providerPid"], "terminate", reason=[RECALL])
    refused = await stage.dies(address)
    hold(refused in (403, 410), f"the token of an ended transfer was answered with HTTP {refused}")
    watch.stop()
    ended = await stage.reaches(city.client, begun["id"], "TERMINATED")
    hold(ended["ended"]["reason"] == [RECALL], "the consumer does not see why the transfer was ended")
    stage.tell("oem", f"terminates a transfer: its token, just now HTTP {status}, is dead: HTTP {refused}", watch)


async def started(stage: Stage, buyer: Member, agreement: str) -> tuple[Document, Document]:
    """A transfer without a sink: the consumer itself fetches with the address that it is given."""
    begun = await buyer.client.transfer(agreement)
    process = await stage.reaches(buyer.client, begun["id"], "STARTED")
    await stage.reaches(stage.oem.client, process["providerPid"], "STARTED")
    return process, await buyer.client.data_address(process["id"])
