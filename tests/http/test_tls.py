"""TLS of our listeners and of our calls, over real sockets, with certificates of an authority of the tests' own."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.app import Running, serve
from connector.cli.init import make_house
from connector.client.local import LocalClient
from connector.demo.houses import free_ports
from connector.http import tls
from connector.http.client import EgressPolicy, GuardedClient, PeerUnreachable
from connector.http.tls import client_context, server_context, validity_of
from connector.settings import Settings, SettingsError, load
from tests.http.certificates import Authority, Files

VERSIONS = "/.well-known/dspace-version"
FINAL = {"FINALIZED", "COMPLETED", "TERMINATED"}
PATIENCE_S = 30.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> Files:
    return authority.issue()


def settings_of(
    folder: Path, files: Files, ca_file: Path | None = None, *, did: str = "did:web:us.example", **more: str
) -> Settings:
    chosen = {"protocol.port": "0", "data.signaling_port": "0", "data.public_port": "0", **more}
    for section in ("protocol", "data", "management"):
        chosen |= {
            f"{section}.tls_certificate": json.dumps(str(files.certificate)),
            f"{section}.tls_key": json.dumps(str(files.key)),
        }
    if ca_file is not None:
        chosen["client.ca_file"] = json.dumps(str(ca_file))
    make_house(folder, did, chosen)
    return load(folder / "carnet.toml", {})


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    stop = asyncio.Event()
    started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(settings, stop, started))
    waiting: set[asyncio.Future[Any]] = {serving, started}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    try:
        yield started.result()
    finally:
        stop.set()
        await serving


async def ask(origin: str, ca_file: Path | None, path: str = VERSIONS) -> int:
    """The status with which a peer that trusts `ca_file` gets the version document, or another path."""
    policy = EgressPolicy(allow=frozenset({origin.partition("://")[2]}))
    async with GuardedClient(policy, tls=await asyncio.to_thread(client_context, ca_file)) as client:
        return (await client.request("GET", origin + path, headers={})).status


async def test_a_connector_speaks_tls_and_says_so(tmp_path: Path, authority: Authority, files: Files) -> None:
    more = {"management.host": '"127.0.0.1"', "management.port": "0"}
    settings = await asyncio.to_thread(lambda: settings_of(tmp_path / "house", files, authority.file, **more))
    async with running(settings) as connector:
        assert connector.management_url.startswith("https://127.0.0.1:")
        assert await ask(connector.management_url, authority.file, "/management/check/liveness") == 200
        origin = connector.protocol_url.removesuffix("/dsp/2025-1")
        assert origin.startswith("https://127.0.0.1:")
        assert await ask(origin, authority.file) == 200
        stranger = await asyncio.to_thread(Authority, tmp_path, "somebody else")
        for trusted in (stranger.file, None):
            with pytest.raises(PeerUnreachable) as caught:
                await ask(origin, trusted)
            assert caught.value.code == "tls"
        with pytest.raises(PeerUnreachable):
            await ask(origin.replace("https:", "http:"), authority.file)


async def test_strangers_do_business_over_tls_by_their_dids_alone(tmp_path: Path, authority: Authority, files: Files) -> None:
    """As in production: no development key, no pinned token, no address that anybody wrote down."""
    ports = free_ports(4)
    dids = [f"did:web:localhost%3A{port}" for port in ports]
    allow = json.dumps([f"localhost:{port}" for port in ports])

    def make(name: str, at: int) -> Settings:
        more = {"client.allow": allow}
        for section, key, port in (("protocol", "port", ports[at]), ("data", "public_port", ports[at + 2])):
            more |= {f"{section}.{key}": str(port), f"{section}.public_url": json.dumps(f"https://localhost:{port}")}
        return settings_of(tmp_path / name, files, authority.file, did=dids[at], **more)

    one, two = await asyncio.to_thread(make, "one", 0), await asyncio.to_thread(make, "two", 1)
    trips = one.data_dir / "trips.csv"
    await asyncio.to_thread(trips.write_text, "trip,distance_km\n1,12.5\n")
    async with running(one), running(two), LocalClient.of(one) as provider, LocalClient.of(two) as consumer:
        await provider.publish("trips", str(trips), title="Trips", open_to="all")
        (offered,) = await consumer.catalog(dids[0])
        begun = await consumer.negotiate(dids[0], "trips", offered["hasPolicy"][0])
        process = await consumer.wait(begun["id"], lambda process: process["state"] in FINAL, PATIENCE_S)
        assert process["state"] == "FINALIZED"
        begun = await consumer.transfer(process["agreement"]["@id"], sink="trips.csv")
        process = await consumer.wait(begun["id"], lambda process: process["state"] in FINAL, PATIENCE_S)
        assert process["state"] == "COMPLETED"
    received = two.data_dir / "received" / "trips.csv"
    assert await asyncio.to_thread(received.read_bytes) == await asyncio.to_thread(trips.read_bytes)


async def test_a_connector_does_not_start_with_files_that_are_no_good(tmp_path: Path, files: Files) -> None:
    settings = await asyncio.to_thread(settings_of, tmp_path / "house", files)
    files.key.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600") as caught:
        async with running(settings):
            pytest.fail("it started")
    assert (caught.value.code, caught.value.path) == ("secret-exposed", "protocol.tls_key")


async def negotiated(files: Files, client: ssl.SSLContext) -> tuple[str, str]:
    """Version and suite that a listener of ours agrees on with a client. Raises OSError when they do not agree."""
    context = server_context(files.certificate, files.key, section="protocol", now_ms=now_ms())

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        agreed = writer.get_extra_info("ssl_object")
        found = agreed.version(), agreed.cipher()[0]
        writer.transport.abort()
        return found


async def test_what_is_agreed_on_is_of_this_time(authority: Authority, files: Files) -> None:
    client = client_context(authority.file)
    assert (await negotiated(files, client))[0] == "TLSv1.3"
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    version, suite = await negotiated(files, client)
    assert version == "TLSv1.2"
    assert suite.startswith("ECDHE-")
    client.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await negotiated(files, client)
    assert client.minimum_version == ssl.TLSVersion.TLSv1_2


Spoil = Callable[[Authority, Files], Files]


def exposed(_: Authority, files: Files) -> Files:
    files.key.chmod(0o640)
    return files


def expired(authority: Authority, _: Files) -> Files:
    now = datetime.now(UTC)
    return authority.issue("old", begins=now - timedelta(days=3), ends=now - timedelta(days=1))


def too_early(authority: Authority, _: Files) -> Files:
    return authority.issue("early", begins=datetime.now(UTC) + timedelta(days=1))


def written(which: str, content: bytes) -> Spoil:
    def spoil(_: Authority, files: Files) -> Files:
        getattr(files, which).write_bytes(content)
        return files

    return spoil


@pytest.mark.parametrize(
    ("spoil", "code", "path", "remedy"),
    [
        (lambda _, files: Files(files.certificate, files.key.with_name("none")), "tls-unreadable", "tls_key", "correct the path"),
        (lambda _, files: Files(files.key.with_name("none"), files.key), "tls-unreadable", "tls_certificate", "correct the path"),
        (lambda _, files: Files(files.key, files.key), "tls-invalid", "tls_certificate", "BEGIN CERTIFICATE"),
        (lambda _, files: Files(files.certificate, files.certificate), "secret-exposed", "tls_key", "chmod 600"),
        (lambda it, files: Files(it.issue("other").certificate, files.key), "tls-mismatch", "tls_key", "the pair"),
        (lambda it, _: it.issue("locked", passphrase=b"hush hush"), "tls-invalid", "tls_key", "without a passphrase"),
        (exposed, "secret-exposed", "tls_key", "chmod 600"),
        (expired, "tls-expired", "tls_certificate", "renew it"),
        (too_early, "tls-not-yet-valid", "tls_certificate", "NTP"),
        (written("key", b"-----BEGIN"), "tls-invalid", "tls_key", "PEM"),
        (written("certificate", b"#" * (tls.MAX_FILE_BYTES + 1)), "tls-invalid", "tls_certificate", "larger than"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said(
    authority: Authority, files: Files, spoil: Spoil, code: str, path: str, remedy: str
) -> None:
    spoilt = spoil(authority, files)
    with pytest.raises(SettingsError) as caught:
        server_context(spoilt.certificate, spoilt.key, section="data", now_ms=now_ms())
    assert (caught.value.code, caught.value.path) == (code, f"data.{path}")
    assert remedy in caught.value.reason
    assert "hush" not in str(caught.value)


def test_a_key_too_weak_for_openssl_is_refused_in_words(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "SUITES_OF_TLS_1_2", "ECDHE+AESGCM@SECLEVEL=5")
    with pytest.raises(SettingsError, match="key too small") as caught:
        server_context(files.certificate, files.key, section="", now_ms=now_ms())
    assert (caught.value.code, caught.value.path) == ("tls-invalid", "tls_certificate")


def test_authorities_are_pem_certificates_too(tmp_path: Path, files: Files) -> None:
    for file, code in ((tmp_path / "none", "tls-unreadable"), (files.key, "tls-invalid")):
        with pytest.raises(SettingsError) as caught:
            client_context(file)
        assert (caught.value.code, caught.value.path) == (code, "client.ca_file")


def test_the_systems_authorities_stay_trusted(authority: Authority) -> None:
    own = len(ssl.create_default_context().get_ca_certs())
    assert len(client_context(None).get_ca_certs()) == own
    assert len(client_context(authority.file).get_ca_certs()) == own + 1


def test_a_certificate_says_how_long_it_is_good(authority: Authority) -> None:
    ends = datetime(2045, 6, 7, 8, 9, 10, tzinfo=UTC)
    validity = validity_of(authority.issue(ends=ends).certificate, "protocol.tls_certificate")
    assert validity.ends_at == int(ends.timestamp()) * 1000
    assert validity.begins_at < now_ms()


def test_a_link_to_a_renewed_certificate_is_followed(authority: Authority, files: Files, tmp_path: Path) -> None:
    linked = Files(tmp_path / "live.pem", tmp_path / "live.key")
    os.symlink(files.certificate, linked.certificate)
    os.symlink(files.key, linked.key)
    assert server_context(linked.certificate, linked.key, section="", now_ms=now_ms()).verify_mode == ssl.CERT_NONE
