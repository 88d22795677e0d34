"""The life of a data flow as one literal table (Data Plane Signaling 1.0-RC3, section "Data Flow State Machine").

Keyed by role, state and operation; what is not a row is refused and changes nothing. Pure: no I/O, imports nothing.
A row that leads to its own state is a harmless repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """Which side of the transfer this data plane is on."""

    PROVIDER = "provider"
    CONSUMER = "consumer"


class State(StrEnum):
    """The specification's states. PREPARING is never entered: preparing a pull takes no time."""

    INITIALIZED = "INITIALIZED"
    PREPARED = "PREPARED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    TERMINATED = "TERMINATED"


class Operation(StrEnum):
    """What the control plane may ask for. ``AWAIT`` is a consumer's resume that brings no address yet; ``FINISH`` is the
    data plane's own, when the last byte is in place.
    """

    PREPARE = "prepare"
    START = "start"
    STARTED = "started"
    SUSPEND = "suspend"
    RESUME = "resume"
    AWAIT = "await"
    TERMINATE = "terminate"
    COMPLETED = "completed"
    FINISH = "finish"


_P, _C = Role.PROVIDER, Role.CONSUMER

TABLE: Mapping[tuple[Role, State, Operation], State] = MappingProxyType(
    {
        (_P, State.INITIALIZED, Operation.START): State.STARTED,
        # Both sides may resume at the same time: the second finds it done, and gets the same address.
        (_P, State.STARTED, Operation.RESUME): State.STARTED,
        (_P, State.STARTED, Operation.SUSPEND): State.SUSPENDED,
        (_P, State.STARTED, Operation.TERMINATE): State.TERMINATED,
        (_P, State.STARTED, Operation.COMPLETED): State.COMPLETED,
        (_P, State.SUSPENDED, Operation.SUSPEND): State.SUSPENDED,
        (_P, State.SUSPENDED, Operation.RESUME): State.STARTED,
        (_P, State.SUSPENDED, Operation.TERMINATE): State.TERMINATED,
        # The consumer may have finished just before the suspension reached it.
        (_P, State.SUSPENDED, Operation.COMPLETED): State.COMPLETED,
        (_P, State.COMPLETED, Operation.COMPLETED): State.COMPLETED,
        (_P, State.TERMINATED, Operation.TERMINATE): State.TERMINATED,
        (_C, State.INITIALIZED, Operation.PREPARE): State.PREPARED,
        (_C, State.PREPARED, Operation.STARTED): State.STARTED,
        (_C, State.PREPARED, Operation.TERMINATE): State.TERMINATED,
        (_C, State.STARTING, Operation.STARTED): State.STARTED,
        (_C, State.STARTING, Operation.SUSPEND): State.SUSPENDED,
        (_C, State.STARTING, Operation.TERMINATE): State.TERMINATED,
        (_C, State.STARTED, Operation.SUSPEND): State.SUSPENDED,
        (_C, State.STARTED, Operation.TERMINATE): State.TERMINATED,
        (_C, State.STARTED, Operation.COMPLETED): State.COMPLETED,
        (_C, State.STARTED, Operation.FINISH): State.COMPLETED,
        (_C, State.SUSPENDED, Operation.SUSPEND): State.SUSPENDED,
        (_C, State.SUSPENDED, Operation.RESUME): State.STARTED,
        # The provider's new address comes with /started.
        (_C, State.SUSPENDED, Operation.AWAIT): State.STARTING,
        (_C, State.SUSPENDED, Operation.STARTED): State.STARTED,
        (_C, State.SUSPENDED, Operation.TERMINATE): State.TERMINATED,
        (_C, State.SUSPENDED, Operation.COMPLETED): State.COMPLETED,
        (_C, State.COMPLETED, Operation.COMPLETED): State.COMPLETED,
        # The last byte came before a suspension that was lifted: the report of completion is on its way.
        (_C, State.COMPLETED, Operation.STARTED): State.COMPLETED,
        (_C, State.TERMINATED, Operation.TERMINATE): State.TERMINATED,
    }
)

ENDED = frozenset({State.COMPLETED, State.TERMINATED})


def next_state(role: Role, state: State, operation: Operation) -> State | None:
    """The state that ``operation`` brings, or ``None`` when the table has no such row."""
    return TABLE.get((role, state, operation))
