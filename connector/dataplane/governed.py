"""Puts governed deliveries together: ledger, workers, spool, artifacts, meters, desk, and what a withdrawal does to them.

May import this package and the guarded client.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from connector.dataplane import records as rec
from connector.dataplane.artifacts import Artifacts
from connector.dataplane.callbacks import Notifier
from connector.dataplane.calls import Calls
from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.model import Withdrawn
from connector.dataplane.consent.routes import ConsentRoutes
from connector.dataplane.deciding import Decider
from connector.dataplane.deliveries import Deliveries
from connector.dataplane.desk import Desk
from connector.dataplane.facts import Facts
from connector.dataplane.http_sources import HttpSources
from connector.dataplane.leaves import LeafRoutes, Leaves
from connector.dataplane.plan.places import Places
from connector.dataplane.proxying import Proxying
from connector.dataplane.publishing import Publishing
from connector.dataplane.query.workers import Workers
from connector.dataplane.readings import Readings
from connector.dataplane.records import Records
from connector.dataplane.replicas import Cutting, Replicas
from connector.dataplane.reserving import Reserving
from connector.dataplane.sealing import Sealer
from connector.dataplane.seams import Clock
from connector.dataplane.settings import DataPlaneSettings
from connector.dataplane.spool import Spool
from connector.dataplane.subjects import Subjects
from connector.dataplane.threads import settle
from connector.dataplane.withdrawn import Withdrawals
from connector.http.client import GuardedClient
from connector.store.engine import LostRace

log = logging.getLogger("carnet.dataplane")

SEAL: Final = "sources.key"
"""The file beside the spool with the key that seals credentials of HTTP sources; all processes on a database share it."""
CLEARING_S: Final = 300.0
"""How often files that serve nobody any more are looked for."""


@dataclass(frozen=True, slots=True)
class Governed:
    """The parts of governed deliveries that others use."""

    records: Records
    notifier: Notifier
    ledger: Ledger
    artifacts: Artifacts
    withdrawals: Withdrawals
    desk: Desk
    publishing: Publishing
    proxying: Proxying
    facts: Facts
    consents: ConsentRoutes
    leaves: Leaves
    told: LeafRoutes
    subjects: Subjects

    @classmethod
    async def open(
        cls,
        stack: AsyncExitStack,
        records: Records,
        decider: Decider,
        notifier: Notifier,
        streams: Cutting,
        replicas: Replicas,
        settings: DataPlaneSettings,
        now_ms: Clock,
        client: GuardedClient,
    ) -> Governed:
        """Ready to serve; what an earlier process left unfinished is in order. Ends with the stack. ``client`` calls HTTP sources
        and nobody else."""
        bounds, engine = settings.bounds, records.engine
        deliveries, readings, places = Deliveries(engine), Readings(engine), Places.of()
        ledger = Ledger(engine, settings.spool_dir.parent / "consents", now_ms)
        await ledger.open()
        leaves = Leaves(readings, notifier.wake, now_ms)
        ledger.leaves = leaves
        stack.push_async_callback(ledger.close)
        workers = Workers(bounds.max_making, deadline_s=bounds.query_total_s)
        stack.push_async_callback(workers.close)
        spool = Spool(settings.spool_dir)
        await settle(spool.prepare)
        artifacts = Artifacts(deliveries, readings, workers, ledger, spool, bounds, now_ms, replicas)
        await artifacts.recover()
        stack.push_async_callback(artifacts.close)
        withdrawals = Withdrawals(deliveries, ledger, streams, notifier, now_ms)
        await withdrawals.catch_up()

        async def on_withdrawn(_: Withdrawn) -> None:
            await withdrawals.catch_up()

        ledger.on_withdrawn = on_withdrawn
        changed = Changed(records, notifier)
        reserving = Reserving(deliveries, readings, artifacts, leaves, now_ms)
        desk = Desk(deliveries, decider, artifacts, reserving, places, bounds, changed.report, now_ms)
        apis = HttpSources(records, await settle(Sealer.of, settings.spool_dir.parent / SEAL), client)
        publishing = Publishing(records, deliveries, workers, spool, places, settings, now_ms, apis)
        calls = Calls(deliveries, readings, leaves, now_ms)
        proxying = Proxying(apis, desk, calls, bounds, now_ms, replicas.live)
        facts = Facts(records, deliveries, readings)
        consents = ConsentRoutes(ledger, settings.source_roots)
        told, subjects = LeafRoutes(records, deliveries, ledger), Subjects(ledger, deliveries)
        parts = (records, notifier, ledger, artifacts, withdrawals, desk, publishing, proxying)
        return cls(*parts, facts, consents, leaves, told, subjects)

    def routes(self) -> list[web.RouteDef]:
        """For the signaling listener."""
        return [
            *self.publishing.routes(),
            *self.facts.routes(),
            *self.consents.routes(),
            *self.told.routes(),
            *self.subjects.routes(),
        ]

    async def on_changed(self, flow_id: str, reason: str, column: str | None) -> None:
        """A source is not what was published."""
        await Changed(self.records, self.notifier).report(flow_id, reason, column)

    async def run(self) -> None:
        """Clear the spool now and then, until cancelled. Raises StoreUnavailable."""
        while True:
            await self.artifacts.clear()
            await asyncio.sleep(CLEARING_S)


@dataclass(frozen=True, slots=True)
class Changed:
    """Reports sources that are not what was published."""

    records: Records
    notifier: Notifier

    async def report(self, flow_id: str, reason: str, column: str | None) -> None:
        """Say so once, to the log, the flow and the control plane; nothing of it leaves until it is published again."""
        flow = await self.records.flow(flow_id)
        if flow is None:
            return
        said = reason if column is None else f"{reason}; column: {column}"
        stop = rec.stop_source(flow.dataset_id, reason, column)
        if flow.error == said:
            await self.records.commit([stop])
            return
        log.error("flow %s: %s", flow.id, said)
        try:
            await self.records.commit([stop, rec.note_error(flow.id, said), self.notifier.statement(flow, "errored", error=said)])
        except LostRace:
            return
        self.notifier.wake()
