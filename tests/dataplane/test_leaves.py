"""What the data plane says to the contract log: with each state, once it is true, until it is taken, and without a vehicle."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from .conftest import BUYER, PATIENCE_S, VDX, Control, MakePlane, when
from .drives import COARSE, RESEARCH_ONLY, Shop, drives

ROWS = [RESEARCH_ONLY, *COARSE]


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    shop = Shop(await make_plane(artifact_wait_s=30), control)
    control.base = shop.plane.signaling_url
    shop.agree(ROWS)
    return shop


def digest(*vehicles: int) -> str:
    return hashlib.sha256("|".join(f"CAR{vehicle:04}" for vehicle in sorted(vehicles)).encode()).hexdigest()


async def test_a_delivery_is_told_with_its_vehicles_and_the_record_names_their_index(shop: Shop) -> None:
    await shop.publish(drives(3))
    await shop.consent(0, 2)
    reply = await shop.fetch("f1")
    told = await shop.control.leaf_of("receipt")
    assert (told["process"], told["agreement"], told["party"], told["asset"]) == ("f1", "urn:agreement:1", BUYER, "ds")
    rows = len(reply.rows)
    assert told["members"] == {"state": "left", "role": "provider", "rows": rows, "bytes": len(reply.body), "vehicles": 2}
    assert told["named"] == ["CAR0000", "CAR0002"]
    assert await eventually(partial(indexed, shop, "f1")) == {"sha256": digest(0, 2), "vehicles": 2}


async def test_commits_of_the_ledger_are_told_with_whom_they_are_about(shop: Shop) -> None:
    number = await shop.consent(0, 1)
    told = await shop.control.leaf_of("consents", ledger=number)
    assert (told["members"]["change"], told["named"]) == ("granted", ["CAR0000", "CAR0001"])
    number = await shop.consent(1, given=False)
    told = await shop.control.leaf_of("consents", ledger=number)
    assert (told["members"]["change"], told["named"]) == ("withdrawn", ["CAR0001"])
    request = {"vehicle": "CAR0005", "recipient": BUYER, "purpose": "vdx:AgreedWithUser"}
    made = await shop.plane.done("POST", "/carnet/requests", request)
    told = await shop.control.leaf_of("consents", ledger=made["number"])
    assert (told["members"]["change"], told["named"]) == ("requested", ["CAR0005"])
    ended = await shop.plane.done("POST", "/carnet/requests/withdraw", {"id": made["id"]})
    assert (await shop.control.leaf_of("consents", ledger=ended["number"]))["named"] == ["CAR0005"]
    enrolment = {"vehicle": "CAR0006", "recipient": BUYER, "reference": "contract-6", "text_sha256": "0" * 64}
    made = await shop.plane.done("POST", "/carnet/enrolments", {"enrolments": [enrolment]})
    told = await shop.control.leaf_of("consents", ledger=made["number"])
    assert (told["members"]["change"], told["named"]) == ("enrolled", ["CAR0006"])


async def test_an_import_is_told_with_every_vehicle_of_the_file(shop: Shop) -> None:
    file = shop.plane.sources / "consents.csv"
    lines = ["vehicle,category,purpose,recipient,basis,decided_by,text_sha256,at_ms,given"]
    lines += [f"CAR{number:04},location,vdx:AgreedWithUser,{BUYER},,owner,{'0' * 64},1000,true" for number in range(50)]
    file.write_text("\n".join(lines) + "\n")
    done = await shop.plane.done("PUT", "/carnet/consents/import", {"path": str(file)})
    told = await shop.control.leaf_of("consents", ledger=done["number"])
    assert (told["members"]["change"], len(told["named"])) == ("imported", 50)


async def test_the_meters_are_told_when_a_transfer_has_ended_and_only_if_something_left(shop: Shop) -> None:
    await shop.publish(drives(2))
    await shop.consent(0, 1)
    await shop.begin("empty")
    await shop.plane.change("empty", "terminate", "end-empty")
    reply = await shop.fetch("f1")
    await shop.plane.change("f1", "completed", "end-f1")
    read = {name: await shop.control.leaf_of("meter", meter=name) for name in ("calls", "rows", "bytes")}
    assert {name: told["members"]["used"] for name, told in read.items()} == {
        "calls": 1,
        "rows": len(reply.rows),
        "bytes": len(reply.body),
    }
    assert {told["process"] for told in read.values()} == {"f1"}


async def test_an_end_that_is_said_twice_closes_the_meters_once(shop: Shop) -> None:
    await shop.publish(drives(2))
    await shop.consent(0, 1)
    await shop.fetch("f1")
    for message in ("end-f1", "end-f1-again"):
        await shop.plane.change("f1", "terminate", message)
    await shop.control.leaf_of("meter", meter="bytes")
    assert await eventually(partial(asyncio.to_thread, lambda: not waiting(shop)))
    closed = [told["members"]["meter"] for told in shop.control.leaves if told["type"] == "meter"]
    assert sorted(closed) == ["bytes", "calls", "rows"]


async def test_a_leaf_is_told_until_it_is_taken_also_by_a_process_that_was_killed(shop: Shop) -> None:
    """The callback is there with the state: whoever kills the process right after the commit loses nothing."""
    shop.control.forgetful = 1_000_000
    number = await shop.consent(3)
    await shop.control.leaf_of("consents", ledger=number)
    await shop.plane.kill()
    shop.control.leaves.clear()
    shop.control.forgetful = 0
    await shop.plane.start()
    shop.control.base = shop.plane.signaling_url
    told = await shop.control.leaf_of("consents", ledger=number)
    assert told["named"] in ([], ["CAR0003"])
    assert await eventually(partial(asyncio.to_thread, lambda: not waiting(shop)))


async def indexed(shop: Shop, flow: str) -> Any:
    return (await shop.record(flow))["vehicleIndex"]


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.01)


def waiting(shop: Shop) -> list[str]:
    with closing(sqlite3.connect(shop.plane.folder / "data.db", timeout=30)) as opened:
        return [body for (body,) in opened.execute("SELECT body FROM callback WHERE event = 'leaf'")]


async def test_what_waits_to_be_told_names_no_vehicle(shop: Shop) -> None:
    shop.control.forgetful = 1_000_000
    await shop.publish(drives(2))
    await shop.consent(0, 1)
    await shop.fetch("f1")
    await shop.control.leaf_of("receipt")
    bodies = await asyncio.to_thread(waiting, shop)
    assert {json.loads(body)["type"] for body in bodies} == {"consents", "receipt"}
    assert "CAR0" not in "".join(bodies)


async def test_vehicles_are_named_for_leaves_that_wait_only(shop: Shop) -> None:
    status, answer = await shop.plane.call("GET", "/carnet/leaves/urn:uuid:none/vehicles")
    assert (status, answer["code"]) == (404, "leaf_unknown")
    status, answer = await shop.plane.call("GET", "/carnet/leaves/urn:uuid:none/vehicles?after=x")
    assert (status, answer["code"]) == (400, "message_invalid")


async def test_counts_of_cells_are_told_without_an_index(shop: Shop) -> None:
    """Of whom an anonymous delivery was made is written nowhere."""
    cells = when(f"{VDX}releaseLevel", "eq", f"{VDX}L3")
    shop.agree([RESEARCH_ONLY, cells, when(f"{VDX}spatialResolution", "lteq", 7), when(f"{VDX}offenceData", "eq", "false")])
    await shop.publish(drives(12))
    await shop.consent(*range(12))
    reply = await shop.fetch("f1")
    assert reply.status == 200, reply.code
    told = await shop.control.leaf_of("receipt")
    assert "vehicles" not in told
    assert told["members"]["vehicles"] == 12
