"""Two connectors in memory: real stores and use cases, no network, and an engine that dies when it is told to.

``House.pump`` stands for the dispatcher: it claims what is due and delivers it by calling the other side's use cases. The data
plane is a list that answers every command. Time is a counter. What is handed over after a commit is dropped on purpose:
everything has to come back from the disk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import orjson

from catalog.jsonld import normalise
from connector.flow import answers, inbound, letters, peer
from connector.flow.context import Choices, Context, Deadlines
from connector.flow.logs import Witnessing
from connector.flow.seals import Seals
from connector.identity.directory import Directory
from connector.identity.door import Door, unwelcome
from connector.identity.interface import Principal, Standing
from connector.identity.registry import Registry
from connector.log.journal import Journal, NoJournal
from connector.protocol.errors import NotAuthenticated, NotNow, PeerError
from connector.protocol.messages import Document
from connector.protocol.record import Ended, Process
from connector.protocol.states import Kind, Role
from connector.settings.model import PeerSettings
from connector.store import migrate
from connector.store.control import ControlStore
from connector.store.engine import Row, Statement, Value
from connector.store.registry import RegistryStore
from connector.store.rows import Outgoing
from connector.store.sqlite import SqliteEngine

MIGRATIONS = Path(migrate.__file__).parent / "migrations"
LEASE_MS = 1000
DATASET = "urn:dataset:trips"
OFFER: Document = {"@id": "urn:offer:trips", "permission": [{"action": "use"}]}
ADDRESS: Document = {
    "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
    "endpoint": "https://provider.example/public",
    "endpointProperties": [{"name": "authorization", "value": "token"}],
}


class Cut(Exception):
    """The power went off, before or after a commit reached the disk."""


@dataclass
class Fuse:
    """Counts every commit of both houses; at number ``at`` it burns, before or after the disk has it."""

    at: int | None = None
    after: bool = False
    count: int = 0

    async def through(self, commit: Callable[[], Awaitable[list[Row]]]) -> list[Row]:
        """Commit, unless the power goes off. Raises Cut."""
        self.count += 1
        burns = self.count == self.at
        if burns and not self.after:
            raise Cut
        rows = await commit()
        if burns:
            raise Cut
        return rows


@dataclass
class FusedEngine:
    """An engine behind a fuse."""

    inner: SqliteEngine
    fuse: Fuse
    dialect: Literal["sqlite"] = "sqlite"

    async def commit(self, statements: Sequence[Statement]) -> None:
        """See Engine."""
        await self.commit_returning(statements)

    async def commit_returning(self, statements: Sequence[Statement]) -> list[Row]:
        """See Engine."""
        return await self.fuse.through(lambda: self.inner.commit_returning(statements))

    async def fetch(self, sql: str, params: Sequence[Value] = (), *, limit: int = 10_000) -> list[Row]:
        """See Engine."""
        return await self.inner.fetch(sql, params, limit=limit)

    async def close(self) -> None:
        """See Engine."""
        await self.inner.close()


@dataclass
class Street:
    """What the houses share: the clock, the ids, the fuse, the way to each other."""

    fuse: Fuse
    now: int = 1_700_000_000_000
    number: int = 0
    houses: dict[Role, House] = field(default_factory=dict)

    def now_ms(self) -> int:
        """Every look at the clock takes a millisecond."""
        self.now += 1
        return self.now

    def new_id(self) -> str:
        """Ids in order, unique on both sides."""
        self.number += 1
        return f"urn:uuid:00000000-0000-4000-8000-{self.number:012x}"

    @property
    def consumer(self) -> House:
        """The consumer's house."""
        return self.houses[Role.CONSUMER]

    @property
    def provider(self) -> House:
        """The provider's house."""
        return self.houses[Role.PROVIDER]

    async def open(self, folder: Path, name: str) -> None:
        """Build both houses in ``folder``."""
        for role in Role:
            self.houses[role] = House(role, folder / f"{name}-{role.value}.db", self)
            await self.houses[role].open()

    async def close(self) -> None:
        """Close both houses."""
        for house in self.houses.values():
            await house.engine.close()

    async def quiet(self) -> bool:
        """Nothing is on its way."""
        return not any([await house.store.pending() for house in self.houses.values()])

    async def pump(self) -> None:
        """Deliver what is due on both sides, once; leases and pauses are over before."""
        self.now += LEASE_MS + 1
        for house in self.houses.values():
            await house.surviving(house.pump)


class House:
    """One connector: its database file, its context, its data plane."""

    def __init__(self, role: Role, path: Path, street: Street) -> None:
        self.role = role
        self.path = path
        self.street = street
        self.cuts = 0
        self.seals = Seals()
        self.witnessing = Witnessing()
        self.journal: Journal = NoJournal()
        self.lost: Callable[[Outgoing], bool] = lambda _: False
        self.erase: Callable[[Document], Document] = lambda _: {}
        self._commands: dict[str, str] = {}

    @property
    def peer_role(self) -> Role:
        """The other one's."""
        return Role.PROVIDER if self.role is Role.CONSUMER else Role.CONSUMER

    @property
    def commands(self) -> list[str]:
        """What the data plane was told, in order; the same thing said twice in a row counts once."""
        return [command for command, _ in groupby(self._commands.values())]

    async def open(self) -> None:
        """Start, or start again after a cut: nothing is known but what the disk has."""
        inner = await SqliteEngine.open(self.path)
        await migrate.migrate(inner, MIGRATIONS, self.street.now)
        self.engine = FusedEngine(inner, self.street.fuse)
        self.store = ControlStore(self.engine)
        await self.store.release("worker")
        peer = PeerSettings(id=f"did:web:{self.peer_role.value}", addresses=(f"https://{self.peer_role.value}.example",))
        registry = Registry(RegistryStore(self.engine), self.street.now_ms, lambda: self.street.now / 1000)
        await Registry(RegistryStore(inner), self.street.now_ms, lambda: 0.0).settle([peer])
        self.context = Context(
            participant_id=f"did:web:{self.role.value}",
            callback_address=f"https://{self.role.value}.example",
            store=self.store,
            registry=registry,
            directory=Directory(registry),
            deadlines=Deadlines(36_000_000, 36_000_000, 360_000_000, 360_000_000),
            choices=Choices(),
            now_ms=self.street.now_ms,
            new_id=self.street.new_id,
            owner="worker",
            lease_ms=LEASE_MS,
            hand_over=lambda _: None,
            entered=lambda _: None,
            timer_set=lambda _: None,
            wake=lambda: None,
            door=Door(registry.store, self.store, shared=False),
            seals=self.seals,
            witnessing=self.witnessing,
            journal=self.journal,
        )

    async def surviving(self, doing: Callable[[], Awaitable[object]]) -> bool:
        """Do it; if the power goes off here, start again. Whether it was done."""
        try:
            await doing()
        except Cut:
            self.cuts += 1
            await self.engine.close()
            await self.open()
            return False
        return True

    async def only(self, kind: Kind) -> Process | None:
        """The one process of this kind, if it has begun."""
        found = await self.store.processes(kind)
        assert len(found) <= 1, "begun twice"
        return found[0] if found else None

    async def pump(self) -> None:
        """Claim what is due and deliver it."""
        now = self.street.now_ms()
        for message in await self.store.claim("worker", now, now + LEASE_MS, 10):
            if message.channel == "flow":
                await self._tell_data_plane(message)
            elif message.channel == "peer":
                await self._deliver_to_peer(message)
            else:
                await self._deliver(message)

    async def _deliver_to_peer(self, message: Outgoing) -> None:
        """An extension message; where ``lost`` says so, the answer to it does not come back and it is sent again."""
        other = self.street.houses[self.peer_role]
        try:
            if not await other.surviving(lambda: other.listen(orjson.loads(message.body))) or self.lost(message):
                return
        except (NotNow, NotAuthenticated):
            return
        except PeerError as error:
            await letters.buried(self.context, message, "refused", f"{error.code}: {error.reason}")
            return
        await letters.delivered(self.context, message)

    async def listen(self, document: Document) -> None:
        """An extension message of the other house arrives."""
        await peer.received(self.context, await self._sender(), normalise(document, peer.TYPES))

    async def _tell_data_plane(self, message: Outgoing) -> None:
        if message.message == "erase":
            await answers.flow_answered(self.context, message, self.erase(orjson.loads(message.body)))
            return
        self._commands.setdefault(message.id, message.message)
        address = {"dataAddress": orjson.loads(orjson.dumps(ADDRESS))}
        await answers.flow_answered(self.context, message, address if message.message in ("start", "resume") else {})

    async def _deliver(self, message: Outgoing) -> None:
        peer = self.street.houses[self.peer_role]
        got: list[inbound.Answer] = []

        async def arrive() -> None:
            got.append(await peer.arrive(message))

        try:
            if not await peer.surviving(arrive):
                return
        except (NotNow, NotAuthenticated):
            return
        except PeerError as error:
            why = Ended(by=self.peer_role, code=error.code, reason=[error.reason])
            await answers.refused(self.context, message, why, self._peer_state)
            return
        body = got[0].body
        await answers.answered(self.context, message, None if body is None else orjson.loads(body))

    async def _peer_state(self, process: Process) -> str | None:
        theirs = await self.street.houses[self.peer_role].store.process(process.peer_pid or "")
        return None if theirs is None else theirs.state.on_wire

    async def _sender(self) -> Principal:
        """The other house as it is recognised here. Raises NotAuthenticated."""
        entry = await self.context.registry.find(f"did:web:{self.peer_role.value}")
        if entry is None or not entry.state.welcome:
            raise unwelcome(entry)
        return Principal(entry.id, standing=Standing(entry.revision))

    async def arrive(self, message: Outgoing) -> inbound.Answer:
        """A message of the other house: which use case takes it is in its path."""
        parts = urlsplit(message.url).path.strip("/").split("/")
        kind = Kind.NEGOTIATION if parts[0] == "negotiations" else Kind.TRANSFER
        sender, document = await self._sender(), orjson.loads(message.body)
        if len(parts) == 2:
            return await inbound.first_message(self.context, kind, sender, document)
        return await inbound.message(self.context, kind, sender, unquote(parts[1]), document)
