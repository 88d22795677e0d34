"""A decision costs a small multiple of parsing the policy that it is about."""

from __future__ import annotations

import pytest

from tests.bench.decide import measured

# Python code beside the parser of JSON, which is C. Measured: 3.5.
MOST = 7.0


@pytest.mark.slow  # so that it runs where nothing is traced
def test_a_decision_is_a_small_multiple_of_parsing_the_offer() -> None:
    cost = measured(500)
    assert cost.decision_us < MOST * cost.floor_us, cost.lines()
