"""`oidc-provider` (npm), an authorization server certified for OpenID Connect, as a process of a test's own.

It is installed once with the runtime that it needs, as locked in `oidc/package-lock.json`, below `.oauth`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from connector.identity.signing import SigningKey, new_signing_key, private_jwk
from tests.oauth.parties import TOKEN_LIFE_S, Client

HERE: Final = Path(__file__).resolve().parent
WORK: Final = HERE.parents[1] / ".oauth"
INSTALL_TIMEOUT_S: Final = 100
ANSWER_TIMEOUT_S: Final = 30.0
END_TIMEOUT_S: Final = 10.0
_LOCKED: Final = ("package.json", "package-lock.json")


class NotInstallable(Exception):
    """This machine cannot have the server; says why."""


def install() -> Path:
    """The folder in which the server is installed; made the first time, anew when what is locked has changed."""
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstallable("npm is not installed here (apt-get install npm); .ci/run installs it")
    sources = [HERE / "oidc" / name for name in _LOCKED]
    home = WORK / f"oidc-provider-{hashlib.sha256(b''.join(source.read_bytes() for source in sources)).hexdigest()[:16]}"
    if home.exists():
        return home
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK, prefix="making-") as name:
        folder = Path(name) / "home"
        folder.mkdir()
        for source in sources:
            shutil.copy(source, folder)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            subprocess.run(
                command, cwd=folder, check=True, timeout=INSTALL_TIMEOUT_S, stdin=subprocess.DEVNULL, capture_output=True
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise NotInstallable(f"npm cannot install the authorization server: {error}") from error
        # Whoever made it at the same time made the same.
        if not home.exists():
            folder.rename(home)
    return home


def runtime(home: Path) -> Path:
    """The Node.js that was installed beside the server. Raises NotInstallable where there is none for this machine."""
    found = sorted((home / "node_modules").glob("node-linux-*/bin/node"))
    if not found:
        raise NotInstallable(f"there is no Node.js for {os.uname().machine} in the lock of the authorization server")
    return found[0]


def server_key() -> SigningKey:
    """A new key for a server to sign with."""
    return new_signing_key("ES256")


class OidcProvider:
    """A server that runs. ``issuer`` is known before anybody is registered; ``nonces``: it wants one of its own in each proof."""

    def __init__(self, process: asyncio.subprocess.Process, issuer: str) -> None:
        self._process = process
        self._setup: dict[str, Any] = {}
        self.issuer = issuer
        self.nonces = False

    async def register(self, clients: Sequence[Client], keys: Sequence[SigningKey] | None = None) -> None:
        """Know these clients and no others; sign with the first of ``keys`` and publish all of them."""
        signing = [server_key()] if keys is None else keys
        self._setup = {
            "clients": [
                {
                    "id": client.id,
                    "keys": [dict(client.jwk)],
                    "secret": client.secret,
                    "dpop": client.dpop,
                    "claims": dict(client.claims),
                }
                for client in clients
            ],
            "resources": sorted({client.audience for client in clients}),
            "keys": [private_jwk(key) for key in signing],
            "lifetime_s": TOKEN_LIFE_S,
            "nonces": self.nonces,
        }
        await tell(self._process, {"configure": self._setup})

    async def rotate(self, *, keep: bool = True) -> None:
        """Sign with a new key from now on; ``keep`` publishing the old ones."""
        new = private_jwk(server_key())
        self._setup["keys"] = [new, *(self._setup["keys"] if keep else ())]
        await tell(self._process, {"configure": self._setup})

    async def requests(self, path: str) -> int:
        """How often a path was asked for."""
        answer = await tell(self._process, {"count": True})
        return int(answer["requests"].get(path, 0))


async def tell(process: asyncio.subprocess.Process, command: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a command and return the answer. Raises RuntimeError if the server has ended, TimeoutError."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(command).encode() + b"\n")
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the authorization server has ended; see its output")
    answer: Mapping[str, Any] = json.loads(line)
    return answer


@asynccontextmanager
async def running(home: Path, log: Path) -> AsyncIterator[OidcProvider]:
    """A server of this block, on a free port of loopback; what it says goes to ``log``. It also ends when we do."""
    with log.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            runtime(home),
            HERE / "oidc" / "as.mjs",
            cwd=home,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=written,
            env={"PATH": os.environ.get("PATH", "")},
        )
    try:
        issuer = (await tell(process, {"count": True}))["issuer"]
        yield OidcProvider(process, issuer)
    finally:
        process.kill()
        async with asyncio.timeout(END_TIMEOUT_S):
            await process.communicate()
