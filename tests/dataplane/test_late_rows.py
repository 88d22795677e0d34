"""Rows that come late: what a buyer has of a period stays as it is, other periods get them; a changed header stops all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from .conftest import VDX, Control, MakePlane, agreement, permitted, when
from .drives import LAT, LON, RESEARCH, RESEARCH_ONLY, START, Shop, drives

HOUR = timedelta(hours=1)
LATER = START + HOUR
CELLS = [
    RESEARCH_ONLY,
    when(f"{VDX}releaseLevel", "eq", f"{VDX}L3"),
    when(f"{VDX}spatialResolution", "lteq", 7),
    when(f"{VDX}minGroupSize", "gteq", "5"),
    when(f"{VDX}temporalResolution", "gteq", "PT1H"),
]
MORE = 12


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    shop = Shop(await make_plane(artifact_wait_s=60), control)
    shop.agree(CELLS)
    return shop


def rows_only(text: str) -> str:
    """A table without its header."""
    return text.partition("\n")[2]


async def publish_folder(shop: Shop, folder: Path) -> Any:
    return await shop.plane.done("PUT", "/carnet/sources/ds", {"path": str(folder), "table": {}})


def vehicles_by_hour(rows: list[dict[str, str]]) -> dict[str, str]:
    return {row["time"][11:13]: row["vehicles"] for row in rows}


@pytest.mark.parametrize("source", ["grown file", "folder"])
async def test_late_rows_reach_only_periods_that_were_not_released(shop: Shop, source: str) -> None:
    folder = shop.plane.sources / "trips"
    folder.mkdir()
    (folder / "a.csv").write_text(drives(8) + rows_only(drives(8, start=LATER)))
    await shop.consent(*range(MORE))
    await publish_folder(shop, folder)
    first = await shop.fetch("f1", {"to": LATER.isoformat()})
    assert vehicles_by_hour(first.rows) == {"08": "8"}

    late = rows_only(drives(4, first=8)) + rows_only(drives(4, first=8, start=LATER))
    if source == "folder":
        # Another file of the folder is part of it once it is published again.
        (folder / "b.csv").write_text(drives(0) + late)
        await publish_folder(shop, folder)
    else:
        with (folder / "a.csv").open("a") as opened:
            opened.write(late)
    changed = await shop.fetch("f3")
    assert vehicles_by_hour(changed.rows) == {"08": "8", "09": str(MORE)}
    assert [row for row in changed.rows if row["time"][11:13] == "08"] == first.rows
    other = permitted(agreement(CELLS, name="urn:agreement:2"), purpose=RESEARCH)
    await shop.begin("f4", decision=other)
    assert sorted(map(str, (await shop.fetch("f4")).rows)) == sorted(map(str, changed.rows))
    # Who has had nothing gets all.
    await shop.consent(*range(MORE), recipient="did:web:three.example")
    stranger = permitted(agreement(CELLS, name="urn:agreement:3"), purpose=RESEARCH, buyer="did:web:three.example")
    await shop.begin("f5", decision=stranger)
    assert vehicles_by_hour((await shop.fetch("f5")).rows) == {"08": str(MORE), "09": str(MORE)}


async def test_a_changed_header_stops_deliveries_and_names_the_column_until_it_is_published_again(
    shop: Shop, control: Control
) -> None:
    text = drives(8)
    await shop.publish(text)
    await shop.consent(*range(8))
    first = await shop.fetch("f1")
    assert first.status == 200
    path = shop.plane.sources / "drives.csv"
    path.write_text(text.replace(LON, "Longitude", 1))
    for flow in ("f2", "f3"):
        stopped = await shop.fetch(flow)
        assert (stopped.status, stopped.code, stopped.problem["column"]) == (409, "source_changed", LON)
    flow, event, told = await control.next()
    assert (flow, event) == ("f2", "errored")
    assert LON in str(told)
    # What was made before and has left stays to be had.
    path.write_text(text)
    still = await shop.fetch("f4")
    assert (still.status, still.code) == (409, "source_changed")
    await shop.publish(text)
    again = await shop.fetch("f5")
    assert (again.status, again.rows) == (200, first.rows)
    assert LAT in text
