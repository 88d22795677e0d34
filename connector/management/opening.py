"""The management services of one connector, put together. Called by ``app.py`` alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

from connector.flow.browse import Browser
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.management import projecting
from connector.management.sealing import open_box
from connector.management.service import Management
from connector.store.definitions import DefinitionStore


async def opened(context: Context, plane: Plane, browser: Browser, data_dir: Path) -> Management:
    """The services over the parts of a connector. Raises SettingsError where the key of secrets cannot be had."""
    box = await asyncio.to_thread(open_box, data_dir)
    return Management(context, plane, browser, DefinitionStore(context.store.engine), box)


async def finishing(management: Management) -> None:
    """What an earlier life has left of contract definitions; then nothing, for as long as the connector runs."""
    await projecting.finish(management)
    await asyncio.Event().wait()
