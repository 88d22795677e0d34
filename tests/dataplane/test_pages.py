"""Artifacts are gone through in pages: each once, in order, also while what is gone through changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.dataplane import deliveries as sql
from connector.dataplane import records as rec
from connector.dataplane.deliveries import Artifact, Asked, Deliveries
from connector.dataplane.plan.model import Ask
from connector.dataplane.records import Flow
from connector.dataplane.states import Role, State

from .shelves import Shelf, shelf


async def made(here: Shelf, count: int) -> Deliveries:
    """So many artifacts in the making, two of each transfer."""
    deliveries = Deliveries(here.records.engine)
    for number in range(count // 2):
        flow = f"f{number:03}"
        asked = Asked(flow, "urn:agreement:1", "them", "ds", "table", Ask(), None, (0,), 2, 1)
        writes = [
            rec.insert_flow(Flow(flow, Role.PROVIDER, State.STARTED, 1, "ds", "urn:agreement:1", None, None, None), 1),
            sql.insert_asked(asked),
        ]
        for generation in (1, 2):
            artifact = Artifact(
                flow_id=flow,
                generation=generation,
                state="making",
                plan=None,
                table_id=None,
                snapshot="s",
                first_s=None,
                last_s=None,
                ledger=0,
            )
            writes.append(sql.insert_artifact(artifact))
        await deliveries.commit(writes)
    return deliveries


@pytest.mark.parametrize("count", [0, 2, 6, 10])
async def test_each_artifact_is_met_once_although_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(sql, "PAGE", 3)
    async with shelf(tmp_path / "data.db") as here:
        deliveries = await made(here, count)
        met = []
        async for artifact in deliveries.each("state = 'making' AND ledger < ?", 1):
            met.append((artifact.flow_id, artifact.generation))
            await deliveries.commit([sql.stale_artifact(artifact.flow_id, artifact.generation)])
        assert met == [(f"f{number:03}", generation) for number in range(count // 2) for generation in (1, 2)]
        assert [artifact.state async for artifact in deliveries.each("TRUE")] == ["stale"] * count
