"""The listener for our own people and programs: ``/carnet/v1`` and the management interface, for callers with a key or token.

Owns who is recognised there (`ManagementGuard`), what pages of a browser may do (CORS), and the doors of OAuth: the token
endpoint and its metadata. What an operation does is its own matter; what it needs is checked by the router.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from aiohttp import web

from connector.access.authority import ManagementAuthority, server_document
from connector.access.caller import EVERY, Caller
from connector.access.keys import PREFIX
from connector.access.tokens import ManagementTokens
from connector.api.diary import Diary
from connector.api.idempotency import HEADER, REPLAYED, Repeats
from connector.api.operation import Operation
from connector.api.router import mount, supervisor
from connector.http.addresses import Failures, Recognised, address_of
from connector.http.oauth import Addresses, TokenEndpoint, published
from connector.http.quota import CallerQuota
from connector.identity.metadata import KEYS_PATH, SERVER_PATH, TOKEN_PATH, resource_document, resource_path
from connector.management.desk_business import UNANSWERED
from connector.metrics import Metrics
from connector.protocol.errors import CarnetError, NotAuthenticated, PolicyDenied
from connector.settings.identity import OAuthSettings
from connector.settings.management import ManagementSettings

KEY_HEADER: Final = "X-Api-Key"
MAX_CREDENTIAL_CHARS: Final = 16_384
PREFLIGHT_AGE_S: Final = 600
FORM_TIMEOUT_S: Final = 30
_METHODS: Final = "GET, POST, PUT, PATCH, DELETE"
_HEADERS: Final = f"Authorization, Content-Type, {KEY_HEADER}, {HEADER}, If-Match, Last-Event-ID, X-Correlation-ID"
_EXPOSED: Final = (
    f"ETag, Link, Location, Retry-After, X-Total-Count, {UNANSWERED}, {REPLAYED}, X-Correlation-ID, WWW-Authenticate"
)
_OWN_SITES: Final = frozenset({"none", "same-origin"})
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ManagementGuard:
    """Callers by ``X-Api-Key``, or by a key or token in ``Authorization: Bearer``; a page that is opened in a browser may be read
    with HTTP Basic, the key being the password. ``metadata_url`` is where a program finds how to get a token (RFC 9728)."""

    tokens: ManagementTokens
    failures: Failures
    recognised: Recognised
    quota: CallerQuota
    metadata_url: str
    forwarded_for: bool = False

    async def caller(self, request: web.Request) -> Caller:
        """See Guard."""
        address, shown = address_of(request, forwarded_for=self.forwarded_for), _digest(request)
        # Everybody on this machine, and behind one proxy, has the same address.
        if not self.recognised.lately(shown):
            self.failures.check(address)
        try:
            caller = await self.still(request)
        except NotAuthenticated as error:
            self.recognised.bad(shown)
            # Who shows nothing tries nothing.
            if error.code != "credential-missing":
                self.failures.failed(address)
            raise
        self.recognised.good(shown)
        self.quota.admit(caller.id)
        return caller

    async def still(self, request: web.Request) -> Caller:
        """See Guard."""
        shown = credential(request)
        if not shown.startswith(f"{PREFIX}_") and "." not in shown:
            reason = f"what was sent is neither an API key ({PREFIX}_ID_SECRET) nor an access token; send either whole"
            raise NotAuthenticated("credential-form", reason)
        return await (self.tokens.keys.caller(shown) if shown.startswith(f"{PREFIX}_") else self.tokens.caller(shown))

    def challenge(self, request: web.Request, error: CarnetError) -> Mapping[str, str]:
        """See Guard. A browser that opens a page is asked for Basic, which is all that it knows."""
        if isinstance(error, NotAuthenticated):
            if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
                return {"WWW-Authenticate": 'Basic realm="Carnet", charset="UTF-8"'}
            wrong = "" if error.code == "credential-missing" else ', error="invalid_token"'
            return {"WWW-Authenticate": f'Bearer resource_metadata="{self.metadata_url}"{wrong}'}
        if isinstance(error, PolicyDenied) and error.code == "scope-missing":
            return {"WWW-Authenticate": f'Bearer resource_metadata="{self.metadata_url}", error="insufficient_scope"'}
        return {}


def credential(request: web.Request) -> str:
    """The key or token that a request shows. Raises NotAuthenticated unless it is exactly one."""
    keys, said = request.headers.getall(KEY_HEADER, []), request.headers.getall("Authorization", [])
    if not keys and not said:
        reason = f"send an API key as {KEY_HEADER}, or a key or token as 'Authorization: Bearer ...'"
        raise NotAuthenticated("credential-missing", reason)
    if len(keys) + len(said) > 1:
        raise NotAuthenticated("credential-twice", f"send {KEY_HEADER} or Authorization, and one of it")
    if keys:
        return _bounded(keys[0].strip())
    scheme, _, given = said[0].partition(" ")
    if scheme.lower() == "bearer":
        return _bounded(given.strip())
    # A browser adds Basic to whatever it sends here once it knows it, also for another's page: good for reading alone, and only
    # where the browser says that nobody else's page has asked.
    if scheme.lower() == "basic" and request.method == "GET" and request.headers.get("Sec-Fetch-Site", "none") in _OWN_SITES:
        return _bounded(_password(given))
    raise NotAuthenticated("credential-scheme", f"send {KEY_HEADER}, or 'Authorization: Bearer ...'")


def _digest(request: web.Request) -> bytes:
    """What is shown, however it is written, by a name that says nothing of it."""
    shown = [*request.headers.getall(KEY_HEADER, []), "", *request.headers.getall("Authorization", [])]
    return sha256("\n".join(shown).encode("utf-8", "surrogateescape")).digest()


def _bounded(shown: str) -> str:
    if not shown or len(shown) > MAX_CREDENTIAL_CHARS:
        raise NotAuthenticated("credential-form", "the key or token is empty or too long")
    return shown


def _password(given: str) -> str:
    try:
        return base64.b64decode(given, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError) as error:
        raise NotAuthenticated("credential-form", "Basic is base64 of a name, a colon and the key") from error


@dataclass(frozen=True, slots=True)
class Cors:
    """Which pages of a browser may call (Fetch, CORS protocol): those of a list of exact origins, without credentials of its own,
    since keys and tokens are given by the page."""

    origins: frozenset[str]

    @web.middleware
    async def preflight(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer the question before a request, which carries no credentials and gets no data."""
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return await handler(request)
        if _origin(request) not in self.origins:
            return web.Response(status=403, headers={"Vary": "Origin"})
        allowed = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Allow-Headers": _HEADERS}
        return web.Response(status=204, headers={**allowed, "Access-Control-Max-Age": str(PREFLIGHT_AGE_S)})

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Every answer says whose page may read it, streams and refusals too."""
        if not self.origins:
            return
        varies = response.headers.get("Vary", "Origin")
        response.headers["Vary"] = varies if "Origin" in varies else f"{varies}, Origin"
        origin = _origin(request)
        if origin in self.origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED


def _origin(request: web.Request) -> str:
    """Whose page asks; empty where that is said twice, or not at all."""
    said = request.headers.getall("Origin", [])
    return said[0] if len(said) == 1 else ""


@dataclass(slots=True)
class ManagementServer:
    """The listener. ``key_set`` makes the JWK set by which our tokens are verified."""

    settings: ManagementSettings
    limits: OAuthSettings
    tokens: ManagementTokens
    operations: Sequence[Operation]
    repeats: Repeats
    diary: Diary
    metrics: Metrics
    key_set: Callable[[], Mapping[str, Any]]
    monotonic: Callable[[], float] = time.monotonic
    failures: Failures = field(init=False)

    def __post_init__(self) -> None:
        self.failures = Failures(self.settings.failures_per_minute, self.monotonic)

    def application(self) -> web.Application:
        """All routes. Only metadata, the token endpoint and what is open (health) answer a caller whom nobody knows."""
        cors = Cors(frozenset(self.settings.allow_origins))
        app = web.Application(
            client_max_size=self.settings.max_body_bytes,
            middlewares=[supervisor("management", self.metrics), cors.preflight],
        )
        app.on_response_prepare.append(cors.mark)
        app.router.add_routes(self._doors())
        metadata_url = self.tokens.issuer + resource_path(self.settings.base_path)
        quota = CallerQuota(self.settings, self.monotonic, self.metrics)
        recognised, proxied = Recognised(self.monotonic), self.settings.forwarded_for
        guard = ManagementGuard(self.tokens, self.failures, recognised, quota, metadata_url, proxied)
        mount(app, self.operations, guard, repeats=self.repeats, diary=self.diary)
        return app

    def _doors(self) -> list[web.RouteDef]:
        tokens, scopes = self.tokens, sorted(EVERY)
        issuers = [tokens.issuer, *(each.issuer for each in self.settings.issuers)]
        resource = resource_document(tokens.audience, issuers, scopes, dpop_required=False)
        authority = ManagementAuthority(tokens, self.failures.check, self.failures.failed)
        addresses = Addresses(self.limits, self.monotonic)
        endpoint = TokenEndpoint(authority, tokens.issuer, addresses, FORM_TIMEOUT_S, self.settings.forwarded_for)
        return [
            web.get(SERVER_PATH, published(lambda: server_document(tokens.issuer, scopes))),
            web.get(resource_path(self.settings.base_path), published(lambda: resource)),
            web.get(KEYS_PATH, published(self.key_set)),
            web.post(TOKEN_PATH, endpoint.handle),
        ]
