"""Pairs of an access and a refresh token: what is made, what is kept of it, and the SQL of the table ``token``.

A pair is offered, in use, or dead. The first pair of an address is in use from the start. One that comes in exchange is offered;
the first time that either of its tokens is used, it takes over, and every other pair of the flow dies: so an answer that was
lost, or came twice, takes nothing away from anybody. Tokens are kept as digests. May import this package and the engine's seam.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from connector.dataplane.messages import HTTP_PULL, DataAddress, Property
from connector.dataplane.records import hash_token
from connector.store.engine import Engine, Row, Statement, Value

TOKEN_BYTES: Final = 32
MAX_OFFERED: Final = 8
"""Pairs of a flow that are offered at the same time; the oldest makes room."""
KEPT_DEAD_MS: Final = 24 * 3600 * 1000
"""How long it is remembered that a token is dead, and not just unknown."""
MAX_RACES: Final = 8
_COLUMNS: Final = "sha256, flow_id, refresh_sha256, expires_at, used, dead"


@dataclass(frozen=True, slots=True)
class Pair:
    """What is kept of a pair. ``used``: it is in use, not only offered. ``expires_at`` (ms) is of the access token."""

    access_sha256: bytes
    flow_id: str
    refresh_sha256: bytes | None
    expires_at: int | None
    used: bool
    dead: bool

    def expired(self, now_ms: int) -> bool:
        return self.expires_at is not None and self.expires_at <= now_ms


@dataclass(frozen=True, slots=True)
class Made:
    """A new pair in plain text, to be handed out once; ``life_s`` None: it has no refresh token and no end."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    life_s: int | None
    now_ms: int


def make(life_s: int | None, now_ms: int) -> Made:
    """A new pair that lives ``life_s`` seconds; None: an access token alone, for as long as its transfer runs."""
    refresh = None if life_s is None else secrets.token_urlsafe(TOKEN_BYTES)
    return Made(secrets.token_urlsafe(TOKEN_BYTES), refresh, life_s, now_ms)


def address_of(url: str, made: Made) -> DataAddress:
    """The data address of http-pull, with what renews the token (Data Plane Signaling 1.0-RC3, http-pull)."""
    properties = [Property("authorization", made.access), Property("authType", "bearer")]
    if made.refresh is not None:
        properties += [
            Property("refreshToken", made.refresh),
            Property("expiresIn", str(made.life_s)),
            Property("refreshEndpoint", f"{url}/token"),
        ]
    return DataAddress(HTTP_PULL, url, tuple(properties))


async def by_access(engine: Engine, token: str) -> Pair | None:
    """The pair of a presented access token."""
    return _pair(await engine.fetch(f"SELECT {_COLUMNS} FROM token WHERE sha256 = ?", (hash_token(token),)))  # noqa: S608


async def by_refresh(engine: Engine, token: str) -> Pair | None:
    """The pair of a presented refresh token."""
    return _pair(await engine.fetch(f"SELECT {_COLUMNS} FROM token WHERE refresh_sha256 = ?", (hash_token(token),)))  # noqa: S608


def insert(made: Made, flow_id: str, *, used: bool) -> Statement:
    refresh = None if made.refresh is None else hash_token(made.refresh)
    expires_at = None if made.life_s is None else made.now_ms + made.life_s * 1000
    values: tuple[Value, ...] = (hash_token(made.access), flow_id, refresh, expires_at, int(used), made.now_ms)
    return Statement(
        "INSERT INTO token (sha256, flow_id, refresh_sha256, expires_at, used, made_at, dead) VALUES (?, ?, ?, ?, ?, ?, 0)",
        values,
    )


def take_over(pair: Pair, now_ms: int) -> list[Statement]:
    """An offered pair takes over, all others of its flow die. Loses the race if it is not offered any more."""
    return [
        Statement("UPDATE token SET used = 1 WHERE sha256 = ? AND used = 0 AND dead = 0", (pair.access_sha256,)),
        Statement(
            "UPDATE token SET dead = 1 WHERE flow_id = ? AND sha256 <> ? AND dead = 0", (pair.flow_id, pair.access_sha256), None
        ),
        Statement(
            "DELETE FROM token WHERE flow_id = ? AND dead = 1 AND made_at < ?", (pair.flow_id, now_ms - KEPT_DEAD_MS), None
        ),
    ]


def offer(pair: Pair, made: Made) -> list[Statement]:
    """A pair in exchange for ``pair``, which stays until the new one is used. Loses the race if ``pair`` changed meanwhile."""
    if pair.used:
        first = [Statement("UPDATE token SET used = 1 WHERE sha256 = ? AND used = 1 AND dead = 0", (pair.access_sha256,))]
    else:
        first = take_over(pair, made.now_ms)
    room = Statement(
        "DELETE FROM token WHERE flow_id = ? AND used = 0 AND dead = 0 AND sha256 NOT IN (SELECT sha256 FROM token"
        " WHERE flow_id = ? AND used = 0 AND dead = 0 ORDER BY made_at DESC, sha256 LIMIT ?)",
        (pair.flow_id, pair.flow_id, MAX_OFFERED - 1),
        None,
    )
    return [*first, room, insert(made, pair.flow_id, used=False)]


def _pair(rows: list[Row]) -> Pair | None:
    if not rows:
        return None
    access, flow_id, refresh, expires_at, used, dead = rows[0]
    return Pair(
        access if isinstance(access, bytes) else b"",
        str(flow_id),
        refresh if isinstance(refresh, bytes) else None,
        None if expires_at is None else int(expires_at),
        bool(used),
        bool(dead),
    )
