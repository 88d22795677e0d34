"""Which way to identify is used towards whom: pinned tokens where the settings have one for the peer, OAuth for all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.identity.interface import Call, Outbound
from connector.identity.pinned import PinnedTokens


@dataclass(frozen=True, slots=True)
class Choice:
    """The outbound half of all ways together."""

    pinned: PinnedTokens
    oauth: Outbound

    def _for(self, counterparty: str) -> Outbound:
        return self.pinned if self.pinned.speaks_to(counterparty) else self.oauth

    async def outbound(self, counterparty: str, call: Call) -> Mapping[str, str]:
        """As Outbound.outbound."""
        return await self._for(counterparty).outbound(counterparty, call)

    def challenged(self, counterparty: str, call: Call, headers: Mapping[str, str]) -> bool:
        """As Outbound.challenged."""
        return self._for(counterparty).challenged(counterparty, call, headers)
