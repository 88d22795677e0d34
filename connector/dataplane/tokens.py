"""The provider's tokens: which opens the data of a flow now, and how its consumer gets the next pair.

Two doors into the table of pairs: a request for data with an access token, and ``POST /public/{flow_id}/token`` with a refresh
token and an assertion (Data Plane Signaling 1.0-RC3, http-pull; RFC 6749, 6). Either takes over an offered pair the first time.
May import this package and the engine's seam.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from connector.dataplane import pairs
from connector.dataplane.asserting import Asserter
from connector.dataplane.pairs import MAX_RACES, Made, Pair
from connector.dataplane.problems import Refusal
from connector.dataplane.records import Flow, Records
from connector.dataplane.states import ENDED, State
from connector.store.engine import LostRace

MAX_FORM_BYTES: Final = 8192
MAX_TOKEN_CHARS: Final = 4096
MAX_ASSERTION_CHARS: Final = 16_384
_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_GRANT: Final = {"error": "invalid_grant"}
_RACES: Final = "the transfer changes too often; try again"


class Tokens:
    """Judges and renews tokens. ``life_s`` is how long an access token opens anything."""

    def __init__(self, records: Records, asserter: Asserter, life_s: int, now_ms: Callable[[], int]) -> None:
        self._records = records
        self._asserter = asserter
        self._life_s = life_s
        self._now_ms = now_ms

    async def admitted(self, flow_id: str, token: str) -> Flow:
        """The flow that an access token opens now. Raises Refusal, each failure with its own code."""
        for _ in range(MAX_RACES):
            pair = await pairs.by_access(self._records.engine, token)
            if pair is None:
                raise Refusal(403, "token_unknown", "this token opens nothing")
            flow = await self._running(flow_id, pair)
            if pair.dead:
                raise Refusal(403, "token_revoked", "the transfer has a newer token")
            if pair.expired(self._now_ms()):
                raise Refusal(401, "token_expired", "the token has expired; renew it")
            if pair.used:
                return flow
            try:
                await self._records.commit(pairs.take_over(pair, self._now_ms()))
            except LostRace:
                continue
            return flow
        raise Refusal(503, "busy", _RACES)

    async def renew(self, flow_id: str, refresh: str, assertion: str) -> Made:
        """A pair in exchange for one that is not dead. Raises Refusal.

        Nothing is asked of the control plane for who has no refresh token of the flow.
        """
        checked: bytes | None = None
        for _ in range(MAX_RACES):
            pair = await pairs.by_refresh(self._records.engine, refresh)
            if pair is None:
                raise Refusal(400, "refresh_unknown", "this refresh token renews nothing", more=_GRANT)
            await self._running(flow_id, pair)
            if pair.dead:
                raise Refusal(400, "refresh_retired", "a newer token was used; this one renews nothing any more", more=_GRANT)
            if checked != pair.access_sha256:
                await self._asserter.check(flow_id, assertion, pair.access_sha256)
                checked = pair.access_sha256
            made = pairs.make(self._life_s, self._now_ms())
            try:
                await self._records.commit(pairs.offer(pair, made))
            except LostRace:
                continue
            return made
        raise Refusal(503, "busy", _RACES)

    async def _running(self, flow_id: str, pair: Pair) -> Flow:
        """The token's flow, if it is the one that is asked for and runs."""
        flow = await self._records.flow(flow_id)
        if flow is None or not hmac.compare_digest(pair.flow_id.encode(), flow_id.encode("utf-8", "surrogateescape")):
            raise Refusal(404, "flow_unknown", "this token belongs to no such transfer")
        if flow.state in ENDED:
            raise Refusal(410, "flow_ended", f"the transfer is {flow.state}")
        if flow.state is not State.STARTED:
            raise Refusal(403, "flow_suspended", f"the transfer is {flow.state}")
        return flow

    async def handle(self, request: web.Request) -> web.Response:
        """``POST /public/{flow_id}/token``; RFC 6749, 5.1 and 5.2."""
        try:
            assertion = _assertion(request.headers.get("Authorization", ""))
            made = await self.renew(request.match_info["flow_id"], _refresh_token(await request.read()), assertion)
        except Refusal as refusal:
            return refusal.response()
        answer: dict[str, Any] = {"access_token": made.access, "token_type": "Bearer", "expires_in": made.life_s}
        answer["refresh_token"] = made.refresh
        return web.json_response(answer, headers={"Cache-Control": "no-store"})


def _assertion(header: str) -> str:
    """The JWT of ``Authorization: Bearer <JWT>``. Raises Refusal 401."""
    scheme, _, assertion = header.strip().partition(" ")
    if scheme.lower() != "bearer" or len(assertion) > MAX_ASSERTION_CHARS or not _JWT.fullmatch(assertion.strip()):
        reason = "an Authorization header with your signed JWT is needed"
        raise Refusal(401, "assertion_missing", reason, more={"error": "invalid_client"})
    return assertion.strip()


def _refresh_token(body: bytes) -> str:
    """Of the form ``grant_type=refresh_token&refresh_token=...``. Raises Refusal 400."""
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise Refusal(400, "form", "send a form", more={"error": "invalid_request"}) from None
    found = dict(fields)
    if len(found) != len(fields):
        raise Refusal(400, "form", "send each parameter once", more={"error": "invalid_request"})
    if found.get("grant_type") != "refresh_token":
        raise Refusal(400, "grant_type", "the grant is refresh_token", more={"error": "unsupported_grant_type"})
    token = found.get("refresh_token", "")
    if not 0 < len(token) <= MAX_TOKEN_CHARS:
        raise Refusal(400, "form", "send the refresh_token", more={"error": "invalid_request"})
    return token
