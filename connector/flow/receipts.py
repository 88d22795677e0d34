"""Receipts: what a consumer got, signed by it, and what the provider has to say to that.

The consumer's receipt is committed with the completion of the transfer. The provider keeps what it receives as it came, then
verifies the signature and compares with the record of its data plane, and countersigns or disputes, naming the members that
differ. A key that cannot be found, or a data plane that is away, is asked again later: nothing is dropped. What differs is a line
in the timeline of the transfer on both sides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec
import orjson

from catalog.canonical import canonical_bytes, digest
from connector.flow.context import Context, Note, happening, retrying
from connector.flow.envelope import Letters, ask_once, instant, letter, takes
from connector.flow.inbound import check_texts
from connector.flow.leaves_evidence import of_receipt
from connector.flow.seals import RECEIPTS, TYPES
from connector.identity.seal import Sealed, SealRefused, opened
from connector.identity.signers import KeyAway
from connector.log.leaf import Draft
from connector.protocol.errors import BadMessage, CallerError, Unavailable
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, Role
from connector.store import evidence, writes
from connector.store.evidence import EvidenceStore, Receipt, ReceiptState
from connector.store.rows import Timer
from connector.telemetry import logger

CHECK_ALARM: Final = "receipt-check"
_KEY: Final = "receipt:"
"""Before the transfer in the name of its timer: the timers of the transfer itself go when it is over, this one stays."""
FIRST_PAUSE_MS: Final = 60_000
LONGEST_PAUSE_MS: Final = 21_600_000
MAX_TRIES: Final = 60
"""How often a signature is looked at whose key cannot be found: for about two weeks."""
COMPARED: Final = ("agreementId", "bytes", "sha256", "rows", "rowsDigest", "planDigest", "ledger")
NEEDED: Final = frozenset({"agreementId", "bytes", "sha256"})
"""Members that both sides must state; the others count where both do: a plain file has no rows and no plan."""
_STATED: Final = ("format", "planDigest", "rows", "bytes", "sha256", "rowsDigest", "ledger", "verified", "meters")
log = logger("receipts")
_RECORDED: Final = ("meters", "permission", "firstByteAt", "runningDigest")
"""Members of the provider's record beside those that are compared; the running digest: of all that an HTTP source answered."""
Whole = Any


class _Signed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What both documents name; members that are not ours are kept in the stored text."""

    id: str
    provider: str
    consumer: str
    provider_pid: str
    consumer_pid: str
    agreement_id: str


class _Answered(_Signed, frozen=True, kw_only=True, rename="camel"):
    """The provider's word on the receipt with this id and digest."""

    receipt: str
    receipt_digest: str
    verdict: str
    differences: list[dict[str, Any]] = []


# -- consumer ---------------------------------------------------------------------------------------------------------


async def made(context: Context, process: Process, report: Document, letters: Letters) -> None:
    """Add the receipt of a transfer whose data our data plane has reported as complete; sent, or kept until the provider says
    that it takes receipts. Nothing without a key to sign with, for the second time, or for a report without size and digest."""
    if not context.seals.signs or report.get("bytes") is None or report.get("sha256") is None:
        return
    if await EvidenceStore(context.store.engine).receipt(process.id) is not None:
        return
    now = context.now_ms()
    content = receipt_of(context, process, report, now)
    signed = context.seals.sign("Receipt", content)
    taken = await takes(context, process.counterparty, RECEIPTS)
    receipt = Receipt(
        transfer=process.id,
        id=content["id"],
        role=process.role.value,
        counterparty=process.counterparty,
        agreement=process.subject,
        state="sent" if taken else "signed",
        content=canonical_bytes(content).decode(),
        signed=signed,
        created_at=now,
        updated_at=now,
    )
    letters.statements += [evidence.insert_receipt(receipt), _line(process, now, "receipt signed")]
    letters.tell(of_receipt(receipt))
    if taken:
        letters.send(letter(context, process.counterparty, process.peer_address, "Receipt", signed=signed, process_id=process.id))
    elif taken is None:
        await ask_once(context, process.counterparty, process.peer_address, letters)


def receipt_of(context: Context, process: Process, report: Document, now: int) -> Document:
    """What the consumer signs: names, what was received, and from the request to the report as the interval."""
    provider_pid, consumer_pid = process.pids
    return {
        "type": "Receipt",
        "id": context.new_id(),
        "agreementId": process.subject,
        "provider": process.counterparty,
        "consumer": context.participant_id,
        "providerPid": provider_pid,
        "consumerPid": consumer_pid,
        **{name: report[name] for name in _STATED if report.get(name) is not None},
        "interval": {"from": instant(process.created_at), "to": instant(now)},
        "issuedAt": instant(now),
    }


async def waiting(context: Context, counterparty: str, letters: Letters, limit: int) -> int:
    """Send the oldest receipts that waited for a provider to take them; how many."""
    found = await EvidenceStore(context.store.engine).receipts_in(counterparty, "signed", limit)
    for receipt in found:
        process = await context.store.process(receipt.transfer)
        if process is None:
            continue
        letters.send(letter(context, counterparty, process.peer_address, "Receipt", signed=receipt.signed, process_id=process.id))
        sent = replace(receipt, state="sent", updated_at=context.now_ms())
        letters.statements.append(evidence.update_receipt(sent))
        letters.tell(of_receipt(sent))
    return len(found)


async def take_answer(context: Context, sender: str, document: Document, letters: Letters) -> None:
    """A provider's answer: kept, and verified right after. Raises BadMessage if it is about no receipt of ours."""
    sealed, said = read(document, sender, "ReceiptAnswer", _Answered)
    receipt = await EvidenceStore(context.store.engine).receipt(said.consumer_pid)
    mine = receipt is not None and receipt.role == Role.CONSUMER.value and receipt.counterparty == sender
    if receipt is None or not mine or (said.receipt, said.receipt_digest) != (receipt.id, _digest_of(receipt)):
        raise BadMessage("receipt-unknown", "this answers no receipt that we have sent you")
    if said.verdict not in ("countersigned", "disputed") or (said.provider, said.consumer) != (sender, context.participant_id):
        raise BadMessage("answer-invalid", "a receipt is countersigned or disputed, by the provider that it names")
    if receipt.state in ("countersigned", "disputed"):
        if receipt.answer != sealed.raw:
            raise BadMessage("receipt-answered", "you have answered this receipt before; the first answer holds")
        return
    now = context.now_ms()
    answered = replace(receipt, state="answered", answer=sealed.raw, tries=0, updated_at=now)
    letters.statements.append(evidence.update_receipt(answered))
    letters.tell(of_receipt(answered))
    letters.wake_at(Timer(context.new_id(), CHECK_ALARM, _KEY + receipt.transfer, now))


async def _check_answer(context: Context, timer: Timer, receipt: Receipt) -> None:
    sealed = opened(receipt.answer, TYPES["ReceiptAnswer"], receipt.counterparty)
    said = msgspec.convert(sealed.content, _Answered)
    now = context.now_ms()
    try:
        thumbprint = await context.seals.verified(sealed, receipt.counterparty)
    except KeyAway as away:
        await _again(context, timer, receipt, away)
        return
    except SealRefused as refused:
        log.warning("an answer to a receipt does not hold", counterparty=receipt.counterparty, code=refused.code)
        back = replace(receipt, state="sent", answer="", updated_at=now)
        await _settle(context, timer, back, of_receipt(back), "receipt answer refused", refused.code)
        return
    state: Any = said.verdict
    findings = orjson.dumps(said.differences[: len(COMPARED)]).decode()
    done = replace(receipt, state=state, findings=findings, thumbprint=thumbprint, updated_at=now)
    told = of_receipt(done, keys=await _keys(context, sealed, receipt.counterparty))
    await _settle(context, timer, done, told, f"receipt {state}", _named(said.differences))


# -- provider ---------------------------------------------------------------------------------------------------------


async def take_receipt(context: Context, sender: str, document: Document, letters: Letters) -> None:
    """A consumer's receipt: kept as it came, verified and answered right after. Raises BadMessage if it is about no transfer of
    the sender's, or another one than it has sent before."""
    sealed, said = read(document, sender, "Receipt", _Signed)
    process = await context.store.process(said.provider_pid)
    if process is None or not _about(process, said, sender) or said.provider != context.participant_id:
        raise BadMessage("transfer-unknown", "the receipt names no transfer of yours here, or names it wrongly")
    now = context.now_ms()
    known = await EvidenceStore(context.store.engine).receipt(process.id)
    kept = Receipt(
        transfer=process.id,
        id=said.id,
        role=process.role.value,
        counterparty=sender,
        agreement=process.subject,
        state="received",
        content=canonical_bytes(sealed.content).decode(),
        signed=sealed.raw,
        created_at=now,
        updated_at=now,
    )
    if known is not None and known.state != "invalid":
        if known.content != kept.content:
            raise BadMessage("receipt-known", "there is another receipt of this transfer; a transfer has one")
        return
    write = evidence.insert_receipt(kept) if known is None else evidence.update_receipt(replace(kept, version=known.version))
    letters.statements += [write, _line(process, now, "receipt received")]
    letters.tell(of_receipt(kept))
    letters.wake_at(Timer(context.new_id(), CHECK_ALARM, _KEY + process.id, now))


def _about(process: Process, said: _Signed, sender: str) -> bool:
    """Whether a receipt of ``sender`` names this transfer and all that it is between."""
    ours = process.kind is Kind.TRANSFER and process.role is Role.PROVIDER and process.counterparty == sender
    return ours and (said.consumer_pid, said.consumer, said.agreement_id) == (process.peer_pid, sender, process.subject)


async def _check_receipt(context: Context, timer: Timer, receipt: Receipt) -> None:
    sealed = opened(receipt.signed, TYPES["Receipt"], receipt.counterparty)
    now = context.now_ms()
    try:
        thumbprint = await context.seals.verified(sealed, receipt.counterparty)
    except KeyAway as away:
        await _again(context, timer, receipt, away, "unverified")
        return
    except SealRefused as refused:
        log.warning("a receipt does not hold", counterparty=receipt.counterparty, code=refused.code)
        invalid = replace(receipt, state="invalid", updated_at=now)
        await _settle(context, timer, invalid, of_receipt(invalid), "receipt refused", refused.code)
        return
    try:
        record = await context.seals.ask("GET", f"/carnet/deliveries/{receipt.transfer}", None)
    except CallerError:
        record = {}
    except Unavailable as away:
        await _again(context, timer, receipt, away)
        return
    await _answer(context, timer, replace(receipt, thumbprint=thumbprint, updated_at=now), sealed, record)


async def _answer(context: Context, timer: Timer, receipt: Receipt, sealed: Sealed, record: Document) -> None:
    process = await context.store.process(receipt.transfer)
    if process is None or not context.seals.signs:
        await context.store.commit([replace(writes.delete_timer(timer.id), expect=None)])
        return
    found = differences(sealed.content, record)
    verdict: Any = "disputed" if found else "countersigned"
    content = answer_of(context, sealed, record, found, verdict)
    signed = context.seals.sign("ReceiptAnswer", content)
    letters = Letters()
    message = letter(context, receipt.counterparty, process.peer_address, "ReceiptAnswer", signed=signed, process_id=process.id)
    letters.send(message)
    done = replace(receipt, state=verdict, answer=signed, findings=orjson.dumps(found).decode())
    told = of_receipt(done, record, await _keys(context, sealed, receipt.counterparty))
    await _settle(context, timer, done, told, f"receipt {verdict}", _named(found), letters)


async def _keys(context: Context, sealed: Sealed, signer: str) -> list[Document]:
    """The key with which the other side's signature was verified, as it was found then: for the contract log."""
    found = await context.seals.snapshot(signer, sealed.kid) if context.logs else {}
    return [found] if found else []


def answer_of(context: Context, sealed: Sealed, record: Document, found: list[Document], verdict: str) -> Document:
    """What the provider signs: the receipt by its digest, the verdict, and its own record."""
    said = sealed.content
    names = {name: said[name] for name in ("agreementId", "provider", "consumer", "providerPid", "consumerPid")}
    own = {name: record[name] for name in (*COMPARED, *_RECORDED) if record.get(name) is not None}
    return {
        "type": "ReceiptAnswer",
        "id": context.new_id(),
        **names,
        "receipt": said["id"],
        "receiptDigest": sealed.digest,
        "verdict": verdict,
        "compared": [name for name in COMPARED if name in said and own.get(name) is not None],
        "differences": found,
        "record": own,
        "issuedAt": instant(context.now_ms()),
    }


def differences(receipt: Document, record: Document) -> list[Document]:
    """The members in which a receipt and the provider's own record of the delivery differ, with both values. No I/O."""
    if not record:
        return [{"member": "delivery", "consumer": receipt.get("providerPid"), "provider": None}]
    found = []
    if record.get("counterparty", receipt.get("consumer")) != receipt.get("consumer"):
        found.append({"member": "consumer", "consumer": receipt.get("consumer"), "provider": None})
    for name in COMPARED:
        theirs, ours = receipt.get(name), record.get(name)
        silent = theirs is None or ours is None
        if theirs != ours and (not silent or name in NEEDED):
            found.append({"member": name, "consumer": theirs, "provider": ours})
    return found


# -- both -------------------------------------------------------------------------------------------------------------


async def check(context: Context, timer: Timer) -> None:
    """A receipt, or the answer to one, is to be verified. Harmless when repeated."""

    async def attempt() -> None:
        receipt = await EvidenceStore(context.store.engine).receipt(timer.process_id.removeprefix(_KEY))
        if receipt is not None and receipt.state in ("received", "unverified"):
            await _check_receipt(context, timer, receipt)
        elif receipt is not None and receipt.state == "answered":
            await _check_answer(context, timer, receipt)
        else:
            await context.store.commit([replace(writes.delete_timer(timer.id), expect=None)])

    await retrying(attempt)


def read(document: Document, sender: str, name: str, form: type[Whole]) -> tuple[Sealed, Whole]:
    """What a message carries, before its signature is verified. Raises BadMessage."""
    sealed = opened(document["signed"], TYPES[name], sender)
    check_texts(sealed.content)
    if sealed.content.get("type") != name:
        raise BadMessage("content-type", f"what is signed must say that it is a {name}")
    try:
        return sealed, msgspec.convert(sealed.content, form)
    except msgspec.ValidationError as error:
        raise BadMessage("content-invalid", f"what is signed is no {name}: {error}") from error


def pause_ms(tries: int) -> int:
    """How long to wait after so many looks that were in vain: doubling, up to the longest."""
    return int(min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(tries, 20)))


async def _again(context: Context, timer: Timer, receipt: Receipt, why: Unavailable, state: ReceiptState | None = None) -> None:
    """Look again later. Who has no key after many looks stays unverified."""
    now = context.now_ms()
    log.info("a receipt cannot be checked now", counterparty=receipt.counterparty, code=why.code, tries=receipt.tries + 1)
    over = receipt.tries + 1 >= MAX_TRIES and isinstance(why, KeyAway)
    due_at = now + pause_ms(receipt.tries)
    follow = replace(writes.delete_timer(timer.id), expect=None) if over else writes.postpone_timer(timer.id, due_at)
    kept = replace(receipt, state=state or receipt.state, tries=receipt.tries + 1, updated_at=now)
    told = [] if kept.state == receipt.state else [of_receipt(kept)]
    await context.commit([evidence.update_receipt(kept), follow], told)
    context.timer_set(due_at)


async def _settle(
    context: Context, timer: Timer, receipt: Receipt, told: Draft, what: str, note: str, letters: Letters | None = None
) -> None:
    """Commit what came of it, with a line in the timeline."""
    process = await context.store.process(receipt.transfer)
    lines = [] if process is None else [_line(process, receipt.updated_at, what, note)]
    done = [evidence.update_receipt(receipt), *lines, replace(writes.delete_timer(timer.id), expect=None)]
    letters = letters or Letters()
    letters.tell(told)
    await letters.commit(context, *done)
    log.info(what, counterparty=receipt.counterparty, transfer=receipt.transfer, note=note)


def _line(process: Process, now: int, what: str, note: str = "") -> Any:
    return writes.insert_event(happening(replace(process, updated_at=now), Note(what, text=note[:2000] or None)))


def _named(found: list[dict[str, Any]]) -> str:
    """The members that differ, each with what either side says."""
    told = [f"{each.get('member')!s:.40}: {each.get('consumer')!s:.80} / {each.get('provider')!s:.80}" for each in found]
    return "; ".join(told[: len(COMPARED)])


def _digest_of(receipt: Receipt) -> str:
    return digest(orjson.loads(receipt.content))
