"""What is special to contract negotiation: offers, agreements and their comparison. Pure; called by ``process.py`` alone.

DSP 2025-1, "Contract Negotiation Protocol". An agreement is compared with the last offer term by term (EDC compares too;
an agreement that differs would bind us to what we never asked for). The provider never binds by an offer's ``@id`` alone: that is
decided in ``flow/agreeing.py``, which knows what was published.
"""

from __future__ import annotations

from typing import Final

import msgspec

from connector.protocol import messages as dsp
from connector.protocol.errors import BadMessage, InvariantBroken
from connector.protocol.messages import AnyMessage, Document
from connector.protocol.record import Countered, Detail, Effect, Ended, KeepAgreement, Process, SettleAgreement
from connector.protocol.redline import changes, covers
from connector.protocol.states import Message, Next, Role, State
from policies.compare import differences

Outcome = tuple[Detail, tuple[Effect, ...]]
_REASON_CHARS: Final = 2000


def received(process: Process, following: Next, message: AnyMessage) -> Outcome:
    """What an accepted message changes beside the state. Raises BadMessage if its content cannot be accepted."""
    detail = process.detail
    effects: tuple[Effect, ...] = entered(process, following.state)
    match message:
        case dsp.ContractRequestMessage():
            _check_target(process, message.offer)
            detail = _offered(detail, message.offer, Role.CONSUMER)
        case dsp.ContractOfferMessage():
            _check_target(process, message.offer)
            detail = _offered(detail, message.offer, Role.PROVIDER)
        case dsp.ContractAgreementMessage():
            check_agreement(process, message.agreement)
            detail = msgspec.structs.replace(detail.decided(), agreement=message.agreement)
            effects = (KeepAgreement(message.agreement), *effects)
        case dsp.ContractNegotiationTerminationMessage():
            by = Role.CONSUMER if process.role is Role.PROVIDER else Role.PROVIDER
            detail = msgspec.structs.replace(detail.decided(), ended=Ended(by=by, code=message.code, reason=message.reason))
        case _:
            detail = detail.decided()
    return detail, effects


def sending(process: Process, message: Message, content: Document) -> Outcome:
    """What a message of ours changes beside the state. The agreement is stored before it is sent."""
    detail = process.detail.decided()
    match message:
        case Message.REQUEST | Message.OFFER:
            ours = _offered(detail, content["offer"], process.role)
            return msgspec.structs.replace(ours, countered=_countered(process)), ()
        case Message.AGREEMENT:
            return msgspec.structs.replace(detail, agreement=content["agreement"]), (KeepAgreement(content["agreement"]),)
        case Message.TERMINATION:
            why = Ended(by=process.role, code=content["code"], reason=content["reason"])
            return msgspec.structs.replace(detail, ended=why), ()
        case _:
            return detail, ()


def _offered(detail: Detail, offer: Document, by: Role) -> Detail:
    """Another offer on the table, with what it says otherwise than the one before."""
    redline = [] if detail.offer is None else changes(detail.offer, offer)
    # A consumer that asks for no more than it was offered, or a provider that offers no less than it was asked for.
    pair = (detail.offer or {}, offer) if by is Role.CONSUMER else (offer, detail.offer or {})
    echo = detail.offer_from not in (None, by) and covers(*pair)
    return msgspec.structs.replace(detail.decided(), offer=offer, offer_from=by, redline=redline, echo=echo)


def _countered(process: Process) -> Countered | None:
    detail = process.detail
    if detail.offer is None or detail.offer_from in (None, process.role):
        return None
    return Countered(offer=detail.offer, redline=detail.redline, echo=detail.echo, step=detail.pending)


def restored(process: Process) -> Detail:
    """What is on the table where our offer was not taken: the other side's, as before."""
    detail, before = process.detail, process.detail.countered
    if before is None:
        return detail
    by = Role.CONSUMER if process.role is Role.PROVIDER else Role.PROVIDER
    table = {"offer": before.offer, "offer_from": by, "redline": before.redline, "echo": before.echo}
    return msgspec.structs.replace(detail, countered=None, **table)


def entered(process: Process, state: State) -> tuple[Effect, ...]:
    """What entering ``state`` brings: the agreement binds or is void."""
    if process.detail.agreement is None or state is process.state:
        return ()
    if state is State.FINALIZED:
        return (SettleAgreement(binding=True),)
    return (SettleAgreement(binding=False),) if state is State.TERMINATED else ()


def check_agreement(process: Process, agreement: Document) -> None:
    """The agreement must say what was offered last, between these two parties. Raises BadMessage naming the difference."""
    if agreement.get("assigner") != process.counterparty:
        raise BadMessage("agreement-party", "agreement.assigner must be the participant id of the sender (the provider)")
    offer = process.detail.offer
    if offer is None:
        raise InvariantBroken("no-offer", "an agreement arrived in a negotiation without an offer")
    found = changes(offer, agreement)
    if found:
        said = [*differences(offer, agreement), *(change["sentence"] for change in found[:5])]
        raise BadMessage("agreement-differs", f"the agreement is not what was offered last: {'; '.join(said)}"[:_REASON_CHARS])


def _check_target(process: Process, offer: Document) -> None:
    target = offer.get("target")
    if target is not None and target != process.subject:
        raise BadMessage("offer-target", "offer.target must be the dataset that this negotiation is about")


def compose(process: Process, message: Message, content: Document, message_id: str) -> dsp.NegotiationMessage:
    """The message itself. A first message carries the callback address and no pid of the peer."""
    provider_pid, consumer_pid = process.pids
    first = process.peer_pid is None
    match message:
        case Message.REQUEST:
            return dsp.ContractRequestMessage(
                id=message_id,
                consumer_pid=consumer_pid,
                provider_pid=None if first else provider_pid,
                callback_address=content["callback_address"] if first else None,
                offer=content["offer"],
            )
        case Message.OFFER:
            return dsp.ContractOfferMessage(
                id=message_id,
                provider_pid=provider_pid,
                consumer_pid=None if first else consumer_pid,
                callback_address=content["callback_address"] if first else None,
                offer=content["offer"],
            )
        case Message.AGREEMENT:
            return dsp.ContractAgreementMessage(
                id=message_id,
                provider_pid=provider_pid,
                consumer_pid=consumer_pid,
                agreement=content["agreement"],
            )
        case Message.VERIFICATION:
            return dsp.ContractAgreementVerificationMessage(id=message_id, provider_pid=provider_pid, consumer_pid=consumer_pid)
        case Message.ACCEPTED | Message.FINALIZED:
            return dsp.ContractNegotiationEventMessage(
                id=message_id, provider_pid=provider_pid, consumer_pid=consumer_pid, event_type=message.value
            )
        case _:
            return dsp.ContractNegotiationTerminationMessage(
                id=message_id,
                provider_pid=provider_pid,
                consumer_pid=consumer_pid,
                code=content["code"],
                reason=content["reason"],
            )
