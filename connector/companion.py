"""The data plane as a process of its own, started and kept alive by the connector.

It holds the other end of our standard input: however we die, it sees the end and stops, so that no orphan goes on delivering.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from connector.flow.plane import Plane
from connector.protocol.errors import Unavailable
from connector.settings import Settings
from connector.telemetry import logger

READY_S: Final = 60.0
STOP_S: Final = 15.0
MAX_FIRST_STARTS: Final = 3
NEVER_READY: Final = "it ended before it was ready; its own lines in the log say why, most often a port of [data] that is taken"
BOUNDS: Final = (
    "token_life_s",
    "max_streams",
    "stream_bytes_per_s",
    "max_downloads",
    "max_download_bytes",
    "artifact_wait_s",
    "artifact_retention_s",
    "max_artifact_bytes",
    "max_making",
    "query_total_s",
    "query_memory_bytes",
    "query_threads",
    "min_free_bytes",
)
"""The bounds of the data plane that an operator sets, by their names in ``[data]``, which are those of the data plane."""
_PATIENCE: Final = "how patient we are with who does not answer; other values help nobody"
INTERNAL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "max_message_bytes": "what the connector itself sends to the data plane",
        "max_sessions": "connections of one process to a database that it shares; more of them wait at the database",
        "piece_bytes": "the piece in which a file is read and sent",
        "stream_idle_s": _PATIENCE,
        "download_idle_s": _PATIENCE,
        "download_total_s": _PATIENCE,
        "download_attempts": _PATIENCE,
        "making_total_s": _PATIENCE,
        "landing_total_s": _PATIENCE,
        "callback_attempts": "reports to the connector, which is on this machine",
        "callback_timeout_s": "reports to the connector, which is on this machine",
        "backoff_first_s": _PATIENCE,
        "backoff_max_s": _PATIENCE,
        "renewal_timeout_s": _PATIENCE,
        "decision_timeout_s": "a question to the connector, which is on this machine",
        "source_idle_s": _PATIENCE,
        "source_total_s": _PATIENCE,
        "max_source_bytes": "no answer of a source is larger; what a contract allows is in the contract",
        "max_request_bytes": "what a buyer sends to a source is held in memory",
        "artifact_retry_s": "when a buyer is told to come again; asking costs nothing",
    }
)
"""The bounds of the data plane that nobody sets, each with the reason."""
PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
log = logger("companion")


def write_config(settings: Settings, control_url: str) -> Path:
    """The data plane's own settings file, made anew at each start. Holds no secret: it names the token's file."""
    data = settings.data
    values: dict[str, Any] = {
        "database": str(data.database),
        "token_file": str(data.token_file),
        "control_token_file": str(data.token_file),
        "control_url": control_url,
        "sink_dir": str(data.sink_dir),
        "spool_dir": str(data.spool_dir),
        "source_roots": [str(root) for root in data.source_roots],
        "signaling_host": data.signaling_host,
        "signaling_port": data.signaling_port,
        "public_host": data.public_host,
        "public_port": data.public_port,
        "public_url": data.public_url,
        "egress_allow": [*settings.client.allow, control_url.removeprefix("http://")],
        "egress_https_only": True,
        "behind_proxy": data.behind_proxy,
    }
    if settings.control_database is None:
        values["database_url_file"] = str(_write_url(settings))
    files = {"tls_certificate": data.tls_certificate, "tls_key": data.tls_key, "ca_file": settings.client.ca_file}
    values |= {name: str(path) for name, path in files.items() if path is not None}
    path = settings.data_dir / "data-plane.toml"
    bounds = "[bounds]\n" + "".join(f"{name} = {getattr(data, name)}\n" for name in BOUNDS)
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()) + bounds)
    return path


def _write_url(settings: Settings) -> Path:
    """The address of the database that replicas share, which may have a password in it: in a file that only we may read."""
    path = settings.data_dir / "data-plane.url"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w", encoding="ascii") as opened:
        os.fchmod(opened.fileno(), 0o600)
        opened.write(settings.store.url)
    return path


class Companion:
    """Owns the process. ``run`` starts it, tells the plane where it listens, and starts it again when it ends."""

    def __init__(self, config: Path, plane: Plane, command: Sequence[str] = ()) -> None:
        self._command = tuple(command) or (
            sys.executable,
            "-m",
            "connector.dataplane",
            "--config",
            str(config),
            "--exit-with-stdin",
        )
        self._plane = plane
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Until cancelled. A data plane that dies is started again after a pause; transfers go on where they were.

        Raises Unavailable if it was never ready in ``MAX_FIRST_STARTS`` starts: then it is settings, not an accident.
        """
        failures, ever = 0, False
        while True:
            lived = await self._once()
            ever = ever or lived
            failures = 0 if lived else failures + 1
            if not ever and failures >= MAX_FIRST_STARTS:
                raise Unavailable("data-plane-failed", NEVER_READY)
            await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])

    async def _once(self) -> bool:
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._process = process
        try:
            ready = await self._ready(process)
            if ready is not None:
                self._plane.came(ready["signaling_url"])
                log.info("data plane is ready", signaling=ready["signaling_url"], public=ready["public_url"])
                await process.wait()
            log.warning("data plane has ended", code=process.returncode)
            return ready is not None
        finally:
            self._plane.came(None)
            await asyncio.shield(self._stop(process))

    async def _ready(self, process: asyncio.subprocess.Process) -> dict[str, Any] | None:
        if process.stdout is None:
            return None
        try:
            async with asyncio.timeout(READY_S):
                line = await process.stdout.readline()
        except TimeoutError:
            log.warning("data plane did not become ready", seconds=READY_S)
            return None
        try:
            ready = json.loads(line)
        except ValueError:
            return None
        return ready if isinstance(ready, dict) and ready.get("ready") else None

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
