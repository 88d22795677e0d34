"""What a test needs and this machine may not have: skipped on a desk, a failure where everything must run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the running test or fixture for a stated reason; with ``CARNET_REQUIRE_ALL=1`` fail instead."""
    if os.environ.get("CARNET_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def real_data(*parts: str) -> Path:
    """A file of the real data sets, which stand beside the checkout where they may: skip where they do not, whatever must run."""
    found = Path(__file__).parents[2].joinpath("shared", "data", *parts)
    if not found.exists():
        pytest.skip("the real data sets are not here")
    return found
