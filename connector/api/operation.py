"""An operation of our own interfaces, as data: where it is, who may do it, what it takes and answers.

Routes, the check of access, OpenAPI and the matrix of the tests are all made of lists of these, so that none of them can say
something else than the others. Knows aiohttp's request and response, and callers; nothing else of the connector.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiohttp import web

from connector.access.caller import Caller, Resource, Verb, scope

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
CALLER: Final = web.RequestKey("carnet.caller", Caller)


@dataclass(frozen=True, slots=True)
class Still:
    """How a request is judged again while it is being answered. ``check`` raises what the router would for it now."""

    check: Callable[[], Awaitable[None]]


STILL: Final = web.RequestKey("carnet.still", Still)


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter of the query string. ``form`` is what OpenAPI shows of it."""

    name: str
    about: str
    form: type[Any] = str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    ``path`` is aiohttp's, with ``{names}``. ``name`` is unique and stable: it becomes ``operationId``. ``body`` and ``answer``
    are the types that the handler decodes and encodes (msgspec); None: no body. ``media`` is the type of the answer. ``status``
    is that of success, ``errors`` are what else it may answer beside 400, 401, 403, 413, 429, 500 and 503, which every
    operation may. ``told``: a success is a line of the contract log, with who did it. ``open``: it answers without knowing who
    asks, and says nothing that only our own may know (health).
    """

    method: Method
    path: str
    name: str
    resource: Resource
    verb: Verb
    about: str
    handle: Handler
    body: Any = None
    answer: Any = None
    status: int = 200
    errors: tuple[int, ...] = ()
    query: tuple[Query, ...] = ()
    media: str = "application/json"
    told: bool = False
    open: bool = False

    @property
    def scope(self) -> str:
        """The OAuth scope that it needs."""
        return scope(self.resource, self.verb)


async def check_still(request: web.Request) -> None:
    """For answers that take long: raises what the router would for this request now, if a key was revoked or a token has ended:
    NotAuthenticated, PolicyDenied, Unavailable or StoreUnavailable."""
    await request[STILL].check()


def caller_of(request: web.Request) -> Caller:
    """Who asked. The guard of every listener has set it before a handler runs."""
    return request[CALLER]
