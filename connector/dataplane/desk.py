"""One request for data, from its query to the open file that answers it.

The order: what was asked (fixed by the first request), whether it may be now (the control plane decides each time), the terms,
the file (made, or as it is), the meters, and only then the bytes. May import this package and the terms of delivery.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from connector.dataplane import ask as asking
from connector.dataplane import deliveries as sql
from connector.dataplane.artifacts import Artifacts, Order
from connector.dataplane.deciding import Decided, Decider
from connector.dataplane.deliveries import Artifact, Asked, Deliveries
from connector.dataplane.meters import LimitReached, per_vehicle_day
from connector.dataplane.plan.make import Who, make
from connector.dataplane.plan.model import Ask, Plan
from connector.dataplane.plan.places import Places
from connector.dataplane.plan.refused import PlanRefused
from connector.dataplane.problems import Refusal
from connector.dataplane.publishing import able
from connector.dataplane.records import Flow
from connector.dataplane.reserving import Overtaken, Reserving, Right
from connector.dataplane.seams import Clock, OnChanged
from connector.dataplane.settings import DataPlaneBounds
from connector.dataplane.sources import Source, SourceChanged, identity_of, open_file_of, open_source
from connector.dataplane.tables.model import Table
from connector.store.engine import LostRace
from policies import dsp
from policies.compile import compile_agreement
from policies.delivery import Delivery
from policies.errors import PolicyInvalid

log = logging.getLogger("carnet.dataplane")

Subject = TypeVar("Subject")
MAX_REMADE: Final = 3
CONTENT_TYPES: Final[Mapping[str, str]] = {
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An open file that may leave. ``descriptor`` is the receiver's to close; ``source`` guards its bytes while they are read."""

    descriptor: int
    source: Source
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)


class Desk:
    """Answers requests for data of flows that run; the caller has checked the token and the state."""

    def __init__(
        self,
        deliveries: Deliveries,
        decider: Decider,
        artifacts: Artifacts,
        reserving: Reserving,
        places: Places,
        bounds: DataPlaneBounds,
        on_changed: OnChanged,
        now_ms: Clock,
    ) -> None:
        self._deliveries = deliveries
        self._decider = decider
        self._artifacts = artifacts
        self._reserving = reserving
        self._places = places
        self._bounds = bounds
        self._on_changed = on_changed
        self._now_ms = now_ms

    async def open(self, flow: Flow, source: Source, query: Iterable[tuple[str, str]]) -> Outgoing:
        """What may leave now. Raises Refusal."""
        asked, wanted = await self._deliveries.asked(flow.id), asking.parse(query)
        if asked is not None and wanted is not None and wanted != asked.ask:
            raise Refusal(409, "ask-fixed", "the first request of this transfer asked for something else; begin another transfer")
        ask = asked.ask if asked is not None else wanted or Ask()
        decided = await self._decider.decide(flow.id, asked.purpose if asked is not None else ask.purpose)
        if source.changed is not None:
            raise _changed(flow, source.changed_column)
        terms = _terms(decided, source)
        try:
            if source.kind == "file":
                return await self._file(flow, source, asked, ask, decided, terms)
            return await self._table(flow, source, asked, ask, decided, terms)
        except LimitReached as reached:
            raise limit_reached(reached, self._now_ms()) from None

    async def call(self, flow: Flow, source: Source, purpose: str | None) -> tuple[Asked, Right]:
        """Whether an HTTP source may be called now, and under which terms that is metered. Raises Refusal.

        The purpose (an IRI) that the first request of a transfer names, or does not, is that of all.
        """
        asked = await self._deliveries.asked(flow.id)
        if asked is not None and purpose not in (None, asked.ask.purpose, asked.purpose):
            raise Refusal(409, "ask-fixed", "the first request of this transfer had another purpose; begin another transfer")
        ask = asked.ask if asked is not None else Ask(purpose=purpose)
        decided = await self._decider.decide(flow.id, asked.purpose if asked is not None else ask.purpose)
        terms = _terms(decided, source)
        if terms.shape:
            raise Refusal(409, "not-enforceable", "the agreement shapes what is delivered, and this source passes as it is")
        asked = await self._fixed(flow, asked, ask, decided, "http", terms.permissions)
        return asked, Right(terms, _still(asked, decided))

    # -- files that pass as they are ------------------------------------------------------------------------------

    async def _file(
        self, flow: Flow, source: Source, asked: Asked | None, ask: Ask, decided: Decided, terms: Delivery
    ) -> Outgoing:
        if ask != Ask(purpose=ask.purpose):
            raise Refusal(400, "ask-file", "this file passes as it is: only a purpose can be said")
        if terms.shape:
            raise Refusal(409, "not-enforceable", "the agreement shapes what is delivered, and this file passes as it is")
        asked = await self._fixed(flow, asked, ask, decided, "file", terms.permissions)
        right = Right(terms, _still(asked, decided))
        try:
            descriptor = await _descriptor(open_source, source)
        except SourceChanged as error:
            await self._on_changed(flow.id, str(error), None)
            raise _changed(flow, None) from None
        try:
            await self._reserving.file(asked, right, source.bytes)
        except BaseException:
            os.close(descriptor)
            raise
        return Outgoing(descriptor, source)

    async def _fixed(
        self, flow: Flow, asked: Asked | None, ask: Ask, decided: Decided, kind: str, permissions: tuple[int, ...]
    ) -> Asked:
        """What the transfer delivers, written down by its first request. Raises Refusal."""
        if asked is None:
            asked = Asked(
                flow.id,
                str(decided.agreement.get("@id") or flow.agreement_id),
                decided.counterparty,
                flow.dataset_id,
                kind,
                ask,
                decided.purpose,
                permissions,
                0,
                self._now_ms(),
            )
            try:
                await self._deliveries.commit([sql.insert_asked(asked)])
            except LostRace:
                other = await self._deliveries.asked(flow.id)
                if other is None or other.ask != ask:
                    raise Refusal(409, "ask-fixed", "another request of this transfer was first") from None
                asked = other
        if (asked.counterparty, asked.kind) != (decided.counterparty, kind):
            raise Refusal(409, "source_changed", "the dataset was published in another way; begin another transfer")
        return asked

    # -- governed tables ------------------------------------------------------------------------------------------

    async def _table(
        self, flow: Flow, source: Source, asked: Asked | None, ask: Ask, decided: Decided, terms: Delivery
    ) -> Outgoing:
        table = source.table
        if table is None:
            raise Refusal(409, "source_changed", "the dataset has to be published again")
        permissions = decided.permissions if asked is None else _still(asked, decided)
        plan, alike = self._plan(flow, table, ask, decided, terms, permissions)
        if asked is None:
            draft = Asked(flow.id, flow.agreement_id, decided.counterparty, flow.dataset_id, "table", ask, None, alike, 0, 0)
            await self._reserving.check(draft, Right(terms, alike))
        asked = await self._fixed(flow, asked, ask, decided, "table", alike)
        # Of permissions that once came to one plan, those that still do.
        right = Right(terms, tuple(index for index in alike if index in asked.permissions) or alike)
        order = Order(asked, plan, table, per_vehicle_day(terms.under(right.permissions)))
        artifact = await self._leaving(flow, order, right)
        return await self._opened(flow, artifact)

    def _plan(
        self, flow: Flow, table: Table, ask: Ask, decided: Decided, terms: Delivery, permissions: Iterable[int]
    ) -> tuple[Plan, tuple[int, ...]]:
        """The plan of the first permission that can carry the ask, and all permissions that come to the same plan.

        Raises Refusal with the reason of the first.
        """
        agreement = str(decided.agreement.get("@id") or flow.agreement_id)
        who = Who(flow.dataset_id, agreement, decided.counterparty, decided.purpose)
        plan: Plan | None = None
        alike: list[int] = []
        refused: PlanRefused | None = None
        now = self._now_ms()
        for index in permissions:
            try:
                found = make(terms.under((index,)), table, ask, who, now, self._places)
            except PlanRefused as error:
                refused = refused or error
                continue
            plan = plan or found
            if found == plan:
                alike.append(index)
        if plan is None:
            raise _not_planned(refused)
        return plan, tuple(alike)

    async def _leaving(self, flow: Flow, order: Order, right: Right) -> Artifact:
        """The artifact, metered. One that was overtaken is made anew a few times. Raises Refusal or LimitReached."""
        for _ in range(MAX_REMADE):
            try:
                artifact = await self._artifacts.ensure(order)
            except SourceChanged as error:
                await self._on_changed(flow.id, str(error), getattr(error, "column", None))
                raise _changed(flow, getattr(error, "column", None)) from None
            try:
                return await self._reserving.artifact(order, right, artifact)
            except Overtaken:
                await self._deliveries.commit([sql.stale_artifact(artifact.flow_id, artifact.generation)])
        raise Refusal(503, "busy", "what was made is overtaken again and again; try again", retry_s=self._bounds.artifact_retry_s)

    async def _opened(self, flow: Flow, artifact: Artifact) -> Outgoing:
        made, plan = artifact.made, artifact.plan
        if made is None or plan is None or artifact.file is None:
            raise Refusal(503, "internal", "the file is not there; ask again")
        try:
            descriptor = await _descriptor(open_file_of, artifact.file)
        except OSError:
            log.exception("artifact of flow %s is gone from the spool", flow.id)
            await self._deliveries.commit([sql.stale_artifact(artifact.flow_id, artifact.generation)])
            raise Refusal(503, "making", "the file has to be made anew; ask again", retry_s=0) from None
        found = os.fstat(descriptor)
        guarded = Source(flow.dataset_id, artifact.file, found.st_size, made.sha256, identity_of(found))
        if found.st_size != made.bytes:
            os.close(descriptor)
            await self._deliveries.commit([sql.stale_artifact(artifact.flow_id, artifact.generation)])
            raise Refusal(503, "making", "the file has to be made anew; ask again", retry_s=0)
        return Outgoing(descriptor, guarded, CONTENT_TYPES[plan.format], _headers(artifact, plan))


async def _descriptor(work: Callable[[Subject], int], subject: Subject) -> int:
    """An open file; one that is opened while we are cancelled is closed again."""
    running = asyncio.create_task(asyncio.to_thread(work, subject))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if running.exception() is None:
            os.close(running.result())
        raise


def _headers(artifact: Artifact, plan: Plan) -> dict[str, str]:
    made = artifact.made
    if made is None:
        return {}
    headers = {
        "Carnet-Rows": str(made.rows),
        "Carnet-Rows-Digest": made.rows_digest,
        "Carnet-Plan": plan.digest,
        "Carnet-Ledger": str(artifact.ledger),
        "Carnet-Suppressed": str(made.suppressed),
        "Carnet-Result": result_of(artifact),
    }
    return headers | ({"Carnet-Left-Out": str(artifact.left_out)} if artifact.left_out else {})


def result_of(artifact: Artifact) -> str:
    """What came out, in words: an empty result is a result."""
    made, plan = artifact.made, artifact.plan
    if made is None or plan is None:
        return ""
    if plan.form == "cells":
        return f"{made.cells or made.rows} cells, {made.suppressed} suppressed, k = {plan.least}"
    return f"{made.rows} rows of {made.vehicles} vehicles"


def _terms(decided: Decided, source: Source) -> Delivery:
    """The agreement as it is delivered under, for the permissions that hold now. Raises Refusal."""
    try:
        terms = compile_agreement(dsp.read(decided.agreement), able(source)).under(decided.permissions)
    except PolicyInvalid:
        raise Refusal(409, "not-enforceable", "the agreement cannot be read") from None
    if not terms.deliverable:
        first = terms.problems[0]
        raise Refusal(409, "not-enforceable", f"{first.path or '/'}: {first.sentence}")
    return terms


def _still(asked: Asked, decided: Decided) -> tuple[int, ...]:
    """Of the permissions that the transfer was asked under, those that hold now. Raises Refusal."""
    found = tuple(index for index in asked.permissions if index in decided.permissions)
    if not found:
        raise Refusal(403, "policy-denied", "what was asked for is not permitted any more")
    return found


def _not_planned(refused: PlanRefused | None) -> Refusal:
    if refused is None:
        return Refusal(403, "policy-denied", "nothing is permitted")
    said = f"{refused.reason} ({refused.remedy})" if refused.remedy else refused.reason
    return Refusal(403, refused.code, said, more={"path": refused.path})


def limit_reached(reached: LimitReached, now_ms: int) -> Refusal:
    """What a buyer is told of a limit."""
    wait_s = None if reached.renewed_ms is None else max(1, -(-(reached.renewed_ms - now_ms) // 1000))
    more = {"term": reached.term, "limit": reached.limit, "renewed": reached.renewed_ms}
    return Refusal(429, "limit-reached", str(reached), more=more, retry_s=wait_s)


def _changed(flow: Flow, column: str | None) -> Refusal:
    named = f"; column: {column}" if column else ""
    detail = f"the source of dataset {flow.dataset_id} is not what was published{named}"
    return Refusal(409, "source_changed", detail, more={"column": column} if column else None)
