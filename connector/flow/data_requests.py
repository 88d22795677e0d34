"""Each request for data is decided here, while a transfer runs: the data plane asks before a byte leaves.

The gates of the agreement (party, purpose, time) are decided with the claims of now; what shapes and counts a delivery is left to
the data plane that declared it. May import the flow package and policies.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson

from connector.flow.acts import load
from connector.flow.agreeing import claims_of, reasons_of
from connector.flow.context import Context
from connector.flow.ended import CODE, ended
from connector.flow.standing import SHUT_OUT
from connector.flow.user_requests import on_record
from connector.flow.using import counts, holding
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, Message, Role, State
from connector.store.grounds import transfers_under
from connector.store.rows import Agreement
from connector.telemetry import logger
from policies import dsp
from policies.decision import Decision
from policies.document import evaluate_document
from policies.errors import PolicyInvalid
from policies.purposes import narrowed
from policies.terms.actions import READ
from policies.terms.metering import COUNT
from policies.terms.term import Request, Scope, World

RUNNING: Final = (State.STARTED, State.RESUMED)
STOPPING: Final = (Message.SUSPENSION, Message.TERMINATION, Message.REQUEST_THEN_TERMINATION)
log = logger("using")


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What the data plane is told. ``permissions``: indexes of those that hold; ``purpose``: the one that was decided on, None
    where neither the request nor the agreement names one. Of what is not permitted, ``reasons`` are fit for the counterparty.
    """

    permitted: bool
    reasons: tuple[str, ...] = ()
    permissions: tuple[int, ...] = ()
    purpose: str | None = None
    agreement: Document = {}
    counterparty: str = ""


async def decide_request(context: Context, process_id: str, purpose: str | None) -> Decided:
    """Whether data may leave now under a transfer of ours as provider, for ``purpose`` (an IRI). Raises NotFound.

    Without a purpose the one counts to which the agreement is bound; where it is bound to none, a term about purposes is not
    satisfied. Never permits for a transfer that does not run, an agreement that does not bind, a participant that is shut out.
    """
    process = await load(context, process_id)
    stopped = await _stopped(context, process)
    if stopped is not None:
        return Decided(permitted=False, reasons=(stopped,), counterparty=process.counterparty)
    agreement = await context.store.agreement(process.subject, process.counterparty, Role.PROVIDER)
    if agreement is None or agreement.state == "void":
        return Decided(permitted=False, reasons=("the agreement does not bind any more",), counterparty=process.counterparty)
    document: Document = orjson.loads(agreement.document)
    claims = await claims_of(context, process.counterparty)
    decision = await _decision(context, agreement, document, claims, purpose)
    if not decision.permitted:
        reasons = reasons_of(decision, process.counterparty, claims)
        log.info("data request refused", transfer=process.id, codes=[reason.code for reason in decision.reasons])
        return Decided(permitted=False, reasons=reasons, purpose=purpose, counterparty=process.counterparty)
    over = await ended(context, agreement, document, context.now_ms())
    left = over.left(holding(decision))
    if not left:
        log.info("data request refused", transfer=process.id, codes=[CODE])
        return Decided(permitted=False, reasons=over.why(), purpose=purpose, counterparty=process.counterparty)
    return Decided(
        permitted=True,
        permissions=left,
        purpose=purpose or _agreed_purpose(document),
        agreement=document,
        counterparty=process.counterparty,
    )


async def _stopped(context: Context, process: Process) -> str | None:
    """Why nothing leaves whatever the agreement says."""
    if process.kind is not Kind.TRANSFER or process.role is not Role.PROVIDER:
        return "this is no transfer in which we provide"
    # While our start message is on its way its reader may have the address already.
    runs = process.state in RUNNING or process.awaiting is Message.START
    if not runs or process.awaiting in STOPPING:
        return f"the transfer is {process.state.on_wire}" if not runs else "the transfer is being stopped"
    entry = await context.registry.find(process.counterparty)
    if entry is not None and entry.state in SHUT_OUT:
        return "the participant is shut out"
    return None


async def _decision(context: Context, agreement: Agreement, document: Document, claims: Any, purpose: str | None) -> Decision:
    able = await context.able(agreement.dataset)
    facts: dict[str, Any] = dict(await on_record(context, document, agreement.counterparty, purpose))
    if COUNT not in able.terms and counts(document):
        # Where the data plane counts requests itself, it chooses among the permissions that differ by count.
        facts[COUNT] = await transfers_under(context.store.engine, agreement.counterparty, agreement.id)
    request = Request(Scope.ONGOING, READ, agreement.dataset, agreement.counterparty, claims, purpose)
    return evaluate_document(document, request, World(context.now_ms(), facts, able.terms))


def _agreed_purpose(document: Document) -> str | None:
    try:
        return narrowed(dsp.read(document))
    except PolicyInvalid:
        return None
