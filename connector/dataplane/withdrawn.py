"""A withdrawal reaches deliveries: what has not left is made anew, what runs is cut, what has left is erased at the buyer's.

Held against every delivery by the index of its vehicles, in the order of the ledger; the number up to which that was done is
kept, so that nothing is forgotten by a process that dies. May import this package only.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol

import msgspec

from connector.dataplane import deliveries as sql
from connector.dataplane import indexes
from connector.dataplane import records as rec
from connector.dataplane.callbacks import ERASURE, Notifier
from connector.dataplane.deliveries import Artifact, Deliveries
from connector.dataplane.plan.model import Plan
from connector.dataplane.records import Callback
from connector.dataplane.seams import Clock, Ledger
from connector.dataplane.threads import settle
from connector.store.engine import LostRace, Statement, StoreUnavailable

log = logging.getLogger("carnet.dataplane")

PSEUDONYM_BYTES: Final = 16
MAX_RACES: Final = 8
MAX_EPOCHS: Final = 4000
"""So many epochs of one delivery are gone through at most: eleven years of days."""
MOST_TRIPS: Final = 5_000
"""So many trips are told of in one message to the control plane."""
_LIVE: Final = "reserved_at IS NOT NULL AND index_file IS NOT NULL AND plan IS NOT NULL AND ledger < ?"


class Streams(Protocol):
    """Running deliveries."""

    async def abort(self, flow_id: str) -> None:
        """Cut every stream of the flow; return when none can send another byte."""


class Withdrawals:
    """Holds withdrawals against deliveries, one after the other."""

    def __init__(self, deliveries: Deliveries, ledger: Ledger, streams: Streams, notifier: Notifier, now_ms: Clock) -> None:
        self._deliveries = deliveries
        self._ledger = ledger
        self._streams = streams
        self._notifier = notifier
        self._now_ms = now_ms
        self._turn = asyncio.Lock()

    async def catch_up(self) -> None:
        """Hold every withdrawal of the ledger that was not yet held against the deliveries. Harmless when repeated."""
        for _ in range(MAX_RACES):
            try:
                async with self._turn:
                    await self._catch_up()
            except LostRace:
                # Another process on this database holds the same withdrawals against the same deliveries.
                continue
            return
        raise StoreUnavailable("withdrawals could not be held against deliveries: others write at the same time")

    async def _catch_up(self) -> None:
        since = await self._deliveries.held_against()
        waiting: dict[int, set[int]] = {}
        for number, ordinal in await self._ledger.withdrawn_since(since):
            waiting.setdefault(number, set()).add(ordinal)
        for number in sorted(waiting):
            await self._hold(number, waiting[number])

    async def _hold(self, number: int, ordinals: Collection[int]) -> None:
        """Cut first, then write down what is owed and that it was done: who dies in between does both again."""
        notices: dict[tuple[str, str], dict[str, set[int]]] = {}
        async for artifact in self._deliveries.each(_LIVE, number):
            found = await self._ended(artifact, number, ordinals)
            if not found:
                continue
            if artifact.state == "ready":
                await self._deliveries.commit([sql.stale_artifact(artifact.flow_id, artifact.generation)])
                await self._streams.abort(artifact.flow_id)
            asked = await self._deliveries.asked(artifact.flow_id)
            if asked is not None:
                per_flow = notices.setdefault((asked.agreement_id, asked.counterparty), {})
                per_flow.setdefault(artifact.flow_id, set()).update(found)
        writes: list[Statement] = []
        for (agreement_id, counterparty), flows in notices.items():
            writes += await self._notice(agreement_id, counterparty, flows, number)
        await self._deliveries.commit([*writes, sql.hold_against(number)])
        if notices:
            log.info("withdrawals of ledger number %d: %d notices to buyers", number, len(notices))
            self._notifier.wake()

    async def _ended(self, artifact: Artifact, number: int, ordinals: Collection[int]) -> tuple[int, ...]:
        """The vehicles of a delivery whose consent or enrolment ended with these withdrawals."""
        plan, path = artifact.plan, artifact.index_file
        if plan is None or path is None or not plan.personal or (plan.consent is None and not plan.enrolled):
            return ()
        candidates = await settle(indexes.among, path, ordinals)
        if not candidates:
            return ()
        population = await self._ledger.population(plan.consent, number)
        if plan.enrolled:
            references = await self._ledger.references(plan.recipient, number)
            population = msgspec.structs.replace(population, references=references)
        return await settle(indexes.without, candidates, population, enrolled=plan.enrolled)

    async def _notice(self, agreement_id: str, counterparty: str, flows: dict[str, set[int]], number: int) -> list[Statement]:
        """The rows and the message to the control plane; the same of them however often they are made."""
        named = f"{agreement_id}|{counterparty}|{number}"
        notice = f"urn:carnet:erasure:{hashlib.sha256(named.encode()).hexdigest()[:32]}"
        key = await self._ledger.pseudonym_key(counterparty, agreement_id)
        every = {ordinal for ordinals in flows.values() for ordinal in ordinals}
        names = await self._ledger.vehicles(every)
        now = self._now_ms()
        writes: list[Statement] = []
        told: list[dict[str, Any]] = []
        for flow_id, ordinals in sorted(flows.items()):
            writes += [sql.insert_erasure(notice, flow_id, ordinal, number, now) for ordinal in sorted(ordinals)]
            told += await self._delivery(flow_id, ordinals, names, key, counterparty)
        for place, deliveries in enumerate(_portions(told), 1):
            name = notice if place == 1 else f"{notice}:{place}"
            body = {
                "id": name,
                "agreementId": agreement_id,
                "counterparty": counterparty,
                "deliveries": deliveries,
                "reason": "consent-withdrawn",
                "ledger": number,
            }
            writes.append(rec.insert_callback(Callback(name, "", ERASURE, msgspec.json.encode(body).decode(), 0, now)))
        return writes

    async def _delivery(
        self, flow_id: str, ordinals: Collection[int], names: dict[int, str], key: str, counterparty: str
    ) -> list[dict[str, Any]]:
        """What the control plane is told of a delivery: once, or more often where it is named by many trips."""
        pseudonyms: set[str] = set()
        references: set[str] = set()
        trips: set[str] = set()
        for artifact in await self._deliveries.artifacts("flow_id = ? AND reserved_at IS NOT NULL", flow_id):
            plan = artifact.plan
            if plan is None:
                continue
            vehicles = [names[ordinal] for ordinal in ordinals if ordinal in names]
            pseudonyms |= {name for vehicle in vehicles for name in pseudonyms_of(artifact, vehicle, key)}
            if artifact.trips_file is not None:
                trips |= await settle(_trips, artifact.trips_file, ordinals)
            if plan.enrolled:
                known = await self._ledger.references(counterparty, artifact.ledger)
                references |= {reference for ordinal, reference in known if ordinal in ordinals}
        told: list[dict[str, Any]] = [{"transfer": flow_id, "pseudonyms": sorted(pseudonyms), "references": sorted(references)}]
        every = sorted(trips)
        parts = [every[start : start + MOST_TRIPS] for start in range(0, len(every), MOST_TRIPS)]
        told += [{"transfer": flow_id, "pseudonyms": [], "references": []} for _ in parts[1:]]
        for each, part in zip(told, parts, strict=False):
            each["trips"] = part
        return told


def _trips(path: str, ordinals: Collection[int]) -> set[str]:
    return set(indexes.trips(path, sorted(ordinals)))


def _portions(told: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Deliveries in portions of at most ``MOST_TRIPS`` trips; all of those that are not named by trips in one."""
    portion: list[dict[str, Any]] = []
    trips = 0
    for each in told:
        found = len(each.get("trips", ()))
        if portion and found and trips + found > MOST_TRIPS:
            yield portion
            portion, trips = [], 0
        portion.append(each)
        trips += found
    yield portion


def pseudonyms_of(artifact: Artifact, vehicle: str, key: str) -> set[str]:
    """The names that a vehicle had in a delivery: one, or one for each epoch of its period. None where rows have only trips."""
    plan = artifact.plan
    if plan is None or plan.level == "L2" or plan.form == "cells":
        return set()
    messages = [vehicle] if plan.epoch is None else [f"{epoch}|{vehicle}" for epoch in _epochs(artifact, plan)]
    secret = bytes.fromhex(key)
    return {hmac.digest(secret, message.encode(), "sha256")[:PSEUDONYM_BYTES].hex() for message in messages}


def _epochs(artifact: Artifact, plan: Plan) -> list[str]:
    """As ``query/population.py`` writes them: 2026-07-01, 2026-07 or 2026; of at most ``MAX_EPOCHS`` days, the last ones."""
    firsts = [second for second in (plan.after_s, artifact.first_s) if second is not None]
    lasts = [second for second in (None if plan.before_s is None else plan.before_s - 1, artifact.last_s) if second is not None]
    first_s, last_s = max(firsts, default=0), min(lasts, default=0)
    first = max(_day(first_s), _day(last_s) - timedelta(days=MAX_EPOCHS))
    days = [first + timedelta(days=number) for number in range((_day(last_s) - first).days + 1)]
    form = {"day": "%Y-%m-%d", "month": "%Y-%m"}.get(plan.epoch or "", "%Y")
    return list(dict.fromkeys(day.strftime(form) for day in days))


def _day(second: int) -> date:
    return datetime.fromtimestamp(second, UTC).date()
