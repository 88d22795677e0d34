"""Receipts and duties in the control database, on both engines: guarded writes, pages, what is open and what is late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from connector.app import MIGRATIONS
from connector.protocol.states import Role
from connector.store import evidence
from connector.store.engine import LostRace
from connector.store.evidence import Duty, EvidenceStore, Receipt
from connector.store.migrate import Migratable, migrate
from tests.store.conftest import open_engine

PEER = "did:web:peer"


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Migratable]:
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1)
    yield engine
    await engine.close()


def receipt(number: int, **more: Any) -> Receipt:
    given = {
        "transfer": f"urn:t:{number}",
        "id": f"urn:r:{number}",
        "role": "consumer",
        "counterparty": PEER,
        "agreement": "urn:a",
    }
    return Receipt(
        **{**given, "state": "signed", "content": "{}", "signed": "a.b.c", "created_at": number, "updated_at": 1, **more}
    )


def duty(number: int, **more: Any) -> Duty:
    given = {"counterparty": PEER, "role": "provider", "id": f"urn:d:{number}", "kind": "erase", "agreement": "urn:a"}
    times = {"due_at": 100 + number, "created_at": number, "updated_at": 1}
    return Duty(**{**given, "state": "pending", "digest": "00", "content": "{}", **times, **more})


async def test_a_receipt_comes_back_as_it_was_written_and_one_for_a_transfer(opened: Migratable) -> None:
    store, written = EvidenceStore(opened), receipt(1, findings='[{"member":"rows"}]', answer="d.e.f", thumbprint="x", tries=2)
    await opened.commit([evidence.insert_receipt(written)])
    assert await store.receipt("urn:t:1") == written
    assert await store.receipt("urn:t:2") is None
    with pytest.raises(LostRace):
        await opened.commit([evidence.insert_receipt(receipt(1, id="urn:r:9"))])


async def test_of_two_who_change_a_receipt_one_loses(opened: Migratable) -> None:
    store, written = EvidenceStore(opened), receipt(1)
    await opened.commit([evidence.insert_receipt(written)])
    await opened.commit([evidence.update_receipt(replace(written, state="sent"))])
    with pytest.raises(LostRace):
        await opened.commit([evidence.update_receipt(replace(written, state="disputed"))])
    assert await store.receipt("urn:t:1") == replace(written, state="sent", version=1)


async def test_receipts_come_in_pages_and_by_what_they_are_about(opened: Migratable) -> None:
    store = EvidenceStore(opened)
    rows = [receipt(1), receipt(2, state="sent"), receipt(3, agreement="urn:b"), receipt(4, counterparty="did:web:other")]
    await opened.commit([evidence.insert_receipt(row) for row in rows])
    first = await store.receipts(limit=3)
    rest = await store.receipts(after=(first[-1].created_at, first[-1].transfer), limit=3)
    assert [*first, *rest] == rows
    assert await store.receipts(agreement="urn:b") == [rows[2]]
    assert await store.receipts(agreement="urn:a", counterparty="did:web:other") == [rows[3]]
    assert await store.receipts_in(PEER, "signed") == [rows[0], rows[2]]


async def test_a_duty_comes_back_as_it_was_written_and_is_kept_once(opened: Migratable) -> None:
    store, written = EvidenceStore(opened), duty(1, told_at=5, notice="a.b.c")
    await opened.commit([evidence.keep_duty(written)])
    await opened.commit([evidence.keep_duty(replace(written, state="fulfilled"))])
    assert await store.duty(PEER, Role.PROVIDER, "urn:d:1") == written
    assert await store.duty(PEER, Role.CONSUMER, "urn:d:1") is None
    with pytest.raises(LostRace):
        await opened.commit([evidence.insert_duty(written)])
    await opened.commit([evidence.insert_duty(replace(written, role="consumer"))])
    await opened.commit([evidence.update_duty(replace(written, state="fulfilled", fulfilled_at=9))])
    with pytest.raises(LostRace):
        await opened.commit([evidence.update_duty(replace(written, state="pending"))])


async def test_what_is_late_untold_or_unattested_is_found(opened: Migratable) -> None:
    store = EvidenceStore(opened)
    rows = [
        duty(1),
        duty(2, told_at=3),
        duty(3, fulfilled_at=4, told_at=3, state="fulfilled"),
        duty(4, due_at=None, state="waiting", kind="delete"),
        duty(5, role="consumer", fulfilled_at=9, state="fulfilled"),
        duty(6, role="consumer", state="refused"),
    ]
    await opened.commit([evidence.insert_duty(row) for row in rows])
    assert await store.duties() == rows
    assert await store.duties(overdue_at=102) == [rows[0]]
    assert await store.duties(overdue_at=10_000) == rows[:2]
    assert [row.overdue(10_000) for row in rows] == [True, True, False, False, False, False]
    assert await store.untold(PEER) == [rows[0]]
    assert await store.unattested(PEER) == [rows[4]]


async def test_a_peer_is_greeted_once(opened: Migratable) -> None:
    store = EvidenceStore(opened)
    assert not await store.greeted(PEER)
    await opened.commit([evidence.greet(PEER, 1)])
    assert await store.greeted(PEER)
    with pytest.raises(LostRace):
        await opened.commit([evidence.greet(PEER, 2)])
