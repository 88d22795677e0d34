"""Participants known by settings: pinned tokens, and the addresses that belong to each.

A token is looked up by its SHA-256, so that the time of a comparison tells nothing of it. A callback address must stand
below an address of the participant that sends it: otherwise a peer could have us talk to somebody else in its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from connector.identity.interface import Principal
from connector.protocol.errors import CallerError, NotAuthenticated, NotFound
from connector.settings.model import PeerSettings

_ODD: Final = frozenset("?#\\")


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


class Directory:
    """Where participants can be reached."""

    def __init__(self, peers: Sequence[PeerSettings]) -> None:
        self._addresses = {peer.id: tuple(address.rstrip("/") for address in peer.addresses) for peer in peers}

    def address(self, participant: str) -> str:
        """The first base address of a participant. Raises NotFound if we have none."""
        found = self._addresses.get(participant)
        if not found:
            raise NotFound("peer-unknown", f"no address is known for participant {participant:.80}; add it to [[peers]]")
        return found[0]

    def known(self, participant: str, address: str | None) -> str:
        """``address`` if it belongs to the participant, else its first one. Raises CallerError if it belongs to another."""
        if address is None:
            return self.address(participant)
        if not self.owns(participant, address):
            raise CallerError("address-foreign", "this address is not one of the participant's; see its entry in [[peers]]")
        return address.rstrip("/")

    def owns(self, participant: str, address: str) -> bool:
        """Whether ``address`` is an address of the participant or stands below one.

        Whatever could lead elsewhere once a client has tidied the address up (dot segments, also encoded; a query, a
        fragment, a backslash) belongs to nobody.
        """
        wanted = address.rstrip("/")
        segments = unquote(wanted).split("/")
        if ".." in segments or "." in segments or _ODD.intersection(wanted):
            return False
        return any(wanted == own or wanted.startswith(own + "/") for own in self._addresses.get(participant, ()))
