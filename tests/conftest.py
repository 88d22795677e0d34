"""Fixtures for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.hypotheses", "tests.postgres", "tests.slow"]


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """Some commands set it for their process; called in a test, that is the process of all tests."""
    before = os.umask(0o077)
    os.umask(before)
    yield
    os.umask(before)
