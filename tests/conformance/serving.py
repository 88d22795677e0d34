"""A real `carnet serve` process for tests: started, waited for, stopped by its process id."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0
_LOOK_EVERY_S = 0.05


class NotServing(Exception):
    """The connector did not come up, or did not end well. The text holds the end of its log."""


@contextmanager
def serving(config: Path, base_url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `carnet serve --config CONFIG` until the block is left; on entry it answers at `base_url`.

    Raises NotServing if it does not come up, or ends with another code than 0 when it is asked to end.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    command = [sys.executable, "-c", "from connector.cli.main import main; main()", "serve", "--config", str(config)]
    with log.open("wb") as opened:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=opened, stderr=subprocess.STDOUT
        )
        try:
            _wait(process, f"{base_url}/.well-known/dspace-version", log)
            yield process
        finally:
            _stop(process)
    if process.returncode != 0:
        raise NotServing(f"carnet serve ended with {process.returncode}\n{_end_of(log)}")


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotServing(f"carnet serve ended with {process.returncode}\n{_end_of(log)}")
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own http address
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(_LOOK_EVERY_S)
    raise NotServing(f"carnet serve did not answer within {_START_TIMEOUT_S:g} s\n{_end_of(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]
