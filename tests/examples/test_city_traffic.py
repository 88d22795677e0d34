"""The city's story, played once: every figure recounted from the raw table by code of its own, and the map in a browser."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from examples.city_traffic.story import Result, play
from tests.browser import chromium, kept
from tests.examples.playing import Played, played, quotes_hold

VIN, LAT, LON = "Vehicle.VehicleIdentification.VIN", "Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"
RAW: Final = f'SELECT "{VIN}", CAST(epoch("time") AS BIGINT), "{LAT}", "{LON}", "Vehicle.Speed" FROM read_parquet(?)'  # noqa: S608 - constants
CAME: Final = 'SELECT cell, CAST(epoch("time") AS BIGINT), vehicles, "Vehicle.Speed" FROM read_parquet(?)'
EDGE: Final = 462 / 111_320
"""The height of the agreed cells, in degrees."""
HOUR_S: Final = 3600
Cells = dict[tuple[str, int], tuple[int, float]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Played[Result]:
    return played(play, tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="module")
def counted(story: Played[Result]) -> Cells:
    """All cells of an hour with how many vehicles were in each and how fast, from the raw table: a loop over its rows."""
    speeds: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for vin, at, lat, lon, speed in asked(RAW, story.result.fleet):
        row = math.floor(lat / EDGE)
        column = math.floor(lon * math.cos(math.radians((row + 0.5) * EDGE)) / EDGE)
        speeds[f"8/{row}/{column}", at - at % HOUR_S][vin].append(speed)
    found: Cells = {}
    for key, vehicles in speeds.items():
        own = [math.fsum(values) / len(values) for values in vehicles.values()]
        found[key] = (len(own), math.fsum(own) / len(own))
    return found


@pytest.fixture(scope="module")
def came(story: Played[Result]) -> Cells:
    """What the city was given."""
    rows = asked(CAME, story.result.cells)
    found = {(cell, at): (vehicles, speed) for cell, at, vehicles, speed in rows}
    assert len(found) == len(rows), "a cell came twice"
    return found


def asked(sql: str, file: Path) -> list[Any]:
    with duckdb.connect() as opened:
        return opened.execute(sql, [str(file)]).fetchall()


def test_every_cell_of_ten_vehicles_came_with_its_figures_and_no_other(counted: Cells, came: Cells) -> None:
    enough = {key: figures for key, figures in counted.items() if figures[0] >= 10}
    assert came.keys() == enough.keys()
    for key, (vehicles, speed) in came.items():
        assert vehicles == enough[key][0]
        assert speed == pytest.approx(enough[key][1], abs=1e-6)


def test_what_is_said_of_the_cells_is_so(story: Played[Result], counted: Cells, came: Cells) -> None:
    told = story.result
    assert told.flow.cell_hours == len(came) > 200
    assert told.flow.places == len({cell for cell, _ in came})
    assert (told.flow.fewest, told.flow.most) == (10, max(vehicles for vehicles, _ in came.values()))
    assert told.suppressed == len(counted) - len(came)
    assert told.written.rows == len(asked(RAW, told.fleet))
    hours = sorted({at for _, at in came})
    assert [hour.begins for hour in told.flow.hours] == [f"{at % 86400 // HOUR_S:02}:00" for at in hours]
    for hour, at in zip(told.flow.hours, hours, strict=True):
        inside = [figures for key, figures in came.items() if key[1] == at]
        assert hour.cells == len(inside)
        weighed = math.fsum(vehicles * speed for vehicles, speed in inside) / sum(vehicles for vehicles, _ in inside)
        assert hour.speed == pytest.approx(weighed)
    assert told.flow.busiest.cells == max(hour.cells for hour in told.flow.hours)


def test_nothing_else_is_in_what_came(story: Played[Result]) -> None:
    with duckdb.connect() as opened:
        opened.execute("SELECT * FROM read_parquet(?)", [str(story.result.cells)])
        names = [column[0] for column in opened.description or []]
    assert names == ["cell", "latitude", "longitude", "time", "vehicles", "Vehicle.Speed"]
    landed = {file.name for file in story.result.cells.parent.iterdir() if file.stat().st_size > 0}
    assert landed == {story.result.cells.name}, "something came of what was refused"


def test_the_company_has_the_same_cells_and_owes_the_price(story: Played[Result], came: Cells) -> None:
    with story.result.bought.open() as file:
        rows = list(csv.DictReader(file))
    with duckdb.connect() as opened:
        seconds = [opened.execute("SELECT CAST(epoch(CAST(? AS TIMESTAMP)) AS BIGINT)", [row["time"]]).fetchall() for row in rows]
    keys = [(row["cell"], at[0][0]) for row, at in zip(rows, seconds, strict=True)]
    figures = [(int(row["vehicles"]), float(row["Vehicle.Speed"])) for row in rows]
    assert dict(zip(keys, figures, strict=True)) == came
    assert story.result.owed == {"city": {}, "company": {"EUR": "4900.00"}}


def test_both_deliveries_have_a_receipt_of_both_sides(story: Played[Result], came: Cells) -> None:
    assert story.result.receipts.keys() == {"city", "company"}
    for receipts in story.result.receipts.values():
        (receipt,) = receipts
        assert (receipt.state, receipt.content["rows"]) == ("countersigned", len(came))


def test_what_was_refused_was_refused_for_its_reason(story: Played[Result]) -> None:
    refused = story.result.refused
    assert refused.keys() == {"unverified", "marketing", "finer", "redline", "beside"}
    assert refused["unverified"].startswith("dataset-unknown: ")
    assert refused["marketing"].startswith("policy-denied: ")
    assert "purpose is mobility planning" in refused["marketing"]
    assert refused["finer"] == "rejected: everybody gets the same grid"
    assert "at most 8. → The level of the map cells is at most 9." in refused["redline"]
    assert refused["beside"].startswith("grid-differs: ")


def test_the_page_says_what_the_story_says(story: Played[Result]) -> None:
    quotes_hold("city_traffic", story.said)
    for line in (str(story.result.page), str(story.result.bought)):
        assert any(line in said for said in story.said)


@pytest.mark.browser
async def test_the_map_shows_the_cells_that_came(story: Played[Result], came: Cells, tmp_path: Path) -> None:
    """Hour by hour, by the slider: as many cells as came of that hour, and each says what its row in the file says."""
    hours = sorted({at for _, at in came})
    async with chromium(tmp_path) as page:
        await page.look(scheme="light")
        await page.open(story.result.page)
        for number, at in enumerate(hours):
            await page.evaluate(SLIDE.format(number))
            shown = await page.evaluate(SHOWN)
            assert {cell: (vehicles, speed) for cell, vehicles, speed in shown} == {
                cell: (str(vehicles), f"{speed:.1f}") for (cell, hour), (vehicles, speed) in came.items() if hour == at
            }
        busiest = max(range(len(hours)), key=lambda number: sum(at == hours[number] for _, at in came))
        await page.evaluate(SLIDE.format(busiest))
        await page.point("#map rect.cell")
        assert await page.evaluate("document.querySelectorAll('rect.at').length") == 1
        for scheme in ("light", "dark"):
            await page.look(scheme=scheme)
            await page.photograph(kept(f"city-traffic-{scheme}.png", tmp_path))
        assert page.errors == []
        assert page.asked == [story.result.page.as_uri()]


SLIDE: Final = "(s => {{ s.value = {}; s.dispatchEvent(new Event('input')); }})(document.getElementById('hour'))"
SHOWN: Final = """
    [...document.querySelectorAll('#map rect.cell')].map(cell => {
        cell.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));
        const told = document.getElementById('detail').textContent;
        return told.match(/^Cell (\\S+), .*: (\\d+) vehicles, ([\\d.]+) km/).slice(1);
    })"""
