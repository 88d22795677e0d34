"""Calls about what we offer ourselves: datasets as they stand, offers, templates, and what of them was used.

May import the calls of this package.
"""

from __future__ import annotations

from typing import Any

from connector.client.calls import Calls, safe
from connector.client.persons import PUBLISH_TIMEOUT_S
from connector.client.refusals import Document


class OfferCalls(Calls):
    """The part of the client that is about our own offers."""

    async def own_dataset(self, dataset: str) -> tuple[Document, str]:
        """A dataset as it stands in our catalogue, and its version, an entity tag (RFC 9110, 8.8.3)."""
        found, headers = await self.answered("GET", f"/datasets/{safe(dataset)}")
        return dict(found), headers.get("ETag", "")

    async def replace_dataset(self, dataset: str, file: str, *, seen: str = "", **more: Any) -> Document:
        """Put another file, description or other offers in its place; with ``seen``, a version, only if it still is that."""
        said = {"If-Match": seen} if seen else {}
        body = {"file": file, **{name: value for name, value in more.items() if value is not None}}
        answer, _ = await self.answered("PUT", f"/datasets/{safe(dataset)}", body, timeout_s=PUBLISH_TIMEOUT_S, said=said)
        return dict(answer)

    async def offers(self, dataset: str = "") -> list[Document]:
        """Our offers, or those of one dataset, as peers see them and as they were written."""
        return [row async for row in self.each_linked("/offers" + (f"?dataset={safe(dataset)}" if dataset else ""))]

    async def offer(self, offer: str) -> Document:
        """One offer of ours."""
        return dict(await self._call("GET", f"/offers/{safe(offer)}"))

    async def templates(self) -> list[Document]:
        """Templates that make a record and an offer of a few answers, and what each asks."""
        return list(await self._call("GET", "/templates"))

    async def meters(self, agreement_id: str, counterparty: str | None = None) -> Document:
        """What an agreement has used, as our data plane has counted it."""
        whose = "" if counterparty is None else f"?counterparty={safe(counterparty)}"
        return dict(await self._call("GET", f"/agreements/{safe(agreement_id)}/meters{whose}"))
