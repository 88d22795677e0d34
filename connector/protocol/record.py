"""The record of a process, and what a decision about it is made of. Data only; no I/O, no rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from connector.protocol import messages as dsp
from connector.protocol.messages import Document
from connector.protocol.states import Kind, Message, Role, State


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a process was ended, refused or suspended: by whom, with which code, in whose words."""

    by: Role
    code: str | None = None
    reason: list[Any] = []


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Who decides about what waits for people: ``eyes`` of them, each with one of the ``roles`` (`connector.access.caller.Role`).

    ``deadline_s``: how many seconds they have; None: as long as the settings give. ``origin``: the offer asks for it, or the
    settings do, or nobody does.
    """

    roles: tuple[str, ...]
    eyes: int = 1
    deadline_s: int | None = None
    origin: Literal["offer", "settings", "default"] = "default"


PLAIN: Final = Rule(roles=("operator", "commercial"))
"""The rule where neither an offer nor the settings have one."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """An approval that was given: by which caller, in which role, when (ms since the epoch). ``person``: who is behind the
    caller; empty: nobody else."""

    caller: str
    role: str
    at: int
    person: str = ""

    @property
    def behind(self) -> str:
        """Who counts where people are counted."""
        return self.person or self.caller


class Countered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The other side's offer that one of ours is to replace, as it lay on the table; ``step``: what was to be decided of it."""

    offer: Document
    redline: list[Document] = []
    echo: bool = False
    step: str | None = None


class Detail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a process carries beside its state; one struct for both kinds, so that the store knows one form.

    Negotiation: ``offer`` is the last offer on the table and ``offer_from`` who made it; ``agreement`` is set from the
    agreement message on. Transfer: ``format``, ``dataset``, the ``data_address`` that holds now, and for a consumer that lets
    its data plane fetch, ``sink`` (a file name), the ``ask`` (query parameters of its request), ``into`` (``database:table``,
    where rows are to go) and what was ``received`` (bytes, sha256, rows...).

    ``pending`` is what a person has to decide, until ``decide_by`` (ms since the epoch) where that is limited. ``redline`` is
    what the offer on the table says otherwise than what was there before, change by change (``protocol/redline.py``);
    ``echo``: whoever made it asks for no more with it than was on the table before, in whatever words.

    ``countered`` is what comes back onto the table if the other side does not take our offer.

    ``waits_since`` is from when on that waits, ``asks`` who is asked (it stays when they have decided), and ``approvals`` who of
    them has approved it so far. ``proposed_by`` is the caller of ours who made our side's last proposal, ``proposed_person`` who
    is behind that caller; empty: nobody did.

    ``ensuing``: the format of the transfer that we begin as consumer as soon as the negotiation is finalized. ``private``: what a
    caller of ours has noted about a transfer; nobody else sees it.
    """

    first_digest: str | None = None
    offer: Document | None = None
    offer_from: Role | None = None
    countered: Countered | None = None
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
    echo: bool = False
    format: str | None = None
    dataset: str | None = None
    data_address: Document | None = None
    sink: str | None = None
    ask: dict[str, str] = {}
    into: str | None = None
    received: Document | None = None
    ended: Ended | None = None
    refusal: Ended | None = None

    def decided(self) -> Detail:
        """The same when nobody has to decide any more, about this or what was before it."""
        return msgspec.structs.replace(self, pending=None, decide_by=None, waits_since=None, approvals=[], countered=None)


@dataclass(frozen=True, slots=True)
class Process:
    """One side's record of a negotiation or transfer.

    ``id`` is our process id and ``peer_pid`` the counterparty's (None until it told us); ``peer_address`` the base address
    that its messages go to; ``subject`` the dataset of a negotiation, the agreement of a transfer. ``awaiting_id`` is the
    ``@id`` of our message in flight. ``last_digest`` is the digest of the last accepted message while nothing was sent since.
    ``version`` counts writes and guards them. Times are integer milliseconds since the epoch.
    """

    id: str
    kind: Kind
    role: Role
    state: State
    counterparty: str
    peer_address: str
    correlation_id: str
    subject: str
    created_at: int
    updated_at: int
    detail: Detail
    peer_pid: str | None = None
    awaiting: Message | None = None
    awaiting_id: str | None = None
    last_digest: str | None = None
    version: int = 0

    @property
    def pids(self) -> tuple[str, str]:
        """(providerPid, consumerPid)."""
        return dsp.pids(self.role, self.id, self.peer_pid)

    @property
    def waits_since(self) -> int | None:
        """Since when it waits for people, or None. What an earlier release has kept goes by its last change."""
        waits = self.detail.pending is not None and not self.state.final
        return (self.detail.waits_since or self.updated_at) if waits else None


@dataclass(frozen=True, slots=True)
class Send:
    """Put this message into the outbox. Its ``@id`` is the outbox row's id and stays the same over retries."""

    message: Message
    message_id: str
    document: Document


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The message in the outbox is answered or overtaken: it need not be sent (again)."""

    message_id: str


@dataclass(frozen=True, slots=True)
class KeepAgreement:
    """Store the agreement; it binds once the negotiation is FINALIZED."""

    agreement: Document


@dataclass(frozen=True, slots=True)
class SettleAgreement:
    """The negotiation has ended: the agreement binds, or it is void."""

    binding: bool


@dataclass(frozen=True, slots=True)
class Flow:
    """Tell the data plane. ``command`` is the Data Plane Signaling message's name."""

    command: str
    data_address: Document | None = None


@dataclass(frozen=True, slots=True)
class KeepGround:
    """Enter the ground that our agreement covers into the register, if that still is as it was read.

    ``version`` of the register of this dataset; ``held`` is how many agreements were in it, counted again where ``exclusive``.
    """

    exclusive: bool
    version: int
    held: int


@dataclass(frozen=True, slots=True)
class CountTransfer:
    """Count a transfer under its agreement, if it is still the one after ``before``."""

    before: int


@dataclass(frozen=True, slots=True)
class Remark:
    """Say in the timeline what was decided, and why. With an ``outcome`` it is a decision, which the contract log is told, too:
    with a ``code`` of ours, the ``reasons``, and ``by`` whom, where it was a caller of ours: its id and the role it acted in."""

    what: str
    text: str
    outcome: Literal["", "permitted", "refused", "waiting", "approved"] = ""
    code: str = ""
    reasons: tuple[str, ...] = ()
    by: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Voice:
    """Keep who of our people has said what about ``step``, which waited for them: approved, rejected or countered."""

    step: str
    caller: str
    role: str
    verdict: Literal["approved", "rejected", "countered"]
    comment: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Look at the process again at ``due_at`` (ms since the epoch), for the purpose that ``kind`` names."""

    kind: str
    due_at: int


Effect = Send | Withdraw | KeepAgreement | SettleAgreement | Flow | KeepGround | CountTransfer | Remark | Voice | Alarm


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows: the record as it is to be stored, and the effects that are committed with it.

    ``repeat`` means that the message had been accepted before: answer as then, store nothing.
    """

    process: Process
    effects: tuple[Effect, ...] = ()
    repeat: bool = False
