"""What every service of the management interface needs, put together once in ``app.py``.

The services are plain coroutines over it (``assets``, ``policies``, ``definitions``, ``secrets``, ``checks``): each is a use
case, knows neither HTTP nor JSON-LD, and raises the connector's errors. May import flow and store.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from connector.flow.browse import Browser
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.management.rules import Known, Rules
from connector.management.sealing import SecretBox
from connector.store.definitions import DefinitionStore
from connector.store.projection import ProjectionStore


@dataclass(frozen=True, slots=True)
class Management:
    """The surroundings of the management services. ``secrets`` seals the values that data sources need, ``known`` remembers all
    contract definitions, ``locks`` keeps apart those who change one asset."""

    context: Context
    plane: Plane
    browser: Browser
    store: DefinitionStore
    secrets: SecretBox
    known: Known = field(default_factory=Known)
    locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    @property
    def projection(self) -> ProjectionStore:
        """What has to be looked at."""
        return ProjectionStore(self.store.engine)

    async def rules(self) -> Rules:
        """All contract definitions as they are now."""
        return await self.known.current(self.store, self.context.participant_id, self.context.declared)

    def lock(self, name: str) -> asyncio.Lock:
        """The lock of one asset; it is gone with its last holder."""
        return self.locks.setdefault(name, asyncio.Lock())
