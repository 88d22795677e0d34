"""Who asks: the seam between a listener and the operations that are mounted on it, and the guard of the owner's channel.

A guard recognises callers and judges nothing else; what they may do is the router's matter. May import callers, the error tree
and secrets; knows aiohttp's request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from connector.access.caller import OWNER, Caller
from connector.protocol.errors import CarnetError, NotAuthenticated
from connector.settings.secret import Secret


class Guard(Protocol):
    """How a listener knows its callers."""

    async def caller(self, request: web.Request) -> Caller:
        """Whoever sent this request. Raises NotAuthenticated, TooMany for an address that has tried too often, or
        StoreUnavailable. There is no caller without a name."""

    async def still(self, request: web.Request) -> Caller:
        """The same while a request is being answered: whoever sent it, as he stands now. It counts for nothing. Raises
        NotAuthenticated, Unavailable or StoreUnavailable."""

    def challenge(self, request: web.Request, error: CarnetError) -> Mapping[str, str]:
        """Headers for an answer that refuses: RFC 9110, 11.6.1, and RFC 6750, 3."""


@dataclass(frozen=True, slots=True)
class OwnerGuard:
    """The guard of the owner's channel: whoever can open its socket, or knows its ``token`` where there is one, is the owner."""

    token: Secret | None = None

    async def caller(self, request: web.Request) -> Caller:
        """See Guard."""
        return await self.still(request)

    async def still(self, request: web.Request) -> Caller:
        """See Guard."""
        check_token(self.token, request)
        return OWNER

    def challenge(self, request: web.Request, error: CarnetError) -> Mapping[str, str]:
        """See Guard."""
        del request
        return {"WWW-Authenticate": "Bearer"} if isinstance(error, NotAuthenticated) else {}


def check_token(token: Secret | None, request: web.Request) -> None:
    """Raises NotAuthenticated unless the request carries the token, where one is needed."""
    if token is None:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.matches(given):
        raise NotAuthenticated("token-missing", "send the token of the token file as 'Authorization: Bearer ...'")
