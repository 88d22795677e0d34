"""Two houses, one of which has published, and the use cases of the management interface over the consumer's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from connector.access.caller import OWNER
from connector.flow import publish
from connector.flow.browse import Browser, PeerRefused
from connector.flow.plane import Plane
from connector.flow.references import References
from connector.http.client import GuardedClient
from connector.identity.assertions import Assertions
from connector.management import business
from connector.management.business import Business, Counterparty
from connector.management.odrl_forms import OfferedTerms
from connector.management.sealing import SecretBox
from connector.management.service import Management
from connector.protocol.messages import Document
from connector.store.definitions import DefinitionStore
from connector.store.queries import QueryStore
from tests.flow.house import DATASET, OFFER, Fuse, House, Street

PROVIDER: Final = Counterparty("did:web:provider")
RULES: Final[Document] = {"permission": OFFER["permission"]}
OFFERED: Final = OfferedTerms(OFFER["@id"], "did:web:provider", DATASET, RULES)
ROUNDS: Final = 20


@dataclass
class Shelf:
    """The provider's catalogue, as a browser reads it."""

    datasets: list[Document] = field(default_factory=list)
    fails: Exception | None = None
    read: list[int | None] = field(default_factory=list)

    async def catalog(self, _: str, address: str | None = None, *, most: int | None = None) -> list[Document]:
        """See Browser."""
        del address
        self.read.append(most)
        if self.fails is not None:
            raise self.fails
        return self.datasets

    async def dataset(self, _: str, dataset_id: str, address: str | None = None) -> Document:
        """See Browser."""
        del address
        if self.fails is not None:
            raise self.fails
        found = [each for each in self.datasets if each["@id"] == dataset_id]
        if not found:
            raise PeerRefused(404, b"{}")
        return found[0]


def served(house: House, shelf: Shelf) -> Business:
    """The use cases over a house."""
    store = DefinitionStore(house.context.store.engine)
    m = Management(house.context, Plane.__new__(Plane), cast("Browser", shelf), store, SecretBox(bytes(32)))
    references = References(house.context, cast("Assertions", None), cast("GuardedClient", None))
    return Business(m, references, QueryStore(house.context.store.engine, house.context.participant_id))


@dataclass
class Scene:
    """Two houses, one of which has published, and the use cases over the consumer's."""

    street: Street
    shelf: Shelf
    b: Business

    async def pump(self) -> None:
        """Deliver everything."""
        for _ in range(ROUNDS):
            await self.street.pump()

    async def agreed(self) -> str:
        """The id of a negotiation that is finalized."""
        begun = await business.negotiate(self.b, PROVIDER, OFFERED, OWNER)
        await self.pump()
        return begun.id


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Scene]:
    """The beginning."""
    street = Street(Fuse())
    await street.open(folder, "street")
    document = await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[OFFER])
    shelf = Shelf([document, {"@id": "zones", "dct:title": "Zones"}])
    yield Scene(street, shelf, served(street.consumer, shelf))
    await street.close()
