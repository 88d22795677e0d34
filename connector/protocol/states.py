"""The two state machines of DSP 2025-1 as literal tables, shared by both roles.

How to read a row: in ROLE, a process in STATE that is AWAITING the answer to a message of ours (or nothing, None) sees an
EVENT and moves to (STATE, AWAITING). DSP moves a state when the counterparty acknowledges, so sending changes only
AWAITING and the acknowledgement changes the state. What is not in the table is illegal and changes nothing.

Events: ``send(M)`` we want to send M; ``recv(M)`` the counterparty's M arrived; ``ACK`` the awaited message was answered
2xx; ``REFUSED`` it was refused for good and the peer's own state (see ADOPT) does not settle it; ``DEADLINE`` it was
never answered.

Four rules make two such machines end in the same state over a wire that loses, doubles, delays and reorders:

1.  A message that can only follow ours *is* its acknowledgement (``recv`` rows beside an AWAITING).
2.  The stronger of two crossing messages wins: termination, completion, suspension, start. The side whose stronger message
    is in flight answers ``BUSY`` (409: "not now, send it again"), which is not remembered.
3.  A message once judged by the table is judged for good: acceptances and refusals are remembered by its ``@id``, so that a
    late copy can never act in a later state.
4.  Of two messages of the same strength the provider's goes first. The consumer's suspension stays in flight after it; if the
    provider has resumed when it arrives, it takes effect then. The consumer's resumption is withdrawn: both have resumed.

RESUMED is shown as STARTED on the wire: the consumer has resumed, and the provider still owes the start message that
carries the new data address (what EDC does as well). It has a name of its own so that the owed message is never mistaken
for a resumption. ``*_THEN_TERMINATION`` means that the first message has no answer yet, so that we do not know
the peer's process id, and termination follows when we do.

Section numbers: DSP 2025-1 "Contract Negotiation Protocol" 1.2 and "Transfer Process Protocol" 1.2. Divergences from its
diagrams are listed in ARCHITECTURE.md. This module imports only the standard library and does no I/O.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Kind(StrEnum):
    """Which of the two protocols a process follows."""

    NEGOTIATION = "negotiation"
    TRANSFER = "transfer"


class Role(StrEnum):
    """Our own part in a process."""

    CONSUMER = "consumer"
    PROVIDER = "provider"


class State(StrEnum):
    """States of both machines. INITIAL has no wire form; RESUMED is STARTED on the wire."""

    INITIAL = "INITIAL"
    REQUESTED = "REQUESTED"
    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    AGREED = "AGREED"
    VERIFIED = "VERIFIED"
    FINALIZED = "FINALIZED"
    STARTED = "STARTED"
    RESUMED = "RESUMED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    TERMINATED = "TERMINATED"

    @property
    def on_wire(self) -> str:
        """The state as DSP spells it."""
        return "STARTED" if self is State.RESUMED else self.value

    @property
    def final(self) -> bool:
        """No message leads out of it."""
        return self in FINAL


class Message(StrEnum):
    """What is sent, by its role in the machines; ``messages.py`` knows the DSP type names."""

    REQUEST = "REQUEST"
    OFFER = "OFFER"
    ACCEPTED = "ACCEPTED"
    AGREEMENT = "AGREEMENT"
    VERIFICATION = "VERIFICATION"
    FINALIZED = "FINALIZED"
    START = "START"
    SUSPENSION = "SUSPENSION"
    COMPLETION = "COMPLETION"
    TERMINATION = "TERMINATION"
    REQUEST_THEN_TERMINATION = "REQUEST_THEN_TERMINATION"
    OFFER_THEN_TERMINATION = "OFFER_THEN_TERMINATION"


class Event(NamedTuple):
    """What happens to a process: one of the four words, and the message it is about (none for answers)."""

    what: str
    message: Message | None = None

    def __str__(self) -> str:
        return self.what if self.message is None else f"{self.what} {self.message.value}"


def send(message: Message) -> Event:
    """We want to send ``message``."""
    return Event("send", message)


def recv(message: Message) -> Event:
    """The counterparty's ``message`` arrived."""
    return Event("recv", message)


ACK: Final = Event("ack")
REFUSED: Final = Event("refused")
DEADLINE: Final = Event("deadline")


class Next(NamedTuple):
    """Where a row leads."""

    state: State
    awaiting: Message | None


class _Busy:
    """The row says: not now (409)."""

    def __repr__(self) -> str:
        return "BUSY"


BUSY: Final = _Busy()
Outcome = Next | _Busy
Rows = dict[tuple[State, Message | None], dict[Event, Outcome]]

FINAL: Final = frozenset({State.FINALIZED, State.COMPLETED, State.TERMINATED})

INITIAL, REQUESTED, OFFERED, ACCEPTED_ = State.INITIAL, State.REQUESTED, State.OFFERED, State.ACCEPTED
AGREED, VERIFIED, FINALIZED_ = State.AGREED, State.VERIFIED, State.FINALIZED
STARTED, RESUMED, SUSPENDED = State.STARTED, State.RESUMED, State.SUSPENDED
COMPLETED, TERMINATED = State.COMPLETED, State.TERMINATED
REQUEST, OFFER, ACCEPTED, AGREEMENT = Message.REQUEST, Message.OFFER, Message.ACCEPTED, Message.AGREEMENT
VERIFICATION, FINALIZED = Message.VERIFICATION, Message.FINALIZED
START, SUSPENSION, COMPLETION = Message.START, Message.SUSPENSION, Message.COMPLETION
TERMINATION = Message.TERMINATION
REQUEST_THEN, OFFER_THEN = Message.REQUEST_THEN_TERMINATION, Message.OFFER_THEN_TERMINATION


def _ends(state: State, awaiting: Message | None = None) -> dict[Event, Outcome]:
    """Termination by either side, which DSP allows at any state that is not final, and the end of our patience.

    Where the unanswered message would have been the last one, the peer may already have taken it: then our state waits for
    the answer to the termination, which tells.
    """
    rows: dict[Event, Outcome] = {
        recv(TERMINATION): Next(TERMINATED, None),
        send(TERMINATION): Next(state, TERMINATION),
    }
    if awaiting in (FINALIZED, COMPLETION):
        rows[DEADLINE] = Next(state, TERMINATION)
    elif awaiting is not None:
        rows[DEADLINE] = Next(TERMINATED, TERMINATION)
    return rows


def _terminating(state: State, busy: tuple[Message, ...]) -> dict[Event, Outcome]:
    """Our termination is in flight: it is the strongest message, so everything but the peer's own has to wait."""
    return {
        ACK: Next(TERMINATED, None),
        recv(TERMINATION): Next(TERMINATED, None),
        REFUSED: Next(TERMINATED, None),
        DEADLINE: Next(TERMINATED, None),
        **{recv(message): BUSY for message in busy},
    }


# ---------------------------------------------------------------------------------------------------------------------
# Contract negotiation
# ---------------------------------------------------------------------------------------------------------------------

_FROM_PROVIDER = (OFFER, AGREEMENT, FINALIZED)
_FROM_CONSUMER = (REQUEST, ACCEPTED, VERIFICATION)

NEGOTIATION_CONSUMER: Final[Rows] = {
    (INITIAL, None): {
        send(REQUEST): Next(INITIAL, REQUEST),
        recv(OFFER): Next(OFFERED, None),
    },
    (INITIAL, REQUEST): {
        ACK: Next(REQUESTED, None),
        recv(OFFER): Next(OFFERED, None),
        recv(AGREEMENT): Next(AGREED, None),
        recv(TERMINATION): Next(TERMINATED, None),
        send(TERMINATION): Next(INITIAL, REQUEST_THEN),
        REFUSED: Next(TERMINATED, None),
        DEADLINE: Next(TERMINATED, None),
    },
    (INITIAL, REQUEST_THEN): {
        ACK: Next(REQUESTED, TERMINATION),
        recv(OFFER): BUSY,
        recv(AGREEMENT): BUSY,
        recv(TERMINATION): Next(TERMINATED, None),
        REFUSED: Next(TERMINATED, None),
        DEADLINE: Next(TERMINATED, None),
    },
    (REQUESTED, None): {
        recv(OFFER): Next(OFFERED, None),
        recv(AGREEMENT): Next(AGREED, None),
        **_ends(REQUESTED),
    },
    (OFFERED, None): {
        send(REQUEST): Next(OFFERED, REQUEST),
        send(ACCEPTED): Next(OFFERED, ACCEPTED),
        **_ends(OFFERED),
    },
    (OFFERED, REQUEST): {
        ACK: Next(REQUESTED, None),
        recv(OFFER): Next(OFFERED, None),
        recv(AGREEMENT): Next(AGREED, None),
        **_ends(OFFERED, REQUEST),
    },
    (OFFERED, ACCEPTED): {
        ACK: Next(ACCEPTED_, None),
        recv(AGREEMENT): Next(AGREED, None),
        **_ends(OFFERED, ACCEPTED),
    },
    (ACCEPTED_, None): {
        recv(AGREEMENT): Next(AGREED, None),
        **_ends(ACCEPTED_),
    },
    (AGREED, None): {
        send(VERIFICATION): Next(AGREED, VERIFICATION),
        **_ends(AGREED),
    },
    (AGREED, VERIFICATION): {
        ACK: Next(VERIFIED, None),
        recv(FINALIZED): Next(FINALIZED_, None),
        **_ends(AGREED, VERIFICATION),
    },
    (VERIFIED, None): {
        recv(FINALIZED): Next(FINALIZED_, None),
        **_ends(VERIFIED),
    },
    (REQUESTED, TERMINATION): _terminating(REQUESTED, _FROM_PROVIDER),
    (OFFERED, TERMINATION): _terminating(OFFERED, _FROM_PROVIDER),
    (ACCEPTED_, TERMINATION): _terminating(ACCEPTED_, _FROM_PROVIDER),
    (AGREED, TERMINATION): _terminating(AGREED, _FROM_PROVIDER),
    (VERIFIED, TERMINATION): _terminating(VERIFIED, _FROM_PROVIDER),
    (TERMINATED, TERMINATION): _terminating(TERMINATED, ()),
}

NEGOTIATION_PROVIDER: Final[Rows] = {
    (INITIAL, None): {
        recv(REQUEST): Next(REQUESTED, None),
        send(OFFER): Next(INITIAL, OFFER),
    },
    (INITIAL, OFFER): {
        ACK: Next(OFFERED, None),
        recv(REQUEST): Next(REQUESTED, None),
        recv(ACCEPTED): Next(ACCEPTED_, None),
        recv(TERMINATION): Next(TERMINATED, None),
        send(TERMINATION): Next(INITIAL, OFFER_THEN),
        REFUSED: Next(TERMINATED, None),
        DEADLINE: Next(TERMINATED, None),
    },
    (INITIAL, OFFER_THEN): {
        ACK: Next(OFFERED, TERMINATION),
        recv(REQUEST): BUSY,
        recv(ACCEPTED): BUSY,
        recv(TERMINATION): Next(TERMINATED, None),
        REFUSED: Next(TERMINATED, None),
        DEADLINE: Next(TERMINATED, None),
    },
    (REQUESTED, None): {
        send(OFFER): Next(REQUESTED, OFFER),
        send(AGREEMENT): Next(REQUESTED, AGREEMENT),
        **_ends(REQUESTED),
    },
    (REQUESTED, OFFER): {
        ACK: Next(OFFERED, None),
        recv(REQUEST): Next(REQUESTED, None),
        recv(ACCEPTED): Next(ACCEPTED_, None),
        **_ends(REQUESTED, OFFER),
    },
    (REQUESTED, AGREEMENT): {
        ACK: Next(AGREED, None),
        recv(VERIFICATION): Next(VERIFIED, None),
        **_ends(REQUESTED, AGREEMENT),
    },
    (OFFERED, None): {
        recv(REQUEST): Next(REQUESTED, None),
        recv(ACCEPTED): Next(ACCEPTED_, None),
        **_ends(OFFERED),
    },
    (ACCEPTED_, None): {
        send(AGREEMENT): Next(ACCEPTED_, AGREEMENT),
        **_ends(ACCEPTED_),
    },
    (ACCEPTED_, AGREEMENT): {
        ACK: Next(AGREED, None),
        recv(VERIFICATION): Next(VERIFIED, None),
        **_ends(ACCEPTED_, AGREEMENT),
    },
    (AGREED, None): {
        recv(VERIFICATION): Next(VERIFIED, None),
        **_ends(AGREED),
    },
    (VERIFIED, None): {
        send(FINALIZED): Next(VERIFIED, FINALIZED),
        **_ends(VERIFIED),
    },
    (VERIFIED, FINALIZED): {
        ACK: Next(FINALIZED_, None),
        **_ends(VERIFIED, FINALIZED),
    },
    (REQUESTED, TERMINATION): _terminating(REQUESTED, _FROM_CONSUMER),
    (OFFERED, TERMINATION): _terminating(OFFERED, _FROM_CONSUMER),
    (ACCEPTED_, TERMINATION): _terminating(ACCEPTED_, _FROM_CONSUMER),
    (AGREED, TERMINATION): _terminating(AGREED, _FROM_CONSUMER),
    (VERIFIED, TERMINATION): _terminating(VERIFIED, _FROM_CONSUMER),
    (TERMINATED, TERMINATION): _terminating(TERMINATED, ()),
}

# ---------------------------------------------------------------------------------------------------------------------
# Transfer process
# ---------------------------------------------------------------------------------------------------------------------

_EITHER = (START, SUSPENSION, COMPLETION)

TRANSFER_CONSUMER: Final[Rows] = {
    (INITIAL, None): {send(REQUEST): Next(INITIAL, REQUEST)},
    (INITIAL, REQUEST): {
        ACK: Next(REQUESTED, None),
        recv(START): Next(STARTED, None),
        recv(TERMINATION): Next(TERMINATED, None),
        send(TERMINATION): Next(INITIAL, REQUEST_THEN),
        REFUSED: Next(TERMINATED, None),
        DEADLINE: Next(TERMINATED, None),
    },
    (INITIAL, REQUEST_THEN): {
        ACK: Next(REQUESTED, TERMINATION),
        recv(START): BUSY,
        recv(TERMINATION): Next(TERMINATED, None),
        REFUSED: Next(TERMINATED, None),
        DEADLINE: Next(TERMINATED, None),
    },
    (REQUESTED, None): {
        recv(START): Next(STARTED, None),
        **_ends(REQUESTED),
    },
    (STARTED, None): {
        send(SUSPENSION): Next(STARTED, SUSPENSION),
        send(COMPLETION): Next(STARTED, COMPLETION),
        recv(SUSPENSION): Next(SUSPENDED, None),
        recv(COMPLETION): Next(COMPLETED, None),
        **_ends(STARTED),
    },
    (STARTED, SUSPENSION): {
        ACK: Next(SUSPENDED, None),
        recv(START): Next(STARTED, None),
        recv(SUSPENSION): Next(SUSPENDED, SUSPENSION),
        recv(COMPLETION): Next(COMPLETED, None),
        REFUSED: Next(STARTED, None),
        **_ends(STARTED, SUSPENSION),
    },
    (STARTED, COMPLETION): {
        ACK: Next(COMPLETED, None),
        recv(SUSPENSION): BUSY,
        recv(COMPLETION): Next(COMPLETED, None),
        REFUSED: Next(STARTED, None),
        **_ends(STARTED, COMPLETION),
    },
    (RESUMED, None): {
        send(SUSPENSION): Next(RESUMED, SUSPENSION),
        send(COMPLETION): Next(RESUMED, COMPLETION),
        recv(START): Next(STARTED, None),
        recv(SUSPENSION): Next(SUSPENDED, None),
        recv(COMPLETION): Next(COMPLETED, None),
        **_ends(RESUMED),
    },
    (RESUMED, SUSPENSION): {
        ACK: Next(SUSPENDED, None),
        recv(START): Next(STARTED, SUSPENSION),
        recv(SUSPENSION): Next(SUSPENDED, SUSPENSION),
        recv(COMPLETION): Next(COMPLETED, None),
        REFUSED: Next(RESUMED, None),
        **_ends(RESUMED, SUSPENSION),
    },
    (RESUMED, COMPLETION): {
        ACK: Next(COMPLETED, None),
        recv(START): Next(STARTED, COMPLETION),
        recv(SUSPENSION): BUSY,
        recv(COMPLETION): Next(COMPLETED, None),
        REFUSED: Next(RESUMED, None),
        **_ends(RESUMED, COMPLETION),
    },
    (SUSPENDED, None): {
        send(START): Next(SUSPENDED, START),
        recv(START): Next(STARTED, None),
        **_ends(SUSPENDED),
    },
    (SUSPENDED, SUSPENSION): {
        ACK: Next(SUSPENDED, None),
        recv(START): Next(STARTED, SUSPENSION),
        REFUSED: Next(SUSPENDED, None),
        **_ends(SUSPENDED, SUSPENSION),
    },
    (SUSPENDED, START): {
        ACK: Next(RESUMED, None),
        recv(START): Next(STARTED, None),
        recv(SUSPENSION): BUSY,
        recv(COMPLETION): Next(COMPLETED, None),
        REFUSED: Next(SUSPENDED, None),
        **_ends(SUSPENDED, START),
    },
    (REQUESTED, TERMINATION): _terminating(REQUESTED, _EITHER),
    (STARTED, TERMINATION): _terminating(STARTED, _EITHER),
    (RESUMED, TERMINATION): _terminating(RESUMED, _EITHER),
    (SUSPENDED, TERMINATION): _terminating(SUSPENDED, _EITHER),
    (TERMINATED, TERMINATION): _terminating(TERMINATED, ()),
}

TRANSFER_PROVIDER: Final[Rows] = {
    (INITIAL, None): {recv(REQUEST): Next(REQUESTED, None)},
    (REQUESTED, None): {
        send(START): Next(REQUESTED, START),
        **_ends(REQUESTED),
    },
    (REQUESTED, START): {
        ACK: Next(STARTED, None),
        recv(SUSPENSION): Next(SUSPENDED, None),
        recv(COMPLETION): Next(COMPLETED, None),
        **_ends(REQUESTED, START),
    },
    (STARTED, None): {
        send(SUSPENSION): Next(STARTED, SUSPENSION),
        send(COMPLETION): Next(STARTED, COMPLETION),
        recv(SUSPENSION): Next(SUSPENDED, None),
        recv(COMPLETION): Next(COMPLETED, None),
        **_ends(STARTED),
    },
    (STARTED, SUSPENSION): {
        ACK: Next(SUSPENDED, None),
        recv(START): BUSY,
        recv(SUSPENSION): BUSY,
        recv(COMPLETION): Next(COMPLETED, None),
        REFUSED: Next(STARTED, None),
        **_ends(STARTED, SUSPENSION),
    },
    (STARTED, COMPLETION): {
        ACK: Next(COMPLETED, None),
        recv(SUSPENSION): BUSY,
        recv(COMPLETION): Next(COMPLETED, None),
        REFUSED: Next(STARTED, None),
        **_ends(STARTED, COMPLETION),
    },
    (RESUMED, None): {
        send(START): Next(RESUMED, START),
        send(SUSPENSION): Next(RESUMED, SUSPENSION),
        send(COMPLETION): Next(RESUMED, COMPLETION),
        recv(SUSPENSION): BUSY,
        recv(COMPLETION): Next(COMPLETED, None),
        **_ends(RESUMED),
    },
    (RESUMED, START): {
        ACK: Next(STARTED, None),
        recv(SUSPENSION): BUSY,
        recv(COMPLETION): Next(COMPLETED, None),
        REFUSED: Next(STARTED, None),
        **_ends(RESUMED, START),
    },
    (RESUMED, SUSPENSION): {
        ACK: Next(SUSPENDED, None),
        recv(START): BUSY,
        recv(SUSPENSION): BUSY,
        recv(COMPLETION): Next(COMPLETED, None),
        REFUSED: Next(RESUMED, None),
        **_ends(RESUMED, SUSPENSION),
    },
    (RESUMED, COMPLETION): {
        ACK: Next(COMPLETED, None),
        recv(SUSPENSION): BUSY,
        recv(COMPLETION): Next(COMPLETED, None),
        REFUSED: Next(RESUMED, None),
        **_ends(RESUMED, COMPLETION),
    },
    (SUSPENDED, None): {
        send(START): Next(SUSPENDED, START),
        recv(START): Next(RESUMED, None),
        **_ends(SUSPENDED),
    },
    (SUSPENDED, START): {
        ACK: Next(STARTED, None),
        recv(START): BUSY,
        recv(SUSPENSION): BUSY,
        recv(COMPLETION): Next(COMPLETED, None),
        REFUSED: Next(SUSPENDED, None),
        **_ends(SUSPENDED, START),
    },
    (REQUESTED, TERMINATION): _terminating(REQUESTED, _EITHER),
    (STARTED, TERMINATION): _terminating(STARTED, _EITHER),
    (RESUMED, TERMINATION): _terminating(RESUMED, _EITHER),
    (SUSPENDED, TERMINATION): _terminating(SUSPENDED, _EITHER),
    (TERMINATED, TERMINATION): _terminating(TERMINATED, ()),
}

TABLES: Final[dict[tuple[Kind, Role], Rows]] = {
    (Kind.NEGOTIATION, Role.CONSUMER): NEGOTIATION_CONSUMER,
    (Kind.NEGOTIATION, Role.PROVIDER): NEGOTIATION_PROVIDER,
    (Kind.TRANSFER, Role.CONSUMER): TRANSFER_CONSUMER,
    (Kind.TRANSFER, Role.PROVIDER): TRANSFER_PROVIDER,
}

# After a refusal for good the peer is asked for its state. Where our message turns out to have been taken, or the process
# has ended, its state is adopted: (our state, awaiting, the peer's state on the wire) -> our new state. A peer that only does
# not take another offer is where it was, and so are we: what it had offered or asked for can still be agreed. Where there is no
# row, the REFUSED row decides, and where there is none of those either, we terminate. The consumer does not adopt SUSPENDED
# after a refused suspension: the peer may show it while its own start message is on the way.
Adoptions = dict[tuple[State, Message, str], State]
_COMPLETED_ANYWAY: Final[Adoptions] = {
    (SUSPENDED, START, "COMPLETED"): COMPLETED,
    (STARTED, SUSPENSION, "COMPLETED"): COMPLETED,
    (RESUMED, SUSPENSION, "COMPLETED"): COMPLETED,
    (STARTED, COMPLETION, "COMPLETED"): COMPLETED,
    (RESUMED, COMPLETION, "COMPLETED"): COMPLETED,
    (STARTED, TERMINATION, "COMPLETED"): COMPLETED,
    (RESUMED, TERMINATION, "COMPLETED"): COMPLETED,
}
ADOPT: Final[dict[tuple[Kind, Role], Adoptions]] = {
    (Kind.NEGOTIATION, Role.CONSUMER): {
        (OFFERED, REQUEST, "REQUESTED"): REQUESTED,
        (OFFERED, REQUEST, "OFFERED"): OFFERED,
        (OFFERED, ACCEPTED, "ACCEPTED"): ACCEPTED_,
        (AGREED, VERIFICATION, "VERIFIED"): VERIFIED,
        (AGREED, VERIFICATION, "FINALIZED"): FINALIZED_,
    },
    (Kind.NEGOTIATION, Role.PROVIDER): {
        (REQUESTED, OFFER, "OFFERED"): OFFERED,
        (REQUESTED, OFFER, "REQUESTED"): REQUESTED,
        (REQUESTED, AGREEMENT, "AGREED"): AGREED,
        (ACCEPTED_, AGREEMENT, "AGREED"): AGREED,
        (VERIFIED, FINALIZED, "FINALIZED"): FINALIZED_,
        (VERIFIED, TERMINATION, "FINALIZED"): FINALIZED_,
    },
    (Kind.TRANSFER, Role.CONSUMER): {
        (SUSPENDED, START, "STARTED"): RESUMED,
        **_COMPLETED_ANYWAY,
    },
    (Kind.TRANSFER, Role.PROVIDER): {
        (REQUESTED, START, "STARTED"): STARTED,
        (SUSPENDED, START, "STARTED"): STARTED,
        (RESUMED, START, "COMPLETED"): COMPLETED,
        (STARTED, SUSPENSION, "SUSPENDED"): SUSPENDED,
        (RESUMED, SUSPENSION, "SUSPENDED"): SUSPENDED,
        **_COMPLETED_ANYWAY,
    },
}


def adopt(kind: Kind, role: Role, state: State, awaiting: Message, peer_state: str | None) -> State | None:
    """The state to take over after a refusal, given the peer's own; None where that settles nothing."""
    if peer_state == TERMINATED.value:
        return TERMINATED
    return ADOPT[kind, role].get((state, awaiting, peer_state or ""))


def step(kind: Kind, role: Role, state: State, awaiting: Message | None, event: Event) -> Outcome | None:
    """The row for this key; None where the tables have none, which means: illegal, nothing changes."""
    row = TABLES[kind, role].get((state, awaiting))
    return None if row is None else row.get(event)


def allowed(kind: Kind, role: Role, state: State, awaiting: Message | None) -> list[str]:
    """What the counterparty may send now, for error texts, in alphabetical order."""
    row = TABLES[kind, role].get((state, awaiting), {})
    return sorted(event.message.value for event in row if event.what == "recv" and event.message is not None)
