"""Authorization servers that others wrote, as fixtures. Keycloak, which takes a minute, runs where it is asked for only."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.oauth import keycloak, oidc_provider
from tests.oauth.keycloak import Keycloak, Realm
from tests.oauth.oidc_provider import NotInstallable, OidcProvider
from tests.requirement import missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip Keycloak's tests with a line that says how to run them."""
    if os.environ.get("CARNET_TEST_KEYCLOAK") == "1":
        return
    for item in items:
        if item.get_closest_marker("keycloak") is not None:
            item.add_marker(pytest.mark.skip(reason="downloads and starts Keycloak; `make test-full` runs it"))


@pytest.fixture(scope="session")
def oidc_home() -> Path:
    """Where `oidc-provider` is installed."""
    try:
        home = oidc_provider.install()
        oidc_provider.runtime(home)
    except NotInstallable as error:
        missing(str(error))
    return home


@pytest.fixture
async def provider(oidc_home: Path, tmp_path: Path) -> AsyncIterator[OidcProvider]:
    """A server of this test, which knows nobody yet."""
    async with oidc_provider.running(oidc_home, tmp_path / "oidc-provider.log") as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as opened:
        yield opened


@pytest.fixture(scope="session")
def keycloak_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    """One server for all tests of a session: it takes long to start."""
    try:
        home = keycloak.install()
    except NotInstallable as error:
        missing(str(error))
    with keycloak.running(home, tmp_path_factory.mktemp("keycloak") / "log") as server:
        yield server


@pytest.fixture
async def realm(keycloak_server: Keycloak, session: aiohttp.ClientSession) -> Realm:
    """An authorization server of this test in it."""
    return await keycloak_server.realm(session)
