"""Every term is enforced on the data where the registry says so: take it away, and the check of what was delivered fails.

For each term of a data plane's points (the plan of the query, the meters, the request for data) a delivery is made and what has
left is checked. The second half makes the same delivery with the term taken out of the compiled agreement, while everything else
stays as it is, and once more with the step that keeps it made blind: the same check has to fail.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connector.dataplane import desk as desks
from connector.dataplane.plan.declared import every
from connector.dataplane.plan.model import Consent, Plan
from connector.dataplane.problems import Refusal
from connector.dataplane.query.job import Job, Population
from policies.compile import compile_agreement
from policies.delivery import Capabilities, Delivery
from policies.model import Policy
from policies.terms.registry import REGISTRY
from policies.terms.term import Point
from tests.acceptance.depot import Depot, Drives, of_table, open_depot, opened
from tests.acceptance.shapes import SHAPES, Shaped, Step


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Drives:
    return Drives.write(tmp_path_factory.mktemp("drives"))


@pytest.fixture
async def depot(tmp_path: Path) -> AsyncIterator[Depot]:
    async with open_depot(tmp_path) as ready:
        yield ready


def of(point: Point) -> set[str]:
    """The terms that are enforced at a point."""
    return {iri for iri, found in REGISTRY.items() if point in found.points}


def named(row: Any) -> str:
    """For the names of tests."""
    return str(row.iri.rpartition("#")[2].rpartition("/")[2]) if hasattr(row, "iri") else ""


shapes = pytest.mark.parametrize("row", SHAPES, ids=named)


# --- the plan of the query -------------------------------------------------------------------------------------------


@shapes
async def test_what_is_delivered_is_as_agreed(depot: Depot, drives: Drives, row: Shaped) -> None:
    agreement = row.agreement
    depot.agree(agreement)
    source = of_table(drives.fast if row.fast else drives.slow, **row.table)
    path = await depot.delivered(source, agreement.uid)
    with opened(path, drives.raw) as found:
        row.check(found, await depot.key(agreement))


@shapes
async def test_without_the_term_its_check_fails(
    depot: Depot, drives: Drives, monkeypatch: pytest.MonkeyPatch, row: Shaped
) -> None:
    take_away_term(monkeypatch, row.iri)
    with pytest.raises(Refusal, match="instant speed") if row.refused else fails():
        await test_what_is_delivered_is_as_agreed(depot, drives, row)


@shapes
async def test_without_the_steps_its_check_fails(
    depot: Depot, drives: Drives, monkeypatch: pytest.MonkeyPatch, row: Shaped
) -> None:
    for step in row.steps:
        blind(monkeypatch, step)
    with fails():
        await test_what_is_delivered_is_as_agreed(depot, drives, row)


def fails() -> pytest.RaisesExc[AssertionError]:
    """A check finds something on what was delivered, and not that there is too little of it."""
    return pytest.RaisesExc(AssertionError, match=r"\A(?!.*were delivered, expected)")


def take_away_term(monkeypatch: pytest.MonkeyPatch, iri: str) -> None:
    """The agreement is compiled as it is, and the term is left out of what comes of it."""

    def compiled(agreement: Policy, capabilities: Capabilities) -> Delivery:
        found = compile_agreement(agreement, capabilities)
        if not any(item.term == iri for item in found.items()):
            raise LookupError("the agreement has not the term that is taken away")
        without = {
            bucket: tuple(item for item in getattr(found, bucket) if item.term != iri)
            for bucket in ("gates", "shape", "meters", "duties")
        }
        return replace(found, **without)

    monkeypatch.setattr(desks, "compile_agreement", compiled)


def blind(monkeypatch: pytest.MonkeyPatch, step: Step) -> None:
    """A function of the query sees something else than the plan says."""
    real: Callable[..., Any] = getattr(step.owner, step.function)
    asked: list[object] = []

    def seen(argument: Any) -> Any:
        if isinstance(argument, Job):
            return msgspec.structs.replace(argument, plan=seen(argument.plan), population=seen(argument.population))
        if not isinstance(argument, (Plan, Consent, Population)):
            return argument
        there = {name: value for name, value in step.seen.items() if name in argument.__struct_fields__}
        asked.extend(there)
        return msgspec.structs.replace(argument, **there)

    def altered(*arguments: Any, **more: Any) -> Any:
        found = real(*map(seen, arguments), **more)
        if not asked:
            raise LookupError("the step did not see what it is to be blind to")
        return found

    monkeypatch.setattr(step.owner, step.function, altered)


# --- nothing is left out ---------------------------------------------------------------------------------------------


def test_every_term_of_the_data_plane_has_its_row() -> None:
    assert {row.iri for row in SHAPES} == of(Point.QUERY)
    declared = {iri for iri in every() if iri not in of(Point.METER)}
    assert declared == of(Point.QUERY)


def test_every_part_of_a_plan_is_taken_away() -> None:
    """A plan that says something new has a row here that sees it left out; what a request says is no term."""
    of_requests = {"after_s", "format"}
    names_only = {"dataset", "table", "schema", "agreement", "recipient", "anonymous"}
    taken = {name for row in SHAPES for step in row.steps for name in step.seen}
    assert set(Plan.__struct_fields__) - taken == of_requests | names_only
