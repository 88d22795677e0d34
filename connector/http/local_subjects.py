"""The owner's channel, subjects: ``/carnet/v1/subjects/name``, ``.../export`` and ``.../erase``.

One thin handler for each use case of ``connector/flow/subjects.py``. Vehicles are named in bodies only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from aiohttp import web

from connector.flow import subjects
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.http.bodies import json_answer, read_body
from connector.protocol.errors import CallerError

BASE: Final = "/carnet/v1/subjects"
Text = Annotated[str, msgspec.Meta(max_length=2048)]


class VehicleRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vehicle, as the table names it."""

    vehicle: Text


class EraseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of whom to erase what: either a vehicle or a participant."""

    reason: Text
    vehicle: Text = ""
    participant: Text = ""
    force: bool = False


@dataclass(frozen=True, slots=True)
class LocalSubjects:
    """Handlers for who answers to a person."""

    context: Context
    plane: Plane

    def routes(self) -> list[web.RouteDef]:
        """All of them, to be added to the owner's channel."""
        return [
            web.post(f"{BASE}/name", self._name),
            web.post(f"{BASE}/export", self._export),
            web.post(f"{BASE}/erase", self._erase),
        ]

    async def _name(self, request: web.Request) -> web.Response:
        return json_answer(await subjects.named(self.context, (await read_body(request, VehicleRequest)).vehicle))

    async def _export(self, request: web.Request) -> web.Response:
        vehicle = (await read_body(request, VehicleRequest)).vehicle
        return json_answer(await subjects.export(self.context, self.plane, vehicle))

    async def _erase(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, EraseRequest)
        if bool(wanted.vehicle) == bool(wanted.participant):
            raise CallerError("body-invalid", "name either a vehicle or a participant")
        if wanted.vehicle:
            return json_answer(await subjects.erase_vehicle(self.context, self.plane, wanted.vehicle, wanted.reason))
        erased = await subjects.erase_participant(self.context, wanted.participant, wanted.reason, force=wanted.force)
        return json_answer(erased)
