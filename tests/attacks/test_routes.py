"""Every route of every listener, called by nobody: what answers is a literal list, and whoever adds to it does so here."""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace

from connector.dataplane import process
from connector.dataplane.settings import DataPlaneSettings
from connector.settings.secret import Secret
from tests.attacks.conftest import Lines
from tests.attacks.stand import ALSO, BASE, made_stand, standing
from tests.attacks.target import DEADLINE_S, Liar

# A route that only this listener has says which one it is.
LISTENERS: Final = {
    "protocol": "/.well-known/dspace-version",
    "management": "/management/v3/assets",
    "owner": "/carnet/v1/status",
    "reports": "/transfers/{id}/agreement",
    "signaling": "/dataflows/start",
    "data": "/public/{flow_id}",
}
# All that answers a caller whom nobody knows, and how.
OPEN: Final[dict[tuple[str, str, str], int]] = {
    ("protocol", "GET", "/.well-known/dspace-version"): 200,
    ("protocol", "GET", "/health"): 200,
    ("protocol", "GET", f"/.well-known/oauth-protected-resource{BASE}"): 200,
    ("protocol", "GET", f"/.well-known/oauth-protected-resource{ALSO}"): 200,
    ("protocol", "GET", "/.well-known/oauth-authorization-server"): 200,
    ("protocol", "GET", "/oauth/jwks"): 200,
    ("protocol", "GET", "/.well-known/did.json"): 200,
    # Answers in the form of OAuth, and what it wants is a form.
    ("protocol", "POST", "/oauth/token"): 415,
    ("signaling", "GET", "/health"): 200,
    ("management", "GET", "/.well-known/oauth-protected-resource/management"): 200,
    ("management", "GET", "/.well-known/oauth-authorization-server"): 200,
    ("management", "GET", "/oauth/jwks"): 200,
    ("management", "POST", "/oauth/token"): 415,
    ("management", "GET", "/management/check/health"): 200,
    ("management", "GET", "/management/check/readiness"): 200,
    ("management", "GET", "/management/check/startup"): 200,
    ("management", "GET", "/management/check/liveness"): 200,
}
_CREDENTIALS: Final[tuple[dict[str, str], ...]] = (
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer of-nobody-that-anybody-knows"},
    {"Authorization": "Basic dXM6dXM="},
    {"Authorization": "DPoP a.b.c", "DPoP": "a.b.c"},
    {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-User": "owner", "X-Real-IP": "127.0.0.1"},
)


@dataclass
class Walk:
    """Runners of everything that listens, in the order in which they were made."""

    runners: list[web.AppRunner] = field(default_factory=list)

    def listeners(self) -> list[tuple[str, web.AppRunner]]:
        """Each with its name. Raises StopIteration for one that has none."""
        return [(_name(runner), runner) for runner in self.runners if runner.addresses]


def _name(runner: web.AppRunner) -> str:
    paths = {route.resource.canonical for route in runner.app.router.routes() if route.resource is not None}
    return next(name for name, path in LISTENERS.items() if path in paths)


@pytest.fixture
async def walk(tmp_path: Path, lines: Lines, liar: Liar, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Walk]:
    """A connector with every listener that it can have, and a data plane in this process."""
    found = Walk()
    runner = web.AppRunner

    def recorded(*args: Any, **kwargs: Any) -> web.AppRunner:
        found.runners.append(runner(*args, **kwargs))
        return found.runners[-1]

    monkeypatch.setattr(web, "AppRunner", recorded)
    chosen = {"local.host": '"127.0.0.1"', "local.port": "0", "management.host": '"127.0.0.1"', "management.port": "0"}
    # Nobody is made to wait here, so that every route is asked.
    chosen |= {f"management.{name}": "10000" for name in ("failures_per_minute", "requests_per_s", "burst")}
    async with AsyncExitStack() as stack:
        ours = await made_stand(tmp_path / "us", liar, chosen)
        # With the hooks of a test kit, too: they begin processes in our name.
        ours = replace(ours, development=replace(ours.development, hooks=True))
        await stack.enter_async_context(standing(ours, liar))
        stop, ready = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(process, "_announce", lambda *_: ready.set())
        settings = DataPlaneSettings(
            database=tmp_path / "data.db",
            token=Secret("a-made-up-token-of-the-plane"),
            control_url=liar.url,
            control_token=Secret("another-made-up-token"),
            sink_dir=tmp_path / "sinks",
            spool_dir=tmp_path / "spool",
        )
        plane = asyncio.create_task(process.run_dataplane(settings, stop))

        async def end() -> None:
            stop.set()
            await plane

        stack.push_async_callback(end)
        async with asyncio.timeout(DEADLINE_S):
            await ready.wait()
        yield found


async def test_nobody_gets_an_answer_but_where_it_is_meant(walk: Walk) -> None:
    listeners = walk.listeners()
    assert sorted(name for name, _ in listeners) == ["data", "management", "owner", "owner", "protocol", "reports", "signaling"]
    answered: dict[tuple[str, str, str], set[int]] = {}
    asked = 0
    for name, runner in listeners:
        address = runner.addresses[0]
        if isinstance(address, str):
            continue
        async with aiohttp.ClientSession(f"http://127.0.0.1:{address[1]}", auto_decompress=False) as session:
            for method, path, url in _routes(runner.app):
                for headers in _CREDENTIALS:
                    asked += 1
                    async with session.request(method, url, headers=headers) as answer:
                        if answer.status not in (401, 403):
                            answered.setdefault((name, "GET" if method == "HEAD" else method, path), set()).add(answer.status)
                        elif method != "HEAD":
                            _check_refusal(name, answer, await answer.text())
    assert asked > 300
    assert {route: {status} for route, status in OPEN.items()} == answered


def _check_refusal(name: str, answer: aiohttp.ClientResponse, text: str) -> None:
    """It says what to do and nothing else: no id, no path, no version of ours."""
    assert len(text) < 1000
    assert "Traceback" not in text
    if name in ("protocol", "management"):
        assert "WWW-Authenticate" in answer.headers


def _routes(app: web.Application) -> list[tuple[str, str, str]]:
    """(method, path, URL) of each route, ids made up."""
    found = []
    for route in app.router.routes():
        assert route.resource is not None
        info = route.resource.get_info()
        url = path = route.resource.canonical
        if "pattern" in info:
            names = re.findall(r"\(\?P<(\w+)>([^)]*)\)", info["pattern"].pattern)
            url = info["formatter"].format(**{name: pattern.split("|")[0] if "|" in pattern else "x" for name, pattern in names})
        assert route.method != "*"
        found.append((route.method, path, url))
    return found


async def test_the_owners_socket_is_the_owners(walk: Walk) -> None:
    """It asks for no token, so that nobody else may come near it."""
    sockets = [Path(address) for _, runner in walk.listeners() for address in runner.addresses if isinstance(address, str)]
    assert len(sockets) == 1
    assert stat.S_IMODE(sockets[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(sockets[0].parent.stat().st_mode) == 0o700


async def test_every_listener_of_nobody_but_peers_is_on_loopback(walk: Walk) -> None:
    for name, runner in walk.listeners():
        for address in runner.addresses:
            assert isinstance(address, str) or address[0] == "127.0.0.1", name


async def test_what_is_open_tells_nothing_but_public_things(walk: Walk) -> None:
    """No member of a private key, no name of a peer or dataset, no path of the machine."""
    ports = {name: runner.addresses[0][1] for name, runner in walk.listeners()}
    async with aiohttp.ClientSession() as session:
        for name, method, path in OPEN:
            if name == "signaling" or method != "GET":
                continue
            async with session.get(f"http://127.0.0.1:{ports[name]}{path}") as answer:
                text = await answer.text()
            for secret in ('"d"', '"k"', '"p"', "consumer.example", "ours", "/tmp", "home"):  # noqa: S108 - looked for, not used
                assert secret not in text, (path, secret)
