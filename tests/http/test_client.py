"""The guarded client against real servers on the loopback interface, most of them hostile."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connector.http.client import EgressPolicy, GuardedClient, PeerUnreachable

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
QUICK = EgressPolicy(connect_timeout_s=2.0, idle_timeout_s=5.0, total_timeout_s=10.0, max_bytes=64 * 1024)


@dataclass
class Peer:
    """A raw TCP server; counts the connections it was given."""

    url: str
    authority: str
    connections: int = 0


@asynccontextmanager
async def peer(behave: Behaviour, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here.connections += 1
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            await behave(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            handlers.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    here = Peer(f"http://{host}:{port}", f"{host}:{port}")
    try:
        yield here
    finally:
        server.close()
        for task in list(handlers):
            task.cancel()
        await server.wait_closed()
        await asyncio.gather(*handlers, return_exceptions=True)


def client_for(*peers: Peer, policy: EgressPolicy = QUICK) -> GuardedClient:
    return GuardedClient(replace(policy, allow=frozenset(p.authority for p in peers)))


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def fixed(answer: bytes) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer)
        await writer.drain()

    return behave


async def failure(client: GuardedClient, url: str, timeout_s: float | None = None) -> PeerUnreachable:
    with pytest.raises(PeerUnreachable) as caught:
        await client.request("POST", url, headers={"Authorization": "Bearer hidden-word"}, body=b"{}", timeout_s=timeout_s)
    assert "hidden-word" not in str(caught.value)
    return caught.value


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = await read_head(reader)
        length = next((int(h[15:]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0)
        body = await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\nX-Seen: Yes\r\nContent-Length: %d\r\n\r\n" % len(head + body) + head + body)
        await writer.drain()


async def test_a_message_and_its_answer() -> None:
    async with peer(echo) as there, client_for(there) as client:
        answer = await client.request("POST", there.url + "/a%2Fb?c=d", headers={"X-Mine": "1"}, body=b"hello")
    assert answer.status == 200
    assert answer.headers["x-seen"] == "Yes"
    assert answer.body.startswith(b"POST /a%2Fb?c=d HTTP/1.1\r\n")
    assert answer.body.endswith(b"\r\n\r\nhello")
    assert b"Cookie" not in answer.body


async def test_one_connection_serves_many_messages() -> None:
    async with peer(echo) as there, client_for(there) as client:
        for number in range(20):
            answer = await client.request("POST", there.url, headers={}, body=b"%d" % number)
            assert answer.body.endswith(b"\r\n\r\n%d" % number)
        assert there.connections == 1


async def test_connections_to_one_host_are_bounded() -> None:
    async with (
        peer(echo) as there,
        client_for(there, policy=replace(QUICK, per_host_connections=3)) as client,
    ):
        await asyncio.gather(*(client.request("GET", there.url, headers={}) for _ in range(30)))
        assert there.connections == 3


async def test_a_name_is_allowed_by_its_exact_host_and_port() -> None:
    async with peer(echo) as there:
        port = there.authority.rpartition(":")[2]
        policy = replace(QUICK, allow=frozenset({f"localhost:{port}"}))
        async with GuardedClient(policy) as client:
            assert (await client.request("GET", f"http://LocalHost:{port}/", headers={})).status == 200


async def test_cookies_are_not_kept() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: %d\r\n\r\n" % len(head) + head)

    async with peer(behave) as there, client_for(there) as client:
        await client.request("GET", there.url, headers={})
        assert b"ookie" not in (await client.request("GET", there.url, headers={})).body


async def test_the_environment_cannot_name_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peer(echo) as there, peer(echo) as proxy, client_for(there) as client:
        monkeypatch.setenv("http_proxy", proxy.url)
        await client.request("GET", there.url, headers={})
        assert (there.connections, proxy.connections) == (1, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_handed_back_and_not_followed(status: int) -> None:
    async with peer(echo) as target:
        moved = f"HTTP/1.1 {status} Moved\r\nLocation: {target.url}\r\nContent-Length: 0\r\n\r\n".encode()
        async with peer(fixed(moved)) as there, client_for(there, target) as client:
            answer = await client.request("POST", there.url, headers={}, body=b"{}")
        assert answer.status == status
        assert target.connections == 0


async def test_reset_without_an_answer() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async with peer(behave) as there, client_for(there) as client:
        error = await failure(client, there.url)
    assert (error.code, error.retry) == ("reset", True)


async def test_nobody_listens() -> None:
    async with peer(echo) as there:
        gone = there
    async with client_for(gone) as client:
        assert (await failure(client, gone.url)).code == "connect"


async def test_a_name_that_does_not_exist() -> None:
    policy = replace(QUICK, allow=frozenset({"no-such-host.invalid:80"}))
    async with GuardedClient(policy) as client:
        assert (await failure(client, "http://no-such-host.invalid/")).code == "dns"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    ],
)
async def test_garbage_and_truncation(answer: bytes) -> None:
    async with peer(fixed(answer)) as there, client_for(there) as client:
        assert (await failure(client, there.url)).code == "protocol"


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"])
async def test_slow_loris_hits_the_deadline_of_the_whole_call(head: bytes) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(head)
        while True:
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with peer(behave) as there, client_for(there) as client:
        assert (await failure(client, there.url, timeout_s=0.3)).code in ("timeout", "protocol")


async def test_silence_hits_the_idle_deadline() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with peer(behave) as there, client_for(there, policy=replace(QUICK, idle_timeout_s=0.2)) as client:
        assert (await failure(client, there.url)).code == "timeout"


@pytest.mark.parametrize("framing", [b"Content-Length: 99999999999\r\n", b"Connection: close\r\n"])
async def test_an_endless_body_is_cut_at_the_limit(framing: bytes) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with peer(behave) as there, client_for(there) as client:
        error = await failure(client, there.url)
        assert (error.code, error.retry) == ("too_large", False)


async def test_a_gzip_bomb_is_cut_at_its_inflated_size() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with peer(fixed(head + bomb)) as there, client_for(there) as client:
        assert (await failure(client, there.url)).code == "too_large"


async def test_gzip_within_the_limit_is_inflated() -> None:
    packed = gzip.compress(b"word " * 100)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with peer(fixed(head + packed)) as there, client_for(there) as client:
        assert (await client.request("GET", there.url, headers={})).body == b"word " * 100


async def test_cancellation_closes_the_connection() -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        asked.set()
        await reader.read()
        closed.set()

    async with peer(behave) as there, client_for(there) as client:
        call = asyncio.create_task(client.request("GET", there.url, headers={}))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(5):
            await closed.wait()


async def test_a_stream_arrives_in_pieces_undecoded() -> None:
    body = bytes(range(256)) * 8192
    head = b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with (
        peer(fixed(head + body)) as there,
        client_for(there) as client,
        client.stream("GET", there.url, headers={"Range": "bytes=0-"}, max_bytes=len(body)) as download,
    ):
        pieces = [piece async for piece in download.chunks()]
    assert download.status == 206
    assert len(pieces) > 1
    assert b"".join(pieces) == body


async def test_a_stream_is_bounded_in_size_silence_and_time() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 1000)
        await reader.read()

    async def drain(max_bytes: int, idle_s: float | None = None, total_s: float | None = None) -> None:
        async with client.stream(
            "GET", there.url, headers={}, max_bytes=max_bytes, idle_timeout_s=idle_s, total_timeout_s=total_s
        ) as download:
            async for _ in download.chunks():
                pass

    async with peer(behave) as there, client_for(there) as client:
        with pytest.raises(PeerUnreachable, match="too_large"):
            await drain(999)
        with pytest.raises(PeerUnreachable, match="timeout: no answer"):
            await drain(1000, idle_s=0.1)
        with pytest.raises(PeerUnreachable, match="timeout: the whole"):
            await drain(1000, total_s=0.1)


async def test_a_stream_that_breaks_off_is_an_error_and_an_encoded_one_too() -> None:
    short = fixed(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    packed = fixed(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf")
    async with peer(short) as one, peer(packed) as two, client_for(one, two) as client:
        for there in (one, two):
            with pytest.raises(PeerUnreachable, match="protocol"):
                async with client.stream("GET", there.url, headers={}, max_bytes=10) as download:
                    assert [piece async for piece in download.chunks()]


async def test_the_callers_own_error_passes_a_stream_unchanged() -> None:
    async with (
        peer(fixed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as there,
        client_for(there) as client,
    ):
        with pytest.raises(OSError, match="disk full"):
            async with client.stream("GET", there.url, headers={}, max_bytes=10):
                raise OSError("disk full")


def self_signed(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own for 127.0.0.1, and a client's context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "peer.pem"
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(private + public)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cadata=public.decode())


async def test_tls_needs_a_trusted_certificate(tmp_path: Path) -> None:
    server, trusting = self_signed(tmp_path)
    async with peer(echo, tls=server) as there:
        url = there.url.replace("http:", "https:")
        async with client_for(there) as client:
            assert (await failure(client, url)).code == "tls"
        policy = replace(QUICK, allow=frozenset({there.authority}))
        async with GuardedClient(policy, tls=trusting) as client:
            assert (await client.request("GET", url, headers={})).status == 200
