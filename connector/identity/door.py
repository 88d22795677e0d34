"""What is checked again when a message changes state: the caller's standing, and that what is single-use was not used before.

A message that changes state commits :meth:`Door.statement` with what it causes, so a revocation or a second use is noticed in the
transaction itself; :meth:`Door.explain` says after a lost race whether it was that. What ended without a commit is used up
by :meth:`Door.settle`. Imports the store's seam and the error tree only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from connector.identity.interface import Principal
from connector.identity.participants import Participant
from connector.protocol.errors import NotAuthenticated, NotNow
from connector.store import registry as rows
from connector.store.control import ControlStore
from connector.store.engine import LostRace, Statement, StoreUnavailable
from connector.telemetry import logger

FORGET_EVERY_S: Final = 60.0
log = logger("door")


class _Registry(Protocol):
    async def participant(self, participant_id: str) -> Participant | None: ...

    async def used(self, key: str) -> bool: ...

    async def forget_used(self, now_ms: int) -> None: ...


class OpenDoor:
    """Where callers have no standing that could change: nothing is checked again."""

    def statement(self, principal: Principal) -> list[Statement]:
        """Nothing."""
        return []

    async def explain(self, principal: Principal) -> None:
        """It was never the standing."""

    async def settle(self, principal: Principal) -> None:
        """There is nothing to use up."""


class Door(OpenDoor):
    """The guard of one worker's transactions."""

    def __init__(self, registry: _Registry, store: ControlStore, *, shared: bool) -> None:
        self._registry = registry
        self._store = store
        self._shared = shared

    def statement(self, principal: Principal) -> list[Statement]:
        """What the transaction of a message of ``principal`` has to carry: at most one statement."""
        if principal.standing is None or principal.standing.spent:
            return []
        return [rows.recheck(principal.participant_id, principal.standing, shared=self._shared)]

    async def explain(self, principal: Principal) -> None:
        """After a lost race: return if the caller's standing was not the cause.

        Raises NotAuthenticated for a second use and for who is not welcome any more, NotNow when the entry has changed otherwise.
        """
        standing = principal.standing
        if standing is None or standing.spent:
            return
        if standing.once is not None and await self._registry.used(standing.once):
            raise NotAuthenticated("proof-replayed", "this proof was used before; make a new one for each request")
        entry = await self._registry.participant(principal.participant_id)
        if entry is None or not entry.state.welcome:
            raise unwelcome(entry)
        if entry.revision != standing.revision:
            raise NotNow("standing-changed", "your entry in the registry has just changed; send the message again")

    async def settle(self, principal: Principal) -> None:
        """Use up what a request brought that ended without a commit. Raises as ``explain`` does."""
        statements = self.statement(principal)
        if not statements or principal.standing is None or principal.standing.once is None:
            return
        try:
            await self._store.commit(statements)
        except LostRace:
            await self.explain(principal)
        principal.spend()

    async def forgetting(self, now_ms: Callable[[], int], pause_s: float = FORGET_EVERY_S) -> None:
        """Until cancelled: forget what is used up and too old to be shown again."""
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self._registry.forget_used(now_ms())
            except StoreUnavailable as error:
                log.warning("what is used up cannot be forgotten now", error=str(error))


def unwelcome(entry: Participant | None) -> NotAuthenticated:
    """Why a participant is not answered, and what would help."""
    if entry is None:
        return NotAuthenticated("participant-unknown", "you are not in the registry here; ask the operator to add you")
    why = f": {entry.reason}" if entry.reason else ""
    return NotAuthenticated(f"participant-{entry.state.value}", f"you are {entry.state.value} here{why}; ask the operator")
