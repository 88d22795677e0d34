"""A seller and two buyers as they are: three connectors with real sockets, stores and data planes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import islice, permutations
from pathlib import Path
from typing import Any, Final

from connector.app import serve
from connector.cli.init import make_house
from connector.client import Carnet
from connector.client.local import Document, LocalClient
from connector.demo.houses import free_ports
from connector.settings import load
from connector.settings.model import DEVELOPMENT_KEY
from tests.acceptance.goods import source_of, stock

STEP_S: Final = 60.0
SELLER, CITY, INSURER = "did:web:oem.example", "did:web:city.example", "did:web:insurer.example"
CLAIMS: Final[dict[str, Document]] = {CITY: {"kind": "public-body"}, INSURER: {"kind": "company", "gatekeeper": True}}


@dataclass(frozen=True, slots=True)
class House:
    """One connector: who it is, where its files are, and the ports of its protocol, its data plane and its management."""

    id: str
    folder: Path
    protocol_port: int
    public_port: int
    management_port: int

    @property
    def address(self) -> str:
        """Its DSP base address."""
        return f"http://127.0.0.1:{self.protocol_port}/dsp/2025-1"

    def owner(self) -> LocalClient:
        """A client of its owner's channel."""
        return LocalClient(socket=str(self.folder / "carnet.sock"))

    async def person(self, name: str, *roles: str) -> Carnet:
        """The client of somebody with a key of his own."""
        async with self.owner() as owner:
            made = await owner.make_api_key(name, list(roles))
        return Carnet(f"http://127.0.0.1:{self.management_port}", key=made["key"])

    async def reaches(self, process_id: str, *states: str) -> Document:
        """The process once it is in one of these states and nothing of it is on its way."""
        async with self.owner() as owner:
            found = await owner.wait(process_id, lambda now: now["state"] in states and now["awaiting"] is None, STEP_S)
        assert found["state"] in states, found
        return found


@dataclass(frozen=True, slots=True)
class Market:
    """The seller, a public body that buys, and a company that buys and is a gatekeeper."""

    seller: House
    city: House
    insurer: House

    async def publish(self, dataset: str, **more: Any) -> Document:
        """Put what stands behind a dataset on offer, to be delivered as the contract says."""
        file, table = source_of(dataset)
        async with self.seller.owner() as owner:
            return await owner.publish(dataset, str(self.seller.folder / file), **{"title": dataset, "table": table, **more})

    async def offered(self, buyer: House, dataset: str) -> list[Document]:
        """The offers of a dataset that a buyer sees in the catalogue."""
        async with buyer.owner() as owner:
            found = {shown["@id"]: shown["hasPolicy"] for shown in await owner.catalog(SELLER)}
        return list(found.get(dataset, []))

    async def asked(self, buyer: House, dataset: str, offer: Document) -> str:
        """A buyer asks for a contract; gives the id of its negotiation."""
        async with buyer.owner() as owner:
            begun = await owner.negotiate(SELLER, dataset, offer)
        return str(begun["id"])

    async def negotiated(self, buyer: House, dataset: str, offer: Document) -> Document:
        """What becomes of a request for an offer, on the buyer's side, where no person is asked."""
        return await buyer.reaches(await self.asked(buyer, dataset, offer), "FINALIZED", "TERMINATED")

    async def waits(self, consumer_pid: str) -> Document:
        """The seller's side of a negotiation once it waits for a person."""
        async with asyncio.timeout(STEP_S), self.seller.owner() as owner:
            while True:
                for found in await owner.processes("negotiation"):
                    if found["consumerPid"] == consumer_pid and found.get("pending"):
                        return await owner.process(found["id"])
                await asyncio.sleep(0.05)


def _furnish(house: House, others: list[House]) -> None:
    settings = {
        "protocol.port": str(house.protocol_port),
        "protocol.auth": '"pinned-token"',
        "data.signaling_port": "0",
        "data.public_port": str(house.public_port),
        "management.host": '"127.0.0.1"',
        "management.port": str(house.management_port),
        "client.allow": json.dumps([f"127.0.0.1:{port}" for each in others for port in (each.protocol_port, each.public_port)]),
    }
    peers = "".join(
        f'\n[[peers]]\nid = "{each.id}"\naddresses = ["{each.address}"]\n'
        f'inbound_token = "{_token(each, house)}"\noutbound_token = "{_token(house, each)}"\n'
        for each in others
    )
    make_house(house.folder, house.id, settings, f'\n[development]\nkey = "{DEVELOPMENT_KEY}"\n{peers}')
    if house.id == SELLER:
        stock(house.folder)


def _token(caller: House, called: House) -> str:
    return f"made-up-token-of-{caller.folder.name}-for-{called.folder.name}-000001"


@asynccontextmanager
async def open_market(folder: Path) -> AsyncIterator[Market]:
    """All three, serving until the block is left; the seller has verified the claims of the two others."""
    ports = iter(free_ports(9))
    names = (SELLER, CITY, INSURER)
    houses = [House(name, folder / name.split(":")[2].split(".")[0], *islice(ports, 3)) for name in names]
    others = {house.id: [other for one, other in permutations(houses, 2) if one is house] for house in houses}
    for house in houses:
        await asyncio.to_thread(_furnish, house, others[house.id])
    async with AsyncExitStack() as stack:
        for house in houses:
            await stack.enter_async_context(_serving(house))
        async with houses[0].owner() as owner:
            for who, claims in CLAIMS.items():
                await owner.update_peer(who, claims=claims)
        yield Market(*houses)


@asynccontextmanager
async def _serving(house: House) -> AsyncIterator[None]:
    settings = await asyncio.to_thread(load, house.folder / "carnet.toml", {})
    stop = asyncio.Event()
    started = asyncio.get_running_loop().create_future()
    done = asyncio.create_task(serve(settings, stop, started))
    try:
        await asyncio.wait({done, started}, return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            await done
        yield
    finally:
        stop.set()
        await asyncio.gather(done, return_exceptions=True)
