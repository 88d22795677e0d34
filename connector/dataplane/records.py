"""All SQL of the data plane: rows in, frozen records out; writes are statements for one guarded commit.

May import the store's engine seam and this package's states and sources.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from connector.dataplane.sources import Source
from connector.dataplane.states import Operation, Role, State
from connector.dataplane.tables.model import Table
from connector.store.engine import Engine, Row, Statement, Value

MAX_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Flow:
    """A data flow. ``address`` is JSON: the one given out (provider) or received (consumer). ``renews``: who
    consumes from a provider's flow can renew tokens."""

    id: str
    role: Role
    state: State
    version: int
    dataset_id: str
    agreement_id: str
    sink: str | None
    address: str | None
    error: str | None
    renews: bool = True


@dataclass(frozen=True, slots=True)
class Download:
    """How far the consumer's file is. ``total`` and ``digest`` (hex) are the provider's word, ``sha256`` is ours."""

    flow_id: str
    phase: str
    etag: str | None
    total: int | None
    digest: str | None
    bytes: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Callback:
    """A message that the control plane has not accepted yet."""

    id: str
    flow_id: str
    event: str
    body: str
    attempts: int
    due_at: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered to a message."""

    operation: str
    flow_id: str
    body: str


def hash_token(token: str) -> bytes:
    """The only form in which a presented token is looked up."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class Records:
    """Reads and statements over one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.commit = engine.commit

    async def _one(self, sql: str, *params: Value) -> Row | None:
        rows = await self.engine.fetch(sql, params, limit=1)
        return rows[0] if rows else None

    async def flow(self, flow_id: str) -> Flow | None:
        row = await self._one(f"SELECT {_FLOW} FROM flow WHERE id = ?", flow_id)  # noqa: S608 - constant columns
        return _flow(row) if row else None

    async def sink_taken(self, name: str) -> bool:
        return await self._one("SELECT id FROM flow WHERE sink = ? AND state <> 'TERMINATED'", name) is not None

    async def answered(self, message_id: str) -> Answered | None:
        row = await self._one("SELECT operation, flow_id, body FROM answered WHERE message_id = ?", message_id)
        return Answered(str(row[0]), str(row[1]), str(row[2])) if row else None

    async def source(self, dataset_id: str) -> Source | None:
        row = await self._one(f"SELECT {_SOURCE} FROM source WHERE dataset_id = ?", dataset_id)  # noqa: S608 - constant columns
        return _source(dataset_id, row) if row else None

    async def tables(self) -> list[tuple[str, Table]]:
        """What is published as tables, by dataset."""
        rows = await self.engine.fetch(f"SELECT dataset_id, {_SOURCE} FROM source WHERE kind = 'table'", limit=MAX_ROWS)  # noqa: S608 - constant columns
        found = ((str(dataset_id), _source(str(dataset_id), tuple(rest)).table) for dataset_id, *rest in rows)
        return [(dataset_id, table) for dataset_id, table in found if table is not None]

    async def download(self, flow_id: str) -> Download | None:
        row = await self._one(
            "SELECT flow_id, phase, etag, total, digest, bytes, sha256 FROM download WHERE flow_id = ?", flow_id
        )
        return Download(*row) if row else None  # type: ignore[arg-type]  # STRICT columns have these types

    async def unfinished(self) -> list[str]:
        """Consumer flows whose download must go on after a restart."""
        rows = await self.engine.fetch(
            "SELECT flow.id FROM flow JOIN download ON download.flow_id = flow.id"
            " WHERE flow.state = 'STARTED' AND download.phase IN ('running', 'placing')",
            limit=MAX_ROWS,
        )
        return [str(row[0]) for row in rows]

    async def abandoned(self) -> list[str]:
        """Terminated flows whose part may still lie there, unless the name belongs to another flow by now."""
        rows = await self.engine.fetch(
            "SELECT flow.id FROM flow JOIN download ON download.flow_id = flow.id"
            " WHERE flow.state = 'TERMINATED' AND download.phase IN ('running', 'placing') AND NOT EXISTS"
            " (SELECT 1 FROM flow AS other WHERE other.sink = flow.sink AND other.state <> 'TERMINATED')",
            limit=MAX_ROWS,
        )
        return [str(row[0]) for row in rows]

    async def next_callback(self) -> Callback | None:
        """The callback that is due first."""
        row = await self._one(
            "SELECT id, flow_id, event, body, attempts, due_at FROM callback WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT 1"
        )
        return Callback(*row) if row else None  # type: ignore[arg-type]  # STRICT columns have these types

    async def callback(self, callback_id: str) -> Callback | None:
        """One that waits."""
        row = await self._one("SELECT id, flow_id, event, body, attempts, due_at FROM callback WHERE id = ?", callback_id)
        return Callback(*row) if row else None  # type: ignore[arg-type]  # STRICT columns have these types

    async def control_plane(self) -> str | None:
        """The endpoint registered last, if any."""
        row = await self._one("SELECT endpoint FROM controlplane LIMIT 1")
        return str(row[0]) if row else None


_SOURCE = "path, bytes, sha256, identity, kind, declares, described, changed, changed_column, measured_vehicles, measured_unique"
_FLOW = "id, role, state, version, dataset_id, agreement_id, sink, address, error, renews"


def _flow(row: Row) -> Flow:
    return Flow(
        str(row[0]),
        Role(str(row[1])),
        State(str(row[2])),
        int(row[3] or 0),
        str(row[4]),
        str(row[5]),
        None if row[6] is None else str(row[6]),
        None if row[7] is None else str(row[7]),
        None if row[8] is None else str(row[8]),
        bool(row[9]),
    )


def _source(dataset_id: str, row: Row) -> Source:
    path, size, sha256, identity, kind, declares, described, changed, column, vehicles, unique = row
    return Source(
        dataset_id,
        str(path),
        int(size or 0),
        str(sha256),
        str(identity),
        "table" if kind == "table" else "http" if kind == "http" else "file",
        msgspec.json.decode(str(declares), type=tuple[str, ...]),
        None if described is None else msgspec.json.decode(str(described), type=Table),
        None if changed is None else str(changed),
        None if column is None else str(column),
        None if vehicles is None or unique is None else (int(vehicles), float(unique)),
    )


def insert_flow(flow: Flow, now_ms: int) -> Statement:
    return Statement(
        f"INSERT INTO flow ({_FLOW}, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constant columns
        (
            flow.id,
            flow.role.value,
            flow.state.value,
            flow.version,
            flow.dataset_id,
            flow.agreement_id,
            flow.sink,
            flow.address,
            flow.error,
            int(flow.renews),
            now_ms,
            now_ms,
        ),
    )


def update_flow(flow: Flow, now_ms: int) -> Statement:
    """Writes ``flow`` over the version before it; touches nothing when somebody else was first."""
    return Statement(
        "UPDATE flow SET state = ?, address = ?, error = ?, version = ?, updated_at = ? WHERE id = ? AND version = ?",
        (flow.state.value, flow.address, flow.error, flow.version, now_ms, flow.id, flow.version - 1),
    )


def kill_tokens(flow_id: str) -> Statement:
    return Statement("UPDATE token SET dead = 1 WHERE flow_id = ? AND dead = 0", (flow_id,), expect=None)


def insert_answer(message_id: str, operation: Operation, flow_id: str, body: str, now_ms: int) -> Statement:
    return Statement(
        "INSERT INTO answered (message_id, operation, flow_id, body, at) VALUES (?, ?, ?, ?, ?)",
        (message_id, operation.value, flow_id, body, now_ms),
    )


def put_source(source: Source) -> Statement:
    return Statement(
        "INSERT INTO source (dataset_id, path, bytes, sha256, identity, kind, declares, described)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (dataset_id) DO UPDATE SET path = excluded.path, bytes = excluded.bytes,"
        " sha256 = excluded.sha256, identity = excluded.identity, kind = excluded.kind, declares = excluded.declares,"
        " described = excluded.described, changed = NULL, changed_column = NULL,"
        " measured_vehicles = NULL, measured_unique = NULL",
        (
            source.dataset_id,
            source.path,
            source.bytes,
            source.sha256,
            source.identity,
            source.kind,
            msgspec.json.encode(source.declares).decode(),
            None if source.table is None else msgspec.json.encode(source.table).decode(),
        ),
    )


def put_back(source: Source) -> list[Statement]:
    """A source as it was: with what was measured, and stopped if it was."""
    stopped = [] if source.changed is None else [stop_source(source.dataset_id, source.changed, source.changed_column)]
    measured = [] if source.unicity is None else [put_unicity(source.dataset_id, *source.unicity)]
    return [put_source(source), *stopped, *measured]


def put_unicity(dataset_id: str, vehicles: int, unique: float) -> Statement:
    """A measure of one of its offers; the worst is kept."""
    return Statement(
        "UPDATE source SET measured_vehicles = ?, measured_unique = ?"
        " WHERE dataset_id = ? AND (measured_unique IS NULL OR measured_unique < ?)",
        (vehicles, unique, dataset_id, unique),
        expect=None,
    )


def stop_source(dataset_id: str, reason: str, column: str | None) -> Statement:
    """Nothing is delivered of it until it is published again."""
    return Statement(
        "UPDATE source SET changed = ?, changed_column = ? WHERE dataset_id = ? AND changed IS NULL",
        (reason, column, dataset_id),
        expect=None,
    )


def delete_source(dataset_id: str) -> Statement:
    return Statement("DELETE FROM source WHERE dataset_id = ?", (dataset_id,), expect=None)


def begin_download(flow_id: str) -> Statement:
    """A new or failed download runs (again); one in any other phase is left alone."""
    return Statement(
        "INSERT INTO download (flow_id, phase) VALUES (?, 'running')"
        " ON CONFLICT (flow_id) DO UPDATE SET phase = 'running' WHERE download.phase = 'failed'",
        (flow_id,),
        expect=None,
    )


def drop_download(flow_id: str) -> Statement:
    """The part is gone and nothing will be received any more."""
    return Statement("DELETE FROM download WHERE flow_id = ? AND phase <> 'done'", (flow_id,), expect=None)


def update_download(download: Download, *, before: str) -> Statement:
    return Statement(
        "UPDATE download SET phase = ?, etag = ?, total = ?, digest = ?, bytes = ?, sha256 = ? WHERE flow_id = ? AND phase = ?",
        (
            download.phase,
            download.etag,
            download.total,
            download.digest,
            download.bytes,
            download.sha256,
            download.flow_id,
            before,
        ),
    )


def note_error(flow_id: str, error: str | None) -> Statement:
    """For people to see; not a state change, so the version stays."""
    return Statement("UPDATE flow SET error = ? WHERE id = ?", (error, flow_id))


def insert_callback(callback: Callback) -> Statement:
    return Statement(
        "INSERT INTO callback (id, flow_id, event, body, attempts, due_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (callback.id, callback.flow_id, callback.event, callback.body, callback.attempts, callback.due_at),
        expect=None,
    )


def retry_callback(callback_id: str, attempts: int, due_at: int | None) -> Statement:
    return Statement("UPDATE callback SET attempts = ?, due_at = ? WHERE id = ?", (attempts, due_at, callback_id))


def delete_callback(callback_id: str) -> Statement:
    return Statement("DELETE FROM callback WHERE id = ?", (callback_id,))


def register_control_plane(identifier: str, endpoint: str) -> tuple[Statement, Statement]:
    """There is one control plane at a time; the newest registration replaces it."""
    return (
        Statement("DELETE FROM controlplane", expect=None),
        Statement("INSERT INTO controlplane (id, endpoint) VALUES (?, ?)", (identifier, endpoint)),
    )


def unregister_control_plane(identifier: str) -> Statement:
    return Statement("DELETE FROM controlplane WHERE id = ?", (identifier,), expect=None)
