"""Our own interface, messages to peers: those that were given up (``/carnet/v1/dead-letters``), and greetings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from connector.api.answers.participants import HelloAnswer
from connector.api.answers.processes import LetterAnswer, letter_answer
from connector.api.operation import Operation, Query
from connector.api.page import LIMIT, limit_of, page, whole_of
from connector.flow import letters, peer
from connector.flow.context import Context
from connector.http.bodies import json_answer
from connector.protocol.messages import Document

BASE: Final = "/carnet/v1"
_AFTER: Final = Query("after", "Where the page begins; the Link header of a full page has it.", int)
_SEQ_MOST: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class LocalLetters:
    """The handlers."""

    context: Context

    def operations(self) -> list[Operation]:
        """All of them."""
        one = f"{BASE}/dead-letters/{{id}}"
        return [
            Operation(
                "GET", f"{BASE}/dead-letters", "listDeadLetters", "letters", "read",
                "Messages that were given up, in order of sending, without their bodies.",
                self._dead_letters, answer=list[LetterAnswer], query=(_AFTER, LIMIT),
            ),
            Operation(
                "POST", f"{one}/retry", "retryDeadLetter", "letters", "write", "Send a message that was given up once more.",
                self._retry, status=202, errors=(404,), told=True,
            ),
            Operation(
                "DELETE", one, "forgetDeadLetter", "letters", "write", "Forget a message that was given up.",
                self._give_up, status=204, errors=(404,), told=True,
            ),
            Operation(
                "POST", f"{BASE}/peers/{{id}}/hello", "greetParticipant", "participants", "write",
                "Greet a participant; what it then says of itself are its capabilities.",
                self._hello, answer=HelloAnswer, status=202, errors=(404, 409), told=True,
            ),
            Operation(
                "GET", f"{BASE}/peers/{{id}}/capabilities", "showCapabilities", "participants", "read",
                "What a participant last said of itself.",
                self._capabilities, answer=Document, errors=(404,),
            ),
        ]  # fmt: skip

    async def _dead_letters(self, request: web.Request) -> web.Response:
        after = whole_of(request, "after", _SEQ_MOST)
        rows = await self.context.store.dead_letters(after=after, limit=limit_of(request))
        return page(request, rows, lambda row: str(row.seq), [letter_answer(row) for row in rows])

    async def _retry(self, request: web.Request) -> web.Response:
        await letters.retry(self.context, request.match_info["id"])
        return web.Response(status=202)

    async def _give_up(self, request: web.Request) -> web.Response:
        await letters.give_up(self.context, request.match_info["id"])
        return web.Response(status=204)

    async def _hello(self, request: web.Request) -> web.Response:
        return json_answer(HelloAnswer(await peer.hello(self.context, request.match_info["id"])), 202)

    async def _capabilities(self, request: web.Request) -> web.Response:
        return json_answer(await peer.capabilities(self.context, request.match_info["id"]))
