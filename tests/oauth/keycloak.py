"""Keycloak, an identity provider in wide use, as a process of a test session; each test makes a realm of its own in it.

It is downloaded once through Maven, compared with its digest and prepared, below `.oauth`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

import aiohttp

from tests.oauth.oidc_provider import WORK, NotInstallable
from tests.oauth.parties import SCOPES, Client
from tests.ports import free_port

HERE: Final = Path(__file__).resolve().parent
VERSION: Final = "26.7.3"
SHA256: Final = "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f"
DOWNLOAD: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
ARTIFACT: Final = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
INSTALL_TIMEOUT_S: Final = 300
READY_TIMEOUT_S: Final = 180.0
END_TIMEOUT_S: Final = 30.0
ADMIN: Final = "admin"
_realms = count(1)


def install() -> Path:
    """The folder of the prepared server, made the first time. Raises NotInstallable."""
    lacking = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if lacking:
        raise NotInstallable(f"not installed here: {', '.join(lacking)}")
    home = WORK / f"keycloak-{VERSION}"
    if home.exists():
        return home
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK, prefix="making-") as name:
        folder = Path(name)
        try:
            _run(
                [shutil.which("mvn") or "", "-q", "-B", DOWNLOAD, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"], folder
            )
            with zipfile.ZipFile(_checked(folder)) as archive:
                archive.extractall(folder)
            made = folder / home.name
            _run(["/bin/sh", str(made / "bin" / "kc.sh"), "build", "--db=dev-mem"], made)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise NotInstallable(f"Keycloak cannot be downloaded and prepared: {error}") from error
        if not home.exists():
            made.rename(home)
    return home


def _run(command: Sequence[str], folder: Path) -> None:
    subprocess.run(
        command, cwd=folder, check=True, timeout=INSTALL_TIMEOUT_S, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


def _checked(folder: Path) -> Path:
    archive = next(folder.glob("*.zip"))
    with archive.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != SHA256:
        raise NotInstallable(f"the download of Keycloak {VERSION} has the SHA-256 {found}, which is not the one that we know")
    return archive


@dataclass(frozen=True, slots=True)
class Keycloak:
    """A server that runs."""

    url: str
    password: str

    async def realm(self, session: aiohttp.ClientSession) -> Realm:
        """An authorization server of its own in it; it exists once clients are registered."""
        return Realm(self, f"carnet-{next(_realms)}", session)

    async def call(self, session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, Any]) -> None:
        """A call of the administrator's API. Raises ClientResponseError."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN, "password": self.password}
        async with session.post(f"{self.url}/realms/master/protocol/openid-connect/token", data=form) as response:
            response.raise_for_status()
            token = (await response.json())["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        async with session.request(method, f"{self.url}/admin{path}", json=body, headers=bearer) as response:
            response.raise_for_status()


@dataclass(slots=True)
class Realm:
    """One authorization server."""

    server: Keycloak
    name: str
    session: aiohttp.ClientSession
    priority: int = 100

    @property
    def issuer(self) -> str:
        """Its issuer identifier, known before it exists."""
        return f"{self.server.url}/realms/{self.name}"

    async def register(self, clients: Sequence[Client]) -> None:
        """Make the realm with these clients."""
        realm = json.loads((HERE / "keycloak-realm.json").read_text())
        realm |= {"realm": self.name, "clients": [registered(client) for client in clients]}
        await self.server.call(self.session, "POST", "/realms", realm)

    async def rotate(self) -> None:
        """Sign with a new key from now on; the old ones stay published."""
        self.priority += 1
        config = {"priority": [str(self.priority)], "ecdsaEllipticCurveKey": ["P-256"]}
        component = {
            "name": f"key-{self.priority}",
            "providerId": "ecdsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": {**config, "enabled": ["true"], "active": ["true"]},
        }
        await self.server.call(self.session, "POST", f"/realms/{self.name}/components", component)


def registered(client: Client) -> dict[str, Any]:
    """A client in Keycloak's own words: it signs assertions, gets RFC 9068 tokens for one audience, and nothing else."""
    return {
        "clientId": client.id,
        "protocol": "openid-connect",
        "publicClient": False,
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "fullScopeAllowed": False,
        "clientAuthenticatorType": "client-jwt",
        "defaultClientScopes": [],
        "optionalClientScopes": list(SCOPES),
        "attributes": {
            "use.jwks.string": "true",
            "jwks.string": json.dumps({"keys": [dict(client.jwk)]}),
            "token.endpoint.auth.signing.alg": "ES256",
            "access.token.signed.response.alg": "ES256",
            "access.token.header.type.rfc9068": "true",
            "dpop.bound.access.tokens": str(client.dpop).lower(),
        },
        "protocolMappers": [
            _mapper("subject", "oidc-sub-mapper"),
            _mapper("audience", "oidc-audience-mapper", {"included.custom.audience": client.audience}),
            *(
                _mapper(name, "oidc-hardcoded-claim-mapper", {"claim.name": name, "claim.value": value})
                for name, value in client.claims.items()
            ),
        ],
    }


def _mapper(name: str, kind: str, config: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "protocol": "openid-connect",
        "protocolMapper": kind,
        "config": {"access.token.claim": "true", "jsonType.label": "String", **(config or {})},
    }


@contextmanager
def running(home: Path, log: Path) -> Iterator[Keycloak]:
    """A server of this block on a free port of loopback, with its database in memory."""
    port, password = free_port(), secrets.token_urlsafe(16)
    url = f"http://127.0.0.1:{port}"
    command = ["/bin/sh", str(home / "bin" / "kc.sh"), "start", "--optimized", "--cache=local", f"--hostname={url}"]
    listening = ["--http-enabled=true", "--http-host=127.0.0.1", f"--http-port={port}"]
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ},
        "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m",
        "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": password,
    }
    with log.open("wb") as written:
        # A session of its own, so that the script and the Java process that it starts end together.
        process = subprocess.Popen(
            [*command, *listening],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    try:
        _wait(process, f"{url}/realms/master", log)
        yield Keycloak(url, password)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(END_TIMEOUT_S)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=5):  # noqa: S310 - the address of our own process
                return
        except (URLError, TimeoutError):
            time.sleep(0.25)
        if process.poll() is not None:
            raise RuntimeError(f"Keycloak has ended: {log.read_text()[-2000:]}")
    raise TimeoutError("Keycloak does not answer")
