"""What the guarded client refuses before anything is sent: URL tricks, addresses, schemes, ports, headers."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.http.client import (
    MAX_RESOLVER_THREADS,
    EgressPolicy,
    EgressRefused,
    GuardedClient,
    GuardedResolver,
    is_public,
    parse_target,
)

OPEN = EgressPolicy(https_only=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://user@example.org/",
        "http://user:pass@example.org/",
        "http://example.org/#part",
        "http://example.org/a?b#part",
        "http:///nothing",
        "http://",
        "//example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://example.org:0/",
        "http://example.org:65536/",
        "http://example.org:/",
        "http://exa mple.org/",
        "http://example.org/a b",
        "http://example.org/\r\nX: y",
        "http://example.org\\@127.0.0.1/",
        "http://example..org/",
        "http://exämple.org/",
        "http://[::1%25eth0]/",
        "http://[1.2.3.4]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://017700000001/",
        "http://127.1/",
        "http://010.0.0.1/",
        "http://127.0.0.01/",
        "http://127.0.0.1./",
        "http://example.0x7f/",
        "http://example.0x/",
        "http://1.2.3.4.5.6.7.8.%/",
        "http://example.org/" + "a" * 9000,
        "",
    ],
)
def test_a_url_that_two_parsers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(EgressRefused) as refusal:
        parse_target(url)
    assert refusal.value.code == "url"


@pytest.mark.parametrize(
    ("url", "authority", "built"),
    [
        ("https://Example.ORG", "example.org:443", "https://example.org/"),
        ("http://example.org?x=%2F", "example.org:80", "http://example.org/?x=%2F"),
        (
            "https://example.org:8443/a%2Fb/../c?q=1&q=2",
            "example.org:8443",
            "https://example.org:8443/a%2Fb/../c?q=1&q=2",
        ),
        ("HTTPS://[2606:4700:0:0::1111]:443/", "[2606:4700::1111]:443", "https://[2606:4700::1111]/"),
        ("https://xn--exmple-cua.org./", "xn--exmple-cua.org.:443", "https://xn--exmple-cua.org./"),
    ],
)
def test_a_plain_url_is_taken_as_it_is_written(url: str, authority: str, built: str) -> None:
    target = parse_target(url)
    assert target.authority == authority
    assert str(target.url) == built


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.0.170",
        "192.88.99.1",
        "198.18.0.1",
        "203.0.113.7",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "2002:7f00:1::1",
        "2002:a00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "2001::1",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "4000::1",
        "2606:4700::1111%eth0",
    ],
)
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::808:808"],
)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_no_wrapping_makes_a_closed_address_public(inner: ipaddress.IPv4Address) -> None:
    number = int(inner)
    wrapped = (
        (0xFFFF << 32) | number,
        (0x2002 << 112) | (number << 80),
        int(ipaddress.IPv6Address("64:ff9b::")) | number,
    )
    for value in wrapped:
        assert is_public(str(ipaddress.IPv6Address(value))) == is_public(str(inner))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:8080/", "address"),
        ("http://[::1]:8080/", "address"),
        ("http://[::ffff:7f00:1]:8080/", "address"),
        ("http://169.254.169.254/latest/meta-data", "address"),
        ("http://localhost:8080/", "address"),
        ("http://LOCALHOST:8080/", "address"),
        ("http://localhost.:8080/", "address"),
        ("http://a.b.localhost:8080/", "address"),
        ("http://8.8.8.8:22/", "port"),
        ("http://8.8.8.8:25/", "port"),
    ],
)
async def test_the_address_behind_a_url_is_judged(url: str, code: str) -> None:
    async with GuardedClient(OPEN) as client:
        with pytest.raises(EgressRefused) as refusal:
            await client.request("GET", url, headers={})
        assert refusal.value.code == code
        with pytest.raises(EgressRefused):
            async with client.stream("GET", url, headers={}, max_bytes=10):
                pass


async def test_plain_http_needs_an_exemption() -> None:
    async with GuardedClient(EgressPolicy()) as client:
        with pytest.raises(EgressRefused) as refusal:
            await client.request("GET", "http://8.8.8.8/", headers={})
    assert refusal.value.code == "scheme"


async def test_one_closed_address_among_open_ones_condemns_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int, family: int = 0, type: int = 0) -> list[object]:  # noqa: A002 - the library's name
        stream = socket.SOCK_STREAM
        return [(socket.AF_INET, stream, 6, "", (ip, port)) for ip in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    resolver = GuardedResolver(frozenset())
    with pytest.raises(EgressRefused):
        await resolver.resolve("two-faced.example", 443)
    await resolver.close()


async def test_a_name_that_hangs_holds_one_thread_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    released, started = threading.Event(), threading.Event()

    def look_up(host: str, port: int, family: int = 0, type: int = 0) -> list[object]:  # noqa: A002 - the library's name
        asked.append(host)
        if host == "hangs.example":
            started.set()
            assert released.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "late")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    resolver = GuardedResolver(frozenset())
    try:
        tries = [asyncio.create_task(resolver.resolve("hangs.example", 443)) for _ in range(MAX_RESOLVER_THREADS * 2)]
        await asyncio.to_thread(started.wait)
        for attempt in tries[1:]:
            attempt.cancel()
        assert [found["host"] for found in await resolver.resolve("answers.example", 443)] == ["8.8.8.8"]
        assert asked == ["hangs.example", "answers.example"]
        released.set()
        with pytest.raises(socket.gaierror):
            await tries[0]
        await asyncio.gather(*tries, return_exceptions=True)
    finally:
        released.set()
        await resolver.close()


async def test_closing_does_not_wait_for_a_name_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    released, started = threading.Event(), threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        started.set()
        assert released.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    resolver = GuardedResolver(frozenset())
    try:
        hanging = asyncio.create_task(resolver.resolve("hangs.example", 443))
        await asyncio.to_thread(started.wait)
        await resolver.close()
        with pytest.raises(asyncio.CancelledError):
            await hanging
    finally:
        released.set()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer a\r\nX-Injected: 1"},
        {"X-Key": "a\0b"},
        {"Bad Name": "x"},
        {"Host": "other.example"},
        {"transfer-encoding": "chunked"},
    ],
)
async def test_headers_cannot_reframe_the_message_and_are_not_quoted(headers: dict[str, str]) -> None:
    async with GuardedClient(OPEN) as client:
        with pytest.raises(EgressRefused) as refusal:
            await client.request("GET", "https://8.8.8.8/", headers=headers)
    assert refusal.value.code == "header"
    assert "Injected" not in str(refusal.value)
