"""Whether the connector is well, and which data planes it has. May import flow's plane and store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connector.management.addresses import TYPES
from connector.management.service import Management
from connector.protocol.errors import Conflict
from connector.protocol.messages import PULL
from connector.store.engine import StoreUnavailable

DATABASE: Final = "database"
PLANE: Final = "data-plane"


@dataclass(frozen=True, slots=True)
class Component:
    """One part, and what is wrong with it (None: it is well)."""

    name: str
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Whether all parts are well. Fit for anybody: it names parts and says nothing of what they hold."""

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
    return Health((await _database(m), Component(PLANE, None if m.plane.ready else "it does not answer yet")))


async def liveness(_: Management) -> Health:
    """That this process answers."""
    return Health((Component("connector"),))


async def planes(m: Management) -> list[DataPlane]:
    """The data planes: one, here or elsewhere."""
    ready = m.plane.ready
    state, active = ("AVAILABLE", m.context.now_ms()) if ready else ("UNAVAILABLE", 0)
    return [DataPlane(f"{m.context.participant_id}:data-plane", m.plane.base or "", state, TYPES, (PULL,), active)]


def own_plane() -> Conflict:
    """Why none is registered or taken off: what it enforces decides what may be offered, and is settled at the start."""
    said = "the connector brings its data plane, which is neither registered nor taken off here; the settings say which ([data])"
    return Conflict("dataplane-own", said)


async def _database(m: Management) -> Component:
    try:
        await m.store.engine.fetch("SELECT 1")
    except StoreUnavailable:
        return Component(DATABASE, "it does not answer")
    return Component(DATABASE)
