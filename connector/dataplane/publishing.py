"""What is published, and what each offer of it would release: looked at and measured before anybody is bound.

A table is looked at by a worker, since nobody knows who wrote its files. May import this package and the terms of delivery.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from connector.dataplane import http_sources
from connector.dataplane import records as rec
from connector.dataplane.deliveries import Deliveries
from connector.dataplane.http_requests import HttpWish
from connector.dataplane.http_sources import HttpSources
from connector.dataplane.messages import Id, decode
from connector.dataplane.plan.declared import declared, declared_for_file
from connector.dataplane.plan.make import Who, make
from connector.dataplane.plan.model import Ask, Circle, Plan
from connector.dataplane.plan.places import Places
from connector.dataplane.plan.refused import PlanRefused
from connector.dataplane.problems import Refusal
from connector.dataplane.query.job import Failed, Job, Limits, Population
from connector.dataplane.query.messages import Look, Seen, Unseen
from connector.dataplane.query.workers import Busy, Workers
from connector.dataplane.records import Records
from connector.dataplane.seams import Clock
from connector.dataplane.settings import DataPlaneSettings
from connector.dataplane.sources import Source, locate, read_source
from connector.dataplane.spool import Spool
from connector.dataplane.tables.model import Mapping, Table
from connector.dataplane.threads import settle
from policies import dsp
from policies.compile import compile_agreement
from policies.delivery import Capabilities, Delivery
from policies.errors import PolicyInvalid, Problem
from policies.model import DPV, Policy, Ref
from policies.purposes import PURPOSE, PURPOSES

MAX_HASHING: Final = 2
MAX_POLICIES: Final = 64
MAX_PREVIEWS: Final = 8
"""Tables that were looked at and are not published, held in memory; the oldest is forgotten first."""
MAX_FORMER: Final = 32
"""Sources that were replaced and may be put back, likewise."""
SAMPLE_ROWS: Final = 1_000_000
"""Unicity is measured on a stretch of time with about so many rows."""
ANYBODY: Final = "urn:carnet:anybody"
PREVIEW: Final = "urn:carnet:preview"
_UNMEASURED: Final = (1_000_000_000, 0.0)
"""Until it is measured nothing stands against calling rows anonymous; afterwards the measure decides."""


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the owner says of a table: what its columns mean, whether its rows are about vehicles of people, the legal bases on
    record for all of them (IRIs), and places that no row may show."""

    mapping: Mapping | None = None
    personal: bool = True
    bases: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)] = ()
    sensitive: Annotated[tuple[Circle, ...], msgspec.Meta(max_length=1_000)] = ()


class SourceMessage(msgspec.Struct, frozen=True):
    """A file to publish under a dataset; with ``table`` its rows, or those of the files of a folder; with ``http`` an API.

    ``former``: what was published before, by the name that the answer to its replacement had for it; nothing is looked at anew.
    """

    path: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    former: Annotated[str, msgspec.Meta(max_length=64)] = ""
    table: Wish | None = None
    http: HttpWish | None = None


class PreviewMessage(msgspec.Struct, frozen=True, rename="camel"):
    """A table to look at as if it were published under a dataset."""

    dataset_id: Id
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    table: Wish


class ReleasesMessage(msgspec.Struct, frozen=True, rename="camel"):
    """Policies as DSP writes them, for one dataset, or for a table that was only looked at (``preview``)."""

    dataset_id: Id
    policies: Annotated[tuple[dict[str, Any], ...], msgspec.Meta(max_length=MAX_POLICIES)]
    preview: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class Publishing:
    """Handlers of the signaling listener for sources and releases."""

    def __init__(
        self,
        records: Records,
        deliveries: Deliveries,
        workers: Workers,
        spool: Spool,
        places: Places,
        settings: DataPlaneSettings,
        now_ms: Clock,
        apis: HttpSources,
    ) -> None:
        self._apis = apis
        self._records = records
        self._deliveries = deliveries
        self._workers = workers
        self._spool = spool
        self._places = places
        self._settings = settings
        self._now_ms = now_ms
        self._hashing = asyncio.Semaphore(MAX_HASHING)
        self._previews: dict[str, Source] = {}
        self._former: dict[str, Source] = {}

    def routes(self) -> list[web.RouteDef]:
        """For the signaling listener."""
        return [
            web.put("/carnet/sources/{id}", self._publish),
            web.delete("/carnet/sources/{id}", self._withdraw),
            web.post("/carnet/releases", self._releases),
            web.post("/carnet/previews", self._preview),
            web.delete("/carnet/previews/{id}", self._forget),
        ]

    async def _publish(self, request: web.Request) -> web.Response:
        message = decode(await request.read(), SourceMessage)
        dataset_id = request.match_info["id"]
        understood: dict[str, Any] = {}
        beside = [http_sources.forget(dataset_id)]
        if message.former:
            return await self._put_back(dataset_id, message.former)
        if message.http is not None:
            if message.path or message.table is not None:
                raise Refusal(400, "message_invalid", "a source is a path or an HTTP API, not both")
            source, beside = self._apis.taken(dataset_id, message.http)
            understood = {"http": http_sources.shown(message.http)}
        elif message.table is None:
            source = await self._file(dataset_id, message.path)
        else:
            source, seen = await self._table(dataset_id, message.path, message.table)
            understood = {"guessed": list(seen.guessed), "ignored": list(seen.ignored)}
        before = await self._records.source(dataset_id)
        await self._records.commit([rec.put_source(source), *beside])
        # What an API needs to be opened is not kept beyond its replacement.
        if before is not None and before.kind != "http":
            understood["former"] = _held(self._former, MAX_FORMER, before)
        return _json(_answer(source) | understood)

    async def _put_back(self, dataset_id: str, name: str) -> web.Response:
        source = self._former.get(name)
        if source is None or source.dataset_id != dataset_id:
            raise Refusal(404, "former_unknown", "what was published before is not known any more; publish it anew")
        await self._records.commit([*rec.put_back(source), http_sources.forget(dataset_id)])
        del self._former[name]
        return _json(_answer(source))

    async def _withdraw(self, request: web.Request) -> web.Response:
        dataset_id = request.match_info["id"]
        await self._records.commit([rec.delete_source(dataset_id), http_sources.forget(dataset_id)])
        return web.Response(status=204)

    async def _preview(self, request: web.Request) -> web.Response:
        """Look at a table and publish nothing: the answer as for a source, and the name by which to ask for its releases."""
        message = decode(await request.read(), PreviewMessage)
        source, seen = await self._table(message.dataset_id, message.path, message.table)
        name = _held(self._previews, MAX_PREVIEWS, source)
        return _json(_answer(source) | {"guessed": list(seen.guessed), "ignored": list(seen.ignored), "preview": name})

    async def _forget(self, request: web.Request) -> web.Response:
        self._previews.pop(request.match_info["id"], None)
        return web.Response(status=204)

    async def _file(self, dataset_id: str, path: str) -> Source:
        known = await self._records.source(dataset_id)
        async with self._hashing:
            source = await settle(read_source, dataset_id, path, self._settings.source_roots, known)
        return Source(
            dataset_id, source.path, source.bytes, source.sha256, source.identity, declares=tuple(sorted(declared_for_file()))
        )

    async def _table(self, dataset_id: str, path: str, wish: Wish) -> tuple[Source, Seen]:
        real = await settle(locate, path, self._settings.source_roots)
        look = Look(path=str(real), mapping=wish.mapping, personal=wish.personal, bases=wish.bases, sensitive=wish.sensitive)
        try:
            seen = await self._workers.look(look, f"look {uuid.uuid4()}")
        except Busy:
            raise Refusal(503, "busy", "too much is being looked at; try again", retry_s=5) from None
        if isinstance(seen, Unseen):
            raise Refusal(400, seen.code, seen.reason, more={"column": seen.column})
        if not isinstance(seen, Seen):
            raise Refusal(503, seen.code, f"the table could not be looked at: {seen.reason}")
        size = await settle(_inside, seen.table.files, self._settings.source_roots)
        table = await settle(known_as, seen.table, await self._records.tables())
        declares = tuple(sorted(declared(table)))
        return Source(dataset_id, str(real), size, table.snapshot, table.snapshot, "table", declares, table), seen

    async def _releases(self, request: web.Request) -> web.Response:
        message = decode(await request.read(), ReleasesMessage)
        preview = message.preview is not None
        source = self._previews.get(message.preview or "") if preview else await self._records.source(message.dataset_id)
        if source is None:
            raise Refusal(404, "dataset_unknown", f"no source is published for dataset {message.dataset_id}")
        found: list[dict[str, Any]] = []
        for number, document in enumerate(message.policies):
            try:
                policy = dsp.read(document)
            except PolicyInvalid as invalid:
                problem = Problem(invalid.code, invalid.path, invalid.reason, "write it as ODRL in the form of DSP")
                found.append(_released(number, 0, None, None, (problem,)))
                continue
            for index in range(len(policy.permissions)):
                found.append(await self._release(source, number, index, policy, preview=preview))
        return _json({"releases": found})

    async def _release(self, source: Source, number: int, index: int, policy: Policy, *, preview: bool) -> dict[str, Any]:
        """What one permission would release to somebody who has every consent."""
        table = source.table
        provisional = compile_agreement(policy, able(source, _UNMEASURED)).under((index,))
        if table is None:
            released = _released(number, index, None, None, provisional.problems)
            return released | _PASSED if source.kind == "http" else released
        who = Who(source.dataset_id, PREVIEW, ANYBODY, purpose_of(provisional))
        try:
            plan = make(provisional, table, Ask(), who, self._now_ms(), self._places)
        except PlanRefused as refused:
            problem = Problem(refused.code, refused.path, refused.reason, refused.remedy)
            return _released(number, index, None, None, provisional.problems or (problem,))
        unicity = await self._unicity(plan, table)
        problems = compile_agreement(policy, able(source, unicity)).under((index,)).problems
        if unicity is not None and plan.level == "L2" and not preview:
            await self._deliveries.commit([rec.put_unicity(source.dataset_id, *unicity)])
        return _released(number, index, plan, unicity, problems)

    async def _unicity(self, plan: Plan, table: Table) -> tuple[int, float] | None:
        """Vehicles (of L2: trips), and the share of them that four points single out; None where it does not apply."""
        if plan.form != "rows":
            return None
        name = f"measure {uuid.uuid4()}"
        places = self._spool.places(name, 0)
        await settle(self._spool.begin, places)
        bounds = self._settings.bounds
        job = Job(
            plan=_sampled(plan, table),
            table=table,
            population=Population(key=secrets.token_hex(32)),
            output=places.file,
            index=places.index,
            scratch=places.scratch,
            limits=Limits(memory_bytes=bounds.query_memory_bytes, threads=bounds.query_threads, free_bytes=bounds.min_free_bytes),
        )
        try:
            done = await self._workers.measure(job, name, table.snapshot)
        except Busy:
            raise Refusal(503, "busy", "too much is being looked at; try again", retry_s=5) from None
        finally:
            await settle(self._spool.end, places)
            await settle(self._spool.drop, places.file, places.index)
        if isinstance(done.failed, Failed):
            if done.failed.code in ("source-changed", "source-unreadable"):
                raise Refusal(409, "source_changed", done.failed.reason, more={"column": done.failed.column})
            return None
        return None if done.unique is None else (done.units, done.unique)


def able(source: Source, unicity: tuple[int, float] | None = None) -> Capabilities:
    """What can be done with a source, as far as terms ask."""
    table = source.table
    return Capabilities(
        terms=frozenset(source.declares),
        columns=None if table is None else table.paths,
        sampling_interval_ms=None if table is None else table.sampling_ms,
        unicity=unicity if unicity is not None else source.unicity,
    )


def purpose_of(terms: Delivery) -> str:
    """A purpose that the terms allow, where nobody has chosen one yet; any purpose where they name none."""
    for gate in terms.gates:
        if gate.term == PURPOSE:
            for value in gate.values:
                iri = value.iri if isinstance(value, Ref) else value.text
                if iri in PURPOSES:
                    return iri
    return f"{DPV}Purpose"


def _sampled(plan: Plan, table: Table) -> Plan:
    """The plan without consents, of a stretch of time at the end of what it covers."""
    sampled = msgspec.structs.replace(plan, consent=None, enrolled=False, anonymous=False, format="parquet")
    if table.rows <= SAMPLE_ROWS or table.first_s is None or table.last_s is None:
        return sampled
    first = max(second for second in (table.first_s, plan.after_s) if second is not None)
    last = min(second for second in (table.last_s + 1, plan.before_s) if second is not None)
    length = max(1, (table.last_s - table.first_s) * SAMPLE_ROWS // table.rows)
    return msgspec.structs.replace(sampled, after_s=max(first, last - length), before_s=last)


def _released(
    policy: int, permission: int, plan: Plan | None, unicity: tuple[int, float] | None, problems: Sequence[Problem]
) -> dict[str, Any]:
    return {
        "policy": policy,
        "permission": permission,
        "plan": None if plan is None else msgspec.to_builtins(plan),
        "planDigest": None if plan is None else plan.digest,
        "level": None if plan is None else plan.level,
        "form": "file" if plan is None else plan.form,
        "columns": [] if plan is None else list(plan.columns),
        "sentences": ["The file passes as it is."] if plan is None else list(sentences(plan, unicity)),
        "unicity": None if unicity is None else {"vehicles": unicity[0], "unique": unicity[1], "points": 4},
        "problems": [
            {"code": found.code, "path": found.path, "sentence": found.sentence, "remedy": found.remedy} for found in problems
        ],
    }


_PASSED: Final = {"form": "http", "sentences": ["Each request is passed on to the source, and its answer as it is."]}
_FORMS: Final = {
    "cells": "aggregates by cell and step of time",
    "features": "features of each vehicle and month",
    "score": "a score and the distance of each vehicle and month",
}


def sentences(plan: Plan, unicity: tuple[int, float] | None) -> Iterator[str]:
    """What leaves under a plan, for the publisher."""
    named = "rows under a pseudonym of the vehicle" if plan.level == "L1" else "rows that are linked within a trip only"
    yield f"Level {plan.level}: {_FORMS.get(plan.form, named)}."
    if plan.columns:
        yield f"Columns: {', '.join(plan.columns)}."
    if plan.consent is not None:
        asked = "whose users asked for" if plan.consent.requests else "that agreed to"
        yield f"Only of vehicles {asked}: {', '.join(plan.consent.categories)}."
    if plan.enrolled:
        yield "Only of vehicles that the buyer has enrolled, with its own reference."
    if plan.least:
        yield f"Only cells of at least {plan.least} distinct vehicles."
    if plan.cell_level is not None:
        yield f"Positions are centres of cells of level {plan.cell_level}."
    if plan.step_s is not None:
        yield f"Times are rounded down to {plan.step_s} s."
    if plan.cut_m or plan.cut_s:
        yield f"Both ends of each trip are cut off: {plan.cut_m:g} m and {plan.cut_s} s."
    if plan.bands:
        yield "Speed leaves as bands."
    if unicity is not None:
        yield f"Four points single out {100 * unicity[1]:.1f} % of {unicity[0]} vehicles or trips."


def known_as(table: Table, published: Sequence[tuple[str, Table]]) -> Table:
    """The table under the id of what is published already of the same files, also under other names and as other folders: what
    buyers have of it counts for both. Raises Refusal where it would join tables that were told apart. Blocks."""
    files = _identities(table)
    sharing = [(dataset_id, other.id) for dataset_id, other in published if not files.isdisjoint(_identities(other))]
    ids = {known for _, known in sharing}
    if len(ids) > 1:
        names = ", ".join(sorted({dataset_id for dataset_id, _ in sharing})[:5])
        raise Refusal(409, "table-overlaps", f"files of it are published as different tables already: {names}")
    return msgspec.structs.replace(table, id=ids.pop()) if ids else table


def _identities(table: Table) -> set[str]:
    """What tells the files apart: their paths and, where they are there, what the paths lead to."""
    found = set(table.files)
    for file in table.files:
        with suppress(OSError):
            state = os.stat(file)
            found.add(f"{state.st_dev}:{state.st_ino}")
    return found


def _held(held: dict[str, Source], most: int, source: Source) -> str:
    """Keep a source under a new name, and at most so many."""
    while len(held) >= most:
        del held[next(iter(held))]
    name = uuid.uuid4().hex
    held[name] = source
    return name


def _inside(files: Sequence[str], roots: Sequence[Path]) -> int:
    """Bytes of all files, each of which is inside the roots. Raises Refusal."""
    return sum(locate(file, roots).stat().st_size for file in files)


def _answer(source: Source) -> dict[str, Any]:
    table = source.table
    answer: dict[str, Any] = {
        "datasetId": source.dataset_id,
        "kind": source.kind,
        "bytes": source.bytes,
        "sha256": source.sha256,
        "declares": list(source.declares),
    }
    if source.kind == "http":
        del answer["sha256"], answer["bytes"]
    if table is not None:
        del answer["sha256"]
        answer |= {
            "columns": sorted(table.paths),
            "samplingIntervalMs": table.sampling_ms,
            "rows": table.rows,
            "vehicles": table.vehicles,
            "table": table.id,
            "mapping": msgspec.to_builtins(table.mapping),
        }
    return answer


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json", headers={"Cache-Control": "no-store"})
