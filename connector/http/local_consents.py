"""Our own interface, consents and requests of users: ``/carnet/v1/consents``, ``.../enrolments`` and ``.../requests``.

One thin handler for each use case of ``connector/flow/consents.py``. Vehicles are named in bodies only; the data plane says what
is wrong with an entry. Bodies are therefore read no closer than it takes to pass them on: the types of their entries are what the
description of the interface shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from aiohttp import web

from connector.api.answers import consents as told
from connector.api.operation import Operation
from connector.flow import consents
from connector.flow.plane import Plane
from connector.http.bodies import json_answer, read_body

BASE: Final = "/carnet/v1/consents"
REQUESTS: Final = "/carnet/v1/requests"
Decider = Literal["driver", "owner", "renter"]


class ConsentDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision about one vehicle. ``purpose`` and ``basis`` are IRIs, or as vdx:... or dpv:...; ``text_sha256`` is of what was
    shown, and needed to grant; ``at_ms``: when it was made, if that was not now."""

    vehicle: str
    category: str
    purpose: str
    recipient: str
    given: bool
    decided_by: Decider
    basis: str = "https://w3id.org/dpv#Consent"
    text_sha256: str | None = None
    at_ms: int | None = None


class ConsentDecisions(msgspec.Struct, frozen=True):
    """Grants and withdrawals, all written or none."""

    entries: list[ConsentDecision]


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """All that a vehicle agreed to, or what of it is for these."""

    vehicle: str
    category: str | None = None
    purpose: str | None = None
    recipient: str | None = None
    decided_by: Decider = "driver"


class VehicleReference(msgspec.Struct, frozen=True, kw_only=True):
    """A vehicle is the buyer's ``reference``, such as an insurance contract; ``text_sha256``: of what the driver agreed to."""

    vehicle: str
    recipient: str
    reference: str
    text_sha256: str
    decided_by: Decider = "driver"


class VehicleReferences(msgspec.Struct, frozen=True):
    """The buyer's own references of vehicles, all noted or none."""

    enrolments: list[VehicleReference]


class UserRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The user of a vehicle asks for its data to go to ``recipient`` (Data Act, article 5). Without ``categories``: all of it;
    ``id`` is an IRI of one's own; ``at_ms``: when it was asked for, if that was not now."""

    vehicle: str
    recipient: str
    purpose: str
    categories: list[str] = []
    decided_by: Decider = "owner"
    id: str | None = None
    text_sha256: str | None = None
    at_ms: int | None = None


class DecideRequest(msgspec.Struct, frozen=True):
    """Grants and withdrawals, to be passed on."""

    entries: list[Any]


class ImportRequest(msgspec.Struct, frozen=True):
    """A file that the data plane can read."""

    path: str


class SubjectRequest(msgspec.Struct, frozen=True):
    """A vehicle, as the table names it."""

    vehicle: str


class EnrolRequest(msgspec.Struct, frozen=True):
    """The buyer's own references of vehicles, to be passed on."""

    enrolments: list[Any]


class NamedRequest(msgspec.Struct, frozen=True):
    """A request of a user, by its id."""

    id: str


@dataclass(frozen=True, slots=True)
class LocalConsents:
    """Handlers for consents."""

    plane: Plane

    def operations(self) -> list[Operation]:
        """All of them."""
        return [*self._consents(), *self._requests_of_users()]

    def _consents(self) -> list[Operation]:
        return [
            Operation(
                "GET", BASE, "countConsents", "consents", "read", "How many vehicles agree to what.",
                self._counts, answer=told.CountsAnswer,
            ),
            Operation(
                "POST", BASE, "decideConsents", "consents", "write", "Write grants and withdrawals, all or none.",
                self._decide, body=ConsentDecisions, answer=told.DecidedAnswer, status=201, told=True,
            ),
            Operation(
                "POST", f"{BASE}/withdraw", "withdrawConsents", "consents", "write",
                "Withdraw what a vehicle agreed to; when this is answered, nothing more leaves under it.",
                self._withdraw, body=Withdrawal, answer=told.WithdrawnAnswer, told=True,
            ),
            Operation(
                "POST", f"{BASE}/import", "importConsents", "consents", "write",
                "Write a file of decisions that the data plane can read, all or nothing.",
                self._import, body=ImportRequest, answer=told.ImportedAnswer, status=201, told=True,
            ),
            Operation(
                "POST", f"{BASE}/vehicle", "vehicleConsents", "subjects", "read",
                "What a vehicle agrees to, every decision about it, and the requests of its users.",
                self._vehicle, body=SubjectRequest, answer=told.VehicleConsents,
            ),
            Operation(
                "POST", f"{BASE}/number", "numberVehicle", "subjects", "read",
                "The ledger's own number of a vehicle, by which a driver's key names it.",
                self._number, body=SubjectRequest, answer=told.VehicleNumber,
            ),
            Operation(
                "POST", "/carnet/v1/enrolments", "enrolVehicles", "consents", "write",
                "Note a buyer's own references of vehicles, all or none.",
                self._enrol, body=VehicleReferences, answer=told.EnrolledAnswer, status=201, told=True,
            ),
        ]  # fmt: skip

    def _requests_of_users(self) -> list[Operation]:
        return [
            Operation(
                "GET", REQUESTS, "listUserRequests", "consents", "read", "The newest requests of users, without their vehicles.",
                self._requests, answer=told.UserRequestsAnswer,
            ),
            Operation(
                "POST", REQUESTS, "recordUserRequest", "consents", "write",
                "Put on record that the user of a vehicle asks for its data to go to a participant.",
                self._request, body=UserRequest, answer=told.UserRequestNumber, status=201, told=True,
            ),
            Operation(
                "POST", f"{REQUESTS}/show", "showUserRequest", "subjects", "read", "A request of a user and its vehicle.",
                self._shown, body=NamedRequest, answer=told.UserRequestShown,
            ),
            Operation(
                "POST", f"{REQUESTS}/withdraw", "withdrawUserRequest", "consents", "write",
                "End a request; when this is answered, nothing more leaves under it.",
                self._request_withdrawn, body=NamedRequest, answer=told.UserRequestNumber, told=True,
            ),
        ]  # fmt: skip

    async def _counts(self, _: web.Request) -> web.Response:
        return json_answer(await consents.counts(self.plane))

    async def _decide(self, request: web.Request) -> web.Response:
        return json_answer(await consents.decide(self.plane, (await read_body(request, DecideRequest)).entries), 201)

    async def _withdraw(self, request: web.Request) -> web.Response:
        return json_answer(await consents.withdraw(self.plane, await read_body(request, dict)))

    async def _import(self, request: web.Request) -> web.Response:
        return json_answer(await consents.import_file(self.plane, (await read_body(request, ImportRequest)).path), 201)

    async def _vehicle(self, request: web.Request) -> web.Response:
        return json_answer(await consents.subject(self.plane, (await read_body(request, SubjectRequest)).vehicle))

    async def _number(self, request: web.Request) -> web.Response:
        vehicle = (await read_body(request, SubjectRequest)).vehicle
        return json_answer(told.VehicleNumber(await consents.number_of(self.plane, vehicle)))

    async def _enrol(self, request: web.Request) -> web.Response:
        return json_answer(await consents.enrol(self.plane, (await read_body(request, EnrolRequest)).enrolments), 201)

    async def _requests(self, _: web.Request) -> web.Response:
        return json_answer(await consents.requests(self.plane))

    async def _request(self, request: web.Request) -> web.Response:
        return json_answer(await consents.request(self.plane, await read_body(request, dict)), 201)

    async def _shown(self, request: web.Request) -> web.Response:
        return json_answer(await consents.show_request(self.plane, (await read_body(request, NamedRequest)).id))

    async def _request_withdrawn(self, request: web.Request) -> web.Response:
        return json_answer(await consents.withdraw_request(self.plane, (await read_body(request, NamedRequest)).id))
