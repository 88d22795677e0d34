"""Policies without what says nothing: their parts in one order, no names of rules, no defaults left to the policy.

Two parts are plainly equal when they say the same in other words only in this sense; nothing is compared by meaning here.
Imports the model only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, TypeVar

from policies.model import ODRL, AnyConstraint, Compound, Constraint, Duty, Logic, Operator, Permission, Policy, Prohibition

_SETS: Final = frozenset(ODRL + one for one in (Operator.IS_ANY_OF, Operator.IS_ALL_OF, Operator.IS_NONE_OF))
_Rule = TypeVar("_Rule", bound=Permission | Prohibition | Duty)
_Part = TypeVar("_Part")


def resolved(policy: Policy, *, parties: bool = True) -> Policy:
    """``policy`` with its own target, and its parties if asked for, written into those of its rules that name none."""
    assigner, assignee = (policy.assigner, policy.assignee) if parties else (None, None)

    def own(rule: _Rule) -> _Rule:
        return replace(
            rule,
            target=rule.target or policy.target,
            assigner=rule.assigner or assigner,
            assignee=rule.assignee or assignee,
        )

    return replace(
        policy,
        permissions=tuple(own(rule) for rule in policy.permissions),
        prohibitions=tuple(own(rule) for rule in policy.prohibitions),
        obligations=tuple(own(rule) for rule in policy.obligations),
    )


def plain_policy(policy: Policy) -> tuple[object, ...]:
    """All that binds in a policy, resolved, in one order: equal where two policies plainly say the same."""
    whole = resolved(policy)
    members = (sorted(whole.profiles), sorted(whole.inherits), whole.conflict)
    return (*members, plain_rules(whole.permissions), plain_rules(whole.prohibitions), plain_rules(whole.obligations))


def plain(constraint: AnyConstraint) -> AnyConstraint:
    """A constraint without its name; values of sets and operands whose order says nothing are sorted."""
    if isinstance(constraint, Constraint):
        right = tuple(sorted(constraint.right, key=repr)) if constraint.operator in _SETS else constraint.right
        return replace(constraint, right=right, uid=None)
    parts = tuple(plain(part) for part in constraint.parts)
    return Compound(constraint.logic, parts if constraint.logic is Logic.AND_SEQUENCE else _sorted(parts))


def plain_rule(rule: _Rule) -> _Rule:
    """A rule without its name, its constraints, refinements and duties sorted."""
    action = replace(rule.action, refinements=plain_all(rule.action.refinements))
    bare = replace(rule, action=action, constraints=plain_all(rule.constraints), uid=None)
    if isinstance(bare, Permission):
        return replace(bare, duties=plain_rules(bare.duties))
    if isinstance(bare, Prohibition):
        return replace(bare, remedies=plain_rules(bare.remedies))
    return replace(bare, consequences=plain_rules(bare.consequences))


def plain_all(constraints: Iterable[AnyConstraint]) -> tuple[AnyConstraint, ...]:
    """``constraints`` without their names, sorted."""
    return _sorted(plain(constraint) for constraint in constraints)


def plain_rules(rules: Iterable[_Rule]) -> tuple[_Rule, ...]:
    """``rules`` without their names, sorted."""
    return _sorted(plain_rule(rule) for rule in rules)


def _sorted(parts: Iterable[_Part]) -> tuple[_Part, ...]:
    return tuple(sorted(parts, key=repr))
