"""Answers about negotiations and transfers: the process, its timeline, its data, and messages that were given up."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from connector.protocol.messages import Document
from connector.protocol.record import Detail, Ended, Given, Process, Rule
from connector.store.rows import Happening, Outgoing

HIDDEN: Final = frozenset({"countered", "data_address", "echo", "first_digest"})
"""Members of a process's detail that are not shown. The data address carries a token and has an endpoint of its own."""


class ProcessAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A negotiation or transfer as its owner sees it. ``state`` as on the wire; ``awaiting``: which message of ours is in flight.

    ``subject`` is the dataset of a negotiation, the agreement of a transfer. ``correlationId`` is shared with the counterparty.
    ``pending``: what a person has to decide, from ``waits_since`` until ``decide_by``; ``asks``: who; ``approvals``: who has said
    yes; ``proposed_by``: the caller of ours who made our last proposal, ``proposed_person``: who is behind that caller;
    ``redline``: what the offer says otherwise than what was there before. ``ensuing``: the format of the transfer that begins by
    itself when it is finalized. ``private``: what its owner notes about it. ``received``: what came of a transfer's data.
    """

    id: str
    kind: str
    role: str
    state: str
    awaiting: str | None
    counterparty: str
    provider_pid: str | None = msgspec.field(name="providerPid")
    consumer_pid: str | None = msgspec.field(name="consumerPid")
    subject: str
    correlation_id: str = msgspec.field(name="correlationId")
    created_at: int = msgspec.field(name="createdAt")
    updated_at: int = msgspec.field(name="updatedAt")
    version: int
    offer: Document | None = None
    offer_from: str | None = None
    agreement: Document | None = None
    pending: str | None = None
    decide_by: int | None = None
    waits_since: int | None = None
    asks: Rule | None = None
    approvals: list[Given] = []
    proposed_by: str = ""
    proposed_person: str = ""
    ensuing: str | None = None
    private: Document = {}
    redline: list[Document] = []
    format: str | None = None
    dataset: str | None = None
    sink: str | None = None
    ask: dict[str, str] = {}
    into: str | None = None
    received: Document | None = None
    ended: Ended | None = None
    refusal: Ended | None = None


_SHOWN: Final = tuple(name for name in ProcessAnswer.__struct_fields__ if name in set(Detail.__struct_fields__) - {"offer_from"})


def process_answer(process: Process) -> ProcessAnswer:
    """A process as its owner sees it."""
    provider_pid, consumer_pid = process.pids
    detail = process.detail
    given: dict[str, Any] = {name: getattr(detail, name) for name in _SHOWN}
    return ProcessAnswer(
        id=process.id,
        kind=process.kind.value,
        role=process.role.value,
        state=process.state.on_wire,
        awaiting=process.awaiting and process.awaiting.value,
        counterparty=process.counterparty,
        provider_pid=provider_pid,
        consumer_pid=consumer_pid,
        subject=process.subject,
        correlation_id=process.correlation_id,
        created_at=process.created_at,
        updated_at=process.updated_at,
        version=process.version,
        offer_from=detail.offer_from and detail.offer_from.value,
        **given,
    )


class TimelineLine(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened: a message sent or received, a decision, a retry, a report of the data plane; and the state after
    it. ``correlationId`` is what both sides' logs have of the process."""

    process_id: str
    at: int
    what: str
    message: str | None
    message_id: str | None
    state: str
    awaiting: str | None
    note: str | None
    correlation_id: str = msgspec.field(name="correlationId")


def timeline_answer(process: Process, lines: list[Happening]) -> list[TimelineLine]:
    """The timeline of a process."""
    return [
        TimelineLine(
            process_id=line.process_id,
            at=line.at,
            what=line.what,
            message=line.message,
            message_id=line.message_id,
            state=line.state,
            awaiting=line.awaiting,
            note=line.note,
            correlation_id=process.correlation_id,
        )
        for line in lines
    ]


class ProgressAnswer(msgspec.Struct, frozen=True):
    """``bytes`` of ``total`` that came, and whether the provider is still ``making`` the file; null where it is not known."""

    bytes: int | None
    total: int | None
    making: bool | None


class AssertionAnswer(msgspec.Struct, frozen=True):
    """What renews the token of a data address at its ``refreshEndpoint``; good once, for a minute."""

    assertion: str


class LetterAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A message that was given up, without its body, which may carry a token."""

    id: str
    counterparty: str
    process: str
    message: str
    attempts: int
    last_error: str | None
    dead_at: int | None


def letter_answer(row: Outgoing) -> LetterAnswer:
    """A dead letter as its owner sees it."""
    return LetterAnswer(
        id=row.id,
        counterparty=row.counterparty,
        process=row.process_id,
        message=row.message,
        attempts=row.attempts,
        last_error=row.last_error,
        dead_at=row.dead_at,
    )
