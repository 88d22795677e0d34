"""The consumer's half of erasures: a notice is kept and verified, our data plane erases, and we say so under our signature.

The data plane is told through the outbox, so that it is told until it has done it, whatever dies in between. Data fetched by a
program of ours, outside our data plane, is out of reach, and the attestation says so. The same serves duties to delete, whose
timer stands since the agreement: then whole files go.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
import orjson
from msgspec import Meta

from connector.flow.context import Context, retrying
from connector.flow.envelope import Letters, ask_once, instant, letter, takes
from connector.flow.erasing import Value, check_attestation, fulfilled, lines_of, load, outcome
from connector.flow.leaves_evidence import of_duty
from connector.flow.owed import CHECK_ALARM, OVERDUE_ALARM, timer_key
from connector.flow.receipts import pause_ms, read
from connector.flow.seals import ERASURES, TYPES
from connector.identity.seal import SealRefused, opened
from connector.identity.signers import KeyAway
from connector.protocol.errors import BadMessage, Conflict, NotFound
from connector.protocol.messages import Document
from connector.protocol.record import Ended, Process
from connector.protocol.states import Role
from connector.store import evidence, writes
from connector.store.engine import Statement
from connector.store.evidence import Duty, EvidenceStore
from connector.store.rows import Outgoing, Timer
from connector.telemetry import logger

ERASE: Final = "erase"
"""The message to the data plane, in the channel of flows."""
FOR_EVER_MS: Final = 315_360_000_000
"""How long the data plane is told to erase (ms): ten years."""
MAX_LISTED: Final = 200
"""Most files, and most transfers out of reach, that one attestation lists."""
WHY_CHARS: Final = 200
OUTSIDE: Final = "fetched by a program of the consumer, not by its connector"
log = logger("erasure")


class Notice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a provider signs: ``transfers`` are our own ids."""

    id: Annotated[str, Meta(min_length=1, max_length=1024)]
    agreement_id: str
    provider: str
    consumer: str
    deadline: str
    transfers: Annotated[list[str], Meta(min_length=1, max_length=1000)]
    pseudonyms: Annotated[list[Value], Meta(max_length=10_000)] = []
    references: Annotated[list[Value], Meta(max_length=10_000)] = []
    trips: Annotated[list[Value], Meta(max_length=10_000)] = []


class Gone(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One file that the data plane has changed or removed; without ``sha256_after`` it is gone."""

    transfer: str
    file: str = ""
    rows: int | None = None
    sha256_before: str | None = None
    sha256_after: str | None = None


class Beyond(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer whose data the data plane cannot reach."""

    transfer: str
    why: str = ""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What the data plane answers."""

    erased: list[Gone] = []
    outside: list[Beyond] = []


# -- the notice -------------------------------------------------------------------------------------------------------


async def take_notice(context: Context, sender: str, document: Document, letters: Letters) -> None:
    """A provider's notice: kept as it came, verified and obeyed right after. Raises BadMessage if it names what is not its
    own."""
    sealed, said = read(document, sender, "ErasureNotice", Notice)
    store, now = EvidenceStore(context.store.engine), context.now_ms()
    if (said.provider, said.consumer) != (sender, context.participant_id):
        raise BadMessage("notice-foreign", "a notice names the provider that sends it and the consumer that gets it")
    ours = set(await store.transfers_under(said.agreement_id, sender, Role.CONSUMER))
    if not ours.issuperset(said.transfers):
        raise BadMessage("transfer-unknown", "the notice names a transfer that is none of ours from you under this agreement")
    known = await store.duty(sender, Role.CONSUMER, said.id)
    if known is not None:
        if known.digest != sealed.digest or known.state == "refused":
            raise BadMessage("notice-known", "there is another notice of this id, or it did not hold; use a new one")
        return
    duty = Duty(
        counterparty=sender,
        role=Role.CONSUMER.value,
        id=said.id,
        kind="erase",
        agreement=said.agreement_id,
        state="pending",
        digest=sealed.digest,
        content=orjson.dumps(sealed.content).decode(),
        notice=sealed.raw,
        due_at=_moment(said.deadline),
        created_at=now,
        updated_at=now,
    )
    letters.statements.append(evidence.insert_duty(duty))
    letters.tell(of_duty(duty, "received", now))
    letters.wake_at(Timer(context.new_id(), CHECK_ALARM, _key(duty), now))


def _moment(text: str) -> int:
    """ISO 8601 with a zone, in ms since the epoch. Raises BadMessage."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    raise BadMessage("notice-deadline", "the deadline is a moment with its time zone, as ISO 8601 has it")


# -- erasing ----------------------------------------------------------------------------------------------------------


async def check(context: Context, timer: Timer) -> None:
    """Something about a duty is to be done now: verify an attestation or a notice, or erase. Harmless when repeated."""

    async def attempt() -> None:
        duty = await load(context, timer.process_id)
        if duty is not None and duty.role == Role.PROVIDER.value and duty.state in ("attested", "unverified"):
            await check_attestation(context, timer, duty)
        elif duty is not None and duty.role == Role.CONSUMER.value and duty.state == "pending":
            await _obey(context, timer, duty)
        else:
            await context.store.commit([replace(writes.delete_timer(timer.id), expect=None)])

    await retrying(attempt)


async def _obey(context: Context, timer: Timer, duty: Duty) -> None:
    now = context.now_ms()
    taken = replace(writes.delete_timer(timer.id), expect=None)
    if duty.kind == "erase" and not duty.thumbprint:
        try:
            thumbprint = await context.seals.verified(
                opened(duty.notice, TYPES["ErasureNotice"], duty.counterparty), duty.counterparty
            )
        except SealRefused as refused:
            log.warning("a notice to erase does not hold", counterparty=duty.counterparty, code=refused.code)
            lines = await lines_of(context, duty, now, "erasure notice refused", refused.code)
            gone = evidence.update_duty(replace(duty, state="refused", updated_at=now))
            await context.commit([gone, *lines, taken], [of_duty(duty, "refused", now, refused.code)])
            return
        except KeyAway as away:
            # Who called was recognised as the provider; that its signature cannot be verified now keeps nobody's data longer.
            log.warning("a notice to erase is obeyed unverified", counterparty=duty.counterparty, code=away.code)
            thumbprint = "unverified"
        duty = replace(duty, thumbprint=thumbprint)
    transfers, _ = await _reachable(context, duty)
    erasing = replace(duty, state="erasing", updated_at=now)
    if not transfers:
        letters = Letters()
        await _attest(context, erasing, Done(), letters)
        await letters.commit(context, taken)
        return
    letters = Letters()
    letters.send(_command(context, duty, transfers, now))
    lines = await lines_of(context, duty, now, "erasing", "by a notice" if duty.kind == "erase" else "by a duty of the agreement")
    await letters.commit(context, evidence.update_duty(erasing), *lines, taken)


async def _reachable(context: Context, duty: Duty) -> tuple[list[str], list[str]]:
    """Our transfers that a duty is about: those that our data plane fetched, and those that it did not."""
    store, content = EvidenceStore(context.store.engine), orjson.loads(duty.content)
    named = content.get("transfers") or await store.transfers_under(duty.agreement, duty.counterparty, Role.CONSUMER)
    found = [process for process in [await context.store.process(each) for each in named] if process is not None]
    return [each.id for each in found if each.detail.sink is not None], [each.id for each in found if each.detail.sink is None]


def _command(context: Context, duty: Duty, transfers: list[str], now: int) -> Outgoing:
    content = orjson.loads(duty.content)
    body = {
        # Two providers may choose the same id for a notice; our data plane knows an order by its id alone.
        "id": f"urn:carnet:erase:{sha256(_key(duty).encode()).hexdigest()}",
        "transfers": transfers,
        "pseudonyms": content.get("pseudonyms", []),
        "references": content.get("references", []),
        "trips": content.get("trips", []),
        "whole": duty.kind == "delete",
    }
    return Outgoing(
        id=context.new_id(),
        lane=f"erase:{_key(duty)}",
        channel="flow",
        counterparty="data-plane",
        process_id=_key(duty),
        message=ERASE,
        url="/carnet/erasures",
        body=orjson.dumps(body).decode(),
        correlation_id=context.new_id(),
        created_at=now,
        deadline_at=now + FOR_EVER_MS,
        due_at=now,
    )


async def erased(context: Context, message: Outgoing, answer: Document | None) -> None:
    """The data plane has erased: attest it. Harmless when repeated."""
    try:
        done = msgspec.convert(answer or {}, Done)
    except msgspec.ValidationError:
        await refused(
            context, message, Ended(by=Role.CONSUMER, code="answer-invalid", reason=["the data plane's answer is no report"])
        )
        return

    async def attempt() -> None:
        duty = await load(context, message.process_id)
        gone = writes.delete_outgoing(message.id)
        if duty is None or duty.state != "erasing":
            await context.store.commit([gone])
            return
        letters = Letters()
        await _attest(context, duty, done, letters)
        await letters.commit(context, gone)

    await retrying(attempt)


async def refused(context: Context, message: Outgoing, why: Ended) -> None:
    """The data plane does not do it: it is told again later, and the duty becomes overdue in front of everybody."""

    async def attempt() -> None:
        duty = await load(context, message.process_id)
        gone = writes.delete_outgoing(message.id)
        if duty is None or duty.state != "erasing":
            await context.store.commit([gone])
            return
        now = context.now_ms()
        log.error("the data plane does not erase; told again later", duty=duty.id, code=why.code, tries=duty.tries + 1)
        letters = Letters()
        letters.wake_at(Timer(context.new_id(), CHECK_ALARM, _key(duty), now + pause_ms(duty.tries)))
        back: Duty = replace(duty, state="pending", tries=duty.tries + 1, updated_at=now)
        lines = await lines_of(context, duty, now, "erasing was refused", f"{why.code}"[:100])
        await letters.commit(context, evidence.update_duty(back), *lines, gone)

    await retrying(attempt)


# -- the attestation --------------------------------------------------------------------------------------------------


async def _attest(context: Context, duty: Duty, done: Done, letters: Letters) -> None:
    """The duty is fulfilled: our word on it, queued if the provider takes it, else kept until it does."""
    now = context.now_ms()
    _, outside = await _reachable(context, duty)
    gone = [_gone(each) for each in done.erased]
    beyond = [{"transfer": each.transfer, "why": each.why[:WHY_CHARS]} for each in done.outside]
    beyond += [{"transfer": each, "why": OUTSIDE} for each in outside]
    content = {
        "type": "ErasureAttestation",
        "id": context.new_id(),
        "notice": duty.id,
        "noticeDigest": duty.digest,
        "agreementId": duty.agreement,
        "provider": duty.counterparty,
        "consumer": context.participant_id,
        "kind": duty.kind,
        "erased": gone[:MAX_LISTED],
        "outside": beyond[:MAX_LISTED],
        "counts": {"erased": len(gone), "outside": len(beyond)},
        "erasedAt": instant(now),
    }
    signed = context.seals.sign("ErasureAttestation", content)
    kept = replace(fulfilled(duty, now), attestation=signed, outcome=outcome(gone, beyond))
    process = await _some(context, duty)
    taken = await takes(context, duty.counterparty, ERASURES)
    if process is not None and (taken or duty.kind == "erase"):
        kept = replace(kept, told_at=now)
        letters.send(_attestation(context, kept, process))
    elif process is not None and taken is None:
        await ask_once(context, duty.counterparty, process.peer_address, letters)
    lines: list[Statement] = await lines_of(context, duty, now, "erased", f"{len(gone)} files, {len(beyond)} out of reach")
    letters.statements += [evidence.update_duty(kept), *lines]
    letters.tell(of_duty(kept, "erased", now))
    log.info("erased", duty=duty.id, counterparty=duty.counterparty, files=len(gone), outside=len(beyond))


def _gone(each: Gone) -> Document:
    """What is told of a file: its name without the folders, which are nobody else's business."""
    found = {"transfer": each.transfer, "file": each.file.replace("\\", "/").rpartition("/")[2][:256], "rows": each.rows}
    found |= {"sha256Before": each.sha256_before, "sha256After": each.sha256_after}
    return {name: value for name, value in found.items() if value is not None}


def _attestation(context: Context, duty: Duty, process: Process) -> Outgoing:
    address = process.peer_address
    return letter(
        context,
        duty.counterparty,
        address,
        "ErasureAttestation",
        signed=duty.attestation,
        deadline_at=context.now_ms() + FOR_EVER_MS,
    )


async def waiting(context: Context, counterparty: str, letters: Letters, limit: int) -> int:
    """Send the oldest attestations that waited for a provider to take them; how many."""
    found = await EvidenceStore(context.store.engine).unattested(counterparty, limit)
    for duty in found:
        process = await _some(context, duty)
        if process is not None:
            now = context.now_ms()
            letters.send(_attestation(context, duty, process))
            letters.statements.append(evidence.update_duty(replace(duty, told_at=now, updated_at=now)))
    return len(found)


async def _some(context: Context, duty: Duty) -> Process | None:
    """A process with the counterparty under the agreement: it knows where that is reached."""
    found = await EvidenceStore(context.store.engine).transfers_under(duty.agreement, duty.counterparty, Role.CONSUMER, 1)
    if found:
        return await context.store.process(found[0])
    agreement = await context.store.agreement(duty.agreement, duty.counterparty, Role.CONSUMER)
    return None if agreement is None else await context.store.process(agreement.negotiation_id)


async def happened(context: Context, counterparty: str, role: Literal["consumer", "provider"], duty_id: str) -> Duty:
    """The event that a duty to delete waits for has happened: it is due now. The consumer erases, the provider expects it.

    Raises NotFound, or Conflict for a duty that waits for none.
    """

    async def attempt() -> Duty:
        duty = await EvidenceStore(context.store.engine).duty(counterparty, Role(role), duty_id)
        if duty is None:
            raise NotFound("duty-unknown", "there is no such duty; see: carnet duties")
        if duty.state != "waiting":
            raise Conflict("duty-not-waiting", f"this duty is {duty.state} and waits for no event")
        now = context.now_ms()
        due_at, content = now + context.seals.erasure_ms, orjson.dumps({**orjson.loads(duty.content), "happenedAt": now}).decode()
        due: Duty = replace(duty, state="pending", due_at=due_at, content=content, updated_at=now)
        letters = Letters([evidence.update_duty(due)])
        letters.tell(of_duty(due, "ordered", now))
        if duty.role == Role.CONSUMER.value:
            letters.wake_at(Timer(context.new_id(), CHECK_ALARM, _key(duty), now))
        else:
            letters.wake_at(Timer(context.new_id(), OVERDUE_ALARM, _key(duty), due_at + 1))
        await letters.commit(context)
        return due

    return await retrying(attempt)


def _key(duty: Duty) -> str:
    return timer_key(duty.counterparty, duty.role, duty.id)
