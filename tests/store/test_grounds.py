"""Of two agreements that exclude each other one is made, whoever comes first and however close they are, on both engines."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from connector.app import MIGRATIONS
from connector.flow import acts, answers, inbound, publish
from connector.flow.context import Choices, Context, Deadlines
from connector.identity.directory import Directory
from connector.identity.interface import Principal
from connector.identity.registry import Registry
from connector.protocol.messages import DSP_CONTEXT, Document
from connector.protocol.states import Kind, Message, State
from connector.settings.model import PeerSettings
from connector.store import grounds
from connector.store.control import ControlStore
from connector.store.engine import Engine, LostRace, Row, Statement, Value
from connector.store.migrate import Migratable, migrate
from connector.store.registry import RegistryStore
from connector.store.rows import Agreement, Grounds
from connector.store.writes import insert_agreement
from policies.terms.place import SPATIAL
from tests.store.conftest import open_engine

DATASET = "urn:dataset:traffic"
BUYERS = ("one", "two")
NOW = 1_700_000_000_000
HERE = {
    "leftOperand": "odrl:spatial",
    "operator": "eq",
    "rightOperand": "http://publications.europa.eu/resource/authority/place/FRA_MPL",
}
ALONE = {
    "leftOperand": "https://w3id.org/carnet/terms#exclusive",
    "operator": "eq",
    "rightOperand": {"@value": "true", "@type": "http://www.w3.org/2001/XMLSchema#boolean"},
}
OFFER: Document = {"@id": "urn:offer:alone", "@type": "Offer", "permission": [{"action": "use", "constraint": [HERE, ALONE]}]}


@dataclass
class Meeting:
    """An engine at which two transactions commit only when both have been decided."""

    inner: Engine
    barrier: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(2))
    still: int = 2

    async def commit(self, statements: Sequence[Statement]) -> None:
        """See Engine."""
        await self.commit_returning(statements)

    async def commit_returning(self, statements: Sequence[Statement]) -> list[Row]:
        """See Engine."""
        if self.still:
            self.still -= 1
            await self.barrier.wait()
        return await self.inner.commit_returning(statements)

    async def fetch(self, sql: str, params: Sequence[Value] = (), *, limit: int = 10_000) -> list[Row]:
        """See Engine."""
        return await self.inner.fetch(sql, params, limit=limit)

    async def close(self) -> None:
        """See Engine."""


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Migratable]:
    """An engine with the schema of now."""
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, NOW)
    yield engine
    await engine.close()


async def provider(engine: Engine) -> Context:
    """A provider that has published an exclusive offer and knows two buyers."""
    ids = itertools.count()
    registry = Registry(RegistryStore(engine), lambda: NOW, lambda: 0.0)
    await registry.settle([PeerSettings(id=f"did:web:{name}", addresses=(f"https://{name}.example",)) for name in BUYERS])
    context = Context(
        participant_id="did:web:provider",
        callback_address="https://provider.example",
        store=ControlStore(engine),
        registry=registry,
        directory=Directory(registry),
        deadlines=Deadlines(60_000, 60_000, 60_000, 60_000),
        choices=Choices(),
        now_ms=lambda: NOW,
        new_id=lambda: f"urn:test:{next(ids)}",
        owner="worker",
        lease_ms=1000,
        hand_over=lambda _: None,
        entered=lambda _: None,
        timer_set=lambda _: None,
        wake=lambda: None,
        declared=frozenset({SPATIAL}),
    )
    await publish.publish(context, DATASET, title="Traffic", source="traffic.csv", offers=[OFFER])
    return context


async def ask(context: Context, buyer: str) -> None:
    """A buyer's first message."""
    parties = {"assigner": context.participant_id, "assignee": f"did:web:{buyer}", "target": DATASET}
    message: Document = {
        "@context": [DSP_CONTEXT],
        "@type": "ContractRequestMessage",
        "@id": f"urn:message:{buyer}",
        "consumerPid": f"urn:pid:{buyer}",
        "callbackAddress": f"https://{buyer}.example",
        "offer": {**OFFER, **parties},
    }
    await inbound.first_message(context, Kind.NEGOTIATION, Principal(f"did:web:{buyer}"), message)


async def test_of_two_buyers_at_once_one_gets_the_exclusive_contract(opened: Migratable) -> None:
    context = await provider(opened)
    meeting = Meeting(opened)
    racing = replace(context, store=ControlStore(meeting))
    await asyncio.gather(*(ask(racing, buyer) for buyer in BUYERS))
    assert meeting.still == 0
    found = await context.store.processes(Kind.NEGOTIATION)
    assert sorted((str(each.awaiting), each.state) for each in found) == [
        (str(Message.AGREEMENT), State.REQUESTED),
        (str(Message.TERMINATION), State.REQUESTED),
    ]
    (loser,) = [each for each in found if each.awaiting is Message.TERMINATION]
    assert loser.detail.ended is not None
    assert loser.detail.ended.code == "exclusivity-conflict"
    assert "another territory, use or period" in loser.detail.ended.reason[0]
    assert "did:web" not in str(loser.detail.ended.reason)
    assert len(await context.store.agreements()) == 1
    (held,) = (await grounds.read_grounds(opened, DATASET, exclusive=False)).agreements
    assert loser.counterparty not in held


async def test_what_came_to_nothing_is_free_for_the_next(opened: Migratable) -> None:
    context = await provider(opened)
    await ask(context, BUYERS[0])
    (first,) = await context.store.processes(Kind.NEGOTIATION)
    await acts.terminate(context, first.id)
    await acknowledge(context, first.id)
    assert (await grounds.read_grounds(opened, DATASET, exclusive=True)).held == 0
    await ask(context, BUYERS[1])
    second = (await context.store.processes(Kind.NEGOTIATION))[-1]
    assert second.awaiting is Message.AGREEMENT


async def acknowledge(context: Context, process_id: str) -> None:
    """The buyer answers our message in flight."""
    process = await context.store.process(process_id)
    assert process is not None
    assert process.awaiting_id is not None
    message = await context.store.outgoing(process.awaiting_id)
    assert message is not None
    await answers.answered(context, message, None)


def agreement(number: int) -> Agreement:
    return Agreement(f"urn:a:{number}", f"did:web:{number}", "provider", f"urn:n:{number}", DATASET, "{}", "pending", NOW, NOW)


async def entered(engine: Engine, number: int, read: Grounds, *, exclusive: bool) -> bool:
    """Whether an agreement was made by who had read the register so."""
    row = agreement(number)
    kept = grounds.keep_ground(row, exclusive=exclusive, version=read.version, held=read.held)
    try:
        await engine.commit([insert_agreement(row), *kept])
    except LostRace:
        return False
    return True


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [(False, False, True), (False, True, False), (True, False, False), (True, True, False)],
    ids=["shared, shared", "shared, exclusive", "exclusive, shared", "exclusive, exclusive"],
)
@pytest.mark.parametrize("earlier", [0, 3])
async def test_who_read_the_register_before_the_other_wrote_loses_where_one_is_exclusive(
    opened: Migratable, first: bool, second: bool, both: bool, earlier: int
) -> None:
    for number in range(earlier):
        assert await entered(opened, 10 + number, await grounds.read_grounds(opened, DATASET, exclusive=False), exclusive=False)
    reads = [await grounds.read_grounds(opened, DATASET, exclusive=exclusive) for exclusive in (first, second)]
    assert await entered(opened, 1, reads[0], exclusive=first)
    assert await entered(opened, 2, reads[1], exclusive=second) is both
    again = await grounds.read_grounds(opened, DATASET, exclusive=second)
    assert again.held == (earlier + (2 if both else 1) if second else int(first))


async def test_exclusive_and_shared_at_the_same_moment_are_never_both_made(opened: Migratable) -> None:
    for turn in range(20):
        dataset = f"{DATASET}:{turn}"
        rows = [replace(agreement(turn * 10 + number), dataset=dataset) for number in range(4)]
        reads = [await grounds.read_grounds(opened, dataset, exclusive=number == 0) for number in range(4)]

        async def make(row: Agreement, read: Grounds, number: int) -> bool:
            kept = grounds.keep_ground(row, exclusive=number == 0, version=read.version, held=read.held)
            try:
                await opened.commit([insert_agreement(row), *kept])
            except LostRace:
                return False
            return True

        made = await asyncio.gather(
            *(make(row, read, number) for number, (row, read) in enumerate(zip(rows, reads, strict=True)))
        )
        assert made in ([True, False, False, False], [False, True, True, True]) or (not made[0] and any(made[1:]))


async def test_uses_are_counted_one_by_one(opened: Migratable) -> None:
    assert await grounds.transfers_under(opened, "did:web:one", "urn:a:1") == 0
    await opened.commit([grounds.count_transfer("did:web:one", "urn:a:1", 0)])
    with pytest.raises(LostRace):
        await opened.commit([grounds.count_transfer("did:web:one", "urn:a:1", 0)])
    await opened.commit([grounds.count_transfer("did:web:one", "urn:a:1", 1)])
    assert await grounds.transfers_under(opened, "did:web:one", "urn:a:1") == 2
    assert await grounds.transfers_under(opened, "did:web:two", "urn:a:1") == 0
