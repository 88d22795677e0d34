"""What the data plane needs of the other processes that share its database. Alone (SQLite) it needs nothing. Imports nothing."""

from __future__ import annotations

from typing import Protocol


class Replicas(Protocol):
    """The other processes on our database, and our right to serve."""

    @property
    def id(self) -> str | None:
        """Our name among them; None: there can be no others."""

    def live(self) -> bool:
        """Whether we may write the next piece."""

    async def revoke(self, flow_id: str) -> None:
        """Return when nothing that ran for the flow at another process writes any more. Raises StoreUnavailable."""

    async def others(self) -> set[str]:
        """The names of the others that may serve now."""

    async def claim(self, flow_id: str) -> bool:
        """Whether the flow's download is ours to run."""

    async def release(self, flow_id: str) -> None:
        """Somebody else may run the flow's download."""


class Cutting(Protocol):
    """Running deliveries of this process."""

    async def abort(self, flow_id: str) -> None:
        """Cut every stream of the flow; return when none can send another byte."""


class Alone:
    """One process that owns its database."""

    id: str | None = None

    def live(self) -> bool:
        """Always: nobody else can revoke anything."""
        return True

    async def revoke(self, flow_id: str) -> None:
        """There is nobody to tell."""

    async def others(self) -> set[str]:
        """None."""
        return set()

    async def claim(self, flow_id: str) -> bool:
        """Every download is ours."""
        return True

    async def release(self, flow_id: str) -> None:
        """Nobody waits for it."""


class Everywhere:
    """Deliveries of all processes: cut here, then at the others."""

    def __init__(self, here: Cutting, replicas: Replicas) -> None:
        self._here = here
        self._replicas = replicas

    async def abort(self, flow_id: str) -> None:
        """Return when no process can send another byte of the flow. Raises StoreUnavailable."""
        await self._here.abort(flow_id)
        await self._replicas.revoke(flow_id)
