"""``python -m connector.dataplane --config data.toml [--exit-with-stdin]``: the data plane as a process.

With ``--exit-with-stdin`` it ends when standard input does: whoever started it holds the other end of the pipe, so even
a killed parent leaves no orphan. Exit codes: 0 told to stop, 1 failed, 2 settings.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from aiohttp.http_exceptions import HttpProcessingError

from connector.dataplane.process import run_dataplane
from connector.dataplane.settings import DataPlaneSettings, load_settings
from connector.settings.secret import SettingsError


def main() -> int:
    """Read the arguments, run, and give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m connector.dataplane")
    parser.add_argument("--config", type=Path, required=True, help="TOML file")
    parser.add_argument("--exit-with-stdin", action="store_true", help="stop at the end of standard input")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("aiohttp.server").addFilter(ours)
    try:
        settings = load_settings(arguments.config)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    os.umask(0o077)
    try:
        asyncio.run(_serve(settings, exit_with_stdin=arguments.exit_with_stdin))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"the data plane cannot listen or write: {error.strerror or error}\n")
        return 1
    return 0


def ours(record: logging.LogRecord) -> bool:
    """Whether a line is about us: bytes that are no HTTP were answered with 400, and are no error of ours to be quoted."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _serve(settings: DataPlaneSettings, *, exit_with_stdin: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if exit_with_stdin:
        stop_at_end_of_stdin(loop, stop)
    await run_dataplane(settings, stop)


def stop_at_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set ``stop`` once whoever holds the other end of standard input is gone."""
    threading.Thread(target=_watch_stdin, args=(loop, stop), name="stdin", daemon=True).start()


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """A thread, since standard input may be a pipe, a terminal or nothing; what it says is ignored, only its end counts."""
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    try:
        loop.call_soon_threadsafe(stop.set)
    except RuntimeError:
        # The loop has ended already.
        return


if __name__ == "__main__":
    sys.exit(main())
