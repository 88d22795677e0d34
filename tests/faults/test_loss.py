"""The loss run at the size of a test; ``.ci/run faults`` runs the larger ones."""

from __future__ import annotations

import pytest

from tests.faults.loss import Plan, run
from tests.faults.proxy import CLEAN, Fate, Odds, choose


@pytest.mark.timeout(240)
async def test_nothing_is_lost_and_nothing_doubled() -> None:
    outcome = await run(Plan(seed=11, negotiations=20, transfers=20, kills=3))
    assert not outcome.wrong, "\n".join([outcome.summary, *outcome.wrong])
    assert outcome.kills >= 3
    assert sum(outcome.fates.values()) > outcome.fates[Fate.PASS.value] > 0


def test_the_wire_is_as_bad_as_it_says_and_repeatable() -> None:
    fates = [choose(Odds(), "seed", number).fate for number in range(10_000)]
    assert fates == [choose(Odds(), "seed", number).fate for number in range(10_000)]
    assert 0.08 < sum(fate is not Fate.PASS for fate in fates) / len(fates) < 0.12
    assert set(fates) == set(Fate)
    assert {choose(CLEAN, "seed", number).fate for number in range(100)} == {Fate.PASS}
