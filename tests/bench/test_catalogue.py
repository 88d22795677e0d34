"""A page of the catalogue costs what it holds, however much else is on offer."""

from __future__ import annotations

import pytest

from tests.bench.catalogue import lines, measured

# Measured: 1.0 to 1.1. A page that looked through everything would have 10.
MOST = 2.0


@pytest.mark.slow  # so that it runs where nothing is traced
async def test_a_page_out_of_many_is_no_slower_than_out_of_few() -> None:
    costs = await measured(10)
    assert all(cost.ratio < MOST for cost in costs.values()), lines(costs)
