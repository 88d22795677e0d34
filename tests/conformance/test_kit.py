"""The official test kit against `carnet serve`, in four ways. `.ci/run` runs the same as a stage of its own (`kit`)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance import derive, run_kit
from tests.conformance.derive import Setup
from tests.conformance.run_kit import Result
from tests.requirement import missing

pytestmark = [pytest.mark.java, pytest.mark.slow, pytest.mark.timeout(run_kit.BUILD_TIMEOUT_S)]


@pytest.fixture(autouse=True)
def _built() -> None:
    lacking = run_kit.needs()
    if lacking is not None:
        missing(lacking)
    run_kit.build()


def check(result: Result) -> None:
    assert result.failed == run_kit.EXPECTED_FAILURES
    assert result.last == run_kit.SUCCESS


def test_unchanged_files_on_sqlite() -> None:
    check(run_kit.run_unchanged())


@pytest.mark.postgres
def test_postgres(postgres_dsn: str) -> None:
    check(run_kit.run_derived(derive.stored_in(run_kit.as_kept(), postgres_dsn)))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda setup: derive.named(setup, run_kit.DID), id="did"),
        pytest.param(lambda setup: derive.with_random_ids(setup, 2), id="random-ids"),
    ],
)
def test_other_names(change: Callable[[Setup], Setup]) -> None:
    check(run_kit.run_derived(change(run_kit.as_kept())))
