"""Documents that others publish (DID documents, key sets, metadata): fetched, judged, shared and remembered in one place.

The ceremony of a document, in order; each step is marked with its number below:

1. the URL is plain: what the guarded client takes, no path that leads elsewhere once somebody tidies it up, of bounded length
2. what was read lately is believed; what was refused lately is refused again; a fresh look is not taken more often than agreed
3. who asks for what is being fetched waits for that fetch; it ends on its own, whoever stops waiting
4. budgets: of the anonymous caller on whose behalf we ask, then of the host, then of what may wait
5. a slot: few fetches at once, and anonymous callers never hold all of them
6. the call, by the guarded client: scheme, port, address (resolved once), no redirect, no proxy, one deadline, bounded size
7. status 200 and a JSON media type
8. strict JSON: one object, no member twice, bounded depth
9. remembered: a document for minutes, a refusal for seconds, a connection that failed not at all

May import the guarded client, the strict parser of ``catalog``, the error tree and the settings. Reasons quote no path of a URL.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from catalog.errors import DocumentError
from catalog.wire import parse
from connector.http.client import Answer, EgressRefused, GuardedClient, PeerUnreachable, Target, parse_target
from connector.protocol.errors import TooMany, Unavailable
from connector.settings.identity import OAuthSettings

MAX_URL_CHARS: Final = 2048
MAX_DEPTH: Final = 32
MAX_AT_ONCE: Final = 8
MAX_AT_ONCE_ANONYMOUS: Final = 4
MAX_PENDING: Final = 64
"""Fetches that run or wait for a slot; on behalf of anonymous callers half as many."""
MAX_KEPT: Final = 1024
"""Documents remembered, and as many refusals."""
MAX_KEPT_BYTES: Final = 4 * 1024 * 1024
"""All remembered documents together, as they came; in memory one may be twenty times as large."""
REFUSAL_CACHE_S: Final = 30.0
HOST_PER_S: Final = 10.0
HOST_BURST: Final = 50
ASKED_PER_S: Final = 0.5
ASKED_BURST: Final = 10
MAX_BUCKETS: Final = 4096

_HEADERS: Final = {"Accept": "application/json, application/*+json;q=0.9"}
_MEDIA_TYPE: Final = re.compile(r"application/(?:[a-z0-9][a-z0-9!#$&^_.+-]*\+)?json[\t ]*(?:;.*)?", re.IGNORECASE)
# What says nothing about the document: whoever restarts, or changes its address, is found again at once.
_PASSING: Final = frozenset({"fetch-dns", "fetch-connect", "fetch-tls", "fetch-reset", "fetch-timeout", "fetch-busy"})
_TRY_LATER: Final = frozenset({408, 425, 429})


class FetchRefused(Unavailable):
    """There is no acceptable document at this URL now. ``retry``: trying again may help. ``code`` begins with ``fetch-``, or with
    ``metadata-`` where the document is of JSON and not what it should be."""

    def __init__(self, code: str, reason: str, *, retry: bool) -> None:
        super().__init__(code, reason)
        self.retry = retry

    def again(self) -> FetchRefused:
        """The same refusal for one more caller: an exception that is raised twice mixes up two tracebacks."""
        return FetchRefused(self.code, self.reason, retry=self.retry)


class Fetcher:
    """Owns its fetches, its memory and its budgets; shared by all requests of a process. ``monotonic`` gives seconds."""

    def __init__(self, client: GuardedClient, settings: OAuthSettings, monotonic: Callable[[], float]) -> None:
        self._client = client
        self._settings = settings
        self._monotonic = monotonic
        self._memory = _Memory(settings.document_cache_s, settings.document_min_refresh_s)
        self._running: dict[str, asyncio.Task[_Outcome]] = {}
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._anonymous_slots = asyncio.Semaphore(MAX_AT_ONCE_ANONYMOUS)
        self._hosts = _Budget(HOST_PER_S, HOST_BURST)
        # Apart, so that anonymous callers cannot use up what we need ourselves.
        self._anonymous_hosts = _Budget(HOST_PER_S, HOST_BURST)
        self._callers = _Budget(ASKED_PER_S, ASKED_BURST)
        self._closed = False

    async def document(self, url: str, *, fresh: bool = False, asked_by: str | None = None) -> Mapping[str, Any]:
        """The JSON object at ``url``, as read within the last ``document_cache_s``; nobody may change it.

        ``fresh`` reads it anew, unless that was tried within ``document_min_refresh_s``. ``asked_by`` is the address of the
        anonymous caller that has us ask. Raises FetchRefused, and TooMany when that caller has asked for too much.
        """
        if self._closed:
            raise _closing()
        target = _plain(url)
        key = str(target.url)
        known = self._memory.recall(key, fresh, self._monotonic())
        if known is not None:
            return known
        task = self._running.get(key) or self._start(key, target.host, asked_by)
        # Step 3. No plain await: who is cancelled leaves the fetch to the others, and a fetch that is cancelled cancels nobody.
        await asyncio.wait({task})
        if task.cancelled():
            raise _closing()
        outcome = task.result()
        if isinstance(outcome, FetchRefused):
            raise outcome.again()
        return outcome

    async def close(self) -> None:
        """End every fetch; who waits for one gets FetchRefused. Idempotent; the client is left open."""
        self._closed = True
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _start(self, key: str, host: str, asked_by: str | None) -> asyncio.Task[_Outcome]:
        """Step 4."""
        now, anonymous = self._monotonic(), asked_by is not None
        if len(self._running) >= (MAX_PENDING // 2 if anonymous else MAX_PENDING):
            raise FetchRefused("fetch-busy", "too many documents are being fetched; try again later", retry=True)
        if asked_by is not None and (wait_s := self._callers.take(_caller(asked_by), now)):
            reason = "too many documents were fetched on your behalf; slow down"
            raise TooMany("too-many-documents", reason, math.ceil(wait_s))
        if (self._anonymous_hosts if anonymous else self._hosts).take(host, now):
            raise FetchRefused("fetch-host-rate", f"{host} was asked for too many documents; try again later", retry=True)
        task = asyncio.create_task(self._fetch(key, anonymous), name="fetch-document")
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key))
        return task

    async def _fetch(self, url: str, anonymous: bool) -> _Outcome:
        """Steps 5 to 9. Refusals are returned: each caller raises its own."""
        settings = self._settings
        try:
            async with self._slot(anonymous):
                answer = await self._client.request(
                    "GET",
                    url,
                    headers=_HEADERS,
                    timeout_s=settings.document_timeout_s,
                    max_bytes=settings.document_max_bytes,
                )
            document = _judged(answer, settings.document_max_bytes)
        except PeerUnreachable as error:
            refusal = FetchRefused(f"fetch-{error.code.replace('_', '-')}", error.reason, retry=error.retry)
        except EgressRefused as error:
            refusal = FetchRefused(f"fetch-{error.code}", error.reason, retry=False)
        except FetchRefused as error:
            refusal = error
        else:
            self._memory.keep(url, document, len(answer.body), self._monotonic())
            return document
        self._memory.fail(url, refusal, self._monotonic())
        return refusal

    @asynccontextmanager
    async def _slot(self, anonymous: bool) -> AsyncGenerator[None, None]:
        """Step 5. Nobody waits for longer than a fetch may take."""
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._settings.document_timeout_s):
                    if anonymous:
                        await stack.enter_async_context(self._anonymous_slots)
                    await stack.enter_async_context(self._slots)
            except TimeoutError:
                raise FetchRefused("fetch-busy", "too many documents are being fetched; try again later", retry=True) from None
            yield


_Outcome = Mapping[str, Any] | FetchRefused


def _plain(url: str) -> Target:
    """Step 1. Raises FetchRefused ``fetch-url``."""
    if len(url) > MAX_URL_CHARS:
        raise FetchRefused("fetch-url", f"a URL of a document has at most {MAX_URL_CHARS} characters", retry=False)
    try:
        target = parse_target(url)
    except EgressRefused as error:
        raise FetchRefused("fetch-url", error.reason, retry=False) from None
    segments = target.url.raw_path.split("/")[1:]
    if "" in segments[:-1] or any(_leads_elsewhere(unquote(segment)) for segment in segments):
        raise FetchRefused("fetch-url", "a path has no empty or dot segment, and no slash in disguise", retry=False)
    return target


def _leads_elsewhere(segment: str) -> bool:
    return segment in (".", "..") or "/" in segment or "\\" in segment


def _judged(answer: Answer, max_bytes: int) -> Mapping[str, Any]:
    """Steps 7 and 8."""
    status = answer.status
    if 300 <= status < 400:
        raise FetchRefused("fetch-redirect", "a redirect is not followed; the document must be at the URL itself", retry=False)
    if status != 200:
        retry = status >= 500 or status in _TRY_LATER
        raise FetchRefused("fetch-status", f"the server answered {status} instead of 200", retry=retry)
    if _MEDIA_TYPE.fullmatch(answer.headers.get("Content-Type", "")) is None:
        raise FetchRefused("fetch-content-type", "the document must come as application/json or application/*+json", retry=False)
    try:
        return parse(answer.body, max_bytes=max_bytes, max_depth=MAX_DEPTH)
    except DocumentError as error:
        raise FetchRefused(f"fetch-{error.code.removeprefix('document-')}", error.reason, retry=False) from None


def _closing() -> FetchRefused:
    return FetchRefused("fetch-closed", "the connector is stopping", retry=True)


def _caller(address: str) -> str:
    """Whose budget it is: one of IPv6 has 2^64 addresses."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))


@dataclass(slots=True)
class _Kept:
    document: Mapping[str, Any]
    size: int
    read_at: float
    tried_at: float


class _Memory:
    """Steps 2 and 9. What was used last stays longest."""

    def __init__(self, cache_s: float, min_refresh_s: float) -> None:
        self._cache_s = cache_s
        self._min_refresh_s = min_refresh_s
        self._documents: OrderedDict[str, _Kept] = OrderedDict()
        self._refusals: OrderedDict[str, tuple[FetchRefused, float]] = OrderedDict()
        self._bytes = 0

    def recall(self, url: str, fresh: bool, now: float) -> Mapping[str, Any] | None:
        """The document if it may be believed. Raises what was refused lately."""
        kept = self._documents.get(url)
        if kept is not None and now - kept.read_at < self._cache_s and (not fresh or now - kept.tried_at < self._min_refresh_s):
            self._documents.move_to_end(url)
            return kept.document
        refused = self._refusals.get(url)
        if refused is not None and now - refused[1] < REFUSAL_CACHE_S:
            raise refused[0].again()
        return None

    def keep(self, url: str, document: Mapping[str, Any], size: int, now: float) -> None:
        """Remember what was read."""
        self._drop(url)
        self._refusals.pop(url, None)
        self._documents[url] = _Kept(document, size, now, now)
        self._bytes += size
        while len(self._documents) > MAX_KEPT or self._bytes > MAX_KEPT_BYTES:
            self._drop(next(iter(self._documents)))

    def fail(self, url: str, refusal: FetchRefused, now: float) -> None:
        """A document that was read before stays good while nothing is known against it, yet the attempt counts as one."""
        if not refusal.retry:
            self._drop(url)
        elif url in self._documents:
            self._documents[url].tried_at = now
        if refusal.code not in _PASSING:
            self._refusals[url] = (refusal, now)
            self._refusals.move_to_end(url)
            if len(self._refusals) > MAX_KEPT:
                self._refusals.popitem(last=False)

    def _drop(self, url: str) -> None:
        kept = self._documents.pop(url, None)
        if kept is not None:
            self._bytes -= kept.size


class _Budget:
    """Token buckets by name; the one that was not asked for longest is forgotten first."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, now: float) -> float:
        """0 if one may be had now, else the seconds until then."""
        left, at = self._buckets.get(name, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._per_s)
        taken = left >= 1
        self._buckets[name] = (left - 1 if taken else left, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - left) / self._per_s
