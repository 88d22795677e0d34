"""Where places are: boxes of coordinates by the IRI of a country or a place of the EU's authority, or of a NUTS region.

The table that comes with the product is small and made of boxes, while places are not. So each has two shapes: boxes that lie
*within* it, for what may leave, and one box *around* it, for what must not. What lies between the two never leaves: less than was
agreed, never more. A deployment adds places of its own, or better boxes. Nothing but the bundled table is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from connector.dataplane.plan.model import Box

COUNTRY: Final = "http://publications.europa.eu/resource/authority/country/"
PLACE: Final = "http://publications.europa.eu/resource/authority/place/"
NUTS: Final = ("http://data.europa.eu/nuts/code/", "http://data.europa.eu/nuts/")
WORLD: Final = Box(-180, -90, 180, 90)


@dataclass(frozen=True, slots=True)
class Place:
    """``within``: boxes that lie inside a place. ``around``: a box that all of it lies in."""

    within: tuple[Box, ...]
    around: Box

    @property
    def outside(self) -> tuple[Box, ...]:
        """All of the world but the box around it."""
        west, south, east, north = self.around.west, self.around.south, self.around.east, self.around.north
        beside = (
            Box(WORLD.west, WORLD.south, west, WORLD.north),
            Box(east, WORLD.south, WORLD.east, WORLD.north),
            Box(west, WORLD.south, east, south),
            Box(west, north, east, WORLD.north),
        )
        return tuple(box for box in beside if box.west < box.east and box.south < box.north)


@dataclass(frozen=True, slots=True)
class Places:
    """The places that are known, by IRI."""

    known: Mapping[str, Place]

    @classmethod
    def of(cls, extra: Mapping[str, tuple[Box, ...]] = MappingProxyType({})) -> Places:
        """The bundled places and those of a deployment, which win: the boxes that each consists of, at least one."""
        own = {iri: Place(boxes, _around(boxes)) for iri, boxes in extra.items()}
        return cls(MappingProxyType({**_bundled(), **own}))

    def find(self, iri: str) -> Place | None:
        """A place, or None where nobody said where it is."""
        return self.known.get(iri)


@cache
def _bundled() -> Mapping[str, Place]:
    rows: dict[str, dict[str, Any]] = json.loads(resources.files(__package__).joinpath("places.json").read_text("utf-8"))
    found: dict[str, Place] = {}
    for code, row in rows["country"].items():
        found |= {iri: _place(row) for iri in (COUNTRY + code, *(start + row["nuts"] for start in NUTS))}
    found |= {PLACE + code: _place(row) for code, row in rows["place"].items()}
    found |= {start + code: _place(row) for code, row in rows["nuts"].items() for start in NUTS}
    return MappingProxyType(found)


def _place(row: dict[str, Any]) -> Place:
    return Place(tuple(Box(*edges) for edges in row["within"]), Box(*row["around"]))


def _around(boxes: tuple[Box, ...]) -> Box:
    return Box(
        min(box.west for box in boxes),
        min(box.south for box in boxes),
        max(box.east for box in boxes),
        max(box.north for box in boxes),
    )


def meet(one: Box, other: Box) -> bool:
    """Whether two boxes overlap."""
    return one.west < other.east and other.west < one.east and one.south < other.north and other.south < one.north


def covered(box: Box, boxes: tuple[Box, ...]) -> bool:
    """Whether all of ``box`` lies in ``boxes`` together."""
    lons = sorted({box.west, box.east, *_inside(box.west, box.east, (edge for one in boxes for edge in (one.west, one.east)))})
    lats = sorted(
        {box.south, box.north, *_inside(box.south, box.north, (edge for one in boxes for edge in (one.south, one.north)))}
    )
    return all(
        any(one.west <= west and east <= one.east and one.south <= south and north <= one.north for one in boxes)
        for west, east in pairwise(lons)
        for south, north in pairwise(lats)
    )


def _inside(low: float, high: float, edges: Any) -> set[float]:
    return {edge for edge in edges if low < edge < high}
