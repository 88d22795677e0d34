"""The decision point: a policy, a request and the state of the world give a decision with reasons and a report.

Deny by default. W3C ODRL formal semantics, with these choices where they leave one:
- What nobody here understands (operand, operator, action, value, role, profile, inherited policy) is never satisfied in a
  permission, blocks in a prohibition, and is named. A duty that is not understood cannot be promised: its permission is withheld;
  such an obligation withholds everything.
- A permission is active while its constraints and the refinements of its action are satisfied and none of its duties is
  violated; a pending duty is a promise. A prohibition is active only while all its constraints are satisfied; what it asks for
  once it was violated (``remedy``) does not change what it prohibits.
- An action is permitted or prohibited by a rule about it or about one that includes it: to prohibit ``sell`` leaves ``use``.
- Where both hold, the prohibition wins unless the policy says ``conflict: perm``; that saves no prohibition that is unknown.

Pure: imports the model and the terms only, and never raises for any policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from policies.decision import (
    Activation,
    Conflict,
    ConstraintReport,
    Decision,
    DutyReport,
    DutyState,
    Reason,
    Report,
    RuleReport,
    Satisfaction,
)
from policies.model import ODRL, Action, AnyConstraint, Asset, Compound, Duty, Party, Permission, Policy, Prohibition
from policies.model import Conflict as Strategy
from policies.satisfaction import NESTING_MOST, Side, judge
from policies.terms.examine import Fault, action_known, included, understand
from policies.terms.registry import profile_known, term
from policies.terms.term import Request, Term, World

PART_OF: Final = f"{ODRL}partOf"
"""The fact that says to which collections assets and parties belong: a mapping from their IRI to the IRIs of the collections."""

_GOOD: Final = (Activation.ACTIVE, Activation.WAITS)
_FORBIDDING: Final = (Activation.ACTIVE, Activation.UNKNOWN)
_SHOWN_MOST: Final = 120


class _Case(NamedTuple):
    """What does not change while one policy is judged."""

    policy: Policy
    request: Request
    world: World


def evaluate(policy: Policy, request: Request, world: World) -> Decision:
    """Judge ``request`` under ``policy``. ``world.facts`` has under the uid or action of a duty whether it is fulfilled."""
    case = _Case(policy, request, world)
    permissions = tuple([_permission(f"/permission/{at}", rule, case) for at, rule in enumerate(policy.permissions)])
    prohibitions = tuple([_prohibition(f"/prohibition/{at}", rule, case) for at, rule in enumerate(policy.prohibitions)])
    obligations = tuple([_duty(f"/obligation/{at}", duty, case) for at, duty in enumerate(policy.obligations)])
    permitting = [report for report in permissions if report.activation in _GOOD]
    forbidding = [report for report in prohibitions if report.activation in _FORBIDDING]
    conflicts = [Conflict(one.path, other.path) for one in permitting for other in forbidding] if forbidding else ()
    report = Report(permissions, prohibitions, obligations, tuple(conflicts))
    reasons = [*_blocking(policy), *(reason for duty in obligations for reason in _withholding(duty))]
    for forbidden in forbidding:
        if forbidden.activation is Activation.UNKNOWN or not (permitting and policy.conflict is Strategy.PERM):
            reasons.append(_forbidden(forbidden, request))
    if not permitting:
        reasons += _nearest(permissions, request)
    if reasons:
        return Decision("deny", tuple(reasons), report)
    sentence = f"the permission applies to {_shown(request.action)}"
    return Decision("permit", (Reason("permitted", permitting[0].path, sentence),), report)


def _blocking(policy: Policy) -> Iterator[Reason]:
    """What makes the whole policy one that nobody here understands."""
    for index, iri in enumerate(policy.profiles):
        if not profile_known(iri):
            yield Reason("profile-unknown", f"/profile/{index}", f"the profile {_shown(iri)} is not known here")
    for index, iri in enumerate(policy.inherits):
        yield Reason(
            "inherits-unsupported", f"/inheritFrom/{index}", f"the policy {_shown(iri)} is not looked up; write its rules out"
        )


def _permission(path: str, rule: Permission, case: _Case) -> RuleReport:
    constraints, obstacles = _conditions(path, rule, Side.PERMITS, case)
    duties = tuple([_duty(f"{path}/duty/{at}", duty, case) for at, duty in enumerate(rule.duties)])
    for duty in duties:
        if duty.obstacles or duty.state is DutyState.NOT_FULFILLED:
            obstacles += _withholding(duty)
    return _reported(path, constraints, duties, obstacles)


def _prohibition(path: str, rule: Prohibition, case: _Case) -> RuleReport:
    constraints, obstacles = _conditions(path, rule, Side.PROHIBITS, case)
    return _reported(path, constraints, (), obstacles)


_INAPPLICABLE: Final = frozenset({"action-other", "target-other", "assignee-other", "duty-violated"})
"""Codes of obstacles that are certain: the rule does not hold. The others are unknown."""


def _reported(
    path: str, constraints: list[ConstraintReport], duties: tuple[DutyReport, ...], obstacles: list[Reason]
) -> RuleReport:
    found = [report.satisfaction for report in constraints]
    if Satisfaction.NOT_SATISFIED in found or (obstacles and any(reason.code in _INAPPLICABLE for reason in obstacles)):
        activation = Activation.INACTIVE
    elif obstacles or Satisfaction.UNKNOWN in found:
        activation = Activation.UNKNOWN
    else:
        activation = Activation.WAITS if Satisfaction.WAITS in found else Activation.ACTIVE
    return RuleReport(path, activation, tuple(constraints), duties, tuple(obstacles))


# --- what a rule concerns --------------------------------------------------------------------------------------------


def _conditions(
    path: str, rule: Permission | Prohibition, side: Side, case: _Case
) -> tuple[list[ConstraintReport], list[Reason]]:
    policy, request, world = case
    obstacles: list[Reason] = []
    if (wrong := _action(f"{path}/action", rule.action, request)) is not None:
        obstacles.append(wrong)
    if (assigner := rule.assigner or policy.assigner) is not None and assigner.refinements:
        obstacles.append(Reason("assigner-refined", f"{path}/assigner", "who assigns cannot be narrowed here; name the party"))
    if rule.parties:
        roles = ", ".join(role for role, _ in rule.parties)
        obstacles.append(Reason("role-unknown", path, f"no party of a rule has the role {_shown(roles)} here"))
    found: list[ConstraintReport] = []
    for member, concerned, asked in (
        ("target", rule.target or policy.target, request.target),
        ("assignee", rule.assignee or policy.assignee, request.assignee),
    ):
        if concerned is None:
            continue
        if concerned.iri != asked and (other := _other(path, member, concerned, asked, world)) is not None:
            obstacles.append(other)
        if concerned.refinements:
            found += _judged(f"{path}/{member}/refinement", concerned.refinements, side, case)
    if rule.action.refinements:
        found += _judged(f"{path}/action/refinement", rule.action.refinements, side, case)
    if rule.constraints:
        found += _judged(f"{path}/constraint", rule.constraints, side, case)
    return found, obstacles


def _judged(path: str, constraints: tuple[AnyConstraint, ...], side: Side, case: _Case) -> list[ConstraintReport]:
    return [judge(one, f"{path}/{at}", side, case.request, case.world) for at, one in enumerate(constraints)]


def _action(path: str, action: Action, request: Request) -> Reason | None:
    if included(request.action, action.iri):
        return None
    if action_known(action.iri):
        return Reason("action-other", path, "the rule is about an action that does not include the one that is asked for")
    return Reason("action-unknown", path, f"the action {_shown(action.iri)} is not known here")


def _other(path: str, member: str, concerned: Asset | Party, asked: str, world: World) -> Reason | None:
    """Why a rule that names something else does not concern what, or whom, the request names."""
    if not concerned.collection:
        return Reason(f"{member}-other", f"{path}/{member}", f"the rule concerns another {member}")
    belongs = world.facts.get(PART_OF)
    collections = belongs.get(asked) if isinstance(belongs, Mapping) else None
    if not isinstance(collections, tuple | list | set | frozenset):
        remedy = f"record to which collections the {member} belongs"
        return Reason(
            f"{member}-unknown", f"{path}/{member}", f"whether the {member} belongs to the collection is not known", remedy
        )
    if concerned.iri in collections:
        return None
    return Reason(f"{member}-other", f"{path}/{member}", f"the rule concerns a collection to which the {member} does not belong")


# --- duties ----------------------------------------------------------------------------------------------------------


def _duty(path: str, duty: Duty, case: _Case) -> DutyReport:
    obstacles = tuple(_obstacles(path, duty, 0))
    conditions = _judged(f"{path}/constraint", duty.constraints, Side.PERMITS, case) if duty.constraints else ()
    if any(report.satisfaction is Satisfaction.NOT_SATISFIED for report in conditions):
        return DutyReport(path, duty.action.iri, DutyState.NONE, obstacles)
    facts = case.world.facts
    recorded = facts.get(duty.action.iri) if duty.uid is None else facts.get(duty.uid, facts.get(duty.action.iri))
    state = DutyState.PENDING if recorded is None else _performed(recorded)
    if state is DutyState.PENDING and (known := term(duty.action.iri)) is not None and known.points:
        obstacles += _unenforced(path, known, case.world)
    return DutyReport(path, duty.action.iri, state, obstacles)


def _unenforced(path: str, known: Term, world: World) -> tuple[Reason, ...]:
    """Why a duty that only a data plane keeps cannot be promised: none declares it."""
    if known.iri in world.enforced or not all(point.of_data_plane for point in known.points):
        return ()
    sentence = f"no data plane keeps the duty {_shown(known.iri)}"
    return (Reason("not-enforced", path, sentence, f"declare {_shown(known.iri)} at a data plane that enforces it"),)


def _performed(recorded: Any) -> DutyState:
    if recorded is True or recorded == DutyState.FULFILLED:
        return DutyState.FULFILLED
    if recorded is False or recorded == DutyState.NOT_FULFILLED:
        return DutyState.NOT_FULFILLED
    return DutyState.PENDING


def _obstacles(path: str, duty: Duty, depth: int) -> list[Reason]:
    """What about a duty nobody here understands, so that nobody can promise it."""
    if depth >= NESTING_MOST:
        return [Reason("duty-invalid", path, "consequences of consequences are nested too deeply")]
    found: list[Reason] = []
    if not action_known(duty.action.iri):
        found.append(Reason("duty-unknown", f"{path}/action", f"the duty {_shown(duty.action.iri)} is not known here"))
    for role, _ in duty.parties:
        if not (role.startswith(ODRL) and role.endswith("Party")):
            found.append(Reason("role-unknown", path, f"no party of a duty has the role {_shown(role)} here"))
    found += _all_faults(f"{path}/action/refinement", duty.action.refinements)
    if duty.constraints:
        found += _all_faults(f"{path}/constraint", duty.constraints)
    for role, named in (("target", duty.target), ("assigner", duty.assigner), ("assignee", duty.assignee), *duty.parties):
        if named is not None:
            found += _all_faults(f"{path}/{role.removeprefix(ODRL)}/refinement", named.refinements)
    for at, consequence in enumerate(duty.consequences):
        found += _obstacles(f"{path}/consequence/{at}", consequence, depth + 1)
    return found


def _all_faults(path: str, constraints: tuple[AnyConstraint, ...], depth: int = 0) -> list[Reason]:
    return [reason for at, one in enumerate(constraints) for reason in _faults(f"{path}/{at}", one, depth)]


def _faults(path: str, constraint: AnyConstraint, depth: int) -> Sequence[Reason]:
    if isinstance(constraint, Compound):
        if depth >= NESTING_MOST or not constraint.parts:
            sentence = "a logical constraint without parts, or nested too deeply, says nothing"
            return (Reason("constraint-invalid", path, sentence),)
        return _all_faults(f"{path}/{constraint.logic.value}", constraint.parts, depth + 1)
    found = understand(constraint)
    return (Reason(found.code, path, found.sentence),) if isinstance(found, Fault) else ()


def _withholding(duty: DutyReport) -> Iterator[Reason]:
    """Why a duty withholds what depends on it: nobody can promise it, or it was not done."""
    yield from duty.obstacles
    if duty.state is DutyState.NOT_FULFILLED:
        known = term(duty.action)
        remedy = None if known is None else known.remedy
        yield Reason("duty-violated", duty.path, f"the duty {_shown(duty.action)} was not fulfilled", remedy)


# --- reasons ---------------------------------------------------------------------------------------------------------


def _forbidden(report: RuleReport, request: Request) -> Reason:
    if report.activation is Activation.ACTIVE:
        sentence = f"{_shown(request.action)} is prohibited"
        return Reason("prohibited", report.path, sentence, _release(report))
    unknown = [*report.obstacles, *(reason for one in report.constraints for reason in _why(one))]
    sentence = f"what is prohibited cannot be told, so that it counts as prohibited: {unknown[0].sentence}"
    return Reason("prohibited-unknown", unknown[0].path, sentence, unknown[0].remedy)


def _release(report: RuleReport) -> str | None:
    return "ask in a way that one of the conditions of the prohibition does not fit" if report.constraints else None


def _nearest(permissions: tuple[RuleReport, ...], request: Request) -> tuple[Reason, ...]:
    """The reasons of the permission with the fewest, above all of those that have no remedy."""
    if not permissions:
        return (Reason("no-permission", "/permission", f"nothing permits {_shown(request.action)}; ask for an offer that does"),)
    found = [(*report.obstacles, *(reason for one in report.constraints for reason in _why(one))) for report in permissions]
    return min(found, key=_distance)


def _distance(reasons: tuple[Reason, ...]) -> tuple[int, int]:
    return sum(reason.remedy is None for reason in reasons), len(reasons)


def _why(report: ConstraintReport) -> tuple[Reason, ...]:
    """Why a constraint is not satisfied: all that keeps an ``and``, the least that keeps an ``or``, and other sums as a whole."""
    if report.satisfaction in (Satisfaction.SATISFIED, Satisfaction.WAITS):
        return ()
    if report.code == "and-unsatisfied":
        return tuple(reason for part in report.parts for reason in _why(part))
    if report.code == "or-unsatisfied":
        return min(filter(None, map(_why, report.parts)), key=_distance)
    return (Reason(report.code, report.path, report.sentence, report.remedy),)


def _shown(iri: str) -> str:
    return f"<{iri[:_SHOWN_MOST]}>"
