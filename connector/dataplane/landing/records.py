"""The SQL of what has landed and what was erased of it. May import the store's engine seam only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from connector.dataplane.problems import Refusal
from connector.store.engine import Engine, Statement

ASK_MOST: Final = 16
"""Most query parameters of a request."""
_PARAMETER: Final = re.compile(r"[a-z][a-z-]{0,31}")
_VALUE_MOST: Final = 4096
_INTO: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.duckdb:[A-Za-z_][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Landing:
    """Where the data of one flow go, and what the provider said of them. ``into``: ``database:table``, or empty for a file."""

    flow_id: str
    ask: dict[str, str]
    into: str
    format: str | None = None
    rows: int | None = None
    rows_digest: str | None = None
    plan_digest: str | None = None
    ledger: int | None = None
    suppressed: int | None = None
    sha256: str | None = None


def wanted(flow_id: str, metadata: dict[str, Any]) -> Landing:
    """Where to and what to ask for, as a prepare message has it in its metadata. Raises Refusal."""
    ask, into = metadata.get("ask") or {}, metadata.get("into") or ""
    fine = isinstance(ask, dict) and len(ask) <= ASK_MOST
    if not fine or not all(_PARAMETER.fullmatch(name) and _text(value) for name, value in ask.items()):
        raise Refusal(400, "ask", "metadata.ask must be an object of few query parameters with text values")
    if not isinstance(into, str) or (into and not _INTO.fullmatch(into)):
        raise Refusal(400, "into", "metadata.into must be name.duckdb:table")
    return Landing(flow_id, dict(ask), into)


def _text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _VALUE_MOST and value.isprintable()


def insert_landing(landing: Landing) -> Statement:
    return Statement(
        "INSERT INTO landing (flow_id, ask, into_table) VALUES (?, ?, ?)",
        (landing.flow_id, json.dumps(landing.ask, sort_keys=True), landing.into),
    )


def note_announced(landing: Landing) -> Statement:
    """What the provider says of the file that it sends."""
    return Statement(
        "UPDATE landing SET format = ?, data_rows = ?, rows_digest = ?, plan_digest = ?, ledger = ?, suppressed = ?"
        " WHERE flow_id = ?",
        (
            landing.format,
            landing.rows,
            landing.rows_digest,
            landing.plan_digest,
            landing.ledger,
            landing.suppressed,
            landing.flow_id,
        ),
        expect=None,
    )


def note_digest(flow_id: str, sha256: str | None) -> Statement:
    """What the file is now; None: it is gone."""
    return Statement("UPDATE landing SET sha256 = ? WHERE flow_id = ?", (sha256, flow_id), expect=None)


def note_erased(flow_id: str, sha256: str | None, now_ms: int) -> Statement:
    return Statement("UPDATE landing SET sha256 = ?, erased_at = ? WHERE flow_id = ?", (sha256, now_ms, flow_id), expect=None)


def insert_erased(order_id: str, report: str, now_ms: int) -> Statement:
    return Statement("INSERT INTO erased (id, report, at) VALUES (?, ?, ?)", (order_id, report, now_ms))


async def landing_of(engine: Engine, flow_id: str) -> Landing | None:
    """Where the data of a flow go; None for a flow that lands nothing, or was begun by an earlier release."""
    rows = await engine.fetch(
        "SELECT ask, into_table, format, data_rows, rows_digest, plan_digest, ledger, suppressed, sha256 FROM landing"
        " WHERE flow_id = ?",
        (flow_id,),
        limit=1,
    )
    if not rows:
        return None
    ask, into, *rest = rows[0]
    return Landing(flow_id, json.loads(str(ask)), str(into), *rest)  # type: ignore[arg-type]  # STRICT columns have these types


async def erased(engine: Engine, order_id: str) -> str | None:
    """What was answered to an order to erase."""
    rows = await engine.fetch("SELECT report FROM erased WHERE id = ?", (order_id,), limit=1)
    return str(rows[0][0]) if rows else None
