"""To recognise a caller costs a small multiple of the signatures that must be verified for it."""

from __future__ import annotations

import pytest

from tests.bench.authenticate import measured

# One signature with a known token, two with a new one; the rest is JSON, base64 and digests. Measured: 1.8 and 3.7.
MOST_KNOWN, MOST_NEW = 4.0, 8.0


@pytest.mark.slow  # so that it runs where nothing is traced
def test_recognising_a_caller_is_a_small_multiple_of_bare_signatures() -> None:
    cost = measured(200)
    assert cost.known_ms < MOST_KNOWN * cost.floor_ms, cost.lines()
    assert cost.new_ms < MOST_NEW * cost.floor_ms, cost.lines()
