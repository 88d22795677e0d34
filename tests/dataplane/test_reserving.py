"""Two requests for one artifact: what the one has changed is no reason for the other to have it made anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from connector.dataplane.artifacts import Order
from connector.dataplane.deliveries import Artifact, Asked
from connector.dataplane.plan.model import Ask, Plan
from connector.dataplane.query.job import Made
from connector.dataplane.reserving import Overtaken, Reserving, Right
from connector.dataplane.tables.model import Table

MADE = Made(rows=1, bytes=2, sha256="0" * 64, rows_digest="0" * 64, vehicles=1, columns=("a",))
READY = Artifact(
    flow_id="f1",
    generation=1,
    state="ready",
    plan=None,
    table_id=None,
    snapshot="s",
    first_s=None,
    last_s=None,
    ledger=0,
    day="1970-01-01",
    made=MADE,
)
LEFT = replace(READY, reserved_at=5)
ASKED = Asked("f1", "urn:agreement", "urn:buyer", "ds", "table", Ask(), None, (0,), 1, 0)
ORDER = Order(ASKED, cast("Plan", None), cast("Table", None), per_vehicle_day=1)


class Looks:
    """Stands for deliveries, readings and artifacts: each look at the artifact finds the next, and the day's readings have moved
    on since it was made."""

    def __init__(self, *found: Artifact) -> None:
        self.found = list(found)

    async def artifact(self, flow_id: str, generation: int) -> Artifact:
        assert (flow_id, generation) == ("f1", 1)
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]

    async def withdrawn(self, artifact: Artifact) -> tuple[int, tuple[int, ...]]:
        return 0, ()

    async def reservation(self, flow_id: str) -> None:
        return None

    async def of(self, agreement: str, counterparty: str, *periods: str) -> Sequence[Any]:
        return [type("Moved", (), {"version": 1})() for _ in periods]


async def reserved(*found: Artifact) -> Artifact:
    looks: Any = Looks(*found)
    return await Reserving(looks, looks, looks, cast("Any", None), lambda: 7).artifact(ORDER, cast("Right", None), READY)


async def test_what_another_request_has_reserved_meanwhile_is_served_as_it_is() -> None:
    assert await reserved(READY, LEFT) == LEFT


async def test_what_was_made_against_something_else_and_has_not_left_is_overtaken() -> None:
    with pytest.raises(Overtaken):
        await reserved(READY)
