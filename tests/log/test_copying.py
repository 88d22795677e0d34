"""Copies of a log that is written meanwhile, and back."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from connector.log.copying import copy_log, restore_log
from connector.log.folder import LogFolder
from connector.log.layout import read_vkeys, write_vkeys
from connector.log.note import Verifier
from connector.store.backup import BackupError
from tests.log.keeping import checked, keeping, payload_of, running, some_leaf


async def test_a_copy_is_a_whole_log_while_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.log.sequencer.GATHER_S", 0.01)
    async with keeping(str(tmp_path / "control.db"), tmp_path) as kept:
        assert copy_log(tmp_path / "nothing", tmp_path / "copy") is None
        async with running(kept):
            ids = await kept.commit("a", payload=b"sealed")
            await kept.until_told(2)
            for number in range(5):
                growing = asyncio.create_task(kept.commit(*(f"{number} {each}" for each in range(100))))
                size = await asyncio.to_thread(copy_log, kept.folder, tmp_path / f"copy{number}")
                assert size == len(checked(tmp_path / f"copy{number}")) >= 2
                ids += await growing
            await kept.until_told(502)
        assert copy_log(kept.folder, tmp_path / "last") == 502
        assert checked(tmp_path / "last")[1:] == ids
        assert payload_of(tmp_path / "last", str(some_leaf("a", b"sealed").sha256)) == b"sealed"
        with pytest.raises(BackupError):
            copy_log(kept.folder, tmp_path / "last")


async def test_a_copy_never_takes_the_place_of_a_longer_log(tmp_path: Path) -> None:
    async with keeping(str(tmp_path / "control.db"), tmp_path) as kept, running(kept):
        await kept.commit("a")
        await kept.until_told(2)
        copy_log(kept.folder, tmp_path / "copy")
        await kept.commit("b")
        await kept.until_told(3)
    log = tmp_path / "log"
    assert not restore_log(tmp_path / "copy", log)
    assert LogFolder(log).size() == 3
    shutil.rmtree(log)
    assert restore_log(tmp_path / "copy", log)
    assert len(checked(log)) == 2
    copy_log(log, tmp_path / "short")
    (log / "checkpoint").unlink()
    assert restore_log(tmp_path / "short", log)
    assert (tmp_path / "log.replaced" / "salt").exists()


async def test_a_key_that_takes_over_while_a_copy_is_made_is_not_ahead_of_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(str(tmp_path / "control.db"), tmp_path) as kept, running(kept):
        await kept.commit("a")
        await kept.until_told(2)
    log, read = tmp_path / "log", LogFolder.checkpoint
    (first,) = read_vkeys(log)
    other = Verifier(first.name, first.kind, bytes(32))

    def then_rotated(folder: LogFolder) -> str | None:
        note = read(folder)
        write_vkeys(log, [first, other])
        return note

    monkeypatch.setattr(LogFolder, "checkpoint", then_rotated)
    assert copy_log(log, tmp_path / "copy") == 2
    assert read_vkeys(tmp_path / "copy") == [first]
