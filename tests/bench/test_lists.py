"""A list of the management interface costs what it shows, however many assets there are."""

from __future__ import annotations

import pytest

from tests.bench import served_lists
from tests.bench.lists import QUERIES, lines, measured

# Measured: 0.9 to 1.1. A list that looked through everything would have 10.
MOST = 2.0


@pytest.mark.slow  # so that it runs where nothing is traced
async def test_a_list_out_of_many_is_no_slower_than_out_of_few() -> None:
    costs = await measured(40)
    assert all(costs[name].ratio < MOST for name in QUERIES), lines(costs)


@pytest.mark.slow
async def test_nor_is_the_request_for_it() -> None:
    costs = await served_lists.measured(40)
    assert all(cost.ratio < MOST for cost in costs.values()), served_lists.lines(costs)
