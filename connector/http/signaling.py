"""Where the data plane reports (Data Plane Signaling 1.0-RC3, control plane side): loopback, with the token that both share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import orjson
from aiohttp import web

from connector.api.guard import check_token
from connector.flow import acts, answers, erasing, renewals, told_leaves
from connector.flow.context import Context
from connector.flow.data_requests import decide_request
from connector.http import problems
from connector.http.bodies import read_body
from connector.identity.assertions import Assertions
from connector.protocol.errors import CallerError, Conflict, NotAuthenticated, NotFound
from connector.settings.secret import Secret

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_BODY_BYTES: Final = 4_194_304
PURPOSE_CHARS: Final = 2048
TOKEN_CHARS: Final = 4096
ASSERTION_CHARS: Final = 16_384


@dataclass(frozen=True, slots=True)
class SignalingServer:
    """Handlers of the listener for the data plane."""

    context: Context
    token: Secret
    assertions: Assertions

    def application(self) -> web.Application:
        """Reports about a flow, and the agreement behind it."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._guard])
        app.router.add_post("/transfers/{id}/dataflow/{event:prepared|started|completed|errored}", self._report)
        app.router.add_get("/transfers/{id}/agreement", self._agreement)
        app.router.add_post("/transfers/{id}/decision", self._decide)
        app.router.add_post("/transfers/{id}/assertion", self._assertion)
        app.router.add_post("/transfers/{id}/assertion/check", self._check)
        app.router.add_post("/carnet/erasures", self._erasures)
        app.router.add_post("/carnet/leaves", self._leaves)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            check_token(self.token, request)
            return await handler(request)
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - the supervisor of requests: what nobody expected becomes an incident
            return problems.problem_answer(error)

    async def _decide(self, request: web.Request) -> web.Response:
        """Whether data may leave under this transfer now: ``{"purpose": IRI or null}`` in, ``Decided`` out."""
        purpose = (await _object(request)).get("purpose")
        if not (purpose is None or (isinstance(purpose, str) and len(purpose) <= PURPOSE_CHARS and "\0" not in purpose)):
            raise CallerError("body-invalid", "a purpose is an IRI or null")
        decided = await decide_request(self.context, request.match_info["id"], purpose)
        return web.Response(body=msgspec.json.encode(decided), content_type="application/json")

    async def _assertion(self, request: web.Request) -> web.Response:
        """What renews a token of ours as consumer: ``{"token": access token}`` in, ``{"assertion": JWT}`` out."""
        token = _text(await _object(request), "token", TOKEN_CHARS)
        made = await renewals.assertion(self.context, self.assertions, request.match_info["id"], token)
        return web.Response(body=orjson.dumps({"assertion": made}), content_type="application/json")

    async def _check(self, request: web.Request) -> web.Response:
        """Whether an assertion renews a token: ``{"assertion", "tokenSha256"}`` (hex, of the access token) in, ``{"ok":
        true}`` or ``{"ok": false, "code", "reason"}`` out. It is used up thereby."""
        body = await _object(request)
        shown, digest = _text(body, "assertion", ASSERTION_CHARS), _text(body, "tokenSha256", 64)
        answer: dict[str, Any] = {"ok": True}
        try:
            await renewals.check(self.context, self.assertions, request.match_info["id"], shown, digest)
        except (Conflict, NotAuthenticated, NotFound) as refused:
            answer = {"ok": False, "code": refused.code, "reason": refused.reason}
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    async def _erasures(self, request: web.Request) -> web.Response:
        """What is to be erased at a buyer, whose consents were withdrawn; idempotent by its id."""
        duties = await erasing.ordered(self.context, await read_body(request, erasing.Order))
        told = [{"id": duty.id, "state": duty.state, "dueAt": duty.due_at, "toldAt": duty.told_at} for duty in duties]
        return web.Response(body=orjson.dumps({"duties": told}), content_type="application/json")

    async def _leaves(self, request: web.Request) -> web.Response:
        """What the data plane says to the contract log; idempotent by its id. Gives ``index`` (hex, or null) and ``vehicles``."""
        made = await told_leaves.told(self.context, await read_body(request, told_leaves.Told))
        return web.Response(body=orjson.dumps(made), content_type="application/json")

    async def _report(self, request: web.Request) -> web.Response:
        report = await _object(request)
        await answers.flow_reported(self.context, request.match_info["id"], request.match_info["event"], report)
        return web.Response(body=b"{}", content_type="application/json")

    async def _agreement(self, request: web.Request) -> web.Response:
        process = await acts.load(self.context, request.match_info["id"])
        agreement = await self.context.store.agreement(process.subject, process.counterparty, process.role)
        if agreement is None:
            raise CallerError("agreement-unknown", "there is no agreement behind this transfer")
        return web.Response(text=agreement.document, content_type="application/json")


async def _object(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object; an empty one is an empty object. Raises CallerError."""
    try:
        body = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError as error:
        raise CallerError("body-not-json", "the body is not JSON") from error
    if not isinstance(body, dict):
        raise CallerError("body-invalid", "a message of the data plane is an object")
    return body


def _text(body: dict[str, Any], member: str, most: int) -> str:
    """A member that must be a text. Raises CallerError."""
    found = body.get(member)
    if not isinstance(found, str) or not 0 < len(found) <= most:
        raise CallerError("body-invalid", f"{member} is a text of at most {most} characters")
    return found
