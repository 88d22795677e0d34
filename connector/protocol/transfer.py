"""What is special to transfers: data addresses, and what the data plane has to be told. Pure; called by ``process.py`` alone.

DSP 2025-1, "Transfer Process Protocol". The data plane is told at once when data must stop (our own suspension or termination
does not wait for the peer's answer), and it is told to start only by the use case, which sends the start message when the data
plane has given an address.
"""

from __future__ import annotations

import msgspec

from connector.protocol import messages as dsp
from connector.protocol.messages import AnyMessage, Document
from connector.protocol.record import Detail, Effect, Ended, Flow, Process
from connector.protocol.states import Message, Next, Role, State

Outcome = tuple[Detail, tuple[Effect, ...]]

_ON_ENTRY = {State.SUSPENDED: "suspend", State.COMPLETED: "completed", State.TERMINATED: "terminate"}


def received(process: Process, following: Next, message: AnyMessage) -> Outcome:
    """What an accepted message changes beside the state."""
    detail = process.detail.decided() if process.detail.pending else process.detail
    effects = entered(process, following.state)
    by = Role.CONSUMER if process.role is Role.PROVIDER else Role.PROVIDER
    match message:
        case dsp.TransferStartMessage() if process.role is Role.CONSUMER:
            address = message.data_address or detail.data_address
            detail = msgspec.structs.replace(detail, data_address=address, ended=None)
            effects = (*effects, Flow("started", address))
        case dsp.TransferStartMessage():
            # A provider gets one only from a consumer that resumes.
            detail = msgspec.structs.replace(detail, ended=None)
            effects = (*effects, Flow("resume"))
        case dsp.TransferSuspensionMessage() | dsp.TransferTerminationMessage():
            detail = msgspec.structs.replace(detail, ended=Ended(by=by, code=message.code, reason=message.reason))
        case _:
            pass
    return detail, effects


def sending(process: Process, message: Message, content: Document) -> Outcome:
    """What a message of ours changes beside the state: data stop before the peer has answered."""
    detail = process.detail.decided() if process.detail.pending else process.detail
    match message:
        case Message.REQUEST:
            return detail, (Flow("prepare"),)
        case Message.START:
            address = content["data_address"] if process.role is Role.PROVIDER else detail.data_address
            return msgspec.structs.replace(detail, data_address=address, ended=None), ()
        case Message.SUSPENSION | Message.TERMINATION:
            why = Ended(by=process.role, code=content["code"], reason=content["reason"])
            command = "suspend" if message is Message.SUSPENSION else "terminate"
            return msgspec.structs.replace(detail, ended=why), (Flow(command),)
        case _:
            return detail, ()


def entered(process: Process, state: State) -> tuple[Effect, ...]:
    """What entering ``state`` means for the data plane, which takes a repeated command for the same thing."""
    command = _ON_ENTRY.get(state)
    return () if command is None or state is process.state else (Flow(command),)


def compose(process: Process, message: Message, content: Document, message_id: str) -> dsp.TransferMessage:
    """The message itself."""
    provider_pid, consumer_pid = process.pids
    match message:
        case Message.REQUEST:
            return dsp.TransferRequestMessage(
                id=message_id,
                consumer_pid=consumer_pid,
                agreement_id=process.subject,
                format=content["format"],
                callback_address=content["callback_address"],
                data_address=content.get("data_address"),
            )
        case Message.START:
            return dsp.TransferStartMessage(
                id=message_id,
                provider_pid=provider_pid,
                consumer_pid=consumer_pid,
                data_address=content.get("data_address"),
            )
        case Message.COMPLETION:
            return dsp.TransferCompletionMessage(id=message_id, provider_pid=provider_pid, consumer_pid=consumer_pid)
        case _:
            make = dsp.TransferSuspensionMessage if message is Message.SUSPENSION else dsp.TransferTerminationMessage
            return make(
                id=message_id,
                provider_pid=provider_pid,
                consumer_pid=consumer_pid,
                code=content["code"],
                reason=content["reason"],
            )
