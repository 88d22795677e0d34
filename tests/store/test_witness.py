"""What is kept of witnessing, on both engines: guarded rows, one message of a kind, one timer for each counterparty."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from connector.app import MIGRATIONS
from connector.store import witness, writes
from connector.store.control import ControlStore
from connector.store.engine import LostRace
from connector.store.migrate import Migratable, migrate
from connector.store.rows import Agreement
from connector.store.witness import Come, Witness, WitnessStore
from tests.store.conftest import open_engine

PEER = "did:web:peer"
NOW = 1_700_000_000_000


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Migratable]:
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1)
    yield engine
    await engine.close()


async def test_a_row_comes_back_and_of_two_who_change_it_one_loses(opened: Migratable) -> None:
    store = WitnessStore(opened)
    assert await store.row(PEER) == Witness(PEER)
    written = Witness(PEER, told_size=7, cosigned_note="a\n1\n", seen_root="ab", split_code="rewritten", split_at=NOW)
    await opened.commit([witness.save_witness(written)])
    assert await store.row(PEER) == replace(written, version=1)
    assert await store.rows([PEER, "did:web:other"]) == {PEER: replace(written, version=1)}
    assert await store.rows([]) == {}
    assert await store.split(PEER) == ("rewritten", NOW)
    with pytest.raises(LostRace):
        await opened.commit([witness.save_witness(written)])
    await opened.commit([witness.save_witness(replace(written, version=1, split_code=""))])
    with pytest.raises(LostRace):
        await opened.commit([witness.save_witness(replace(written, version=1))])
    assert await store.split(PEER) is None


async def test_the_newest_message_of_a_kind_is_kept(opened: Migratable) -> None:
    store = WitnessStore(opened)
    first, second = Come(PEER, "shown", "urn:1", "{}", 0, 1), Come(PEER, "shown", "urn:2", "[]", 0, 2)
    answer = Come(PEER, "answer", "urn:3", "{}", 0, 3)
    for come in (first, second, answer):
        await opened.commit([witness.keep_come(come)])
    assert await store.come(PEER) == [answer, second]
    await opened.commit([witness.tried(first), witness.tried(second)])
    assert await store.come(PEER) == [answer, replace(second, tries=1)]
    with pytest.raises(LostRace):
        await opened.commit([witness.done(first)])
    await opened.commit([witness.done(second)])
    assert await store.come(PEER) == [answer]


async def test_a_counterparty_has_one_timer_of_a_kind_which_is_due_as_early_as_anybody_wants(opened: Migratable) -> None:
    store, name = ControlStore(opened), f"{witness.SHOWING}{PEER}"
    for due_at in (500, 300, 900):
        await opened.commit([witness.wake(witness.SHOW_ALARM, PEER, due_at)])
    (timer,) = await store.timers_due(NOW)
    assert (timer.id, timer.process_id, timer.due_at) == (name, PEER, 300)
    await opened.commit([witness.put_off(name, 299, 1000), witness.taken(name, 299)])
    assert (await store.timers_due(NOW))[0].due_at == 300
    await opened.commit([witness.put_off(name, 300, 1000)])
    await opened.commit([witness.hurry(name, 2000)])
    assert (await store.timers_due(NOW))[0].due_at == 1000
    await opened.commit([witness.hurry(name, 800), witness.hurry("witness-show:nobody", 1)])
    assert [each.due_at for each in await store.timers_due(NOW)] == [800]
    await opened.commit([witness.taken(name, 800)])
    assert await store.timers_due(NOW) == []


async def test_whoever_has_an_agreement_gets_a_timer(opened: Migratable) -> None:
    for number, (party, state) in enumerate([(PEER, "binding"), (PEER, "binding"), ("did:web:void", "void")]):
        row = Agreement(f"urn:a:{number}", party, "consumer", f"urn:n:{number}", "urn:d", "{}", state, number, number)
        await opened.commit([writes.insert_agreement(row)])
    later = writes.postpone_timer(f"{witness.SHOWING}{PEER}", NOW + 61)
    # A timer that is set stays, unless it was set while the clock was ahead.
    for also in ([], [later]):
        await opened.commit([witness.begin_all(NOW, NOW + 60), *also])
    await opened.commit([witness.begin_all(NOW, NOW + 60)])
    assert [(each.process_id, each.due_at) for each in await ControlStore(opened).timers_due(NOW)] == [(PEER, NOW)]
    assert await WitnessStore(opened).agreements_of(PEER, 1) == ["urn:n:1"]
