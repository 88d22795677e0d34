"""Makes the files that leave: one job of a worker for each generation of a delivery, owned, bounded, killed with its transfer.

The row is there before the work begins, so that a killed process knows what was unfinished; that is made anew. What an artifact
was made against (number of the ledger, what the buyer had, what the day had used up) stands in its row, and it leaves only while
that holds. May import this package only.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from connector.dataplane import deliveries as sql
from connector.dataplane import freezing, indexes, meters
from connector.dataplane.deliveries import Artifact, Asked, Deliveries, Held
from connector.dataplane.plan.model import Plan
from connector.dataplane.problems import Refusal
from connector.dataplane.query.job import TOO_LARGE, Failed, Job, Limits, Made, Population
from connector.dataplane.query.workers import Busy
from connector.dataplane.readings import Readings, while_started
from connector.dataplane.replicas import Alone, Replicas
from connector.dataplane.seams import Clock, Ledger, Workers
from connector.dataplane.settings import DataPlaneBounds
from connector.dataplane.spool import Places, Spool
from connector.dataplane.tables.model import Table
from connector.dataplane.tables.refused import SchemaChanged
from connector.dataplane.threads import settle
from connector.store.engine import LostRace, StoreUnavailable

log = logging.getLogger("carnet.dataplane")

PAUSE_S: Final = 10
"""After a failure that may pass, so many seconds are asked for (s)."""
INTERNAL: Final = Failed("internal", "the file could not be made; the provider's log says why")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made: the delivery, its plan and table, and how often a vehicle may be asked for in a day (None: always)."""

    asked: Asked
    plan: Plan
    table: Table
    per_vehicle_day: int | None = None


class Artifacts:
    """Owner of the tasks that make files, and of the spool."""

    def __init__(
        self,
        deliveries: Deliveries,
        readings: Readings,
        workers: Workers,
        ledger: Ledger,
        spool: Spool,
        bounds: DataPlaneBounds,
        now_ms: Clock,
        replicas: Replicas | None = None,
    ) -> None:
        self._replicas: Replicas = replicas or Alone()
        self._deliveries = deliveries
        self._readings = readings
        self._workers = workers
        self._ledger = ledger
        self._spool = spool
        self._bounds = bounds
        self._now_ms = now_ms
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def recover(self) -> None:
        """After a restart: what was unfinished is made anew when it is asked for, and what nobody knows is deleted."""
        if await self._replicas.others():
            # They are making what is unfinished, and their files are not left over.
            return
        async for artifact in self._deliveries.each("state = 'making'"):
            await self._deliveries.commit([sql.stale_artifact(artifact.flow_id, artifact.generation)])
        known = await self._deliveries.kept_files()
        async for artifact in self._deliveries.each("state <> 'failed'"):
            if artifact.state == "ready" and not artifact.dropped:
                known |= {name for name in (artifact.file, artifact.keep_file) if name is not None}
            # The vehicles of what has left are known for as long as somebody may withdraw.
            if artifact.index_file is not None and (artifact.state == "ready" or artifact.reserved_at is not None):
                known |= {name for name in (artifact.index_file, artifact.trips_file) if name is not None}
        swept = await settle(self._spool.sweep, known)
        if swept:
            log.info("%d files of the spool belonged to nothing and were deleted", swept)

    async def close(self) -> None:
        """End all work; what is unfinished is made anew after a restart."""
        for flow_id in list(self._tasks):
            await self.kill(flow_id)

    async def kill(self, flow_id: str) -> None:
        """End what is made for a transfer; from the return on no worker writes for it."""
        # A beginning that has committed its row has its task by the time the lock is ours.
        async with self._lock(flow_id):
            task = self._tasks.pop(flow_id, None)
            if task is None:
                return
            task.cancel()
            await self._workers.kill(flow_id)
            await asyncio.wait([task])
        for artifact in await self._deliveries.artifacts("flow_id = ? AND state = 'making'", flow_id):
            await self._deliveries.commit([sql.stale_artifact(artifact.flow_id, artifact.generation)])

    def _lock(self, flow_id: str) -> asyncio.Lock:
        lock = self._locks.get(flow_id)
        if lock is None:
            lock = self._locks[flow_id] = asyncio.Lock()
        return lock

    async def clear(self) -> None:
        """Delete the files of artifacts that serve nobody any more; who reads one has it open. Indexes of what left stay."""
        before_ms = self._now_ms() - int(1000 * self._bounds.artifact_retention_s)
        kept = await self._deliveries.kept_files()
        for artifact in await self._deliveries.to_drop(before_ms):
            gone = [artifact.file, None if artifact.keep_file in kept else artifact.keep_file]
            gone += [artifact.index_file, artifact.trips_file] if artifact.reserved_at is None else []
            await self._deliveries.commit([sql.drop_artifact(artifact.flow_id, artifact.generation)])
            await settle(self._spool.drop, *gone)

    # -- making ---------------------------------------------------------------------------------------------------

    async def ensure(self, order: Order) -> Artifact:
        """The ready artifact of a delivery, waiting for it a while.

        Raises SchemaChanged; Refusal: 409 or 503 where it cannot be made, 202 (``making``) where it is not ready yet.
        """
        flow_id = order.asked.flow_id
        async with self._lock(flow_id):
            artifact = await self._current(order)
            if artifact is not None and artifact.state == "making" and flow_id not in self._tasks:
                artifact = await self._orphaned(order, artifact)
            if flow_id not in self._tasks and (artifact is None or artifact.state in ("stale", "failed")):
                await self._begin(order)
        task = self._tasks.get(flow_id)
        if task is not None:
            await asyncio.wait([task], timeout=self._bounds.artifact_wait_s)
        artifact = await self._current(order)
        if artifact is not None and artifact.state == "ready":
            return artifact
        if artifact is not None and artifact.state == "failed":
            raise _failure(artifact)
        retry_s = self._bounds.artifact_retry_s
        raise Refusal(202, "making", "the file is being made; ask again", retry_s=retry_s, more={"rows": order.table.rows})

    async def _orphaned(self, order: Order, artifact: Artifact) -> Artifact | None:
        """An artifact that is made elsewhere, or the same as stale, where who made it has gone."""
        maker = await self._deliveries.maker(artifact.flow_id, artifact.generation)
        if maker != self._replicas.id and maker in await self._replicas.others():
            return artifact
        await self._deliveries.commit([sql.stale_artifact(artifact.flow_id, artifact.generation)])
        return await self._current(order)

    async def _current(self, order: Order) -> Artifact | None:
        """The last artifact, if it is of this plan and these files."""
        asked = await self._deliveries.asked(order.asked.flow_id)
        if asked is None or asked.generation == 0:
            return None
        artifact = await self._deliveries.artifact(asked.flow_id, asked.generation)
        if artifact is None or artifact.state != "ready" or artifact.reserved_at is not None:
            return artifact
        return artifact if artifact.snapshot == order.table.snapshot else None

    async def _begin(self, order: Order) -> None:
        """Write down what is made next, and begin; only while the transfer runs. Raises Refusal."""
        if await settle(self._spool.free_bytes) < self._bounds.min_free_bytes:
            log.error("the disk of the spool is nearly full; nothing is made")
            raise Refusal(503, "disk-full", "the provider has no room to make the file; try again later")
        flow_id = order.asked.flow_id
        fresh = await self._deliveries.asked(flow_id)
        if fresh is None:
            raise Refusal(503, "busy", "try again")
        places = self._spool.places(flow_id, fresh.generation + 1)
        artifact, held, population = await self._against(order, fresh.generation + 1, places)
        writes = [
            while_started(flow_id),
            sql.stale_artifact(flow_id, fresh.generation),
            sql.next_generation(flow_id, fresh.generation),
            sql.insert_artifact(artifact),
            sql.made_by(artifact, self._replicas.id),
        ]
        try:
            await self._deliveries.commit(writes)
        except LostRace:
            raise Refusal(403, "flow_suspended", "the transfer has just been suspended or ended") from None
        self._tasks[flow_id] = asyncio.create_task(self._made(order, artifact, held, population, places), name=f"make {flow_id}")

    async def _against(self, order: Order, generation: int, places: Places) -> tuple[Artifact, list[Held], Population]:
        """What is true now of ledger, buyer and day. Raises Refusal 409 if the buyer has what this must not stand beside."""
        asked, plan, table = order.asked, order.plan, order.table
        number = await self._ledger.number()
        population = await self._population(order, number)
        held: list[Held] = []
        coverage = 0
        if freezing.freezes(plan) is not None:
            coverage = await self._deliveries.coverage(asked.counterparty, table.id)
            held = await self._deliveries.held(asked.counterparty, table.id)
            try:
                freezing.check(plan, held, asked.flow_id)
            except freezing.Frozen as frozen:
                raise Refusal(409, frozen.code, str(frozen)) from None
        day, version = None, 0
        if order.per_vehicle_day is not None:
            day, version, left_out = await self._used_up(order)
            # Who has no number in the ledger could not be counted, and so is in no delivery of which vehicles are counted.
            granted = () if population.granted is None and plan.personal else population.granted
            population = msgspec.structs.replace(population, left_out=left_out, granted=granted)
        artifact = Artifact(
            flow_id=asked.flow_id,
            generation=generation,
            state="making",
            plan=plan,
            table_id=table.id,
            snapshot=table.snapshot,
            first_s=table.first_s,
            last_s=table.last_s,
            ledger=number,
            coverage=coverage,
            day=day,
            day_requests=version,
            left_out=len(population.left_out),
            file=places.file,
            index_file=places.index,
            keep_file=places.keep if plan.form == "cells" else None,
        )
        return artifact, held, population

    async def _population(self, order: Order, number: int) -> Population:
        plan = order.plan
        population = await self._ledger.population(plan.consent, number)
        key = await self._ledger.pseudonym_key(order.asked.counterparty, order.asked.agreement_id)
        references = await self._ledger.references(plan.recipient, number) if plan.enrolled else None
        return msgspec.structs.replace(population, key=key, references=references)

    async def _used_up(self, order: Order) -> tuple[str, int, tuple[int, ...]]:
        """The UTC day, the version of its meter, and the vehicles that have used up their requests of it."""
        asked = order.asked
        reserved = await self._readings.reservation(asked.flow_id)
        day = meters.day_of(self._now_ms()) if reserved is None else reserved.day
        (reading,) = await self._readings.of(asked.agreement_id, asked.counterparty, day)
        paths = await self._deliveries.of_day(asked.agreement_id, asked.counterparty, day, other_than=asked.flow_id)
        return day, reading.version, await settle(indexes.used_up, paths, order.per_vehicle_day or 0)

    async def _made(self, order: Order, artifact: Artifact, held: list[Held], population: Population, places: Places) -> None:
        """The task: one job, and what came of it, in the row."""
        try:
            await settle(self._spool.begin, places)
            outcome = await self._workers.make(self._job(order, artifact, held, population, places), artifact.flow_id)
            if isinstance(outcome, Made) and outcome.bytes > self._bounds.max_artifact_bytes:
                outcome = TOO_LARGE
            await self._settle(artifact, outcome)
        except Busy:
            await self._deliveries.commit([sql.failed_artifact(artifact, "busy", "too many files wait to be made", None)])
        except StoreUnavailable:
            # Nothing can be recorded; after a restart it is made anew.
            log.exception("artifact of flow %s: the database failed", artifact.flow_id)
        except Exception:
            # The supervisor of this work: what nobody foresaw fails one artifact, visibly.
            log.exception("artifact of flow %s broke", artifact.flow_id)
            await self._settle(artifact, INTERNAL)
        finally:
            if self._tasks.get(artifact.flow_id) is asyncio.current_task():
                del self._tasks[artifact.flow_id]
            await settle(self._spool.end, places)

    def _job(self, order: Order, artifact: Artifact, held: list[Held], population: Population, places: Places) -> Job:
        released = [found for found in (each.released for each in held) if found is not None]
        return Job(
            plan=order.plan,
            table=order.table,
            population=population,
            output=places.file,
            index=places.index,
            scratch=places.scratch,
            trips=artifact.trips_file,
            keep=artifact.keep_file,
            released=tuple(released) if order.plan.form == "cells" else (),
            limits=Limits(
                memory_bytes=self._bounds.query_memory_bytes,
                threads=self._bounds.query_threads,
                free_bytes=self._bounds.min_free_bytes,
                output_bytes=self._bounds.max_artifact_bytes,
            ),
        )

    async def _settle(self, artifact: Artifact, outcome: Made | Failed) -> None:
        if isinstance(outcome, Failed):
            log.warning("artifact of flow %s: %s (%s)", artifact.flow_id, outcome.code, outcome.column or "no column")
            await self._deliveries.commit([sql.failed_artifact(artifact, outcome.code, outcome.reason, outcome.column)])
            await settle(self._spool.drop, *artifact.files)
            return
        try:
            await self._deliveries.commit([sql.made_artifact(artifact, outcome, self._now_ms())])
        except LostRace:
            # It was overtaken while it was made: nobody will read it.
            await settle(self._spool.drop, *artifact.files)

    # -- whether it may leave -------------------------------------------------------------------------------------

    async def withdrawn(self, artifact: Artifact) -> tuple[int, tuple[int, ...]]:
        """The number that the ledger is at, and the vehicles of an artifact whose consent has ended since it was made."""
        number = await self._ledger.number()
        return number, await self._gone(artifact, number)

    async def _gone(self, artifact: Artifact, number: int) -> tuple[int, ...]:
        plan = artifact.plan
        if plan is None or artifact.index_file is None or number <= artifact.ledger:
            return ()
        if plan.consent is None and not plan.enrolled:
            return ()
        if not plan.personal:
            # An index of who stands behind cells is not written: any withdrawal may concern them.
            return tuple(ordinal for _, ordinal in await self._ledger.withdrawn_since(artifact.ledger))
        population = await self._ledger.population(plan.consent, number)
        if plan.enrolled:
            references = await self._ledger.references(plan.recipient, number)
            population = msgspec.structs.replace(population, references=references)
        return await settle(indexes.gone, artifact.index_file, population, enrolled=plan.enrolled)


def _failure(artifact: Artifact) -> Refusal | SchemaChanged:
    """Of a failed artifact; the next request tries again, except where the source has to be published first."""
    code, reason = artifact.code or "internal", artifact.reason or INTERNAL.reason
    if code in ("source-changed", "source-unreadable"):
        return SchemaChanged(reason, artifact.culprit)
    if code in ("plan-impossible", "not-anonymous"):
        return Refusal(409, code, reason)
    return Refusal(503, code, reason, retry_s=PAUSE_S)
