"""What the doctor says of the contract log."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from connector.cli.doctor_log import contract_log
from connector.settings import Settings
from connector.settings.contractlog import LogSettings
from tests.log.keeping import AT, US, keeping, running


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(participant_id=US, data_dir=tmp_path, log=LogSettings(folder=tmp_path / "log"))


async def test_a_log_that_is_kept_is_fine(settings: Settings, tmp_path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    assert [(each.level, "first start" in each.what) for each in contract_log(settings, now_ms)] == [("fine", True)]
    async with keeping(str(tmp_path / "control.db"), tmp_path) as kept:
        async with running(kept):
            await kept.commit("a", "b")
            await kept.until_told(3)
        (found,) = contract_log(settings, now_ms)
        assert (found.level, found.what.startswith("3 leaves")) == ("fine", True)
        assert kept.ring_verifier().key_id.hex() in found.what
        await kept.commit("c")
        late = list(contract_log(settings, AT + 90_000))
        assert (late[-1].level, late[-1].what) == ("warning", "leaves that wait: 1, the first for 0:01:30")


async def test_a_log_that_is_lost_or_damaged_is_a_problem(settings: Settings, tmp_path: Path) -> None:
    async with keeping(str(tmp_path / "control.db"), tmp_path) as kept, running(kept):
        await kept.commit("a")
        await kept.until_told(2)
    (tmp_path / "log" / "checkpoint").write_text("something else")
    assert [each.level for each in contract_log(settings, AT)] == ["problem"]
    shutil.rmtree(tmp_path / "log")
    (found,) = contract_log(settings, AT)
    assert (found.level, "has 0 leaves, and the database has given it 2" in found.what) == ("problem", True)
