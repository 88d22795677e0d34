"""The page of a map: what is on it, what cannot get onto it, and how it behaves in a browser."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from connector.demo.citydrawing import drawn
from connector.demo.citymap import MAX_CELL_HOURS, MAX_PAGE_BYTES, write_map
from connector.protocol.errors import CallerError
from tests.browser import Page, chromium, kept

FIRST: Final = datetime(2026, 3, 2, 7)  # noqa: DTZ001 - as a file of cells has it: UTC, unsaid
HOSTILE: Final = "</title></script><script>document.title='taken'</script><img src=x onerror=alert(1)>&quot;\"'"
Row = tuple[str, datetime, int, float | None]
HOUR: Final = timedelta(hours=1)
SMALL: Final[list[Row]] = [
    ("8/12525/1140", FIRST, 12, 21.26),
    ("8/12525/1141", FIRST, 10, 48.0),
    ("8/12524/1140", FIRST, 31, None),
    ("8/12525/1140", FIRST + HOUR, 11, 34.96),
]
DETAIL: Final = "document.getElementById('detail').textContent"
VISIBLE: Final = "['.time', '#detail', '#map'].map(part => document.querySelector(part).checkVisibility())"
DRAWN: Final = "document.querySelectorAll('#map rect.cell').length"


def filed(path: Path, rows: list[Row]) -> Path:
    names = {"cell": pa.string(), "time": pa.timestamp("us"), "vehicles": pa.int64(), "Vehicle.Speed": pa.float64()}
    columns = [pa.array([row[place] for row in rows], kind) for place, kind in enumerate(names.values())]
    table = pa.table(columns, names=list(names))
    if path.suffix == ".csv":
        said = pa.array([row[1].strftime("%Y-%m-%dT%H:%M:%SZ") for row in rows], pa.string())
        pyarrow.csv.write_csv(table.set_column(1, "time", said), path)
    else:
        pyarrow.parquet.write_table(table, path)
    return path


def made(folder: Path, rows: list[Row], **more: Any) -> Path:
    page = folder / "page.html"
    assert write_map(filed(folder / "cells.parquet", rows), page, **{"title": "Flow", **more}) == len(rows)
    return page


class Elements(HTMLParser):
    """The elements of a page, each with its attributes and its text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(("", {}, []))

    def handle_data(self, data: str) -> None:
        if self.found:
            self.found[-1][2].append(data)

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(text)) for name, attributes, text in self.found if name == tag]


def test_text_of_others_stays_text(tmp_path: Path) -> None:
    page = Elements(made(tmp_path, SMALL, title=HOSTILE, note=HOSTILE))
    assert page.of("h1")[0][1].startswith(HOSTILE)
    assert (len(page.of("script")), page.of("img")) == (2, [])


def test_the_page_lets_only_its_own_style_and_script_run_and_loads_nothing(tmp_path: Path) -> None:
    page = Elements(made(tmp_path, SMALL))
    (policy,) = [attributes["content"] or "" for attributes, _ in page.of("meta") if attributes.get("http-equiv")]
    code = [text for attributes, text in page.of("script") if "type" not in attributes]
    for part in (*code, page.of("style")[0][1]):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert not [name for _, attributes, _ in page.found for name in attributes if name in ("src", "href", "style")]
    assert not re.search(r"url\(|@import", page.of("style")[0][1])


def test_without_a_script_it_shows_the_busiest_hour_and_a_table_of_all(tmp_path: Path) -> None:
    page = Elements(made(tmp_path, SMALL, least=10, suppressed=7))
    kinds = sorted(attributes["class"] or "" for attributes, _ in page.of("rect"))
    assert kinds == ["cell s0", "cell s5", "cell u"]
    told = [text for attributes, text in page.of("title") if not attributes][1:]
    assert sorted(told) == [
        "8/12524/1140: 31 vehicles, no figure of speed",
        "8/12525/1140: 12 vehicles, 21.3 km/h",
        "8/12525/1141: 10 vehicles, 48.0 km/h",
    ]
    assert [text for attributes, text in page.of("th") if attributes == {"scope": "row"}] == [
        "2026-03-02, 07:00 UTC",
        "2026-03-02, 08:00 UTC",
    ]
    assert [text for _, text in page.of("dd")] == ["4", "3", "2", "10", "7"]


def test_cells_lie_where_they_are(tmp_path: Path) -> None:
    places = {place.name: place for place in drawn(SMALL).places}
    west, east, south = places["8/12525/1140"], places["8/12525/1141"], places["8/12524/1140"]
    assert east.x == pytest.approx(west.x + west.width, abs=0.02)
    assert west.y == east.y
    assert west.height == pytest.approx(west.width, rel=0.001)
    assert south.y == pytest.approx(west.y + west.height, abs=0.02)


@pytest.mark.parametrize(
    ("speeds", "edges"), [([], ()), ([21.0, 48.0], (25, 30, 35, 40, 45, 50)), ([0.0, 130.0], (20, 40, 60, 80, 100, 120))]
)
def test_colours_change_at_round_figures(speeds: list[float], edges: tuple[int, ...]) -> None:
    assert drawn([(f"8/1/{number}", FIRST, 10, speed) for number, speed in enumerate(speeds)]).edges == edges


def test_csv_gives_the_same_page_as_parquet(tmp_path: Path) -> None:
    one, other = made(tmp_path, SMALL), tmp_path / "other.html"
    assert write_map(filed(tmp_path / "cells.csv", SMALL), other, title="Flow") == len(SMALL)
    assert one.read_text() == other.read_text()


@pytest.mark.parametrize(
    "name", [HOSTILE, "", "8/1", "16/1/1", "8/1/1/1", "8/99999999/1", "8/1/99999999", "8/\uff11/1", "8/1/1\n"]
)
def test_what_is_not_the_name_of_a_cell_is_not_drawn(tmp_path: Path, name: str) -> None:
    cells = filed(tmp_path / "cells.parquet", [(name, FIRST, 10, 30.0)])
    with pytest.raises(CallerError) as refused:
        write_map(cells, tmp_path / "page.html", title="Flow")
    assert refused.value.code == "map-cell"


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (pa.table({"cell": ["8/1/1"]}), "map-columns"),
        (pa.table({"cell": [1], "time": ["soon"], "vehicles": ["many"], "Vehicle.Speed": ["fast"]}), "map-columns"),
        (
            pa.table({"cell": ["8/1/1"], "time": [FIRST], "vehicles": pa.nulls(1, pa.int64()), "Vehicle.Speed": [1.0]}),
            "map-columns",
        ),
        (pa.table({"cell": ["8/1/1"], "time": [FIRST], "vehicles": [-1], "Vehicle.Speed": [1.0]}), "map-columns"),
        (
            pa.table({"cell": ["8/1/1"], "time": pa.array([2**40], pa.timestamp("s")), "vehicles": [10], "Vehicle.Speed": [1.0]}),
            "map-columns",
        ),
        (pa.table({"cell": ["8/1/1"] * 2, "time": [FIRST] * 2, "vehicles": [10, 11], "Vehicle.Speed": [1.0, 2.0]}), "map-twice"),
    ],
)
def test_a_file_without_cells_of_hours_is_refused(tmp_path: Path, table: Any, code: str) -> None:
    pyarrow.parquet.write_table(table, tmp_path / "cells.parquet")
    with pytest.raises(CallerError) as refused:
        write_map(tmp_path / "cells.parquet", tmp_path / "page.html", title="Flow")
    assert refused.value.code == code


def test_more_than_a_page_can_show_is_refused(tmp_path: Path) -> None:
    cells = filed(tmp_path / "cells.parquet", [("8/1/1", FIRST, 10, 30.0)] * (MAX_CELL_HOURS + 1))
    with pytest.raises(CallerError) as refused:
        write_map(cells, tmp_path / "page.html", title="Flow")
    assert refused.value.code == "map-too-large"


def test_without_cells_it_says_so(tmp_path: Path) -> None:
    assert "there is nothing to draw" in made(tmp_path, []).read_text()


@pytest.mark.browser
async def test_it_works_in_a_browser(tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(made(tmp_path, [], title=HOSTILE))
        assert (await page.evaluate("document.title"), page.errors) == (HOSTILE, [])
        file = made(tmp_path, SMALL, title=HOSTILE, note=HOSTILE, least=10)
        await page.open(file)
        assert await page.evaluate("document.title") == HOSTILE
        await walked(page)
        await played(page)
        assert (page.errors, page.asked) == ([], [file.as_uri()])
        await page.look(medium="print")
        assert await page.evaluate(VISIBLE) == [False, False, True]
        await page.photograph(kept("citymap-print.png", tmp_path))
        await page.look()
        assert await page.evaluate(VISIBLE) == [True, True, True]
        await page.scripts(on=False)
        await page.open(file)
        assert (await page.evaluate(VISIBLE), await page.evaluate(DRAWN)) == ([False, False, True], 3)


async def walked(page: Page) -> None:
    """With the keyboard alone: into the map, and from cell to cell."""
    await page.evaluate("document.getElementById('hour').focus()")
    await page.press("Tab")
    assert await page.evaluate("document.activeElement.id") == "map"
    steps = {"ArrowDown": "8/12524/1140", "ArrowUp": "8/12525/1140", "ArrowRight": "8/12525/1141", "ArrowLeft": "8/12525/1140"}
    for key, cell in steps.items():
        await page.press(key)
        assert f"Cell {cell}, 2026-03-02, 07:00 UTC" in await page.evaluate(DETAIL)
    await page.press("ArrowDown")
    assert (await page.evaluate(DETAIL)).endswith("31 vehicles, no figure of speed")
    await page.press("Escape")
    assert "Point at a cell" in await page.evaluate(DETAIL)


async def played(page: Page) -> None:
    """The hours go by themselves until they are stopped; the slider goes with the arrow keys."""
    turned = (
        "new Promise(done => new MutationObserver(() => done(1)).observe(document.getElementById('when'), {childList: true}))"
    )
    await page.evaluate(f"window.turned = {turned}; 0")
    await page.click("#play")
    await page.evaluate("window.turned")
    await page.click("#play")
    assert await page.evaluate("document.getElementById('play').getAttribute('aria-pressed')") == "false"
    await page.evaluate("document.getElementById('hour').focus()")
    for key, cells in (("ArrowLeft", 3), ("ArrowRight", 1)):
        await page.press(key)
        assert await page.evaluate(DRAWN) == cells
    assert await page.evaluate("document.querySelectorAll('#map rect.none').length") == 2


@pytest.mark.browser
async def test_it_works_with_as_many_cells_as_it_may_have(tmp_path: Path) -> None:
    hours, across = 20, 50
    rows: list[Row] = [
        (f"8/{12_000 + number // across}/{1_000 + number % across}", FIRST + hour * HOUR, 10 + number % 90, (number % 1300) / 10)
        for hour in range(hours)
        for number in range(MAX_CELL_HOURS // hours)
    ]
    file = made(tmp_path, rows, least=10, suppressed=0)
    assert file.stat().st_size < MAX_PAGE_BYTES
    spread: list[Row] = [(f"8/{number // 200}/{number % 200}", FIRST, 10, 30.0) for number in range(MAX_CELL_HOURS)]
    async with chromium(tmp_path) as page:
        await page.open(file)
        assert await page.evaluate(DRAWN) == MAX_CELL_HOURS // hours
        assert page.errors == []
        wide = made(tmp_path, spread)
        assert wide.stat().st_size < MAX_PAGE_BYTES
        await page.open(wide)
        assert (await page.evaluate(DRAWN), page.errors) == (MAX_CELL_HOURS, [])
