"""The parts of identity put together from the settings: who recognises callers, and what shows others who we are."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from connector.http.client import GuardedClient
from connector.identity.choice import Choice
from connector.identity.directory import Directory
from connector.identity.door import Door
from connector.identity.interface import Entrance
from connector.identity.pinned import PinnedTokens
from connector.identity.registry import Registry
from connector.settings import Settings
from connector.store.control import ControlStore
from connector.store.registry import RegistryStore

PINNED_AUTH = {"protocol": "carnet-pinned-token", "version": "1", "profile": ["bearer"]}
OAUTH_AUTH = {"protocol": "OAuth", "version": "2", "profile": ["client_credentials", "private_key_jwt", "dpop"]}


@dataclass(frozen=True, slots=True)
class Recognition:
    """Everything that app.py needs of identity."""

    registry: Registry
    directory: Directory
    entrances: tuple[Entrance, ...]
    outbound: Choice
    door: Door
    routes: list[web.RouteDef]
    callback_for: Callable[[str], str | None]
    close: Callable[[], Awaitable[None]]


async def recognition(
    settings: Settings,
    origin: str,
    store: ControlStore,
    client: GuardedClient,
    now_ms: Callable[[], int],
    new_id: Callable[[], str],
) -> Recognition:
    """The parts of one connector whose peers see it at ``origin``."""
    rows = RegistryStore(store.engine)
    registry = Registry(rows, now_ms, time.monotonic)
    await registry.settle(settings.peers, settings.development.anonymous_participant)
    pinned = PinnedTokens(settings.peers, registry, settings.development.anonymous_participant)

    async def close() -> None:
        return

    entrances = tuple(Entrance(path, pinned, PINNED_AUTH) for path, auth in settings.protocol.paths)
    return Recognition(
        registry,
        Directory(registry),
        entrances,
        Choice(pinned, pinned),
        Door(rows, store, shared=rows.shared),
        [],
        lambda _: None,
        close,
    )
