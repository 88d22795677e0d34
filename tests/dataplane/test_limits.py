"""Meters and what was released before: no limit is passed and no two deliveries may be subtracted, however they race."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from .conftest import VDX, Control, MakePlane, agreement, permitted, when
from .drives import COARSE, RESEARCH, RESEARCH_ONLY, START, Shop, drives

COUNT = "http://www.w3.org/ns/odrl/2/count"
CELLS = [
    RESEARCH_ONLY,
    when(f"{VDX}legalBasis", "isAnyOf", ["https://w3id.org/dpv#Consent"]),
    when(f"{VDX}releaseLevel", "eq", f"{VDX}L3"),
    when(f"{VDX}minGroupSize", "gteq", "5"),
    when(f"{VDX}spatialResolution", "lteq", 7),
]
ROWS = [RESEARCH_ONLY, *COARSE]


def decided(*permissions: list[dict[str, Any]], name: str = "urn:agreement:1") -> dict[str, Any]:
    return permitted(agreement(*permissions, name=name), purpose=RESEARCH)


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    return Shop(await make_plane(artifact_wait_s=30), control)


async def test_two_requests_race_for_the_last_call_and_one_wins(shop: Shop) -> None:
    shop.agree([*ROWS, when("odrl:count", "lteq", "2")])
    await shop.publish(drives(3))
    await shop.consent(0, 1, 2)
    assert (await shop.fetch("f0")).status == 200
    for flow in ("f1", "f2", "f3"):
        await shop.begin(flow)
    got = await asyncio.gather(*(shop.fetch(flow) for flow in ("f1", "f2", "f3")))
    assert sorted(reply.status for reply in got) == [200, 429, 429]
    refused = next(reply for reply in got if reply.status == 429)
    assert (refused.code, refused.problem["term"], refused.problem["limit"]) == ("limit-reached", COUNT, "lteq 2")
    assert refused.problem["renewed"] is None
    assert (await shop.meters())["all"]["calls"] == 2
    winner = next(flow for flow, reply in zip(("f1", "f2", "f3"), got, strict=True) if reply.status == 200)
    assert (await shop.get(winner)).status == 200


async def test_tiers_of_a_count_follow_each_other_and_end(shop: Shop) -> None:
    file = shop.plane.sources / "plain.bin"
    file.write_bytes(b"0123456789")
    await shop.plane.done("PUT", "/carnet/sources/ds", {"path": str(file)})
    shop.agree(
        [when("odrl:count", "lteq", "1")],
        [{"and": [when("odrl:count", "gt", "1"), when("odrl:count", "lteq", "2")]}],
    )
    seen = []
    for flow in ("f1", "f2", "f3"):
        await shop.begin(flow)
        reply = await shop.get(flow)
        seen.append(reply.status)
        if reply.status == 200:
            assert reply.body == b"0123456789"
    assert seen == [200, 200, 429]
    assert [(await shop.record(flow))["permission"] for flow in ("f1", "f2")] == [0, 1]
    assert (await shop.meters())["all"]["bytes"] == 20


async def test_bytes_and_intervals_are_kept_of_plain_files(shop: Shop) -> None:
    file = shop.plane.sources / "plain.bin"
    file.write_bytes(b"0123456789")
    await shop.plane.done("PUT", "/carnet/sources/ds", {"path": str(file)})
    small = permitted(agreement([when(f"{VDX}bytes", "lteq", "15")], name="urn:agreement:small"))
    once = permitted(agreement([when("odrl:timeInterval", "gteq", "P1D")], name="urn:agreement:once"))
    for name, decision in (("small", small), ("once", once)):
        for number in (1, 2):
            await shop.begin(f"{name}{number}", decision=decision)
        assert (await shop.get(f"{name}1")).status == 200
        assert (await shop.get(f"{name}1", Range="bytes=5-")).body == b"56789"
        refused = await shop.get(f"{name}2")
        assert (refused.status, refused.code) == (429, "limit-reached")
        assert ("retry-after" in refused.headers) == (name == "once")
    shaped = permitted(agreement(ROWS, name="urn:agreement:shaped"))
    await shop.begin("shaped", decision=shaped)
    assert (await shop.get("shaped")).code == "not-enforceable"


async def test_vehicles_that_used_up_their_requests_of_the_day_are_left_out(shop: Shop) -> None:
    shop.agree([*ROWS, when(f"{VDX}requestsPerVehicleDay", "lteq", "1")])
    await shop.publish(drives(4))
    await shop.consent(0, 1)
    first = await shop.fetch("f1")
    assert len({row["pseudonym"] for row in first.rows}) == 2
    await shop.consent(2)
    second = await shop.fetch("f2")
    assert len({row["pseudonym"] for row in second.rows}) == 1
    assert second.headers["carnet-left-out"] == "2"
    assert {row["pseudonym"] for row in first.rows}.isdisjoint({row["pseudonym"] for row in second.rows})
    third = await shop.fetch("f3")
    assert (third.status, third.code, third.problem["term"]) == (429, "limit-reached", f"{VDX}requestsPerVehicleDay")
    assert third.problem["renewed"] is not None
    readings = await shop.meters()
    assert (readings["all"]["calls"], readings["all"]["vehicles"]) == (2, 3)


async def test_vehicles_that_cannot_be_counted_are_not_delivered_by_a_count(shop: Shop) -> None:
    """On another basis on record rows leave without consents, and vehicles have no number to be counted by."""
    basis = [when(f"{VDX}legalBasis", "isAnyOf", ["https://w3id.org/dpv#Contract"]), *ROWS]
    counted = [*basis, when(f"{VDX}requestsPerVehicleDay", "lteq", "1")]
    await shop.publish(drives(3), bases=["https://w3id.org/dpv#Contract"])
    offered = agreement(counted) | {"@type": "Offer"}
    released = await shop.plane.done("POST", "/carnet/releases", {"datasetId": "ds", "policies": [offered]})
    ((problem,),) = [each["problems"] for each in released["releases"]]
    assert (problem["code"], "leave without consents" in problem["sentence"]) == ("not-enforceable", True)
    await shop.begin("f1", decision=decided(basis, name="urn:agreement:all"))
    assert len({row["pseudonym"] for row in (await shop.fetch("f1")).rows}) == 3
    await shop.begin("f2", decision=decided(counted, name="urn:agreement:counted"))
    assert (await shop.fetch("f2")).code == "not-enforceable"


async def test_two_first_requests_for_the_same_vehicles_do_not_both_get_them(shop: Shop) -> None:
    shop.agree([*ROWS, when(f"{VDX}requestsPerVehicleDay", "lteq", "1")])
    await shop.publish(drives(3))
    await shop.consent(0, 1, 2)
    for flow in ("f1", "f2"):
        await shop.begin(flow)
    got = await asyncio.gather(shop.fetch("f1"), shop.fetch("f2"))
    assert sorted(reply.status for reply in got) == [200, 429]


async def test_a_cell_stays_what_it_was_for_this_buyer_in_all_its_agreements(shop: Shop) -> None:
    shop.agree(CELLS)
    await shop.publish(drives(8))
    await shop.consent(*range(7))
    first = await shop.fetch("f1")
    assert [row["vehicles"] for row in first.rows] == ["7"]
    await shop.consent(0, given=False)
    # Late rows of a vehicle that was not there, and one that left: neither shows.
    await shop.publish(drives(7) + "".join(drives(1, first=7).splitlines(keepends=True)[1:]))
    await shop.consent(7)
    again = await shop.fetch("f2")
    assert again.rows == first.rows
    other = decided(CELLS, name="urn:agreement:2")
    await shop.begin("f3", decision=other)
    assert (await shop.fetch("f3")).rows == first.rows


async def test_another_grid_and_rows_beside_cells_are_refused(shop: Shop) -> None:
    await shop.publish(drives(8))
    await shop.consent(*range(8))
    await shop.begin("f1", decision=decided(CELLS))
    assert (await shop.fetch("f1")).status == 200
    finer = [*CELLS[:3], when(f"{VDX}minGroupSize", "gteq", "6"), CELLS[4]]
    await shop.begin("f2", decision=decided(finer, name="urn:agreement:2"))
    refused = await shop.fetch("f2")
    assert (refused.status, refused.code) == (409, "grid-differs")
    await shop.begin("f3", decision=decided(ROWS, name="urn:agreement:3"))
    refused = await shop.fetch("f3")
    assert (refused.status, refused.code) == (409, "cells-held")
    stranger = permitted(agreement(ROWS, name="urn:agreement:4"), purpose=RESEARCH, buyer="did:web:three.example")
    await shop.consent(*range(8), recipient="did:web:three.example")
    await shop.begin("f4", decision=stranger)
    assert (await shop.fetch("f4")).status == 200
    cells = permitted(agreement(CELLS, name="urn:agreement:5"), purpose=RESEARCH, buyer="did:web:three.example")
    await shop.begin("f5", decision=cells)
    refused = await shop.fetch("f5")
    assert (refused.status, refused.code) == (409, "rows-held")


async def test_two_first_requests_for_cells_release_each_cell_once(shop: Shop) -> None:
    """Two agreements of one buyer at once: the second is made of what the first has released."""
    later = START + timedelta(hours=1)
    await shop.publish(drives(8) + "".join(drives(8, start=later).splitlines(keepends=True)[1:]))
    await shop.consent(*range(8))
    for flow, name in (("f1", "urn:agreement:1"), ("f2", "urn:agreement:2")):
        await shop.begin(flow, decision=decided(CELLS, name=name))
    one, two = await asyncio.gather(shop.fetch("f1"), shop.fetch("f2"))
    assert (one.status, two.status) == (200, 200), (one.body, two.body)
    assert len(one.rows) == 2
    assert sorted(map(str, one.rows)) == sorted(map(str, two.rows))
    generations = sorted([(await shop.record(flow))["generation"] for flow in ("f1", "f2")])
    assert generations == [1, 2]
