"""Where the data plane reports (Data Plane Signaling 1.0-RC3, control plane side): loopback, with the token that both share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import orjson
from aiohttp import web

from connector.flow import acts, answers
from connector.flow.context import Context
from connector.http import problems
from connector.http.local import check_token
from connector.protocol.errors import CallerError
from connector.settings.secret import Secret

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_BODY_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class SignalingServer:
    """Handlers of the listener for the data plane."""

    context: Context
    token: Secret

    def application(self) -> web.Application:
        """Reports about a flow, and the agreement behind it."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._guard])
        app.router.add_post("/transfers/{id}/dataflow/{event:prepared|started|completed|errored}", self._report)
        app.router.add_get("/transfers/{id}/agreement", self._agreement)
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

    async def _report(self, request: web.Request) -> web.Response:
        try:
            report = orjson.loads(await request.read() or b"{}")
        except orjson.JSONDecodeError as error:
            raise CallerError("body-not-json", "the body is not JSON") from error
        if not isinstance(report, dict):
            raise CallerError("body-invalid", "a StatusMessage is an object")
        await answers.flow_reported(self.context, request.match_info["id"], request.match_info["event"], report)
        return web.Response(body=b"{}", content_type="application/json")

    async def _agreement(self, request: web.Request) -> web.Response:
        process = await acts.load(self.context, request.match_info["id"])
        agreement = await self.context.store.agreement(process.subject, process.counterparty, process.role)
        if agreement is None:
            raise CallerError("agreement-unknown", "there is no agreement behind this transfer")
        return web.Response(text=agreement.document, content_type="application/json")
