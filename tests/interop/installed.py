"""Clients of EDC's Management API that others wrote, installed once from their registries as locked here, below `.interop`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
WORK: Final = HERE.parents[1] / ".interop"
INSTALL_TIMEOUT_S: Final = 100
_NODE_LOCKED: Final = ("package.json", "package-lock.json")
_PYTHON_LOCKED: Final = ("requirements.txt",)


class NotInstallable(Exception):
    """This machine cannot have a client; says why."""


def node_home() -> Path:
    """The folder with `@think-it-labs/edc-connector-client`, and the runtime that it asks for. Raises NotInstallable."""
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstallable("npm is not installed here (apt-get install npm); .ci/run installs it")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return _installed("node", _NODE_LOCKED, lambda folder: _run(command, folder))


def node_runtime(home: Path) -> Path:
    """The Node.js that was installed beside the client. Raises NotInstallable where there is none for this machine."""
    found = sorted((home / "node_modules").glob("node-linux-*/bin/node"))
    if not found:
        raise NotInstallable(f"there is no Node.js for {os.uname().machine} in the lock of the client")
    return found[0]


def python_home() -> Path:
    """The folder with `edc-client` and what it needs, to be looked in before any other. Raises NotInstallable."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    return _installed(
        "python", _PYTHON_LOCKED, lambda folder: _run([*command, "--target", ".", "-r", "requirements.txt"], folder)
    )


def _installed(name: str, locked: tuple[str, ...], install: Callable[[Path], None]) -> Path:
    """Made the first time, and anew when what is locked has changed."""
    sources = [HERE / each for each in locked]
    home = WORK / f"{name}-{hashlib.sha256(b''.join(source.read_bytes() for source in sources)).hexdigest()[:16]}"
    if home.exists():
        return home
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK, prefix="making-") as making:
        folder = Path(making) / "home"
        folder.mkdir()
        for source in sources:
            shutil.copy(source, folder)
        install(folder)
        # Whoever made it at the same time made the same.
        if not home.exists():
            folder.rename(home)
    return home


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, timeout=INSTALL_TIMEOUT_S, stdin=subprocess.DEVNULL, capture_output=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NotInstallable(f"the client cannot be installed: {error}") from error
