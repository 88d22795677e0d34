"""The seam between the use cases and the contract log: drafts in, statements of the same transaction out.

A leaf is queued by the transaction that makes what it tells true, so that neither is there without the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from connector.log.leaf import Draft
from connector.store.engine import Statement


class Journal(Protocol):
    """Who keeps the log."""

    async def leaves(self, drafts: Sequence[Draft]) -> list[Statement]:
        """The writes that queue these drafts, in their order: to be committed with what they tell. Raises StoreUnavailable."""

    def queued(self) -> None:
        """Leaves were committed: they can be put into the tree."""


class NoJournal:
    """Where no log is kept: a test, a tool."""

    async def leaves(self, drafts: Sequence[Draft]) -> list[Statement]:
        """Nothing."""
        del drafts
        return []

    def queued(self) -> None:
        """Nothing."""
