"""The marker `slow`: such tests run in full runs only (`make test-full`, or where everything must run)."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip slow tests with a line that says how to run them."""
    if "1" in (os.environ.get("CARNET_FULL"), os.environ.get("CARNET_REQUIRE_ALL")):
        return
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.skip(reason="takes long; `make test-full` runs it"))
