"""What the data plane says of an agreement's use: distinct vehicles of the deliveries of an interval."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from .conftest import BUYER, Control, MakePlane
from .drives import COARSE, RESEARCH_ONLY, Shop, drives

MOMENTS = 10**15


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    return Shop(await make_plane(artifact_wait_s=30), control)


async def between(shop: Shop, begin: object, end: object) -> tuple[int, Any]:
    named = f"agreement={quote('urn:agreement:1')}&counterparty={quote(BUYER)}"
    return await shop.plane.call("GET", f"/carnet/meters?{named}&from={begin}&to={end}")


async def test_vehicles_that_two_deliveries_share_are_counted_once(shop: Shop) -> None:
    shop.agree([RESEARCH_ONLY, *COARSE])
    await shop.publish(drives(3))
    await shop.consent(0, 1)
    assert (await shop.fetch("f1")).status == 200
    await shop.consent(2)
    assert (await shop.fetch("f2")).status == 200
    moments = [(await shop.record(flow))["firstByteAt"] for flow in ("f1", "f2")]
    assert [(await shop.record(flow))["meters"]["vehicles"] for flow in ("f1", "f2")] == [2, 3]
    assert (await between(shop, 0, MOMENTS))[1] == {"from": 0, "to": MOMENTS, "deliveries": 2, "vehicles": 3}
    if moments[0] < moments[1]:
        assert (await between(shop, moments[0], moments[1]))[1]["vehicles"] == 2
    assert (await between(shop, moments[1] + 1, MOMENTS))[1]["vehicles"] == 0


@pytest.mark.parametrize(("begin", "end"), [("x", "1"), ("2", "1"), ("-1", "1"), ("1", ""), ("1" * 17, "1" * 17)])
async def test_an_interval_is_two_moments_in_order(shop: Shop, begin: str, end: str) -> None:
    status, refused = await between(shop, begin, end)
    assert (status, refused["code"]) == (400, "message_invalid")
