"""Our log, shown to those with whom we have agreements: on agreement, on termination and at an interval.

One timer for each counterparty, and one checkpoint on its way to it: what could not be delivered is replaced by the newest, so
that nothing piles up. The proof begins where the counterparty last said that it has our log. Its cosignature is verified and kept
beside the checkpoint; it is no leaf, or two logs would make each other grow.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Final

import orjson

from connector.flow.context import Context, retrying
from connector.flow.envelope import Letters, ask_once, lane, letter, takes
from connector.flow.logs import WITNESS
from connector.identity.participants import Admission
from connector.log.note import Checkpoint, NoteRefused, body_of, origin_of
from connector.log.witness import cosigned, packed, timed
from connector.protocol.messages import Document
from connector.store import witness, writes
from connector.store.rows import Timer
from connector.store.witness import CHECK_ALARM, SHOWING, Come, Witness, WitnessStore
from connector.telemetry import logger

MAX_RETRIES: Final = 3
"""How often a checkpoint is shown again at once after a counterparty has said how far it has our log."""
ASK_AGAIN_MS: Final = 86_400_000
"""How often who said that it does not take checkpoints is asked again (ms): it may have been upgraded."""
log = logger("witness")


async def begin(context: Context) -> None:
    """At the start: whoever we have an agreement with is shown our log. Harmless when repeated."""
    if context.witnessing.on:
        now = context.now_ms()
        await context.store.commit([witness.begin_all(now, now + context.witnessing.interval_ms)])


async def show(context: Context, timer: Timer) -> None:
    """Show a counterparty our log, if it takes that and has not seen all of it. Harmless when repeated."""

    async def attempt() -> None:
        letters, withdrawn = Letters(), list[str]()
        if context.witnessing.on and await _welcome(context, timer.process_id):
            withdrawn = await _shown(context, timer.process_id, letters)
        due_at = context.now_ms() + context.witnessing.interval_ms
        await letters.commit(context, witness.put_off(timer.id, timer.due_at, due_at))
        for message_id in withdrawn:
            context.forget(message_id)
        context.timer_set(due_at)

    await retrying(attempt)


async def _welcome(context: Context, counterparty: str) -> bool:
    entry = await context.registry.find(counterparty)
    return entry is not None and entry.state is Admission.ADMITTED


async def _shown(context: Context, counterparty: str, letters: Letters) -> list[str]:
    """Put the newest checkpoint into ``letters``; the messages that it replaces."""
    store, now = WitnessStore(context.store.engine), context.now_ms()
    row = await store.row(counterparty)
    taken = await takes(context, counterparty, WITNESS)
    if not taken:
        await _ask(context, row, letters, known=taken is not None)
        return []
    # The time first, then the tree, and neither goes back: "at this time it was this large" must hold, whoever shows and when.
    time_s = max(now // 1000, row.shown_time)
    newest = await context.witnessing.read(lambda own: own.newest())
    if newest is None or (row.cosigned_size == row.told_size == newest[1].size and not row.refused):
        return []
    note, checkpoint = newest
    if row.told_size > checkpoint.size:
        log.error("a counterparty has seen more of our log than there is", counterparty=counterparty, size=row.told_size)
        return []
    content = await _content(context, row.told_size, note, checkpoint, time_s)
    waiting = await store.waiting(lane(counterparty), "CheckpointShown")
    letters.statements += [writes.delete_outgoing(message_id, surely=True) for message_id in waiting]
    address = await context.directory.address(counterparty)
    message = letter(context, counterparty, address, "CheckpointShown", content=content)
    letters.send(message)
    shown = replace(row, shown_size=checkpoint.size, shown_note=content["note"], shown_time=time_s, shown_message=message.id)
    letters.statements.append(witness.save_witness(shown))
    return waiting


async def _content(context: Context, old_size: int, note: str, checkpoint: Checkpoint, time_s: int) -> Document:
    root, proof = await context.witnessing.read(lambda own: own.since(old_size, checkpoint.size))
    handover = await context.witnessing.read(lambda own: own.handover(old_size)) if old_size else ""
    content: Document = {
        "note": timed(note, context.witnessing.signer(context.participant_id), time_s),
        "oldSize": old_size,
        "oldRoot": base64.b64encode(root).decode(),
        "proof": packed(proof),
    }
    return {**content, "handover": handover} if handover else content


async def _ask(context: Context, row: Witness, letters: Letters, *, known: bool) -> None:
    """Greet who never said what it takes once, and who said no again after a while."""
    now = context.now_ms()
    address = await context.directory.address(row.counterparty)
    if not known:
        await ask_once(context, row.counterparty, address, letters)
    elif now - row.asked_at >= ASK_AGAIN_MS:
        letters.send(letter(context, row.counterparty, address, "Hello"))
        letters.statements.append(witness.save_witness(replace(row, asked_at=now)))


def hurry(context: Context, counterparty: str, letters: Letters) -> None:
    """Show our log soon, if that counterparty is shown it at all."""
    due_at = context.now_ms() + context.witnessing.settle_ms
    letters.due.append(due_at)
    letters.statements.append(witness.hurry(SHOWING + counterparty, due_at))


# -- what comes back --------------------------------------------------------------------------------------------------


async def take_cosigned(context: Context, sender: str, document: Document, letters: Letters) -> None:
    """A cosignature of a checkpoint that we have shown: kept, and verified right after. One of another is let be."""
    row = await WitnessStore(context.store.engine).row(sender)
    if not context.witnessing.on or row.shown_size == 0 or row.shown_size != document["size"]:
        log.info("a cosignature of a checkpoint that is not the last one shown", counterparty=sender, size=document["size"])
        return
    now = context.now_ms()
    text = orjson.dumps({"note": row.shown_note, "line": document["cosignature"]}).decode()
    letters.statements += [
        witness.keep_come(Come(sender, "answer", document["messageId"], text, received_at=now)),
        witness.wake(CHECK_ALARM, sender, now),
    ]
    letters.due.append(now)


async def take_refused(context: Context, sender: str, document: Document, letters: Letters) -> None:
    """A counterparty does not cosign. Where it has our log from elsewhere than we thought, it is shown again from there."""
    row = await WitnessStore(context.store.engine).row(sender)
    if not context.witnessing.on or row.shown_size == 0:
        return
    code, told = str(document["step"]), int(document["size"])
    log.warning("our checkpoint was not cosigned", counterparty=sender, code=code, reason=str(document["why"])[:500])
    changed = replace(row, refused=code)
    if code == "checkpoint-time":
        # Our clock was ahead when it was shown. The time does not go back by itself; where nobody believed it, it may.
        changed = replace(changed, shown_time=min(row.shown_time, context.now_ms() // 1000))
    if code == "old-size" and told <= row.shown_size and told != row.told_size:
        changed = replace(changed, told_size=told, retries=min(row.retries + 1, MAX_RETRIES))
        if row.retries < MAX_RETRIES:
            hurry(context, sender, letters)
    letters.statements.append(witness.save_witness(changed))


async def check_answer(context: Context, come: Come) -> None:
    """Verify a cosignature and keep it. Raises KeyAway."""
    said = orjson.loads(come.document)
    origin = origin_of(come.counterparty)
    publics = await context.witnessing.keys_of(come.counterparty)
    try:
        note, time_s = cosigned(said["note"], said["line"], origin, publics)
    except NoteRefused as first:
        publics = await context.witnessing.keys_of(come.counterparty, fresh=True)
        try:
            note, time_s = cosigned(said["note"], said["line"], origin, publics)
        except NoteRefused:
            log.warning("a cosignature does not hold", counterparty=come.counterparty, code=first.code)
            await _settle(context, come, "", 0)
            return
    size = Checkpoint.parse(body_of(note)).size
    await context.witnessing.read(lambda own: own.keep_cosigned(size, come.counterparty, note))
    log.info("our checkpoint was cosigned", counterparty=come.counterparty, size=size, time=time_s)
    await _settle(context, come, note, size)


async def _settle(context: Context, come: Come, note: str, size: int) -> None:
    async def attempt() -> None:
        row = await WitnessStore(context.store.engine).row(come.counterparty)
        if not note:
            changed = replace(row, refused="cosignature-invalid")
        elif size >= row.cosigned_size:
            now = context.now_ms()
            changed = replace(row, cosigned_size=size, cosigned_note=note, cosigned_at=now, told_size=size, refused="", retries=0)
        else:
            changed = row
        await context.store.commit([replace(witness.done(come), expect=None), witness.save_witness(changed)])

    await retrying(attempt)
