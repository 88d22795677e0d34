"""The doors of identity on the protocol listener: metadata (RFC 8414, RFC 9728), keys (RFC 7517), DID document, token endpoint.

All of it is open to everybody, and bounded before anything is looked at: the size of a body, its time, and the requests of one
address. The address is that of the connection; what a header says about it is not believed. Decides nothing about clients itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from connector.http import problems
from connector.http.addresses import MAX_ADDRESSES, address_of, network_of
from connector.http.quota import Buckets
from connector.identity.authority import Answer, Authority, later, refusal
from connector.identity.grant import Refused
from connector.identity.metadata import KEYS_PATH, SERVER_PATH, TOKEN_PATH, resource_path, server_document
from connector.protocol.errors import TooMany, Unavailable
from connector.settings.identity import OAuthSettings

MAX_FORM_BYTES: Final = 32_768
MAX_PARAMETERS: Final = 32
DOCUMENT_AGE_S: Final = 60
FORM: Final = "application/x-www-form-urlencoded"

Document = Callable[[], Mapping[str, Any]]


def routes(
    *,
    issuer: str,
    authority: Authority | None,
    keys: Document,
    resources: Mapping[str, Mapping[str, Any]],
    did: tuple[str, Document] | None,
    settings: OAuthSettings,
    request_timeout_s: float,
    monotonic: Callable[[], float],
    forwarded_for: bool = False,
) -> list[web.RouteDef]:
    """Routes to be added to the protocol listener.

    ``issuer`` is our origin; without an ``authority`` no tokens are issued here. ``keys`` makes our JWK set, ``resources`` are
    the RFC 9728 documents by base path, ``did`` is the path of our DID document and what makes it. ``monotonic`` gives seconds.
    """
    found = [web.get(resource_path(path), published(partial(dict, document))) for path, document in resources.items()]
    found.append(web.get(KEYS_PATH, published(keys)))
    if did is not None:
        found.append(web.get(did[0], published(did[1])))
    if authority is not None:
        endpoint = TokenEndpoint(authority, issuer, Addresses(settings, monotonic), request_timeout_s, forwarded_for)
        found.append(web.get(SERVER_PATH, published(lambda: server_document(issuer))))
        found.append(web.post(TOKEN_PATH, endpoint.handle))
    return found


def published(document: Document) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that shows a document to everybody."""

    async def handle(_: web.Request) -> web.Response:
        try:
            body = orjson.dumps(document())
        except Exception as error:  # noqa: BLE001 - a supervisor of requests: what nobody expected becomes an incident
            return problems.problem_answer(error)
        headers = {"Cache-Control": f"public, max-age={DOCUMENT_AGE_S}"}
        return web.Response(body=body, content_type="application/json", headers=headers)

    return handle


class Addresses:
    """Token buckets by address; the one that asked longest ago is forgotten first."""

    def __init__(self, settings: OAuthSettings, monotonic: Callable[[], float]) -> None:
        self._per_s = settings.token_requests_per_s
        self._buckets = Buckets(settings.token_requests_per_s, settings.token_burst, MAX_ADDRESSES, monotonic)

    def admit(self, address: str) -> None:
        """Let one request in. Raises TooMany, saying when to come back."""
        if self._buckets.take(network_of(address)):
            raise TooMany("too-many-token-requests", f"at most {self._per_s} token requests a second; keep tokens until they end")


class Issues(Protocol):
    """What answers token requests: `connector.identity.authority` for peers, `connector.access.authority` for our own."""

    async def token(self, form: Sequence[tuple[str, str]], dpop: Sequence[str], authorization: str | None, source: str) -> Answer:
        """See `Authority.token`."""


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """RFC 6749, 3.2: one POST of a form, answered with JSON that nobody keeps."""

    authority: Issues
    issuer: str
    addresses: Addresses
    request_timeout_s: float
    forwarded_for: bool = False

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a token request."""
        source = address_of(request, forwarded_for=self.forwarded_for)
        try:
            self.addresses.admit(source)
            form = await self._form(request)
            dpop, authorization = request.headers.getall("DPoP", []), _authorization(request)
            return _json(await self.authority.token(form, dpop, authorization, source))
        except Refused as refused:
            return _json(refusal(refused, self.issuer))
        except TooMany as error:
            return _json(refusal(later(error.code, error.reason, error.status, error.retry_after_s), self.issuer))
        except Exception as error:  # noqa: BLE001 - the supervisor of requests: what nobody expected becomes an incident
            known = problems.expected(error)
            if isinstance(known, Unavailable):
                return _json(refusal(later(known.code, known.reason), self.issuer))
            return _json(refusal(Refused("server_error", known.code, known.reason, status=known.status), self.issuer))

    async def _form(self, request: web.Request) -> list[tuple[str, str]]:
        """The parameters of a request, in the order sent. Raises Refused."""
        if request.content_type != FORM or request.headers.get("Content-Encoding", "identity") != "identity":
            raise Refused("invalid_request", "media-type", f"send a form: {FORM}, without Content-Encoding", status=415)
        try:
            async with asyncio.timeout(self.request_timeout_s):
                raw = await _body(request)
        except TimeoutError as error:
            reason = f"send the form within {self.request_timeout_s:g} seconds"
            raise Refused("invalid_request", "body-too-slow", reason, status=408) from error
        except (web.RequestPayloadError, ConnectionError) as error:
            raise Refused("invalid_request", "body-broken", "the body did not arrive as its headers announce it") from error
        try:
            return parse_qsl(
                raw.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=True,
                encoding="utf-8",
                errors="strict",
                max_num_fields=MAX_PARAMETERS,
            )
        except ValueError as error:
            reason = f"the body must be a form in UTF-8 with at most {MAX_PARAMETERS} parameters"
            raise Refused("invalid_request", "form-malformed", reason) from error


def _authorization(request: web.Request) -> str | None:
    """RFC 6749, 2.3: a client shows who it is in one way, and once. Raises Refused."""
    shown = request.headers.getall("Authorization", [])
    if len(shown) > 1:
        raise Refused("invalid_request", "client-method", "send one Authorization header, or none")
    return shown[0] if shown else None


async def _body(request: web.Request) -> bytes:
    pieces = bytearray()
    async for piece in request.content.iter_any():
        pieces += piece
        if len(pieces) > MAX_FORM_BYTES:
            raise Refused("invalid_request", "form-too-large", f"a form here has at most {MAX_FORM_BYTES} bytes", status=413)
    return bytes(pieces)


def _json(answer: Answer) -> web.Response:
    body = orjson.dumps(answer.body)
    return web.Response(status=answer.status, body=body, content_type="application/json", headers=dict(answer.headers))
