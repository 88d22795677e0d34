"""The outside of peer messages: what every one carries, which lane it goes by, and what its receiver said that it can do.

Whom we never heard of is greeted once, so that what waits for it leaves when it says what it takes. Imports the context and the
store; the use cases of peer messages import this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from connector.flow.context import Context
from connector.flow.leaves import letter_queued
from connector.log.leaf import Draft
from connector.protocol.messages import Document
from connector.protocol.versions import VERSION
from connector.store import evidence, writes
from connector.store.engine import Statement
from connector.store.evidence import EvidenceStore
from connector.store.rows import Outgoing, Timer

CONTEXT: Final = "https://w3id.org/carnet/peer/v1/context.jsonld"
SOFTWARE: Final = "carnet"
GREETING: Final = frozenset({"Hello", "Capabilities"})
WAITING_ALARM: Final = "evidence-waiting"
"""The timer, named after a peer, at which what waits for it to say what it takes is sent."""


@dataclass(slots=True)
class Letters:
    """Writes of one transaction, what the contract log is told of them, and what has to leave or fire once it is committed."""

    statements: list[Statement] = field(default_factory=list)
    leaving: list[Outgoing] = field(default_factory=list)
    due: list[int] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)

    def send(self, message: Outgoing) -> None:
        """Queue a message."""
        self.leaving.append(message)
        self.statements.append(writes.insert_outgoing(message))

    def wake_at(self, timer: Timer) -> None:
        """Set a timer."""
        self.due.append(timer.due_at)
        self.statements.append(writes.insert_timer(timer))

    def tell(self, draft: Draft) -> None:
        """Tell the contract log; what is sent it is told of by itself."""
        self.drafts.append(draft)

    def told(self) -> Iterator[Draft]:
        """Everything that the contract log is told. Our own data plane is no party: what it is told is nobody's evidence."""
        yield from self.drafts
        yield from (letter_queued(message) for message in self.leaving if message.channel == "peer")

    async def commit(self, context: Context, *more: Statement) -> None:
        """All of it, or nothing. Raises LostRace."""
        await context.commit([*self.statements, *more], self.told(), wakes=bool(self.leaving))
        self.committed(context)

    def committed(self, context: Context) -> None:
        """It is on the disk: what leaves may leave."""
        context.hand_over(self.leaving)
        for due_at in self.due:
            context.timer_set(due_at)


def lane(counterparty: str) -> str:
    """The lane of all messages to one peer."""
    return f"peer:{counterparty}"


def instant(at_ms: int) -> str:
    """A moment (ms since the epoch) as messages have it: ISO 8601, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def letter(
    context: Context,
    counterparty: str,
    address: str,
    name: str,
    *,
    signed: str | None = None,
    content: Document | None = None,
    process_id: str = "",
    deadline_at: int = 0,
) -> Outgoing:
    """A peer message of type ``name`` to whom is reached at the DSP base ``address``; ``signed`` is its JWS, ``content``
    are its other members."""
    now, message_id = context.now_ms(), context.new_id()
    document: Document = {
        "@context": [CONTEXT],
        "@type": name,
        "messageId": message_id,
        "participantId": context.participant_id,
        "protocol": VERSION,
        "software": SOFTWARE,
        "issuedAt": instant(now),
    }
    if name in GREETING:
        document["features"] = ["hello", *context.seals.features(), *context.witnessing.features()]
    if signed is not None:
        document["signed"] = signed
    document |= content or {}
    return Outgoing(
        id=message_id,
        lane=lane(counterparty),
        channel="peer",
        counterparty=counterparty,
        process_id=process_id,
        message=name,
        url=f"{address}/carnet/messages",
        body=orjson.dumps(document).decode(),
        correlation_id=context.new_id(),
        created_at=now,
        deadline_at=max(now + context.deadlines.message_ms, deadline_at),
        due_at=now,
    )


async def takes(context: Context, counterparty: str, feature: str) -> bool | None:
    """Whether a peer has said that it takes messages of a feature; None if it never said anything."""
    text = await context.store.capability(counterparty)
    if text is None:
        return None
    said: Any = orjson.loads(text).get("features", [])
    return feature in said


async def ask_once(context: Context, counterparty: str, address: str, letters: Letters) -> None:
    """Greet a peer that never said what it takes, unless we have done so before."""
    if not await EvidenceStore(context.store.engine).greeted(counterparty):
        letters.statements.append(evidence.greet(counterparty, context.now_ms()))
        letters.send(letter(context, counterparty, address, "Hello"))
