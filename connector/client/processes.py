"""What a connector answers about negotiations and transfers, as types; as the other results (``results.py``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import msgspec

from connector.client.refusals import Document
from connector.client.results import Change, Part, Told

_FINAL: Final = frozenset({"FINALIZED", "COMPLETED", "TERMINATED"})


class Ended(Part, frozen=True):
    """Who ended or refused something, with which code and reasons."""

    code: str | None = None
    by: str = ""
    reason: tuple[Any, ...] = ()


class Rule(Part, frozen=True):
    """Who is asked before something binds us: which roles, how many people (``eyes``), and by what (offer, settings, default)."""

    roles: tuple[str, ...] = ()
    eyes: int = 1
    origin: str = ""


class Given(Part, frozen=True):
    """Who has approved something, in which role, and when; ``person``: who is behind the caller."""

    caller: str
    role: str
    at: int
    person: str = ""


class Process(Told, frozen=True):
    """A negotiation or transfer.

    ``subject`` is the dataset of a negotiation, the agreement of a transfer. ``awaiting``: which message of ours is in flight.
    ``pending``: what a person has to decide, from ``waits_since`` until ``decide_by``; ``asks``: who is asked, ``approvals``: who
    has said yes, ``proposed_by``: which caller of ours made our last proposal, with ``proposed_person`` behind it; ``redline``
    what the offer says otherwise than what was there. ``ensuing``: the format of the transfer that begins by itself when it
    is agreed. ``format``, ``ask``, ``sink``, ``into``: how the data of a transfer are to come, which, and where to; ``received``:
    what came of them. ``private``: what our owner notes about it.
    """

    id: str
    kind: str
    role: str
    state: str
    counterparty: str
    subject: str
    correlation_id: str
    created_at: int
    updated_at: int
    version: int
    awaiting: str | None = None
    provider_pid: str | None = None
    consumer_pid: str | None = None
    pending: str | None = None
    decide_by: int | None = msgspec.field(name="decide_by", default=None)
    waits_since: int | None = msgspec.field(name="waits_since", default=None)
    asks: Rule | None = None
    approvals: tuple[Given, ...] = ()
    proposed_by: str = msgspec.field(name="proposed_by", default="")
    proposed_person: str = msgspec.field(name="proposed_person", default="")
    redline: tuple[Change, ...] = ()
    ensuing: str | None = None
    private: Document = msgspec.field(default_factory=dict)
    format: str | None = None
    ask: dict[str, str] = msgspec.field(default_factory=dict)
    offer: Document | None = None
    offer_from: str | None = msgspec.field(name="offer_from", default=None)
    agreement: Document | None = None
    dataset: str | None = None
    sink: str | None = None
    into: str | None = None
    received: Document | None = None
    ended: Ended | None = None
    refusal: Ended | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From the JSON document, in which an id of the other side is empty as long as it is not known."""
        pids = {name: document.get(name) or None for name in ("providerPid", "consumerPid")}
        return cls._made({**document, **pids, "document": document})

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in _FINAL

    @property
    def settled(self) -> bool:
        """Whether nothing more happens without a person of ours: it is over, or waits for one."""
        return self.over or self.pending is not None

    @property
    def agreement_id(self) -> str | None:
        """Of a negotiation: the id of what was agreed."""
        return None if self.agreement is None else str(self.agreement.get("@id"))


class Happening(Told, frozen=True):
    """One line of a timeline: what happened, about which message, and the state after it."""

    at: int
    what: str
    state: str
    message: str | None = None
    message_id: str | None = msgspec.field(name="message_id", default=None)
    awaiting: str | None = None
    note: str | None = None


class Event(Told, frozen=True):
    """Something that happened in a negotiation or transfer, and its state after it. ``seq`` is where a stream goes on."""

    seq: int
    process: str
    kind: str
    counterparty: str
    at: int
    what: str
    state: str
    correlation_id: str
    message: str | None = None
    message_id: str | None = None
    awaiting: str | None = None
    note: str | None = None
