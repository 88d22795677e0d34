"""What a decision says: permit or deny, the reasons, and the report on every rule (W3C ODRL formal semantics).

The report tells of each constraint whether it is satisfied, of each rule whether it is active, of each duty whether it is
fulfilled. A path is a JSON pointer into the policy as ODRL writes it (``/permission/0/duty/1/action/refinement/0``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

from policies.model import AnyConstraint

Outcome = Literal["permit", "deny"]


class Satisfaction(StrEnum):
    """WAITS: decided later in the life of a contract, or legal only. UNKNOWN: nobody here can tell, which never helps."""

    SATISFIED = "satisfied"
    NOT_SATISFIED = "not satisfied"
    WAITS = "waits"
    UNKNOWN = "unknown"


class Activation(StrEnum):
    """Whether a rule holds for the request. WAITS: as far as can be said now; it is decided again later. UNKNOWN permits nothing,
    and prohibits."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    WAITS = "waits"
    UNKNOWN = "unknown"


class DutyState(StrEnum):
    """PENDING is owed and promised, and withholds nothing; NOT_FULFILLED was not done in time; NONE is not owed."""

    PENDING = "pending"
    FULFILLED = "fulfilled"
    NOT_FULFILLED = "not fulfilled"
    NONE = "none"


class Reason(NamedTuple):
    """One step of a decision: a stable code, where in the policy, a sentence in English, and what would change it.

    ``remedy`` is None where nothing that the caller or the deployment could do would.
    """

    code: str
    path: str
    sentence: str
    remedy: str | None = None


class ConstraintReport(NamedTuple):
    """A constraint, and what became of it.

    ``code``, ``sentence`` and ``remedy`` say why, where it is neither satisfied nor waits. A logical constraint has ``parts``.
    """

    path: str
    constraint: AnyConstraint
    satisfaction: Satisfaction
    code: str = ""
    sentence: str = ""
    remedy: str | None = None
    parts: tuple[ConstraintReport, ...] = ()


class DutyReport(NamedTuple):
    """A duty: its action, its state, and ``obstacles``: what about it nobody here understands."""

    path: str
    action: str
    state: DutyState
    obstacles: tuple[Reason, ...] = ()


class RuleReport(NamedTuple):
    """A permission or prohibition. ``obstacles``: why it does not concern the request, or cannot be understood."""

    path: str
    activation: Activation
    constraints: tuple[ConstraintReport, ...] = ()
    duties: tuple[DutyReport, ...] = ()
    obstacles: tuple[Reason, ...] = ()


class Conflict(NamedTuple):
    """A permission and a prohibition that hold at once, by path."""

    permission: str
    prohibition: str


class Report(NamedTuple):
    """All rules in the order of the policy, and where they contradict each other."""

    permissions: tuple[RuleReport, ...] = ()
    prohibitions: tuple[RuleReport, ...] = ()
    obligations: tuple[DutyReport, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Permit or deny, and why.

    The reasons of a denial are what blocks, and what keeps the permission that is nearest to being satisfied: with all of them
    mended, the request is permitted. Those of the other permissions are in the report.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...]
    report: Report = field(default_factory=Report)

    @property
    def permitted(self) -> bool:
        """Whether the request may go on."""
        return self.outcome == "permit"
