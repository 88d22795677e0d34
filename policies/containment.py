"""Whether one policy permits no more than another: sound, not complete.

``contains`` is True only where it can be shown term by term; where the algebra of a term does not decide, it is False. Known
to it are the order of numbers, moments and durations, sets of names, and what is broader among purposes, kinds and places. A term
with the operators of order is taken to follow the order of its values. Imports the model, the terms, purposes and places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from policies.model import (
    AnyConstraint,
    Compound,
    Conflict,
    Constraint,
    Duty,
    Logic,
    Operator,
    Party,
    Permission,
    Policy,
    Prohibition,
    Value,
)
from policies.places import within
from policies.plain import plain, plain_all, plain_policy, plain_rule, resolved
from policies.purposes import PURPOSE, is_a
from policies.satisfaction import NESTING_MOST
from policies.terms.examine import Fault, Understood, included, understand
from policies.terms.foreign import offset_ms
from policies.terms.party import COMPANY, CONSUMER_KIND, SME
from policies.terms.place import BOUNDING_BOX, SPATIAL
from policies.terms.purpose import by_purpose
from policies.terms.term import Scope
from policies.terms.values import by_name, duration, durations, in_order, instant, name, number
from policies.walk import Rule, atoms, conditions, duties, rules, shared

WORK_MOST: Final = 40_000
"""Pairs of parts that are held against each other; of larger policies only equality is seen."""

_ANY: Final = frozenset({Operator.EQ, Operator.IS_A, Operator.IS_ANY_OF, Operator.IS_PART_OF})
_ALL: Final = frozenset({Operator.IS_ALL_OF, Operator.HAS_PART})
_NONE: Final = frozenset({Operator.NEQ, Operator.IS_NONE_OF})
_LESS: Final = frozenset({Operator.LT, Operator.LTEQ})
_MORE: Final = frozenset({Operator.GT, Operator.GTEQ})
_STRICT: Final = frozenset({Operator.LT, Operator.GT})

Compare = Callable[[Any, Operator, Any], bool | None]
_READERS: Final[tuple[tuple[Callable[[Value], Any], Compare], ...]] = (
    (number, in_order),
    (instant, in_order),
    (duration, durations),
    (offset_ms, in_order),
)
"""How a value that has an order is read, and how two are compared; a text has one of these forms only."""


def contains(container: Policy, contained: Policy) -> bool:
    """Whether ``contained`` never permits, to anybody at any time, what ``container`` does not, and asks no less in return."""
    if not affordable(container, contained):
        return plain_policy(container) == plain_policy(contained)
    inner = resolved(contained)
    outer = resolved(_about(container, contained, inner))
    return (
        set(outer.profiles) <= set(inner.profiles)
        and outer.inherits == inner.inherits
        and _shallow(container)
        and _shallow(contained)
        and all(any(permission_within(narrow, wide) for wide in outer.permissions) for narrow in inner.permissions)
        and _prohibitions_hold(outer, inner)
        and _duties_cover(inner.obligations, outer.obligations)
    )


def _prohibitions_hold(outer: Policy, inner: Policy) -> bool:
    """Whether all that ``outer`` prohibits is prohibited by ``inner`` too, and as firmly."""
    if inner.conflict is Conflict.PERM:
        plainly = {plain_rule(rule) for rule in inner.prohibitions}
        return outer.conflict is Conflict.PERM and all(plain_rule(rule) in plainly for rule in outer.prohibitions)
    return all(any(prohibition_within(narrow, wide) for wide in inner.prohibitions) for narrow in outer.prohibitions)


def _shallow(policy: Policy) -> bool:
    """Whether no condition is nested so deeply that it counts as unknown."""
    stated = [condition for placed in rules(policy) for _, condition in conditions(placed.path, placed.rule)]
    return all(_depth(condition) <= NESTING_MOST for condition in (*stated, *(condition for _, condition in shared(policy))))


def _depth(condition: AnyConstraint) -> int:
    return 1 + max(map(_depth, condition.parts), default=0) if isinstance(condition, Compound) else 0


def _about(container: Policy, contained: Policy, inner: Policy) -> Policy:
    """``container`` as it stands for the target and the parties that all permissions of ``contained`` share."""
    about = container
    if contained.target and all(rule.target == contained.target for rule in inner.permissions):
        about = replace(about, target=about.target or contained.target)
    if contained.assigner and all(rule.assigner == contained.assigner for rule in inner.permissions):
        about = replace(about, assigner=about.assigner or contained.assigner)
    if contained.assignee and all(rule.assignee == contained.assignee for rule in inner.permissions):
        about = replace(about, assignee=about.assignee or contained.assignee)
    return about


def permission_within(narrow: Permission, wide: Permission) -> bool:
    """Whether whatever ``narrow`` permits, ``wide`` does too, for no less in return. Both resolved."""
    return _within(narrow, wide) and _duties_cover(narrow.duties, wide.duties)


def prohibition_within(narrow: Prohibition, wide: Prohibition) -> bool:
    """Whether whatever ``narrow`` forbids, ``wide`` does too, with no less owed when it is done. Both resolved."""
    return _within(narrow, wide) and _as_firm(narrow, wide) and _duties_cover(wide.remedies, narrow.remedies)


def duty_covers(strict: Duty, lax: Duty) -> bool:
    """Whether who has done ``strict`` has done ``lax`` too: the same action, done at least so, owed in the same cases."""
    return (
        (strict.action.iri, strict.uid) == (lax.action.iri, lax.uid)
        and follow(lax.action.refinements, strict.action.refinements)
        and plain_all(strict.constraints) == plain_all(lax.constraints)
        and (strict.target, strict.assignee) == (lax.target, lax.assignee)
        and _same_assigner(strict.assigner, lax.assigner)
        and strict.parties == lax.parties
        and _duties_cover(strict.consequences, lax.consequences)
    )


def includes(action: str, other: str) -> bool:
    """Whether an action is another, or includes it (ODRL 2.2, section 2.4)."""
    return action == other or included(other, action)


def follow(conclusions: tuple[AnyConstraint, ...], premises: tuple[AnyConstraint, ...]) -> bool:
    """Whether all ``conclusions`` hold whenever all ``premises`` do."""
    return all(_follows(conclusion, premises) for conclusion in conclusions)


def implies(premise: AnyConstraint, conclusion: AnyConstraint) -> bool:
    """Whether ``conclusion`` holds whenever ``premise`` does, and is undecided at most where that holds or is undecided."""
    return _proved(plain(premise), plain(conclusion), {})


def affordable(one: Policy, other: Policy) -> bool:
    """Whether two policies are small enough to hold each part of one against each of the other."""
    return _size(one) * _size(other) <= WORK_MOST


def _size(policy: Policy) -> int:
    stated = [condition for _, condition in shared(policy)]
    owed: list[tuple[str, Rule]] = [(placed.path, placed.rule) for placed in rules(policy)]
    for path, rule in owed:  # grows by what hangs on each rule
        stated += [condition for _, condition in conditions(path, rule)]
        owed += duties(path, rule)
    return len(owed) + sum(_weight(condition) for condition in stated)


def _weight(condition: AnyConstraint) -> int:
    return 1 + sum(map(_weight, condition.parts)) if isinstance(condition, Compound) else 1


def _proved(premise: AnyConstraint, conclusion: AnyConstraint, known: dict[tuple[int, int], bool]) -> bool:
    """``implies`` for plain constraints. ``known``: what was found before, for many paths lead to the same two parts."""
    pair = id(premise), id(conclusion)
    if pair not in known:
        known[pair] = premise == conclusion or _step(premise, conclusion, known)
    return known[pair]


def _step(premise: AnyConstraint, conclusion: AnyConstraint, known: dict[tuple[int, int], bool]) -> bool:
    if isinstance(conclusion, Compound) and conclusion.logic is Logic.AND:
        return bool(conclusion.parts) and all(_proved(premise, part, known) for part in conclusion.parts)
    if isinstance(premise, Compound) and premise.logic in (Logic.OR, Logic.XONE):
        return bool(premise.parts) and all(_proved(part, conclusion, known) for part in premise.parts)
    if isinstance(premise, Compound) and any(_proved(part, conclusion, known) for part in premise.parts):
        return True
    if isinstance(conclusion, Compound):
        return conclusion.logic is Logic.OR and any(_proved(premise, part, known) for part in conclusion.parts)
    return isinstance(premise, Constraint) and _atom_implies(premise, conclusion)


def _within(narrow: Permission | Prohibition, wide: Permission | Prohibition) -> bool:
    """Whether ``wide`` is about all that ``narrow`` is about, and active whenever that is."""
    return (
        includes(wide.action.iri, narrow.action.iri)
        and wide.target in (None, narrow.target)
        and wide.assignee in (None, narrow.assignee)
        and _same_assigner(narrow.assigner, wide.assigner)
        and wide.parties == narrow.parties
        and follow(_stated(wide), _stated(narrow))
    )


def _same_assigner(one: Party | None, other: Party | None) -> bool:
    """Whether two rules are of one side. Where one leaves that open, it is; but refinements count."""
    if one is None or other is None:
        return not any(party is not None and party.refinements for party in (one, other))
    return one == other


def _stated(rule: Permission | Prohibition) -> tuple[AnyConstraint, ...]:
    return (*rule.constraints, *rule.action.refinements)


def _as_firm(narrow: Prohibition, wide: Prohibition) -> bool:
    """Whether ``wide`` blocks wherever ``narrow`` blocks for being unknown.

    A prohibition whose condition waits does not block yet, one with a condition that is unknown does. So ``wide`` either never
    waits, or knows and does not know what ``narrow`` does.
    """
    mine, its = _stated(narrow), _stated(wide)
    if all(_never_waits(condition) for condition in its):
        return True
    unsure = [one for one, other in ((narrow.target, wide.target), (narrow.assignee, wide.assignee)) if one != other]
    if any(one is not None and (one.collection or one.refinements) for one in unsure):
        return False
    known = {atom.left for condition in its for _, atom in atoms("", condition)}
    return plain_all(mine) == plain_all(its) or all(_clear(condition, known) for condition in mine)


def _never_waits(condition: AnyConstraint) -> bool:
    found = [understand(atom) for _, atom in atoms("", condition)]
    return all(not isinstance(one, Fault) and one.term.scopes == frozenset(Scope) for one in found)


def _clear(condition: AnyConstraint, operands: set[str]) -> bool:
    """Whether a condition is unknown only where something about one of ``operands`` is."""
    if isinstance(condition, Constraint):
        return condition.left in operands and not isinstance(understand(condition), Fault)
    return (
        condition.logic in (Logic.AND, Logic.OR)
        and bool(condition.parts)
        and all(_clear(part, operands) for part in condition.parts)
    )


def _duties_cover(strict: tuple[Duty, ...], lax: tuple[Duty, ...]) -> bool:
    return all(any(duty_covers(one, other) for one in strict) for other in lax)


def _follows(conclusion: AnyConstraint, premises: tuple[AnyConstraint, ...]) -> bool:
    if any(implies(premise, conclusion) for premise in premises):
        return True
    if not isinstance(conclusion, Compound) or not conclusion.parts or conclusion.logic not in (Logic.AND, Logic.OR):
        return False
    return (all if conclusion.logic is Logic.AND else any)(_follows(part, premises) for part in conclusion.parts)


def _atom_implies(premise: Constraint, conclusion: Constraint) -> bool:
    first, second = understand(premise), understand(conclusion)
    if isinstance(first, Fault) or isinstance(second, Fault):
        return False
    if (premise.left, premise.unit) != (conclusion.left, conclusion.unit) or premise.status or conclusion.status:
        return False
    known = first.term
    if Operator.EQ in known.operators and known.operators & _STRICT:
        return _order_implies(first.operator, first.right[0], second.operator, second.right[0])
    return known.compare in (None, by_name, by_purpose) and _names_imply(first, second)


def _order_implies(first: Operator, left: Value, second: Operator, right: Value) -> bool:
    """``x first left`` implies ``x second right`` for every x of an order."""
    for read, compare in _READERS:
        low, high = read(left), read(right)
        if low is None or high is None:
            continue
        if first is Operator.EQ:
            return compare(low, second, high) is True
        for side in (_LESS, _MORE):
            if first in side and second in side | {Operator.NEQ}:
                strictly = first not in _STRICT and second not in side - _STRICT
                bound = next(iter(side & _STRICT)) if strictly else next(iter(side - _STRICT))
                return compare(low, bound, high) is True
    return False


def _names_imply(premise: Understood, conclusion: Understood) -> bool:
    """The same for sets of names, where what is asked about is all that it is: its concept and all broader ones."""
    iri, first, left = premise.term.iri, premise.operator, premise.right
    second, right = conclusion.operator, conclusion.right

    if iri == PURPOSE and first in _ALL and len(left) > 1:  # a vague purpose may be unknown for one of them alone
        return False

    def above(one: Value, other: Value) -> bool:
        return _broader(iri, one, other)

    if first in _ANY and second in _ANY:
        return all(any(above(one, other) for other in right) for one in left)
    if first in _ANY and second in _ALL:
        return all(above(one, other) for one in left for other in right)
    if first in _ALL and second in _ANY:
        return any(above(one, other) for one in left for other in right)
    if first in _ALL and second in _ALL:
        return all(any(above(one, other) for one in left) for other in right)
    if first in _ANY and second in _NONE:
        return iri == PURPOSE and not any(above(one, other) or above(other, one) for one in left for other in right)
    if first in _NONE and second in _NONE:
        return all(any(above(other, one) for one in left) for other in right)
    return False


def _broader(operand: str, one: Value, other: Value) -> bool:
    """Whether what is ``one`` is ``other`` too."""
    here, there = name(one), name(other)
    if here == there:
        return True
    match operand:
        case str() if operand == PURPOSE:
            return is_a(here, there)
        case str() if operand == CONSUMER_KIND:
            return (here, there) == (SME, COMPANY)
        case str() if operand in (SPATIAL, BOUNDING_BOX):
            return within(one, other)
        case _:
            return False
