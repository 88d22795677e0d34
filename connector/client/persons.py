"""Calls of the owner's channel about vehicles and their persons: consents, requests of users, references, and what is erased.

Vehicles are named in bodies only. May import the calls of this package.
"""

from __future__ import annotations

from typing import Any, Final

from connector.client.calls import Calls
from connector.client.refusals import Document

PUBLISH_TIMEOUT_S: Final = 900.0


class PersonCalls(Calls):
    """The part of the client that is about persons."""

    async def consents(self) -> Document:
        """How many vehicles agree to what, and the number of the ledger."""
        return dict(await self._call("GET", "/consents"))

    async def vehicle_consents(self, vehicle: str) -> Document:
        """What a vehicle agrees to (``held``), and every decision about it (``entries``)."""
        return dict(await self._call("POST", "/consents/vehicle", {"vehicle": vehicle}))

    async def decide_consents(self, entries: list[Document]) -> Document:
        """Write grants and withdrawals, all or none; gives the number of the ledger."""
        return dict(await self._call("POST", "/consents", {"entries": entries}, timeout_s=PUBLISH_TIMEOUT_S))

    async def withdraw_consents(self, wanted: Document) -> Document:
        """Withdraw what ``vehicle`` agreed to; ``category``, ``purpose``, ``recipient`` narrow it."""
        return dict(await self._call("POST", "/consents/withdraw", wanted, timeout_s=PUBLISH_TIMEOUT_S))

    async def import_consents(self, path: str) -> Document:
        """Write a file of decisions, all or nothing."""
        return dict(await self._call("POST", "/consents/import", {"path": path}, timeout_s=PUBLISH_TIMEOUT_S))

    async def own_consents(self) -> Document:
        """What the vehicle of the driver who asks agrees to (``held``), and every decision about it (``entries``)."""
        return dict(await self._call("GET", "/own-consents"))

    async def decide_own_consents(self, entries: list[Document]) -> Document:
        """Write a driver's grants and withdrawals for his vehicle, all or none; gives the number of the ledger."""
        return dict(await self._call("POST", "/own-consents", {"entries": entries}, timeout_s=PUBLISH_TIMEOUT_S))

    async def withdraw_own_consents(self, wanted: Document) -> Document:
        """Withdraw what a driver agreed to for his vehicle; ``category``, ``purpose``, ``recipient`` narrow it."""
        return dict(await self._call("POST", "/own-consents/withdraw", wanted, timeout_s=PUBLISH_TIMEOUT_S))

    async def vehicle_number(self, vehicle: str) -> Document:
        """The consent ledger's own ``vehicleNumber`` of a vehicle, by which a driver's key names it."""
        return dict(await self._call("POST", "/consents/number", {"vehicle": vehicle}))

    async def enrol(self, enrolments: list[Document]) -> Document:
        """Note a buyer's own references of vehicles, all or none."""
        return dict(await self._call("POST", "/enrolments", {"enrolments": enrolments}))

    async def request_share(self, vehicle: str, recipient: str, purpose: str, **more: Any) -> Document:
        """Put on record that the user of a vehicle asks for its data to go to a participant (``id`` and ledger ``number``).

        ``categories``: of which data, else of all; ``decided_by``: owner (if nothing is said), driver or renter; ``id``: an IRI
        of one's own; ``text_sha256``: of what was signed; ``at_ms``: when, if that was not now.
        """
        asked = {"vehicle": vehicle, "recipient": recipient, "purpose": purpose, **more}
        return dict(await self._call("POST", "/requests", asked))

    async def user_requests(self) -> list[Document]:
        """The newest requests of users, those that were withdrawn too, without their vehicles."""
        return list((await self._call("GET", "/requests"))["requests"])

    async def user_request(self, request_id: str) -> Document:
        """A ``request`` and its ``vehicle``."""
        return dict(await self._call("POST", "/requests/show", {"id": request_id}))

    async def withdraw_request(self, request_id: str) -> Document:
        """End a request; when this returns, nothing more leaves under it, and who has data of it was told to erase them."""
        return dict(await self._call("POST", "/requests/withdraw", {"id": request_id}))

    async def subject_name(self, vehicle: str) -> Document:
        """The ``pseudonym`` of a vehicle in the contract log."""
        return dict(await self._call("POST", "/subjects/name", {"vehicle": vehicle}))

    async def export_subject(self, vehicle: str) -> Document:
        """All that ledger, deliveries and contract log say of a vehicle."""
        return dict(await self._call("POST", "/subjects/export", {"vehicle": vehicle}, timeout_s=PUBLISH_TIMEOUT_S))

    async def erase_subject(self, reason: str, *, vehicle: str = "", participant: str = "", force: bool = False) -> Document:
        """Erase the key of a vehicle, all of which is withdrawn, or of a participant: what was ``done``, and what is ``kept``."""
        wanted = {"reason": reason, "vehicle": vehicle, "participant": participant, "force": force}
        return dict(await self._call("POST", "/subjects/erase", wanted, timeout_s=PUBLISH_TIMEOUT_S))
