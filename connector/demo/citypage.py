"""The page of a map of cells: its words, its drawing of one hour, and the data of all others for its script.

All text is escaped here, whoever wrote it. The style and the script stand in the page and are the only ones that the page lets
run: it names their digests in its Content-Security-Policy, and lets nothing be loaded.
Without a script it shows the busiest hour.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Iterator
from importlib import resources
from itertools import pairwise
from typing import Any, Final

from connector.demo.citydrawing import Drawing, Figure, Place

LEGIBLE: Final = 23.0
"""A cell that is at least so wide, in units of the drawing, has its figure in it."""
GHOSTS: Final = 5_000
"""Up to so many places are outlined in the hours in which they have no figure, and say without a script what theirs is."""
TABLE_HOURS: Final = 200
_BARS_KM: Final = (50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1)
_BAR: Final = 180.0


def written(drawing: Drawing, *, title: str, note: str, least: int | None, suppressed: int | None) -> str:
    """The whole page as text."""
    style, script = _part("citymap.css"), _part("citymap.js")
    policy = f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
    shown = max(range(len(drawing.hours)), key=lambda hour: (len(drawing.figures[hour]), -hour), default=0)
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_text(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{_text(title)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            "<main>",
            f"<h1>{_text(title)}</h1>",
            f'<p class="note">{_text(note)}</p>' if note else "",
            _facts(drawing, least, suppressed),
            _map(drawing, shown, least)
            if drawing.hours
            else '<p class="empty">The file has no cells: there is nothing to draw.</p>',
            _table(drawing),
            "</main>",
            f'<script type="application/json" id="data">{_data(drawing, shown, least)}</script>',
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        )
    )


def _part(name: str) -> str:
    return resources.files("connector.demo").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(text: object) -> str:
    """Text that stays text, between tags and in attributes."""
    plain = str(text)
    for character, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        plain = plain.replace(character, instead)
    return plain


def _data(drawing: Drawing, shown: int, least: int | None) -> str:
    """What the script draws from: no character in it can end its element."""
    content: dict[str, Any] = {
        "hours": drawing.hours,
        "places": drawing.places,
        "figures": drawing.figures,
        "edges": drawing.edges,
        "shown": shown,
        "least": least,
        "legible": LEGIBLE,
        "ghosts": len(drawing.places) <= GHOSTS,
    }
    plain = json.dumps(content, separators=(",", ":"))
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _facts(drawing: Drawing, least: int | None, suppressed: int | None) -> str:
    facts = [
        ("Cells of an hour", f"{drawing.cell_hours:,}"),
        ("Places", f"{len(drawing.places):,}"),
        ("Hours", len(drawing.hours)),
    ]
    if least is not None:
        facts.append(("Vehicles in each, at least", least))
    if suppressed is not None:
        facts.append(("Held back, too few vehicles", f"{suppressed:,}"))
    return '<dl class="facts">' + "".join(f"<div><dt>{_text(a)}</dt><dd>{_text(b)}</dd></div>" for a, b in facts) + "</dl>"


def _map(drawing: Drawing, shown: int, least: int | None) -> str:
    hint = "Arrow keys go from cell to cell once the map has the focus."
    last = len(drawing.hours) - 1
    return "\n".join(
        (
            "<figure>",
            '<div class="time" hidden>',
            '<button type="button" id="play" aria-pressed="false">Play</button>',
            f'<input type="range" id="hour" min="0" max="{last}" value="{shown}" step="1" aria-label="Hour">',
            "</div>",
            f'<p class="hour"><output id="when" for="hour">{_text(drawing.hours[shown])}</output>'
            f'<span id="sum">{_text(_sum(drawing.figures[shown]))}</span></p>',
            f'<svg id="map" viewBox="0 0 960 {drawing.height:g}" role="img" tabindex="0" '
            f'aria-label="Mean speed by cell. {hint}">',
            f'<g id="cells">{"".join(_cells(drawing, shown))}</g>',
            _scale(drawing),
            "</svg>",
            '<p id="detail" aria-live="polite" hidden>Point at a cell, or walk through them with the arrow keys.</p>',
            _legend(drawing, least),
            "</figure>",
        )
    )


def _sum(figures: tuple[Figure, ...]) -> str:
    return f"{len(figures)} {'cell' if len(figures) == 1 else 'cells'}"


def _cells(drawing: Drawing, shown: int) -> Iterator[str]:
    figures = {figure.place: figure for figure in drawing.figures[shown]}
    for number, place in enumerate(drawing.places):
        figure = figures.get(number)
        if figure is not None:
            yield _cell(place, figure, drawing.edges, told=len(drawing.places) <= GHOSTS)
        elif len(drawing.places) <= GHOSTS:
            yield f'<rect class="none" {_where(place)}/>'


def _cell(place: Place, figure: Figure, edges: tuple[int, ...], *, told: bool) -> str:
    colour = "u" if figure.speed is None else f"s{bisect_right(edges, figure.speed)}"
    speed = "no figure of speed" if figure.speed is None else f"{figure.speed:.1f} km/h"
    title = f"<title>{_text(place.name)}: {figure.vehicles} vehicles, {speed}</title>" if told else ""
    drawn = f'<rect class="cell {colour}" {_where(place)}>{title}</rect>'
    if figure.speed is None or place.width < LEGIBLE:
        return drawn
    x, y, size = place.x + place.width / 2, place.y + place.height / 2, min(place.width * 0.42, 22)
    whole = math.floor(figure.speed + 0.5)
    return f'{drawn}<text class="t{colour[1:]}" x="{x:.2f}" y="{y:.2f}" font-size="{size:.1f}">{whole}</text>'


def _where(place: Place) -> str:
    return f'x="{place.x}" y="{place.y}" width="{place.width}" height="{place.height}"'


def _scale(drawing: Drawing) -> str:
    """A bar of a round length, and north."""
    km = next((km for km in _BARS_KM if km * drawing.scale <= _BAR), _BARS_KM[-1])
    x, y, long = 20.0, drawing.height - 5, km * drawing.scale
    told = f"{km:g} km" if km >= 1 else f"{km * 1000:g} m"
    return (
        f'<g class="scale"><path d="M{x:g} {y - 5:.1f}v5h{long:.1f}v-5"/><text x="{x + long + 8:.1f}" y="{y:.1f}">{told}</text>'
        f'<path d="M940 {y:.1f}v-18m-4 6l4-6 4 6"/><text x="922" y="{y:.1f}">N</text></g>'
    )


def _legend(drawing: Drawing, least: int | None) -> str:
    edges = drawing.edges
    names = []
    if edges:
        between = [f"{low}\u2013{high}" for low, high in pairwise(edges)]
        names = [f"under {edges[0]}", *between, f"{edges[-1]} and more"]
    swatches = [f'<li><i class="s{number}"></i>{_text(name)}</li>' for number, name in enumerate(names)]
    if any(figure.speed is None for figures in drawing.figures for figure in figures):
        swatches.append('<li><i class="u"></i>no figure</li>')
    if len(drawing.places) <= GHOSTS:
        few = "in this hour nothing, or too few vehicles" if least is None else f"in this hour fewer than {least} vehicles"
        swatches.append(f'<li><i class="none"></i>{few}</li>')
    return f'<figcaption>Mean speed, km/h<ul class="legend">{"".join(swatches)}</ul></figcaption>'


def _table(drawing: Drawing) -> str:
    if not drawing.hours:
        return ""
    rows = []
    for hour, figures in list(zip(drawing.hours, drawing.figures, strict=True))[:TABLE_HOURS]:
        speeds = sorted(figure.speed for figure in figures if figure.speed is not None)
        span = f"<td>{speeds[0]:.1f}</td><td>{speeds[-1]:.1f}</td>" if speeds else "<td>none</td><td>none</td>"
        most = max(figure.vehicles for figure in figures)
        rows.append(f'<tr><th scope="row">{_text(hour)}</th><td>{len(figures)}</td><td>{most}</td>{span}</tr>')
    left = len(drawing.hours) - len(rows)
    return (
        '<details open><summary>The hours in figures</summary><div class="wide"><table><thead><tr><th scope="col">Hour from</th>'
        '<th scope="col">Cells</th><th scope="col">Most vehicles in a cell</th><th scope="col">Slowest cell, km/h</th>'
        f'<th scope="col">Fastest cell, km/h</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        + (f"<p>And {left} hours more, which only the map shows.</p>" if left else "")
        + "</details>"
    )
