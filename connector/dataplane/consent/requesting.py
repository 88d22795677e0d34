"""Writes, withdraws and looks up requests of users over the ledger of consents. See ``requests.py`` for what one is.

A request that is unknown, of somebody else, for another purpose or withdrawn is not held, and nobody who asks whether it is held
learns which. May import this package.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

from connector.dataplane.consent import records as rec
from connector.dataplane.consent.bits import Ordinals
from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.model import Withdrawn
from connector.dataplane.consent.requests import (
    Asked,
    Recorded,
    checked_request,
    end_request,
    insert_request,
)
from connector.dataplane.problems import Refusal


class UserRequests:
    """Requests of users beside one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._records = ledger.requests
        self._ledger = ledger

    async def add(self, asked: Asked) -> tuple[str, int]:
        """Put a request on record; gives its id and the ledger's number. Raises Refusal 400 for one that cannot be, 409 for an id
        that stands on record, also if that request was withdrawn."""
        now = self._ledger.now_ms()
        whole = checked_request(asked, now)
        request_id = whole.id or f"urn:uuid:{uuid.uuid4()}"

        async def attempt() -> int:
            if await self._records.one(request_id) is not None:
                raise Refusal(409, "request-known", "a request of this id is on record; leave the id out or choose another")
            head = await self._ledger.head()
            ordinals, new = await self._ledger.numbered([whole.vehicle], head)
            number, vehicles = head.number + 1, head.vehicles + len(new)
            commit = rec.insert_commit(number, "decisions", entries=1, withdrawn=False, vehicles=vehicles, at=now)
            named = rec.insert_vehicles((ordinal, vehicle) for vehicle, ordinal in new)
            request = insert_request(whole, request_id, ordinals[whole.vehicle], number, now)
            await self._ledger.commit("requested", number, [commit, *named, request])
            return number

        return request_id, await self._ledger.in_turn(attempt)

    async def withdraw(self, request_id: str) -> int:
        """End a request, and return when nothing more leaves under it; gives the number of the ledger at which it ended.

        Raises Refusal 404 for an id that is not on record.
        """
        now = self._ledger.now_ms()

        async def attempt() -> tuple[int, int]:
            found, ordinal = await self._known(request_id)
            if found.ended is not None:
                return found.ended, ordinal
            head = await self._ledger.head()
            number = head.number + 1
            commit = rec.insert_commit(number, "decisions", entries=1, withdrawn=True, vehicles=head.vehicles, at=now)
            await self._ledger.commit("request-withdrawn", number, [commit, end_request(request_id, number, now)])
            return number, ordinal

        number, ordinal = await self._ledger.in_turn(attempt)
        await self._ledger.tell(Withdrawn(number, (), Ordinals.of([ordinal])))
        return number

    async def all(self) -> list[Recorded]:
        """The newest requests, those that were withdrawn too."""
        return await self._records.newest()

    async def of_vehicle(self, vehicle: str) -> list[Recorded]:
        """The newest requests of a vehicle. Raises Refusal 404 for one that the ledger does not know."""
        return await self._records.newest(await self._ledger.ordinal(vehicle))

    async def one(self, request_id: str) -> tuple[Recorded, str]:
        """A request and its vehicle; never for a log. Raises Refusal 404."""
        found, ordinal = await self._known(request_id)
        return found, (await self._ledger.vehicles([ordinal])).get(ordinal, "")

    async def held(self, ids: Collection[str], recipient: str, purpose: str | None) -> list[str]:
        """Those of ``ids`` that are on record for this recipient, and cover the purpose (an IRI) where one is given."""
        return await self._records.held(ids, recipient, purpose)

    async def _known(self, request_id: str) -> tuple[Recorded, int]:
        found = await self._records.one(request_id)
        if found is None:
            raise Refusal(404, "request-unknown", "no request of this id is on record; see the list of requests")
        return found
