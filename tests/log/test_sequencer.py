"""What is committed gets into the log once, in order, whatever happens on the way."""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
from pathlib import Path

import pytest

from connector.log import sequencer as module
from connector.log.folder import LogFolder
from connector.log.growing import GrowingLog, LogRefused
from connector.log.payloads import Payloads
from connector.log.tiles import UNREADABLE, LogDamaged
from connector.protocol.errors import Unavailable
from connector.store.backup import backup_sqlite, restore_sqlite
from connector.store.engine import LostRace, StoreUnavailable
from connector.store.leaves import LeafQueue, LogState
from tests.log.keeping import Keeping, checked, checked_against, keeping, payload_of, running, some_leaf


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATHER_S", "POLL_S", "BACKOFF_FIRST_S"):
        monkeypatch.setattr(module, name, 0.01)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is, on each engine in turn."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_dsn"))
    return str(tmp_path / "control.db")


async def all_in(kept: Keeping, count: int) -> list[str]:
    """The ids in the log, once it has so many leaves beside its first."""
    await kept.until_told(count + 1)
    return checked(kept.folder)[1:]


async def test_leaves_are_published_in_their_order(database: str, tmp_path: Path) -> None:
    async with keeping(database, tmp_path) as kept:
        assert await kept.sequencer.begin()
        async with running(kept):
            first = await kept.commit("a", "b", payload=b"sealed")
            assert await all_in(kept, 2) == first
            more = [(await kept.commit(f"leaf {number}"))[0] for number in range(300)]
            assert await all_in(kept, 302) == first + more
        assert payload_of(kept.folder, str(some_leaf("a", b"sealed").sha256)) == b"sealed"
        assert json.loads(next(LogFolder(kept.folder).entries(0, 1)))["type"] == "log"
        assert kept.told[-1] == (303, 0)
        assert await kept.waiting.count() == 0


async def test_what_waits_at_the_end_is_still_published(database: str, tmp_path: Path) -> None:
    async with keeping(database, tmp_path, batch_rows=7) as kept:
        await kept.sequencer.begin()
        ids = await kept.commit(*(f"leaf {number}" for number in range(40)))
        async with running(kept):
            pass
        assert checked(kept.folder)[1:] == ids


async def test_leaves_of_other_replicas_are_found_without_being_told(database: str, tmp_path: Path) -> None:
    async with keeping(database, tmp_path) as kept:
        await kept.sequencer.begin()
        async with running(kept):
            await kept.commit("a")
            await all_in(kept, 1)
            kept.sequencer.wake = lambda: None  # type: ignore[method-assign]  # nobody tells
            await kept.commit("b")
            assert len(await all_in(kept, 2)) == 2


class Cut(BaseException):
    """The power is gone."""


STEPS = {
    "before the payloads": (Payloads, "put", False),
    "after the payloads": (Payloads, "put", True),
    "after the tiles": (LogFolder, "append", True),
    "after the checkpoint": (LogFolder, "publish", True),
    "before the queue is cleared": (LeafQueue, "settle", False),
    "after the queue is cleared": (LeafQueue, "settle", True),
}


def cut_at(monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException) -> None:
    kind, name, after = STEPS[step]
    whole = getattr(kind, name)

    if name == "settle":

        async def settle(self: object, *arguments: object) -> None:
            if after:
                await whole(self, *arguments)
            raise error

        monkeypatch.setattr(kind, name, settle)
        return

    def cut(self: object, *arguments: object) -> None:
        if after:
            whole(self, *arguments)
        raise error

    monkeypatch.setattr(kind, name, cut)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", [0, 255])
async def test_a_cut_between_two_steps_loses_nothing_and_doubles_nothing(
    tmp_path: Path, step: str, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = str(tmp_path / "control.db")
    notes: list[str] = []
    async with keeping(database, tmp_path) as kept:
        await kept.sequencer.begin()
        ids = await kept.commit(*(f"early {number}" for number in range(before)))
        async with running(kept):
            await all_in(kept, before)
        notes.append(str(LogFolder(kept.folder).checkpoint()))
    async with keeping(database, tmp_path) as kept:
        await kept.sequencer.begin()
        ids += await kept.commit("a", "b", "c", payload=b"sealed")
        with monkeypatch.context() as patched:
            cut_at(patched, step, Cut())
            with pytest.raises(Cut):
                await kept.sequencer.run()
        checked_against(kept.folder, notes)
    async with keeping(database, tmp_path) as kept:
        ids += await kept.commit("d")
        await kept.sequencer.begin()
        async with running(kept):
            assert await all_in(kept, before + 4) == ids
        assert checked_against(kept.folder, notes)[1:] == ids


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        StoreUnavailable("away"),
        Unavailable("payloads-unusable", "full"),
        LostRace(),
        LogDamaged(UNREADABLE, "tile/0/000.p/1", "the file cannot be read: Too many open files"),
    ],
    ids=["disk", "store", "payloads", "race", "files"],
)
async def test_what_passes_is_waited_for(
    database: str, tmp_path: Path, step: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(database, tmp_path) as kept:
        await kept.sequencer.begin()
        async with running(kept) as task:
            ids = await kept.commit("a")
            await all_in(kept, 1)
            with monkeypatch.context() as patched:
                cut_at(patched, step, error)
                times = len(kept.told)
                ids += await kept.commit("b", "c", payload=b"sealed")
                await kept.until_told(times=times + 1)
            assert await all_in(kept, 3) == ids
            assert not task.done()


async def test_an_older_database_brings_no_leaf_twice(tmp_path: Path) -> None:
    database = tmp_path / "control.db"
    async with keeping(str(database), tmp_path) as kept:
        ids = await kept.commit("a", "b")
        backup_sqlite(database, tmp_path / "backup.db")
        await kept.sequencer.begin()
        ids += await kept.commit(*(f"leaf {number}" for number in range(1500)))
        async with running(kept):
            await all_in(kept, 1502)
    restore_sqlite(tmp_path / "backup.db", database)
    async with keeping(str(database), tmp_path) as kept:
        assert (await kept.waiting.count(), await kept.waiting.state()) == (2, LogState(0, ""))
        ids += await kept.commit("after the restoration")
        await kept.sequencer.begin()
        async with running(kept):
            assert await all_in(kept, 1503) == ids


async def test_a_new_database_goes_on_with_an_old_log(tmp_path: Path) -> None:
    async with keeping(str(tmp_path / "one.db"), tmp_path) as kept:
        ids = await kept.commit("a", "b")
        async with running(kept):
            await all_in(kept, 2)
    async with keeping(str(tmp_path / "two.db"), tmp_path) as kept:
        await kept.sequencer.begin()
        assert (await kept.waiting.state()).size == 3
        ids += await kept.commit("c")
        async with running(kept):
            assert await all_in(kept, 3) == ids


async def test_an_older_folder_is_refused(database: str, tmp_path: Path) -> None:
    async with keeping(database, tmp_path) as kept:
        await kept.sequencer.begin()
        async with running(kept):
            await kept.commit("a")
            await all_in(kept, 1)
            shutil.copytree(kept.folder, tmp_path / "older")
            await kept.commit("b")
            await all_in(kept, 2)
    shutil.rmtree(tmp_path / "log")
    shutil.copytree(tmp_path / "older", tmp_path / "log")
    note = (tmp_path / "log" / "checkpoint").read_text()
    async with keeping(database, tmp_path) as kept:
        await kept.commit("c")
        with pytest.raises(LogRefused, match="has 2 leaves, and this database has given it 3") as caught:
            await kept.sequencer.begin()
        assert (caught.value.code, "put back the folder" in caught.value.reason) == ("log-rolled-back", True)
        assert (tmp_path / "log" / "checkpoint").read_text() == note


async def test_another_folder_is_refused(database: str, tmp_path: Path) -> None:
    async with keeping(database, tmp_path) as kept:
        await kept.sequencer.begin()
    shutil.rmtree(tmp_path / "log")
    async with keeping(database, tmp_path) as kept:
        with pytest.raises(LogRefused, match="log-foreign"):
            await kept.sequencer.begin()
        assert LogFolder(kept.folder).checkpoint() is None


async def test_a_damaged_log_is_not_written_to(tmp_path: Path) -> None:
    database = str(tmp_path / "control.db")
    async with keeping(database, tmp_path) as kept:
        await kept.sequencer.begin()
        async with running(kept):
            await kept.commit("a", "b")
            await all_in(kept, 2)
    tile = next((tmp_path / "log" / "tile" / "0").rglob("3"))
    tile.write_bytes(tile.read_bytes()[::-1])
    async with keeping(database, tmp_path) as kept:
        with pytest.raises(LogDamaged, match="root-wrong"):
            await kept.sequencer.begin()


async def test_a_second_process_waits_and_takes_over(tmp_path: Path) -> None:
    async with keeping(str(tmp_path / "one.db"), tmp_path) as first, keeping(str(tmp_path / "two.db"), tmp_path) as second:
        assert await first.sequencer.begin()
        assert not await second.sequencer.begin()
        async with running(second):
            async with running(first):
                ids = await first.commit("a")
                await all_in(first, 1)
                waiting = await second.commit("b")
                assert await second.waiting.count() == 1
            assert await all_in(second, 2) == ids + waiting


async def test_the_pass_that_runs_is_finished_when_the_task_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(str(tmp_path / "control.db"), tmp_path) as kept:
        await kept.sequencer.begin()
        begun, loop = asyncio.Event(), asyncio.get_running_loop()
        grow = GrowingLog.grow

        def slow(self: GrowingLog, batch: object) -> int:
            loop.call_soon_threadsafe(begun.set)
            return grow(self, batch)  # type: ignore[arg-type]  # as it came

        monkeypatch.setattr(GrowingLog, "grow", slow)
        async with running(kept):
            ids = await kept.commit("a")
            await begun.wait()
        assert checked(kept.folder)[1:] == ids
        assert await kept.waiting.state() == LogState(2, (await kept.waiting.state()).folder)
