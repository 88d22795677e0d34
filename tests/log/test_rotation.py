"""Another key for the log: the old one announces it and both sign the checkpoint that says so, whatever happens on the way."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from connector.identity.keyfiles import revoke, rotate
from connector.identity.keys import Use
from connector.log import layout
from connector.log import sequencer as module
from connector.log.folder import LogFolder
from connector.log.growing import LogRefused
from connector.log.note import Verifier
from tests.log.keeping import AT, Keeping, checked, keeping, running, signers_of
from tests.log.test_sequencer import STEPS, Cut, cut_at


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATHER_S", "POLL_S", "BACKOFF_FIRST_S"):
        monkeypatch.setattr(module, name, 0.01)


def announced(folder: Path) -> list[tuple[int, Verifier]]:
    """Where the log names its keys."""
    said = [json.loads(entry) for entry in LogFolder(folder).entries(0, LogFolder(folder).size())]
    return [(at, Verifier.parse(each["vkey"])) for at, each in enumerate(said) if each["type"] in ("log", "log-key")]


def check_handover(folder: Path, *, both: bool = True) -> None:
    """The last key was announced, and the checkpoint that covers the announcement is signed by it and the one before it."""
    *_, old, new = layout.read_vkeys(folder)
    named = announced(folder)
    assert [verifier for _, verifier in named] == layout.read_vkeys(folder)
    at = named[-1][0]
    kept = [path for path in (folder / "handover").iterdir() if int(path.name) > at]
    (note,) = [path.read_text() for path in kept]
    assert set(signers_of(folder, note)) == ({old, new} if both else {new})
    assert signers_of(folder, str(LogFolder(folder).checkpoint()))[-1] == new


def old_key_is_gone(kept: Keeping) -> bool:
    (old,) = [row["kid"] for row in kept.ring.listing() if row["use"] == "log" and row["state"] == "rotated"]
    return not (kept.keys / f"{old}.jwk").exists()


async def test_a_running_log_hands_over_and_the_old_key_is_destroyed(tmp_path: Path) -> None:
    async with keeping(str(tmp_path / "control.db"), tmp_path) as kept:
        await kept.sequencer.begin()
        async with running(kept):
            await kept.commit("a")
            await kept.until_told(2)
            rotate(kept.keys, Use.LOG, AT + 1)
            kept.reload()
            assert not old_key_is_gone(kept)
            await kept.until_told(3)
            await kept.commit("b")
            await kept.until_told(4)
        check_handover(kept.folder)
        assert old_key_is_gone(kept)
        (last,) = signers_of(kept.folder, str(LogFolder(kept.folder).checkpoint()))
        assert last == layout.read_vkeys(kept.folder)[-1]


@pytest.mark.parametrize("step", STEPS)
async def test_a_cut_while_the_key_changes_does_not_lose_the_announcement(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = str(tmp_path / "control.db")
    async with keeping(database, tmp_path) as kept:
        ids = await kept.commit("a")
        async with running(kept):
            await kept.until_told(2)
    rotate(tmp_path / "keys", Use.LOG, AT + 1)
    async with keeping(database, tmp_path) as kept:
        await kept.sequencer.begin()
        ids += await kept.commit("b")
        with monkeypatch.context() as patched:
            cut_at(patched, step, Cut())
            with pytest.raises(Cut):
                await kept.sequencer.run()
    # Meanwhile another change: the key in between may have signed already, or never will.
    rotate(tmp_path / "keys", Use.LOG, AT + 2)
    async with keeping(database, tmp_path) as kept:
        await kept.sequencer.begin()
        async with running(kept):
            pass
        named = announced(kept.folder)
        assert [verifier for _, verifier in named] == layout.read_vkeys(kept.folder)
        others = [each for at, each in enumerate(checked(kept.folder)) if at not in {at for at, _ in named}]
        assert others == ids
        handovers = sorted((kept.folder / "handover").iterdir(), key=lambda path: int(path.name))
        keys = layout.read_vkeys(kept.folder)
        assert [set(signers_of(kept.folder, path.read_text())) for path in handovers] == [
            {old, new} for old, new in pairwise(keys)
        ]
        assert keys[-1] == kept.ring_verifier()


async def test_a_revoked_key_announces_nothing(tmp_path: Path) -> None:
    database = str(tmp_path / "control.db")
    async with keeping(database, tmp_path) as kept:
        await kept.commit("a")
        async with running(kept):
            await kept.until_told(2)
        revoke(kept.keys, kept.ring.current(Use.LOG).kid, AT + 1, "the disk was stolen")
    async with keeping(database, tmp_path) as kept:
        await kept.sequencer.begin()
        await kept.commit("b")
        async with running(kept):
            await kept.until_told(4)
        check_handover(kept.folder, both=False)


async def test_a_key_that_is_lost_is_said(tmp_path: Path) -> None:
    database = str(tmp_path / "control.db")
    async with keeping(database, tmp_path) as kept:
        await kept.commit("a")
        async with running(kept):
            await kept.until_told(2)
        old = kept.ring.current(Use.LOG).kid
    rotate(tmp_path / "keys", Use.LOG, AT + 1)
    (tmp_path / "keys" / f"{old}.jwk").unlink()
    async with keeping(database, tmp_path) as kept:
        await kept.sequencer.begin()
        with pytest.raises(LogRefused, match="log-key-lost"):
            await kept.sequencer.run()
    revoke(tmp_path / "keys", old, AT + 2, "its file was lost")
    async with keeping(database, tmp_path) as kept:
        async with running(kept):
            await kept.until_told(3)
        check_handover(kept.folder, both=False)


async def test_a_key_that_changes_before_the_first_leaf_is_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = str(tmp_path / "control.db")
    async with keeping(database, tmp_path) as kept:
        with monkeypatch.context() as patched:
            cut_at(patched, "before the payloads", Cut())
            await kept.sequencer.begin()
            with pytest.raises(Cut):
                await kept.sequencer.run()
        assert layout.read_vkeys(kept.folder) == [kept.ring_verifier()]
    rotate(tmp_path / "keys", Use.LOG, AT + 1)
    async with keeping(database, tmp_path) as kept:
        async with running(kept):
            await kept.until_told(1)
        assert [at for at, _ in announced(kept.folder)] == [0]
        assert layout.read_vkeys(kept.folder) == [kept.ring_verifier()]
