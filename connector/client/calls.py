"""One connector over HTTP: where it answers, who we are there, one call, pages, and what streams. Knows no operation.

A connector answers on its owner's channel, a Unix socket or loopback with a token, or on its management listener, to whoever has
a key. A key travels over https, or to this machine. May import aiohttp, the errors of this package, and nothing of the
connector's inside.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from connector.client.refusals import Away, Document, Refused
from connector.settings.secret import Secret

CALL_TIMEOUT_S: Final = 60.0
CONNECT_TIMEOUT_S: Final = 10.0
BASE: Final = "/carnet/v1"
MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
PIECE_BYTES: Final = 262_144
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_NEXT: Final = re.compile(r'<([^<>\s]{1,4096})>\s*;\s*rel="next"')
_BREAKS: Final = (aiohttp.ClientError, OSError)


class Calls:
    """Calls of one connector; an async context manager. Every call raises Refused with the connector's own code, or Away when
    nobody answers in time."""

    def __init__(
        self,
        *,
        socket: str | None = None,
        url: str = "http://localhost",
        token: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self.where = socket or url
        """What answers, for people."""
        self._socket = socket
        self._url = url.rstrip("/")
        self._token = None if token is None else Secret(token)
        self._ca_file = ca_file
        self._opened: aiohttp.ClientSession | None = None
        if token is not None and socket is None:
            _check_travels(self._url)

    async def __aenter__(self) -> Self:
        headers = {"User-Agent": "carnet"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        connector = aiohttp.UnixConnector(self._socket) if self._socket else aiohttp.TCPConnector(ssl=await self._tls())
        # Each call has a deadline of its own around all of it; the library's would cut what may take longer.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
        self._opened = aiohttp.ClientSession(
            connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def _tls(self) -> ssl.SSLContext | bool:
        if self._ca_file is None:
            return True
        try:
            return await asyncio.to_thread(ssl.create_default_context, cafile=str(self._ca_file))
        except (OSError, ssl.SSLError) as error:
            raise Away("authorities-invalid", f"{self._ca_file} has no certificates of authorities; name another file") from error

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            raise RuntimeError(f"enter the client first: async with {type(self).__name__}(...)")
        return self._opened

    async def _call(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        once: str | None = None,
    ) -> Any:
        """The answer, decoded. ``once``: a key of our own; what was done under it is not done again."""
        found, _ = await self.answered(method, path, body, timeout_s=timeout_s, said={"Idempotency-Key": once} if once else {})
        return found

    async def answered(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        said: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[Any, Mapping[str, str]]:
        """The answer, decoded, and its headers. ``said``: headers of ours."""
        data = None if body is None else orjson.dumps(body)
        headers = {**said, **({"Content-Type": "application/json"} if data else {})}
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(method, self._at(path), data=data, headers=headers, allow_redirects=False) as answer,
            ):
                return understood(answer.status, await _read(answer)), answer.headers
        except TimeoutError as error:
            raise self._silent() from error
        except _BREAKS as error:
            raise self._away() from error

    async def each(self, path: str, query: str = "") -> AsyncGenerator[Document, None]:
        """Every row of a list, the oldest first, page by page; ``query`` begins with ``&`` and narrows it."""
        last = at_row({"createdAt": 0, "id": ""})
        while page := await self._call("GET", f"{path}?after={last}{query}"):
            for row in page:
                yield row
            last = at_row(page[-1])

    async def each_named(self, path: str, query: str = "", name: str = "id") -> AsyncGenerator[Document, None]:
        """The same for a list in the order of what its rows are called, which is in the member ``name``."""
        last = ""
        while page := await self._call("GET", f"{path}?after={last}{query}"):
            for row in page:
                yield row
            last = safe(page[-1][name])

    async def each_linked(self, path: str) -> AsyncGenerator[Document, None]:
        """The same for a list of another order, each page of which names the next one (RFC 8288)."""
        following: str | None = path
        while following is not None:
            page, headers = await self.answered("GET", following)
            for row in page:
                yield row
            found = _NEXT.search(headers.get("Link", ""))
            # A link that leads elsewhere is none of a connector.
            following = found[1].removeprefix(BASE) if found and found[1].startswith(f"{BASE}{path.partition('?')[0]}?") else None

    @asynccontextmanager
    async def streamed(
        self, path: str, *, headers: dict[str, str] | None = None, timeout_s: float | None = None, idle_s: float | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The pieces of an answer that may be long or endless. ``timeout_s`` bounds all of it, ``idle_s`` each silence."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=idle_s)
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.get(self._at(path), headers=headers, timeout=timeout, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    understood(answer.status, await _read(answer))
                    raise Refused(answer.status, "answer-invalid", "what answers there sends something else")
                yield answer.content.iter_chunked(PIECE_BYTES) if timeout_s else answer.content.iter_any()
        except TimeoutError as error:
            raise self._silent() from error
        except aiohttp.ClientError as error:
            raise Away("connector-away", f"the connector on {self.where} does not answer, or broke off") from error

    def _at(self, path: str) -> URL:
        return URL(f"{self._url}{BASE}{path}", encoded=True)

    def _silent(self) -> Away:
        return Away("connector-silent", f"the connector on {self.where} did not answer in time")

    def _away(self) -> Away:
        do = "start it with `carnet serve`" if self._token is None or self._socket else "see that it runs and listens there"
        return Away("connector-away", f"no connector answers on {self.where}; {do}")


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The body, which is in memory as a whole. Raises Refused for one that nobody of ours would send."""
    pieces, size = [], 0
    async for piece in answer.content.iter_any():
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise Refused(answer.status, "answer-invalid", f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def understood(status: int, raw: bytes) -> Any:
    """The document of an answer. Raises Refused for a problem document, and for what no connector sends."""
    try:
        document = orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError as error:
        raise Refused(status, "answer-invalid", f"what answers there (HTTP {status}) is no connector") from error
    if status < 300:
        return document
    if status < 400:
        raise Refused(status, "answer-invalid", f"what answers there sends us elsewhere (HTTP {status}); give its own address")
    problem = document if isinstance(document, dict) else {}
    found = problem.get("findings")
    findings = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    code, detail = str(problem.get("code", "http")), str(problem.get("detail", f"HTTP {status}"))
    raise Refused(status, code, detail, findings, problem)


def _check_travels(url: str) -> None:
    """A key goes to nobody who only listens. Raises Away."""
    parsed = URL(url)
    if parsed.scheme not in ("http", "https"):
        raise Away(
            "address-form", f"{url:.200} is no address of a connector; give one that begins with https://, or http:// here"
        )
    if parsed.scheme != "https" and not (parsed.scheme == "http" and parsed.host in _THIS_MACHINE):
        raise Away("address-open", f"a key travels over https, or to this machine, and not to {url:.200}; give an https address")


def safe(text: str) -> str:
    """A text as one segment of a path, or one value of a query."""
    return quote(text, safe="")


def at_row(row: Document) -> str:
    """Where a page begins after this row."""
    return safe(f"{row['createdAt']}:{row['id']}")


def given(values: Document) -> Document:
    """Without what was not said."""
    return {key: value for key, value in values.items() if value is not None}
