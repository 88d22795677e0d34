"""Peer messages beyond DSP: one extension with its own context, the same identity, inbox and outbox, a lane for each peer.

The first message is ``Hello``: who speaks, which protocol and software. The answer is the receiver's own ``Capabilities``, which
names its features. Later features (receipts, notices, signatures) add types here and no other channel. Messages are not
signed yet; what they say is kept as the peer's own claim and decides nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import orjson

from connector.flow.context import Context, retrying
from connector.flow.inbound import check_texts, digest_of
from connector.flow.standing import beginning
from connector.identity.interface import Principal
from connector.protocol.errors import BadMessage, NotFound
from connector.protocol.messages import Document
from connector.protocol.versions import VERSION
from connector.store import writes
from connector.store.engine import Statement
from connector.store.rows import Judged, Outgoing

CONTEXT: Final = "https://w3id.org/carnet/peer/v1/context.jsonld"
TYPES: Final = frozenset({"Hello", "Capabilities"})
FEATURES: Final = ("hello",)
SOFTWARE: Final = "carnet"


async def hello(context: Context, counterparty: str) -> str:
    """Greet a peer; its capabilities come back as a message of their own. Returns the id of the greeting.

    Raises PolicyDenied if the peer is not welcome here.
    """
    message = await _outgoing(context, counterparty, "Hello")
    queued = writes.insert_outgoing(message)
    await beginning(context, counterparty, lambda guard: context.store.commit([queued, *guard], wakes=True))
    context.hand_over([message])
    return message.id


async def received(context: Context, principal: Principal, document: Document) -> None:
    """A peer message: remembered by its id, so that a repeat does nothing. Raises BadMessage if it speaks for somebody else."""
    sender = principal.participant_id
    check_texts(document)
    if document["participantId"] != sender:
        raise BadMessage("wrong-party", "participantId must be the participant that you are identified as")
    digest = digest_of(document)

    async def attempt() -> None:
        known = await context.store.judged(sender, document["messageId"])
        if known is not None:
            if known.digest != digest:
                raise BadMessage("message-id-reused", "this messageId belongs to an earlier message of yours; use a new one")
            return
        now = context.now_ms()
        text = orjson.dumps(document).decode()
        statements: list[Statement] = [
            writes.insert_judged(Judged(sender, document["messageId"], "", digest, 200, None, now)),
            writes.keep_capability(sender, text, now),
        ]
        leaving: list[Outgoing] = []
        # An answer that still waits for the peer says the same as another would; greetings pile nothing up.
        if document["@type"] == "Hello" and "Capabilities" not in await context.store.waiting_in(_lane(sender)):
            leaving.append(await _outgoing(context, sender, "Capabilities"))
            statements.append(writes.insert_outgoing(leaving[0]))
        await context.store.commit([*statements, *context.door.statement(principal)], wakes=bool(leaving))
        principal.spend()
        context.hand_over(leaving)

    await retrying(attempt, lambda: context.door.explain(principal))


async def capabilities(context: Context, counterparty: str) -> Document:
    """What a peer last said of itself. Raises NotFound if it never did."""
    text = await context.store.capability(counterparty)
    if text is None:
        raise NotFound("capabilities-unknown", f"{counterparty:.80} has not said what it can do; send it a hello first")
    document: Document = orjson.loads(text)
    return document


def _lane(counterparty: str) -> str:
    return f"peer:{counterparty}"


async def _outgoing(context: Context, counterparty: str, name: str) -> Outgoing:
    now, message_id = context.now_ms(), context.new_id()
    document: Document = {
        "@context": [CONTEXT],
        "@type": name,
        "messageId": message_id,
        "participantId": context.participant_id,
        "protocol": VERSION,
        "software": SOFTWARE,
        "issuedAt": datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if name == "Capabilities":
        document["features"] = list(FEATURES)
    return Outgoing(
        id=message_id,
        lane=_lane(counterparty),
        channel="peer",
        counterparty=counterparty,
        process_id="",
        message=name,
        url=f"{await context.directory.address(counterparty)}/carnet/messages",
        body=orjson.dumps(document).decode(),
        correlation_id=context.new_id(),
        created_at=now,
        deadline_at=now + context.deadlines.message_ms,
        due_at=now,
    )
