"""The sources of a bundle, read where they are kept: the control database, the log and what stands beside it, our data plane.

What could name a vehicle or open data is not read into a bundle: of erasures their numbers and digests, of peer messages nothing
but their lines in the log. Keys are taken as they were kept at signing; one that was not kept then is taken as it is now, and its
snapshot says when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, Final

import orjson

from connector.evidence import members
from connector.evidence.loglines import Wanted, log_members, opened_payloads
from connector.evidence.members import told
from connector.evidence.page import capabilities_told
from connector.flow import statements
from connector.flow.context import Context
from connector.identity import jades
from connector.identity.gate import base64url
from connector.log.access import LogAccess
from connector.protocol.errors import CallerError, NotFound
from connector.protocol.messages import PULL, Document
from connector.protocol.record import Process
from connector.protocol.states import Role
from connector.store.evidence import Duty, EvidenceStore, Receipt
from connector.store.leaves import LeafQueue
from connector.store.rows import Agreement
from connector.store.signatures import AgreementSignature, SignatureStore
from policies.delivery import Capabilities
from policies.errors import PolicyInvalid

TRANSFERS_MOST: Final = 2000
"""Transfers under one agreement that a bundle holds; an agreement with more is exported by its log."""
DUTIES_PAGE: Final = 1000
_TITLE: Final = "http://purl.org/dc/terms/title"
Sources = dict[str, bytes]
Named = tuple[str, str]
"""A participant, and the full name of a key of it."""


async def agreement_named(context: Context, agreement_id: str, counterparty: str | None = None) -> Agreement:
    """The agreement of that id. Raises NotFound, and CallerError where several counterparties have one."""
    found = [each for each in await context.store.agreements_by_id(agreement_id) if counterparty in (None, each.counterparty)]
    if not found:
        raise NotFound("agreement-unknown", "there is no such agreement")
    if len(found) > 1:
        raise CallerError("agreement-ambiguous", "two counterparties have agreements of this id; name one of them")
    return found[0]


async def gather(context: Context, log: LogAccess | None, agreement: Agreement) -> Sources:
    """The sources of the bundle of an agreement. Raises CallerError for one with more than a bundle holds, and Unavailable where
    a part of the connector is away."""
    now = context.now_ms()
    processes = await _processes(context, agreement)
    account = await _account(context, agreement, now)
    receipts = list(account["receipts"].values())
    signed = await SignatureStore(context.store.engine).signature(agreement.id, agreement.counterparty, agreement.role)
    wanted = Wanted(agreement.role, agreement.counterparty, agreement.id, frozenset(each.id for each in processes))
    found = {} if log is None else await asyncio.to_thread(log_members, log, wanted)
    found |= {f"receipts/{number:04}.json": told(members.receipt_told(each)) for number, each in enumerate(receipts, 1)}
    signatures = _signatures(agreement, signed)
    found |= {members.SIGNATURES: orjson.dumps(signatures)} if signatures else {}
    found[members.AGREEMENT] = agreement.document.encode()
    found[members.CONTRACT] = told(await _facts(context, agreement, signed, now, logged=members.CHECKPOINT in found))
    found[members.RECORD] = told(await _record(context, agreement, processes))
    found[members.METERS] = told(account["told"])
    found[members.ERASURES] = told([_duty(each) async for each in _duties(context, agreement)])
    kept = {} if log is None else await asyncio.to_thread(_kept_keys, log, wanted, found)
    found |= await _keys(context, agreement, _named_keys(context, agreement, signed, receipts), kept)
    return found


async def _processes(context: Context, agreement: Agreement) -> list[Process]:
    """The negotiation and the transfers, in this order."""
    store, role = EvidenceStore(context.store.engine), Role(agreement.role)
    transfers = await store.transfers_under(agreement.id, agreement.counterparty, role, TRANSFERS_MOST + 1)
    if len(transfers) > TRANSFERS_MOST:
        raise CallerError("evidence-too-large", f"a bundle holds {TRANSFERS_MOST} transfers; export the whole log")
    found = [await context.store.process(each) for each in (agreement.negotiation_id, *transfers)]
    return [each for each in found if each is not None]


async def _account(context: Context, agreement: Agreement, now: int) -> Document:
    """The receipts, and the meters as their member has them."""
    try:
        account = await statements.account(context, agreement)
    except PolicyInvalid:
        # Terms that cannot be read have no price; the receipts stand by themselves.
        return {"receipts": {}, "told": {"at": now, "counted": None, "distinct": []}}
    return {"receipts": account.receipts, "told": members.account_told(account)}


async def _facts(
    context: Context, agreement: Agreement, signed: AgreementSignature | None, now: int, *, logged: bool
) -> Document:
    ours = agreement.role == Role.PROVIDER.value
    able = await context.able(agreement.dataset) if ours else Capabilities(context.declared, formats=frozenset({PULL}))
    published = await context.store.dataset(agreement.dataset) if ours else None
    return {
        "agreement": agreement.id,
        "us": context.participant_id,
        "counterparty": agreement.counterparty,
        "role": agreement.role,
        "dataset": agreement.dataset,
        "title": "" if published is None else _title(orjson.loads(published.document)),
        "state": agreement.state,
        "createdAt": agreement.created_at,
        "exportedAt": now,
        "evidence": _level(signed),
        "signatureState": None if signed is None else signed.state,
        "logged": logged,
        "queued": await LeafQueue(context.store.engine).count(),
        "capabilities": capabilities_told(able),
    }


def _level(signed: AgreementSignature | None) -> str:
    if signed is None or not signed.own:
        return "unsigned"
    return "countersigned" if signed.state == "countersigned" else "own-only"


def _title(document: Document) -> str:
    found = document.get(_TITLE)
    first = found[0] if isinstance(found, list) and found else found
    return str(first.get("@value", "")) if isinstance(first, dict) else str(first or "")


async def _record(context: Context, agreement: Agreement, processes: list[Process]) -> Document:
    negotiation = next((each for each in processes if each.id == agreement.negotiation_id), None)
    detail = None if negotiation is None else negotiation.detail
    return {
        "us": context.participant_id,
        "counterparty": agreement.counterparty,
        "role": agreement.role,
        "state": agreement.state,
        "negotiation": agreement.negotiation_id,
        "offer": None if detail is None else detail.offer,
        "offerFrom": None if detail is None or detail.offer_from is None else detail.offer_from.value,
        "processes": [await _process(context, each) for each in processes],
    }


async def _process(context: Context, process: Process) -> Document:
    """A process without the data address, which carries a token, and without what only our own machines need."""
    provider_pid, consumer_pid = process.pids
    ended = process.detail.ended
    return {
        "id": process.id,
        "kind": process.kind.value,
        "state": process.state.value,
        "providerPid": provider_pid,
        "consumerPid": consumer_pid,
        "createdAt": process.created_at,
        "updatedAt": process.updated_at,
        "ended": None if ended is None else {"by": ended.by.value, "code": ended.code, "reason": ended.reason},
        "timeline": [
            {"at": each.at, "what": each.what, "message": each.message, "state": each.state, "note": each.note}
            for each in await context.store.timeline(process.id)
        ],
    }


async def _duties(context: Context, agreement: Agreement) -> Any:
    store, after = EvidenceStore(context.store.engine), (0, "")
    while page := await store.duties(after=after, limit=DUTIES_PAGE, agreement=agreement.id):
        for each in page:
            if (each.counterparty, each.role) == (agreement.counterparty, agreement.role):
                yield each
        after = (page[-1].created_at, page[-1].id)


def _duty(duty: Duty) -> Document:
    """What had to be erased, by numbers and digests: the notice and the attestation may name vehicles."""
    content, outcome = orjson.loads(duty.content), orjson.loads(duty.outcome) if duty.outcome else {}
    return {
        "id": duty.id,
        "kind": duty.kind,
        "role": duty.role,
        "state": duty.state,
        "digest": duty.digest,
        "numbers": {name: len(each) if isinstance(each, list) else each for name, each in content.items() if _counts(each)},
        "erased": len(outcome.get("erased", [])),
        "outOfReach": len(outcome.get("outside", [])),
        "attestationSha256": sha256(duty.attestation.encode()).hexdigest() if duty.attestation else None,
        "keyThumbprint": duty.thumbprint or None,
        "createdAt": duty.created_at,
        "dueAt": duty.due_at,
        "toldAt": duty.told_at,
        "fulfilledAt": duty.fulfilled_at,
    }


def _counts(value: object) -> bool:
    return isinstance(value, list) or (isinstance(value, int) and not isinstance(value, bool))


# -- signatures and keys ----------------------------------------------------------------------------------------------


def _signatures(agreement: Agreement, signed: AgreementSignature | None) -> Document | None:
    """The document with our signature, and with theirs where it was verified as one of the same bytes."""
    raws = _raws(signed)
    if not raws:
        return None
    claims = [jades.opened_compact(raw).claims[0] for _, raw in raws]
    return jades.joined(agreement.document.encode(), [each.signature for each in claims])


def _raws(signed: AgreementSignature | None) -> list[tuple[bool, str]]:
    """What was signed, and whether by us."""
    if signed is None or not signed.own:
        return []
    return [(True, signed.own), *([(False, signed.theirs)] if signed.state == "countersigned" else [])]


def _named_keys(
    context: Context, agreement: Agreement, signed: AgreementSignature | None, receipts: Iterable[Receipt]
) -> Iterator[Named]:
    """The keys that signed what is in the bundle, and the one that seals it."""
    us, them = context.participant_id, agreement.counterparty
    for ours, raw in _raws(signed):
        yield us if ours else them, jades.opened_compact(raw).claims[0].kid
    consumer, provider = (us, them) if agreement.role == Role.CONSUMER.value else (them, us)
    for receipt in receipts:
        yield from ((who, kid) for who, raw in ((consumer, receipt.signed), (provider, receipt.answer)) if (kid := _kid(raw)))
    if context.seals.own is not None:
        yield us, context.seals.own()[1]


def _kid(raw: str) -> str:
    """The name of the key in the header of a compact JWS of ours to keep; empty where there is none."""
    try:
        kid = orjson.loads(base64url(raw.split(".", 1)[0])).get("kid")
    except (ValueError, AttributeError):
        return ""
    return kid if isinstance(kid, str) else ""


def _kept_keys(log: LogAccess, wanted: Wanted, found: Sources) -> dict[Named, Document]:
    """The keys that lines of the log have kept, as they were first kept. Blocks."""
    kept: dict[Named, Document] = {}
    for payload in opened_payloads(log, wanted, found, ("signature", "receipt")):
        for each in payload.get("keys") or []:
            if isinstance(each, dict) and each.get("thumbprint"):
                kept.setdefault((each["participant"], each["kid"]), each)
    return kept


async def _keys(context: Context, agreement: Agreement, wanted: Iterable[Named], kept: dict[Named, Document]) -> Sources:
    found: Sources = {}
    provider = context.participant_id if agreement.role == Role.PROVIDER.value else agreement.counterparty
    for participant, kid in dict.fromkeys(wanted):
        snapshot = kept.get((participant, kid)) or await context.seals.snapshot(participant, kid)
        if snapshot:
            role = "provider" if participant == provider else "consumer"
            found[f"keys/{role}-{snapshot['thumbprint']}.json"] = told(snapshot)
    return found
