"""A URL, a name or a document that somebody else chose, against the real fetcher over real sockets.

Each attack is named together with the code that it must be refused with, and the two stand in the test's id. Sockets lead to
loopback only: what a test takes for a public address is carried to a listener of its own, and noted.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connector.http.client import EgressPolicy, GuardedClient
from connector.identity import did, metadata
from connector.identity.fetcher import Fetcher, FetchRefused
from connector.protocol.errors import CarnetError
from connector.settings.identity import OAuthSettings

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SETTINGS: Final = OAuthSettings(document_timeout_s=1)
PUBLIC: Final = "8.8.8.8"
NAME: Final = "rebind.example"
Address = tuple[str, int]


@dataclass
class Listener:
    """A server on loopback that counts who came and what it could send."""

    port: int = 0
    connections: int = 0
    sent: int = 0
    paths: list[str] = field(default_factory=list)

    @property
    def authority(self) -> str:
        """Its address as exemptions name it."""
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def listening(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """A raw TCP server on 127.0.0.1 that reads a request's head before ``behave`` has its turn."""
    here, handlers = Listener(), set[asyncio.Task[Any]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here.connections += 1
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            here.paths.append(head.split(b" ")[1].decode())
            await behave(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            handlers.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    here.port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        server.close()
        for task in list(handlers):
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await server.wait_closed()


def answering(body: bytes, status: str = "200 OK", **headers: str) -> Behaviour:
    """A whole answer, JSON unless said otherwise; the connection is closed behind it."""
    fields = {"content_type": "application/json", "content_length": str(len(body)), "connection": "close", **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)
        await writer.drain()

    return behave


@asynccontextmanager
async def fetching(*exempt: Listener, https_only: bool = True, tls: ssl.SSLContext | None = None) -> AsyncIterator[Fetcher]:
    """The fetcher as the connector makes it; ``exempt`` may be called although they are on loopback."""
    policy = EgressPolicy(allow=frozenset(there.authority for there in exempt), https_only=https_only)
    async with GuardedClient(policy, tls=tls) as client:
        fetcher = Fetcher(client, SETTINGS, lambda: 0.0)
        yield fetcher
        await fetcher.close()


async def refused(fetcher: Fetcher, url: str, attack: str, expected: str) -> None:
    """The one assertion: the attack was refused, with its own code."""
    try:
        seen = f"taken: {await fetcher.document(url)!r:.100}"
    except FetchRefused as refusal:
        seen = refusal.code
    assert (attack, seen) == (attack, expected)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[Address]:
    """Where this loop connects to. A connection to the public address is carried to the same port of loopback."""
    seen: list[Address] = []
    real = asyncio.SelectorEventLoop.sock_connect

    async def connect(loop: asyncio.SelectorEventLoop, sock: socket.socket, address: Address) -> None:
        seen.append(address[:2])
        await real(loop, sock, ("127.0.0.1", address[1]) if address[0] == PUBLIC else address)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", connect)
    return seen


class Names:
    """A stand-in for the system's resolver: each look-up of a name gives its next answer, and the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[tuple[str, ...]]] = {}
        self.asked: list[str] = []
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, port: int, **_: object) -> list[object]:
        self.asked.append(host)
        answers = self.answers[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (ip, port, 0, 0))
            if ":" in ip
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))
            for ip in found
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


def named(table: Mapping[str, tuple[Any, str]]) -> pytest.MarkDecorator:
    """Each row of an attack table as a test of its own, named after the attack and the expected code."""
    rows = [pytest.param(attack, what, code, id=f"{attack} -> {code}") for attack, (what, code) in table.items()]
    return pytest.mark.parametrize(("attack", "what", "code"), rows)


CLOSED: Final = {
    "loopback": "127.0.0.1",
    "another loopback": "127.8.9.10",
    "loopback, IPv6": "[::1]",
    "loopback, IPv6 in full": "[0:0:0:0:0:0:0:1]",
    "cloud metadata": "169.254.169.254",
    "10/8": "10.0.0.1",
    "172.16/12": "172.31.255.1",
    "192.168/16": "192.168.0.1",
    "shared address space": "100.64.0.1",
    "this network": "0.0.0.0",
    "benchmarking": "198.18.0.1",
    "multicast": "224.0.0.1",
    "broadcast": "255.255.255.255",
    "unspecified, IPv6": "[::]",
    "unique local": "[fd00::1]",
    "link-local, IPv6": "[fe80::1]",
    "multicast, IPv6": "[ff02::1]",
    "IPv4-mapped": "[::ffff:127.0.0.1]",
    "IPv4-mapped in hex": "[::ffff:a9fe:a9fe]",
    "IPv4-compatible": "[::127.0.0.1]",
    "NAT64 of loopback": "[64:ff9b::7f00:1]",
    "NAT64 of 10/8": "[64:ff9b::10.0.0.1]",
    "local NAT64": "[64:ff9b:1::808:808]",
    "6to4 of loopback": "[2002:7f00:1::]",
    "Teredo": "[2001::1]",
    "localhost": "localhost",
    "localhost with a dot": "localhost.",
    "localhost in capitals": "LocalHost",
    "below localhost": "idp.localhost",
}
SPELLINGS: Final = {
    "hex": "0x7f.1",
    "hex in one": "0x7f000001",
    "decimal": "2130706433",
    "octal": "0177.0.0.1",
    "octal in one": "017700000001",
    "short": "127.1",
    "leading zero": "127.0.0.01",
    "a dot behind": "127.0.0.1.",
    "decimal and a dot behind": "2130706433.",
    "a name that ends in a number": "peer.example.127",
    "full width": "\uff11\uff12\uff17.0.0.1",
    "circled": "\u2460\u2461\u2466.0.0.1",
    "full-width dots": "127\u30020\u30020\u30021",
    "percent": "%31%32%37.0.0.1",
    "zone": "[fe80::1%25lo]",
    "IPv4 in brackets": "[127.0.0.1]",
    "empty": "",
}
URLS: Final = {
    **{attack: (f"https://{host}:{{port}}/did.json", "fetch-address") for attack, host in CLOSED.items()},
    **{f"spelled: {attack}": (f"https://{host}:{{port}}/did.json", "fetch-url") for attack, host in SPELLINGS.items()},
    "ssh": ("https://8.8.8.8:22/did.json", "fetch-port"),
    "smtp": ("https://peer.example:25/did.json", "fetch-port"),
    "port 0": ("https://peer.example:0/did.json", "fetch-url"),
    "port too large": ("https://peer.example:65536/did.json", "fetch-url"),
    "no port behind the colon": ("https://peer.example:/did.json", "fetch-url"),
    "user": ("https://peer.example@127.0.0.1:{port}/did.json", "fetch-url"),
    "user and password": ("https://a:b@peer.example/did.json", "fetch-url"),
    "backslash": ("https://peer.example\\@127.0.0.1:{port}/did.json", "fetch-url"),
    "fragment": ("https://127.0.0.1:{port}#@peer.example/did.json", "fetch-url"),
    "line break": ("https://peer.example/\r\nHost: 127.0.0.1:{port}\r\n\r\n", "fetch-url"),
    "tab in the host": ("https://127.0.0\t.1:{port}/did.json", "fetch-url"),
    "blank in front": (" https://127.0.0.1:{port}/did.json", "fetch-url"),
    "dots in disguise": ("https://peer.example/a/%2e%2e/did.json", "fetch-url"),
    "half in disguise": ("https://peer.example/a/.%2E/did.json", "fetch-url"),
    "dots": ("https://peer.example/a/../did.json", "fetch-url"),
    "slash in disguise": ("https://peer.example/a%2F..%2Fdid.json", "fetch-url"),
    "empty segment": ("https://peer.example//127.0.0.1:{port}/did.json", "fetch-url"),
    "plain http": ("http://peer.example/did.json", "fetch-scheme"),
    "a file": ("file:///etc/passwd", "fetch-url"),
    "gopher": ("gopher://127.0.0.1:{port}/_GET", "fetch-url"),
    "data": ("data:application/json,{{}}", "fetch-url"),
    "no scheme": ("//127.0.0.1:{port}/did.json", "fetch-url"),
    "too long": ("https://peer.example/" + "a" * 2048, "fetch-url"),
}


@named(URLS)
async def test_a_url_is_refused_before_anything_is_connected_to(
    attack: str, what: str, code: str, connected: list[Address], names: Names
) -> None:
    async with listening(answering(b"{}")) as treasure:
        url = what.format(port=treasure.port)
        async with fetching() as fetcher:
            await refused(fetcher, url, attack, code)
        if code != "fetch-scheme":
            async with fetching(https_only=False) as fetcher:
                await refused(fetcher, url.replace("https:", "http:"), attack, code)
    assert (connected, names.asked, treasure.connections) == ([], [], 0)


RESOLVED: Final = {
    "loopback": ("127.0.0.1",),
    "loopback, IPv6": ("::1",),
    "cloud metadata": ("169.254.169.254",),
    "10/8": ("10.0.0.1",),
    "IPv4-mapped": ("::ffff:127.0.0.1",),
    "NAT64": ("64:ff9b::7f00:1",),
    "link-local with its zone": ("fe80::1%eth0",),
    "one public and one private": (PUBLIC, "10.0.0.1"),
    "one private and one public": ("10.0.0.1", PUBLIC),
    "one public and one of IPv6 loopback": (PUBLIC, "::1"),
}


@named({attack: (addresses, "fetch-address") for attack, addresses in RESOLVED.items()})
async def test_a_name_of_a_closed_address_is_refused(
    attack: str, what: tuple[str, ...], code: str, connected: list[Address], names: Names
) -> None:
    names.answers[NAME] = [what]
    async with listening(answering(b"{}")) as treasure, fetching() as fetcher:
        await refused(fetcher, f"https://{NAME}:{treasure.port}/did.json", attack, code)
    assert (connected, names.asked, treasure.connections) == ([], [NAME], 0)


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for the name that is rebound, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, today = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(private + public)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=public.decode())


async def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_judged(
    tmp_path: Path, connected: list[Address], names: Names
) -> None:
    """Public at the first look-up, loopback at every later one: there is none before the connection, and the next is judged."""
    server, trusting = certified(tmp_path)
    names.answers[NAME] = [(PUBLIC,), ("127.0.0.1",)]
    async with listening(answering(b'{"id":"first"}'), server) as there, fetching(tls=trusting) as fetcher:
        url = f"https://{NAME}:{there.port}/did.json"
        assert await fetcher.document(url) == {"id": "first"}
        assert (names.asked, connected) == ([NAME], [(PUBLIC, there.port)])
        await refused(fetcher, f"https://{NAME}:{there.port}/other.json", "DNS rebinding", "fetch-address")
        assert (names.asked, connected, there.connections) == ([NAME, NAME], [(PUBLIC, there.port)], 1)


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch, connected: list[Address], names: Names) -> None:
    names.answers[NAME] = [("10.0.0.1",)]
    async with listening(answering(b"{}")) as proxy, fetching() as fetcher:
        for variable in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, f"http://{proxy.authority}")
        await refused(fetcher, f"https://{NAME}/did.json", "a proxy that resolves for us", "fetch-address")
    assert (connected, proxy.connections) == ([], 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_loopback_is_not_followed(status: int) -> None:
    async with listening(answering(b"{}")) as treasure:
        away = answering(b"{}", f"{status} Moved", location=f"http://{treasure.authority}/secret")
        async with listening(away) as there, fetching(there, treasure) as fetcher:
            await refused(fetcher, f"http://{there.authority}/did.json", f"{status} to loopback", "fetch-redirect")
        assert (there.connections, treasure.connections) == (1, 0)


async def drip_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    await drip(writer)


async def drip_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    await drip(writer)


async def drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def hinting(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


GZIP: Final = {"content_encoding": "gzip"}
ZEROS: Final = gzip.compress(bytes(64 * 1024 * 1024))
DEEP: Final = b'{"a":' * 33 + b"1" + b"}" * 33
ANSWERS: Final[Mapping[str, tuple[Behaviour, str]]] = {
    "slow-loris head": (drip_head, "fetch-timeout"),
    "slow-loris body": (drip_body, "fetch-timeout"),
    "silence": (silent, "fetch-timeout"),
    "hints without end": (hinting, "fetch-timeout"),
    "gzip bomb": (answering(ZEROS, **GZIP), "fetch-too-large"),
    "gzip bomb in JSON": (answering(gzip.compress(b'{"a":"' + b"x" * 10_000_000 + b'"}'), **GZIP), "fetch-too-large"),
    "bomb in a bomb": (answering(gzip.compress(ZEROS), **GZIP), "fetch-not-json"),
    "gzip that is none": (answering(b"{}", **GZIP), "fetch-protocol"),
    "one byte too many": (answering(b'{"a":"' + b"x" * (SETTINGS.document_max_bytes - 7) + b'"}'), "fetch-too-large"),
    "less than announced": (answering(b"{}", content_length="100"), "fetch-protocol"),
    "two framings": (answering(b"{}", transfer_encoding="chunked"), "fetch-protocol"),
    "no HTTP": (answering(b"", "\r\n\r\nSSH-2.0-OpenSSH_9.9"), "fetch-protocol"),
    "HTML": (answering(b"{}", content_type="text/html"), "fetch-content-type"),
    "text": (answering(b"{}", content_type="text/plain"), "fetch-content-type"),
    "bytes": (answering(b"{}", content_type="application/octet-stream"), "fetch-content-type"),
    "a list of types": (answering(b"{}", content_type="text/html, application/json"), "fetch-content-type"),
    "404": (answering(b"{}", "404 Not Found"), "fetch-status"),
    "206": (answering(b"{}", "206 Partial Content"), "fetch-status"),
    "500": (answering(b"{}", "500 Oops"), "fetch-status"),
    "member twice": (answering(b'{"id":"did:web:a","id":"did:web:b"}'), "fetch-duplicate-member"),
    "member twice, once in disguise": (answering(b'{"id":"a","\\u0069d":"b"}'), "fetch-duplicate-member"),
    "member twice, deep inside": (answering(b'{"keys":[{"kid":"a","kid":"b"}]}'), "fetch-duplicate-member"),
    "33 levels": (answering(DEEP), "fetch-too-deep"),
    "50,000 levels": (answering(b"[" * 50_000 + b"]" * 50_000), "fetch-too-deep"),
    "a list": (answering(b"[]"), "fetch-not-json"),
    "nothing": (answering(b""), "fetch-not-json"),
    "not a number": (answering(b'{"a":NaN}'), "fetch-not-json"),
    "a byte order mark": (answering(b"\xef\xbb\xbf{}"), "fetch-not-json"),
    "UTF-16": (answering('{"a":1}'.encode("utf-16")), "fetch-not-json"),
    "no UTF-8": (answering(b'{"a":"\xff"}'), "fetch-not-json"),
    "two documents": (answering(b"{}{}"), "fetch-not-json"),
}


@named(ANSWERS)
async def test_an_answer_that_is_no_document_is_refused(attack: str, what: Behaviour, code: str) -> None:
    async with listening(what) as there, fetching(there) as fetcher:
        await refused(fetcher, f"http://{there.authority}/did.json", attack, code)
        assert there.paths == ["/did.json"]


@pytest.mark.parametrize("framing", [b"Content-Length: 1073741824", b"Transfer-Encoding: chunked", b"Connection: close"])
async def test_of_a_gibibyte_little_is_read(framing: bytes) -> None:
    piece = b"x" * 65_536
    chunk = b"10000\r\n" + piece + b"\r\n" if b"chunked" in framing else piece
    stopped = asyncio.Event()

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + framing + b"\r\n\r\n")
        with contextlib.suppress(OSError):
            for _number in range(1024**3 // len(piece)):
                writer.write(chunk)
                await writer.drain()
                there.sent += len(piece)
        stopped.set()

    async with listening(behave) as there, fetching(there) as fetcher:
        await refused(fetcher, f"http://{there.authority}/did.json", "1 GiB", "fetch-too-large")
        async with asyncio.timeout(30):
            await stopped.wait()
        # More than is taken fits into the buffers of two sockets.
        assert there.sent < 64 * 1024 * 1024


async def test_a_document_of_somebody_else_is_refused() -> None:
    """What is fetched may be a document in every way, and yet speak for another."""
    other = b'{"id":"did:web:other.example","resource":"https://other.example","issuer":"https://other.example"}'
    async with listening(answering(other)) as there, fetching(there) as fetcher:
        base = f"http://{there.authority}"
        document = await fetcher.document(base + "/.well-known/did.json")
        attacks: dict[str, tuple[Callable[[], Awaitable[object]], str]] = {
            "id mismatch": (lambda: asyncio.to_thread(did.read_document, "did:web:peer.example", document), "did-mismatch"),
            "resource mismatch": (lambda: metadata.protected_resource(fetcher, base), "metadata-resource"),
            "issuer mismatch": (lambda: metadata.authorization_server(fetcher, base), "metadata-issuer"),
        }
        for attack, (act, expected) in attacks.items():
            with pytest.raises(CarnetError) as refusal:
                await act()
            assert (attack, refusal.value.code) == (attack, expected)
