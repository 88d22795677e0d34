"""Drafts become leaves whose payloads are sealed under their subjects' keys."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.app import MIGRATIONS
from connector.log.journaling import MAX_REMEMBERED, REMEMBERED_MS, LogJournal
from connector.log.leaf import Draft, contract_name, salted, unfit
from connector.log.sealing import PayloadWrong, commitment, opened, payload_key
from connector.log.subjects import SubjectKeys
from connector.protocol.errors import InvariantBroken
from connector.store.leaves import LeafQueue, QueuedLeaf
from connector.store.migrate import migrate
from connector.store.sqlite import SqliteEngine

SALT = bytes(range(32))
ALICE = "did:web:alice.example"


class World:
    """A journal over a file of keys, with a clock that the test moves."""

    def __init__(self, subjects: SubjectKeys) -> None:
        self.subjects = subjects
        self.now = 1_790_000_000_000
        self.woken = 0
        self.asked: list[list[str]] = []
        self.journal = LogJournal(
            subjects, SALT, now_ms=lambda: self.now, new_id=lambda: f"urn:uuid:{uuid.uuid4()}", wake=self.wake
        )
        keys = subjects.keys

        def counted(names: Any, now_ms: int) -> list[bytes]:
            self.asked.append(list(names))
            return keys(names, now_ms)

        subjects.keys = counted  # type: ignore[method-assign]  # a spy

    def wake(self) -> None:
        self.woken += 1

    async def queued(self, tmp_path: Path, *drafts: Draft) -> list[QueuedLeaf]:
        engine = await SqliteEngine.open(tmp_path / f"{uuid.uuid4()}.db")
        try:
            await migrate(engine, MIGRATIONS, 1)
            await engine.commit(await self.journal.leaves(drafts))
            return await LeafQueue(engine).batch(1000, 1_000_000)
        finally:
            await engine.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with SubjectKeys(tmp_path / "subjects.db", lambda: SALT) as subjects:
        yield World(subjects)


def message(**more: Any) -> Draft:
    return Draft("message", {"direction": "in", "message": "ContractOfferMessage"}, **more)


async def test_a_leaf_shows_names_under_the_salt_alone(world: World, tmp_path: Path) -> None:
    (made,) = await world.queued(tmp_path, message(party=ALICE, agreement="a-1", role="provider", asset="vehicle data"))
    said = json.loads(made.leaf)
    assert unfit(said) is None
    assert said["id"] == made.id
    assert said["party"] == salted(SALT, "party", ALICE)
    assert said["contract"] == contract_name(SALT, "provider", ALICE, "a-1")
    assert (made.sha256, made.payload, "payload" in said) == (None, None, False)
    assert b"alice" not in made.leaf


async def test_a_payload_opens_with_the_key_of_its_subject(world: World, tmp_path: Path) -> None:
    drafts = [
        message(party=ALICE, payload={"text": "hello"}),
        message(party=ALICE, payload={"text": "about it"}, subject="vehicle:v1"),
        message(payload={"text": "of our own"}),
    ]
    made = await world.queued(tmp_path, *drafts)
    names = [f"party:{ALICE}", "vehicle:v1", "own"]
    for each, draft, name in zip(made, drafts, names, strict=True):
        said = json.loads(each.leaf)["payload"]
        (subject,) = world.subjects.keys([name], world.now)
        key = payload_key(subject, each.id)
        assert each.payload is not None
        assert opened(each.payload, key, each.id) == draft.payload
        assert said == {"sha256": each.sha256, "key": commitment(key)}


async def test_keys_are_remembered_for_a_while_and_not_for_ever(world: World) -> None:
    for _ in range(3):
        await world.journal.leaves([message(party=ALICE, payload={}), message(party="bob", payload={})])
    assert world.asked == [["party:bob", f"party:{ALICE}"]]
    world.now += REMEMBERED_MS
    await world.journal.leaves([message(party=ALICE, payload={})])
    assert world.asked[1:] == [[f"party:{ALICE}"]]


async def test_what_is_remembered_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.log.journaling.MAX_REMEMBERED", 3)
    for number in (0, 1, 2, 0, 3, 0, 1):
        await world.journal.leaves([message(party=f"p{number}", payload={})])
    assert [name for names in world.asked for name in names] == ["party:p0", "party:p1", "party:p2", "party:p3", "party:p1"]
    assert MAX_REMEMBERED == 10_000


async def test_nothing_opens_what_is_written_after_an_erasure(world: World, tmp_path: Path) -> None:
    await world.journal.leaves([message(party=ALICE, payload={})])
    (key,) = world.subjects.keys([f"party:{ALICE}"], world.now)
    world.subjects.erase(f"party:{ALICE}", world.now)
    world.journal.forget(f"party:{ALICE}")
    (made,) = await world.queued(tmp_path, message(party=ALICE, payload={"a": 1}))
    assert made.payload is not None
    with pytest.raises(PayloadWrong):
        opened(made.payload, payload_key(key, made.id), made.id)


async def test_ids_that_are_given_are_the_leaves(world: World) -> None:
    given = "urn:uuid:00000000-0000-4000-8000-000000000007"
    (statement,) = await world.journal.leaves_of([(given, message())])
    assert statement.params[0] == given
    assert given in str(statement.params[1])


async def test_no_drafts_are_no_writes_and_a_wrong_one_is_refused(world: World) -> None:
    assert await world.journal.leaves([]) == []
    with pytest.raises(InvariantBroken, match="leaf-member"):
        await world.journal.leaves([Draft("message", {"said": "by a person"})])


def test_a_commit_wakes_who_writes_the_log(world: World) -> None:
    world.journal.queued()
    assert world.woken == 1
