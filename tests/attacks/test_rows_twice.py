"""One buyer that asks twice, in every way that could give it a difference: what it has stays as it was, or it is refused."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest

from tests.dataplane.conftest import VDX, Control, MakePlane, agreement, permitted, when
from tests.dataplane.drives import RESEARCH, RESEARCH_ONLY, START, Shop, drives

CONSENT = when(f"{VDX}legalBasis", "isAnyOf", ["https://w3id.org/dpv#Consent"])
LEVEL = when(f"{VDX}releaseLevel", "eq", f"{VDX}L3")
GROUP = when(f"{VDX}minGroupSize", "gteq", "5")
GRID = when(f"{VDX}spatialResolution", "lteq", 7)
CELLS = [RESEARCH_ONLY, CONSENT, LEVEL, GROUP, GRID]
PRECISE = [RESEARCH_ONLY, when(f"{VDX}offenceData", "eq", "false")]
HOUR = timedelta(hours=1)


def decided(*permissions: list[dict[str, Any]], name: str = "urn:agreement:1") -> dict[str, Any]:
    return permitted(agreement(*permissions, name=name), purpose=RESEARCH)


def more(vehicles: int, **where: Any) -> str:
    """Rows without the names of columns."""
    return "".join(drives(vehicles, **where).splitlines(keepends=True)[1:])


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    shop = Shop(await make_plane(artifact_wait_s=60), control)
    shop.agree(CELLS)
    return shop


async def test_no_other_grid_over_the_same_time(shop: Shop) -> None:
    """A parent minus its children, another group, another step, another cut, bands: each is another grid."""
    await shop.publish(drives(8))
    await shop.consent(*range(8))
    assert (await shop.fetch("f0")).status == 200
    others = [
        [CONSENT, LEVEL, GROUP, when(f"{VDX}spatialResolution", "lteq", 6)],
        [CONSENT, LEVEL, GROUP, when(f"{VDX}spatialResolution", "lteq", 8)],
        [CONSENT, LEVEL, when(f"{VDX}minGroupSize", "gteq", "6"), GRID],
        [CONSENT, LEVEL, GROUP, GRID, when(f"{VDX}temporalResolution", "gteq", "PT2H")],
        [CONSENT, LEVEL, GROUP, GRID, when(f"{VDX}tripEndCutTime", "gteq", "PT10S")],
        [CONSENT, LEVEL, GROUP, GRID, when(f"{VDX}samplingInterval", "gteq", "PT10S")],
    ]
    for number, terms in enumerate(others, 1):
        name = f"f{number}"
        await shop.begin(name, decision=decided([RESEARCH_ONLY, *terms], name=f"urn:agreement:{name}"))
        refused = await shop.fetch(name)
        assert (refused.status, refused.code) == (409, "grid-differs"), (number, refused.body)


async def test_edges_moved_by_a_second_or_a_metre_cut_nothing_in_two(shop: Shop) -> None:
    await shop.publish(drives(8) + more(8, start=START + HOUR))
    await shop.consent(*range(8))
    whole = (await shop.fetch("whole")).rows
    assert [row["vehicles"] for row in whole] == ["8", "8"]
    second = timedelta(seconds=1)
    asks = [
        ({"from": START.isoformat(), "to": (START + HOUR + second).isoformat()}, whole[:1]),
        ({"from": (START + second).isoformat(), "to": (START + 2 * HOUR).isoformat()}, whole[1:]),
        ({"from": (START - second).isoformat(), "to": (START + HOUR).isoformat()}, whole[:1]),
        ({"box": "9.0,48.0,9.05001,49.0"}, None),
        ({"box": "9.05001,48.0,9.2,49.0"}, None),
    ]
    parts = []
    for number, (ask, expected) in enumerate(asks):
        got = await shop.fetch(f"f{number}", {key: value.replace("+00:00", "Z") for key, value in ask.items()})
        assert got.status == 200, got.body
        parts.append(got.rows)
        if expected is not None:
            assert sorted(map(str, got.rows)) == sorted(map(str, expected))
    # The cell lies on one side of the line, whole.
    assert sorted([len(parts[3]), len(parts[4])]) == [0, 2]


@pytest.mark.parametrize("ask", [{"columns": "Vehicle.Speed", "box": "9.04,48.49,9.06,48.51"}, {}])
async def test_rows_of_an_area_do_not_stand_beside_cells_though_no_position_is_among_them(
    shop: Shop, ask: dict[str, str]
) -> None:
    await shop.publish(drives(8))
    await shop.consent(*range(8))
    assert (await shop.fetch("cells")).status == 200
    await shop.begin("rows", decision=decided(PRECISE, name="urn:agreement:2"))
    refused = await shop.fetch("rows", ask)
    assert (refused.status, refused.code) == (409, "cells-held")


async def test_rows_that_came_after_the_table_was_looked_at_are_remembered(shop: Shop) -> None:
    """The table has grown by an hour when it is read; what was told of that hour stays, too."""
    await shop.publish(drives(8))
    await shop.consent(*range(9))
    path = shop.plane.sources / "drives.csv"
    with path.open("a") as file:
        file.write(more(8, start=START + HOUR))
    first = await shop.fetch("f1")
    assert [row["vehicles"] for row in first.rows] == ["8", "8"]
    with path.open("a") as file:
        file.write(more(1, first=8, start=START + HOUR))
    await shop.consent(0, given=False)
    again = await shop.fetch("f2")
    assert sorted(map(str, again.rows)) == sorted(map(str, first.rows))


async def test_one_raw_table_is_one_whatever_it_is_called(shop: Shop) -> None:
    """Another dataset, another spelling of the path, a link: what the buyer has of it counts for all of them."""
    await shop.publish(drives(8))
    await shop.consent(*range(8))
    first = await shop.fetch("f0")
    folder = shop.plane.sources
    (folder / "link.csv").symlink_to(folder / "drives.csv")
    await shop.consent(0, given=False)
    for number, path in enumerate((folder / "drives.csv", folder / "link.csv", folder / ".." / "sources" / "drives.csv"), 1):
        await shop.plane.done("PUT", f"/carnet/sources/other{number}", {"path": str(path), "table": {}})
        await shop.begin(f"f{number}", dataset=f"other{number}")
        assert (await shop.fetch(f"f{number}")).rows == first.rows


async def test_a_file_is_one_raw_table_also_in_a_folder_and_under_a_second_name(shop: Shop) -> None:
    folder = shop.plane.sources / "parts"
    folder.mkdir()
    await shop.publish(drives(8), name="parts/one.csv")
    await shop.consent(*range(8))
    first = await shop.fetch("f0")
    os.link(folder / "one.csv", shop.plane.sources / "second-name.csv")
    await shop.consent(0, given=False)
    for number, path in enumerate((folder, shop.plane.sources / "second-name.csv"), 1):
        await shop.plane.done("PUT", f"/carnet/sources/other{number}", {"path": str(path), "table": {}})
        await shop.begin(f"f{number}", dataset=f"other{number}")
        assert (await shop.fetch(f"f{number}")).rows == first.rows
    # And the same dataset, published in another way.
    await shop.plane.done("PUT", "/carnet/sources/ds", {"path": str(folder), "table": {}})
    assert (await shop.fetch("f9")).rows == first.rows


async def test_tables_that_were_told_apart_are_not_joined(shop: Shop) -> None:
    folder = shop.plane.sources / "parts"
    folder.mkdir()
    for number in (1, 2):
        await shop.publish(drives(8), name=f"parts/{number}.csv", dataset=f"ds{number}")
    status, answer = await shop.plane.call("PUT", "/carnet/sources/both", {"path": str(folder), "table": {}})
    assert (status, answer["code"]) == (409, "table-overlaps")
    assert "ds1, ds2" in answer["detail"]
