"""What the data plane knows of one vehicle: consents, requests, enrolments, deliveries that held it, and what was erased of it.

For the vehicle's own person. The vehicle is named in the body only, nothing of it is logged, and nothing is kept of the question.
May import this package only.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from connector.dataplane import indexes
from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.requesting import UserRequests
from connector.dataplane.consent.routes import Subject
from connector.dataplane.deliveries import Artifact, Deliveries
from connector.dataplane.messages import decode
from connector.dataplane.problems import Refusal
from connector.dataplane.threads import settle
from connector.dataplane.withdrawn import pseudonyms_of

MOST_DECISIONS: Final = 100_000
LEFT: Final = "reserved_at IS NOT NULL AND index_file IS NOT NULL"


class Subjects:
    """Handlers of the signaling listener."""

    def __init__(self, ledger: Ledger, deliveries: Deliveries) -> None:
        self._ledger = ledger
        self._requests = UserRequests(ledger)
        self._deliveries = deliveries

    def routes(self) -> list[web.RouteDef]:
        """For the signaling listener."""
        return [web.post("/carnet/subjects", self._subject)]

    async def _subject(self, request: web.Request) -> web.Response:
        """``known`` is false for a vehicle that the ledger does not know: then no delivery can have been kept by its name."""
        vehicle = decode(await request.read(), Subject).vehicle
        body = msgspec.json.encode(await self.told(vehicle))
        return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})

    async def told(self, vehicle: str) -> dict[str, Any]:
        """All of it. Raises StoreUnavailable."""
        number = await self._ledger.number()
        try:
            ordinal = await self._ledger.ordinal(vehicle)
        except Refusal:
            return {"known": False, "number": number}
        deliveries = [
            await self._delivery(artifact, ordinal, vehicle)
            async for artifact in self._deliveries.each(LEFT)
            if artifact.index_file is not None and await settle(indexes.holds, artifact.index_file, ordinal)
        ]
        return {
            "known": True,
            "number": number,
            "held": await self._ledger.held(vehicle),
            "entries": await self._ledger.vehicle(vehicle, MOST_DECISIONS),
            "requests": await self._requests.of_vehicle(vehicle),
            "enrolments": await self._ledger.enrolments(ordinal),
            "deliveries": deliveries,
        }

    async def _delivery(self, artifact: Artifact, ordinal: int, vehicle: str) -> dict[str, Any]:
        asked, plan = await self._deliveries.asked(artifact.flow_id), artifact.plan
        told: dict[str, Any] = {"transfer": artifact.flow_id, "firstByteAt": artifact.reserved_at, "ledger": artifact.ledger}
        told["erased"] = [at for _, each, _, at in await self._deliveries.erased(artifact.flow_id) if each == ordinal]
        if asked is None or plan is None:
            return told
        told |= {"agreementId": asked.agreement_id, "counterparty": asked.counterparty, "datasetId": asked.dataset_id}
        told |= {"purpose": asked.purpose, "level": plan.level, "pseudonyms": []}
        try:
            key = await self._ledger.pseudonym_key(asked.counterparty, asked.agreement_id)
        except Refusal:
            # The key was destroyed: nobody can say any more by which name the vehicle stood there.
            return told
        return told | {"pseudonyms": sorted(pseudonyms_of(artifact, vehicle, key))}
