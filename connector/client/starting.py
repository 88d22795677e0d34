"""A connector of this machine, for programs: made and run by the same commands as by hand, in processes of their own.

May import this package and settings.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from connector.client.carnet import Carnet
from connector.client.refusals import Away
from connector.protocol.errors import CarnetError
from connector.settings import load

READY_S: Final = 30.0
STOP_S: Final = 15.0
LOOK_S: Final = 0.05
LOG_LINES: Final = 5
LOG_BYTES: Final = 65_536
_SAID: Final = re.compile(r"^Error: (?P<sentence>.*) \[(?P<code>[a-z0-9_-]+)\]\nDo this: (?P<remedy>.*)", re.M)


class NotStarted(CarnetError):
    """A connector was not made, did not start, or has ended; the reason says why."""


async def init(
    folder: str | Path,
    participant_id: str | None = None,
    *,
    loopback: int | None = None,
    beside: Iterable[int] = (),
    settings: Mapping[str, str] | None = None,
) -> Path:
    """Make the folder of a new connector, as ``carnet init``: its settings file.

    ``loopback``: for trying out on this machine alone, on this port and the one after it; ``beside`` are the ports of others.
    ``settings`` by ``section.key``, values as in TOML. Raises NotStarted with what stands in the way.
    """
    words = [str(folder), *(["--participant-id", participant_id] if participant_id else [])]
    words += ["--loopback", str(loopback)] if loopback is not None else []
    words += [word for port in beside for word in ("--beside", str(port))]
    words += [word for name, value in (settings or {}).items() for word in ("--set", f"{name}={value}")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector.cli", "init", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
    )
    _, wrong = await process.communicate()
    if process.returncode != 0:
        raise _failed(wrong)
    return Path(folder) / "carnet.toml"


@asynccontextmanager
async def serving(settings: str | Path, log: str | Path | None = None) -> AsyncIterator[Carnet]:
    """The connector of this settings file, running and ready for as long as the block: a client of it.

    ``log``: where it writes what happens, ``carnet.log`` beside the settings file if left out. It ends with this program, however
    that ends. Raises NotStarted, and SettingsError.
    """
    config = Path(settings)
    found = await asyncio.to_thread(load, config, _environment())
    written = config.with_name("carnet.log") if log is None else Path(log)
    process = await _start(config, written)
    try:
        async with Carnet.local(found) as carnet:
            await _ready(carnet, process, written)
            yield carnet
    finally:
        await asyncio.shield(_stop(process))


async def _start(config: Path, log: Path) -> asyncio.subprocess.Process:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "connector.cli", "serve", "--config", str(config), "--exit-with-stdin"),
            stdin=asyncio.subprocess.PIPE,
            stdout=descriptor,
            stderr=descriptor,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for the program, which then ends its block
        )
    finally:
        os.close(descriptor)


async def _ready(carnet: Carnet, process: asyncio.subprocess.Process, log: Path) -> None:
    """Its channel is opened last, and nothing announces that: who answers there is ready."""
    try:
        async with asyncio.timeout(READY_S):
            while process.returncode is None:
                with suppress(Away):
                    if (await carnet.status()).data_plane:
                        return
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        last = await asyncio.to_thread(_last_lines, log)
        raise NotStarted("not-ready", f"the connector is not ready after {READY_S:.0f} s{last}") from None
    last = await asyncio.to_thread(_last_lines, log)
    raise NotStarted("not-started", f"the connector has ended with code {process.returncode}{last}")


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


def _environment() -> dict[str, str]:
    """Without settings from outside: a program that runs several connectors has one environment."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}


def _last_lines(log: Path) -> str:
    with log.open("rb") as opened:
        opened.seek(max(0, os.fstat(opened.fileno()).st_size - LOG_BYTES))
        lines = opened.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    return "".join(f"\n  {line}" for line in [f"last lines of {log}:", *lines])


def _failed(wrong: bytes) -> NotStarted:
    """What a command says on standard error, in the one shape of all."""
    text = wrong.decode("utf-8", "replace").strip()
    found = _SAID.search(text)
    if found is None:
        return NotStarted("not-made", text or "the connector was not made")
    return NotStarted(found["code"], f"{found['sentence']}; {found['remedy']}")
