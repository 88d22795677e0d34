"""Consents and requests of users as the owner works with them: each use case is one question to the data plane, whose they are.

Vehicles are named in bodies only, never in a path, and nothing here logs one. May import the seam to the data plane only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connector.flow.plane import Plane

Document = dict[str, Any]


async def counts(plane: Plane) -> Document:
    """The ledger's number, and how many vehicles agree to each category, purpose, recipient and basis."""
    return await plane.ask("GET", "/carnet/consents")


async def decide(plane: Plane, entries: Sequence[Any]) -> Document:
    """Write grants and withdrawals, all or none. Raises CallerError naming the entry and the member that is wrong."""
    return await plane.ask("POST", "/carnet/consents", {"entries": list(entries)})


async def withdraw(plane: Plane, wanted: Document) -> Document:
    """Withdraw what a vehicle agreed to; when this returns, nothing more leaves under it. Raises CallerError."""
    return await plane.ask("POST", "/carnet/consents/withdraw", wanted)


async def import_file(plane: Plane, path: str) -> Document:
    """Write a file of entries, all or nothing. Raises CallerError naming the row and the column that is wrong."""
    return await plane.ask("PUT", "/carnet/consents/import", {"path": path})


async def subject(plane: Plane, vehicle: str) -> Document:
    """What stands in the ledger about a vehicle. Raises CallerError if it knows none of that name."""
    return await plane.ask("POST", "/carnet/consents/vehicle", {"vehicle": vehicle})


async def number_of(plane: Plane, vehicle: str) -> int:
    """The ledger's own number of a vehicle, by which a driver's key names it. Raises CallerError where it has none."""
    found: int = (await plane.ask("POST", "/carnet/consents/number", {"vehicle": vehicle}))["vehicle_number"]
    return found


async def vehicle_of(plane: Plane, number: int) -> str:
    """The vehicle of a number; never for a log or an answer. Raises CallerError."""
    return str((await plane.ask("POST", "/carnet/consents/named", {"vehicle_number": number}))["vehicle"])


async def enrol(plane: Plane, enrolments: Sequence[Any]) -> Document:
    """Note the buyer's own references of vehicles, all or none. Raises CallerError."""
    return await plane.ask("POST", "/carnet/enrolments", {"enrolments": list(enrolments)})


async def requests(plane: Plane) -> Document:
    """The newest requests of users, withdrawn ones too, without their vehicles."""
    return await plane.ask("GET", "/carnet/requests")


async def request(plane: Plane, asked: Document) -> Document:
    """Put the request of a user on record. Raises CallerError naming the member that is wrong."""
    return await plane.ask("POST", "/carnet/requests", asked)


async def show_request(plane: Plane, request_id: str) -> Document:
    """A request and its vehicle. Raises CallerError."""
    return await plane.ask("POST", "/carnet/requests/show", {"id": request_id})


async def withdraw_request(plane: Plane, request_id: str) -> Document:
    """End a request; when this returns, nothing more leaves under it. Raises CallerError."""
    return await plane.ask("POST", "/carnet/requests/withdraw", {"id": request_id})
