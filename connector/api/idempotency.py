"""Requests that may come twice: the answer to the first is the answer to all of them (Idempotency-Key on POST).

A key is its caller's own. What was done is remembered with the answer; of what was refused nothing was done, and it may be sent
again. Knows aiohttp's request and response, callers and the error tree.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from connector.access.caller import Caller

Work = Callable[[], Awaitable[web.StreamResponse]]


class Repeats(Protocol):
    """Who remembers."""

    async def once(self, request: web.Request, caller: Caller, work: Work) -> web.StreamResponse:
        """Do the work, or give the answer that it had. Raises CallerError for a key that is none, Reused for one of another
        request, Conflict while the first is still being answered, and what the work raises."""


class NoRepeats:
    """Where nothing is remembered: every request is the first."""

    async def once(self, request: web.Request, caller: Caller, work: Work) -> web.StreamResponse:
        """See Repeats."""
        del request, caller
        return await work()
