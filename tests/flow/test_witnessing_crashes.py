"""The power goes off at every commit while two connectors show each other their logs: both are cosigned all the same, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flow.house import Street
from tests.flow.ledgers import CONSUMER, PROVIDER, Logs, agreed, row

CUTS = 16


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_cut_at_every_commit_loses_and_doubles_nothing(street: Street, tmp_path: Path, after: bool) -> None:
    logs = Logs(street, tmp_path / "logs")
    await logs.move_in()
    await agreed(street)
    for number in range(1, CUTS + 1):
        for name in (CONSUMER, PROVIDER):
            logs.logs[name].fill(1)
        street.fuse.at, street.fuse.after = street.fuse.count + number, after
        await logs.hour()
        street.fuse.at = None
        await logs.hour()
        for house in street.houses.values():
            kept = await row(house)
            assert (kept.cosigned_size, kept.seen_size) == (3 + number, 3 + number)
            assert (kept.refused, kept.refusal, kept.split_code) == ("", "", "")
            assert await house.store.dead_letters() == []
    assert sum(house.cuts for house in street.houses.values()) == CUTS
