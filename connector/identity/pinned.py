"""Pinned tokens: one in each direction for each peer of the settings. For test kits, and towards foreign peers without OAuth.

An inbound token never ends and is bound to nothing, so it is taken with the development key only. A token is looked up by its
SHA-256, so that the time of a comparison tells nothing of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from connector.identity.door import unwelcome
from connector.identity.interface import Call, Incoming, Principal, Standing
from connector.identity.participants import Admission, Participant
from connector.protocol.errors import NotAuthenticated
from connector.settings.model import PeerSettings


class _Registry(Protocol):
    async def find(self, participant_id: str) -> Participant | None: ...


def _fingerprint(token: str) -> bytes:
    # A header may hold bytes that are no UTF-8; they are nobody's token, and no mistake of ours.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class PinnedTokens:
    """One token in each direction for each peer; optionally, in development, a participant for callers without any."""

    def __init__(self, peers: Sequence[PeerSettings], registry: _Registry, anonymous: str | None = None) -> None:
        self._inbound = {_fingerprint(peer.inbound_token.reveal()): peer.id for peer in peers if peer.inbound_token is not None}
        self._outbound = {peer.id: peer.outbound_token for peer in peers if peer.inbound_token or peer.outbound_token}
        self._registry = registry
        self._anonymous = anonymous

    def speaks_to(self, counterparty: str) -> bool:
        """Whether the settings have a token for it, or of it: then OAuth is not tried."""
        return counterparty in self._outbound or counterparty == self._anonymous

    async def outbound(self, counterparty: str, call: Call) -> Mapping[str, str]:
        """The bearer token for ``counterparty``; nothing where none is configured."""
        token = self._outbound.get(counterparty)
        return {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}

    def challenged(self, counterparty: str, call: Call, headers: Mapping[str, str]) -> bool:
        """There is only the one token."""
        return False

    async def inbound(self, request: Incoming) -> Principal:
        """The participant whose token it is. Raises NotAuthenticated."""
        header = request.headers.get("Authorization")
        if header is None:
            if self._anonymous is None:
                raise NotAuthenticated("token-missing", "send the token that was agreed on as 'Authorization: Bearer ...'")
            return await self._principal(self._anonymous, "anonymous-development")
        scheme, _, token = header.partition(" ")
        known = self._inbound.get(_fingerprint(token)) if scheme.lower() == "bearer" else None
        if known is None:
            raise NotAuthenticated("token-unknown", "this token is not known here; ask the operator for a current one")
        return await self._principal(known, "pinned-token")

    async def _principal(self, participant_id: str, assurance: str) -> Principal:
        entry = await self._registry.find(participant_id)
        if entry is None or not entry.state.welcome:
            raise unwelcome(entry)
        admitted = entry.state is Admission.ADMITTED
        claims = msgspec.to_builtins(entry.claims) if admitted else {}
        return Principal(participant_id, claims, assurance, admitted, Standing(entry.revision))

    def challenge(self, error: NotAuthenticated) -> Mapping[str, str]:
        """RFC 6750, section 3."""
        return {"WWW-Authenticate": "Bearer"}
