"""The one guarded outbound HTTP client: every URL that a peer can influence is fetched through it.

The ceremony of a call, in order; each step is marked with its number below:

1. parse the URL strictly into parts of our own (no second parser ever sees the text)
2. scheme and port: https unless policy or exemption say otherwise; no privileged port but 80 and 443
3. a literal address is judged at once, and a name of this machine
4. a name is resolved once per connection, *every* answer is judged, a judged address is the one connected to
5. headers carry no line break and do not frame the message; no cookies, no proxy, no environment
6. deadlines: connect (DNS included), silence between bytes, and the whole call
7. redirects are handed back, never followed
8. the body is counted as it arrives, after decompression; Content-Length is never trusted

May import aiohttp and the standard library, nothing of the connector. Errors never quote what was sent.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

STREAM_BUFFER_BYTES = 1024 * 1024
MAX_URL_BYTES = 8192
MAX_CONNECTIONS = 256
# A look-up that hangs holds its thread for tens of seconds, whoever still waits for it.
MAX_RESOLVER_THREADS = 32
# Shorter than a usual server's, so that an idle connection is dropped here before the peer drops it.
KEEPALIVE_S = 10.0

_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<v6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?))"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*?)?(?:\?(?P<query>[!-~]*))?",
    re.IGNORECASE,
)
# No top-level domain is one; whatever ends in one is an address in some reading (WHATWG URL, "ends in a number").
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~]*")
_FRAMING_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_Question = tuple[str, int, socket.AddressFamily]
_Found = tuple[socket.AddressFamily, int, str]

# Special-purpose blocks that ipaddress of this Python counts as global (IANA registries).
_CLOSED_V4 = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10")))
_CLOSED_V6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
_GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class EgressRefused(Exception):
    """Our policy forbids this call; repeating it cannot help. ``code`` is stable, ``reason`` for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class PeerUnreachable(Exception):
    """The peer did not give a whole, acceptable answer. ``retry`` says whether trying again may help.

    Codes: ``dns``, ``connect``, ``tls``, ``reset``, ``timeout``, ``protocol``, ``too_large``.
    """

    def __init__(self, code: str, reason: str, *, retry: bool = True) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.retry = retry


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What may be called and how long and large an answer may be.

    ``allow`` holds exact ``host:port`` pairs (``[::1]:8080`` for IPv6) that the operator vouches for: there
    neither address nor scheme nor port is judged. Times are seconds, sizes bytes after decompression.
    """

    allow: frozenset[str] = frozenset()
    https_only: bool = True
    connect_timeout_s: float = 5.0
    idle_timeout_s: float = 10.0
    total_timeout_s: float = 30.0
    max_bytes: int = 1024 * 1024
    per_host_connections: int = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response; a redirect arrives as it is. ``headers`` looks names up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart; ``authority`` is the canonical ``host:port`` that exemptions are compared with."""

    scheme: str
    host: str
    port: int
    authority: str
    url: URL


def parse_target(url: str) -> Target:
    """Step 1. Raises EgressRefused(``url``): user information, fragment, blanks, control or other text."""
    match = _URL.fullmatch(url) if len(url) <= MAX_URL_BYTES else None
    if match is None or "#" in url or "\\" in url:
        raise EgressRefused("url", "not a plain http or https URL (no user, no fragment, ASCII only)")
    scheme = match["scheme"].lower()
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port < 65536:
        raise EgressRefused("url", "port out of range")
    host = _canonical_v6(match["v6"]) if match["v6"] else _canonical_name(match["name"].lower())
    built = URL.build(
        scheme=scheme,
        host=f"[{host}]" if ":" in host else host,
        port=port,
        path=match["path"] or "/",
        query_string=match["query"] or "",
        encoded=True,
    )
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Target(scheme, host, port, authority, built)


def _canonical_v6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise EgressRefused("url", "not an IPv6 address") from None


@functools.lru_cache(maxsize=512)
def _canonical_name(name: str) -> str:
    """Refuse what some resolver takes for an address: ``2130706433``, ``0x7f.1``, ``010.0.0.1``, ``127.0.0.1.``."""
    if len(name) > 253:
        raise EgressRefused("url", "host name too long")
    if _literal(name) is None and _NUMBER.fullmatch(name.removesuffix(".").rpartition(".")[2]):
        raise EgressRefused("url", "an address must be written as four plain decimal numbers")
    return name


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _names_this_machine(host: str) -> bool:
    """RFC 6761, 6.3: ``localhost`` and all below it, never asked of a DNS that may say otherwise."""
    return host.removesuffix(".").rpartition(".")[2] == "localhost"


def is_public(address: str) -> bool:
    """Whether an address, and the one it may carry (mapped, 6to4, NAT64), is of the public internet.

    >>> is_public("8.8.8.8"), is_public("::ffff:127.0.0.1"), is_public("64:ff9b::a00:1")
    (True, False, False)
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast and not any(ip in block for block in _CLOSED_V4)
    if ip.scope_id is not None:
        return False
    if ip.ipv4_mapped is not None:
        return is_public(str(ip.ipv4_mapped))
    if ip.sixtofour is not None:
        return is_public(str(ip.sixtofour))
    if ip in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip in _GLOBAL_UNICAST_V6 and ip.is_global and not any(ip in block for block in _CLOSED_V6)


class GuardedResolver(AbstractResolver):
    """Step 4. The system's resolver, on threads of its own: a dead DNS delays nothing else.

    Who asks for a name that is being looked up shares that look-up: one that hangs holds one thread, however often it is tried.
    """

    def __init__(self, allow: frozenset[str]) -> None:
        self._allow = allow
        self._threads = ThreadPoolExecutor(MAX_RESOLVER_THREADS, thread_name_prefix="egress-dns")
        self._running: dict[_Question, asyncio.Future[list[_Found]]] = {}

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Addresses of ``host``, all judged. Raises EgressRefused(``address``) when one is not public."""
        question = (host, port, family)
        running = self._running.get(question)
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(self._threads, self._look_up, *question)
            self._running[question] = running
            running.add_done_callback(lambda _: self._running.pop(question))
        answers = await asyncio.shield(running)
        exempt = f"{host}:{port}" in self._allow
        results: list[ResolveResult] = []
        for found, proto, address in answers:
            if not exempt and not is_public(address):
                raise EgressRefused("address", f"{host} resolves to an address that is not public")
            results.append(
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=found,
                    proto=proto,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        if not results:
            raise OSError(None, "no address")
        return results

    @staticmethod
    def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[_Found]:
        found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        return [(kind, proto, str(where[0])) for kind, _, proto, _, where in found]

    async def close(self) -> None:
        """Let go of the threads without waiting for a look-up that hangs."""
        for running in self._running.values():
            running.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)


class Download:
    """A response whose body is still to come; valid inside its ``stream`` block only."""

    def __init__(self, response: aiohttp.ClientResponse, max_bytes: int) -> None:
        self._response = response
        self._max_bytes = max_bytes
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces. Raises PeerUnreachable when it stalls, breaks off, or passes ``max_bytes``.

        When it breaks off, up to twice ``STREAM_BUFFER_BYTES`` that had arrived are lost with the connection.
        """
        with _translated():
            async for piece in _counted(self._response, self._max_bytes):
                yield piece


class GuardedClient:
    """A pool of connections under one policy. Made and closed inside a running loop; shared by many tasks."""

    def __init__(self, policy: EgressPolicy, *, tls: ssl.SSLContext | None = None) -> None:
        self._policy = policy
        self._resolver = GuardedResolver(policy.allow)
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            use_dns_cache=False,
            limit=MAX_CONNECTIONS,
            limit_per_host=policy.per_host_connections,
            keepalive_timeout=KEEPALIVE_S,
            ssl=tls if tls is not None else True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"User-Agent": "carnet"},
        )
        self._timeouts = _timeouts(policy.connect_timeout_s, policy.idle_timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self._session.close()
        await self._resolver.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_s: float | None = None,
        max_bytes: int | None = None,
    ) -> Answer:
        """Send and read a whole answer within ``timeout_s`` and ``max_bytes`` (defaults: the policy's).

        Raises EgressRefused (nothing was sent) or PeerUnreachable (the peer may still have acted on it).
        """
        target = self._admit(url, headers)
        cap = self._policy.max_bytes if max_bytes is None else max_bytes
        deadline_s = self._policy.total_timeout_s if timeout_s is None else timeout_s
        with _translated():
            async with (
                asyncio.timeout(deadline_s),
                self._session.request(
                    method,
                    target.url,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    timeout=self._timeouts,
                ) as response,
            ):
                pieces = [piece async for piece in _counted(response, cap)]
        return Answer(response.status, response.headers, pieces[0] if len(pieces) == 1 else b"".join(pieces))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        max_bytes: int,
        idle_timeout_s: float | None = None,
        total_timeout_s: float | None = None,
    ) -> AsyncGenerator[Download, None]:
        """A response whose body arrives in pieces, undecoded: ranges and digests mean the bytes on the wire.

        ``total_timeout_s`` bounds the whole block (``None``: only silence is). Raises like ``request``.
        """
        target = self._admit(url, headers)
        silence_s = self._policy.idle_timeout_s if idle_timeout_s is None else idle_timeout_s
        deadline = asyncio.timeout(total_timeout_s)
        try:
            async with deadline:
                # A head that comes byte by byte, or after interim answers without end, is silence too.
                with _translated():
                    async with asyncio.timeout(self._policy.connect_timeout_s + silence_s):
                        response = await self._session.request(
                            method,
                            target.url,
                            headers={**headers, "Accept-Encoding": "identity"},
                            data=body,
                            allow_redirects=False,
                            timeout=_timeouts(self._policy.connect_timeout_s, silence_s),
                            read_bufsize=STREAM_BUFFER_BYTES,
                            auto_decompress=False,
                        )
                try:
                    if not _plainly_framed(response.headers):
                        raise PeerUnreachable("protocol", "an encoded body that was not asked for")
                    yield Download(response, max_bytes)
                finally:
                    response.close()
        except TimeoutError:
            if not deadline.expired():
                raise
            raise PeerUnreachable("timeout", "the whole transfer took too long") from None

    def check(self, url: str, headers: Mapping[str, str]) -> None:
        """Whether the policy lets a call begin, before any is made. Raises EgressRefused; a name may still resolve to more."""
        self._admit(url, headers)

    def _admit(self, url: str, headers: Mapping[str, str]) -> Target:
        """Steps 1, 2, 3 and 5. Returns the only form of the URL that is ever connected to."""
        target = parse_target(url)
        if target.authority not in self._policy.allow:
            if self._policy.https_only and target.scheme != "https":
                raise EgressRefused("scheme", "https is required, unless client.allow names this host:port")
            if target.port < 1024 and target.port not in (80, 443):
                raise EgressRefused("port", "not a port of a web server")
            if _names_this_machine(target.host) or (_literal(target.host) is not None and not is_public(target.host)):
                raise EgressRefused("address", "the address is not public")
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise EgressRefused("header", "a header has a character that HTTP forbids")
            if name.lower() in _FRAMING_HEADERS:
                raise EgressRefused("header", f"{name} is not for callers to set")
        return target


def _plainly_framed(headers: Mapping[str, str]) -> bool:
    """Whether a body arrives as it is: neither encoded nor, below its chunks, transferred in another coding."""
    encoding, coding = headers.get("Content-Encoding", "identity"), headers.get("Transfer-Encoding", "chunked")
    return encoding.lower() == "identity" and coding.lower() == "chunked"


def _timeouts(connect_s: float, idle_s: float) -> aiohttp.ClientTimeout:
    """Step 6; the deadline of the whole call is asyncio's, around everything."""
    return aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s, sock_read=idle_s)


async def _counted(response: aiohttp.ClientResponse, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Step 8. aiohttp inflates in bounded pieces, so a bomb is stopped at the first piece past the limit."""
    seen = 0
    async for piece in response.content.iter_any():
        seen += len(piece)
        if seen > max_bytes:
            response.close()
            raise PeerUnreachable("too_large", f"the body is larger than {max_bytes} bytes", retry=False)
        yield piece


@contextmanager
def _translated() -> Generator[None, None, None]:
    """Every way a peer can fail, as PeerUnreachable. The library's texts may quote what was sent: dropped."""
    try:
        yield
    except TimeoutError:
        raise PeerUnreachable("timeout", "no answer in time") from None
    except aiohttp.ClientConnectorDNSError:
        raise PeerUnreachable("dns", "the name cannot be resolved") from None
    except (aiohttp.ClientSSLError, ssl.SSLError):
        raise PeerUnreachable("tls", "no trusted TLS connection") from None
    except aiohttp.ClientConnectorError:
        raise PeerUnreachable("connect", "no connection") from None
    except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError):
        raise PeerUnreachable("protocol", "the answer is not well-formed HTTP or breaks off") from None
    except (aiohttp.ClientConnectionError, OSError):
        raise PeerUnreachable("reset", "the connection was closed before the answer") from None
    except aiohttp.ClientError:
        raise PeerUnreachable("protocol", "the exchange failed") from None
