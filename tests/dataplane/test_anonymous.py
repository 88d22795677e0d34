"""Rows that are called anonymous: what publication finds of them, and that only what is anonymous leaves."""

from __future__ import annotations

import pytest

from .conftest import VDX, Control, MakePlane, agreement, when
from .drives import RESEARCH_ONLY, Shop, drives

ANONYMOUS = [
    RESEARCH_ONLY,
    when(f"{VDX}releaseLevel", "eq", f"{VDX}L2"),
    when(f"{VDX}releaseLevel", "eq", f"{VDX}Anonymous"),
    when(f"{VDX}spatialResolution", "lteq", 5),
    when(f"{VDX}temporalResolution", "gteq", "PT1H"),
    when(f"{VDX}offenceData", "eq", "false"),
]


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    shop = Shop(await make_plane(artifact_wait_s=60), control)
    shop.agree(ANONYMOUS)
    return shop


async def codes(shop: Shop) -> set[str]:
    body = {"datasetId": "ds", "policies": [agreement(ANONYMOUS) | {"@type": "Offer"}]}
    (release,) = (await shop.plane.done("POST", "/carnet/releases", body))["releases"]
    return {problem["code"] for problem in release["problems"]}


async def test_many_vehicles_alike_are_published_and_delivered_while_they_are_many(shop: Shop) -> None:
    """Those who agreed are fewer than those who were measured: then nothing leaves, and nothing is metered."""
    await shop.publish(drives(1_000, rows=2))
    assert await codes(shop) == set()
    for first in range(0, 999, 111):
        await shop.consent(*range(first, first + 111))
    refused = await shop.fetch("f1")
    assert (refused.status, refused.code) == (409, "not-anonymous")
    assert (await shop.meters()).get("all", {}).get("calls", 0) == 0
    await shop.consent(999)
    got = await shop.fetch("f1")
    assert got.status == 200, got.body[:500]
    assert len({row["trip"] for row in got.rows}) == 1_000


async def test_few_vehicles_are_refused_at_publication(shop: Shop) -> None:
    await shop.publish(drives(20, rows=2))
    assert "anonymous-rows" in await codes(shop)
    await shop.consent(*range(20))
    assert (await shop.fetch("f1")).code == "not-enforceable"
