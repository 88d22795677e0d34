"""The owner's channel, consents and requests of users: ``/carnet/v1/consents``, ``.../enrolments`` and ``.../requests``.

One thin handler for each use case of ``connector/flow/consents.py``. Vehicles are named in bodies only; the data plane says what
is wrong with an entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from connector.flow import consents
from connector.flow.plane import Plane
from connector.http.bodies import json_answer, read_body

BASE: Final = "/carnet/v1/consents"
REQUESTS: Final = "/carnet/v1/requests"


class DecideRequest(msgspec.Struct, frozen=True):
    """Grants and withdrawals."""

    entries: list[Any]


class ImportRequest(msgspec.Struct, frozen=True):
    """A file that the data plane can read."""

    path: str


class SubjectRequest(msgspec.Struct, frozen=True):
    """A vehicle, as the table names it."""

    vehicle: str


class EnrolRequest(msgspec.Struct, frozen=True):
    """The buyer's own references of vehicles."""

    enrolments: list[Any]


class NamedRequest(msgspec.Struct, frozen=True):
    """A request of a user, by its id."""

    id: str


@dataclass(frozen=True, slots=True)
class LocalConsents:
    """Handlers for consents."""

    plane: Plane

    def routes(self) -> list[web.RouteDef]:
        """All of them, to be added to the owner's channel."""
        return [
            web.get(BASE, self._counts),
            web.post(BASE, self._decide),
            web.post(f"{BASE}/withdraw", self._withdraw),
            web.post(f"{BASE}/import", self._import),
            web.post(f"{BASE}/vehicle", self._vehicle),
            web.post("/carnet/v1/enrolments", self._enrol),
            web.get(REQUESTS, self._requests),
            web.post(REQUESTS, self._request),
            web.post(f"{REQUESTS}/show", self._shown),
            web.post(f"{REQUESTS}/withdraw", self._request_withdrawn),
        ]

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
