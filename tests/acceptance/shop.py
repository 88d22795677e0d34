"""A provider in memory, with real use cases and a real store, whose counterparties take everything that they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from connector.flow import answers, inbound, shelf, timers
from connector.flow.context import terms_of_delivery
from connector.flow.publish import publish
from connector.flow.seals import Seals
from connector.identity.interface import Principal
from connector.identity.registry import Registry
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, Role
from connector.settings.model import PeerSettings
from connector.store import writes
from connector.store.registry import RegistryStore
from connector.store.rows import Agreement, Outgoing
from policies.delivery import Capabilities
from policies.terms.consent import USER_REQUEST
from tests.acceptance.weighed import BEGIN_MS, BUYER, CLAIMS
from tests.flow.house import Fuse, House, Street

DATASET: Final = "urn:dataset:weighed"
AGREEMENT: Final = "urn:agreement:weighed"
BUYING: Final = Principal(BUYER, CLAIMS)
LATE: Final = Principal("did:web:late.example", CLAIMS)
ADDRESSES: Final = {BUYER: "https://consumer.example", LATE.participant_id: "https://late.example"}


class Shop(House):
    """The provider's house. Whoever it writes to answers with 2xx."""

    @property
    def now_ms(self) -> int:
        """What the clock says."""
        return self.street.now

    @now_ms.setter
    def now_ms(self, moment_ms: int) -> None:
        self.street.now = moment_ms

    async def _deliver(self, message: Outgoing) -> None:
        await answers.answered(self.context, message, None)

    async def offer(self, *offers: dict[str, Any]) -> None:
        """Put the dataset on offer."""
        able = Capabilities(frozenset({USER_REQUEST}))
        await publish(self.context, DATASET, title="Weighed", source="trips.csv", offers=list(offers), able=able)

    async def shown(self) -> list[str]:
        """The ids of the datasets that the buyer sees."""
        page = await shelf.catalog_page(self.context, BUYING, {}, None, 100)
        return [dataset["@id"] for dataset in orjson.loads(page.body).get("dataset", [])]

    async def asked(self, offer: dict[str, Any], who: Principal = BUYING) -> Process:
        """A buyer asks for a contract on an offer: its negotiation, once nothing is on its way."""
        wanted = {**offer, "@type": "Offer", "target": DATASET}
        message = {
            "@type": "ContractRequestMessage",
            "consumerPid": "urn:pid:1",
            "callbackAddress": ADDRESSES[who.participant_id],
        }
        answer = await inbound.first_message(self.context, Kind.NEGOTIATION, who, {**message, "offer": wanted})
        return await self._settled(answer)

    async def used(self) -> Process:
        """The buyer asks for the data under the agreement: its transfer, once nothing is on its way."""
        message = {"@type": "TransferRequestMessage", "consumerPid": "urn:pid:2", "callbackAddress": ADDRESSES[BUYER]}
        wanted = {"agreementId": AGREEMENT, "format": "HttpData-PULL"}
        return await self._settled(await inbound.first_message(self.context, Kind.TRANSFER, BUYING, {**message, **wanted}))

    async def _settled(self, answer: inbound.Answer) -> Process:
        return await self.again(orjson.loads(answer.body or b"")["providerPid"])

    async def again(self, process_id: str) -> Process:
        """A process once nothing is on its way."""
        while await self.store.pending():
            now = self.now_ms
            await self.street.pump()
            # What the pump skips is no time of this story.
            self.now_ms = now + 1
        found = await self.store.process(process_id)
        assert found is not None
        return found

    async def agreed(self, document: dict[str, Any]) -> None:
        """There is an agreement with the buyer, made at `BEGIN_MS`, that binds."""
        rest = {name: value for name, value in document.items() if name not in ("@id", "@type", "target")}
        stamp = datetime.fromtimestamp(BEGIN_MS / 1000, UTC).isoformat().replace("+00:00", "Z")
        parties = {"assigner": self.context.participant_id, "assignee": BUYER, "timestamp": stamp}
        made = {"@id": AGREEMENT, "@type": "Agreement", "target": DATASET, **rest, **parties}
        row = Agreement(
            id=AGREEMENT,
            counterparty=BUYER,
            role=Role.PROVIDER.value,
            negotiation_id="urn:negotiation:old",
            dataset=DATASET,
            document=orjson.dumps(made).decode(),
            state="binding",
            created_at=BEGIN_MS,
            updated_at=BEGIN_MS,
            delivery=terms_of_delivery(made, self.context.declared),
        )
        await self.store.commit([writes.insert_agreement(row)])

    async def ring(self) -> None:
        """All timers that are due go off."""
        for timer in await self.store.timers_due(self.now_ms):
            await timers.reached(self.context, timer)


async def _nothing_on_record(method: str, path: str, body: Document | None = None) -> Document:
    """The data plane, of which requests of users are asked and nothing else."""
    assert (method, path) == ("POST", "/carnet/requests/held")
    return {"held": []}


@asynccontextmanager
async def open_shop(folder: Path) -> AsyncIterator[Shop]:
    """A shop at `BEGIN_MS` with nothing in it."""
    street = Street(Fuse(), now=BEGIN_MS)
    shop = street.houses[Role.PROVIDER] = Shop(Role.PROVIDER, folder / "shop.db", street)
    shop.seals = Seals(ask=_nothing_on_record)
    await shop.open()
    peers = [PeerSettings(id=who, addresses=(address,)) for who, address in ADDRESSES.items()]
    await Registry(RegistryStore(shop.engine), street.now_ms, lambda: 0.0).settle(peers)
    try:
        yield shop
    finally:
        await shop.engine.close()
