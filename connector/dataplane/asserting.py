"""Asks the control plane for what needs keys: an assertion of ours, or whether one that we were shown holds.

May import this package and the guarded client.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from connector.dataplane.problems import Refusal
from connector.dataplane.records import Records
from connector.dataplane.settings import DataPlaneSettings
from connector.http.client import EgressRefused, GuardedClient, PeerUnreachable

AWAY = "the token cannot be renewed now; try again"


class _Answer(msgspec.Struct, frozen=True):
    ok: bool = False
    code: str = "assertion-refused"
    reason: str = "the assertion does not hold"
    assertion: str = ""


class Asserter:
    """Calls the control plane with the token that both share."""

    def __init__(self, records: Records, client: GuardedClient, settings: DataPlaneSettings) -> None:
        self._records = records
        self._client = client
        self._settings = settings

    async def make(self, flow_id: str, token: str) -> str:
        """An assertion of ours that renews ``token``, good once. Raises Refusal 503 where there is none now."""
        assertion = (await self._ask(flow_id, "assertion", {"token": token})).assertion
        if not assertion:
            raise Refusal(503, "assertion_unavailable", AWAY)
        return assertion

    async def check(self, flow_id: str, assertion: str, token_sha256: bytes) -> None:
        """That the flow's consumer made it, about the access token with this digest; used up thereby. Raises Refusal 401, 503."""
        found = await self._ask(flow_id, "assertion/check", {"assertion": assertion, "tokenSha256": token_sha256.hex()})
        if not found.ok:
            raise Refusal(401, found.code, found.reason, more={"error": "invalid_client"})

    async def _ask(self, flow_id: str, what: str, body: dict[str, Any]) -> _Answer:
        base = await self._records.control_plane() or self._settings.control_url
        url = f"{base.rstrip('/')}/transfers/{quote(flow_id, safe='')}/{what}"
        headers = {"Authorization": f"Bearer {self._settings.control_token.reveal()}", "Content-Type": "application/json"}
        timeout_s = self._settings.bounds.decision_timeout_s
        try:
            answer = await self._client.request("POST", url, headers=headers, body=msgspec.json.encode(body), timeout_s=timeout_s)
            if answer.status != 200:
                raise Refusal(503, "assertion_unavailable", AWAY)
            return msgspec.json.decode(answer.body, type=_Answer)
        except (EgressRefused, PeerUnreachable, msgspec.DecodeError, msgspec.ValidationError):
            raise Refusal(503, "assertion_unavailable", AWAY) from None
