"""Slow tests wait for a full run."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(("full", "expected"), [("", {"passed": 1, "skipped": 1}), ("1", {"passed": 2})])
def test_slow_tests_run_in_full_runs_only(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, full: str, expected: dict[str, int]
) -> None:
    monkeypatch.delenv("CARNET_REQUIRE_ALL", raising=False)
    monkeypatch.setenv("CARNET_FULL", full)
    pytester.makeconftest((Path(__file__).parent / "slow.py").read_text())
    pytester.makeini("[pytest]\nmarkers = slow\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile("import pytest\ndef test_a(): pass\n@pytest.mark.slow\ndef test_b(): pass\n")
    pytester.runpytest().assert_outcomes(**expected)
