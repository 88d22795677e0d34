"""A running connector for the tests of its own interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.running import Channel, running


@pytest.fixture
async def channel(tmp_path: Path) -> AsyncIterator[Channel]:
    """Its owner's channel."""
    async with running(tmp_path) as opened:
        yield opened
