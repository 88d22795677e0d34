"""Whom the demo's vehicles belong to agreed to what: who asks, and decisions made up for vehicles that nobody asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyers:
    """Participant ids of those that ask people for their consent. The city asks nobody: its cells need no consent."""

    insurer: str
    repairer: str | None = None
    research: str | None = None
