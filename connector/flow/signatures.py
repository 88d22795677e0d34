"""Agreements signed by both: what each party signs when an agreement binds, and what the other has to show for it.

Each side signs the agreement's canonical bytes, in the time of a timer that is set with the transaction in which it binds, and
sends that to a counterparty that takes it. What comes is kept as it came and verified aside. A key that cannot be found is
looked for again; a signature that holds but is of other words is a dispute; one that does not hold changes nothing. Where no
signature comes, ours stands with the messages on record: weaker evidence, and called so.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

import orjson

from catalog.canonical import canonical_bytes
from catalog.schemas.peer import SIGNED_MAX_CHARS
from connector.flow.context import Context, Note, happening, retrying
from connector.flow.envelope import Letters, ask_once, letter, takes
from connector.flow.inbound import check_texts
from connector.flow.receipts import MAX_TRIES, pause_ms
from connector.flow.seals import SIGNATURES, signature_named, signature_timer
from connector.identity import jades
from connector.identity.jades import SignatureRefused, Signed, opened_compact
from connector.identity.signers import KeyAway
from connector.log.leaf import OWN_ID, Draft
from connector.protocol.errors import BadMessage
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Role
from connector.store import signatures, writes
from connector.store.engine import Statement
from connector.store.rows import Agreement, Timer
from connector.store.signatures import AgreementSignature, SignatureState, SignatureStore
from connector.store.witness import put_off, taken
from connector.telemetry import logger

MESSAGE: Final = "AgreementSignature"
_WAITING: Final[tuple[SignatureState, ...]] = ("signed", "own-only", "unverified", "countersigned", "disputed")
log = logger("signatures")


# -- what comes -------------------------------------------------------------------------------------------------------


async def take(context: Context, sender: str, document: Document, letters: Letters) -> None:
    """A counterparty's signature: kept, and verified right after. Raises BadMessage if it is about no agreement with the sender,
    or another word on one that it has signed."""
    signed = opened_compact(document["signed"])
    check_texts(signed.agreement)
    if not signed.of(sender):
        raise BadMessage("agreement-signer", "the kid must name a key of the party that signs")
    agreement = await _meant(context, sender, signed)
    if agreement is None or agreement.state == "void" or not context.seals.signs_agreements:
        raise BadMessage("agreement-unknown", "this is about no agreement between us that is signed here")
    now = context.now_ms()
    row = await SignatureStore(context.store.engine).signature(agreement.id, sender, agreement.role)
    kept = row or _new(agreement, now)
    if not _is_news(kept, document["signed"], same=_same(signed, agreement)):
        return
    _keep(row, replace(kept, state="unverified", theirs=document["signed"], tries=0, updated_at=now), letters)
    # However many come, one timer: each look may wait for the sender's keys, which are where the sender says.
    timer = signature_timer("", sender, agreement.role, agreement.id, now)
    letters.statements.append(signatures.wake(replace(timer, id=timer.process_id)))
    letters.due.append(now)


async def _meant(context: Context, sender: str, signed: Signed) -> Agreement | None:
    """The agreement with the sender that these bytes are of, or that has their id: it is the other party in each."""
    found = [
        await context.store.agreement(str(signed.agreement.get("@id")), sender, role) for role in (Role.PROVIDER, Role.CONSUMER)
    ]
    known = [each for each in found if each is not None]
    return next((each for each in known if _same(signed, each)), known[0] if known else None)


def _content(agreement: Agreement) -> bytes:
    """What is signed. An agreement that is held from the start may be kept in another form than the canonical one."""
    return canonical_bytes(orjson.loads(agreement.document))


def _same(signed: Signed, agreement: Agreement) -> bool:
    return signed.content == _content(agreement)


def _is_news(row: AgreementSignature, raw: str, *, same: bool) -> bool:
    """Whether a signature changes anything: the first that holds stays, and so does the first of other words. Raises
    BadMessage."""
    if raw in (row.theirs, row.disputed):
        return False
    if row.state == "countersigned":
        if same:
            return False
        raise BadMessage(
            "agreement-signed", "you have signed this agreement before; that signature holds, and this is of other words"
        )
    if row.disputed and not same:
        raise BadMessage(
            "agreement-disputed", "another signature of other words by you is on record; sign the agreement as it was made"
        )
    return True


# -- when it binds, and whenever there is something to verify ---------------------------------------------------------


async def check(context: Context, timer: Timer) -> None:
    """An agreement is to be signed, or the other side's signature to be verified. Harmless when repeated."""

    async def attempt() -> None:
        counterparty, role, agreement_id = signature_named(timer)
        agreement = await context.store.agreement(agreement_id, counterparty, Role(role))
        row = await SignatureStore(context.store.engine).signature(agreement_id, counterparty, role)
        # An agreement that does not bind yet brings a timer of its own when it does.
        if agreement is None or agreement.state != "binding" or not context.seals.signs_agreements:
            await context.commit([_over(timer)])
            return
        work = _Work(context, timer, agreement, await context.store.process(agreement.negotiation_id))
        signed = row if row is not None and row.own else await work.sign(row)
        if signed.state == "unverified":
            signed = await work.verify(signed)
        await work.commit(row, signed)

    await retrying(attempt)


class _Work:
    """What is done in the time of one timer: the writes of its transaction, and what is told of them."""

    def __init__(self, context: Context, timer: Timer, agreement: Agreement, process: Process | None) -> None:
        self.context = context
        self.timer = timer
        self.agreement = agreement
        self.process = process
        self.letters = Letters()
        self.next: Statement = _over(timer)

    async def sign(self, row: AgreementSignature | None) -> AgreementSignature:
        """Sign it ourselves, and send that to who takes it."""
        context, counterparty, now = self.context, self.agreement.counterparty, self.context.now_ms()
        own, thumbprint, _ = context.seals.sign_agreement(_content(self.agreement), now)
        taken = True if row is not None else await takes(context, counterparty, SIGNATURES)
        fits = len(own) <= SIGNED_MAX_CHARS
        made = replace(row or _new(self.agreement, now), own=own, own_thumbprint=thumbprint, updated_at=now)
        if row is None and (taken is False or not fits):
            made = replace(made, state="own-only")
        if taken and fits:
            made = replace(made, told_at=now)
            self.letters.send(_message(context, made, await _address(context, counterparty, self.process)))
        elif taken is None:
            await ask_once(context, counterparty, await _address(context, counterparty, self.process), self.letters)
        self._line(now, "agreement signed by us")
        await _tell(context, made, self.agreement.dataset, "own-only" if made.state == "own-only" else "signed", self.letters)
        return made

    async def verify(self, row: AgreementSignature) -> AgreementSignature:
        """Verify theirs: both have signed, or they have signed other words, or it changes nothing."""
        context, now = self.context, self.context.now_ms()
        signed = opened_compact(row.theirs)
        try:
            (claim,) = signed.of(row.counterparty)
            thumbprint = await context.seals.verified_agreement(claim, row.counterparty, now)
        except KeyAway as away:
            return self._later(row, away, now)
        except SignatureRefused as refused:
            return self._refused(row, refused, now)
        found = replace(row, their_thumbprint=thumbprint, refused="", updated_at=now)
        if _same(signed, self.agreement):
            found = replace(found, state="countersigned")
            self._line(now, "agreement signed by both")
        else:
            found = replace(found, state="disputed", disputed=row.theirs, theirs="")
            self._line(now, "agreement signature disputed", "the counterparty has signed other words under this agreement's id")
        await _tell(context, found, self.agreement.dataset, found.state, self.letters)
        return found

    async def commit(self, row: AgreementSignature | None, signed: AgreementSignature) -> None:
        """All of it, or nothing. Raises LostRace."""
        if signed != row:
            _keep(row, signed, self.letters)
        await self.letters.commit(self.context, self.next)
        if signed != row:
            log.info(
                "an agreement's signatures", counterparty=signed.counterparty, agreement=signed.agreement, state=signed.state
            )

    def _later(self, row: AgreementSignature, away: KeyAway, now: int) -> AgreementSignature:
        """Look again later; who has no key after many looks stays unverified."""
        log.info("a signature cannot be checked now", counterparty=row.counterparty, code=away.code, tries=row.tries + 1)
        if row.tries + 1 < MAX_TRIES:
            due_at = now + pause_ms(row.tries)
            self.next = put_off(self.timer.id, self.timer.due_at, due_at)
            self.letters.due.append(due_at)
        return replace(row, tries=row.tries + 1, updated_at=now)

    def _refused(self, row: AgreementSignature, refused: SignatureRefused, now: int) -> AgreementSignature:
        """It does not hold: as if it had never come, but for a line of the timeline, one for each reason in a row."""
        log.warning("a signature of an agreement does not hold", counterparty=row.counterparty, code=refused.code)
        if row.refused != refused.code:
            self._line(now, "agreement signature refused", refused.code)
        state: Any = "disputed" if row.disputed else "signed"
        return replace(row, state=state, theirs="", refused=refused.code, updated_at=now)

    def _line(self, now: int, what: str, note: str | None = None) -> None:
        if self.process is not None:
            line = happening(replace(self.process, updated_at=now), Note(what, text=note))
            self.letters.statements.append(writes.insert_event(line))


async def waiting(context: Context, counterparty: str, letters: Letters, limit: int) -> int:
    """A peer has said what it takes: send it the oldest of our signatures that waited for that, or note that it signs none; how
    many."""
    can = await takes(context, counterparty, SIGNATURES) is not False
    done = 0
    for row in await SignatureStore(context.store.engine).untold(counterparty, _WAITING if can else ("signed",), limit):
        agreement = await context.store.agreement(row.agreement, counterparty, Role(row.role))
        if agreement is None:
            continue
        changed = replace(row, state="own-only", updated_at=context.now_ms())
        if can and len(row.own) <= SIGNED_MAX_CHARS:
            process = await context.store.process(row.negotiation)
            letters.send(_message(context, row, await _address(context, counterparty, process)))
            changed = replace(changed, state="signed" if row.state == "own-only" else row.state, told_at=changed.updated_at)
        elif can:
            changed = replace(changed, told_at=changed.updated_at)
        letters.statements.append(signatures.update_signature(changed))
        if changed.state != row.state:
            await _tell(context, changed, agreement.dataset, changed.state, letters)
        done += 1
    return done


async def waits(context: Context, counterparty: str, features: list[str]) -> bool:
    """Whether anything of ours waits for what a peer has just said."""
    states = _WAITING if SIGNATURES in features else ("signed",)
    return bool(await SignatureStore(context.store.engine).untold(counterparty, states, 1))


# -- what is shown ----------------------------------------------------------------------------------------------------


def document_of(row: AgreementSignature) -> Document:
    """The agreement with the signatures that hold: one JWS in the general JSON serialisation, the provider's signature before the
    consumer's. Empty where there is none yet."""
    by_us = [row.own] if row.own else []
    by_them = [row.theirs] if row.state == "countersigned" else []
    return _joined(by_us + by_them if row.role == Role.PROVIDER.value else by_them + by_us)


def dispute_of(row: AgreementSignature) -> Document:
    """What the counterparty has signed instead, in the same form; empty where nothing is disputed."""
    return _joined([row.disputed] if row.disputed else [])


def _joined(parts: list[str]) -> Document:
    opened = [opened_compact(part) for part in parts]
    return jades.joined(opened[0].content, [each.claims[0].signature for each in opened]) if opened else {}


async def _tell(context: Context, row: AgreementSignature, dataset: str, evidence: str, letters: Letters) -> None:
    """A signature was made or has come."""
    if context.logs:
        letters.tell(await told(context, row, dataset, evidence))


async def told(context: Context, row: AgreementSignature, dataset: str, evidence: str) -> Draft:
    """What the contract log is told of that, with the keys as they are found now."""
    us = row.role
    them = (Role.CONSUMER if us == Role.PROVIDER.value else Role.PROVIDER).value
    ours = evidence in ("signed", "own-only")
    document, dispute = document_of(row), dispute_of(row)
    kids = [(context.participant_id, row.own)] + ([] if ours else [(row.counterparty, row.theirs or row.disputed)])
    keys = [await context.seals.snapshot(who, opened_compact(part).claims[0].kid) for who, part in kids if part]
    return Draft(
        "signature",
        {
            "by": us if ours else them,
            "role": us,
            "evidence": evidence,
            "thumbprint": row.own_thumbprint if ours else row.their_thumbprint,
        },
        process=row.negotiation if OWN_ID.fullmatch(row.negotiation) else "",
        party=row.counterparty,
        agreement=row.agreement,
        role=us,
        asset=dataset,
        payload={"counterparty": row.counterparty, "jws": document, **({"disputed": dispute} if dispute else {}), "keys": keys},
        at=row.updated_at,
    )


# -- rows -------------------------------------------------------------------------------------------------------------


def _new(agreement: Agreement, now: int) -> AgreementSignature:
    return AgreementSignature(
        agreement=agreement.id,
        counterparty=agreement.counterparty,
        role=agreement.role,
        negotiation=agreement.negotiation_id,
        digest=sha256(_content(agreement)).hexdigest(),
        state="signed",
        created_at=now,
        updated_at=now,
    )


def _keep(before: AgreementSignature | None, row: AgreementSignature, letters: Letters) -> None:
    letters.statements.append(signatures.insert_signature(row) if before is None else signatures.update_signature(row))


async def _address(context: Context, counterparty: str, process: Process | None) -> str:
    return await context.directory.address(counterparty) if process is None else process.peer_address


def _over(timer: Timer) -> Statement:
    return taken(timer.id, timer.due_at)


def _message(context: Context, row: AgreementSignature, address: str) -> Any:
    return letter(context, row.counterparty, address, MESSAGE, signed=row.own, process_id=row.negotiation)
