"""All SQL about deliveries: what a transfer asked for, its artifacts, what buyers have. Writes are statements for one commit.

A generation is one artifact of a delivery: made anew, it gets the next number, and the one before it never leaves any more. May
import the store's engine seam and this package's records.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from connector.dataplane.plan.model import Ask, Box, Plan
from connector.dataplane.query.job import Made, Released
from connector.dataplane.spool import trips_beside
from connector.store.engine import Engine, Row, Statement, Value

MAX_DELIVERIES: Final = 1_000_000
PAGE: Final = 200
"""Artifacts that are read at once, where all of them are gone through."""
MAX_RELEASED: Final = 100_000
ArtifactState = Literal["making", "ready", "stale", "failed"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a transfer delivers. ``kind``: file, table or http. ``generation``: of its last artifact, 0 before the first. Times in
    ms since the epoch."""

    flow_id: str
    agreement_id: str
    counterparty: str
    dataset_id: str
    kind: str
    ask: Ask
    purpose: str | None
    permissions: tuple[int, ...]
    generation: int
    asked_at: int
    reserved_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file that was or will be made. ``coverage``, ``day`` and ``day_requests`` are what was true when it was made."""

    flow_id: str
    generation: int
    state: ArtifactState
    plan: Plan | None
    table_id: str | None
    snapshot: str
    first_s: int | None
    last_s: int | None
    ledger: int
    coverage: int = 0
    day: str | None = None
    day_requests: int = 0
    left_out: int = 0
    file: str | None = None
    index_file: str | None = None
    keep_file: str | None = None
    made: Made | None = None
    code: str | None = None
    reason: str | None = None
    culprit: str | None = None
    made_at: int | None = None
    reserved_at: int | None = None
    dropped: bool = False

    @property
    def files(self) -> tuple[str | None, ...]:
        """Everything on the disk."""
        return self.file, self.index_file, self.trips_file, self.keep_file

    @property
    def trips_file(self) -> str | None:
        """The trips of its vehicles, where rows name nothing else; it stays as long as the index."""
        trips_alone = self.plan is not None and self.plan.level == "L2"
        return trips_beside(self.index_file) if trips_alone and self.index_file is not None else None


@dataclass(frozen=True, slots=True)
class Held:
    """What a buyer has of a raw table, from one delivery."""

    flow_id: str
    generation: int
    kind: Literal["rows", "cells"]
    grid: str
    after_s: int
    before_s: int
    areas: tuple[tuple[Box, ...], ...]
    file: str | None

    @property
    def released(self) -> Released | None:
        """As a job is told of it; None of rows."""
        return None if self.file is None else Released(self.file, self.after_s, self.before_s, self.areas)


_ASKED = (
    "flow_id, agreement_id, counterparty, dataset_id, kind, ask, purpose, permissions, generation, asked_at, reserved_at, passes"
)
_ARTIFACT = (
    "flow_id, generation, state, plan, table_id, snapshot, first_s, last_s, ledger, coverage, day, day_requests, left_out, file,"
    " index_file, keep_file, made, code, reason, culprit, made_at, reserved_at, dropped"
)
_HELD = "flow_id, generation, kind, grid, after_s, before_s, areas, file"
_AREAS = msgspec.json.Decoder(tuple[tuple[Box, ...], ...])


class Deliveries:
    """Reads over one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.commit = engine.commit

    async def _all(self, sql: str, *params: Value, limit: int = MAX_DELIVERIES) -> list[Row]:
        return await self.engine.fetch(sql, params, limit=limit)

    async def asked(self, flow_id: str) -> Asked | None:
        rows = await self._all(f"SELECT {_ASKED} FROM delivery WHERE flow_id = ?", flow_id)  # noqa: S608 - constant columns
        return _asked(rows[0]) if rows else None

    async def under(self, agreement_id: str, counterparty: str) -> list[Asked]:
        """Deliveries of an agreement, oldest first."""
        rows = await self._all(
            f"SELECT {_ASKED} FROM delivery WHERE agreement_id = ? AND counterparty = ? ORDER BY asked_at, flow_id",  # noqa: S608 - constant columns
            agreement_id,
            counterparty,
        )
        return [_asked(row) for row in rows]

    async def artifact(self, flow_id: str, generation: int) -> Artifact | None:
        rows = await self._all(
            f"SELECT {_ARTIFACT} FROM artifact WHERE flow_id = ? AND generation = ?",  # noqa: S608 - constant columns
            flow_id,
            generation,
        )
        return _artifact(rows[0]) if rows else None

    async def artifacts(self, where: str, *params: Value) -> list[Artifact]:
        """Artifacts by a constant condition of this package."""
        rows = await self._all(f"SELECT {_ARTIFACT} FROM artifact WHERE {where}", *params)  # noqa: S608 - constant conditions
        return [_artifact(row) for row in rows]

    async def each(self, where: str, *params: Value) -> AsyncIterator[Artifact]:
        """The same one after the other, in the order of their keys; read in pages, as they are many and carry their plans."""
        after: tuple[str, int] = ("", 0)
        while True:
            rows = await self._all(
                f"SELECT {_ARTIFACT} FROM artifact WHERE ({where}) AND (flow_id, generation) > (?, ?)"  # noqa: S608 - constant conditions
                " ORDER BY flow_id, generation LIMIT ?",
                *params,
                *after,
                PAGE,
            )
            for row in rows:
                yield _artifact(row)
            if len(rows) < PAGE:
                return
            after = str(rows[-1][0]), int(rows[-1][1] or 0)

    async def to_drop(self, before_ms: int) -> list[Artifact]:
        """Artifacts whose files serve nobody any more: of transfers that ended before a time, or that were made anew."""
        rows = await self._all(
            f"SELECT {_ARTIFACT} FROM artifact WHERE dropped = 0 AND state <> 'making' AND (state IN ('stale', 'failed')"  # noqa: S608 - constant columns
            " OR flow_id IN (SELECT id FROM flow WHERE state IN ('COMPLETED', 'TERMINATED') AND updated_at < ?))",
            before_ms,
        )
        return [_artifact(row) for row in rows]

    async def maker(self, flow_id: str, generation: int) -> str | None:
        """Which process makes an artifact."""
        rows = await self._all("SELECT worker FROM artifact WHERE flow_id = ? AND generation = ?", flow_id, generation)
        return None if not rows or rows[0][0] is None else str(rows[0][0])

    async def coverage(self, buyer: str, table_id: str) -> int:
        """The version of what a buyer has of a table; 0 before anything."""
        rows = await self._all("SELECT version FROM holding WHERE buyer = ? AND table_id = ?", buyer, table_id)
        return int(rows[0][0] or 0) if rows else 0

    async def held(self, buyer: str, table_id: str) -> list[Held]:
        """What a buyer has of a table, in the order in which it left."""
        rows = await self._all(
            f"SELECT {_HELD} FROM released WHERE buyer = ? AND table_id = ? ORDER BY place",  # noqa: S608 - constant columns
            buyer,
            table_id,
            limit=MAX_RELEASED,
        )
        return [_held(row) for row in rows]

    async def kept_files(self) -> set[str]:
        """Files of cells that buyers have."""
        return {str(row[0]) for row in await self._all("SELECT file FROM released WHERE file IS NOT NULL")}

    async def of_day(self, agreement_id: str, counterparty: str, day: str, *, other_than: str) -> list[str]:
        """Indexes of the vehicles of what was delivered under an agreement on a UTC day, by other transfers than one."""
        rows = await self._all(
            "SELECT a.index_file FROM reservation AS r JOIN artifact AS a ON a.flow_id = r.flow_id AND a.reserved_at IS NOT NULL"
            " WHERE r.agreement_id = ? AND r.counterparty = ? AND r.day = ? AND r.flow_id <> ? AND a.index_file IS NOT NULL"
            " AND a.generation = (SELECT MAX(generation) FROM artifact WHERE flow_id = r.flow_id AND reserved_at IS NOT NULL)",
            agreement_id,
            counterparty,
            day,
            other_than,
        )
        return [str(row[0]) for row in rows]

    async def started(self, flow_id: str) -> bool:
        """Whether the transfer runs."""
        return bool(await self._all("SELECT 1 FROM flow WHERE id = ? AND state = 'STARTED'", flow_id))

    async def held_against(self) -> int:
        """The number of the ledger up to which withdrawals were held against deliveries."""
        rows = await self._all("SELECT number FROM held_against")
        return int(rows[0][0] or 0) if rows else 0

    async def erased(self, flow_id: str) -> list[tuple[str, int, int, int]]:
        """Of a delivery: id of the notice, ordinal, number of the ledger, time (ms)."""
        rows = await self._all("SELECT id, ordinal, ledger, at FROM erasure WHERE flow_id = ? ORDER BY at, ordinal", flow_id)
        return [(str(row[0]), int(row[1] or 0), int(row[2] or 0), int(row[3] or 0)) for row in rows]


def _asked(row: Row) -> Asked:
    flow_id, agreement_id, counterparty, dataset_id, kind = map(str, row[:5])
    return Asked(
        flow_id,
        agreement_id,
        counterparty,
        dataset_id,
        "http" if row[11] else kind,
        msgspec.json.decode(str(row[5]), type=Ask),
        None if row[6] is None else str(row[6]),
        tuple(msgspec.json.decode(str(row[7]), type=list[int])),
        int(row[8] or 0),
        int(row[9] or 0),
        None if row[10] is None else int(row[10]),
    )


def _artifact(row: Row) -> Artifact:
    found: dict[str, Any] = dict(zip(_ARTIFACT.replace(",", " ").split(), row, strict=True))
    found["plan"] = None if found["plan"] is None else msgspec.json.decode(found["plan"], type=Plan)
    found["made"] = None if found["made"] is None else msgspec.json.decode(found["made"], type=Made)
    found["dropped"] = bool(found["dropped"])
    return Artifact(**found)


def _held(row: Row) -> Held:
    flow_id, generation, kind, grid, after_s, before_s, areas, file = row
    return Held(
        str(flow_id),
        int(generation or 0),
        "rows" if kind == "rows" else "cells",
        str(grid),
        int(after_s or 0),
        int(before_s or 0),
        _AREAS.decode(str(areas)),
        None if file is None else str(file),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def insert_asked(asked: Asked) -> Statement:
    return Statement(
        f"INSERT INTO delivery ({_ASKED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constant columns
        (
            asked.flow_id,
            asked.agreement_id,
            asked.counterparty,
            asked.dataset_id,
            "file" if asked.kind == "http" else asked.kind,
            _json(asked.ask),
            asked.purpose,
            _json(asked.permissions),
            asked.generation,
            asked.asked_at,
            asked.reserved_at,
            int(asked.kind == "http"),
        ),
    )


def next_generation(flow_id: str, before: int) -> Statement:
    return Statement("UPDATE delivery SET generation = ? WHERE flow_id = ? AND generation = ?", (before + 1, flow_id, before))


def made_by(artifact: Artifact, worker: str | None) -> Statement:
    """Which process makes it; None: the only one."""
    return Statement(
        "UPDATE artifact SET worker = ? WHERE flow_id = ? AND generation = ?", (worker, artifact.flow_id, artifact.generation)
    )


def insert_artifact(artifact: Artifact) -> Statement:
    return Statement(
        "INSERT INTO artifact (flow_id, generation, state, plan, plan_digest, table_id, snapshot, first_s, last_s, ledger,"
        " coverage, day, day_requests, left_out, file, index_file, keep_file, made, made_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            artifact.flow_id,
            artifact.generation,
            artifact.state,
            None if artifact.plan is None else _json(artifact.plan),
            None if artifact.plan is None else artifact.plan.digest,
            artifact.table_id,
            artifact.snapshot,
            artifact.first_s,
            artifact.last_s,
            artifact.ledger,
            artifact.coverage,
            artifact.day,
            artifact.day_requests,
            artifact.left_out,
            artifact.file,
            artifact.index_file,
            artifact.keep_file,
            None if artifact.made is None else _json(artifact.made),
            artifact.made_at,
        ),
    )


def made_artifact(artifact: Artifact, made: Made, now_ms: int) -> Statement:
    return Statement(
        "UPDATE artifact SET state = 'ready', made = ?, made_at = ? WHERE flow_id = ? AND generation = ? AND state = 'making'",
        (_json(made), now_ms, artifact.flow_id, artifact.generation),
    )


def failed_artifact(artifact: Artifact, code: str, reason: str, culprit: str | None) -> Statement:
    return Statement(
        "UPDATE artifact SET state = 'failed', code = ?, reason = ?, culprit = ?"
        " WHERE flow_id = ? AND generation = ? AND state = 'making'",
        (code, reason, culprit, artifact.flow_id, artifact.generation),
        expect=None,
    )


def stale_artifact(flow_id: str, generation: int) -> Statement:
    """It never leaves (any more): the next request makes another."""
    return Statement(
        "UPDATE artifact SET state = 'stale' WHERE flow_id = ? AND generation = ? AND state IN ('making', 'ready')",
        (flow_id, generation),
        expect=None,
    )


def reserve_file(flow_id: str, now_ms: int) -> Statement:
    """From now on the bytes of a file that passes as it is may leave."""
    return Statement("UPDATE delivery SET reserved_at = ? WHERE flow_id = ? AND reserved_at IS NULL", (now_ms, flow_id))


def reserve_artifact(flow_id: str, generation: int, now_ms: int) -> tuple[Statement, Statement]:
    """From now on its bytes may leave: only the last generation, and only while it is ready."""
    return (
        Statement(
            "UPDATE artifact SET reserved_at = ?"
            " WHERE flow_id = ? AND generation = ? AND state = 'ready' AND reserved_at IS NULL",
            (now_ms, flow_id, generation),
        ),
        Statement(
            "UPDATE delivery SET reserved_at = COALESCE(reserved_at, ?) WHERE flow_id = ? AND generation = ?",
            (now_ms, flow_id, generation),
        ),
    )


def drop_artifact(flow_id: str, generation: int) -> Statement:
    return Statement(
        "UPDATE artifact SET dropped = 1 WHERE flow_id = ? AND generation = ?",
        (flow_id, generation),
        expect=None,
    )


def insert_released(buyer: str, table_id: str, held: Held) -> Statement:
    return Statement(
        f"INSERT INTO released (buyer, table_id, {_HELD}, place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"  # noqa: S608 - constant columns
        " (SELECT coalesce(max(place), 0) + 1 FROM released))",
        (
            buyer,
            table_id,
            held.flow_id,
            held.generation,
            held.kind,
            held.grid,
            held.after_s,
            held.before_s,
            _json(held.areas),
            held.file,
        ),
    )


def next_coverage(buyer: str, table_id: str, before: int) -> Statement:
    """What a buyer has changes; touches nothing if it has changed since ``before``."""
    if before == 0:
        return Statement("INSERT INTO holding (buyer, table_id, version) VALUES (?, ?, 1)", (buyer, table_id))
    return Statement(
        "UPDATE holding SET version = ? WHERE buyer = ? AND table_id = ? AND version = ?",
        (before + 1, buyer, table_id, before),
    )


def hold_against(number: int) -> Statement:
    return Statement(
        "INSERT INTO held_against (one, number) VALUES (1, ?)"
        " ON CONFLICT (one) DO UPDATE SET number ="
        " CASE WHEN held_against.number > excluded.number THEN held_against.number ELSE excluded.number END",
        (number,),
    )


def insert_erasure(notice: str, flow_id: str, ordinal: int, ledger: int, now_ms: int) -> Statement:
    return Statement(
        "INSERT INTO erasure (id, flow_id, ordinal, ledger, at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (flow_id, ordinal, ledger) DO NOTHING",
        (notice, flow_id, ordinal, ledger, now_ms),
        expect=None,
    )
