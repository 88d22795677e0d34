"""Signatures of agreements in the control database, on both engines: guarded writes and what was never sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from connector.app import MIGRATIONS
from connector.store.engine import LostRace
from connector.store.migrate import Migratable, migrate
from connector.store.signatures import AgreementSignature, SignatureStore, insert_signature, update_signature
from tests.store.conftest import open_engine

PEER = "did:web:peer"


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Migratable]:
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1)
    yield engine
    await engine.close()


def row(number: int, **more: Any) -> AgreementSignature:
    given = {"agreement": f"urn:a:{number}", "counterparty": PEER, "role": "consumer", "negotiation": f"urn:n:{number}"}
    return AgreementSignature(
        **{**given, "digest": "ab" * 32, "state": "signed", "own": "a.b.c", "created_at": number, "updated_at": 1, **more}
    )


async def test_a_row_comes_back_as_it_was_and_changes_under_its_version_only(opened: Migratable) -> None:
    store, first = SignatureStore(opened), row(1)
    await opened.commit([insert_signature(first)])
    assert await store.signature("urn:a:1", PEER, "consumer") == first
    assert await store.signature("urn:a:1", PEER, "provider") is None
    later = replace(
        first,
        state="countersigned",
        own="d.e.f",
        own_thumbprint="o",
        theirs="g.h.i",
        their_thumbprint="t",
        disputed="j.k.l",
        refused="agreement-key",
        tries=3,
        told_at=7,
        updated_at=9,
    )
    await opened.commit([update_signature(later)])
    assert await store.signature("urn:a:1", PEER, "consumer") == replace(later, version=1)
    for statement in (update_signature(later), insert_signature(first)):
        with pytest.raises(LostRace):
            await opened.commit([statement])


async def test_what_was_never_sent_is_found_the_oldest_first(opened: Migratable) -> None:
    rows = [row(3), row(1), row(2, state="own-only"), row(4, told_at=1), row(5, own=""), row(6, counterparty="did:web:else")]
    await opened.commit([insert_signature(each) for each in rows])
    store = SignatureStore(opened)
    assert [each.agreement for each in await store.untold(PEER, ("signed", "own-only"), 9)] == ["urn:a:1", "urn:a:2", "urn:a:3"]
    assert [each.agreement for each in await store.untold(PEER, ("signed",), 1)] == ["urn:a:1"]


async def test_those_of_a_page_of_agreements(opened: Migratable) -> None:
    await opened.commit([insert_signature(row(number)) for number in (1, 2, 3)])
    store = SignatureStore(opened)
    assert {each.agreement for each in await store.signatures(["urn:a:1", "urn:a:3", "urn:a:9"])} == {"urn:a:1", "urn:a:3"}
    assert await store.signatures([]) == []
