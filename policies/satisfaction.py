"""Whether constraints are satisfied: of a term by what it is now, of a logical constraint by its parts.

Four values: satisfied, not satisfied, waits, unknown. What is unknown never helps the caller. A permission has the order not
satisfied, unknown, waits, satisfied; ``and`` takes the least and ``or`` the greatest. In a prohibition, and below an ``xone``
(which is not monotone), unknown absorbs all that it could change, so that no part that nobody understands can turn a sum in
the caller's favour. In which order the parts of ``andSequence`` came true nobody records: several are unknown unless one fails.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from policies.decision import ConstraintReport, Satisfaction
from policies.model import AnyConstraint, Constraint, Logic
from policies.terms.examine import Fault, Understood, understand
from policies.terms.term import Enforced, Request, Unknown, World
from policies.terms.wording import sentence

SATISFIED: Final = Satisfaction.SATISFIED
FAILED: Final = Satisfaction.NOT_SATISFIED
WAITS: Final = Satisfaction.WAITS
UNKNOWN: Final = Satisfaction.UNKNOWN

NESTING_MOST: Final = 16
"""Logical constraints inside each other; what lies deeper is unknown."""

_LEAST_FIRST: Final = {FAILED: 0, UNKNOWN: 1, WAITS: 2, SATISFIED: 3}
_UNKNOWN_LATE: Final = {FAILED: 0, WAITS: 1, UNKNOWN: 2, SATISFIED: 3}


class Side(Enum):
    """What hangs on a constraint: something that the caller wants, or something that could count against it."""

    PERMITS = "permits"
    PROHIBITS = "prohibits"


def judge(constraint: AnyConstraint, path: str, side: Side, request: Request, world: World, depth: int = 0) -> ConstraintReport:
    """What becomes of a constraint for a request, in a state of the world. Never raises for any constraint."""
    if isinstance(constraint, Constraint):
        return _judge_term(constraint, path, request, world)
    if depth >= NESTING_MOST or not constraint.parts:
        what = "nested too deeply" if constraint.parts else "without parts"
        return ConstraintReport(path, constraint, UNKNOWN, "constraint-invalid", f"a logical constraint {what} says nothing")
    below = side if constraint.logic in (Logic.AND, Logic.OR) else Side.PROHIBITS
    member = constraint.logic.value
    parts = tuple(
        judge(part, f"{path}/{member}/{index}", below, request, world, depth + 1) for index, part in enumerate(constraint.parts)
    )
    found = _combined(constraint.logic, side, [part.satisfaction for part in parts])
    if found is SATISFIED or found is WAITS:
        return ConstraintReport(path, constraint, found, parts=parts)
    return ConstraintReport(path, constraint, found, f"{member}-unsatisfied", _WHY[constraint.logic], None, parts)


_WHY: Final = {
    Logic.AND: "not all of several conditions are met",
    Logic.OR: "none of several conditions is met",
    Logic.XONE: "not exactly one of several conditions is met, as far as is known",
    Logic.AND_SEQUENCE: "in which order several conditions were met is not recorded",
}


def _combined(logic: Logic, side: Side, parts: list[Satisfaction]) -> Satisfaction:
    match logic:
        case Logic.AND:
            return min(parts, key=_LEAST_FIRST.__getitem__)
        case Logic.OR:
            return max(parts, key=(_LEAST_FIRST if side is Side.PERMITS else _UNKNOWN_LATE).__getitem__)
        case Logic.XONE:
            return _exactly_one(parts)
        case _:
            least = min(parts, key=_LEAST_FIRST.__getitem__)
            return least if least is FAILED or len(parts) == 1 else UNKNOWN


def _exactly_one(parts: list[Satisfaction]) -> Satisfaction:
    satisfied = parts.count(SATISFIED)
    if satisfied > 1:
        return FAILED
    if UNKNOWN in parts:
        return UNKNOWN
    if WAITS in parts:
        return WAITS
    return SATISFIED if satisfied else FAILED


def _judge_term(constraint: Constraint, path: str, request: Request, world: World) -> ConstraintReport:
    found = understand(constraint)
    if isinstance(found, Fault):
        return ConstraintReport(path, constraint, UNKNOWN, found.code, found.sentence)
    term = found.term
    if term.given is None or request.scope not in term.scopes:
        return ConstraintReport(path, constraint, WAITS)
    given = term.given(request, world)
    if isinstance(given, Enforced):
        return ConstraintReport(path, constraint, SATISFIED)
    if isinstance(given, Unknown):
        return ConstraintReport(path, constraint, UNKNOWN, "not-known", _said(found), given.remedy)
    verdict = None if term.compare is None else term.compare(given, found.operator, found.right)
    if verdict is None:
        return ConstraintReport(path, constraint, UNKNOWN, "not-comparable", _said(found), term.remedy)
    if verdict:
        return ConstraintReport(path, constraint, SATISFIED)
    return ConstraintReport(path, constraint, FAILED, "not-satisfied", _said(found), term.remedy)


def _said(found: Understood) -> str:
    return f"It is required: {sentence(found.term, found.operator, found.right, 'en')}"
