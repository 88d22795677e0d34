"""Privacy by numbers: a buyer asks for many cells while people come and go, and solves for what it was not given.

Worst case: it knows which rows lie in which cell, and wants the speed of fewer rows than a cell must have. Every answer is an
equation over rows; what a combination of its answers can single out is found by linear algebra.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy
import pyarrow.parquet as pq
import pytest

from connector.dataplane import freezing
from connector.dataplane.deliveries import Held
from connector.dataplane.plan.make import Who, make
from connector.dataplane.plan.model import Ask, Box, Plan
from connector.dataplane.plan.refused import PlanRefused
from connector.dataplane.query.cells import stretches
from connector.dataplane.query.job import Bits, Job, Made, Population, Released
from connector.dataplane.query.run import run
from connector.dataplane.tables.model import SPEED, Table
from tests.dataplane.plan.plans import PLACES, delivery, permission, term
from tests.dataplane.query.small import CONSENT, START, TEMPERATURE, Row, job_of, people, row, table_of
from tests.governed.reference import cell

HOUR_S: Final = 3600
K: Final = 5
LEVEL: Final = 7
FEW_ASKS, ASKS = 24, 200
VEHICLES: Final = 34


@dataclass
class World:
    """Rows of a raw table, each of its own vehicle and hour, and what one buyer was told of them."""

    folder: Path
    rows: list[Row]
    granted: set[int]
    held: list[Held] = field(default_factory=list)
    told: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    support: dict[tuple[str, int], frozenset[int]] = field(default_factory=dict)
    number: int = 0

    @classmethod
    def made(cls, folder: Path, chance: random.Random) -> World:
        rows = []
        for vehicle in range(VEHICLES):
            # Some cells are crowded, some are lonely.
            place = min(chance.randrange(6), chance.randrange(6))
            lat = 50.0 + (place // 3) * 0.011 + 0.001 * chance.random()
            lon = 8.0 + (place % 3) * 0.017 + 0.001 * chance.random()
            for hour in range(3):
                rows.append(
                    row(f"v{vehicle}", at=START + hour * HOUR_S, lat=lat, lon=lon, speed=float(chance.randrange(20, 120)))
                )
        return cls(folder, rows, set(range(VEHICLES)))

    def population(self) -> Population:
        everybody = people(self.folder, [f"v{number}" for number in range(VEHICLES)])
        return msgspec.structs.replace(everybody, granted=((Bits(added=tuple(sorted(self.granted))),),))

    def ask(self, plan: Plan, table: Table) -> list[dict[str, Any]]:
        """What leaves, as the desk does it: refused where something else was released, and remembered."""
        flow = f"f{self.number}"
        freezing.check(plan, self.held, flow)
        job = self._job(plan, table, flow)
        made = run(job)
        assert isinstance(made, Made), made
        held = freezing.covered(plan, table, made, flow, 1, job.keep)
        if held is not None:
            self.held.append(held)
        self.number += 1
        return list(pq.read_table(job.output).to_pylist())

    def _job(self, plan: Plan, table: Table, flow: str) -> Job:
        found = job_of(self.folder, table, self.population(), flow, form="cells", level="L3")
        released = tuple(one for one in (held.released for held in self.held) if one is not None)
        return msgspec.structs.replace(found, plan=plan, released=released)

    def note(self, answer: list[dict[str, Any]]) -> None:
        """Each row of an answer is a known mean over rows of the table; over which ones is checked by its value."""
        for told in answer:
            key = (told["cell"], int(told["time"].timestamp()))
            if key in self.told:
                assert told == self.told[key], "a cell that was told has changed"
                continue
            inside = [number for number in self.of(key) if int(self.rows[number]["vehicle"][1:]) in self.granted]
            assert told["vehicles"] == len(inside) >= K
            assert told[SPEED] == pytest.approx(sum(self.rows[number]["speed"] for number in inside) / len(inside))
            self.told[key], self.support[key] = told, frozenset(inside)

    def of(self, key: tuple[str, int]) -> list[int]:
        """The rows of a cell and hour."""
        found = []
        for number, each in enumerate(self.rows):
            row_of, col_of = cell(each["lat"], each["lon"], LEVEL)
            if (f"{LEVEL}/{row_of}/{col_of}", each["at"] // HOUR_S * HOUR_S) == key:
                found.append(number)
        return found

    @property
    def lonely(self) -> list[frozenset[int]]:
        """The rows of each cell and hour that has fewer vehicles than are told."""
        keys = {
            (f"{LEVEL}/{row_of}/{col_of}", each["at"] // HOUR_S * HOUR_S)
            for each in self.rows
            for row_of, col_of in [cell(each["lat"], each["lon"], LEVEL)]
        }
        return [frozenset(found) for key in keys if len(found := self.of(key)) < K]


def solved(equations: list[frozenset[int]], wanted: frozenset[int], unknowns: int) -> bool:
    """Whether the sum over ``wanted`` is a linear combination of what was told."""
    matrix, aim = numpy.zeros((unknowns, len(equations))), numpy.zeros(unknowns)
    for at, equation in enumerate(equations):
        matrix[sorted(equation), at] = 1
    aim[sorted(wanted)] = 1
    found, *_ = numpy.linalg.lstsq(matrix, aim, rcond=None)
    return bool(numpy.abs(matrix @ found - aim).max() < 1e-6)


def smallest(equations: list[frozenset[int]]) -> int:
    """Of how many rows the smallest sum is that an answer, or the difference of two, tells."""
    differences = [one ^ other for at, one in enumerate(equations) for other in equations[:at] if one != other]
    return min(map(len, [*equations, *differences]))


def asked(chance: random.Random) -> Ask:
    """A random area and period; their edges are anywhere, also inside cells and hours."""
    west, south = 7.98 + 0.06 * chance.random(), 49.98 + 0.03 * chance.random()
    box = Box(west, south, west + 0.002 + 0.08 * chance.random(), south + 0.002 + 0.05 * chance.random())
    begin = START + chance.choice((0, HOUR_S, -1, 1, HOUR_S - 1, 2 * HOUR_S + 1))
    return Ask(
        after_s=begin if chance.random() < 0.7 else None,
        before_s=begin + chance.choice((HOUR_S, HOUR_S + 1, 3 * HOUR_S, 5 * HOUR_S)) if chance.random() < 0.7 else None,
        box=box if chance.random() < 0.8 else None,
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("asks", [FEW_ASKS, pytest.param(ASKS, marks=pytest.mark.slow)])
def test_random_requests_tell_of_nobody(asks: int, tmp_path: Path) -> None:
    """Between the requests people withdraw and come back."""
    chance = random.Random(7)  # noqa: S311 - test data
    world = World.made(tmp_path, chance)
    table = table_of(tmp_path, world.rows)
    level, grid = term("releaseLevel", "eq", "vdx:L3"), term("spatialResolution", "lteq", LEVEL)
    terms = delivery(permission(level, grid, term("minGroupSize", "gteq", K)))
    answered = 0
    for turn in range(asks):
        if turn % 5 == 4:
            world.granted ^= set(chance.sample(range(VEHICLES), 3))
        try:
            plan = make(terms, table, asked(chance), Who("ds", "urn:a", "buyer"), (START + 10**6) * 1000, PLACES)
        except PlanRefused:
            # No whole hour was asked for.
            continue
        world.note(world.ask(msgspec.structs.replace(plan, columns=(SPEED,), consent=CONSENT), table))
        answered += 1
    assert answered > asks // 2
    assert len(world.told) >= 4, "too little was told"
    assert len(world.lonely) >= 4, "there was nothing to find out"
    equations = list(world.support.values())
    assert smallest(equations) >= K
    assert not [few for few in world.lonely if solved(equations, few, len(world.rows))]
    assert not [number for number in range(len(world.rows)) if solved(equations, frozenset({number}), len(world.rows))]


def test_the_solver_finds_what_a_parent_cell_and_its_children_give_away() -> None:
    """As if another grid had been answered beside: four children of which one is suppressed, and the parent."""
    children = [frozenset(range(0, 5)), frozenset(range(5, 11)), frozenset(range(11, 16))]
    lonely = frozenset({16, 17})
    parent = lonely.union(*children)
    assert solved([parent, *children], lonely, 18)
    assert not solved(children, lonely, 18)
    assert smallest([children[0], children[0] | {17}]) == 1


def cells_of(folder: Path, rows: list[Row], **more: Any) -> list[dict[str, Any]]:
    table = table_of(folder, rows)
    grid: dict[str, Any] = {"form": "cells", "level": "L3", "cell_level": LEVEL, "step_s": HOUR_S, "least": K}
    job = job_of(folder, table, people(folder, [f"v{number}" for number in range(9)]), **grid, **more)
    made = run(job)
    assert isinstance(made, Made), made
    return list(pq.read_table(job.output).to_pylist())


@pytest.mark.parametrize("bands", [False, True])
def test_a_column_that_few_of_a_cell_measured_has_no_mean(bands: bool, tmp_path: Path) -> None:
    """Six vehicles are there, four of them have a thermometer, one says how fast it is: no mean is of four, or of one."""
    rows = [
        row(f"v{number}", lat=50.0 + number * 1e-5, temperature=7.5 if number < 4 else None, speed=66.0 if number == 0 else None)
        for number in range(6)
    ]
    (told,) = cells_of(tmp_path, rows, columns=(SPEED, TEMPERATURE), bands=bands)
    assert told["vehicles"] == 6
    assert {value for name, value in told.items() if name.startswith(("Vehicle.", "share "))} == {None}


def test_a_column_that_enough_of_a_cell_measured_has_one(tmp_path: Path) -> None:
    rows = [row(f"v{number}", lat=50.0 + number * 1e-5, temperature=float(number) if number < 5 else None) for number in range(6)]
    (told,) = cells_of(tmp_path, rows, columns=(TEMPERATURE,))
    assert told[TEMPERATURE] == 2.0


def test_a_buyer_that_has_asked_often_is_still_answered_and_told_nothing_new(tmp_path: Path) -> None:
    """Hundreds of releases do not break the query, and a cell that one of them has stays away."""
    rows = [row(f"v{number}", lat=50.0 + number * 1e-5) for number in range(6)]
    table = table_of(tmp_path, rows)
    folder = people(tmp_path, [f"v{number}" for number in range(9)])
    grid: dict[str, Any] = {"form": "cells", "level": "L3", "cell_level": LEVEL, "step_s": HOUR_S, "least": K}
    first = job_of(tmp_path, table, folder, "first", **grid)
    few = msgspec.structs.replace(first, plan=msgspec.structs.replace(first.plan, least=7))
    assert isinstance(run(few), Made)
    at = START // HOUR_S * HOUR_S
    boxes = [((Box(0.0, 0.0, 1 + number / 1000, 1.0),),) for number in range(150)]
    released = [Released(few.keep or "", at - HOUR_S, at + HOUR_S, areas) for areas in (*boxes, ())]
    again = msgspec.structs.replace(job_of(tmp_path, table, folder, "again", **grid), released=tuple(released))
    made = run(again)
    assert isinstance(made, Made), made
    assert (made.rows, made.suppressed) == (0, 1)


def test_times_that_touch_are_one_stretch() -> None:
    area = ((Box(0, 0, 1, 1),),)
    found = stretches([Released("a", 0, 10), Released("b", 10, 20, area), Released("c", 10, 30), Released("d", 40, 50)])
    assert [(each.after_s, each.before_s, each.areas) for each in found] == [(0, 30, ()), (40, 50, ()), (10, 20, area)]


def test_who_has_more_than_can_be_remembered_gets_no_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(freezing, "MAX_HELD", 2)
    plan = job_of(tmp_path, table_of(tmp_path, [row()]), form="cells", level="L3", cell_level=LEVEL, step_s=HOUR_S, least=K).plan
    held = [Held(f"f{number}", 1, "cells", plan.grid, number, number + 1, (), None) for number in range(2)]
    freezing.check(plan, held[:1], "f9")
    with pytest.raises(freezing.Frozen) as refused:
        freezing.check(plan, held, "f9")
    assert refused.value.code == "releases-too-many"
