"""A town of connectors on this machine: made from nothing, started as processes of their own, acquainted, stopped at the end.

The demo and the stories of `examples/` play in one. Whoever has connectors already needs none of this: a client of each is all
that the rest takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connector.client.carnet import Carnet
from connector.client.local import Document, LocalClient
from connector.demo.houses import House, build_houses
from connector.demo.servers import serving

VOUCHED: Final = "A. Person, by telephone"


@dataclass(frozen=True, slots=True)
class Member:
    """One connector of the town: its folder, and a client of its owner's channel, which ``carnet`` puts types on."""

    house: House
    client: LocalClient

    @property
    def carnet(self) -> Carnet:
        """The Python client of its owner."""
        return Carnet.over(self.client)

    @property
    def name(self) -> str:
        """What the town calls it."""
        return self.house.name

    @property
    def did(self) -> str:
        """Its participant id."""
        return self.house.participant_id

    @property
    def folder(self) -> Path:
        """Where its files are; what it may publish lies below."""
        return self.house.folder

    @property
    def received(self) -> Path:
        """Where the data land that it fetches."""
        return self.house.folder / "received"


@asynccontextmanager
async def town(
    folder: Path,
    *names: str,
    sources: Mapping[str, Sequence[Path]] | None = None,
    calls: Mapping[str, Sequence[str]] | None = None,
) -> AsyncIterator[dict[str, Member]]:
    """Connectors of these names, up and strangers to each other for as long as the block runs.

    ``sources``: by name, folders from which it may publish beside its own; ``calls``: what it may call (host:port) beside the
    others. Listens on loopback only. Raises NotServing, or click's ClickException when something stands in the way; all are
    stopped whatever happens.
    """
    houses = await asyncio.to_thread(build_houses, folder, names, sources, calls)
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as starting:
            for house in houses:
                starting.create_task(stack.enter_async_context(serving(house)))
        yield {house.name: Member(house, await stack.enter_async_context(house.client())) for house in houses}


async def acquaint(host: Member, guests: Mapping[Member, Document]) -> None:
    """``host`` and each guest meet by DID and admit each other; the guest's claims (kind, country, …) are what ``host``
    has verified about it. Raises Refused or Away."""
    for guest, claims in guests.items():
        await guest.client.hello(host.did)
        await host.client.admit_peer(guest.did, VOUCHED, claims=claims)
        await guest.client.admit_peer(host.did, VOUCHED, claims={"kind": "company"})
