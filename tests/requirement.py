"""What a test needs and this machine may not have: skipped on a desk, a failure where everything must run."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the running test or fixture for a stated reason; with ``CARNET_REQUIRE_ALL=1`` fail instead."""
    if os.environ.get("CARNET_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
