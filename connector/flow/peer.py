"""Peer messages beyond DSP: one extension with its own context, the same identity, inbox and outbox, a lane for each peer.

The first message is ``Hello``; the answer is the receiver's own ``Capabilities``. Both name what their sender can do, which is
kept as its own claim. What is signed (receipts and the answers to them, notices to erase and attestations) is sent to whom has
said that it takes it, kept as it came, and verified when the message has been answered: ``receipts.py``, ``erasing.py``,
``erasure.py``, and of agreements ``signatures.py``. Later features add types here and no other channel.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import orjson

from catalog.schemas import PEER_TYPES
from connector.flow import erasing, erasure, receipts, showing, signatures, witnessing
from connector.flow.context import Context, retrying
from connector.flow.envelope import GREETING, WAITING_ALARM, Letters, lane, letter, takes
from connector.flow.inbound import check_texts, digest_of
from connector.flow.leaves import letter_received
from connector.flow.logs import WITNESS
from connector.flow.seals import ERASURES, RECEIPTS
from connector.flow.standing import beginning
from connector.identity.interface import Principal
from connector.protocol.errors import BadMessage, NotFound
from connector.protocol.messages import Document
from connector.store import writes
from connector.store.rows import Judged, Timer

TYPES: Final = PEER_TYPES
PORTION: Final = 20
"""Most messages of a kind that waited for a peer and are sent in one transaction."""
PORTION_PAUSE_MS: Final = 100

_Take = Callable[[Context, str, Document, Letters], Awaitable[None]]


async def hello(context: Context, counterparty: str) -> str:
    """Greet a peer; its capabilities come back as a message of their own. Returns the id of the greeting.

    Raises PolicyDenied if the peer is not welcome here.
    """
    message = letter(context, counterparty, await context.directory.address(counterparty), "Hello")
    letters = Letters()
    letters.send(message)
    await beginning(context, counterparty, lambda guard: letters.commit(context, *guard))
    return message.id


async def received(context: Context, principal: Principal, document: Document) -> None:
    """A peer message: remembered by its id, so that a repeat does nothing. Raises BadMessage if it speaks for somebody else, or
    of what is not its own."""
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
        judged = Judged(sender, document["messageId"], "", digest, 200, None, context.now_ms())
        letters = Letters([writes.insert_judged(judged)])
        letters.tell(letter_received(sender, document, judged.judged_at))
        await _TAKES[document["@type"]](context, sender, document, letters)
        await letters.commit(context, *context.door.statement(principal))
        principal.spend()

    await retrying(attempt, lambda: context.door.explain(principal))


async def capabilities(context: Context, counterparty: str) -> Document:
    """What a peer last said of itself. Raises NotFound if it never did."""
    text = await context.store.capability(counterparty)
    if text is None:
        raise NotFound("capabilities-unknown", f"{counterparty:.80} has not said what it can do; send it a hello first")
    document: Document = orjson.loads(text)
    return document


async def _take_greeting(context: Context, sender: str, document: Document, letters: Letters) -> None:
    now = context.now_ms()
    letters.statements.append(writes.keep_capability(sender, orjson.dumps(document).decode(), now))
    # An answer that still waits for the peer says the same as another would; greetings pile nothing up.
    if document["@type"] == "Hello" and "Capabilities" not in await context.store.waiting_in(lane(sender)):
        letters.send(letter(context, sender, await context.directory.address(sender), "Capabilities"))
    features = document.get("features", [])
    if WITNESS in features and context.witnessing.on:
        showing.hurry(context, sender, letters)
    asked = {RECEIPTS, ERASURES}.intersection(features) and await _send(context, sender, Letters(), 1)
    if asked or await signatures.waits(context, sender, features):
        letters.wake_at(Timer(context.new_id(), WAITING_ALARM, sender, now))


async def send_waiting(context: Context, timer: Timer) -> None:
    """A peer has said what it takes: what waited for that is sent, in portions."""
    counterparty = timer.process_id

    async def attempt() -> None:
        letters = Letters()
        entry = await context.registry.find(counterparty)
        welcome = entry is None or entry.state.welcome
        sent = await _send(context, counterparty, letters, PORTION) if welcome else 0
        due_at = context.now_ms() + PORTION_PAUSE_MS
        done = writes.postpone_timer(timer.id, due_at) if sent else replace(writes.delete_timer(timer.id), expect=None)
        await letters.commit(context, done)
        context.timer_set(due_at)

    await retrying(attempt)


async def _send(context: Context, counterparty: str, letters: Letters, limit: int) -> int:
    """Put what waits for a peer into ``letters``, where it takes that; how many."""
    sent = 0
    if await takes(context, counterparty, RECEIPTS) is not False:
        sent += await receipts.waiting(context, counterparty, letters, limit)
    if await takes(context, counterparty, ERASURES) is not False:
        sent += await erasing.waiting(context, counterparty, letters, limit)
        sent += await erasure.waiting(context, counterparty, letters, limit)
    return sent + await signatures.waiting(context, counterparty, letters, limit)


_TAKES: Final[Mapping[str, _Take]] = MappingProxyType(
    {
        **dict.fromkeys(GREETING, _take_greeting),
        "CheckpointShown": witnessing.take_shown,
        "CheckpointCosigned": showing.take_cosigned,
        "CheckpointRefused": showing.take_refused,
        "Receipt": receipts.take_receipt,
        "ReceiptAnswer": receipts.take_answer,
        "ErasureNotice": erasure.take_notice,
        "ErasureAttestation": erasing.take_attestation,
        signatures.MESSAGE: signatures.take,
    }
)
