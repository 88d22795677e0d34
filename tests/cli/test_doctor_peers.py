"""`carnet doctor --peers`: addresses, versions, clocks, metadata and DID documents of others. Each finding has a remedy."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from connector.app import serve
from connector.cli import doctor_peers
from connector.cli.main import cli
from connector.identity.keys import Use
from connector.protocol.versions import Endpoint, version_document
from connector.settings import load
from tests.cli.sites import BASE, DOCUMENT, RESOURCE, SERVER, VERSIONS, Make, Site, found, now_ms, peer, ring_of, serving
from tests.http.certificates import Authority

TOKEN = "a-made-up-token-0123456789"


def test_a_peer_in_order(make: Make, them: Site) -> None:
    house = make(peers=peer(them))
    them.publish(ring_of(house))
    findings = found(house, peers=True)
    for about in ("peer {}", "clock of {}", "metadata of {}", "DID of {}"):
        assert findings[about.format(them.did)].level == "fine", about


def test_nobody_is_called_unless_asked_for(make: Make, them: Site) -> None:
    assert not [about for about in found(make(peers=peer(them))) if them.did in about]


@pytest.mark.parametrize(
    ("off_s", "level", "said"),
    [
        (10, "warning", "behind ours"),
        (-10, "warning", "ahead of ours"),
        (60, "problem", "tokens are refused"),
        (-60, "problem", "tokens are refused"),
    ],
)
def test_clocks_are_compared(make: Make, them: Site, off_s: int, level: str, said: str) -> None:
    house = make(peers=peer(them))
    them.date = format_datetime(datetime.now(UTC) - timedelta(seconds=off_s))
    finding = found(house, peers=True)[f"clock of {them.did}"]
    assert (finding.level, said in finding.what, "NTP" in finding.remedy) == (level, True, True)


@pytest.mark.parametrize("date", [None, "yesterday", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_peer_without_a_date_says_nothing_of_its_clock(make: Make, them: Site, date: str | None) -> None:
    house = make(peers=peer(them))
    them.date = date
    assert f"clock of {them.did}" not in found(house, peers=True)


@pytest.mark.parametrize(
    ("page", "level", "said"),
    [
        (None, "warning", "HTTP 404"),
        (b"<html>", "warning", "no version document"),
        ({"protocolVersions": []}, "problem", "does not speak version 2025-1"),
        (version_document([Endpoint("2025-1", "/other", "service")], "/peer"), "warning", "says /other"),
        (version_document([Endpoint("2025-1", path, "service") for path in ("/other", BASE)], "/peer"), "fine", "answers"),
    ],
)
def test_versions_are_read(make: Make, them: Site, page: Any, level: str, said: str) -> None:
    house = make(peers=peer(them))
    them.publish(ring_of(house))
    them.pages[VERSIONS] = page
    finding = found(house, peers=True)[f"peer {them.did}"]
    assert (finding.level, said in finding.what) == (level, True)


def test_a_peer_that_is_away_or_forbidden(make: Make, them: Site) -> None:
    nobody = Site(port=1)
    house = make(peers=peer(nobody))
    assert "client.allow" in found(house, peers=True)[f"peer {nobody.did}"].remedy
    text = (house / "carnet.toml").read_text()
    (house / "carnet.toml").write_text(text.replace(f'"127.0.0.1:{them.port}"', '"127.0.0.1:1"', 1))
    finding = found(house, peers=True)[f"peer {nobody.did}"]
    assert (finding.level, "cannot be reached" in finding.what, "operator" in finding.remedy) == ("problem", True, True)


def test_a_peer_whose_authority_we_do_not_know(make: Make, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    site = Site(scheme="https")
    serve = serving(site, authority.issue())
    next(serve)
    try:
        house = make(peers=peer(site))
        text = (house / "carnet.toml").read_text()
        (house / "carnet.toml").write_text(text.replace("allow = [", f'allow = ["127.0.0.1:{site.port}", ', 1))
        finding = found(house, peers=True)[f"peer {site.did}"]
        assert (finding.level, "client.ca_file" in finding.remedy) == ("problem", True)
        with_authority = (house / "carnet.toml").read_text().replace('# ca_file = ""', f'ca_file = "{authority.file}"', 1)
        (house / "carnet.toml").write_text(with_authority)
        assert "HTTP 404" in found(house, peers=True)[f"peer {site.did}"].what
    finally:
        next(serve, None)


def test_metadata_are_read_as_a_caller_would(make: Make, them: Site) -> None:
    house, about = make(peers=peer(them)), f"metadata of {them.did}"
    them.publish(ring_of(house))
    del them.pages[SERVER]
    assert found(house, peers=True)[about].level == "problem"
    them.pages[RESOURCE]["authorization_servers"] = ["https://idp.example"]
    finding = found(house, peers=True)[about]
    assert ("https://idp.example" in finding.what, "[[issuers]]" in finding.remedy) == (True, True)
    del them.pages[RESOURCE]
    assert "[fetch-status]" in found(house, peers=True)[about].what


def test_a_peer_that_is_met_with_a_token_needs_neither_metadata_nor_did(make: Make, them: Site) -> None:
    findings = found(make(peers=peer(them, f'outbound_token = "{TOKEN}"\n')), peers=True)
    assert f"peer {them.did}" in findings
    assert f"metadata of {them.did}" not in findings
    assert f"DID of {them.did}" not in findings


def test_a_peer_that_we_could_not_recognise(make: Make, them: Site) -> None:
    house, about = make(peers=peer(them)), f"DID of {them.did}"
    them.publish(ring_of(house))
    them.pages[DOCUMENT]["authentication"] = []
    assert "no key" in found(house, peers=True)[about].what
    del them.pages[DOCUMENT]
    finding = found(house, peers=True)[about]
    assert (finding.level, "carnet peers add" in finding.remedy) == ("warning", True)


def test_the_peers_of_a_connector_that_runs_are_those_of_its_registry(
    make: Make, them: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Site(port=1)
    house = make(peers=peer(away))
    them.publish(ring_of(house))
    del them.pages[DOCUMENT]
    keys = json.dumps({"keys": [dict(jwk) for use, jwk in ring_of(house).published(now_ms()) if use is Use.OAUTH]})
    (house / "peer.json").write_text(keys)
    with connector(house):
        added = ("peers", "add", them.did, "--address", them.origin + BASE, "--keys", str(house / "peer.json"))
        config = ("--config", str(house / "carnet.toml"))
        result = CliRunner().invoke(cli, [*added, "--vouched-by", "a test", *config])
        assert result.exit_code == 0, result.output
        findings = found(house, peers=True)
        assert findings[f"peer {them.did}"].level == "fine"
        assert f"DID of {them.did}" not in findings
        monkeypatch.setattr(doctor_peers, "_ANSWER_TIMEOUT_S", 0.0)
        assert f"peer {them.did}" not in found(house, peers=True)


@contextmanager
def connector(house: Path) -> Iterator[None]:
    """It runs on a thread of its own."""
    begun, ended = threading.Event(), threading.Event()

    async def run() -> None:
        stop = asyncio.Event()
        started = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(load(house / "carnet.toml", os.environ), stop, started))
        await asyncio.wait([serving, started], return_when=asyncio.FIRST_COMPLETED)
        begun.set()
        await asyncio.to_thread(ended.wait)
        stop.set()
        await serving

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        begun.wait()
        yield
    finally:
        ended.set()
        thread.join()
