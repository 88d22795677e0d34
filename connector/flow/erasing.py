"""Erasures: the provider tells who got it what has to go, the consumer erases and says under its signature what it did.

Provider: an order of the data plane becomes duties and notices (:func:`ordered`); an attestation is kept, verified, and fulfils
its duty; what is not fulfilled by its deadline is listed, and told again every day. The consumer's half is ``erasure.py``.
Pseudonyms, references and trips stand in the notice and in the open duty only: no log, no timeline, and nothing of them once the
duty is fulfilled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec
import orjson
from msgspec import Meta

from catalog.canonical import digest
from connector.flow.context import Context, Note, happening, retrying
from connector.flow.envelope import Letters, ask_once, instant, letter, takes
from connector.flow.leaves_evidence import of_duty
from connector.flow.owed import CHECK_ALARM, OVERDUE_ALARM, timer_key
from connector.flow.receipts import MAX_TRIES, pause_ms, read
from connector.flow.seals import ERASURES, TYPES
from connector.flow.using import TERMS_ALARM
from connector.identity.seal import SealRefused, opened
from connector.identity.signers import KeyAway
from connector.protocol.errors import BadMessage, CallerError
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, Role
from connector.store import evidence, writes
from connector.store.evidence import Duty, EvidenceStore
from connector.store.rows import Timer
from connector.telemetry import logger

MAX_DELIVERIES: Final = 10_000
MAX_VALUES: Final = 200_000
NOTICE_TRANSFERS: Final = 100
NOTICE_VALUES: Final = 2000
"""Most transfers and most names of vehicles in one notice; an order of more becomes several."""
NAMES: Final = ("pseudonyms", "references", "trips")
"""By what the rows of vehicles are found. Trips are named where rows have no other name."""
AGAIN_MS: Final = 86_400_000
"""How often an overdue notice is sent again (ms)."""
log = logger("erasing")
Name = Annotated[str, Meta(min_length=1, max_length=2048)]
Value = Annotated[str, Meta(min_length=1, max_length=256)]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What was in one delivery of ours: ``transfer`` is our process id."""

    transfer: Name
    pseudonyms: list[Value] = []
    references: list[Value] = []
    trips: list[Value] = []

    @property
    def values(self) -> dict[str, list[Value]]:
        """What it was named by, by ``NAMES``."""
        return {"pseudonyms": self.pseudonyms, "references": self.references, "trips": self.trips}


class Order(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the data plane wants erased at one buyer under one agreement; ``id`` stays the same when it is said again."""

    id: Annotated[str, Meta(min_length=1, max_length=512)]
    agreement_id: Name
    counterparty: Name
    deliveries: Annotated[list[Delivery], Meta(min_length=1, max_length=MAX_DELIVERIES)]
    reason: Annotated[str, Meta(max_length=256)] = "consent-withdrawn"
    ledger: int | None = None


class Attested(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a consumer signs about a notice, or a duty to delete: ``erased`` and ``outside`` by its own transfers."""

    notice: str
    notice_digest: str
    agreement_id: str
    provider: str
    consumer: str
    erased: list[dict[str, Any]] = []
    outside: list[dict[str, Any]] = []


# -- the order of the data plane --------------------------------------------------------------------------------------


async def ordered(context: Context, order: Order) -> list[Duty]:
    """The duties that an order has made, each with its deadline and, where the buyer takes notices, its notice on the way.

    Idempotent by the order's id. None for an order without pseudonyms, references and trips: what was delivered names no
    vehicle, so that nothing can be found in it. Raises CallerError for transfers that are not the buyer's under that agreement.
    """

    async def attempt() -> list[Duty]:
        store, now = EvidenceStore(context.store.engine), context.now_ms()
        peers = await _peers_of(context, order)
        told = await takes(context, order.counterparty, ERASURES)
        letters, made = Letters(), []
        for content in _notices(context, order, peers, now):
            known = await store.duty(order.counterparty, Role.PROVIDER, content["id"])
            made.append(known or _expect(context, content, peers[0], told=bool(told), letters=letters))
        if not letters.statements:
            return made
        letters.statements += [_line(process, now, "erasure asked for", order.id) for process in peers]
        if told is None:
            await ask_once(context, order.counterparty, peers[0].peer_address, letters)
        await letters.commit(context)
        log.info("erasure asked for", order=order.id, counterparty=order.counterparty, transfers=len(peers), notices=len(made))
        return made

    return await retrying(attempt)


async def _peers_of(context: Context, order: Order) -> list[Process]:
    """Our transfers that the order names. Raises CallerError."""
    if sum(len(values) for each in order.deliveries for values in each.values.values()) > MAX_VALUES:
        raise CallerError("erasure-too-large", f"at most {MAX_VALUES} pseudonyms, references and trips in one order")
    found: dict[str, Process] = {}
    for each in order.deliveries:
        process = await context.store.process(each.transfer)
        good = process is not None and process.kind is Kind.TRANSFER and process.role is Role.PROVIDER
        if process is None or not good or (process.counterparty, process.subject) != (order.counterparty, order.agreement_id):
            raise CallerError("transfer-unknown", "a delivery names no transfer of this buyer under this agreement")
        found[process.id] = process
    return list(found.values())


def _notices(context: Context, order: Order, peers: list[Process], now: int) -> Iterator[Document]:
    """The contents of the notices."""
    for number, (transfers, part) in enumerate(_parts(order, {each.id: str(each.peer_pid) for each in peers}), 1):
        named: dict[str, list[str]] = {"pseudonyms": [], "references": []}
        for name, value in part:
            named.setdefault(name, []).append(value)
        yield {
            "type": "ErasureNotice",
            "id": order.id if number == 1 else f"{order.id}#{number}",
            "agreementId": order.agreement_id,
            "provider": context.participant_id,
            "consumer": order.counterparty,
            "transfers": transfers,
            **named,
            "reason": order.reason,
            **({} if order.ledger is None else {"ledger": order.ledger}),
            "deadline": instant(now + context.seals.erasure_ms),
            "issuedAt": instant(now),
        }


def _parts(order: Order, peers: dict[str, str]) -> Iterator[tuple[list[str], list[tuple[str, str]]]]:
    """Transfers, by the buyer's ids, with names of vehicles: in portions, each name for all transfers that have names of its
    kind, as a pseudonym is the same in all of them."""
    alike: dict[tuple[str, ...], list[Delivery]] = {}
    for each in order.deliveries:
        alike.setdefault(tuple(name for name in NAMES if each.values[name]), []).append(each)
    for kinds, deliveries in alike.items():
        values = [(name, value) for name in kinds for value in sorted({one for each in deliveries for one in each.values[name]})]
        transfers = list(dict.fromkeys(peers[each.transfer] for each in deliveries))
        for some in _portions(transfers, NOTICE_TRANSFERS):
            for part in _portions(values, NOTICE_VALUES):
                yield some, part


def _portions(whole: list[Any], most: int) -> list[list[Any]]:
    return [whole[start : start + most] for start in range(0, len(whole), most)]


def _expect(context: Context, content: Document, process: Process, *, told: bool, letters: Letters) -> Duty:
    now = context.now_ms()
    duty = Duty(
        counterparty=content["consumer"],
        role=Role.PROVIDER.value,
        id=content["id"],
        kind="erase",
        agreement=content["agreementId"],
        state="pending",
        digest=digest(content),
        content=orjson.dumps(content).decode(),
        notice=context.seals.sign("ErasureNotice", content),
        due_at=now + context.seals.erasure_ms,
        told_at=now if told else None,
        created_at=now,
        updated_at=now,
    )
    letters.statements.append(evidence.insert_duty(duty))
    letters.tell(of_duty(duty, "ordered", now))
    letters.wake_at(Timer(context.new_id(), OVERDUE_ALARM, _key(duty), (duty.due_at or now) + 1))
    if told:
        _notify(context, duty, process, letters)
    return duty


def _notify(context: Context, duty: Duty, process: Process, letters: Letters) -> None:
    late = duty.due_at or 0
    letters.tell(of_duty(duty, "told", context.now_ms()))
    message = letter(
        context,
        duty.counterparty,
        process.peer_address,
        "ErasureNotice",
        signed=duty.notice,
        process_id=process.id,
        deadline_at=max(late, context.now_ms() + AGAIN_MS),
    )
    letters.send(message)


async def waiting(context: Context, counterparty: str, letters: Letters, limit: int) -> int:
    """Send the oldest notices that waited for a buyer to take them; how many."""
    found = await EvidenceStore(context.store.engine).untold(counterparty, limit)
    for duty in found:
        process = await _some_transfer(context, duty)
        if process is not None:
            _notify(context, duty, process, letters)
            now = context.now_ms()
            letters.statements.append(evidence.update_duty(replace(duty, told_at=now, updated_at=now)))
    return len(found)


async def _some_transfer(context: Context, duty: Duty) -> Process | None:
    """A transfer under the agreement of a duty: it knows where the buyer is reached."""
    store = EvidenceStore(context.store.engine)
    found = await store.transfers_under(duty.agreement, duty.counterparty, Role(duty.role), 1)
    return await context.store.process(found[0]) if found else None


# -- the attestation --------------------------------------------------------------------------------------------------


async def take_attestation(context: Context, sender: str, document: Document, letters: Letters) -> None:
    """A consumer's attestation: kept as it came, verified right after. Raises BadMessage if we have asked for no such thing."""
    sealed, said = read(document, sender, "ErasureAttestation", Attested)
    duty = await EvidenceStore(context.store.engine).duty(sender, Role.PROVIDER, said.notice)
    if duty is None or (duty.kind == "erase" and duty.told_at is None) or said.agreement_id != duty.agreement:
        raise BadMessage("notice-unknown", "this attests nothing that we have asked you for")
    if said.notice_digest != duty.digest or (said.provider, said.consumer) != (context.participant_id, sender):
        raise BadMessage("attestation-foreign", "the attestation is about another notice; name it by its digest")
    if duty.fulfilled_at is not None:
        if duty.attestation != sealed.raw:
            raise BadMessage("duty-fulfilled", "this was attested before; the first attestation holds")
        return
    now = context.now_ms()
    kept = replace(duty, state="attested", attestation=sealed.raw, tries=0, updated_at=now)
    letters.statements.append(evidence.update_duty(kept))
    letters.tell(of_duty(kept, "received", now))
    letters.wake_at(Timer(context.new_id(), CHECK_ALARM, _key(duty), now))


async def check_attestation(context: Context, timer: Timer, duty: Duty) -> None:
    """Verify an attestation; what holds fulfils its duty."""
    sealed = opened(duty.attestation, TYPES["ErasureAttestation"], duty.counterparty)
    said, now = msgspec.convert(sealed.content, Attested), context.now_ms()
    taken = replace(writes.delete_timer(timer.id), expect=None)
    try:
        thumbprint = await context.seals.verified(sealed, duty.counterparty)
    except KeyAway as away:
        log.info("an attestation cannot be verified now", counterparty=duty.counterparty, code=away.code, tries=duty.tries + 1)
        kept = replace(duty, state="unverified", tries=duty.tries + 1, updated_at=now)
        due_at = now + pause_ms(duty.tries)
        follow = taken if kept.tries >= MAX_TRIES else writes.postpone_timer(timer.id, due_at)
        await context.store.commit([evidence.update_duty(kept), follow])
        context.timer_set(due_at)
        return
    except SealRefused as refused:
        log.warning("an attestation does not hold", counterparty=duty.counterparty, code=refused.code)
        back = "waiting" if duty.due_at is None else "pending"
        reset: Any = replace(duty, state=back, attestation="", updated_at=now)  # type: ignore[arg-type]  # one of two states
        lines = await lines_of(context, duty, now, "attestation refused", refused.code)
        await context.commit([evidence.update_duty(reset), *lines, taken], [of_duty(duty, "refused", now, refused.code)])
        return
    done = replace(fulfilled(duty, now), thumbprint=thumbprint, outcome=outcome(said.erased, said.outside))
    lines = await lines_of(context, duty, now, "erasure attested", f"{len(said.erased)} files, {len(said.outside)} out of reach")
    letters = Letters()
    letters.tell(of_duty(done, "attested", now))
    if duty.kind == "delete":
        # What was deleted as agreed is not delivered once more: transfers that run are looked at again.
        for transfer in await EvidenceStore(context.store.engine).running_under(duty.agreement, duty.counterparty):
            letters.wake_at(Timer(context.new_id(), TERMS_ALARM, transfer, now))
    await letters.commit(context, evidence.update_duty(done), *lines, writes.delete_timers_of(_key(duty)))
    log.info("erasure attested", duty=duty.id, counterparty=duty.counterparty, outside=len(said.outside))


def fulfilled(duty: Duty, now: int) -> Duty:
    """The duty when it is fulfilled: of what it was about its digest stays, and how much it was."""
    content = orjson.loads(duty.content)
    for name in NAMES:
        if name in content:
            content[name] = len(content[name])
    text = orjson.dumps(content).decode()
    return replace(duty, state="fulfilled", content=text, notice="", fulfilled_at=now, updated_at=now)


def outcome(erased: list[dict[str, Any]], outside: list[dict[str, Any]]) -> str:
    """What was erased and what was out of reach, as it is kept."""
    return orjson.dumps({"erased": erased, "outside": outside}).decode()


async def overdue(context: Context, timer: Timer) -> None:
    """The deadline of something that we expect is over: said in the log, and told again each day until it is fulfilled."""

    async def attempt() -> None:
        duty = await load(context, timer.process_id)
        if duty is None or duty.fulfilled_at is not None:
            await context.store.commit([replace(writes.delete_timer(timer.id), expect=None)])
            return
        now, letters = context.now_ms(), Letters()
        log.warning("an erasure is overdue", duty=duty.id, counterparty=duty.counterparty, agreement=duty.agreement)
        process = await _some_transfer(context, duty)
        waits = await context.store.waiting_in(f"peer:{duty.counterparty}")
        entry = await context.registry.find(duty.counterparty)
        welcome = entry is None or entry.state.welcome
        if process is not None and duty.notice and duty.told_at is not None and "ErasureNotice" not in waits and welcome:
            _notify(context, duty, process, letters)
            late = replace(duty, told_at=now, updated_at=now)
        else:
            late = replace(duty, updated_at=now)
        if duty.updated_at <= (duty.due_at or 0):
            # Every later day says the same.
            letters.tell(of_duty(duty, "overdue", now))
        await letters.commit(context, evidence.update_duty(late), writes.postpone_timer(timer.id, now + AGAIN_MS))
        context.timer_set(now + AGAIN_MS)

    await retrying(attempt)


async def load(context: Context, key: str) -> Duty | None:
    """The duty that a timer is named after."""
    counterparty, role, duty_id = orjson.loads(key)
    return await EvidenceStore(context.store.engine).duty(counterparty, Role(role), duty_id)


async def lines_of(context: Context, duty: Duty, now: int, what: str, note: str) -> list[Any]:
    """A line in the timeline of each transfer that a duty is about, at most ``NOTICE_TRANSFERS`` of them."""
    role = Role(duty.role)
    found = await EvidenceStore(context.store.engine).transfers_under(duty.agreement, duty.counterparty, role, NOTICE_TRANSFERS)
    named = set(orjson.loads(duty.content).get("transfers", []))
    processes = [await context.store.process(each) for each in found]
    about = [each for each in processes if each is not None and (not named or {each.id, each.peer_pid} & named)]
    return [_line(each, now, what, note) for each in about]


def _key(duty: Duty) -> str:
    return timer_key(duty.counterparty, duty.role, duty.id)


def _line(process: Process, now: int, what: str, note: str) -> Any:
    return writes.insert_event(happening(replace(process, updated_at=now), Note(what, text=note[:2000] or None)))
