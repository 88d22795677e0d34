"""A data plane's database with a clock that a test sets, and a flow that runs in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import msgspec

from connector.dataplane import pairs
from connector.dataplane import records as rec
from connector.dataplane.asserting import Asserter
from connector.dataplane.messages import DataAddress, encode
from connector.dataplane.pairs import Made
from connector.dataplane.problems import Refusal
from connector.dataplane.process import MIGRATIONS
from connector.dataplane.records import Flow, Records
from connector.dataplane.renewing import note_received
from connector.dataplane.states import Role, State
from connector.dataplane.tokens import Tokens
from connector.store.engine import LostRace, Statement
from connector.store.migrate import Migratable, migrate
from connector.store.sqlite import SqliteEngine

FLOW = "urn:flow:1"
LIFE_S = 300
URL = "https://provider.example/public/urn:flow:1"


@dataclass
class Clock:
    """Milliseconds since the epoch."""

    ms: int = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms


@dataclass
class Checker:
    """A control plane of paper: assertions are `<digest of the token>/<id>`, each good once."""

    made: int = 0
    used: set[str] = field(default_factory=set)
    away: bool = False

    async def make(self, flow_id: str, token: str) -> str:
        if self.away:
            raise Refusal(503, "assertion_unavailable", "away")
        self.made += 1
        return f"{rec.hash_token(token).hex()}/{self.made}"

    async def check(self, flow_id: str, assertion: str, token_sha256: bytes) -> None:
        if assertion in self.used or not assertion.startswith(token_sha256.hex()):
            raise Refusal(401, "token-other", "not this one")
        self.used.add(assertion)

    @property
    def asserter(self) -> Asserter:
        return cast(Asserter, self)


@dataclass
class Shelf:
    """A database with one provider's flow."""

    records: Records
    clock: Clock = field(default_factory=Clock)
    checker: Checker = field(default_factory=Checker)

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.records, self.checker.asserter, LIFE_S, self.clock)

    async def renew(self, pair: Made, flow_id: str = FLOW) -> Made:
        """As its consumer does."""
        assert pair.refresh is not None
        return await self.tokens.renew(flow_id, pair.refresh, await self.checker.make(flow_id, pair.access))

    async def begin(self, life_s: int | None = LIFE_S, flow_id: str = FLOW, role: Role = Role.PROVIDER) -> Made:
        """A flow that runs, and its first pair."""
        made = pairs.make(life_s, self.clock())
        address = encode(pairs.address_of(URL, made)) if role is Role.CONSUMER else None
        flow = Flow(flow_id, role, State.STARTED, 1, "ds", "urn:agreement:1", None, address, None)
        writes: list[Statement] = [rec.insert_flow(flow, 1)]
        if role is Role.PROVIDER:
            writes.append(pairs.insert(made, flow_id, used=True))
        else:
            writes.append(note_received(flow_id, pairs.address_of(URL, made), self.clock()))
        await self.records.commit(writes)
        return made

    async def move(self, state: State, flow_id: str = FLOW) -> None:
        """The flow in another state; its tokens are dead."""
        flow = await self.records.flow(flow_id)
        assert flow is not None
        changed = replace(flow, state=state, version=flow.version + 1)
        await self.records.commit([rec.kill_tokens(flow_id), rec.update_flow(changed, 1)])

    async def again(self, flow_id: str = FLOW) -> Made:
        """The flow runs again, with a pair of its own."""
        await self.move(State.STARTED, flow_id)
        made = pairs.make(LIFE_S, self.clock())
        await self.records.commit([pairs.insert(made, flow_id, used=True)])
        return made

    async def stored(self, flow_id: str = FLOW) -> DataAddress:
        """The address that the database has."""
        flow = await self.records.flow(flow_id)
        assert flow is not None
        assert flow.address is not None
        return msgspec.json.decode(flow.address, type=DataAddress)


@asynccontextmanager
async def shelf(database: Path) -> AsyncIterator[Shelf]:
    """An open one; opened again on the same file it is the same after a kill."""
    engine: Migratable = await SqliteEngine.open(database)
    try:
        await migrate(engine, MIGRATIONS, 1)
        yield Shelf(Records(engine))
    finally:
        await engine.close()


class Racing(Records):
    """Records whose next commits lose their race, as when somebody else wrote first."""

    def __init__(self, records: Records, lose: int, meanwhile: Any = None) -> None:
        super().__init__(records.engine)
        self._lose = lose
        self._meanwhile = meanwhile
        self.commit = self._losing

    async def _losing(self, statements: Sequence[Statement]) -> None:
        if self._lose > 0:
            self._lose -= 1
            if self._meanwhile is not None:
                await self._meanwhile()
            raise LostRace("somebody else was first")
        await self.engine.commit(statements)
