"""States of negotiations and transfers in the words of EDC: what it calls ours, and its numbers. Pure; knows our own states.

While a message of ours is in flight, EDC's state says so (``REQUESTING``). A process that is over is never in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from connector.protocol.states import Kind, Message, State

IN_FLIGHT: Final[Mapping[Message, str]] = MappingProxyType(
    {
        Message.REQUEST: "REQUESTING",
        Message.OFFER: "OFFERING",
        Message.ACCEPTED: "ACCEPTING",
        Message.AGREEMENT: "AGREEING",
        Message.VERIFICATION: "VERIFYING",
        Message.FINALIZED: "FINALIZING",
        Message.START: "STARTING",
        Message.SUSPENSION: "SUSPENDING",
        Message.COMPLETION: "COMPLETING",
        Message.TERMINATION: "TERMINATING",
        Message.REQUEST_THEN_TERMINATION: "TERMINATING",
        Message.OFFER_THEN_TERMINATION: "TERMINATING",
    }
)
RESUMING: Final = "RESUMING"
"""Its name for a start that is in flight while suspended."""

NUMBERS: Final[Mapping[Kind, Mapping[int, str]]] = MappingProxyType(
    {
        Kind.NEGOTIATION: MappingProxyType(
            {
                **{50: "INITIAL", 100: "REQUESTING", 200: "REQUESTED", 300: "OFFERING", 400: "OFFERED", 700: "ACCEPTING"},
                **{800: "ACCEPTED", 825: "AGREEING", 850: "AGREED", 1050: "VERIFYING", 1100: "VERIFIED", 1150: "FINALIZING"},
                **{1200: "FINALIZED", 1300: "TERMINATING", 1400: "TERMINATED"},
            }
        ),
        Kind.TRANSFER: MappingProxyType(
            {
                **{100: "INITIAL", 200: "PROVISIONING", 300: "PROVISIONED", 400: "REQUESTING", 500: "REQUESTED", 550: "STARTING"},
                **{600: "STARTED", 650: "SUSPENDING", 675: "SUSPENDED", 690: "RESUMING", 695: "RESUMED", 700: "COMPLETING"},
                **{800: "COMPLETED", 825: "TERMINATING", 850: "TERMINATED", 900: "DEPROVISIONING", 1000: "DEPROVISIONED"},
            }
        ),
    }
)
"""By which clients may ask for a state, as EDC's database has it."""


def edc_state(state: State, awaiting: Message | None) -> str:
    """What EDC calls the state of a process that awaits the answer to this message of ours."""
    if awaiting is None or state.final:
        return state.value
    if awaiting is Message.START and state is State.SUSPENDED:
        return RESUMING
    return IN_FLIGHT[awaiting]
