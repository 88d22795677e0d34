"""`carnet doctor` on identity: keys, certificates, our DID document, and what peers publish. Each finding has a remedy."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509

from connector.cli.doctor import examine
from connector.cli.doctor_identity import DAY_MS, key_ages
from connector.cli.findings import Finding
from connector.cli.main import cli
from connector.http.tls import server_context
from connector.identity.did import own_document
from connector.identity.keyfiles import load_keys, rotate
from connector.identity.keys import KeyRing, Use
from connector.identity.metadata import resource_document, server_document
from connector.protocol.versions import Endpoint, version_document
from connector.settings.model import DEVELOPMENT_KEY
from tests.http.certificates import Authority, Files

BASE = "/dsp/2025-1"
DOCUMENT = "/.well-known/did.json"
RESOURCE = f"/.well-known/oauth-protected-resource{BASE}"
SERVER = "/.well-known/oauth-authorization-server"
VERSIONS = "/.well-known/dspace-version"
TOKEN = "a-made-up-token-0123456789"


@dataclass
class Site:
    """A web server of somebody: JSON by path. ``date`` is what its clock says."""

    port: int = 0
    pages: dict[str, Any] = field(default_factory=dict)
    date: str | None = None
    scheme: str = "http"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def did(self) -> str:
        return f"did:web:127.0.0.1%3A{self.port}"

    def publish(self, ring: KeyRing) -> None:
        """What a connector publishes that has these keys and this DID."""
        entries = [Endpoint("2025-1", BASE, "service")]
        self.pages |= {
            DOCUMENT: own_document(self.did, ring.published(now_ms()), self.origin, BASE),
            VERSIONS: version_document(entries, "/peer"),
            RESOURCE: resource_document(self.origin + BASE, [self.origin], ["catalog"], dpop_required=True),
            SERVER: server_document(self.origin),
        }


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the library looks for
            page = site.pages.get(self.path)
            body = page if isinstance(page, bytes) else json.dumps(page).encode()
            self.send_response_only(404 if page is None else 200)
            if site.date is not None:
                self.send_header("Date", site.date)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quietly."""

    return Handler


def serving(site: Site, files: Files | None = None) -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
    if files is not None:
        context = server_context(files.certificate, files.key, section="", now_ms=now_ms())
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def us() -> Iterator[Site]:
    yield from serving(Site())


@pytest.fixture
def them() -> Iterator[Site]:
    yield from serving(Site(date=format_datetime(datetime.now(UTC))))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CARNET_")]:
        monkeypatch.delenv(name)
    for section in ("PROTOCOL__PORT", "DATA__SIGNALING_PORT", "DATA__PUBLIC_PORT"):
        monkeypatch.setenv(f"CARNET_{section}", "0")


Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, us: Site, them: Site) -> Make:
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


def peer(site: Site, more: str = "", path: str = BASE) -> str:
    return f'\n[[peers]]\nid = "{site.did}"\naddresses = ["{site.origin}{path}"]\n{more}'


def found(house: Path, *, peers: bool = False) -> dict[str, Finding]:
    findings = {finding.about: finding for finding in examine(house / "carnet.toml", call_peers=peers)}
    assert all(finding.remedy for finding in findings.values() if finding.level != "fine")
    return findings


def ring_of(house: Path) -> KeyRing:
    return load_keys(house / "keys", {}, 48)


# -- keys -----------------------------------------------------------------------------------------------------------------------


def test_keys_are_in_order(make: Make) -> None:
    house = make()
    finding = found(house)["keys"]
    assert (finding.level, ring_of(house).current(Use.OAUTH).kid in finding.what) == ("fine", True)


def test_keys_that_are_not_there_yet_are_made_by_the_first_start(make: Make) -> None:
    house = make()
    (house / "keys").rename(house / "moved")
    assert found(house)["keys"].level == "fine"
    (house / "control.db").touch()
    finding = found(house)["keys"]
    assert (finding.level, "from a copy" in finding.remedy) == ("warning", True)


def test_keys_that_others_may_read_are_a_problem(make: Make) -> None:
    house = make()
    (house / "keys").chmod(0o755)
    finding = found(house)["keys"]
    assert (finding.level, "[keys-exposed]" in finding.what, "chmod 700" in finding.remedy) == ("problem", True, True)


def test_old_keys_are_to_be_rotated(make: Make) -> None:
    ring = ring_of(make())
    assert {finding.level for finding in key_ages(ring, now_ms())} == {"fine"}
    findings = {each.about: each for each in key_ages(ring, now_ms() + 366 * DAY_MS)}
    for use in (Use.OAUTH, Use.AGREEMENT, Use.LOG):
        finding = findings[f"{use} key"]
        assert (finding.level, finding.remedy) == ("warning", f"run: carnet keys rotate {use}")
        assert "366 days old" in finding.what


@pytest.mark.parametrize(("days", "level"), [(-31, "fine"), (-10, "warning"), (2, "problem")])
def test_the_certificate_of_agreements_ends(make: Make, days: int, level: str) -> None:
    ring = ring_of(make())
    ends = x509.load_pem_x509_certificate(ring.current(Use.AGREEMENT).certificate.encode()).not_valid_after_utc
    at_ms = int((ends + timedelta(days=days)).timestamp()) * 1000
    finding = {each.about: each for each in key_ages(ring, at_ms)}["agreement certificate"]
    assert (finding.level, "carnet keys rotate agreement" in finding.remedy) == (level, level != "fine")


# -- certificates ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "level", "said"),
    [(90, "fine", "good for"), (10, "warning", "ends in 9 days"), (-2, "problem", "[tls-expired]")],
)
@pytest.mark.parametrize("section", ["protocol", "data"])
def test_the_certificate_of_a_listener_ends(make: Make, tmp_path: Path, section: str, ends: int, level: str, said: str) -> None:
    now = datetime.now(UTC)
    files = Authority(tmp_path).issue(begins=now - timedelta(days=5), ends=now + timedelta(days=ends))
    chosen = (f"{section}.tls_certificate='{files.certificate}'", f"{section}.tls_key='{files.key}'")
    finding = found(make(chosen=chosen))[f"{section}.tls_certificate"]
    assert (finding.level, said in finding.what) == (level, True)


def test_a_data_plane_that_runs_elsewhere_has_its_own_doctor(make: Make, tmp_path: Path) -> None:
    chosen = ("data.managed=false", "data.tls_certificate='/none'", "data.tls_key='/none'")
    assert "data.tls_certificate" not in found(make(chosen=chosen))


def test_authorities_are_looked_at(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "authorities.pem"
    house = make(chosen=(f"client.ca_file='{file}'",))
    finding = found(house, peers=True)["client.ca_file"]
    assert (finding.level, "[tls-unreadable]" in finding.what) == ("problem", True)
    file.write_bytes(Authority(tmp_path).file.read_bytes())
    assert found(house)["client.ca_file"].level == "fine"


# -- our DID document -----------------------------------------------------------------------------------------------------------


def test_our_document_has_our_key_until_it_is_rotated(make: Make, us: Site) -> None:
    house = make()
    us.publish(ring_of(house))
    assert found(house)["own DID"].level == "fine"
    rotate(house / "keys", Use.OAUTH, now_ms())
    finding = found(house)["own DID"]
    assert (finding.level, "lacks our OAuth key" in finding.what, "carnet keys did" in finding.remedy) == ("problem", True, True)


def test_a_document_without_our_keys_here_is_a_document_still(make: Make, us: Site) -> None:
    house = make()
    us.publish(ring_of(house))
    (house / "keys").rename(house / "moved")
    assert found(house)["own DID"].what.startswith("there is a document at http://127.0.0.1:")


def test_a_document_that_is_not_there(make: Make) -> None:
    finding = found(make())["own DID"]
    assert (finding.level, "404" in finding.what, "start the connector" in finding.remedy) == ("warning", True, True)


def test_a_document_of_somebody_else(make: Make, us: Site, them: Site) -> None:
    house = make()
    us.publish(ring_of(house))
    us.pages[DOCUMENT]["id"] = them.did
    finding = found(house)["own DID"]
    assert (finding.level, "[did-mismatch]" in finding.what) == ("problem", True)


def test_a_document_that_leads_elsewhere(make: Make, us: Site) -> None:
    house = make(chosen=("protocol.public_url='https://us.example'",))
    us.publish(ring_of(house))
    assert found(house)["own DID's service"].level == "warning"
    us.pages[DOCUMENT]["service"][0]["serviceEndpoint"] = f"https://us.example{VERSIONS}"
    assert "own DID's service" not in found(house)


def test_a_did_that_cannot_be_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    house = make()
    for participant, level in (("did:web:US.example", "problem"), ("urn:us", "fine")):
        monkeypatch.setenv("CARNET_PARTICIPANT_ID", participant)
        assert found(house)["own DID"].level == level


def test_nobody_needs_our_document_where_tokens_are_pinned(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARNET_PROTOCOL__AUTH", "pinned-token")
    assert "own DID" not in found(make())


# -- peers ----------------------------------------------------------------------------------------------------------------------


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


def test_an_address_in_the_clear_is_a_problem_of_the_settings(make: Make) -> None:
    house = make()
    text = (house / "carnet.toml").read_text()
    (house / "carnet.toml").write_text(text.replace('# public_url = ""', 'public_url = "http://us.example"', 1))
    finding = found(house)["protocol.public_url"]
    assert (finding.level, "[tls-missing]" in finding.what, "https" in finding.remedy) == ("problem", True, True)
