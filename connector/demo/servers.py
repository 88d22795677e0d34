"""The demo's connectors as processes of their own: `carnet serve`, started, awaited and always stopped.

Each holds our end of a pipe as its standard input, so that it ends with us however we end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from connector.client.local import Away
from connector.demo.houses import House

READY_S: Final = 30.0
STOP_S: Final = 15.0
LOOK_S: Final = 0.05
LOG_LINES: Final = 5


class NotServing(Exception):
    """A connector did not start, or ended; the text holds the last lines of its log."""


@asynccontextmanager
async def serving(house: House) -> AsyncIterator[None]:
    """A connector that answers on its owner's channel for as long as the block runs. Raises NotServing."""
    process = await _start(house)
    try:
        await _ready(house, process)
        yield
    finally:
        await asyncio.shield(_stop(process))


async def _start(house: House) -> asyncio.subprocess.Process:
    log = os.open(house.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "connector.cli", "serve", "--config", str(house.config), "--exit-with-stdin"),
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environ,
            start_new_session=True,  # Ctrl-C is for the demo, which then stops its connectors one after the other
        )
    finally:
        os.close(log)


async def _ready(house: House, process: asyncio.subprocess.Process) -> None:
    """The channel is opened last, so who answers there is ready."""
    try:
        async with asyncio.timeout(READY_S), house.client() as client:
            while process.returncode is None:
                with contextlib.suppress(Away):
                    if (await client.status())["dataPlane"]:
                        return
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise NotServing(f"the {house.name} did not become ready within {READY_S:.0f} s{_last_lines(house)}") from None
    raise NotServing(f"the {house.name} has ended with code {process.returncode}{_last_lines(house)}")


def _last_lines(house: House) -> str:
    lines = house.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    return "".join(f"\n  {line}" for line in [f"last lines of {house.log}:", *lines])


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
