"""Hooks by which a test kit has us begin a negotiation or transfer. Served only under the development key, on loopback."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from aiohttp import web

from connector.flow import begin
from connector.flow.context import Context
from connector.http import problems
from connector.identity.interface import Inbound, Incoming, Scope
from connector.protocol.errors import CallerError, CarnetError


class NegotiationHook(msgspec.Struct, frozen=True, rename="camel"):
    """What the kit sends to begin a negotiation."""

    dataset_id: str
    offer_id: str
    provider_id: str
    connector_address: str


class TransferHook(msgspec.Struct, frozen=True, rename="camel"):
    """What the kit sends to begin a transfer."""

    agreement_id: str
    provider_id: str
    format: str
    connector_address: str


@dataclass(frozen=True, slots=True)
class Hooks:
    """Handlers; each calls the use case that a person's request would call. Callers identify as on the main base path."""

    context: Context
    identity: Inbound

    def routes(self) -> list[web.RouteDef]:
        """The two hooks, to be added to the protocol listener."""
        return [web.post("/tck/negotiations", self._negotiation), web.post("/tck/transfers", self._transfer)]

    async def _recognise(self, request: web.Request, scope: Scope) -> None:
        await self.identity.inbound(Incoming(request.method, str(request.url), request.headers, scope, changes=False))

    async def _negotiation(self, request: web.Request) -> web.Response:
        try:
            await self._recognise(request, Scope.NEGOTIATION)
            hook = msgspec.json.decode(await request.read(), type=NegotiationHook)
            offer = {"@id": hook.offer_id, "permission": [{"action": "use"}]}
            process = await begin.request_contract(
                self.context,
                counterparty=hook.provider_id,
                dataset=hook.dataset_id,
                offer=offer,
                address=hook.connector_address,
            )
        except msgspec.DecodeError as error:
            return problems.problem_answer(CallerError("body-invalid", str(error)))
        except CarnetError as error:
            return problems.problem_answer(error)
        return web.json_response({"id": process.id})

    async def _transfer(self, request: web.Request) -> web.Response:
        try:
            await self._recognise(request, Scope.TRANSFER)
            hook = msgspec.json.decode(await request.read(), type=TransferHook)
            process = await begin.request_transfer(
                self.context,
                agreement_id=hook.agreement_id,
                counterparty=hook.provider_id,
                transfer_format=hook.format,
                address=hook.connector_address,
            )
        except msgspec.DecodeError as error:
            return problems.problem_answer(CallerError("body-invalid", str(error)))
        except CarnetError as error:
            return problems.problem_answer(error)
        return web.json_response({"id": process.id})
