"""Our own interface, subjects: ``/carnet/v1/subjects/name``, ``.../export`` and ``.../erase``.

One thin handler for each use case of ``connector/flow/subjects.py``. Vehicles are named in bodies only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from aiohttp import web

from connector.api.answers.consents import ErasedAnswer, SubjectExport, SubjectNamed
from connector.api.operation import Operation
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

    def operations(self) -> list[Operation]:
        """All of them."""
        return [
            Operation(
                "POST", f"{BASE}/name", "nameSubject", "subjects", "read", "The pseudonym of a vehicle in the contract log.",
                self._name, body=VehicleRequest, answer=SubjectNamed,
            ),
            Operation(
                "POST", f"{BASE}/export", "exportSubject", "subjects", "read",
                "All that ledger, deliveries and contract log say of a vehicle (GDPR, article 15).",
                self._export, body=VehicleRequest, answer=SubjectExport,
            ),
            Operation(
                "POST", f"{BASE}/erase", "eraseSubject", "subjects", "write",
                "Withdraw what is in force for a vehicle, or end a participant, and erase its key in the log; and what is kept.",
                self._erase, body=EraseRequest, answer=ErasedAnswer, errors=(404, 409), told=True,
            ),
        ]  # fmt: skip

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
