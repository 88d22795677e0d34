"""The ledger on the signaling listener: ``/carnet/consents``, ``/carnet/enrolments`` and ``/carnet/requests``, in plain JSON.

Vehicles are named in bodies only: paths are logged. What is wrong with a body is said without quoting it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from aiohttp import web

from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.model import MAX_ENTRIES, Enrolment, Entry
from connector.dataplane.consent.requesting import UserRequests
from connector.dataplane.consent.requests import MOST_NAMED, Asked
from connector.dataplane.problems import Refusal
from connector.dataplane.sources import locate
from connector.dataplane.threads import settle

BASE: Final = "/carnet/consents"
REQUESTS: Final = "/carnet/requests"
Body = TypeVar("Body", bound=msgspec.Struct)


class Entries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Grants and withdrawals."""

    entries: Annotated[tuple[Entry, ...], msgspec.Meta(min_length=1, max_length=MAX_ENTRIES)]


class Withdrawal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a vehicle agreed to, or what of it is for these."""

    vehicle: str
    category: str | None = None
    purpose: str | None = None
    recipient: str | None = None
    decided_by: str = "driver"


class Import(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A CSV or Parquet file below a folder that may be published from."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose entries are asked for."""

    vehicle: str


class Numbered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vehicle, by the ledger's own number of it."""

    vehicle_number: Annotated[int, msgspec.Meta(ge=0)]


class Enrolments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The buyer's own references of vehicles."""

    enrolments: Annotated[tuple[Enrolment, ...], msgspec.Meta(min_length=1, max_length=MAX_ENTRIES)]


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request of a user."""

    id: str


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of these requests are on record for a recipient, and a purpose if one is given."""

    requests: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_NAMED)]
    recipient: str
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentRoutes:
    """Handlers over a ledger and the requests of users beside it; imports come from below ``roots``."""

    ledger: Ledger
    roots: Sequence[Path] = ()

    @property
    def requests(self) -> UserRequests:
        """Those beside the ledger."""
        return UserRequests(self.ledger)

    def routes(self) -> list[web.RouteDef]:
        """All of them, for the signaling listener."""
        return [
            web.get(BASE, self._counts),
            web.post(BASE, self._decide),
            web.post(f"{BASE}/withdraw", self._withdraw),
            web.put(f"{BASE}/import", self._import),
            web.post(f"{BASE}/vehicle", self._vehicle),
            web.post(f"{BASE}/number", self._number),
            web.post(f"{BASE}/named", self._vehicle_named),
            web.post("/carnet/enrolments", self._enrol),
            web.get(REQUESTS, self._requests),
            web.post(REQUESTS, self._request),
            web.post(f"{REQUESTS}/show", self._shown),
            web.post(f"{REQUESTS}/withdraw", self._request_withdrawn),
            web.post(f"{REQUESTS}/held", self._held),
        ]

    async def _counts(self, _: web.Request) -> web.Response:
        number = await self.ledger.number()
        return _answer({"number": number, "counts": await self.ledger.counts(number)})

    async def _decide(self, request: web.Request) -> web.Response:
        entries = _read(await request.read(), Entries).entries
        return _answer({"number": await self.ledger.decide(entries), "entries": len(entries)})

    async def _withdraw(self, request: web.Request) -> web.Response:
        wanted = _read(await request.read(), Withdrawal)
        done = await self.ledger.withdraw(
            wanted.vehicle,
            category=wanted.category,
            purpose=wanted.purpose,
            recipient=wanted.recipient,
            decided_by=wanted.decided_by,
        )
        return _answer({"number": done.number, "withdrawn": done.affected})

    async def _import(self, request: web.Request) -> web.Response:
        path = await settle(locate, _read(await request.read(), Import).path, self.roots)
        return _answer(await self.ledger.import_file(path))

    async def _vehicle(self, request: web.Request) -> web.Response:
        vehicle = _read(await request.read(), Subject).vehicle
        number, held = await self.ledger.number(), await self.ledger.held(vehicle)
        entries, asked = await self.ledger.vehicle(vehicle), await self.requests.of_vehicle(vehicle)
        return _answer({"number": number, "held": held, "entries": entries, "requests": asked})

    async def _number(self, request: web.Request) -> web.Response:
        return _answer({"vehicle_number": await self.ledger.ordinal(_read(await request.read(), Subject).vehicle)})

    async def _vehicle_named(self, request: web.Request) -> web.Response:
        number = _read(await request.read(), Numbered).vehicle_number
        vehicle = (await self.ledger.vehicles([number])).get(number)
        if vehicle is None:
            raise Refusal(404, "vehicle-unknown", "the ledger has given this number to no vehicle")
        return _answer({"vehicle": vehicle})

    async def _enrol(self, request: web.Request) -> web.Response:
        enrolments = _read(await request.read(), Enrolments).enrolments
        return _answer({"number": await self.ledger.enrol(enrolments), "enrolments": len(enrolments)})

    async def _requests(self, _: web.Request) -> web.Response:
        return _answer({"number": await self.ledger.number(), "requests": await self.requests.all()})

    async def _request(self, request: web.Request) -> web.Response:
        request_id, number = await self.requests.add(_read(await request.read(), Asked))
        return _answer({"id": request_id, "number": number})

    async def _shown(self, request: web.Request) -> web.Response:
        found, vehicle = await self.requests.one(_read(await request.read(), Named).id)
        return _answer({"request": found, "vehicle": vehicle})

    async def _request_withdrawn(self, request: web.Request) -> web.Response:
        request_id = _read(await request.read(), Named).id
        return _answer({"id": request_id, "number": await self.requests.withdraw(request_id)})

    async def _held(self, request: web.Request) -> web.Response:
        asked = _read(await request.read(), Held)
        return _answer({"held": await self.requests.held(asked.requests, asked.recipient, asked.purpose)})


def _read(body: bytes, form: type[Body]) -> Body:
    """The body as ``form``. Raises Refusal 400 with the place of what is wrong, and no word of the body."""
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at ")
        what = "an unknown member" if said.startswith("Object contains unknown") else said
        refusal = Refusal(400, "message-invalid", f"{what} at {place or '`$`'}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        refusal = Refusal(400, "message-invalid", "the body is not JSON")
    raise refusal


def _answer(value: object) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})
