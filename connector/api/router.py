"""Operations become routes here, and every one passes the same steps in the same order, whichever listener serves it.

1. the path and the headers hold; 2. the caller is known; 3. has the scope; 4. the body is there, not too large, not too slow;
5. a request that may come twice is answered once; 6. the handler; 7. what it did is told to the contract log, with who did it.

The form of an error is that of its family: problem documents (RFC 9457) below ``/carnet/``, the list of errors of the management
interface elsewhere. Decides nothing else. May import the rest of this package, the error tree and the forms of answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from connector.access.caller import SCOPES, Caller
from connector.api.diary import Diary, NoDiary
from connector.api.guard import Guard
from connector.api.idempotency import NoRepeats, Repeats
from connector.api.operation import CALLER, STILL, Operation, Still
from connector.http import problems
from connector.log.leaf import NAME, Draft
from connector.metrics import Metrics
from connector.protocol.errors import BadMessage, CallerError, CarnetError, NotAuthenticated, PolicyDenied
from connector.telemetry import correlated

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OPERATIONS: Final = web.AppKey("carnet.operations", list[Operation])
BODY_TIMEOUT_S: Final = 30
"""How long the body of a request may take to arrive."""
MAX_BODY_BYTES: Final = 1_048_576
_BODIES: Final = frozenset({"POST", "PUT", "PATCH"})
_CONDITIONS: Final = ("If-None-Match", "If-Unmodified-Since")
"""Conditions of a write (RFC 9110, 13.1) that no operation takes; If-Match is taken by those that may answer 412."""
_OWN: Final = "/carnet/"


def mount(
    app: web.Application,
    operations: Sequence[Operation],
    guard: Guard,
    *,
    repeats: Repeats | None = None,
    diary: Diary | None = None,
) -> None:
    """Add the operations to an application, in their order: of two paths that fit the first is served.

    ``repeats`` remembers answers to requests with an Idempotency-Key, ``diary`` tells the contract log; without them nothing is
    remembered or told. Raises ValueError for a name, or a method and path, that is there already, and for a name that is none.
    """
    served = app.setdefault(OPERATIONS, [])
    names = {each.name for each in served}
    places = {(each.method, each.path) for each in served}
    desk = _Desk(guard, repeats or NoRepeats(), diary or NoDiary())
    for each in operations:
        if each.name in names or (each.method, each.path) in places:
            raise ValueError(f"{each.name} ({each.method} {each.path}) is mounted already")
        if NAME.fullmatch(each.name) is None:
            raise ValueError(f"{each.name} is no name that the contract log can say")
        names.add(each.name)
        places.add((each.method, each.path))
        served.append(each)
        app.router.add_route(each.method, each.path, desk.route(each))


def supervisor(server: str, metrics: Metrics) -> Middleware:
    """The outermost middleware of a listener: correlation id, time, and an answer for whatever no route has answered."""

    @web.middleware
    async def supervise(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        with correlated(request.headers.get("X-Correlation-ID")) as correlation:
            try:
                response = await handler(request)
            except Exception as error:  # noqa: BLE001 - the supervisor of requests: what nobody expected becomes an incident
                response = refusal(request, error)
            if not response.prepared:
                response.headers["X-Correlation-ID"] = correlation
        metrics.request_answered(server, response.status, time.perf_counter() - began)
        return response

    return supervise


def refusal(request: web.Request, error: Exception) -> web.Response:
    """The answer to a request that failed, in the form of its family."""
    known: Exception = error
    if isinstance(error, web.HTTPException) and not isinstance(error, web.HTTPRequestEntityTooLarge):
        known = _unrouted(request, error)
    answer = problems.problem_answer(known) if request.path.startswith(_OWN) else problems.listed_answer(known)
    if isinstance(error, web.HTTPMethodNotAllowed):
        answer.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    return answer


def _unrouted(request: web.Request, error: web.HTTPException) -> CarnetError:
    """What aiohttp answers where there is no operation, in words that lead to one."""
    known = CarnetError("http", error.reason)
    if error.status == 404:
        known = CarnetError("path-unknown", f"there is nothing at {request.path:.200}; /carnet/v1/docs lists what there is")
    elif isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        known = CarnetError("method-unknown", f"there is no {request.method:.20} of {request.path:.200}, but {allowed}")
    known.status = error.status
    return known


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every operation of one listener passes."""

    guard: Guard
    repeats: Repeats
    diary: Diary

    def route(self, operation: Operation) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                return await self._serve(operation, request)
            except Exception as error:  # noqa: BLE001 - the supervisor of requests: what nobody expected becomes an incident
                answer = refusal(request, error)
                if isinstance(error, NotAuthenticated | PolicyDenied):
                    answer.headers.update(self.guard.challenge(request, error))
                return answer

        return serve

    async def _serve(self, operation: Operation, request: web.Request) -> web.StreamResponse:
        # 1. What no operation takes.
        check_request(request)
        if operation.open:
            return await operation.handle(request)
        # 2. and 3. Who, and whether he may. Nothing of the body is read before.
        caller = await self.guard.caller(request)
        check_scopes(caller, operation.scope)
        check_conditions(operation, request)
        check_query(operation, request)
        request[CALLER] = caller
        request[STILL] = Still(partial(self._still, operation, request))
        # 4. The body: kept by the request, so that the handler reads it without waiting.
        if operation.method in _BODIES:
            await _read(request)
        # 5. A request that may come twice.
        if operation.method == "POST" and "Idempotency-Key" in request.headers:
            return await self.repeats.once(request, caller, lambda: self._act(operation, request, caller))
        return await self._act(operation, request, caller)

    async def _still(self, operation: Operation, request: web.Request) -> None:
        check_scopes(await self.guard.still(request), operation.scope)

    async def _act(self, operation: Operation, request: web.Request, caller: Caller) -> web.StreamResponse:
        # 6. The handler. 7. What it did and who asked for it: one transaction, wherever the handler has one.
        if not operation.told:
            return await operation.handle(request)
        return await self.diary.told(_draft(operation, request, caller), lambda: operation.handle(request))


def check_scopes(caller: Caller, *needed: str) -> None:
    """Raises PolicyDenied, which names the first scope that the caller lacks and who has it."""
    wanted = next((each for each in needed if not caller.may(each)), None)
    if wanted is None:
        return
    having = [role.value for role, scopes in SCOPES.items() if wanted in scopes]
    who = f"it goes with the role {' or '.join(having)}" if having else "no role has it: only the owner, on the owner's channel"
    raise PolicyDenied("scope-missing", f"this needs the scope {wanted}; {who}")


def check_conditions(operation: Operation, request: web.Request) -> None:
    """Raises CallerError for a condition under which a write is to be done and that nobody looks at: it would be done anyway."""
    unheeded = {*_CONDITIONS} if 412 in operation.errors else {"If-Match", *_CONDITIONS}
    given = [] if operation.verb == "read" else sorted(name for name in unheeded if name in request.headers)
    if given:
        raise CallerError("condition-unsupported", f"{given[0]} is not looked at here, and nothing was done; leave it out")


def check_query(operation: Operation, request: web.Request) -> None:
    """Raises CallerError for a parameter of our own interface that there is not: whoever misspells one would think it heeded."""
    known = [each.name for each in operation.query]
    unknown = [name for name in request.query if name not in known] if operation.path.startswith(_OWN) else []
    if unknown:
        there = f"there are {', '.join(known)}" if known else "there are none here"
        raise CallerError("query-unknown", f"there is no parameter {unknown[0]:.80} of the query; {there}")


def check_request(request: web.Request) -> None:
    """What holds for every request. Raises CallerError or BadMessage."""
    # PostgreSQL keeps no text with a NUL in it, so that no id of ours has one.
    if "%00" in request.raw_path:
        raise CallerError("text-invalid", "the path has the character U+0000 in it; leave it out")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise BadMessage("content-encoding", "send the body as it is: no Content-Encoding is taken here")


async def _read(request: web.Request) -> None:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            await request.read()
    except (web.RequestPayloadError, ConnectionError) as error:
        raise BadMessage("body-broken", "the body did not arrive as its headers announce it; send it again") from error
    except TimeoutError as error:
        raise BadMessage("body-too-slow", f"send the body within {BODY_TIMEOUT_S} seconds") from error


def _draft(operation: Operation, request: web.Request, caller: Caller) -> Draft:
    """The line of the contract log. Who it was, and of what, may say something of a person: that stands in the payload."""
    who = {"caller": caller.id, "roles": sorted(caller.roles), "of": dict(request.match_info)}
    members = {"change": _change(operation, request), "resource": operation.resource, "operation": operation.name}
    return Draft("management", members=members, payload=who)


_ACTS: Final = {"approve": "approved", "reject": "rejected", "counter": "decided"}
_CHANGES: Final = {"PUT": "changed", "PATCH": "changed", "DELETE": "deleted"}


def _change(operation: Operation, request: web.Request) -> str:
    """What a success is called in the contract log."""
    if operation.method != "POST":
        return _CHANGES.get(operation.method, "changed")
    act = request.path.rstrip("/").rpartition("/")[2]
    if act in _ACTS:
        return _ACTS[act]
    # What is posted to one thing changes it; what is posted to all of them makes another.
    return "changed" if "{" in operation.path else "made"


def operations_of(app: web.Application) -> list[Operation]:
    """Every operation that an application serves."""
    found = app.get(OPERATIONS)
    return [] if found is None else list(found)
