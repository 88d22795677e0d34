"""Participants known by settings: pinned tokens.

A token is looked up by its SHA-256, so that the time of a comparison tells nothing of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from connector.identity.interface import Principal
from connector.protocol.errors import NotAuthenticated
from connector.settings.model import PeerSettings


def _fingerprint(token: str) -> bytes:
    # A header may hold bytes that are no UTF-8; they are nobody's token, and no mistake of ours.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class StaticTokens:
    """One token in each direction for each peer; optionally, in development, a participant for callers without any."""

    def __init__(self, peers: Sequence[PeerSettings], anonymous: str | None = None) -> None:
        self._inbound = {_fingerprint(peer.inbound_token.reveal()): peer.id for peer in peers if peer.inbound_token is not None}
        self._outbound = {peer.id: peer.outbound_token for peer in peers}
        self._anonymous = anonymous

    async def outbound(self, counterparty: str, url: str) -> Mapping[str, str]:
        """The bearer token for ``counterparty``; nothing where none is configured."""
        token = self._outbound.get(counterparty)
        return {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}

    async def inbound(self, method: str, url: str, headers: Mapping[str, str]) -> Principal:
        """The participant whose token it is."""
        header = headers.get("Authorization")
        if header is None:
            if self._anonymous is not None:
                return Principal(self._anonymous, assurance="anonymous-development")
            raise NotAuthenticated("token-missing", "send the token that was agreed on as 'Authorization: Bearer ...'")
        scheme, _, token = header.partition(" ")
        known = self._inbound.get(_fingerprint(token)) if scheme.lower() == "bearer" else None
        if known is None:
            raise NotAuthenticated("token-unknown", "this token is not known here; ask the operator for a current one")
        return Principal(known)
