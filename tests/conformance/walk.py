"""One side of the protocol over a real store, without HTTP, beside a walk of the state tables that is kept apart from it.

`Walker` draws what happens (a message of the peer, a wish of ours, an answer to our message, an answer of the data plane),
does it through the door and the use cases, and walks the tables by itself. After every step the stored state must be the
walked one.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import orjson

from catalog.errors import DocumentError
from catalog.jsonld import normalise_message
from connector.cli.databases import CONTROL_MIGRATIONS
from connector.flow import acts, answers, begin, inbound, publish
from connector.flow.context import Choices, Context, Deadlines
from connector.identity.directory import Directory
from connector.identity.interface import Principal
from connector.identity.registry import Registry
from connector.protocol.errors import CarnetError, Conflict, IllegalTransition, NotNow
from connector.protocol.record import Ended, Process
from connector.protocol.states import (
    ACK,
    BUSY,
    DEADLINE,
    REFUSED,
    TABLES,
    Event,
    Kind,
    Message,
    Next,
    Outcome,
    Role,
    State,
    adopt,
    recv,
    send,
)
from connector.settings.model import PeerSettings
from connector.store.control import ControlStore
from connector.store.migrate import migrate
from connector.store.postgres import PostgresEngine
from connector.store.registry import RegistryStore
from connector.store.rows import Outgoing
from connector.store.sqlite import SqliteEngine
from tests.conformance import spoiling
from tests.conformance.spoiling import Json

PEER, US, ADDRESS = "did:web:peer.example", "did:web:us.example", "https://peer.example/dsp"
DATASET, OFFER, AGREEMENT = "trips", "offer-1", "agreement-1"
PRINCIPAL: Final = Principal(PEER)
MANUAL: Final = Choices(decide=False, accept=False, verify=False, start=False)
_WISHES: Final[dict[Message, Callable[[Context, str], Awaitable[object]]]] = {
    Message.ACCEPTED: acts.accept,
    Message.AGREEMENT: acts.agree,
    Message.VERIFICATION: acts.verify,
    Message.FINALIZED: acts.finalize,
    Message.SUSPENSION: acts.suspend,
    Message.COMPLETION: acts.complete,
    Message.TERMINATION: acts.terminate,
}


@dataclass(slots=True)
class Walked:
    """What the walk knows of one process."""

    id: str
    kind: Kind
    role: Role
    peer_pid: str
    state: State
    awaiting: Message | None
    sent: list[bytes] = field(default_factory=list)
    steps: int = 0

    def row(self, event: Event) -> Outcome | None:
        """What the tables say of an event now."""
        return TABLES[self.kind, self.role].get((self.state, self.awaiting), {}).get(event)

    def go(self, following: Outcome | None) -> None:
        """Follow a row."""
        assert isinstance(following, Next)
        self.state, self.awaiting = following


@asynccontextmanager
async def surroundings(database: str, leaving: list[Outgoing]) -> AsyncIterator[Context]:
    """A context over a fresh store, where nothing is decided or sent by itself; what would be sent is put into `leaving`."""
    postgres = database.startswith("postgresql://")
    engine = await PostgresEngine.open(database, pool_size=4) if postgres else await SqliteEngine.open(Path(database))
    times, numbers = count(1_772_000_000_000), count(1)

    def hand_over(messages: Sequence[Outgoing]) -> None:
        leaving.extend(messages)

    try:
        await migrate(engine, CONTROL_MIGRATIONS, next(times))
        registry = Registry(RegistryStore(engine), lambda: next(times), time.monotonic)
        await registry.settle([PeerSettings(id=PEER, addresses=(ADDRESS,))])
        context = Context(
            participant_id=US,
            callback_address="https://us.example/dsp",
            store=ControlStore(engine),
            registry=registry,
            directory=Directory(registry),
            deadlines=Deadlines(10**6, 10**6, 10**6, 10**6),
            choices=MANUAL,
            now_ms=lambda: next(times),
            new_id=lambda: f"urn:ours:{next(numbers)}",
            owner="walk",
            lease_ms=1000,
            hand_over=hand_over,
            entered=lambda _: None,
            timer_set=lambda _: None,
            wake=lambda: None,
        )
        await publish.publish(context, DATASET, title="", source="trips", offers=[{"@id": OFFER, "permission": spoiling.USE}])
        for role in (Role.PROVIDER, Role.CONSUMER):
            await begin.hold_agreement(context, agreement_id=AGREEMENT, dataset=DATASET, counterparty=PEER, role=role)
        yield context
    finally:
        await engine.close()


class Walker:
    """Draws and does; counts the peer's messages, and in `counts` what became of everything."""

    def __init__(self, context: Context, leaving: list[Outgoing], chance: random.Random) -> None:
        self._context = context
        self._leaving = leaving
        self._chance = chance
        self._live: list[Walked] = []
        self._flows: list[Outgoing] = []
        self._messages: dict[str, Outgoing] = {}
        self._agreements: list[str] = []
        self.counts: dict[str, int] = {}
        self.messages = 0
        self.seen: set[tuple[Kind, Role, State, Message | None]] = set()

    async def step(self) -> None:
        """One thing happens. Raises whatever is no expected error, AssertionError where the walk and the store part."""
        if len(self._live) < 12 or self._chance.random() < 0.04:
            await self._begin()
            return
        walked = self._chance.choice(self._live)
        walked.steps += 1
        kinds = [self._peer_message, self._our_wish, self._an_answer, self._the_data_plane]
        (happens,) = self._chance.choices(kinds, weights=[70, 12, 14, 4])
        await happens(walked)
        self._sort_leaving()
        await self._compare(walked)
        self.seen.add((walked.kind, walked.role, walked.state, walked.awaiting))
        ended = walked.state.final and walked.awaiting is None
        if walked.steps > 60 or (ended and self._chance.random() < 0.2):
            self._live.remove(walked)

    # -- beginnings ---------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        kind, role = self._chance.choice(list(TABLES))
        own = self._chance.random() < 0.4 and (kind, role) != (Kind.TRANSFER, Role.PROVIDER)
        if own or (kind, role) == (Kind.TRANSFER, Role.CONSUMER):
            process = await self._begin_ourselves(kind, role)
            peer_pid, awaiting = spoiling.new_id(self._chance), process.awaiting
            self._live.append(Walked(process.id, kind, role, peer_pid, process.state, awaiting))
            self._sort_leaving()
            return
        peer_pid = spoiling.new_id(self._chance)
        raw = orjson.dumps(self._first_message(kind, role, peer_pid))
        document = await normalise_message(raw)
        answer = await inbound.first_message(self._context, kind, PRINCIPAL, document)
        assert answer.status == 201
        pids = orjson.loads(answer.body or "")
        following = TABLES[kind, role][State.INITIAL, None][recv(Message.REQUEST if role is Role.PROVIDER else Message.OFFER)]
        own_pid = pids["providerPid"] if role is Role.PROVIDER else pids["consumerPid"]
        walked = Walked(own_pid, kind, role, peer_pid, State.INITIAL, None)
        walked.go(following)
        self._live.append(walked)
        await self._compare(walked)

    async def _begin_ourselves(self, kind: Kind, role: Role) -> Process:
        if kind is Kind.TRANSFER:
            return await begin.request_transfer(self._context, agreement_id=AGREEMENT, counterparty=PEER)
        if role is Role.PROVIDER:
            return await begin.offer_contract(self._context, counterparty=PEER, dataset=DATASET)
        offer: Json = {"@id": OFFER, "permission": spoiling.USE}
        return await begin.request_contract(self._context, counterparty=PEER, dataset=DATASET, offer=offer)

    def _first_message(self, kind: Kind, role: Role, peer_pid: str) -> Json:
        message: Json = {"@context": [spoiling.CONTEXT], "@id": spoiling.new_id(self._chance), "callbackAddress": ADDRESS}
        if kind is Kind.TRANSFER:
            return message | {
                **{"@type": "TransferRequestMessage", "consumerPid": peer_pid},
                **{"agreementId": AGREEMENT, "format": "HttpData-PULL"},
            }
        message["offer"] = {"@type": "Offer", "@id": OFFER, "target": DATASET, "permission": spoiling.USE}
        if role is Role.PROVIDER:
            return message | {"@type": "ContractRequestMessage", "consumerPid": peer_pid}
        return message | {"@type": "ContractOfferMessage", "providerPid": peer_pid}

    # -- the peer -----------------------------------------------------------------------------------------------------

    async def _peer_message(self, walked: Walked) -> None:
        self.messages += 1
        if walked.sent and self._chance.random() < 0.1:
            await self._deliver(walked, self._chance.choice(walked.sent), None)
            return
        meaning = self._meaning(walked)
        message = await self._right(walked, meaning)
        draw = self._chance.random()
        if draw < 0.35:
            raw, surely = spoiling.spoiled(self._chance, message), None
        elif draw < 0.4:
            raw, surely = orjson.dumps({name: value for name, value in message.items() if name != "@id"}), None
        elif draw < 0.42 and "agreement" in message and self._agreements:
            message["agreement"]["@id"] = self._chance.choice(self._agreements)
            raw, surely = orjson.dumps(message), None
        else:
            raw, surely = orjson.dumps(message), meaning
            walked.sent.append(raw)
        await self._deliver(walked, raw, surely)

    def _meaning(self, walked: Walked) -> Message:
        """Mostly one that leads on, so that all states are seen; else any."""
        on = [event.message for event in TABLES[walked.kind, walked.role].get((walked.state, walked.awaiting), {})]
        received = [message for message in on if message in spoiling.MEANINGS[walked.kind] and message is not None]
        leading = [message for message in received if message is not Message.TERMINATION]
        if leading and self._chance.random() < 0.5:
            return self._chance.choice(leading)
        return self._chance.choice(spoiling.MEANINGS[walked.kind])

    async def _right(self, walked: Walked, meaning: Message) -> Json:
        process = await self._context.store.process(walked.id)
        assert process is not None
        parties = {"assigner": PEER, "assignee": US} if walked.role is Role.CONSUMER else {"assigner": US, "assignee": PEER}
        offer = process.detail.offer or {"permission": spoiling.USE}
        binding: Json = {name: offer[name] for name in ("profile", "permission", "prohibition", "obligation") if name in offer}
        terms: Json = binding | parties | {"target": process.subject}
        own, peer = walked.id, walked.peer_pid
        provider_pid, consumer_pid = (own, peer) if walked.role is Role.PROVIDER else (peer, own)
        _, message = spoiling.right(self._chance, walked.kind, meaning, provider_pid, consumer_pid, terms)
        return message

    async def _deliver(self, walked: Walked, raw: bytes, surely: Message | None) -> None:
        """What the table says of `surely` must happen; of other input only that nothing illegal happens."""
        types = frozenset(name for (kind, _), (name, _) in spoiling.TYPES.items() if kind is walked.kind)
        try:
            document = await normalise_message(raw, types)
            answer = await inbound.message(self._context, walked.kind, PRINCIPAL, walked.id, document)
        except (CarnetError, DocumentError) as refusal:
            self._refused(walked, refusal, surely)
            return
        self._leaving.extend(answer.leaving)
        self._count(answer.outcome)
        if answer.outcome == "repeated":
            assert surely is None
            return
        meaning = _meaning(document)
        assert surely in (None, meaning)
        walked.go(walked.row(recv(meaning)))
        if meaning is Message.AGREEMENT:
            self._agreements.append(document["agreement"]["@id"])

    def _refused(self, walked: Walked, refusal: CarnetError | DocumentError, surely: Message | None) -> None:
        self._count(refusal.code)
        assert getattr(refusal, "status", 400) < 500, refusal
        if surely is None:
            return
        following = walked.row(recv(surely))
        assert not isinstance(following, Next), refusal
        assert isinstance(refusal, NotNow if following is BUSY else IllegalTransition), refusal

    # -- ourselves ----------------------------------------------------------------------------------------------------

    async def _our_wish(self, walked: Walked) -> None:
        wish = self._chance.choice([*_WISHES, Message.OFFER, Message.START, Message.START])
        if wish is Message.START:
            await self._our_start(walked)
            return
        meaning = Message.REQUEST if wish is Message.OFFER and walked.role is Role.CONSUMER else wish
        following = walked.row(send(meaning))
        try:
            if wish is Message.OFFER:
                await acts.offer(self._context, walked.id, {"permission": spoiling.USE})
            else:
                await _WISHES[wish](self._context, walked.id)
        except Conflict as error:
            self._count(error.code)
            assert following is None
            return
        self._count("wish")
        walked.go(following)

    async def _our_start(self, walked: Walked) -> None:
        following = walked.row(send(Message.START))
        possible = isinstance(following, Next)
        if walked.role is Role.PROVIDER:
            # Only the data plane's answer sends the message.
            possible = walked.awaiting is None and walked.state in (State.REQUESTED, State.SUSPENDED)
            possible = possible and walked.kind is Kind.TRANSFER and not self._is_starting(walked)
        try:
            await acts.start(self._context, walked.id)
        except Conflict as error:
            self._count(error.code)
            assert not possible
            return
        assert possible
        if walked.role is Role.CONSUMER:
            walked.go(following)

    def _is_starting(self, walked: Walked) -> bool:
        return any(flow.process_id == walked.id and flow.message in ("start", "resume") for flow in self._flows)

    async def _an_answer(self, walked: Walked) -> None:
        process = await self._context.store.process(walked.id)
        assert process is not None
        message = self._messages.get(process.awaiting_id or "")
        if message is None:
            assert walked.awaiting is None
            return
        draw = self._chance.random()
        if draw < 0.75:
            pids = {"providerPid": walked.peer_pid, "consumerPid": walked.peer_pid}
            pids["providerPid" if walked.role is Role.PROVIDER else "consumerPid"] = walked.id
            await answers.answered(self._context, message, pids)
            walked.go(walked.row(ACK))
        elif draw < 0.85:
            await answers.expired(self._context, message)
            walked.go(walked.row(DEADLINE))
        else:
            await self._refuse(walked, message, known=process.peer_pid is not None)
        self._count("answer")

    async def _refuse(self, walked: Walked, message: Outgoing, *, known: bool) -> None:
        shown = self._chance.choice([None, *(state.value for state in State)]) if known else None

        async def ask(_: Process) -> str | None:
            return shown

        why = Ended(by=walked.role, code="refused", reason=["no"])
        await answers.refused(self._context, message, why, ask)
        assert walked.awaiting is not None
        adopted = adopt(walked.kind, walked.role, walked.state, walked.awaiting, shown)
        following = walked.row(REFUSED)
        if adopted is not None:
            walked.go(Next(adopted, None))
        else:
            walked.go(following if isinstance(following, Next) else Next(walked.state, Message.TERMINATION))

    async def _the_data_plane(self, walked: Walked) -> None:
        """It answers in order; an answer to a start counts unless something else has been told to it since."""
        mine = [flow for flow in self._flows if flow.process_id == walked.id]
        if not mine:
            return
        self._flows.remove(mine[0])
        flow = await self._context.store.outgoing(mine[0].id)
        assert flow is not None
        address = {"endpointType": "https://w3id.org/idsa/v4.1/HTTP", "endpoint": "https://us.example/data"}
        await answers.flow_answered(self._context, flow, {"dataAddress": address})
        following = walked.row(send(Message.START))
        if flow.message in ("start", "resume") and len(mine) == 1 and isinstance(following, Next):
            walked.go(following)

    # -- bookkeeping --------------------------------------------------------------------------------------------------

    def _sort_leaving(self) -> None:
        for message in self._leaving:
            if message.channel == "flow":
                self._flows.append(message)
            else:
                self._messages[message.id] = message
        self._leaving.clear()

    async def _compare(self, walked: Walked) -> None:
        process = await self._context.store.process(walked.id)
        assert process is not None
        assert (process.state, process.awaiting) == (walked.state, walked.awaiting)
        assert (process.awaiting_id is None) is (process.awaiting is None)
        # A first message that was spoiled in a harmless way may have named another process id of the peer.
        walked.peer_pid = process.peer_pid or walked.peer_pid

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


def _meaning(document: Json) -> Message:
    names = {name: meaning for (_, meaning), (name, _) in spoiling.TYPES.items()}
    event = document["@type"] == "ContractNegotiationEventMessage"
    return Message(document["eventType"]) if event else names[document["@type"]]
