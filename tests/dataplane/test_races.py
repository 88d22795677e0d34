"""Requests that race: for the last delivery that a limit allows, and against a driver who withdraws. Many times each."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from .conftest import VDX, Control, MakePlane, agreement, permitted, when
from .drives import COARSE, RESEARCH, RESEARCH_ONLY, Reply, Shop, drives

ROWS = [RESEARCH_ONLY, *COARSE]
ROUNDS, TABLE_ROUNDS, RACERS = 25, 4, 6
BODY = b"0123456789"


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    return Shop(await make_plane(artifact_wait_s=60), control)


async def plain(shop: Shop) -> None:
    file = shop.plane.sources / "plain.bin"
    file.write_bytes(BODY)
    await shop.plane.done("PUT", "/carnet/sources/ds", {"path": str(file)})


def decided(name: str, *terms: dict[str, Any]) -> dict[str, Any]:
    return permitted(agreement(list(terms), name=name), purpose=RESEARCH)


async def raced(shop: Shop, decision: dict[str, Any], name: str, racers: int, **ask: str) -> list[Reply]:
    """What so many transfers under one agreement get that ask at the same time."""
    for number in range(racers):
        await shop.begin(f"{name}.{number}", decision=decision)
    return list(await asyncio.gather(*(shop.get(f"{name}.{number}", ask) for number in range(racers))))


@pytest.mark.timeout(180)
async def test_of_two_requests_for_the_last_allowed_file_one_is_served(shop: Shop) -> None:
    await plain(shop)
    for number in range(ROUNDS):
        name = f"urn:agreement:race{number}"
        got = await raced(shop, decided(name, when("odrl:count", "lteq", "1")), name, 2)
        assert sorted(reply.status for reply in got) == [200, 429]
        assert [reply.code for reply in got if reply.status == 429] == ["limit-reached"]
        readings = (await shop.meters(name))["all"]
        assert (readings["calls"], readings["bytes"]) == (1, len(BODY))


@pytest.mark.timeout(180)
async def test_as_many_requests_are_served_as_the_limits_of_calls_and_bytes_allow(shop: Shop) -> None:
    await plain(shop)
    limits = {"calls": when("odrl:count", "lteq", "3"), "bytes": when(f"{VDX}bytes", "lteq", "39")}
    for what, limit in limits.items():
        for number in range(ROUNDS // 5):
            name = f"urn:agreement:{what}{number}"
            got = await raced(shop, decided(name, limit), name, RACERS)
            assert sorted(reply.status for reply in got) == [200] * 3 + [429] * (RACERS - 3)
            readings = (await shop.meters(name))["all"]
            assert (readings["calls"], readings["bytes"]) == (3, 3 * len(BODY))


@pytest.mark.timeout(180)
async def test_of_two_requests_for_the_last_allowed_rows_one_is_served(shop: Shop) -> None:
    await shop.publish(drives(3, rows=20))
    await shop.consent(0, 1, 2)
    for number in range(TABLE_ROUNDS):
        name = f"urn:agreement:rows{number}"
        limit = when("odrl:count", "lteq", "1") if number % 2 else when(f"{VDX}rows", "lteq", "119")
        got = await raced(shop, decided(name, *ROWS, limit), name, 2, format="csv")
        assert sorted(reply.status for reply in got) == [200, 429], [reply.body for reply in got]
        readings = (await shop.meters(name))["all"]
        assert (readings["calls"], readings["rows"]) == (1, 60)


@pytest.mark.timeout(180)
async def test_two_requests_of_one_transfer_are_one_delivery(shop: Shop) -> None:
    await plain(shop)
    for number in range(ROUNDS):
        name = f"urn:agreement:one{number}"
        await shop.begin(name, decision=decided(name, when("odrl:count", "lteq", "1")))
        got = await asyncio.gather(*(shop.get(name) for _ in range(4)))
        assert [reply.body for reply in got] == [BODY] * 4
        assert (await shop.meters(name))["all"]["calls"] == 1


@pytest.mark.timeout(180)
async def test_two_requests_of_one_transfer_for_rows_are_one_delivery(shop: Shop) -> None:
    await shop.publish(drives(2, rows=20))
    await shop.consent(0, 1)
    for number in range(TABLE_ROUNDS):
        name = f"urn:agreement:one{number}"
        await shop.begin(name, decision=decided(name, *ROWS, when("odrl:count", "lteq", "1")))
        got = await asyncio.gather(*(shop.get(name, {"format": "csv"}) for _ in range(3)))
        assert [reply.status for reply in got] == [200] * 3, [reply.body for reply in got]
        assert len({reply.body for reply in got}) == 1
        assert (await shop.meters(name))["all"]["calls"] == 1


@pytest.mark.timeout(300)
async def test_a_withdrawal_that_races_with_the_first_byte_keeps_the_vehicle_in_or_names_it(shop: Shop, control: Control) -> None:
    """The file is made and waits; then its first request and the withdrawal come together. Either the vehicle is not in what
    comes, or the buyer is told to erase it: never neither."""
    vehicles = 6
    await shop.publish(drives(vehicles + 1, rows=20))
    await shop.consent(*range(vehicles + 1))
    outcomes = set()
    for vehicle in range(vehicles):
        flow, name = f"f{vehicle}", f"urn:agreement:withdraw{vehicle}"
        await shop.begin(flow, decision=decided(name, *ROWS, when(f"{VDX}rows", "lteq", "1")))
        assert (await shop.get(flow, {"format": "csv"})).status == 429
        control.decisions[flow] = decided(name, *ROWS)
        got, _ = await asyncio.gather(came(shop, flow), shop.consent(vehicle, given=False))
        there = vehicles + 1 - vehicle
        assert got in (None, there, there - 1)
        if got == there:
            assert (await shop.record(flow))["erased"] == 1, "the vehicle has left and nobody is told"
        outcomes.add(got)
        final = await shop.get(flow)
        assert len({row["pseudonym"] for row in final.rows}) == there - 1
        assert (await shop.meters(name))["all"]["calls"] == 1
    assert outcomes


async def came(shop: Shop, flow: str) -> int | None:
    """How many vehicles are in what came; None if it was cut."""
    try:
        reply = await shop.get(flow)
    except aiohttp.ClientError:
        return None
    assert reply.status == 200, reply.body
    return len({row["pseudonym"] for row in reply.rows})
