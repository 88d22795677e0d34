"""The management services of one connector, put together. Called by ``app.py`` alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from connector.flow.browse import Browser
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.management import projecting
from connector.management.sealing import open_box
from connector.management.service import Management
from connector.store.definitions import DefinitionStore
from connector.store.engine import StoreUnavailable
from connector.telemetry import logger

FINISH_EVERY_S: Final = 60.0
log = logger("management")


async def opened(context: Context, plane: Plane, browser: Browser, data_dir: Path) -> Management:
    """The services over the parts of a connector. Raises SettingsError where the key of secrets cannot be had."""
    box = await asyncio.to_thread(open_box, data_dir)
    return Management(context, plane, browser, DefinitionStore(context.store.engine), box)


async def finishing(management: Management, pause_s: float = FINISH_EVERY_S) -> None:
    """Until cancelled: carry out what an earlier life, another replica or a busy time has left of contract definitions."""
    while True:
        try:
            await projecting.finish(management)
        except StoreUnavailable as error:
            log.warning("contract definitions cannot be looked at now", error=str(error))
        await asyncio.sleep(pause_s)
