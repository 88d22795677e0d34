"""A connector under attack, fresh for each test; what it logs as an error fails the test unless the test says that it is due."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from tests.attacks.target import OUR_TOKEN, SHORT, TOKENS, Liar, Target, attacked, lying, made
from tests.dataplane.conftest import control, http, make_plane  # noqa: F401 - fixtures

Lines = list["structlog.typing.EventDict"]


@pytest.fixture
async def lines() -> AsyncIterator[Lines]:
    """Every line that is logged. At the end no secret is in one, and none is an error."""
    with structlog.testing.capture_logs() as captured:
        yield captured
    text = repr(captured)
    assert not [token for token in (*TOKENS.values(), OUR_TOKEN) if token in text]
    assert not [line for line in captured if line["log_level"] in ("error", "critical")]


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    """The peer that lies."""
    async with lying() as peer:
        yield peer


@pytest.fixture
async def target(tmp_path: Path, lines: Lines, liar: Liar) -> AsyncIterator[Target]:
    """A connector that gives up soon."""
    async with attacked(await made(tmp_path / "us", liar, SHORT), liar) as running:
        yield running
