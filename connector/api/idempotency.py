"""Requests that may come twice: the answer to the first is the answer to all of them (Idempotency-Key on POST).

A key is its caller's own. What was done is remembered with its answer; of what was refused nothing was done, and it may be sent
again. A request that was cut off in the middle is not done again: nobody knows how far it came, and its caller is told to look.
May import callers, their store and the error tree; knows aiohttp's request and response.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from connector.access.caller import Caller
from connector.protocol.errors import CallerError, Conflict, Reused, TooMany
from connector.store import access as rows
from connector.store.access import AccessStore, Answered
from connector.store.engine import LostRace

Work = Callable[[], Awaitable[web.StreamResponse]]
HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
KEPT_MS: Final = 86_400_000
"""How long an answer is remembered."""
CUT_OFF_MS: Final = 900_000
"""After this a request that has no answer yet was cut off."""
TIDY_MS: Final = 600_000
MAX_KEYS: Final = 10_000
"""Requests of one caller that are remembered."""
MAX_ANSWER_CHARS: Final = 1_048_576
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_GONE: Final = "gone"
_UNDONE: Final = range(400, 500)


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


@dataclass(slots=True)
class StoredRepeats:
    """Answers are remembered in the control database. ``salt``: a digest of a request that has a secret in it says nothing."""

    store: AccessStore
    now_ms: Callable[[], int]
    salt: bytes = field(repr=False)
    _tidied_at: int = 0
    _life: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)

    async def once(self, request: web.Request, caller: Caller, work: Work) -> web.StreamResponse:
        """See Repeats."""
        key = request.headers.get(HEADER, "")
        if _KEY.fullmatch(key) is None or len(request.headers.getall(HEADER)) > 1:
            raise CallerError("idempotency-key-invalid", f"send one {HEADER} of 1 to 255 printable characters without blanks")
        digest = self._digest(request, await request.read())
        await self._tidy()
        try:
            await self.store.engine.commit([rows.begin_answer(caller.id, key, digest, self.now_ms(), MAX_KEYS, self._life)])
        except LostRace:
            return await self._again(caller, key, digest)
        return await self._first(caller, key, work)

    async def _first(self, caller: Caller, key: str, work: Work) -> web.StreamResponse:
        try:
            response = await work()
        except Exception as error:
            # Of what we refused nothing was done. Of what nobody expected, nobody knows: that stays as it is.
            if getattr(error, "status", 500) != 500:
                await self.store.engine.commit([rows.forget_answer(caller.id, key)])
            raise
        if response.status in _UNDONE:
            await self.store.engine.commit([rows.forget_answer(caller.id, key)])
            return response
        media, body = _kept(response)
        await self.store.engine.commit([rows.keep_answer(caller.id, key, response.status, media, body)])
        return response

    async def _again(self, caller: Caller, key: str, digest: str) -> web.StreamResponse:
        known = await self.store.answered(caller.id, key)
        if known is None:
            raise TooMany("idempotency-keys-many", f"at most {MAX_KEYS} keys of a caller are remembered for a day; use fewer", 60)
        if not hmac.compare_digest(known.digest, digest):
            raise Reused("idempotency-key-reused", "another request was sent under this key; take a new key for a new request")
        if known.status == 0 and not self._cut_off(known):
            raise Conflict("idempotency-running", "the first request of this key is still being answered; ask again in a moment")
        if known.status == 0:
            raise Conflict("idempotency-cut-off", "the first request of this key was cut off; look whether it was done")
        if known.media == _GONE:
            raise Conflict("idempotency-answer-gone", "this was done, and its answer is given once; look at what was made")
        answer = web.Response(status=known.status, body=known.body.encode() or None)
        if known.media:
            answer.headers["Content-Type"] = known.media
        answer.headers[REPLAYED] = "true"
        return answer

    def _cut_off(self, known: Answered) -> bool:
        """Whether nobody answers it any more: a database that is not shared has one connector at a time."""
        ended = known.media != self._life and not self.store.shared
        return ended or self.now_ms() - known.created_at >= CUT_OFF_MS

    def _digest(self, request: web.Request, body: bytes) -> str:
        asked = f"{request.method} {request.raw_path}\n".encode()
        return hmac.digest(self.salt, asked + body, "sha256").hex()

    async def _tidy(self) -> None:
        """Forget what is old, now and then."""
        now = self.now_ms()
        if now - self._tidied_at >= TIDY_MS:
            self._tidied_at = now
            await self.store.engine.commit([rows.forget_answers_before(now - KEPT_MS)])


def _kept(response: web.StreamResponse) -> tuple[str, str]:
    """Media type and text of an answer; _GONE where it must not be kept, is none of text, or is too large."""
    if response.headers.get("Cache-Control") == "no-store" or not isinstance(response, web.Response):
        return _GONE, ""
    body = response.body if isinstance(response.body, bytes) else b""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return _GONE, ""
    return (_GONE, "") if len(text) > MAX_ANSWER_CHARS or "\0" in text else (response.headers.get("Content-Type", ""), text)
