"""Two houses that keep logs: grown by hand, so that a test says what a house has signed and when; and one that lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.flow import begin
from connector.flow.logs import Witnessing
from connector.identity.signers import KeyAway
from connector.log.note import origin_of
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, State
from connector.store.witness import Witness, WitnessStore
from tests.flow.house import DATASET, OFFER, House, Street
from tests.flow.witnesses import settled
from tests.log.ledgers import Ledger

CONSUMER, PROVIDER = "did:web:consumer", "did:web:provider"
HOUR_MS = 3_600_000


class Logs:
    """The logs of both houses and what each publishes of its keys. ``away``: whose keys cannot be had now."""

    def __init__(self, street: Street, folder: Path) -> None:
        self.street = street
        self.folder = folder
        self.logs = {name: Ledger(folder / name.rpartition(":")[2], origin_of(name)) for name in (CONSUMER, PROVIDER)}
        self.published = {name: [ledger.public] for name, ledger in self.logs.items()}
        self.away: set[str] = set()
        self.asked: list[tuple[str, bool]] = []
        self.interval_ms = HOUR_MS

    async def move_in(self) -> None:
        """Both houses keep a log from now on."""
        for role, house in self.street.houses.items():
            ledger = self.logs[f"did:web:{role.value}"]
            house.witnessing = Witnessing(
                log=ledger.witnessed, key=self._key(ledger), keys_of=self._keys_of, interval_ms=self.interval_ms
            )
            await house.engine.close()
            await house.open()
            ledger.fill(3)

    def _key(self, ledger: Ledger) -> Callable[[], Ed25519PrivateKey]:
        return lambda: ledger.key

    async def _keys_of(self, participant: str, *, fresh: bool = False) -> tuple[bytes, ...]:
        self.asked.append((participant, fresh))
        if participant in self.away:
            raise KeyAway("log-key-away", "not now")
        return tuple(self.published[participant])

    async def another_history(self, name: str, count: int) -> None:
        """A house rewrites its log with all its keys: so many leaves that nobody has seen."""
        ledger = self.logs[name]
        ledger.begin_again(self.folder / f"another-{self.street.number}")
        ledger.fill(count, b"rewritten")
        await self.reopen(name)

    async def reopen(self, name: str) -> None:
        """A house starts again with the log that it has now."""
        house = self.house(name)
        ledger = self.logs[name]
        house.witnessing = Witnessing(
            log=ledger.witnessed, key=self._key(ledger), keys_of=self._keys_of, interval_ms=self.interval_ms
        )
        await house.engine.close()
        await house.open()

    def house(self, name: str) -> House:
        return self.street.consumer if name == CONSUMER else self.street.provider

    async def hour(self, turns: int = 1) -> None:
        """Time passes until the logs are shown again."""
        for _ in range(turns):
            self.street.now += self.interval_ms + 5_000
            await settled_now(self.street)


async def settled_now(street: Street) -> None:
    """Until nothing is on its way; what is shown some seconds after an agreement, too."""
    for _ in range(3):
        await settled(street)
        street.now += 5_000
    await settled(street)


async def agreed(street: Street) -> Process:
    """A contract between the houses, and both logs were shown after it."""
    await begin.request_contract(street.consumer.context, counterparty=PROVIDER, dataset=DATASET, offer=OFFER)
    await settled_now(street)
    found = (await street.consumer.store.processes(Kind.NEGOTIATION))[-1]
    assert found.state is State.FINALIZED
    return found


async def row(house: House) -> Witness:
    """What a house knows of the other one."""
    return await WitnessStore(house.store.engine).row(f"did:web:{house.peer_role.value}")


async def sent(house: House, name: str) -> list[Document]:
    """What a house has on its way of a type."""
    found: list[Any] = await house.store.engine.fetch("SELECT body FROM outbox WHERE message = ? ORDER BY seq", (name,))
    return [orjson.loads(each[0]) for each in found]
