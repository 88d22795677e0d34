"""The power goes off at any commit while people decide: their word is kept once, and nothing is agreed to without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.access.caller import Caller
from connector.flow import deciding
from connector.protocol.errors import Conflict
from connector.protocol.states import State
from connector.store.approvals import said_of
from tests.flow.deciders import ANNA, BERT, asked, published
from tests.flow.house import Fuse, Street
from tests.flow.recording import record, told
from tests.flow.test_acceptance import negotiation, rest

COMMITS = 6
"""More than the two approvals and what is sent and acknowledged between them."""


async def insists(street: Street, process_id: str, by: Caller) -> None:
    """Somebody approves, and does so again when he has had no answer."""

    async def approve() -> None:
        try:
            await deciding.approve(street.provider.context, process_id, by=by)
        except Conflict as known:
            if known.code not in ("approval-given", "nothing-pending"):
                raise

    while not await street.provider.surviving(approve):
        pass


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, COMMITS + 1))
async def test_a_cut_neither_loses_nor_doubles_what_somebody_has_said(tmp_path: Path, at: int, after: bool) -> None:
    street = Street(Fuse())
    await street.open(tmp_path, "street")
    try:
        await record(street)
        ours = await asked(street, await published(street, roles=("commercial",), eyes=2))
        street.fuse.at, street.fuse.after = street.fuse.count + at, after
        await insists(street, ours.id, ANNA)
        waiting = await negotiation(street.provider)
        assert (waiting.state, len(waiting.detail.approvals)) == (State.REQUESTED, 1)
        await insists(street, ours.id, BERT)
        await rest(street)
        for house in (street.provider, street.consumer):
            assert (await negotiation(house)).state is State.FINALIZED
        said = await said_of(street.provider.store.engine, ours.id)
        assert [(each.caller, each.verdict) for each in said] == [("key:anna", "approved"), ("key:bert", "approved")]
        leaves = [each.payload["by"]["caller"] for each in await told(street.provider, "decision") if each.payload.get("by")]
        assert leaves == ["key:anna", "key:bert"]
        assert await street.provider.store.waiting() == []
    finally:
        await street.close()
