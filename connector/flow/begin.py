"""Use cases that begin a process: request a contract, offer one, request a transfer. And the agreements held from the start.

Interfaces call these and nothing below. Raises CallerError, NotFound or PolicyDenied with what to do, and then
nothing was begun. ``by`` is the caller of ours who begins: nobody approves what he has proposed himself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import orjson

from connector.access.caller import OWNER, Caller
from connector.flow.approvals import rule_for
from connector.flow.context import Context, Note, save, terms_of_delivery
from connector.flow.halted import check_act
from connector.flow.leaves import held
from connector.flow.reactions import published_offer
from connector.flow.standing import beginning
from connector.protocol import process as core
from connector.protocol.errors import CallerError, Conflict, NotFound
from connector.protocol.messages import PULL, Document
from connector.protocol.record import Detail, Process
from connector.protocol.states import Kind, Message, Role, State
from connector.store import writes
from connector.store.engine import LostRace, Statement
from connector.store.rows import Agreement, Outgoing

_SINK: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,99}/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_INTO: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.duckdb:[A-Za-z_][A-Za-z0-9_]{0,62}")


async def request_contract(
    context: Context,
    *,
    counterparty: str,
    dataset: str,
    offer: Document,
    address: str | None = None,
    by: Caller = OWNER,
    ensuing: str | None = None,
) -> Process:
    """Consumer: ask a provider for a contract on an offer of its catalogue, as it stands or changed.

    ``ensuing``: the format of a transfer without sink that begins by itself once the negotiation is finalized.
    """
    if not offer.get("@id"):
        raise CallerError("offer-id-missing", "take the offer from the provider's catalogue: it needs its @id")
    if not offer.get("permission") and not offer.get("prohibition"):
        raise CallerError("offer-empty", "an offer needs at least one permission or prohibition; send it whole")
    rest = {key: value for key, value in offer.items() if key != "@context"}
    terms = {**rest, "@type": "Offer", "target": dataset, "assigner": counterparty, "assignee": context.participant_id}
    detail = Detail(proposed_by=by.id, proposed_person=by.behind, ensuing=ensuing)
    process = await _new(context, Kind.NEGOTIATION, Role.CONSUMER, counterparty, address, dataset, detail)
    content: Document = {"offer": terms, "callback_address": context.callback(process.counterparty)}
    return await _begin(context, process, Message.REQUEST, content)


async def offer_contract(
    context: Context,
    *,
    counterparty: str,
    dataset: str,
    offer_id: str | None = None,
    address: str | None = None,
    by: Caller = OWNER,
) -> Process:
    """Provider: offer a contract on one of our own datasets, unasked."""
    row = await context.store.dataset(dataset)
    if row is None or row.withdrawn_at is not None:
        raise NotFound("dataset-unknown", f"no dataset {dataset:.80} is on offer here; publish it first")
    document = orjson.loads(row.document)
    chosen = document["hasPolicy"][0] if offer_id is None else published_offer(document, offer_id)
    if chosen is None:
        raise NotFound("offer-unknown", f"dataset {dataset:.80} has no offer {offer_id!s:.80}")
    terms = {**chosen, "target": dataset, "assigner": context.participant_id, "assignee": counterparty}
    detail = Detail(proposed_by=by.id, proposed_person=by.behind, offer=terms)
    process = await _new(context, Kind.NEGOTIATION, Role.PROVIDER, counterparty, address, dataset, detail)
    rule = await rule_for(context, process)
    process = replace(process, detail=msgspec.structs.replace(detail, offer=None, asks=rule if rule.origin == "offer" else None))
    content: Document = {"offer": terms, "callback_address": context.callback(process.counterparty)}
    return await _begin(context, process, Message.OFFER, content)


async def request_transfer(
    context: Context,
    *,
    agreement_id: str,
    counterparty: str | None = None,
    transfer_format: str = PULL,
    sink: str | None = None,
    address: str | None = None,
    ask: Mapping[str, str] | None = None,
    into: str | None = None,
    by: Caller = OWNER,
    private: Mapping[str, Any] | None = None,
    also: Sequence[Statement] = (),
) -> Process:
    """Consumer: ask for data under an agreement. With ``sink`` (a name, or folder/name) our data plane fetches them; without,
    the caller gets the data address and fetches them itself.

    ``ask`` narrows what is fetched: query parameters such as ``from``, ``to``, ``box``, ``columns``, ``format`` and ``purpose``.
    ``into`` (``name.duckdb:table``) puts the rows into a table instead of leaving the file. ``private`` is kept with it and
    shown to our own callers alone; ``also`` is written in the same transaction.
    """
    if (ask or into) and sink is None:
        raise CallerError("sink-missing", "what is asked for and where it goes are for our data plane: let it fetch the data")
    if sink is not None and not _SINK.fullmatch(sink):
        raise CallerError(
            "sink-invalid", "sink must be a plain file name of letters, digits, dot, dash and underscore, or folder/name"
        )
    if into is not None and not _INTO.fullmatch(into):
        raise CallerError("into-invalid", "into must be name.duckdb:table, of letters, digits and underscores")
    agreement = await own_agreement(context, agreement_id, counterparty)
    if agreement.state != "binding":
        raise Conflict("agreement-not-binding", f"the agreement is {agreement.state}; finish the negotiation first")
    detail = Detail(
        format=transfer_format,
        dataset=agreement.dataset,
        sink=sink,
        ask=dict(ask or {}),
        into=into,
        proposed_by=by.id,
        proposed_person=by.behind,
        private=dict(private or {}),
    )
    process = await _new(context, Kind.TRANSFER, Role.CONSUMER, agreement.counterparty, address, agreement.id, detail)
    content: Document = {"format": transfer_format, "callback_address": context.callback(process.counterparty)}
    return await _begin(context, process, Message.REQUEST, content, also)


async def own_agreement(context: Context, agreement_id: str, counterparty: str | None) -> Agreement:
    """The agreement of this id in which we are the consumer. Raises NotFound, CallerError if the id alone does not tell."""
    found = [
        agreement
        for agreement in await context.store.agreements_by_id(agreement_id)
        if agreement.role == Role.CONSUMER.value and counterparty in (None, agreement.counterparty)
    ]
    if not found:
        raise NotFound("agreement-unknown", f"there is no agreement {agreement_id:.80} in which we are the consumer")
    if len(found) > 1:
        raise CallerError("agreement-ambiguous", "two counterparties chose this agreement id; name the counterparty")
    return found[0]


async def hold_agreement(context: Context, *, agreement_id: str, dataset: str, counterparty: str, role: Role) -> None:
    """Development only: hold a binding agreement that was never negotiated. Harmless when repeated."""
    provider, consumer = (
        (counterparty, context.participant_id) if role is Role.CONSUMER else (context.participant_id, counterparty)
    )
    document = {"@id": agreement_id, "@type": "Agreement", "target": dataset, "assigner": provider, "assignee": consumer}
    text = orjson.dumps({**document, "permission": [{"action": "use"}]}).decode()
    now = context.now_ms()
    agreement = Agreement(
        agreement_id,
        counterparty,
        role.value,
        f"held:{role}:{agreement_id}",
        dataset,
        text,
        "binding",
        now,
        now,
        terms_of_delivery(orjson.loads(text), context.declared),
    )
    try:
        await context.commit([writes.insert_agreement(agreement)], [held(agreement)])
    except LostRace:
        return


async def _new(
    context: Context, kind: Kind, role: Role, counterparty: str, address: str | None, subject: str, detail: Detail
) -> Process:
    now = context.now_ms()
    return Process(
        id=context.new_id(),
        kind=kind,
        role=role,
        state=State.INITIAL,
        counterparty=counterparty,
        peer_address=await context.directory.known(counterparty, address),
        correlation_id=context.new_id(),
        subject=subject,
        created_at=now,
        updated_at=now,
        detail=detail,
    )


async def _begin(
    context: Context, process: Process, message: Message, content: Document, also: Sequence[Statement] = ()
) -> Process:
    await check_act(context, process, message)
    message_id = context.new_id()
    decision = core.want(process, message, content, message_id, context.now_ms())
    note = Note("sent", message, message_id)

    async def commit(guard: Sequence[Statement]) -> list[Outgoing]:
        return await save(context, None, decision, note, also=[*guard, *also])

    context.hand_over(await beginning(context, process.counterparty, commit))
    return decision.process
