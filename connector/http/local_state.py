"""Our own interface, the connector itself: ``/carnet/v1/status``."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from connector.api.answers.catalogue import StatusAnswer
from connector.api.operation import Operation
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.http.bodies import json_answer
from connector.metrics import CONTENT_TYPE, Metrics


@dataclass(frozen=True, slots=True)
class LocalState:
    """Handlers for who wants to know whether all is well."""

    context: Context
    plane: Plane
    metrics: Metrics

    def operations(self) -> list[Operation]:
        """All of them."""
        return [
            Operation(
                "GET", "/carnet/v1/status", "showStatus", "status", "read",
                "Who the connector is, how many messages wait, and whether its data plane is there.",
                self.status, answer=StatusAnswer,
            ),
        ]  # fmt: skip

    async def status(self, _: web.Request) -> web.Response:
        """The state, for people and for whoever watches over the process."""
        pending = await self.context.store.pending()
        self.metrics.outbox_pending(pending)
        return json_answer(StatusAnswer(self.context.participant_id, pending, self.plane.ready))

    async def exposition(self, _: web.Request) -> web.Response:
        """The metrics in Prometheus' text format."""
        self.metrics.outbox_pending(await self.context.store.pending())
        return web.Response(body=self.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})
