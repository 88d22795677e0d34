"""What every service of the management interface needs, put together once in ``app.py``.

The services are plain coroutines over it (``assets``, ``policies``, ``definitions``, ``secrets``, ``checks``): each is a use
case, knows neither HTTP nor JSON-LD, and raises the connector's errors. May import flow and store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.flow.browse import Browser
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.management.sealing import SecretBox

if TYPE_CHECKING:
    from connector.store.definitions import DefinitionStore


@dataclass(frozen=True, slots=True)
class Management:
    """The surroundings of the management services. ``secrets`` seals the values that data sources need."""

    context: Context
    plane: Plane
    browser: Browser
    store: DefinitionStore
    secrets: SecretBox
