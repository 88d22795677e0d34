"""What a transaction checks again about its caller, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from connector.app import MIGRATIONS
from connector.identity.door import Door, OpenDoor
from connector.identity.interface import Principal, Standing
from connector.identity.participants import Admission, Participant
from connector.protocol.errors import NotAuthenticated, NotNow
from connector.store.control import ControlStore
from connector.store.engine import LostRace, Statement, StoreUnavailable
from connector.store.migrate import migrate
from connector.store.registry import RegistryStore, insert_participant, use_once
from connector.store.sqlite import SqliteEngine

PEER = "did:web:peer.example"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SqliteEngine]:
    engine = await SqliteEngine.open(tmp_path / "control.db")
    await migrate(engine, MIGRATIONS, 0)
    await engine.commit([insert_participant(Participant(id=PEER, state=Admission.ADMITTED))])
    yield engine
    await engine.close()


@pytest.fixture
def door(engine: SqliteEngine) -> Door:
    return Door(RegistryStore(engine), ControlStore(engine), shared=False)


def caller(once: str | None = None, revision: int = 1) -> Principal:
    return Principal(PEER, standing=Standing(revision, once, 10**15))


async def put(engine: SqliteEngine, state: str) -> None:
    await engine.commit([Statement("UPDATE participant SET state = ?, reason = 'unpaid', revision = revision + 1", (state,))])


async def test_what_is_single_use_is_used_with_the_first_commit(door: Door, engine: SqliteEngine) -> None:
    await engine.commit(door.statement(caller("proof")))
    second = caller("proof")
    with pytest.raises(LostRace):
        await engine.commit(door.statement(second))
    with pytest.raises(NotAuthenticated, match="proof-replayed"):
        await door.explain(second)
    await engine.commit(door.statement(caller("another")))


async def test_what_ends_without_a_commit_is_used_up_all_the_same(door: Door) -> None:
    first = caller("proof")
    await door.settle(first)
    assert door.statement(first) == []
    await door.settle(first)
    with pytest.raises(NotAuthenticated, match="proof-replayed"):
        await door.settle(caller("proof"))


@pytest.mark.parametrize("state", ["suspended", "expelled"])
async def test_who_is_not_welcome_any_more_changes_nothing(door: Door, engine: SqliteEngine, state: str) -> None:
    recognised = caller("proof")
    await put(engine, state)
    with pytest.raises(LostRace):
        await engine.commit(door.statement(recognised))
    with pytest.raises(NotAuthenticated, match=f"participant-{state}.*unpaid"):
        await door.explain(recognised)


async def test_another_change_of_the_entry_asks_for_the_message_again(door: Door, engine: SqliteEngine) -> None:
    recognised = caller()
    await put(engine, "admitted")
    with pytest.raises(LostRace):
        await engine.commit(door.statement(recognised))
    with pytest.raises(NotNow, match="standing-changed"):
        await door.explain(recognised)
    await engine.commit(door.statement(caller(revision=2)))


async def test_a_participant_that_is_gone_is_unknown(door: Door, engine: SqliteEngine) -> None:
    await engine.commit([Statement("DELETE FROM participant")])
    with pytest.raises(NotAuthenticated, match="participant-unknown"):
        await door.explain(caller())


async def test_a_race_that_was_another_is_left_alone(door: Door) -> None:
    await door.explain(caller("proof"))
    await door.explain(Principal(PEER))
    spent = caller("proof")
    spent.spend()
    await door.explain(spent)


async def test_without_single_use_there_is_nothing_to_settle(door: Door) -> None:
    await door.settle(caller())
    await door.settle(Principal(PEER))
    assert door.statement(Principal(PEER)) == []
    Principal(PEER).spend()


async def test_a_race_during_settling_that_was_no_replay_is_no_refusal(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(_: object) -> None:
        raise LostRace

    monkeypatch.setattr(door._store, "commit", lost)
    await door.settle(caller("proof"))


async def test_an_open_door_checks_nothing() -> None:
    door = OpenDoor()
    assert door.statement(caller("proof")) == []
    await door.explain(caller("proof"))
    await door.settle(caller("proof"))


async def test_what_is_used_up_and_too_old_is_forgotten_also_after_the_store_was_away(
    door: Door, engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest stays used."""
    await engine.commit([use_once(f"old {number}", number) for number in range(2500)] + [use_once("new", 10_000)])
    forget, asked, done = RegistryStore.forget_used, 0, asyncio.Event()

    async def sometimes(self: RegistryStore, now_ms: int) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StoreUnavailable("away")
        await forget(self, now_ms)
        done.set()

    monkeypatch.setattr(RegistryStore, "forget_used", sometimes)
    with structlog.testing.capture_logs() as said:
        forgetting = asyncio.create_task(door.forgetting(lambda: 5000, pause_s=0))
        await done.wait()
        forgetting.cancel()
        await asyncio.gather(forgetting, return_exceptions=True)
    assert await engine.fetch("SELECT key FROM used_once") == [("new",)]
    assert [line["log_level"] for line in said] == ["warning"]
