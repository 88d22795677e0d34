"""The seam of identity: who is calling, and what shows others who we are.

Every way to identify (pinned tokens now, OAuth and DCP behind the same two calls) implements :class:`Identity`; nothing else in
the connector looks at an Authorization header. Imports the error tree only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. ``claims`` come from a registry or credential; ``assurance`` says how it was recognised."""

    participant_id: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    assurance: str = "pinned-token"


class Identity(Protocol):
    """One way to recognise callers and to be recognised."""

    async def outbound(self, counterparty: str, url: str) -> Mapping[str, str]:
        """Headers that show ``counterparty`` at ``url`` who we are. Raises CallerError if we have nothing to show."""

    async def inbound(self, method: str, url: str, headers: Mapping[str, str]) -> Principal:
        """The caller of a request. Raises NotAuthenticated."""
