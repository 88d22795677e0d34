"""The contract log is told who changed something through our own interfaces.

What an operation did and who asked for it are of one transaction: the draft goes along with the first that the handler commits
(`Context.commit`), or, where it commits none through there, in one of its own behind it. May import the use cases' context.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from connector.access.acting import acting
from connector.flow.context import Context
from connector.log.leaf import Draft

Work = Callable[[], Awaitable[web.StreamResponse]]


class Diary(Protocol):
    """Who tells the log."""

    async def told(self, draft: Draft, work: Work) -> web.StreamResponse:
        """Do the work; if that succeeds, the log has the draft when this returns. Raises what the work raises."""


class NoDiary:
    """Where no log is kept."""

    async def told(self, draft: Draft, work: Work) -> web.StreamResponse:
        """See Diary."""
        del draft
        return await work()


@dataclass(frozen=True, slots=True)
class LogDiary:
    """The diary of a connector."""

    context: Context

    async def told(self, draft: Draft, work: Work) -> web.StreamResponse:
        """See Diary."""
        with acting(draft) as act:
            response = await work()
        if not act.told and response.status < 400:
            await self.context.commit([], [draft])
        return response
