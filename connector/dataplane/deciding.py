"""Asks the control plane, before each delivery, whether data may leave now. Without its answer nothing does.

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

AWAY = "whether this may be delivered cannot be decided now; try again"


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """The control plane's decision: see ``connector/flow/data_requests.py``."""

    permitted: bool
    reasons: tuple[str, ...] = ()
    permissions: tuple[int, ...] = ()
    purpose: str | None = None
    agreement: dict[str, Any] = {}
    counterparty: str = ""


class Decider:
    """Calls the control plane with the token that both share."""

    def __init__(self, records: Records, client: GuardedClient, settings: DataPlaneSettings) -> None:
        self._records = records
        self._client = client
        self._settings = settings

    async def decide(self, flow_id: str, purpose: str | None) -> Decided:
        """What is permitted now, for ``purpose`` or the one agreed on. Raises Refusal 403 with the reasons, or 503."""
        base = await self._records.control_plane() or self._settings.control_url
        url = f"{base.rstrip('/')}/transfers/{quote(flow_id, safe='')}/decision"
        headers = {"Authorization": f"Bearer {self._settings.control_token.reveal()}", "Content-Type": "application/json"}
        try:
            answer = await self._client.request(
                "POST",
                url,
                headers=headers,
                body=msgspec.json.encode({"purpose": purpose}),
                timeout_s=self._settings.bounds.decision_timeout_s,
            )
        except (EgressRefused, PeerUnreachable):
            raise Refusal(503, "decision_unavailable", AWAY) from None
        if answer.status == 404:
            raise Refusal(403, "policy-denied", "the transfer is not known any more")
        if answer.status != 200:
            raise Refusal(503, "decision_unavailable", AWAY)
        try:
            decided = msgspec.json.decode(answer.body, type=Decided)
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise Refusal(503, "decision_unavailable", AWAY) from None
        if not decided.permitted or not decided.permissions:
            raise Refusal(403, "policy-denied", "; ".join(decided.reasons) or "nothing is permitted")
        return decided
