"""The seam of identity: who is calling, and what shows others who we are.

Every way to identify (OAuth, pinned tokens, credentials later) implements :class:`Inbound`, :class:`Outbound` or both; nothing
else in the connector looks at an Authorization header. Imports the error tree only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from connector.protocol.errors import NotAuthenticated


class Scope(StrEnum):
    """What a request is about: the OAuth scope that it needs."""

    CATALOG = "catalog"
    NEGOTIATION = "negotiation"
    TRANSFER = "transfer"
    MESSAGES = "messages"


@dataclass(frozen=True, slots=True)
class Call:
    """A request of ours that is about to be sent. ``url`` is absolute."""

    method: str
    url: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request to us, before anybody is known. ``url`` is what the caller sees: our public address, without a query.

    ``changes``: it may change state, so that what is single-use about it is committed with what it causes; else it is judged
    at once. ``headers`` looks names up in any case, and each name that identifies a caller occurs once.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False, compare=False)
    scope: Scope
    changes: bool


@dataclass(slots=True)
class Standing:
    """What a message that changes state checks again inside its transaction.

    ``revision`` of the participant's entry as it was when the caller was recognised; ``once`` the key of what may be used a
    single time (a DPoP proof), which may be forgotten at ``expires_at`` (ms since the epoch). ``spent`` is set once a
    transaction with it was committed.
    """

    revision: int
    once: str | None = None
    expires_at: int = 0
    spent: bool = False


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. ``claims`` come from the registry or a credential; ``assurance`` says how it was recognised.

    ``admitted`` is false for a caller that has shown who it is and that nobody has vouched for.
    """

    participant_id: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    assurance: str = "pinned-token"
    admitted: bool = True
    standing: Standing | None = None

    def spend(self) -> None:
        """A transaction that checked the standing again was committed: nothing of it has to be checked or used up any more."""
        if self.standing is not None:
            self.standing.spent = True


class Outbound(Protocol):
    """One way to show others who we are."""

    async def outbound(self, counterparty: str, call: Call) -> Mapping[str, str]:
        """Headers that show ``counterparty`` who we are. Raises CallerError if we have nothing to show, PeerError or Unavailable
        if what we need for it is not given to us, or not now."""

    def challenged(self, counterparty: str, call: Call, headers: Mapping[str, str]) -> bool:
        """The answer was 401 with these headers: whether ``outbound`` has something else to show now."""


class Inbound(Protocol):
    """One way to recognise callers."""

    async def inbound(self, request: Incoming) -> Principal:
        """The caller of a request. Raises NotAuthenticated, or PolicyDenied where it shows a scope that is too small."""

    def challenge(self, error: NotAuthenticated) -> Mapping[str, str]:
        """Headers of a 401 that say how to identify here (RFC 9110, 11.6.1)."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """A base path, who recognises the callers of it, and how the version document advertises that (``auth``)."""

    base_path: str
    identity: Inbound
    auth: Mapping[str, Any]
