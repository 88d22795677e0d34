"""How unique vehicles are in an output file, against small worlds in which it can be counted by hand."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from connector.dataplane.query.unicity import SAMPLE, Unicity, unicity
from connector.dataplane.tables.model import LATITUDE, LONGITUDE

Point = tuple[str, int, float, float]
HOUR = 3600


def written(path: Path, points: list[Point], unit: str = "pseudonym", *, placed: bool = True) -> Path:
    columns: dict[str, Any] = {
        unit: [point[0] for point in points],
        "time": pa.array([point[1] * 1_000 for point in points], pa.timestamp("ms", "UTC")),
    }
    if placed:
        columns |= {LATITUDE: [point[2] for point in points], LONGITUDE: [point[3] for point in points]}
    parquet.write_table(pa.table(columns), path / "out.parquet")
    return path / "out.parquet"


def measure(path: Path, **options: Any) -> Unicity:
    given: dict[str, Any] = {"level": "L1", "step_s": None, "cell_level": None, "seed": "s", **options}
    found = unicity(path, **given)
    assert found is not None
    return found


def test_who_is_alone_somewhere_is_unique(tmp_path: Path) -> None:
    points = [(f"v{n}", hour * HOUR, 48 + n / 10, 8.0) for n in range(10) for hour in range(4)]
    assert measure(written(tmp_path, points)) == Unicity(points=4, vehicles=10, unique=1.0)


def test_a_convoy_hides_its_vehicles(tmp_path: Path) -> None:
    points = [(f"v{n}", hour * HOUR, 48.0, 8.0) for n in range(10) for hour in range(6)]
    points += [("alone", hour * HOUR, 49.0, 8.0) for hour in range(6)]
    assert measure(written(tmp_path, points)) == Unicity(points=4, vehicles=11, unique=1 / 11)


def test_points_are_as_coarse_as_the_output(tmp_path: Path) -> None:
    near = [(f"v{n}", hour * HOUR + n * 60, 48.001 + n / 1000, 8.001) for n in range(5) for hour in range(4)]
    path = written(tmp_path, near)
    assert measure(path).unique == 0, "within 0.01 degree and one hour they are the same"
    assert measure(path, step_s=60).unique == 1, "the plan leaves the minute in"
    assert measure(path, cell_level=9).unique == 1, "the plan's cells are what positions say"


def test_trips_are_what_can_be_known_again_where_vehicles_have_no_name(tmp_path: Path) -> None:
    path = written(tmp_path, [("t1", 0, 48.0, 8.0), ("t2", 0, 48.0, 8.0), ("t3", 0, 49.0, 8.0)], unit="trip")
    assert measure(path, level="L2") == Unicity(vehicles=3, unique=1 / 3)


def test_without_a_place_time_tells_apart(tmp_path: Path) -> None:
    points = [("a", hour * HOUR, 0.0, 0.0) for hour in range(4)] + [("b", hour * HOUR, 0.0, 0.0) for hour in range(3, 8)]
    assert measure(written(tmp_path, points, placed=False)).unique == 1


def test_it_does_not_apply_to_aggregates_and_features(tmp_path: Path) -> None:
    path = written(tmp_path, [("a", 0, 0.0, 0.0)])
    assert unicity(path, level="L3", step_s=None, cell_level=None, seed="s") is None
    assert unicity(path, level="L2", step_s=None, cell_level=None, seed="s") is None, "it has no trips"
    parquet.write_table(pa.table({"pseudonym": ["a"], "month": ["2026-01"]}), path)
    assert unicity(path, level="L1", step_s=None, cell_level=None, seed="s") is None


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    measure(written(tmp_path, [("a", 0, 0.0, 0.0)]))
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_an_empty_file_has_nobody_in_it(tmp_path: Path) -> None:
    table = pa.table({"pseudonym": pa.array([], pa.string()), "time": pa.array([], pa.timestamp("ms", "UTC"))})
    parquet.write_table(table, tmp_path / "out.parquet")
    assert measure(tmp_path / "out.parquet") == Unicity(vehicles=0, unique=0.0)


def walk(vehicles: int, points: int, places: int, seed: int) -> list[Point]:
    draw = random.Random(seed)  # noqa: S311  # a made-up world

    def point(name: int) -> Point:
        return f"v{name}", draw.randrange(points) * HOUR, 48 + draw.randrange(places) / 10, 8.0

    return [point(name) for name in range(vehicles) for _ in range(points)]


def test_one_snapshot_has_one_figure(tmp_path: Path) -> None:
    points = walk(300, 12, 4, 1)
    first = measure(written(tmp_path, points))
    assert 0.02 < first.unique < 0.98
    assert measure(written(tmp_path, points[::-1])) == first
    assert len({measure(written(tmp_path, points), seed=seed).unique for seed in "abcdef"}) > 1


@pytest.mark.parametrize("places", [2, 3, 4])
def test_the_figure_is_that_of_all_draws_within_its_error(tmp_path: Path, places: int) -> None:
    points = walk(120, 12, places, places)
    seen: dict[str, set[Point]] = {}
    for name, *rest in points:
        seen.setdefault(name, set()).add(("", *rest))  # type: ignore[arg-type]  # three of the four
    alone = draws = 0.0
    for name, mine in seen.items():
        chances = [set(four) for four in combinations(sorted(mine), min(4, len(mine)))]
        others = [theirs for other, theirs in seen.items() if other != name]
        alone += sum(not any(four <= theirs for theirs in others) for four in chances) / len(chances)
        draws += 1
    found = [measure(written(tmp_path, points), seed=str(seed)).unique for seed in range(8)]
    assert sum(found) / len(found) == pytest.approx(alone / draws, abs=0.06)


def test_of_many_a_sample_is_drawn_and_all_are_candidates(tmp_path: Path) -> None:
    points = [(f"v{n}", hour * HOUR, 48.0 + (n // 2) / 100, 8.0) for n in range(SAMPLE + 500) for hour in range(2)]
    found = measure(written(tmp_path, points))
    assert (found.vehicles, found.unique) == (SAMPLE + 500, 0)
