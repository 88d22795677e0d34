"""Random small tables, agreements and people, and what makes a job of the data plane out of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet
from hypothesis import strategies as st

from connector.dataplane.plan.model import Box, Circle, Consent, Plan
from connector.dataplane.query.job import Bits, Job, Population
from connector.dataplane.tables.files import headers_of, snapshot_of
from connector.dataplane.tables.model import Column, Mapping, Table, TimeColumn
from tests.governed.reference import LAT, LON, SPEED, Agreed, People, Row, metres

RPM, NOTE, BELT = "Vehicle.Powertrain.CombustionEngine.Speed", "note", "Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted"
COLUMNS = (
    Column("lat", LAT, unit="degrees", category="location"),
    Column("lon", LON, unit="degrees", category="location"),
    Column("kmh", SPEED, unit="km/h", category="driving-behaviour"),
    Column("rpm", RPM, unit="rpm"),
    Column("note", NOTE, "text"),
    Column("belt", BELT, "flag"),
)
LATS, LONS = (47.99, 47.9941, 47.9983, 48.01, 48.0712), (7.99, 7.9963, 8.003, 8.02, 8.0817)
EVENING = 1_769_896_000  # 2026-01-31T21:46:40Z: soon it is night, another day and another month
VEHICLES = ("WVW01", "WVW02", "WVW03", "WVW04", "WVW05")


def clear_of(distances: tuple[float, ...]) -> tuple[float, ...]:
    """Those of which no two places of the grid are nearly that far apart: there, kinds of geometry may differ."""
    places = list(product(LATS, LONS))
    apart = {metres(*one, *other) for one in places for other in places}
    return tuple(far for far in distances if not any(abs(found / far - 1) < 0.02 for found in apart))


CUTS_M = clear_of((150, 600, 800, 2_000, 3_000))
RADII_M = clear_of((100, 700, 1_500, 4_000))
assert len(CUTS_M) > 2
assert len(RADII_M) > 2


@dataclass(frozen=True)
class Drawn:
    """A world: its rows, what was agreed, and who said what. ``ordinals`` are of the vehicles that the ledger knows."""

    rows: list[Row]
    agreed: Agreed
    people: People
    ordinals: dict[str, int]
    zone: str
    format: str


@st.composite
def tables(draw: st.DrawFn, zone: str) -> list[Row]:
    """Up to five vehicles with up to two trips; no second twice in a trip."""
    rows: list[Row] = []
    shown = ZoneInfo(zone)
    for vehicle in draw(st.lists(st.sampled_from(VEHICLES), min_size=2, unique=True)):
        for trip in range(draw(st.integers(1, 2))):
            at = EVENING + draw(st.sampled_from((0, 0, 600, 5_000)))
            for gap in draw(st.lists(st.sampled_from((1, 1, 1, 2, 5, 6, 60, 900)), min_size=4, max_size=14)):
                at += gap
                offset = datetime.fromtimestamp(at, shown).utcoffset()
                assert offset is not None
                lat, lon = draw(st.sampled_from((*product(LATS, LONS), (None, None))))
                rows.append({
                    "vehicle": vehicle, "trip": f"{trip}", "at": at, "local": at + int(offset.total_seconds()),
                    LAT: lat, LON: lon,
                    SPEED: draw(st.sampled_from((None, 0.0, 20.0, 49.5, 50.0, 89.0, 90.0, 100.5, 130.0, 131.0))),
                    RPM: draw(st.sampled_from((None, 800.0, 2_000.5))),
                    NOTE: draw(st.sampled_from((None, "a", 'b, "c"'))),
                    BELT: draw(st.sampled_from((None, True, False))),
                })  # fmt: skip
    return rows


def pairs(values: tuple[float, ...]) -> st.SearchStrategy[list[float]]:
    """Two different ones, in order."""
    return st.lists(st.sampled_from(values), min_size=2, max_size=2, unique=True).map(sorted)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[tuple[float, float, float, float], ...]:
    """An area of one or two boxes, whose edges are places where vehicles are."""
    found = []
    for _ in range(draw(st.integers(1, 2))):
        west, east = draw(pairs((7.9, *LONS[:2], LONS[-1], 8.2)))
        south, north = draw(pairs((47.9, *LATS[:2], LATS[-1], 48.2)))
        found.append((west, south, east, north))
    return tuple(found)


@st.composite
def agreements(draw: st.DrawFn, form: str) -> Agreed:
    """Terms that can stand beside each other in one plan of that form."""
    step_s = draw(st.sampled_from((900, 3_600))) if form == "cells" else draw(st.sampled_from((None, None, 60, 900)))
    edge = step_s or 1
    after_s = draw(st.none() | st.integers(0, 1_500).map(lambda s: (EVENING + s) // edge * edge))
    before_s = draw(st.none() | st.integers(2_500, 12_000).map(lambda s: (EVENING + s) // edge * edge))
    level = "L3" if form == "cells" else draw(st.sampled_from(("L1", "L2"))) if form == "rows" else "L1"
    chosen = draw(st.lists(st.sampled_from((SPEED, RPM, NOTE, BELT)), unique=True))
    if form == "cells":
        chosen = [path for path in chosen if path != NOTE]
    columns = tuple(draw(st.sampled_from(((), (LAT, LON)))) + tuple(chosen))
    return Agreed(
        form=form,
        level=level,
        columns=columns if form in ("rows", "cells") else (),
        cut_m=draw(st.sampled_from((0, 0, 0, *CUTS_M))),
        cut_s=draw(st.sampled_from((0, 0, 1, 60, 120))),
        after_s=after_s,
        before_s=before_s,
        areas=tuple(draw(st.lists(boxes(), max_size=2))) if draw(st.booleans()) else (),
        sensitive=draw(st.sampled_from(("kept", "removed", "coarsened"))),
        places=tuple(
            draw(st.lists(st.tuples(st.sampled_from(LATS), st.sampled_from(LONS), st.sampled_from(RADII_M)), max_size=2))
        ),
        enrolled=form != "cells" and draw(st.booleans()),
        sample_s=draw(st.sampled_from((None, None, None, 1, 5, 60))),
        epoch=draw(st.sampled_from((None, "day", "month", "year"))) if level == "L1" else None,
        step_s=step_s,
        cell_level=draw(st.sampled_from((5, 6, 7))) if form == "cells" else draw(st.sampled_from((None, 6, 8))),
        bands=draw(st.booleans()),
        least=draw(st.integers(1, 3)) if form == "cells" else 0,
    )


@st.composite
def peoples(draw: st.DrawFn) -> tuple[People, dict[str, int]]:
    """Consents of vehicles that the ledger knows, for up to two categories with up to two sets each."""
    known = draw(st.permutations(VEHICLES))[: draw(st.integers(2, 5))]
    ordinals = {vehicle: draw(st.integers(0, 3)) + 20 * n for n, vehicle in enumerate(known)}
    some = st.frozensets(st.sampled_from(known), max_size=3)
    most = some.map(lambda few: frozenset(known) - few)
    category = st.lists(some | most | st.just(frozenset(known)), min_size=1, max_size=2).map(tuple)
    granted = draw(st.none() | st.lists(category, min_size=1, max_size=2).map(tuple))
    references = {vehicle: f"contract-{vehicle}" for vehicle in sorted(draw(most))}
    left_out = draw(some) if draw(st.booleans()) else frozenset()
    return People(draw(st.binary(min_size=32, max_size=32)), granted, left_out, references), ordinals


@st.composite
def worlds(draw: st.DrawFn, *forms: str) -> Drawn:
    zone = draw(st.sampled_from(("UTC", "Europe/Berlin")))
    people, ordinals = draw(peoples())
    kind = draw(st.sampled_from(("parquet", "arrow")))
    return Drawn(draw(tables(zone)), draw(agreements(draw(st.sampled_from(forms)))), people, ordinals, zone, kind)


def job_of(world: Drawn, folder: Path) -> Job:
    """The same world for the data plane: files, a plan, bitmaps with a tail."""
    scratch = folder / "scratch"
    scratch.mkdir()
    table = _table(world, folder)
    return Job(
        plan=_plan(world, table),
        table=table,
        population=_population(world, folder),
        output=str(folder / f"out.{world.format}"),
        index=str(folder / "index"),
        scratch=str(scratch),
    )


def _table(world: Drawn, folder: Path) -> Table:
    headers = {"vehicle": "car", "trip": "drive", "at": "when", **{column.path: column.header for column in COLUMNS}}
    types = [pa.string(), pa.string(), pa.int64(), *(pa.float64(),) * 4, pa.string(), pa.bool_()]
    columns = [pa.array([row[name] for row in world.rows], kind) for name, kind in zip(headers, types, strict=True)]
    path = folder / "raw.parquet"
    pyarrow.parquet.write_table(pa.table(columns, names=list(headers.values())), path, row_group_size=7)
    seconds = [row["at"] for row in world.rows]
    clock = TimeColumn("when", "epoch-s", world.zone)
    return Table(
        id="raw",
        files=(str(path),),
        format="parquet",
        headers=headers_of(str(path), "parquet"),
        mapping=Mapping(origin="given", columns=COLUMNS, time=clock, vehicle="car", trip="drive"),
        rows=len(world.rows),
        vehicles=len({row["vehicle"] for row in world.rows}),
        sampling_ms=1_000,
        first_s=min(seconds),
        last_s=max(seconds),
        snapshot=snapshot_of([str(path)]),
        sensitive=tuple(Circle(*place) for place in world.agreed.places),
    )


def _plan(world: Drawn, table: Table) -> Plan:
    agreed: dict[str, Any] = {name: value for name, value in vars(world.agreed).items() if name not in ("places", "areas")}
    consent = None if world.people.granted is None else Consent(("c",), ("p",), "buyer", ("b",))
    areas = tuple(tuple(Box(*box) for box in area) for area in world.agreed.areas)
    kind: Any = world.format
    return Plan(
        dataset="d", table=table.id, schema=table.schema, agreement="a", recipient="buyer", areas=areas, consent=consent,
        format=kind, **agreed,
    )  # fmt: skip


def _population(world: Drawn, folder: Path) -> Population:
    people, ordinals = world.people, world.ordinals
    stored = [pair for n, pair in enumerate(ordinals.items()) if n % 2]
    recent = tuple(pair for n, pair in enumerate(ordinals.items()) if not n % 2)
    named = pa.table(
        {"vehicle": pa.array([v for v, _ in stored], pa.string()), "ordinal": pa.array([o for _, o in stored], pa.uint32())}
    )
    pyarrow.parquet.write_table(named, folder / "ordinals.parquet")
    granted = [
        tuple(_bits(sorted(ordinals[v] for v in one), folder / f"bits-{n}-{m}", m) for m, one in enumerate(category))
        for n, category in enumerate(people.granted or ())
    ]
    references = tuple((ordinals[vehicle], reference) for vehicle, reference in people.references.items())
    return Population(
        ordinals=(str(folder / "ordinals.parquet"),),
        recent=recent,
        granted=None if people.granted is None else tuple(granted),
        left_out=tuple(sorted(ordinals[v] for v in people.left_out)),
        references=references if world.agreed.enrolled else None,
        key=people.key.hex(),
    )


def _bits(ordinals: list[int], path: Path, variant: int) -> Bits:
    """A set as a file with a wrong bit and a missing one, and a tail that makes up for both; or as a tail only."""
    if variant:
        return Bits(added=tuple(ordinals))
    early, late = ordinals[: len(ordinals) // 2], ordinals[len(ordinals) // 2 :]
    wrong = next(n for n in range(200) if n not in ordinals)
    bits = bytearray(32)
    for ordinal in (*early, wrong):
        bits[ordinal // 8] |= 1 << ordinal % 8
    path.write_bytes(bits)
    return Bits(str(path), tuple(late), (wrong,))
