"""Our own interface, for drivers: what one's own vehicle agrees to, ``/carnet/v1/own-consents``.

A driver's key names the vehicle by the ledger's own number; the name of the vehicle is neither sent nor answered. May import the
use cases of consents and the seam to the data plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from connector.api.answers import consents as told
from connector.api.operation import Operation, caller_of
from connector.flow import consents
from connector.flow.plane import Plane
from connector.http.bodies import json_answer, read_body
from connector.protocol.errors import CallerError, PolicyDenied

BASE: Final = "/carnet/v1/own-consents"
_OURS: Final = frozenset({"vehicle", "decided_by"})
"""Members of an entry that are not the driver's to say."""


class OwnDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision of the driver. ``purpose`` and ``basis`` are IRIs, or as vdx:... or dpv:...; ``text_sha256`` is of what was
    shown, and needed to grant; ``at_ms``: when it was made, if that was not now."""

    category: str
    purpose: str
    recipient: str
    given: bool
    basis: str = "https://w3id.org/dpv#Consent"
    text_sha256: str | None = None
    at_ms: int | None = None


class OwnDecisions(msgspec.Struct, frozen=True):
    """Grants and withdrawals, all written or none."""

    entries: list[OwnDecision]


class OwnWithdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """All that was agreed to, or what of it is for these."""

    category: str | None = None
    purpose: str | None = None
    recipient: str | None = None


class _Entries(msgspec.Struct, frozen=True):
    entries: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LocalOwnConsents:
    """Handlers for a driver."""

    plane: Plane

    def operations(self) -> list[Operation]:
        """All of them."""
        return [
            Operation(
                "GET", BASE, "ownConsents", "own-consents", "read",
                "What one's own vehicle agrees to, every decision about it, and the requests of its users.",
                self._held, answer=told.VehicleConsents,
            ),
            Operation(
                "POST", BASE, "decideOwnConsents", "own-consents", "write", "Write grants and withdrawals, all or none.",
                self._decide, body=OwnDecisions, answer=told.DecidedAnswer, status=201, told=True,
            ),
            Operation(
                "POST", f"{BASE}/withdraw", "withdrawOwnConsents", "own-consents", "write",
                "Withdraw what one has agreed to; when this is answered, nothing more leaves under it.",
                self._withdraw, body=OwnWithdrawal, answer=told.WithdrawnAnswer, told=True,
            ),
        ]  # fmt: skip

    async def _held(self, request: web.Request) -> web.Response:
        return json_answer(await consents.subject(self.plane, await self._vehicle(request)))

    async def _decide(self, request: web.Request) -> web.Response:
        entries = (await read_body(request, _Entries)).entries
        ours = {"vehicle": await self._vehicle(request), "decided_by": "driver"}
        _check_own(*entries)
        return json_answer(await consents.decide(self.plane, [{**entry, **ours} for entry in entries]), 201)

    async def _withdraw(self, request: web.Request) -> web.Response:
        wanted: dict[str, Any] = await read_body(request, dict)
        _check_own(wanted)
        ours = {"vehicle": await self._vehicle(request), "decided_by": "driver"}
        return json_answer(await consents.withdraw(self.plane, {**wanted, **ours}))

    async def _vehicle(self, request: web.Request) -> str:
        """The vehicle of who asks. Raises PolicyDenied for who has none."""
        number = caller_of(request).vehicle
        if number is None:
            raise PolicyDenied("vehicle-none", "this is for drivers, whose key or token names their vehicle")
        return await consents.vehicle_of(self.plane, number)


def _check_own(*said: dict[str, Any]) -> None:
    if any(_OURS & entry.keys() for entry in said):
        raise CallerError("entry-foreign", "leave out vehicle and decided_by: it is your own vehicle, and you decide")
