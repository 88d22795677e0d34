"""Others' logs, which we witness: a checkpoint that a counterparty shows is kept, judged and cosigned, or refused with the step.

What a log has signed and what cannot both be true is a split view: both checkpoints are kept, a leaf of our own log says so, the
timelines of the agreements with that counterparty, too, and nothing new is agreed with it until the operator accepts its log as
it is. What merely cannot be verified is refused and convicts nobody.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from connector.flow.context import Context, Note, happening, retrying
from connector.flow.envelope import Letters, lane, letter
from connector.flow.halted import SAID
from connector.flow.receipts import pause_ms
from connector.flow.showing import check_answer
from connector.identity.participants import Admission
from connector.identity.signers import KeyAway
from connector.log.leaf import Draft
from connector.log.note import NoteRefused, body_of, cosignature, origin_of
from connector.log.witness import Seen, Shown, SplitView, WitnessRefused, handed_over, judge, unpacked
from connector.protocol.errors import BadMessage, Conflict, NotFound, Unavailable
from connector.protocol.messages import Document
from connector.store import witness, writes
from connector.store.rows import Timer
from connector.store.witness import CHECK_ALARM, Come, Witness, WitnessStore
from connector.telemetry import logger

MAX_TRIES: Final = 6
"""How often a checkpoint is looked at whose key cannot be found: for about an hour; a newer one comes with the next."""
TOLD_MOST: Final = 20
"""Agreements in whose timelines a split view is written."""
SPLIT: Final = "split-view"
_OF_A_KEY: Final = ("checkpoint-signature", "checkpoint-time")
"""Steps that a key passes which was published only now."""
log = logger("witness")


async def take_shown(context: Context, sender: str, document: Document, letters: Letters) -> None:
    """A checkpoint of a counterparty's log: kept, and judged right after. A newer one takes the place of one that still waits.

    Raises BadMessage from whom nobody has vouched for, and where no log is kept.
    """
    entry = await context.registry.find(sender)
    if not context.witnessing.on:
        raise BadMessage("witness-off", "no log is kept here, and none of others is witnessed")
    if entry is None or entry.state is not Admission.ADMITTED:
        raise BadMessage("witness-unwanted", "logs are witnessed of participants that somebody here has vouched for")
    now = context.now_ms()
    names = ("note", "oldSize", "oldRoot", "proof", "handover")
    text = orjson.dumps({name: document[name] for name in names if name in document}).decode()
    come = Come(sender, "shown", document["messageId"], text, received_at=now)
    letters.statements += [witness.keep_come(come), witness.wake(CHECK_ALARM, sender, now)]
    letters.due.append(now)


async def check(context: Context, timer: Timer) -> None:
    """What came of a counterparty is to be judged. Harmless when repeated."""
    again = 0
    for come in await WitnessStore(context.store.engine).come(timer.process_id):
        try:
            await (_judge(context, come) if come.kind == "shown" else check_answer(context, come))
        except KeyAway as away:
            again = max(again, await _later(context, come, away))
    now = context.now_ms()
    if again:
        await context.store.commit([witness.put_off(timer.id, timer.due_at, now + again)])
        context.timer_set(now + again)
    else:
        await context.store.commit([witness.taken(timer.id, timer.due_at)])


async def _later(context: Context, come: Come, away: KeyAway) -> int:
    """How long to wait (ms) until the key is looked for again; 0: no more."""
    log.info("a log's key cannot be had now", counterparty=come.counterparty, code=away.code, tries=come.tries + 1)
    if come.tries + 1 < MAX_TRIES:
        await context.store.commit([witness.tried(come)])
        return pause_ms(come.tries)
    if come.kind == "shown":
        await _refuse(context, come, WitnessRefused("log-key-unknown", away.reason))
    else:
        await context.store.commit([replace(witness.done(come), expect=None)])
    return 0


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a checkpoint came to: what is seen now, and a key that was handed over on the way."""

    seen: Seen
    handed: str


async def _judge(context: Context, come: Come) -> None:
    """Raises KeyAway."""
    row = await WitnessStore(context.store.engine).row(come.counterparty)
    try:
        verdict = await _verdict(context, come, row)
    except WitnessRefused as refused:
        await _refuse(context, come, refused)
    except SplitView as split:
        await _convict(context, come, split)
    else:
        await _cosign(context, come, row, verdict)


def _shown(come: Come) -> Shown:
    """Raises WitnessRefused."""
    document = orjson.loads(come.document)
    old_root = b"".join(unpacked(document.get("oldRoot", "")))
    return Shown(document["note"], int(document["oldSize"]), old_root, unpacked(document["proof"]))


async def _verdict(context: Context, come: Come, row: Witness) -> _Verdict:
    """With the keys that the participant publishes, then with those that it publishes now, then with one that the log has handed
    over itself. Raises WitnessRefused, SplitView and KeyAway."""
    if row.split_code:
        did = SAID.get(row.split_code, "contradicted itself")
        raise WitnessRefused(SPLIT, f"your log {did}; our operator has to accept it as it is")
    try:
        origin = origin_of(come.counterparty)
    except NoteRefused as error:
        raise WitnessRefused("checkpoint-origin", error.reason) from error
    shown = _shown(come)
    seen = Seen(row.seen_note, row.seen_size, bytes.fromhex(row.seen_root), row.seen_time) if row.seen_size else None
    handed = row.handed
    handover = orjson.loads(come.document).get("handover", "")
    now_s = context.now_ms() // 1000
    for fresh in (False, True):
        publics = _believed(await context.witnessing.keys_of(come.counterparty, fresh=fresh), handed)
        if fresh and handover:
            handed = handed_over(handover, origin, publics).hex()
            publics = _believed(publics, handed)
        try:
            return _Verdict(judge(shown, seen, origin, publics, now_s), handed)
        except WitnessRefused as refused:
            if fresh or refused.code not in _OF_A_KEY:
                raise
    raise AssertionError


def _believed(published: tuple[bytes, ...], handed: str) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys((*published, *([bytes.fromhex(handed)] if handed else []))))


async def _cosign(context: Context, come: Come, row: Witness, verdict: _Verdict) -> None:
    now, seen = context.now_ms(), verdict.seen
    await context.witnessing.read(lambda own: own.keep_seen(come.counterparty, seen.size, seen.note))
    cosigner = context.witnessing.cosigner(context.participant_id)
    line = cosignature(body_of(seen.note), cosigner, now // 1000)
    letters = Letters()
    await _answer(context, come, letters, "CheckpointCosigned", {"size": seen.size, "cosignature": line})

    async def attempt() -> None:
        again = await WitnessStore(context.store.engine).row(come.counterparty)
        if (again.seen_size, again.seen_root, again.split_code) != (row.seen_size, row.seen_root, row.split_code):
            return  # Another worker was faster; what it did was judged against the same.
        kept = replace(
            again,
            seen_size=seen.size,
            seen_root=seen.root.hex(),
            seen_note=seen.note,
            seen_time=seen.time_s,
            seen_at=now,
            handed=verdict.handed,
            refusal="",
        )
        await letters.commit(context, replace(witness.done(come), expect=None), witness.save_witness(kept))

    await retrying(attempt)
    log.info("a checkpoint was cosigned", counterparty=come.counterparty, size=seen.size)


async def _refuse(context: Context, come: Come, refused: WitnessRefused) -> None:
    log.warning("a checkpoint was refused", counterparty=come.counterparty, code=refused.code, reason=refused.reason)

    async def attempt() -> None:
        row = await WitnessStore(context.store.engine).row(come.counterparty)
        letters = Letters()
        await _answer(context, come, letters, "CheckpointRefused", _because(refused.code, refused.reason, row.seen_size))
        changed = replace(row, refusal=refused.code)
        await letters.commit(context, replace(witness.done(come), expect=None), witness.save_witness(changed))

    await retrying(attempt)


def _because(code: str, reason: str, size: int) -> Document:
    return {"step": code, "why": reason[:1000], "size": size}


async def _convict(context: Context, come: Come, split: SplitView) -> None:
    """Keep both checkpoints and say so, everywhere where it matters."""
    now, party, shown = context.now_ms(), come.counterparty, _shown(come)
    log.error(
        "a log contradicts itself; nothing new is agreed with its owner", counterparty=party, code=split.code, why=split.reason
    )

    async def attempt() -> None:
        row = await WitnessStore(context.store.engine).row(party)
        evidence = {
            "code": split.code,
            "reason": split.reason,
            "seen": row.seen_note,
            "shown": shown.note,
            "oldSize": shown.old_size,
            "oldRoot": base64.b64encode(shown.old_root).decode(),
            "proof": base64.b64encode(b"".join(shown.proof)).decode(),
        }
        text = orjson.dumps(evidence, option=orjson.OPT_INDENT_2)
        try:
            await context.witnessing.read(lambda own: own.keep_split(party, now, text))
        except Unavailable as error:
            # It is in the leaf, too. A full disk is no reason to go on with who lies.
            log.warning("a split view cannot be kept beside the log", counterparty=party, code=error.code, error=error.reason)
        letters = Letters(await _lines(context, party, split))
        letters.tell(Draft("witness", {"event": SPLIT, "size": row.seen_size}, party=party, payload=evidence, at=now))
        await _answer(context, come, letters, "CheckpointRefused", _because(SPLIT, split.reason, row.seen_size))
        convicted = replace(row, split_code=split.code, split_note=shown.note, split_at=now, refusal=SPLIT)
        await letters.commit(context, replace(witness.done(come), expect=None), witness.save_witness(convicted))

    await retrying(attempt)


async def _lines(context: Context, party: str, split: SplitView) -> list[Any]:
    """A line in the timelines of the newest agreements with a counterparty."""
    now, found = context.now_ms(), []
    for negotiation in await WitnessStore(context.store.engine).agreements_of(party, TOLD_MOST):
        process = await context.store.process(negotiation)
        if process is not None:
            note = Note("its log contradicts itself", text=f"{split.code}: {split.reason}")
            found.append(writes.insert_event(happening(replace(process, updated_at=now), note)))
    return found


async def _answer(context: Context, come: Come, letters: Letters, name: str, content: Document) -> None:
    """Queue an answer, where its receiver can be reached."""
    try:
        address = await context.directory.address(come.counterparty)
    except NotFound as error:
        log.info("a checkpoint cannot be answered", counterparty=come.counterparty, reason=error.reason)
        return
    # The newest answer says all: those that the counterparty has not fetched pile nothing up.
    for answer in ("CheckpointCosigned", "CheckpointRefused"):
        for message_id in await WitnessStore(context.store.engine).waiting(lane(come.counterparty), answer):
            letters.statements.append(writes.delete_outgoing(message_id))
            context.forget(message_id)
    letters.send(letter(context, come.counterparty, address, name, content=content))


async def accept(context: Context, participant_id: str, reason: str) -> Witness:
    """The operator accepts the log of a participant as it is: what was seen of it before binds no more, the evidence stays.

    Raises Conflict where its log did not contradict itself.
    """

    async def attempt() -> Witness:
        row = await WitnessStore(context.store.engine).row(participant_id)
        if not row.split_code:
            raise Conflict(
                "log-not-split", f"the log of {participant_id:.200} does not contradict itself, as far as we have seen"
            )
        now = context.now_ms()
        # What is shown next is the first checkpoint again.
        unseen = replace(row, seen_size=0, seen_root="", seen_note="", seen_time=0, seen_at=0, refusal="")
        accepted = replace(unseen, split_code="", split_note="", split_at=0, accepted_at=now, accepted_reason=reason)
        letters = Letters()
        said = {"reason": reason, "code": row.split_code, "seen": row.seen_note, "shown": row.split_note}
        letters.tell(Draft("witness", {"event": "accepted", "size": row.seen_size}, party=participant_id, payload=said, at=now))
        await letters.commit(context, witness.save_witness(accepted))
        return accepted

    accepted = await retrying(attempt)
    log.warning("a log that contradicted itself was accepted", counterparty=participant_id, reason=reason)
    return accepted
