"""Use cases of the registry: write participants down, admit, suspend and expel them, export and import the whole.

Who may move where is the table of ``connector/identity/roster.py``; every change is one transaction, guarded by the entry's
revision. A suspension or expulsion comes in two steps, so that a power cut in between does no harm: from the first transaction on
nothing of the participant is accepted or begun; then what is open with it is ended. What is left of that is taken up at the next
start (:func:`finish`) or by a worker that goes on (:func:`finishing`). Raises NotFound, Conflict and CallerError with what to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import msgspec

from connector.flow.context import Context, Note, retrying, save
from connector.flow.leaves_standing import of_participant
from connector.identity import roster
from connector.identity.participants import Admission, Claims, Participant
from connector.identity.registry import Tell, with_profile
from connector.identity.roster import Change, ProfileChange
from connector.protocol import process as core
from connector.protocol.errors import CallerError, Conflict, NotFound, Outdated, Unavailable
from connector.protocol.messages import Document
from connector.protocol.record import Decision, Ended, Process
from connector.protocol.states import Message, State
from connector.store import registry as rows
from connector.store.engine import LostRace, Statement, StoreUnavailable
from connector.telemetry import logger

PAGE: Final = 100
FINISH_EVERY_S: Final = 30.0
SHUT_OUT: Final = (Admission.SUSPENDED, Admission.EXPELLED)
Result = TypeVar("Result")
log = logger("standing")


async def settle(context: Context, settled: Callable[[Tell], Awaitable[None]]) -> None:
    """At the start: enter those that the settings name (``Recognition.settle``), and tell the contract log of it."""
    await settled(lambda before, after: context.leaves([of_participant(before, after)]))
    context.journal.queued()


async def find(context: Context, participant_id: str) -> Participant:
    """The entry as it is now. Raises NotFound."""
    found = await context.registry.store.participant(participant_id)
    if found is None:
        raise NotFound("participant-unknown", f"{participant_id:.200} is not in the registry; see `carnet peers list`")
    return found


# -- the acts ---------------------------------------------------------------------------------------------------------


async def add(context: Context, participant: Participant) -> Participant:
    """Write a participant down, with the profile and claims given: as admitted if somebody vouches for it, else as unverified."""
    now = context.now_ms()
    vouched = participant.vouched_by is not None
    entry = msgspec.structs.replace(
        participant,
        state=Admission.ADMITTED if vouched else Admission.UNVERIFIED,
        revision=1,
        vouched_at=now if vouched else None,
        reason=None,
        recognised=None,
        created_at=now,
        updated_at=now,
    )
    if entry.id == context.participant_id:
        raise CallerError("participant-self", "this is our own participant id; only others are in the registry")
    roster.check_entry(entry)
    try:
        await _commit(context, [Change(None, entry)], now)
    except LostRace as error:
        raise Conflict(
            "participant-known", f"{entry.id:.200} is in the registry already; see `carnet peers show`, `update` and `admit`"
        ) from error
    log.info("participant added", participant=entry.id, state=entry.state.value)
    return entry


async def admit(
    context: Context, participant_id: str, *, vouched_by: str, claims: Claims | None = None, again: bool = False
) -> Participant:
    """Vouch for a participant; ``claims`` replace those it had. One that was expelled comes back only ``again``."""
    given = {} if claims is None else {"claims": claims}

    def admitted(known: Participant, now: int) -> Participant:
        roster.check_move(known, Admission.ADMITTED, again=again)
        word = {"vouched_by": vouched_by, "vouched_at": now, "reason": None}
        return msgspec.structs.replace(known, state=Admission.ADMITTED, updated_at=now, **word, **given)

    return await _change(context, participant_id, admitted)


async def suspend(context: Context, participant_id: str, reason: str) -> Participant:
    """Take nothing more of a participant and end what is open with it, until it is admitted again. It is told ``reason``."""
    return await _shut_out(context, participant_id, Admission.SUSPENDED, reason)


async def expel(context: Context, participant_id: str, reason: str) -> Participant:
    """As ``suspend``, but it comes back by an explicit word only."""
    return await _shut_out(context, participant_id, Admission.EXPELLED, reason)


async def _shut_out(context: Context, participant_id: str, state: Admission, reason: str) -> Participant:
    def moved(known: Participant, now: int) -> Participant:
        roster.check_move(known, state, again=False)
        return msgspec.structs.replace(known, state=state, reason=reason, updated_at=now)

    return await _change(context, participant_id, moved)


async def update(
    context: Context,
    participant_id: str,
    *,
    profile: ProfileChange | None = None,
    claims: Claims | None = None,
    vouched_by: str | None = None,
    seen: int | None = None,
) -> Participant:
    """Another profile, or other claims in place of those it had.

    ``vouched_by`` says who has verified the claims, else whoever vouched before. Raises CallerError for claims of a participant
    that nobody has vouched for, and Outdated if its revision is not ``seen``, where one is given.
    """

    def changed(known: Participant, now: int) -> Participant:
        if seen not in (None, known.revision):
            raise Outdated("outdated", "the participant was changed meanwhile; read it again and decide anew")
        entry = known if profile is None else with_profile(known, profile.of(known.profile), now)
        if claims is None:
            return entry
        word = {} if vouched_by is None else {"vouched_by": vouched_by, "vouched_at": now}
        since = now if entry.state.welcome else entry.updated_at
        return msgspec.structs.replace(entry, claims=claims, updated_at=since, **word)

    return await _change(context, participant_id, changed)


async def _change(context: Context, participant_id: str, change: Callable[[Participant, int], Participant]) -> Participant:
    async def attempt() -> Participant:
        before, now = await find(context, participant_id), context.now_ms()
        after = change(before, now)
        roster.check_entry(after)
        await _commit(context, [Change(before, after)], now)
        return msgspec.structs.replace(after, revision=before.revision + 1)

    entry = await retrying(attempt)
    log.info("participant changed", participant=entry.id, state=entry.state.value, vouched_by=entry.vouched_by)
    await _finish_soon(context, entry)
    return entry


# -- all of them ------------------------------------------------------------------------------------------------------


async def export(context: Context) -> list[Document]:
    """Every entry as a document, in order of their ids."""
    return [roster.document(each) async for each in _everybody(context)]


async def import_(context: Context, documents: Sequence[Any], *, again: bool = False) -> list[Participant]:
    """Make the entries of ``documents`` what they say, all or none; others stay. Gives those that are new or have changed.

    A change of state is the act of that name, with all that follows from it. Raises RosterRefused with every problem.
    """

    async def attempt() -> tuple[Change, ...]:
        known = {each.id: each async for each in _everybody(context)}
        now = context.now_ms()
        changes = roster.plan(documents, known, own_id=context.participant_id, again=again, now_ms=now)
        if changes:
            await _commit(context, changes, now)
        return changes

    changes = await retrying(attempt)
    entries = [await find(context, change.after.id) for change in changes]
    log.info("participants imported", given=len(documents), changed=len(entries))
    for entry in entries:
        await _finish_soon(context, entry)
    return entries


async def _everybody(context: Context, state: Admission | None = None) -> AsyncIterator[Participant]:
    last = ""
    while page := await context.registry.store.participants(after=last, limit=PAGE, state=state):
        for each in page:
            yield each
        last = page[-1].id


async def _commit(context: Context, changes: Sequence[Change], now: int) -> None:
    """One transaction; what waits for those who are shut out goes with it. Raises LostRace."""
    statements: list[Statement] = [
        rows.insert_participant(change.after) if change.before is None else rows.update_participant(change.after)
        for change in changes
    ]
    told = await context.leaves(of_participant(change.before, change.after) for change in changes)
    dropped = await context.store.engine.commit_returning([*statements, *told, rows.withdraw_extras(now)])
    context.journal.queued()
    for change in changes:
        context.registry.forget(change.after.id)
    for (message_id,) in dropped:
        context.forget(str(message_id))


# -- who is welcome ---------------------------------------------------------------------------------------------------


async def beginning(context: Context, counterparty: str, commit: Callable[[list[Statement]], Awaitable[Result]]) -> Result:
    """Commit the beginning of something new with a participant; ``commit`` gets what its transaction has to carry for that.

    Raises PolicyDenied if the participant is not welcome.
    """

    async def attempt() -> Result:
        found = await context.registry.standing_of(counterparty)
        shared = context.registry.store.shared
        return await commit([] if found is None else [rows.recheck(counterparty, found, shared=shared)])

    async def lost() -> None:
        context.registry.forget(counterparty)

    return await retrying(attempt, lost)


# -- what is open with those who are not welcome ----------------------------------------------------------------------


async def finish(context: Context) -> int:
    """End every process with participants that are not welcome; how many were ended. Harmless when repeated."""
    ended = 0
    for state in SHUT_OUT:
        async for entry in _everybody(context, state):
            ended += await _finish_with(context, entry)
    return ended


async def finishing(context: Context, pause_s: float = FINISH_EVERY_S) -> None:
    """Until cancelled: do what ``finish`` does, now and then. Whoever changed an entry may have died before it was through."""
    while True:
        await asyncio.sleep(pause_s)
        try:
            await finish(context)
        except (StoreUnavailable, Unavailable) as error:
            log.warning("what is open with who is not welcome cannot be ended now", error=str(error))


async def _finish_soon(context: Context, entry: Participant) -> None:
    """The entry has changed for good; if the rest fails, ``finishing`` goes on with it."""
    try:
        await _finish_with(context, entry)
    except (StoreUnavailable, Unavailable) as error:
        log.warning("not everything with it could be ended yet", participant=entry.id, error=str(error))


async def _finish_with(context: Context, entry: Participant) -> int:
    if entry.state.welcome:
        return 0
    ended, after = 0, (0, "")
    while page := await context.store.open_with(entry.id, after=after, limit=PAGE):
        for process in page:
            ended += await _end(context, process.id)
        after = (page[-1].created_at, page[-1].id)
    if ended:
        log.info("processes ended", participant=entry.id, state=entry.state.value, ended=ended)
    return ended


async def _end(context: Context, process_id: str) -> bool:
    """End one process, unless it is over by now or its counterparty is welcome again. Whether it was ended."""

    async def attempt() -> bool:
        process = await context.store.process(process_id)
        if process is None or process.state.final or process.awaiting is Message.TERMINATION:
            return False
        entry = await context.registry.store.participant(process.counterparty)
        if entry is None or entry.state.welcome:
            return False
        message_id = context.new_id()
        decision = _ending(process, entry, message_id, context.now_ms())
        if decision is None:
            return False
        note = Note(f"participant {entry.state.value}", Message.TERMINATION, message_id, entry.reason)
        context.hand_over(await save(context, process, decision, note, also=[rows.shut_out(entry.id)]))
        return True

    return await retrying(attempt)


def _ending(process: Process, entry: Participant, message_id: str, now: int) -> Decision | None:
    """A termination is the last message to it. Where our first message was never answered it knows of no process: we drop it."""
    code, reason = f"participant-{entry.state.value}", [entry.reason or f"you are {entry.state.value} here"]
    if process.state is not State.INITIAL:
        return core.want(process, Message.TERMINATION, {"code": code, "reason": reason}, message_id, now)
    why = Ended(by=process.role, code=code, reason=[*reason])
    known = replace(process, detail=msgspec.structs.replace(process.detail, ended=why))
    return core.expired(known, process.awaiting_id or "", message_id, now)
