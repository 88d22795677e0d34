"""The signaling listener: Data Plane Signaling 1.0-RC3 over plain JSON, for the one control plane that holds the token.

Own resources stand under ``/carnet``. May import this package only.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from connector.dataplane import records as rec
from connector.dataplane.downloads import Downloader
from connector.dataplane.flows import Flows, status_of
from connector.dataplane.messages import ChangeMessage, ControlPlane, FlowMessage, decode, encode
from connector.dataplane.part import received_bytes
from connector.dataplane.problems import Refusal
from connector.dataplane.records import Records
from connector.dataplane.renewing import NotRenewed, Renewer
from connector.dataplane.settings import DataPlaneSettings
from connector.dataplane.states import Operation, Role, State
from connector.dataplane.threads import settle
from connector.store.engine import StoreUnavailable

log = logging.getLogger("carnet.dataplane")

_CHANGES = {
    "started": Operation.STARTED,
    "suspend": Operation.SUSPEND,
    "resume": Operation.RESUME,
    "terminate": Operation.TERMINATE,
    "completed": Operation.COMPLETED,
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Signaling:
    """Handlers of the signaling listener."""

    def __init__(
        self,
        records: Records,
        flows: Flows,
        downloads: Downloader,
        renewer: Renewer,
        settings: DataPlaneSettings,
        more: Sequence[web.RouteDef] = (),
    ) -> None:
        self._records = records
        self._flows = flows
        self._downloads = downloads
        self._renewer = renewer
        self._settings = settings
        self._more = more

    def application(self) -> web.Application:
        """All routes behind the token, but ``/health``."""
        app = web.Application(client_max_size=self._settings.bounds.max_message_bytes, middlewares=[self._guard])
        app.router.add_get("/health", self._health)
        app.router.add_post("/dataflows/prepare", self._prepare)
        app.router.add_post("/dataflows/start", self._start)
        app.router.add_get("/dataflows/{id}/status", self._status)
        app.router.add_post(f"/dataflows/{{id}}/{{change:{'|'.join(_CHANGES)}}}", self._change)
        app.router.add_put("/controlplanes", self._register)
        app.router.add_delete("/controlplanes/{id}", self._unregister)
        app.router.add_get("/carnet/flows/{id}", self._flow)
        app.router.add_get("/carnet/flows/{id}/address", self._address)
        app.router.add_routes(self._more)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Token first; then every refusal and failure becomes a problem document."""
        try:
            if request.path != "/health":
                self._authenticate(request.headers.get("Authorization", ""))
            return await handler(request)
        except Refusal as refusal:
            return refusal.response()
        except StoreUnavailable:
            log.exception("the data plane's database failed")
            return Refusal(503, "store_unavailable", "the data plane cannot write; see its log").response()
        except web.HTTPException as error:
            return Refusal(error.status, "http", error.reason).response()

    def _authenticate(self, header: str) -> None:
        scheme, _, token = header.partition(" ")
        if scheme != "Bearer" or not self._settings.token.matches(token):
            raise Refusal(401, "unauthorized", "the control plane's token is needed")

    async def _health(self, _: web.Request) -> web.Response:
        await self._records.control_plane()
        return _json({"status": "ok"})

    async def _prepare(self, request: web.Request) -> web.Response:
        return _text(await self._flows.prepare(decode(await request.read(), FlowMessage)))

    async def _start(self, request: web.Request) -> web.Response:
        return _text(await self._flows.start(decode(await request.read(), FlowMessage)))

    async def _change(self, request: web.Request) -> web.Response:
        message = decode(await request.read(), ChangeMessage)
        operation = _CHANGES[request.match_info["change"]]
        return _text(await self._flows.change(request.match_info["id"], operation, message))

    async def _status(self, request: web.Request) -> web.Response:
        return _text(status_of(await self._flows.require(request.match_info["id"])).decode())

    async def _register(self, request: web.Request) -> web.Response:
        message = decode(await request.read(), ControlPlane)
        await self._records.commit(rec.register_control_plane(message.controlplane_id, message.endpoint))
        return _json({})

    async def _unregister(self, request: web.Request) -> web.Response:
        await self._records.commit([rec.unregister_control_plane(request.match_info["id"])])
        return web.Response(status=204)

    async def _flow(self, request: web.Request) -> web.Response:
        flow = await self._flows.require(request.match_info["id"])
        seen: dict[str, Any] = {
            "dataFlowId": flow.id,
            "role": flow.role.value,
            "state": flow.state.value,
            "datasetId": flow.dataset_id,
            "sink": flow.sink,
            "error": flow.error,
        }
        download = await self._records.download(flow.id)
        if flow.sink is not None:
            seen["bytes"] = download.bytes if download else None
            seen["total"] = download.total if download else None
            seen["making"] = flow.id in self._downloads.making
            seen["sha256"] = download.sha256 if download else None
            seen["verified"] = bool(download and download.digest and download.digest == download.sha256)
            if seen["bytes"] is None:
                seen["bytes"] = await settle(received_bytes, self._downloads.final_path(flow.sink))
        return _json(seen)

    async def _address(self, request: web.Request) -> web.Response:
        """The consumer's data address (EDR), for flows that have no sink."""
        flow = await self._flows.require(request.match_info["id"])
        if flow.role is not Role.CONSUMER or flow.sink is not None or flow.address is None:
            raise Refusal(404, "no_address", "this flow has no address to hand out")
        if flow.state is not State.STARTED:
            raise Refusal(409, "state", f"the transfer is {flow.state}")
        try:
            address = await self._renewer.address(flow.id)
        except NotRenewed as reason:
            raise Refusal(503, "token_not_renewed", str(reason)) from None
        if address is None:
            raise Refusal(409, "state", "the transfer does not run any more")
        return _text(encode(address))


def _text(body: str) -> web.Response:
    return web.Response(text=body, content_type="application/json", headers={"Cache-Control": "no-store"})


def _json(value: object) -> web.Response:
    return _text(msgspec.json.encode(value).decode())
