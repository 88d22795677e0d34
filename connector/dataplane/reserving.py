"""The one transaction before the first byte: meters, what the buyer has, and the right of this very file to leave.

Exact under concurrency: every reading is written over the version that was judged, and a lost race is judged again. Keyed by the
transfer, so that a resume is free. May import this package and the terms of delivery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from connector.dataplane import deliveries as sql
from connector.dataplane import freezing, meters
from connector.dataplane.artifacts import Artifacts, Order
from connector.dataplane.deliveries import Artifact, Asked, Deliveries
from connector.dataplane.leaves import Leaves
from connector.dataplane.meters import LimitReached, Size
from connector.dataplane.problems import Refusal
from connector.dataplane.readings import Readings, Reservation, put_reading, put_reservation, while_ledger, while_started
from connector.dataplane.seams import Clock
from connector.store.engine import LostRace, Statement
from policies.delivery import Delivery
from policies.terms.metering import REQUESTS_PER_VEHICLE_DAY

MAX_RACES: Final = 16


class Overtaken(Exception):
    """What the file was made against is not true any more: make it anew."""


@dataclass(frozen=True, slots=True)
class Right:
    """Under which terms a delivery is metered: those of the permissions that hold, in their order."""

    terms: Delivery
    permissions: tuple[int, ...]


class Reserving:
    """Owner of the transaction."""

    def __init__(self, deliveries: Deliveries, readings: Readings, artifacts: Artifacts, leaves: Leaves, now_ms: Clock) -> None:
        self._deliveries = deliveries
        self._readings = readings
        self._artifacts = artifacts
        self._leaves = leaves
        self._now_ms = now_ms

    async def check(self, asked: Asked, right: Right) -> None:
        """Whether a delivery could be metered now at all, before anything is made. Raises LimitReached."""
        if await self._readings.reservation(asked.flow_id) is None:
            now = self._now_ms()
            used = (await self._readings.of(asked.agreement_id, asked.counterparty, "all"))[0]
            try:
                meters.admit(right.terms, right.permissions, used, Size(0, 0, 0), None, now)
            except LimitReached:
                if not await self._ours(asked):
                    raise

    async def file(self, asked: Asked, right: Right, size_bytes: int) -> None:
        """Meter a file that passes as it is; nothing if it was metered. Raises LimitReached or Refusal."""
        for _ in range(MAX_RACES):
            fresh = await self._deliveries.asked(asked.flow_id)
            if fresh is not None and fresh.reserved_at is not None:
                return
            now = self._now_ms()
            try:
                size = Size(0, size_bytes, 0)
                writes = await self._metered(asked, right, size, None, now)
                told = self._leaves.left(asked, None, size, now)
                await self._deliveries.commit([*writes, sql.reserve_file(asked.flow_id, now), told])
                self._leaves.wake()
            except LimitReached:
                if not await self._ours(asked):
                    raise
                continue
            except LostRace:
                await self._running(asked)
                continue
            return
        raise _busy()

    async def _ours(self, asked: Asked) -> bool:
        """Whether another request of this very transfer has reserved meanwhile: then that used the limit up, and we are free."""
        return await self._readings.reservation(asked.flow_id) is not None

    async def artifact(self, order: Order, right: Right, artifact: Artifact) -> Artifact:
        """Meter an artifact and let it leave; the artifact as it is then. Raises Overtaken, LimitReached or Refusal."""
        reserved = False
        for _ in range(MAX_RACES):
            fresh = await self._deliveries.artifact(artifact.flow_id, artifact.generation)
            if fresh is None or fresh.state != "ready" or fresh.made is None:
                raise Overtaken
            if fresh.reserved_at is not None:
                # Where the database lets both commit at once, the one or the other sees it.
                if reserved and (await self._artifacts.withdrawn(fresh))[1]:
                    raise Overtaken
                return fresh
            number, gone = await self._artifacts.withdrawn(fresh)
            if gone:
                raise Overtaken
            now = self._now_ms()
            # A withdrawal that is written between the look and the commit would be held against what has left before only.
            guard = while_ledger(fresh.flow_id, number)
            try:
                writes = [guard, *await self._frozen(order, fresh), *await self._metered_artifact(order, right, fresh, now)]
                told = self._leaves.left(order.asked, fresh, Size(fresh.made.rows, fresh.made.bytes, fresh.made.vehicles), now)
                await self._deliveries.commit([*writes, *sql.reserve_artifact(fresh.flow_id, fresh.generation, now), told])
                self._leaves.wake()
                reserved = True
            except (LimitReached, Overtaken):
                # What used the limit up, or changed what the buyer has, may be another request for this very artifact.
                again = await self._deliveries.artifact(artifact.flow_id, artifact.generation)
                if again is None or again.reserved_at is None:
                    raise
            except LostRace:
                await self._running(order.asked)
        raise _busy()

    async def _running(self, asked: Asked) -> None:
        """Raises Refusal if the race was lost to the end of the transfer."""
        if not await self._deliveries.started(asked.flow_id):
            raise Refusal(403, "flow_suspended", "the transfer has just been suspended or ended")

    async def _frozen(self, order: Order, artifact: Artifact) -> Sequence[Statement]:
        """Remember what the buyer has from now on. Raises Overtaken if it got something of the table meanwhile."""
        plan, buyer, table = artifact.plan, order.asked.counterparty, artifact.table_id
        if plan is None or table is None or artifact.made is None or freezing.freezes(plan) is None:
            return ()
        if await self._deliveries.coverage(buyer, table) != artifact.coverage:
            raise Overtaken
        held = freezing.covered(plan, order.table, artifact.made, artifact.flow_id, artifact.generation, artifact.keep_file)
        if held is None:
            return ()
        return (sql.next_coverage(buyer, table, artifact.coverage), sql.insert_released(buyer, table, held))

    async def _metered_artifact(self, order: Order, right: Right, artifact: Artifact, now: int) -> Sequence[Statement]:
        asked, made = order.asked, artifact.made
        if made is None:
            raise Overtaken
        before = await self._readings.reservation(asked.flow_id)
        if artifact.day is not None:
            day = meters.day_of(now) if before is None else before.day
            (reading,) = await self._readings.of(asked.agreement_id, asked.counterparty, day)
            if (day, reading.version) != (artifact.day, artifact.day_requests):
                raise Overtaken
            if artifact.left_out and not made.vehicles:
                limit = f"lteq {order.per_vehicle_day}"
                raise LimitReached(REQUESTS_PER_VEHICLE_DAY, limit, meters.next_day_ms(now))
        return await self._metered(asked, right, Size(made.rows, made.bytes, made.vehicles), before, now)

    async def _metered(self, asked: Asked, right: Right, size: Size, before: Reservation | None, now: int) -> Sequence[Statement]:
        """Judge and write all periods. Raises LimitReached."""
        counted_at = now if before is None else before.at
        used = await self._readings.of(asked.agreement_id, asked.counterparty, *meters.periods(counted_at))
        permission = meters.admit(right.terms, right.permissions, used[0], size, before, now)
        rows, byte_count = size.rows, size.bytes
        if before is not None:
            rows, byte_count = max(rows, before.rows), max(byte_count, before.bytes)
        reservation = Reservation(
            asked.flow_id,
            asked.agreement_id,
            asked.counterparty,
            permission,
            meters.day_of(counted_at),
            rows,
            byte_count,
            size.vehicles,
            counted_at,
        )
        return (
            while_started(asked.flow_id),
            put_reservation(reservation, before),
            *(
                put_reading(asked.agreement_id, asked.counterparty, meters.add(reading, size, before, counted_at))
                for reading in used
            ),
        )


def _busy() -> Refusal:
    return Refusal(503, "busy", "too many ask under this agreement at once; try again")
