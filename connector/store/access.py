"""Keys of callers, and answers to requests that may come twice, in the control database. The only place with their SQL.

Imports the engine's seam only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from connector.store.engine import Engine, Statement

_KEY: Final = "id, name, digest, roles, vehicle, created_at, created_by, person, expires_at, revoked_at"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a caller. ``digest`` is the SHA-256 (hex) of its secret part, which nobody keeps. Times in ms since the epoch;
    ``person`` is who is behind it, and ``vehicle`` the consent ledger's own number."""

    id: str
    name: str
    digest: str
    roles: tuple[str, ...]
    created_at: int
    created_by: str
    person: str
    vehicle: int | None = None
    expires_at: int | None = None
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered to a request. ``status`` 0: it is being worked on; ``media`` gone: the answer was not kept."""

    digest: str
    status: int
    media: str
    body: str
    created_at: int


def insert_key(key: ApiKey, *, first: bool = False) -> Statement:
    """A new key. With ``first`` only where there has never been one. A second one of the same id loses the race."""
    values = (
        key.id, key.name, key.digest, "\n".join(key.roles), key.vehicle, key.created_at, key.created_by, key.person,
        key.expires_at, key.revoked_at,
    )  # fmt: skip
    if not first:
        return Statement(f"INSERT INTO api_key ({_KEY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    # A SELECT gives PostgreSQL no types for its parameters.
    slots = (
        "CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT), "
        "CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT)"
    )
    return Statement(f"INSERT INTO api_key ({_KEY}) SELECT {slots} WHERE NOT EXISTS (SELECT 1 FROM api_key)", values)


def revoke_key(key_id: str, now_ms: int) -> Statement:
    """Its end; one that was revoked already loses the race."""
    return Statement("UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (now_ms, key_id))


def begin_answer(caller: str, key: str, digest: str, now_ms: int, most: int, life: str = "") -> Statement:
    """A request is being worked on in this ``life`` of a connector; where its key is known, or its caller has ``most`` of them,
    that loses the race."""
    return Statement(
        "INSERT INTO idempotency (caller, key, digest, status, media, body, created_at) SELECT CAST(? AS TEXT), CAST(? AS TEXT), "
        "CAST(? AS TEXT), 0, CAST(? AS TEXT), '', CAST(? AS BIGINT) "
        "WHERE (SELECT count(*) FROM idempotency WHERE caller = ?) < ?",
        (caller, key, digest, life, now_ms, caller, most),
    )


def keep_answer(caller: str, key: str, status: int, media: str, body: str) -> Statement:
    """What was answered."""
    return Statement(
        "UPDATE idempotency SET status = ?, media = ?, body = ? WHERE caller = ? AND key = ? AND status = 0",
        (status, media, body, caller, key),
        None,
    )


def forget_answer(caller: str, key: str) -> Statement:
    """Nothing was done: the request may come again."""
    return Statement("DELETE FROM idempotency WHERE caller = ? AND key = ? AND status = 0", (caller, key), None)


def forget_answers_before(at_ms: int) -> Statement:
    """All that are older."""
    return Statement("DELETE FROM idempotency WHERE created_at < ?", (at_ms,), None)


class AccessStore:
    """Typed reads over either engine. Raises StoreUnavailable where the engine does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.shared = getattr(engine, "dialect", "") == "postgresql"

    async def key(self, key_id: str) -> ApiKey | None:
        """The key of this id, whether it still opens anything or not."""
        rows = await self.engine.fetch(f"SELECT {_KEY} FROM api_key WHERE id = ?", (key_id,))
        return _key(rows[0]) if rows else None

    async def keys(self, after: tuple[int, str], limit: int) -> list[ApiKey]:
        """A page of them in the order of their making, after one that was made at a time and has an id."""
        rows: Sequence[Any] = await self.engine.fetch(
            f"SELECT {_KEY} FROM api_key WHERE created_at > ? OR (created_at = ? AND id > ?) ORDER BY created_at, id LIMIT ?",
            (after[0], after[0], after[1], limit),
        )
        return [_key(row) for row in rows]

    async def answered(self, caller: str, key: str) -> Answered | None:
        """What was answered to a caller's request of this key."""
        rows = await self.engine.fetch(
            "SELECT digest, status, media, body, created_at FROM idempotency WHERE caller = ? AND key = ?", (caller, key)
        )
        return Answered(*_any(rows[0])) if rows else None


def _key(row: Any) -> ApiKey:
    key_id, name, digest, roles, vehicle, created_at, created_by, person, expires_at, revoked_at = row
    listed = tuple(roles.split("\n"))
    return ApiKey(key_id, name, digest, listed, created_at, created_by, person, vehicle, expires_at, revoked_at)


def _any(row: Any) -> Any:
    return row
