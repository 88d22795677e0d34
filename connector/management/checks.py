"""Whether the connector is well, and which data planes it has. May import flow's plane and store."""

from __future__ import annotations

from dataclasses import dataclass

from connector.management.service import Management


@dataclass(frozen=True, slots=True)
class Component:
    """One part, and what is wrong with it (None: it is well)."""

    name: str
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Whether all parts are well."""

    components: tuple[Component, ...]

    @property
    def healthy(self) -> bool:
        """Whether none has failed."""
        return all(each.failure is None for each in self.components)


@dataclass(frozen=True, slots=True)
class DataPlane:
    """A data plane as the management interface shows it. ``last_active``: ms since the epoch."""

    id: str
    url: str
    state: str
    source_types: tuple[str, ...]
    transfer_types: tuple[str, ...]
    last_active: int


async def health(m: Management) -> Health:
    """Health and readiness: database and data plane."""
    raise NotImplementedError


async def liveness(m: Management) -> Health:
    """That this process answers."""
    raise NotImplementedError


async def planes(m: Management) -> list[DataPlane]:
    """The data planes."""
    raise NotImplementedError
