"""A list of the management interface costs what it shows, however many assets there are.

What is held against the aim are steps of the database and the number of its queries, which are the same on every machine; times
and CPU are printed.
"""

from __future__ import annotations

import sys

import pytest

from tests.bench import served_lists
from tests.bench.lists import AIM_RATIO, QUERIES, lines, measured


@pytest.mark.slow  # so that it runs where nothing is traced
async def test_a_list_out_of_many_is_no_slower_than_out_of_few() -> None:
    costs = await measured(40)
    sys.stdout.write("\n".join(lines(costs)))
    assert all(costs[name].more <= AIM_RATIO for name in QUERIES), lines(costs)


@pytest.mark.slow
async def test_nor_is_the_request_for_it() -> None:
    costs = await served_lists.measured(40)
    sys.stdout.write("\n".join(lines(costs, "request")))
    assert all(cost.more <= AIM_RATIO for cost in costs.values()), lines(costs)
