"""Two connectors that know each other by an authorization server of somebody else: as settings, and running in this process."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from connector.app import now_ms, serve
from connector.cli.init import make_house
from connector.client.local import Document, LocalClient
from connector.demo.houses import free_ports
from connector.identity.keyfiles import ensure_keys
from connector.identity.keys import Use
from connector.settings import Settings, load
from tests.oauth.parties import Client

STEP_S: Final = 30.0
OVERLAP_H: Final = 48
BASE_PATH: Final = "/dsp/2025-1"


class Server(Protocol):
    """An authorization server that participants register with."""

    @property
    def issuer(self) -> str:
        """Its issuer identifier."""
        ...

    async def register(self, clients: Sequence[Client]) -> None:
        """Know these clients."""
        ...


@dataclass(frozen=True, slots=True)
class House:
    """One connector: who it is, where its files are, and the ports that the other one sees."""

    participant_id: str
    folder: Path
    protocol_port: int
    public_port: int

    @property
    def address(self) -> str:
        """Its DSP base address, which is the protected resource too."""
        return f"http://127.0.0.1:{self.protocol_port}{BASE_PATH}"

    def client(self) -> LocalClient:
        """A client of its owner's channel."""
        return LocalClient(socket=str(self.folder / "carnet.sock"))

    async def reaches(self, process_id: str, state: str) -> Document:
        """The process once it is in ``state`` and nothing of it is on its way."""
        async with self.client() as owner:
            found = await owner.wait(process_id, lambda now: now["state"] == state and now["awaiting"] is None, STEP_S)
        assert found["state"] == state, found
        return found


def planned(folder: Path) -> tuple[House, House]:
    """An OEM and a city; their DIDs lead nowhere, so that nothing but the server can speak for them."""
    one, two, three, four = free_ports(4)
    return (
        House("did:web:oem.example", folder / "oem", one, two),
        House("did:web:city.example", folder / "city", three, four),
    )


def furnish(house: House, peer: House, issuer: str, secret: str = "") -> Client:
    """Make the settings and keys of a house; gives what the server must know of it. ``issuer`` speaks for ``peer``; with a
    ``secret`` nothing is signed for it."""
    settings = {
        "protocol.port": str(house.protocol_port),
        "data.signaling_port": "0",
        "data.public_port": str(house.public_port),
        "oauth.embedded": "false",
        "client.allow": json.dumps([f"127.0.0.1:{peer.protocol_port}", f"127.0.0.1:{peer.public_port}", urlsplit(issuer).netloc]),
    }
    more = (
        f'\n[[peers]]\nid = "{peer.participant_id}"\naddresses = ["{peer.address}"]\n'
        f'\n[[issuers]]\nissuer = "{issuer}"\nparticipants = ["{peer.participant_id}"]\nclaims = ["kind=org_kind"]\n'
        f'scope = "catalog negotiation transfer messages"\n' + (f'client_secret = "{secret}"\n' if secret else "")
    )
    make_house(house.folder, house.participant_id, settings, more)
    ring = ensure_keys(house.folder / "keys", house.participant_id, os.environ, OVERLAP_H, now_ms())
    jwk = {**ring.signing(Use.OAUTH).public_jwk}
    jwk["kid"] = f"{house.participant_id}#{jwk['kid']}"
    claims = {"participant_id": house.participant_id, "org_kind": "company"}
    return Client(house.participant_id, jwk, peer.address, claims, secret=secret)


@asynccontextmanager
async def open_houses(folder: Path, server: Server, secret: str = "") -> AsyncIterator[tuple[House, House]]:
    """Both houses, registered with the server and serving until the block is left."""
    houses = planned(folder)
    clients = await asyncio.to_thread(
        lambda: [furnish(house, peer, server.issuer, secret) for house, peer in (houses, houses[::-1])]
    )
    await server.register(clients)
    async with AsyncExitStack() as stack:
        for house in houses:
            await stack.enter_async_context(_serving(await asyncio.to_thread(load, house.folder / "carnet.toml", {})))
        yield houses


@asynccontextmanager
async def _serving(settings: Settings) -> AsyncIterator[None]:
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


async def trade(provider: House, consumer: House, content: bytes) -> None:
    """A file from publication to arrival: catalogue, contract, transfer, each as both sides see it."""
    source = provider.folder / "trips.csv"
    source.write_bytes(content)
    source.chmod(0o600)
    async with provider.client() as seller, consumer.client() as buyer:
        await seller.publish("trips", str(source), media_type="text/csv")
        offered = await buyer.catalog(provider.participant_id)
        assert [dataset["@id"] for dataset in offered] == ["trips"]
        begun = await buyer.negotiate(provider.participant_id, "trips", offered[0]["hasPolicy"][0])
        ours = await consumer.reaches(begun["id"], "FINALIZED")
        theirs = await provider.reaches(ours["providerPid"], "FINALIZED")
        assert (ours["counterparty"], theirs["counterparty"]) == (provider.participant_id, consumer.participant_id)
        moved = await buyer.transfer(ours["agreement"]["@id"], sink="trips.csv")
        ours = await consumer.reaches(moved["id"], "COMPLETED")
        await provider.reaches(ours["providerPid"], "COMPLETED")
        steps = [str(entry) for entry in await buyer.timeline(moved["id"])]
        assert any("STARTED" in step for step in steps), steps
    assert (consumer.folder / "received" / "trips.csv").read_bytes() == content
