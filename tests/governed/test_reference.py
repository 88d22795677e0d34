"""The data plane and the reference say the same of random small tables, agreements and people: of few, or of many."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from connector.dataplane.query.job import Made
from connector.dataplane.query.run import run
from tests.governed.drawn import Drawn, job_of, worlds
from tests.governed.opened import read
from tests.governed.reference import Row, deliver, secret

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
# The many are marked slow, so that they run where nothing is traced.
MANY = pytest.param(150, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])
examples = pytest.mark.parametrize("examples", [15, MANY])
pytestmark = pytest.mark.timeout(300)
KEYS = {"cells": ("cell", "time"), "features": ("pseudonym", "month"), "score": ("pseudonym",)}


def made_of(world: Drawn) -> tuple[Made, list[Row], set[int]]:
    """What the data plane makes of a world: its answer, the rows, and the ordinals in its index."""
    with tempfile.TemporaryDirectory() as folder:
        job = job_of(world, Path(folder))
        made = run(job)
        assert isinstance(made, Made), made
        table = read(Path(job.output))
        assert table.column_names == list(made.columns)
        if "time" in table.column_names:
            at = table.column("time").cast(pa.timestamp("s", "UTC")).cast(pa.int64())
            table = table.set_column(table.column_names.index("time"), "time", at)
        index = Path(job.index).read_bytes()
        ordinals = [int.from_bytes(index[n : n + 4], "little") for n in range(0, len(index), 4)]
        assert ordinals == sorted(set(ordinals))
        assert not list(Path(job.scratch).iterdir())
        return made, table.to_pylist(), set(ordinals)


def same(found: list[Row], expected: list[Row], keys: tuple[str, ...]) -> None:
    """Rows with the same keys have the same columns and nearly the same figures: sums depend on the order of adding."""
    by_key = [{tuple(row[key] for key in keys): row for row in rows} for rows in (found, expected)]
    assert by_key[0].keys() == by_key[1].keys()
    assert len(found) == len(expected) == len(by_key[0])
    for key, row in by_key[0].items():
        assert list(row) == list(by_key[1][key])
        assert row == {name: value if name in keys else near(value) for name, value in by_key[1][key].items()}


def drawing(examples: int, test: Callable[..., None], *drawn: st.SearchStrategy[Any]) -> None:
    """Run a test on that many examples of what is drawn."""
    settings(max_examples=examples, deadline=None, suppress_health_check=SLOW)(given(*drawn)(test))()


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-6, abs=6e-4) if isinstance(value, float) else value


@pytest.mark.parametrize("form", ["rows", "cells", "features", "score"])
def test_what_is_drawn_is_worth_comparing(form: str) -> None:
    """Of the worlds at least a quarter deliver something, and of what shapes a delivery each part is among them."""
    delivering: list[Drawn] = []

    @settings(max_examples=100, derandomize=True, phases=[Phase.generate], database=None, suppress_health_check=SLOW)
    @given(worlds(form))
    def draw(world: Drawn) -> None:
        if deliver(world.rows, world.agreed, world.people):
            delivering.append(world)

    draw()
    assert len(delivering) >= 25
    for part in ("cut_m", "cut_s", "areas", "sample_s"):
        assert any(getattr(world.agreed, part) for world in delivering), part
    assert any(world.people.granted is not None for world in delivering)


@examples
def test_rows_are_those_of_the_reference(examples: int) -> None:
    drawing(examples, rows_agree, worlds("rows"))


def rows_agree(world: Drawn) -> None:
    made, found, ordinals = made_of(world)
    expected = deliver(world.rows, world.agreed, world.people)
    note(f"{len(expected)} rows expected, {len(found)} made")
    assert made.rows == len(found)
    assert exact(found) == exact(expected)
    assert ordinals == behind(world, found)


def exact(rows: list[Row]) -> Counter[tuple[tuple[str, Any], ...]]:
    """Rows as a bag: which there are, and how often."""
    return Counter(tuple((name, as_said(value)) for name, value in row.items()) for row in rows)


def as_said(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value


def behind(world: Drawn, found: list[Row]) -> set[int]:
    """The ordinals of the vehicles in rows, found by the names of their trips."""
    names = {row["trip"] for row in found}
    vehicles = {row["vehicle"] for row in world.rows if secret(world.people, f"trip|{row['vehicle']}|{row['trip']}") in names}
    return {world.ordinals[vehicle] for vehicle in vehicles if vehicle in world.ordinals}


@examples
def test_cells_are_those_of_the_reference(examples: int) -> None:
    drawing(examples, cells_agree, worlds("cells"))


def cells_agree(world: Drawn) -> None:
    made, found, ordinals = made_of(world)
    expected = deliver(world.rows, world.agreed, world.people)
    same(found, expected, KEYS["cells"])
    all_cells = deliver(world.rows, replaced(world, least=1), world.people)
    assert (made.cells, made.suppressed) == (len(expected), len(all_cells) - len(expected))
    assert not ordinals


def replaced(world: Drawn, **fields: Any) -> Any:
    return type(world.agreed)(**{**vars(world.agreed), **fields})


@examples
def test_features_are_those_of_the_reference(examples: int) -> None:
    drawing(examples, features_agree, worlds("features"))


def features_agree(world: Drawn) -> None:
    made, found, _ = made_of(world)
    expected = deliver(world.rows, world.agreed, world.people)
    assert made.rows == len(expected)
    same(found, expected, KEYS["features"])


@examples
def test_scores_are_those_of_the_reference(examples: int) -> None:
    drawing(examples, scores_agree, worlds("score"), st.integers(60, 600))


def scores_agree(world: Drawn, slower: int) -> None:
    """Of drives of many hours a second: distances for which there is a score."""
    rows = [{**row, "Vehicle.Speed": row["Vehicle.Speed"] and row["Vehicle.Speed"] * slower} for row in world.rows]
    world = Drawn(rows, world.agreed, world.people, world.ordinals, world.zone, world.format)
    _, found, _ = made_of(world)
    expected = deliver(world.rows, world.agreed, world.people)
    for row in found:
        match = next(other for other in expected if other["pseudonym"] == row["pseudonym"])
        assert (row["score"] is None) == (match["score"] is None)
        if row["score"] is not None and abs(row["score"] - match["score"]) < 0.051:
            match["score"] = row["score"]
    same(found, expected, KEYS["score"])
