"""A connector's folder beside two web servers: its own, and somebody else's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from connector.cli.main import cli
from connector.settings.model import DEVELOPMENT_KEY
from tests.cli.sites import Make, Site, serving


@pytest.fixture
def us() -> Iterator[Site]:
    yield from serving(Site())


@pytest.fixture
def them() -> Iterator[Site]:
    yield from serving(Site(date=format_datetime(datetime.now(UTC))))


@pytest.fixture
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside, and ports that are free."""
    for name in [name for name in os.environ if name.startswith("CARNET_")]:
        monkeypatch.delenv(name)
    for section in ("PROTOCOL__PORT", "DATA__SIGNALING_PORT", "DATA__PUBLIC_PORT"):
        monkeypatch.setenv(f"CARNET_{section}", "0")


@pytest.fixture
def make(tmp_path: Path, us: Site, them: Site, undisturbed: None) -> Make:
    """Makes a house whose DID is that of ``us``, in which both sites may be called; gives its folder."""

    def house(peers: str = "", chosen: tuple[str, ...] = ()) -> Path:
        folder = tmp_path / "house"
        allow = json.dumps([f"127.0.0.1:{site.port}" for site in (us, them)])
        words = [word for each in (f"client.allow={allow}", *chosen) for word in ("--set", each)]
        result = CliRunner().invoke(cli, ["init", str(folder), "--participant-id", us.did, *words])
        assert result.exit_code == 0, result.output
        with (folder / "carnet.toml").open("a") as settings:
            settings.write(f'\n[development]\nkey = "{DEVELOPMENT_KEY}"\nhttp_dids = true\n{peers}')
        return folder

    return house
